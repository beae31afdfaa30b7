// Ternary digits; golden blocks and properties are in test_all.cpp.
#include <doctest/doctest.h>
#include <blocq/format/tq.hpp>

#include <cstring>
#include <random.hpp>

using namespace blocq;

TEST_CASE("all 243 combinations of five digits survive packing") {
  for (int number = 0; number < 243; ++number) {
    std::uint8_t digits[5];
    for (int n = 4, rest = number; n >= 0; --n, rest /= 3) digits[n] = static_cast<std::uint8_t>(rest % 3);
    const std::uint8_t byte = impl::pack_digits(digits, 1, 5);
    for (int n = 0; n < 5; ++n) CHECK(impl::get_digit(byte, n) == digits[n]);
  }
}

TEST_CASE("every byte has five digits from 0 to 2") {
  for (int byte = 0; byte < 256; ++byte)
    for (int n = 0; n < 5; ++n) CHECK(impl::get_digit(static_cast<std::uint8_t>(byte), n) <= 2);
}

TEST_CASE("the digits of a block are read back as they were set") {
  test::random_bits source{9};
  std::uint8_t digits[256], read[256];
  for (auto& digit : digits) digit = static_cast<std::uint8_t>(source.next() % 3);
  tq1_0 block = test::filled_block<tq1_0>(0xff);
  set_codes(block, digits);
  get_codes(block, read);
  CHECK(std::memcmp(digits, read, 256) == 0);
  CHECK(load(block.d) == 0xffff);
  for (int j = 0; j < 4; ++j) CHECK(impl::get_digit(block.qh[j], 4) == 0);  // the fifth digit there is nobody's
}

namespace {
constexpr bool counts_up() {  // element i has digit i % 3
  tq1_0 block{};
  store(block.d, f32_to_f16(0.5f));
  std::uint8_t digits[256] = {};
  for (int i = 0; i < 256; ++i) digits[i] = static_cast<std::uint8_t>(i % 3);
  set_codes(block, digits);
  float y[256] = {};
  decode(block, y);
  for (int i = 0; i < 256; ++i)
    if (y[i] != 0.5f * static_cast<float>(i % 3 - 1)) return false;
  return true;
}
static_assert(counts_up());
}  // namespace
