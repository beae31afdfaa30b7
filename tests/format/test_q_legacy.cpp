// One block of each kind by hand. The rest of the evidence is in test_all.cpp: golden blocks and properties.
#include <doctest/doctest.h>
#include <blocq/format/q_legacy.hpp>

using namespace blocq;

namespace {
constexpr le16 one{{0x00, 0x3c}}, two{{0x00, 0x40}};

template <class B>
constexpr bool decodes_to(const B& block, float first, float second, float last) {
  float y[block_size<B>] = {};
  decode(block, y);
  return y[0] == first && y[1] == second && y[block_size<B> - 1] == last;
}

// Byte 0 of qs is 0x2f, byte 15 is 0x80: the first code is 15, the last is 8.
constexpr q4_0 zero_four{two, {0x2f, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80}};
static_assert(decodes_to(zero_four, 14.0f, -14.0f, 0.0f));
constexpr q4_1 one_four{two, one, {0x2f, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80}};
static_assert(decodes_to(one_four, 31.0f, 3.0f, 17.0f));
// Bit 4 is set for elements 1 and 31.
constexpr q5_0 zero_five{two, {0x02, 0, 0, 0x80}, {0x2f, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80}};
static_assert(decodes_to(zero_five, -2.0f, 2.0f, 16.0f));
constexpr q5_1 one_five{two, one, {0x02, 0, 0, 0x80}, {0x2f, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80}};
static_assert(decodes_to(one_five, 31.0f, 35.0f, 49.0f));
static_assert(decodes_to(q8_0{two, {-128, 127}}, -256.0f, 254.0f, 0.0f));
static_assert(decodes_to(q8_1{two, one, {-128, 127}}, -256.0f, 254.0f, 0.0f));
static_assert(decodes_to(q1_0{two, {0x01}}, 2.0f, -2.0f, -2.0f));
static_assert(decodes_to(q2_0{two, {0x0b}}, 4.0f, 2.0f, -2.0f));
static_assert(is_valid(q8_1{two, one, {}}) && !is_valid(q8_1{two, {{0x00, 0x7c}}, {}}));
static_assert(is_valid(q4_1{two, one, {}}) && !is_valid(q4_1{two, {{0x00, 0x7c}}, {}}));
}  // namespace

TEST_CASE("a code of 0 keeps the sign of zero that the reference gives") {
  float y[32];
  decode(q4_0{{{0x00, 0xbc}}, {0x08}}, y);  // d = -1, q = 8
  CHECK(to_bits(y[0]) == 0x80000000u);
  decode(q8_0{{{0x00, 0x80}}, {-1}}, y);  // d = -0
  CHECK(to_bits(y[0]) == 0u);
  CHECK(to_bits(y[1]) == 0x80000000u);
}

TEST_CASE("the codes of q8_0 are its bytes") {
  std::uint8_t codes[32] = {0x80, 0x7f}, back[32];
  q8_0 b{two, {1, 2, 3}};
  set_codes(b, codes);
  CHECK(b.qs[0] == -128);
  CHECK(b.qs[1] == 127);
  CHECK(b.qs[2] == 0);
  get_codes(b, back);
  for (int i = 0; i < 32; ++i) CHECK(back[i] == codes[i]);
}
