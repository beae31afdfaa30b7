// The encoders of bitsandbytes' formats: golden bytes, thresholds, what is not finite, nested scales.
#include <doctest/doctest.h>
#include <blocq/blocq.hpp>
#include <golden.hpp>

#include <cmath>
#include <cstring>

using namespace blocq;

TEST_CASE_TEMPLATE("golden blocks of bitsandbytes", B, nf4, bnb_fp4) {
  const std::string file = std::is_same_v<B, nf4> ? "bnb_nf4" : "bnb_fp4";
  const auto x = golden::array<float>("bnb_in.f32");
  std::vector<B> expected(x.size() / 64), scalar(expected.size()), w(expected.size());
  REQUIRE(join_scales(golden::array<std::uint8_t>(file + ".codes"), golden::array<float>(file + ".absmax"), expected));
  CHECK(quantize(x, w));
  encode<lane>(x.data(), scalar.size(), {}, scalar.data());
  CHECK(std::memcmp(w.data(), expected.data(), sizeof(B) * w.size()) == 0);
  CHECK(std::memcmp(scalar.data(), expected.data(), sizeof(B) * w.size()) == 0);
}

TEST_CASE_TEMPLATE("each number of the table comes back", B, nf4, bnb_fp4) {
  std::vector<float> x(64, 0.0f), y(64);
  for (std::size_t i = 0; i < 64; ++i) x[i] = 8.0f * element_t<B>::values[i % 16];
  std::vector<B> w(1);
  CHECK(quantize(x, w));
  REQUIRE(dequantize(w, y));
  for (std::size_t i = 0; i < 64; ++i) CHECK(y[i] == x[i]);
}

TEST_CASE_TEMPLATE("zeros, the ends of the range, and what is not finite", B, nf4, bnb_fp4) {
  std::vector<float> x(192, 0.0f), y(192);
  std::vector<B> w(3);
  CHECK(quantize(x, w));
  REQUIRE(dequantize(w, y));
  for (const float v : y) CHECK(v == 0.0f);

  for (const float extreme : {3.4e38f, 1e-38f, 1e-45f}) {
    x[3] = extreme;
    x[4] = -extreme;
    CHECK(quantize(x, w));
    REQUIRE(dequantize(w, y));
    CHECK(y[3] == extreme);
    CHECK(y[4] == -extreme);
    for (std::size_t i = 5; i < y.size(); ++i) CHECK(y[i] == 0.0f);
    CHECK_FALSE(std::signbit(y[5]));
  }

  x[3] = x[4] = 0.5f;
  for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::quiet_NaN()}) {
    x[70] = bad;
    const status s = quantize(x, w);
    CHECK(s.code == errc::not_finite);
    CHECK(s.at == 1);
    CHECK_FALSE(is_valid(w[1]));
    REQUIRE(dequantize(w, y));
    CHECK(y[3] == 0.5f);
    for (std::size_t i = 64; i < 128; ++i) CHECK(std::isnan(y[i]));
    CHECK(y[128] == 0.0f);
  }
}

TEST_CASE("nested scales come back nearly, exactly where they are in the table") {
  std::vector<float> absmax(700);
  for (std::size_t i = 0; i < absmax.size(); ++i) absmax[i] = 0.05f + 0.001f * static_cast<float>(i * 37 % 101);
  std::vector<std::uint8_t> codes(700);
  std::vector<float> scales(3), back(700);
  float offset = 0;
  REQUIRE(encode_nested_scales(absmax, codes, scales, offset));
  CHECK(offset == doctest::Approx(0.1).epsilon(0.01));
  REQUIRE(decode_nested_scales(codes, scales, offset, back));
  for (std::size_t i = 0; i < 700; ++i) CHECK(std::fabs(back[i] - absmax[i]) <= 0.0075f * scales[i / 256]);

  // Symmetric about 0 with a largest magnitude of 1: nothing is left to round.
  std::vector<float> exact(256);
  for (std::size_t i = 0; i < 128; ++i) {
    exact[i] = i == 0 ? 1.0f : bnb_dynamic.values[127 + i];
    exact[255 - i] = -exact[i];
  }
  std::vector<std::uint8_t> exact_codes(256);
  REQUIRE(encode_nested_scales(exact, exact_codes, std::span(scales).first(1), offset));
  CHECK(offset == 0.0f);
  CHECK(scales[0] == 1.0f);
  CHECK(exact_codes[0] == 255);
  CHECK(exact_codes[255] == 0);
  for (std::size_t i = 1; i < 128; ++i) {
    CHECK(exact_codes[i] == 127 + i);
    CHECK(exact_codes[255 - i] == 127 - i);
  }

  const std::vector<float> equal(300, 0.25f);
  std::vector<std::uint8_t> equal_codes(300);
  REQUIRE(encode_nested_scales(equal, equal_codes, std::span(scales).first(2), offset));
  REQUIRE(decode_nested_scales(equal_codes, std::span(scales).first(2), offset, std::span(back).first(300)));
  CHECK(back[0] == 0.25f);
  CHECK(back[299] == 0.25f);
}

TEST_CASE("nested scales refuse what would poison all of them, and sizes that do not fit") {
  std::vector<float> absmax(256, 1.0f);
  std::vector<std::uint8_t> codes(256, 9);
  std::vector<float> scales(1, 9.0f);
  float offset = 9.0f;
  absmax[200] = std::numeric_limits<float>::infinity();
  const status s = encode_nested_scales(absmax, codes, scales, offset);
  CHECK(s.code == errc::not_finite);
  CHECK(s.at == 200);
  CHECK(encode_nested_scales(absmax, std::span(codes).first(255), scales, offset).code == errc::size_mismatch);
  CHECK(encode_nested_scales(absmax, codes, {}, offset).code == errc::size_mismatch);
  CHECK(offset == 9.0f);
  CHECK(codes[0] == 9);
  CHECK(scales[0] == 9.0f);
  CHECK(encode_nested_scales({}, {}, {}, offset));
  CHECK(offset == 0.0f);
}
