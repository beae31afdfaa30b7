// Both forms of NVFP4: golden bytes, the ends of the range, and what is not finite.
#include <doctest/doctest.h>
#include <blocq/blocq.hpp>
#include <golden.hpp>

#include <cmath>

using namespace blocq;
using convention = nvfp4_tensor_scale::convention;

namespace {
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float a_nan = std::numeric_limits<float>::quiet_NaN();
constexpr float largest = std::numeric_limits<float>::max();

struct two_level {
  nvfp4_tensor_scale tensor;
  std::vector<std::uint8_t> codes, scales;
  status outcome;

  explicit two_level(const std::vector<float>& x, nvfp4_tensor_scale t)
      : tensor(t), codes(x.size() / 2), scales(x.size() / 16), outcome(encode_nvfp4(x, t, codes, scales)) {}
  std::vector<float> decode() const {
    std::vector<float> y(2 * codes.size());
    REQUIRE(decode_nvfp4(codes, scales, tensor, y));
    return y;
  }
};
}  // namespace

TEST_CASE("golden rows of the two-level form") {
  const auto x = golden::array<float>("nvfp4_rows_in.f32");
  const nvfp4_tensor_scale tensor = fit_nvfp4(x);
  CHECK(to_bits(tensor.value) == golden::array<std::uint32_t>("nvfp4_rows.global")[0]);
  const two_level w(x, tensor);
  CHECK(w.outcome);
  CHECK(w.codes == golden::array<std::uint8_t>("nvfp4_rows.codes"));
  CHECK(w.scales == golden::array<std::uint8_t>("nvfp4_rows.scales"));
}

TEST_CASE("both conventions of the tensor scale, over the whole range of floats") {
  for (const convention meaning : {convention::multiplier, convention::divisor})
    for (const float amax : {largest, 1e30f, 1.0f, 1e-20f, 1e-30f, 3e-36f}) {
      const std::vector<float> x{amax,     -amax,     amax / 2, amax / 3, 0.0f, -amax / 7, amax / 8, amax / 9,
                                 amax / 5, -amax / 6, amax / 2, amax / 3, 0.0f, -amax / 7, amax / 8, amax / 9};
      const nvfp4_tensor_scale tensor = fit_nvfp4(x, meaning);
      CHECK(tensor.meaning == meaning);
      const two_level w(x, tensor);
      CHECK(w.outcome);
      const auto y = w.decode();
      CHECK(y[0] == doctest::Approx(amax).epsilon(1e-5));
      CHECK(y[1] == -y[0]);
      for (std::size_t i = 0; i < 16; ++i) CHECK(std::fabs(y[i] - x[i]) <= amax / 11);
    }
  CHECK(fit_nvfp4({}).value == 1.0f);
  CHECK(fit_nvfp4(std::vector<float>{0.0f, -0.0f, a_nan, infinity}).value == 1.0f);
  CHECK(fit_nvfp4(std::vector<float>{1e-45f}).value >= std::numeric_limits<float>::min());
  CHECK(fit_nvfp4(std::vector<float>{1e-45f}, convention::divisor).value <= largest);
}

TEST_CASE("two-level form: what is not finite, what overflows, what is refused") {
  std::vector<float> x(48, 1.0f);
  for (const float bad : {a_nan, infinity, -infinity}) {
    x[20] = bad;
    const two_level w(x, fit_nvfp4(x));
    CHECK(w.outcome.code == errc::not_finite);
    CHECK(w.outcome.at == 1);
    CHECK(w.scales[1] == 0x7f);
    CHECK(w.codes[8] == 0);
    const auto y = w.decode();
    CHECK(y[15] == doctest::Approx(1.0));
    CHECK(std::isnan(y[16]));
    CHECK(y[32] == doctest::Approx(1.0));
  }
  x[20] = 1.0f;
  const std::vector<float> extreme(16, largest);
  const two_level rounded_up(extreme, {largest / 6.0f / 1.07f});  // 1.07 would round to 1.125
  CHECK(rounded_up.outcome);
  CHECK(rounded_up.scales[0] == 0x38);
  CHECK(rounded_up.decode()[0] == doctest::Approx(largest / 1.07f));
  for (const float bad : {0.0f, -1.0f, a_nan, infinity, 1e-40f})
    CHECK(two_level(x, {bad}).outcome.code == errc::bad_value);
  std::vector<std::uint8_t> codes(24, 9), scales(3, 9);
  CHECK(encode_nvfp4(std::span(x).first(47), {}, codes, scales).code == errc::ragged);
  CHECK(encode_nvfp4(std::span(x).first(32), {}, codes, scales).code == errc::size_mismatch);
  CHECK(encode_nvfp4(x, {}, codes, std::span(scales).first(2)).code == errc::size_mismatch);
  CHECK(codes[0] == 9);
  CHECK(scales[0] == 9);
}

