// What GGUF's nvfp4 makes of every group scale, and the two-level form against golden rows.
#include <doctest/doctest.h>
#include <blocq/format/nvfp4.hpp>
#include <golden.hpp>

#include <cmath>

using namespace blocq;
using convention = nvfp4_tensor_scale::convention;

TEST_CASE("every group scale of nvfp4") {
  for (unsigned code = 0; code < 256; ++code) {
    nvfp4 b{};
    b.d[2] = static_cast<std::uint8_t>(code);
    b.qs[16 + 3] = 0xf2;  // elements 35 and 43
    float y[64];
    decode(b, y);
    float scale = float8_e4m3fn{static_cast<std::uint8_t>(code & 0x7f)}.to_float();
    if (code == 0x7f) scale = 0.0f;
    if (code == 0xff) scale = 480.0f;
    for (int i = 0; i < 64; ++i) CHECK(y[i] == (i == 35 ? scale : i == 43 ? -6.0f * scale : 0.0f));
    CHECK(is_valid(b));
  }
}

TEST_CASE("golden rows of the two-level form decode bit for bit") {
  const auto codes = golden::array<std::uint8_t>("nvfp4_rows.codes");
  const auto scales = golden::array<std::uint8_t>("nvfp4_rows.scales");
  const float tensor = golden::array<float>("nvfp4_rows.global")[0];
  const auto expected = golden::array<float>("nvfp4_rows.dq");
  std::vector<float> y(expected.size());
  REQUIRE(decode_nvfp4(codes, scales, {tensor, convention::multiplier}, y));
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(to_bits(y[i]) == to_bits(expected[i]));
  REQUIRE(decode_nvfp4(codes, scales, {1.0f / tensor, convention::divisor}, y));
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == doctest::Approx(expected[i]).epsilon(1e-6));
}

TEST_CASE("a group scale that is NaN concerns its group alone") {
  const std::vector<std::uint8_t> codes(16, 0x22), scales{0x7f, 0x38};
  std::vector<float> y(32);
  REQUIRE(decode_nvfp4(codes, scales, {}, y));
  CHECK(std::isnan(y[15]));
  CHECK(y[16] == 1.0f);
}

TEST_CASE("sizes that do not fit are refused and nothing is written") {
  const std::vector<std::uint8_t> codes(16, 0x22), scales(2, 0x38);
  std::vector<float> y(32, 7.0f);
  CHECK(decode_nvfp4(codes, scales, {}, std::span(y).first(31)).code == errc::ragged);
  CHECK(decode_nvfp4(codes, scales, {}, std::span(y).first(16)).code == errc::size_mismatch);
  CHECK(decode_nvfp4(codes, std::span(scales).first(1), {}, y).code == errc::size_mismatch);
  CHECK(decode_nvfp4(std::span(codes).first(15), scales, {}, y).code == errc::size_mismatch);
  CHECK(y[0] == 7.0f);
  CHECK(decode_nvfp4({}, {}, {}, {}));
}
