// Indices, signs and shifts of the table formats, and the tables themselves; golden blocks are in test_all.cpp.
#include <doctest/doctest.h>
#include <blocq/format/all.hpp>

#include <bit>
#include <cstring>
#include <golden.hpp>
#include <random.hpp>
#include <string>

using namespace blocq;

namespace {
template <class B>
constexpr int indices = 256 / element_t<B>::dimensions;

// Hash of a table expanded to one byte per coordinate.
template <class B>
std::uint64_t expanded_hash() {
  constexpr int dimensions = element_t<B>::dimensions, bits = dimensions == 8 ? 2 : 3;
  std::vector<std::int8_t> bytes;
  for (const unsigned packed : format_traits<B>::grid)
    for (int j = 0; j < dimensions; ++j)
      bytes.push_back(format_traits<B>::levels[packed >> (bits * j) & ((1u << bits) - 1)]);
  return golden::fnv1a(std::span<const std::int8_t>(bytes));
}
}  // namespace

TEST_CASE("the tables are the reference's") {
  CHECK(expanded_hash<iq1_s>() == 0x6703ed863501ae2e);
  CHECK(expanded_hash<iq1_m>() == 0x6703ed863501ae2e);
  CHECK(expanded_hash<iq2_xxs>() == 0xbb4ee025b5ac6e8e);
  CHECK(expanded_hash<iq2_xs>() == 0xc9b1ee61e79909bd);
  CHECK(expanded_hash<iq2_s>() == 0x123edd38a3b62b90);
  CHECK(expanded_hash<iq3_xxs>() == 0xdfa5dc83d6a155d5);
  CHECK(expanded_hash<iq3_s>() == 0xfa37020c25b44829);
}

TEST_CASE("tables are sorted, hold no point twice and stay in the range of their element") {
  for_each(iq_formats{}, []<class B> {
    if constexpr (requires { format_traits<B>::grid; }) {
      INFO(std::string(format_traits<B>::name));
      const auto& grid = format_traits<B>::grid;
      CHECK(std::size(grid) == static_cast<std::size_t>(element_t<B>::entries));
      for (std::size_t i = 1; i < std::size(grid); ++i) CHECK(grid[i - 1] < grid[i]);
      B block = test::filled_block<B>(0);
      int lowest = 0, highest = 0;
      for (int index = 0; index < element_t<B>::entries; ++index)
        for (const bool negative : {false, true}) {
          set_index(block, 0, index);
          if constexpr (requires { set_signs(block, 0, 0); })
            set_signs(block, 0, negative ? 255 : 0);
          else
            set_shift(block, 0, negative);
          std::int8_t v[8];
          get_run(block, 0, v);
          for (const int x : v) lowest = x < lowest ? x : lowest, highest = x > highest ? x : highest;
        }
      CHECK(lowest == element_t<B>::lowest);
      CHECK(highest == element_t<B>::highest);
    }
  });
}

TEST_CASE("indices, signs and shifts are read back as they were set, and setting them changes nothing else") {
  test::random_bits source{5};
  for_each(iq_formats{}, [&]<class B> {
    if constexpr (requires { format_traits<B>::grid; }) {
      INFO(std::string(format_traits<B>::name));
      const B a = test::random_block<B>(source), b = test::random_block<B>(source);
      B block = a;
      const auto copy = [&block](const B& from) {
        for (int i = 0; i < indices<B>; ++i) set_index(block, i, get_index(from, i));
        for (int k = 0; k < 32; ++k) {
          if constexpr (requires { get_signs(from, k); })
            set_signs(block, k, get_signs(from, k));
          else
            set_shift(block, k, get_shift(from, k));
        }
      };
      copy(b);
      for (int i = 0; i < indices<B>; ++i) CHECK(get_index(block, i) == get_index(b, i));
      for (int k = 0; k < 32; ++k) {
        std::int8_t of_block[8], of_b[8];
        get_run(block, k, of_block);
        get_run(b, k, of_b);
        CHECK(std::memcmp(of_block, of_b, 8) == 0);
      }
      for (int g = 0; g < 256 / format_traits<B>::group_size; ++g) CHECK(get_scale(block, g) == get_scale(a, g));
      copy(a);
      CHECK(std::memcmp(&block, &a, sizeof(B)) == 0);
    }
  });
}

TEST_CASE("seven stored signs give eight with an even number of negatives") {
  for (int seven = 0; seven < 128; ++seven) {
    iq2_xs block{};
    set_signs(block, 3, seven);
    const int signs = get_signs(block, 3);
    CHECK((signs & 127) == seven);
    CHECK(std::popcount(static_cast<unsigned>(signs)) % 2 == 0);
  }
}

TEST_CASE("the scale of iq1_m is scattered over four words and leaves the group scales alone") {
  iq1_m block = test::filled_block<iq1_m>(0xff);
  set_d(block, 0x1234);
  const unsigned words[] = {0x4fff, 0x3fff, 0x2fff, 0x1fff};
  for (int w = 0; w < 4; ++w) CHECK(load(block.scales[w]) == words[w]);
  CHECK(get_d(block) == 0x1234);
  set_d(block, 0x7c00);
  CHECK_FALSE(is_valid(block));
  set_d(block, 0x7bff);
  CHECK(is_valid(block));
}

namespace {
constexpr iq3_s last_negative = [] {
  iq3_s b{};
  store(b.d, f32_to_f16(2.0f));
  set_scale(b, 7, 3);     // 2 * 3 + 1
  set_index(b, 63, 511);  // the last point of the table
  set_signs(b, 31, 0x80);
  return b;
}();
constexpr float last_of(const auto& block) {
  float y[256] = {};
  decode(block, y);
  return y[255];
}
static_assert(last_of(last_negative) == -2.0f * 7.0f * (2 * (iq3_s_grid[511] >> 9) + 1));
}  // namespace
