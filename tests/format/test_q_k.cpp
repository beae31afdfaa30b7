// The packings of group scales; golden blocks and properties of the decoders are in test_all.cpp.
#include <doctest/doctest.h>
#include <blocq/format/all.hpp>

#include <cstring>
#include <random.hpp>
#include <string>

using namespace blocq;

namespace {
constexpr bool operator==(scale_min a, scale_min b) { return a.scale == b.scale && a.min == b.min; }
}  // namespace

TEST_CASE("a group's scale is read back as it was set, and setting it changes nothing else") {
  test::random_bits source{3};
  int formats = 0;
  for_each(all_formats{}, [&]<class B> {
    if constexpr (requires { format_traits<B>::group_size; }) {
      INFO(std::string(format_traits<B>::name));
      ++formats;
      constexpr int groups = static_cast<int>(block_size<B>) / format_traits<B>::group_size;
      const B a = test::random_block<B>(source), b = test::random_block<B>(source);
      B block = a;
      for (int g = groups; g-- > 0;) set_scale(block, g, get_scale(b, g));
      for (int g = 0; g < groups; ++g) CHECK(get_scale(block, g) == get_scale(b, g));
      for (int g = 0; g < groups; ++g) set_scale(block, g, get_scale(a, g));
      CHECK(std::memcmp(&block, &a, sizeof(B)) == 0);
    }
  });
  CHECK(formats >= 13);
}

TEST_CASE("scales lie where the format says") {
  q4_k block{};
  set_scale(block, 1, {0x2a, 0x15});
  set_scale(block, 5, {0x39, 0x26});
  const std::uint8_t expected[12] = {0, 0xea, 0, 0, 0, 0x95, 0, 0, 0, 0x69, 0, 0};
  CHECK(std::memcmp(block.scales, expected, 12) == 0);
  q3_k other{};
  for (int g = 0; g < 16; ++g) CHECK(get_scale(other, g) == -32);
  set_scale(other, 13, 0x2b - 32);  // nibble 1 of byte 5, field 3 of byte 9
  CHECK(other.scales[5] == 0xb0);
  CHECK(other.scales[9] == 0x80);
}

namespace {
// d = 1, scale and minimum of the last group 3 and 2, last code 1.
constexpr q2_k small = [] {
  q2_k b{};
  store(b.d, f32_to_f16(1.0f));
  store(b.dmin, f32_to_f16(0.5f));
  set_scale(b, 15, {3, 2});
  b.qs[63] = 0x40;
  return b;
}();
constexpr float last_of(const auto& block) {
  float y[256] = {};
  decode(block, y);
  return y[255];
}
static_assert(last_of(small) == 2.0f);
static_assert(is_valid(q8_k{{{0, 0, 0x80, 0x7b}}, {}, {}}) && !is_valid(q8_k{{{0, 0, 0, 0x7c}}, {}, {}}));
}  // namespace
