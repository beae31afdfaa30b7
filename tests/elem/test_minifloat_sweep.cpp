// The conversion of every one of the 2^32 floats to each of the 4-, 6- and 8-bit types, in both overflow modes.
//
// The oracle knows nothing of the implementation: it takes the numbers of a type from the golden table and cuts the
// line of floats halfway between neighbours. Rounding is monotone, so all floats of a piece must give its code.
#include <doctest/doctest.h>
#include <blocq/elem/minifloat.hpp>
#include <golden.hpp>

#include <bit>

using namespace blocq;

namespace {

struct piece {
  std::uint32_t first, last;  // bit patterns, sign excluded
  std::uint8_t saturated, special;
};

// The pieces of the positive half of the line, from `table`: the numbers of all codes. The codes in `beyond` are those
// of what lies beyond the highest number (special mode) and of NaN.
struct beyond {
  std::uint8_t overflow, nan;
};
std::vector<piece> cut(const std::vector<float>& table, beyond codes) {
  std::vector<double> numbers;  // of ascending codes
  for (std::size_t code = 0; code < table.size() / 2 && table[code] < std::numeric_limits<float>::infinity(); ++code)
    numbers.push_back(static_cast<double>(table[code]));
  const std::size_t highest = numbers.size() - 1;
  numbers.push_back(2 * numbers[highest] - numbers[highest - 1]);  // what would come next

  std::vector<piece> pieces;
  std::uint32_t first = 0;
  for (std::size_t code = 0; code <= highest; ++code) {
    const double middle = (numbers[code] + numbers[code + 1]) / 2;
    REQUIRE(static_cast<double>(static_cast<float>(middle)) == middle);
    const std::uint32_t tie = std::bit_cast<std::uint32_t>(static_cast<float>(middle));
    const std::uint32_t last = code % 2 == 0 ? tie : tie - 1;
    pieces.push_back({first, last, static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(code)});
    first = last + 1;
  }
  pieces.push_back({first, 0x7f800000u, static_cast<std::uint8_t>(highest), codes.overflow});
  pieces.push_back({0x7f800001u, 0x7fffffffu, codes.nan, codes.nan});
  return pieces;
}

// The bits in which any float of a piece differs from what it should give.
template <class T>
std::uint32_t difference(std::uint32_t first, std::uint32_t count, std::uint32_t saturated, std::uint32_t special) {
  std::uint32_t bad = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const float x = std::bit_cast<float>(first + i);
    bad |= T::from_float(x).code ^ saturated;
    bad |= T::template from_float<overflow::special>(x).code ^ special;
  }
  return bad;
}

template <class T>
void sweep(const char* table, beyond codes) {
  std::uint64_t seen = 0;
  for (const piece& p : cut(golden::array<float>(table), codes)) {
    const std::uint32_t count = p.last - p.first + 1;
    const bool signless = p.first > 0x7f800000u && codes.nan == 0;  // NaN in a type without one
    const std::uint32_t minus = signless ? 0u : 1u << (T::bits - 1);
    CHECK_MESSAGE(difference<T>(p.first, count, p.saturated, p.special) == 0, p.first);
    CHECK_MESSAGE(difference<T>(p.first | 0x80000000u, count, p.saturated | minus, p.special | minus) == 0, p.first);
    seen += 2 * std::uint64_t{count};
  }
  CHECK(seen == std::uint64_t{1} << 32);
}

}  // namespace

TEST_CASE("every float to e2m1") { sweep<float4_e2m1fn>("mx_decode_e2m1.f32", {0x07, 0x00}); }
TEST_CASE("every float to e2m3") { sweep<float6_e2m3fn>("mx_decode_e2m3.f32", {0x1f, 0x00}); }
TEST_CASE("every float to e3m2") { sweep<float6_e3m2fn>("mx_decode_e3m2.f32", {0x1f, 0x00}); }
TEST_CASE("every float to e4m3") { sweep<float8_e4m3fn>("mx_decode_e4m3fn.f32", {0x7f, 0x7f}); }
TEST_CASE("every float to e5m2") { sweep<float8_e5m2>("mx_decode_e5m2.f32", {0x7c, 0x7e}); }
