#include <doctest/doctest.h>
#include <blocq/format/float16.hpp>

using namespace blocq;

TEST_CASE("f16 and bf16 are little-endian numbers") {
  float y;
  decode(f16{{{0x00, 0x3e}}}, &y);
  CHECK(y == 1.5f);
  decode(bf16{{{0xc0, 0x3f}}}, &y);
  CHECK(y == 1.5f);
}

TEST_CASE("f16 and bf16 are valid if finite") {
  CHECK(is_valid(f16{{{0xff, 0x7b}}}));
  CHECK_FALSE(is_valid(f16{{{0x00, 0x7c}}}));
  CHECK_FALSE(is_valid(f16{{{0x01, 0xfc}}}));
  CHECK(is_valid(bf16{{{0x7f, 0x7f}}}));
  CHECK_FALSE(is_valid(bf16{{{0x80, 0xff}}}));
}