TEST_CASE("AutoRound's form: unsigned E5M3 scales of groups of 16 or 32, and no tensor scale") {
  std::vector<float> x(64);
  for (std::size_t i = 0; i < 64; ++i) x[i] = 0.37f * static_cast<float>(static_cast<int>(i * 37 % 64) - 31);
  x[40] = 3e5f;                                            // a sixth of it is a scale that E4M3 does not have
  for (std::size_t i = 48; i < 64; ++i) x[i] *= 0x1p-40f;  // no scale is so small: zeros, not 2^-6
  const auto check = [&]<std::size_t Group>() {
    std::vector<std::uint8_t> codes(32), scales(64 / Group);
    std::vector<float> y(64);
    REQUIRE(encode_nvfp4<float8_ue5m3, Group>(x, {}, codes, scales));
    REQUIRE(decode_nvfp4<float8_ue5m3, Group>(codes, scales, {}, y));
    for (std::size_t g = 0; g < scales.size(); ++g) {
      float amax = 0;
      for (std::size_t i = g * Group; i < (g + 1) * Group; ++i) amax = std::fmax(amax, std::fabs(x[i]));
      CHECK(scales[g] == float8_ue5m3::from_float(amax * (1.0f / 6.0f)).code);
      const float unit = float8_ue5m3{scales[g]}.to_float();
      for (std::size_t i = g * Group; i < (g + 1) * Group; ++i) {
        CHECK(std::fabs(y[i] - x[i]) <= std::fmax(1.0f * unit + amax / 16, 0x1p-18f));
        if (unit > 0) CHECK(y[i] == unit * float4_e2m1fn::from_float(x[i] / unit).to_float());
      }
    }
    x[5] = std::numeric_limits<float>::infinity();
    CHECK(encode_nvfp4<float8_ue5m3, Group>(x, {}, codes, scales).code == errc::not_finite);
    CHECK(scales[0] == 0xff);
    x[5] = 0.5f;
    CHECK(encode_nvfp4<float8_ue5m3, Group>(x, {}, codes, std::span(scales).first(1)).code == errc::size_mismatch);
  };
  check.operator()<16>();
  check.operator()<32>();
}

TEST_CASE("nvfp4 of GGUF saturates, flushes and never stops being finite") {
  std::vector<float> x(64, 0.0f), y(64);
  for (std::size_t i = 0; i < 16; ++i) x[i] = 1e6f, x[16 + i] = 1e-10f, x[32 + i] = -3.0f;
  x[50] = 2688.0f;
  std::vector<nvfp4> w(1);
  CHECK(quantize(x, w));
  REQUIRE(dequantize(w, y));
  CHECK(y[0] == 2688.0f);
  CHECK(y[16] == 0.0f);
  CHECK(y[32] == -3.0f);
  CHECK(y[50] == 2688.0f);
  for (const float v : y) CHECK(std::isfinite(v));

  x[0] = 1e30f;  // so far above the range that nothing of it is left
  CHECK(quantize(x, w).code == errc::scale_range);

  x[33] = a_nan;
  const status s = quantize(x, w);
  CHECK(s.code == errc::not_finite);
  REQUIRE(dequantize(w, y));
  CHECK(y[33] == 0.0f);
  CHECK(y[32] == -3.0f);
}

TEST_CASE("nvfp4 of GGUF: group scales round as the reference rounds them") {
  const auto scale = [](float x) { return detail::to_ue4m3(lane(x)).v; };
  CHECK(scale(0.0f) == 0);
  CHECK(scale(0x0.8p-9f) == 1);  // half of the smallest scale
  CHECK(scale(0x7.fp-9f) == 7);  // nearer to the first normal scale
  CHECK(scale(0x1p-6f) == 0x08);
  CHECK(scale(1.0625f) == 0x39);  // a tie goes up
  CHECK(scale(std::nextafter(1.0625f, 0.0f)) == 0x38);
  CHECK(scale(1.97f) == 0x40);  // and carries
  CHECK(scale(247.9f) == 0x77);
  CHECK(scale(248.0f) == 0x7e);  // 256 and more is 448
  CHECK(scale(infinity) == 0x7e);
}
