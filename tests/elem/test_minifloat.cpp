// Every code against the golden tables, the golden conversions, numeric_limits and the policies. The conversion of
// every float is in test_minifloat_sweep.cpp.
#include <doctest/doctest.h>
#include <blocq/elem/minifloat.hpp>
#include <golden.hpp>

#include <cmath>

using namespace blocq;

namespace {

template <class T>
struct golden_name;
#define NAME(TYPE, TEXT)                       \
  template <>                                  \
  struct golden_name<TYPE> {                   \
    static constexpr const char* value = TEXT; \
  }
NAME(float4_e2m1fn, "e2m1");
NAME(float6_e2m3fn, "e2m3");
NAME(float6_e3m2fn, "e3m2");
NAME(float8_e4m3fn, "e4m3fn");
NAME(float8_e5m2, "e5m2");
NAME(float8_e8m0fnu, "e8m0");

struct conversion {
  le32 input;
  std::uint8_t special, saturated, pad[2];
};

template <class T>
T from_code(std::uint32_t code) {
  return {static_cast<typename T::storage>(code)};
}

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float a_nan = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST_CASE_TEMPLATE("every code is the golden number", T, float4_e2m1fn, float6_e2m3fn, float6_e3m2fn, float8_e4m3fn,
                   float8_e5m2, float8_e8m0fnu) {
  const auto expected = golden::array<std::uint32_t>(std::string("mx_decode_") + golden_name<T>::value + ".f32");
  REQUIRE(expected.size() == 1u << T::bits);
  for (std::uint32_t code = 0; code < expected.size(); ++code)
    CHECK(to_bits(from_code<T>(code).to_float()) == expected[code]);
}

TEST_CASE_TEMPLATE("golden conversions", T, float4_e2m1fn, float6_e2m3fn, float6_e3m2fn, float8_e4m3fn, float8_e5m2) {
  const auto cases = golden::array<conversion>(std::string("mx_encode_") + golden_name<T>::value + ".bin");
  REQUIRE(cases.size() > 100);
  int deviations = 0;
  for (const conversion& c : cases) {
    const std::uint32_t input = load(c.input);
    std::uint8_t special = c.special, saturated = c.saturated;
    // Two policies are not those of the tables: a NaN in a type without one is +0 instead of minus the sign's zero,
    // and overflow::saturate takes an infinity to the highest number, as it takes every other magnitude above it.
    const std::uint8_t sign = static_cast<std::uint8_t>(input >> 31 << (T::bits - 1));
    if ((input & 0x7fffffffu) > 0x7f800000u && T::nan_code == 0) special = saturated = 0;
    if ((input & 0x7fffffffu) == 0x7f800000u) saturated = static_cast<std::uint8_t>(sign | T::max_code);
    deviations += special != c.special || saturated != c.saturated;
    const float x = from_bits(input);
    CHECK_MESSAGE(T::from_float(x).code == saturated, x);
    CHECK_MESSAGE(T::template from_float<overflow::special>(x).code == special, x);
  }
  CHECK(deviations == (T::nan_code == 0 ? 1 : 2));
}

TEST_CASE_TEMPLATE("a number survives the way there and back", T, float4_e2m1fn, float6_e2m3fn, float6_e3m2fn,
                   float8_e4m3fn, float8_e5m2, float8_e8m0fnu, float8_ue4m3, float8_ue5m3, float16, bfloat16) {
  for (std::uint32_t code = 0; code < 1u << T::bits; ++code) {
    if ((code & T::magnitude_code) > T::max_code) continue;
    CHECK(T::from_float(from_code<T>(code).to_float()).code == code);
    CHECK(T::template from_float<overflow::special>(from_code<T>(code).to_float()).code == code);
  }
}

TEST_CASE_TEMPLATE("limits", T, float4_e2m1fn, float6_e2m3fn, float6_e3m2fn, float8_e4m3fn, float8_e5m2, float8_e8m0fnu,
                   float8_ue4m3, float16, bfloat16) {
  using limits = std::numeric_limits<T>;
  const float max = limits::max().to_float(), min = limits::min().to_float();
  float highest = 0, lowest = 0, smallest = infinity;
  for (std::uint32_t code = 0; code < 1u << T::bits; ++code) {
    const float x = from_code<T>(code).to_float();
    if (!std::isfinite(x)) continue;
    highest = std::max(highest, x);
    lowest = std::min(lowest, x);
    if (x > 0) smallest = std::min(smallest, x);
  }
  CHECK(max == highest);
  CHECK(limits::lowest().to_float() == (T::mantissa_bits == 0 ? smallest : lowest));
  CHECK(limits::denorm_min().to_float() == smallest);
  CHECK(min == std::ldexp(1.0f, limits::min_exponent - 1));
  CHECK(std::ilogb(max) == limits::max_exponent - 1);
  CHECK(std::floor(std::log10(max)) == limits::max_exponent10);
  CHECK(std::ceil(std::log10(min)) == limits::min_exponent10);
  CHECK(limits::epsilon().to_float() == std::ldexp(1.0f, 1 - limits::digits));
  CHECK(limits::round_error().to_float() == 0.5f);
  CHECK(limits::has_infinity == (limits::infinity().to_float() == infinity));
  CHECK(limits::has_quiet_NaN == std::isnan(limits::quiet_NaN().to_float()));
}

TEST_CASE("limits of the named types") {
  CHECK(std::numeric_limits<float4_e2m1fn>::max().to_float() == 6.0f);
  CHECK(std::numeric_limits<float6_e2m3fn>::max().to_float() == 7.5f);
  CHECK(std::numeric_limits<float6_e3m2fn>::max().to_float() == 28.0f);
  CHECK(std::numeric_limits<float8_e4m3fn>::max().to_float() == 448.0f);
  CHECK(std::numeric_limits<float8_e5m2>::max().to_float() == 57344.0f);
  CHECK(std::numeric_limits<float16>::max().to_float() == 65504.0f);
  CHECK(std::numeric_limits<float16>::digits10 == 3);
  CHECK(std::numeric_limits<float16>::max_digits10 == 5);
  CHECK(std::numeric_limits<bfloat16>::max_digits10 == 4);
}

TEST_CASE("what has no code of its own") {
  constexpr auto special = overflow::special;
  CHECK(float4_e2m1fn::from_float(infinity).code == 7);
  CHECK(float4_e2m1fn::from_float<special>(-infinity).code == 15);
  CHECK(float4_e2m1fn::from_float(-a_nan).code == 0);
  CHECK(float8_e4m3fn::from_float(-infinity).code == 0xfe);
  CHECK(float8_e4m3fn::from_float<special>(-infinity).code == 0xff);
  CHECK(float8_e5m2::from_float<special>(-infinity).code == 0xfc);
  CHECK(float16::from_float(1e6f).code == 0x7bff);
  CHECK(float16::from_float<special>(-1e6f).code == 0xfc00);
  CHECK(float16::from_float(a_nan).code == 0x7e00);
  CHECK(bfloat16::from_float(from_bits(0x7f7fffff)).code == 0x7f7f);
  CHECK(bfloat16::from_float<special>(from_bits(0x7f7fffff)).code == 0x7f80);
  CHECK(float8_ue4m3::from_float(-1.0f).code == 0);
  CHECK(float8_ue4m3::from_float(a_nan).code == 0);
  CHECK(float8_ue4m3::from_float(1e9f).to_float() == 480.0f);
  CHECK(float8_ue5m3::from_float(-1.0f).code == 0);
  CHECK(float8_ue5m3::from_float(a_nan).code == 0xff);
  CHECK(float8_ue5m3::from_float(1e9f).to_float() == 114688.0f);
}

TEST_CASE("e8m0 rounds to the nearest power of two, halfway to the higher one") {
  using T = float8_e8m0fnu;
  for (int code = 0; code <= 254; ++code) {
    const float power = std::ldexp(1.0f, code - 127), middle = 1.5f * power;
    const int next = code + 1;
    CHECK(T::from_float(power).code == code);
    CHECK(T::from_float(std::nextafter(middle, 0.0f)).code == code);
    CHECK(T::from_float(middle).code == (code == 254 ? 254 : next));
    CHECK(T::from_float<overflow::special>(middle).code == next);
  }
  CHECK(T::from_float(0.0f).code == 0);
  CHECK(T::from_float(0x1p-149f).code == 0);
  CHECK(T::from_float(std::numeric_limits<float>::infinity()).code == 254);
  CHECK(T::from_float(std::numeric_limits<float>::quiet_NaN()).code == 255);
  CHECK(T::from_float<overflow::special>(-1.0f).code == 255);
  CHECK(T::from_float(-1.0f).code == 0);
}

TEST_CASE("16-bit conversions have the golden hashes") {
  for (const golden::record& r : golden::records("scalar")) {
    const bool half = r["name"].find("fp16") != std::string::npos;
    const auto code = [half](std::uint32_t bits) {
      const float x = from_bits(bits);
      return half ? float16::from_float<overflow::special>(x).code : bfloat16::from_float<overflow::special>(x).code;
    };
    if (r.fields.count("in") != 0) {
      CHECK(code(static_cast<std::uint32_t>(r.hash("in"))) == r.hash("out"));
    } else if (r["name"] == "fp16_to_fp32_exhaustive_nan_as_zero") {
      std::vector<float> values;
      for (std::uint32_t h = 0; h < 0x10000; ++h) {
        const float x = from_code<float16>(h).to_float();
        values.push_back(is_nan(x) ? 0.0f : x);
      }
      CHECK(golden::fnv1a(std::span<const float>(values)) == r.hash("fnv"));
    } else {
      std::vector<std::uint16_t> codes;
      for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += 4099)
        codes.push_back(code(static_cast<std::uint32_t>(bits)));
      CHECK(golden::fnv1a(std::span<const std::uint16_t>(codes)) == r.hash("fnv"));
    }
  }
}
