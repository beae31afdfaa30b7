// SmoothQuant: the formula, and that nothing but the scales of both sides changes.
#include <doctest/doctest.h>
#include <blocq/calib/gram.hpp>
#include <blocq/calib/smooth.hpp>
#include <synthetic.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace calib = blocq::calib;

TEST_CASE("smooth: the scales, for one matrix and for several that share their input") {
  const float w[] = {1.0f, -4.0f, 0.0f, 2.0f, 0.5f, 1.0f, 0.0f, -8.0f};
  const blocq::matrix_view<const float> view{w, 2, 4, 4};
  const std::vector<float> peaks = {4.0f, 4.0f, 4.0f, 0.0f};
  const auto s = calib::smooth_scale(peaks, view);
  REQUIRE(s);
  CHECK(*s == std::vector<float>{2.0f, 1.0f, 1.0f, 1.0f});  // the last two have nothing to share
  CHECK(calib::smooth_scale(peaks, view, 1.0).value()[1] == 4.0f);
  CHECK(calib::smooth_scale(peaks, view, 0.0).value()[1] == 0.25f);
  const float more[] = {16.0f, 0.0f, 0.0f, 0.0f};
  const blocq::matrix_view<const float> both[] = {view, {more, 1, 4, 4}};
  CHECK(calib::smooth_scale(peaks, both).value()[0] == 0.5f);
  CHECK(calib::smooth_scale(std::span(peaks).first(3), view).error().code == blocq::errc::size_mismatch);
  const std::vector<float> tiny(4, 1e-30f);
  CHECK(calib::smooth_scale(tiny, view).value()[0] == 1e-5f);
}

TEST_CASE("smooth: the product stays the same, the range of the inputs shrinks") {
  test::layer l(1, {.rows = 16, .cols = 256, .tokens = 64, .test_tokens = 1});
  calib::gram moments(256);
  REQUIRE(moments.add(l.x.view()));
  const auto s = calib::smooth_scale(moments.peaks(), l.w.view());
  REQUIRE(s);
  test::matrix w = l.w, x = l.x;
  calib::multiply_columns({w.values.data(), 16, 256, 256}, *s);
  for (std::size_t i = 0; i < x.values.size(); ++i) x.values[i] /= (*s)[i % 256];
  float before = 0, after = 0, smallest_before = 1e30f, smallest_after = 1e30f;
  moments.divide_columns(*s);
  calib::gram scaled(256);
  REQUIRE(scaled.add(x.view()));
  for (std::size_t k = 0; k < 256; ++k) {
    CHECK(scaled.peaks()[k] == doctest::Approx(moments.peaks()[k]));
    after = std::max(after, scaled.peaks()[k]);
    smallest_after = std::min(smallest_after, scaled.peaks()[k]);
    before = std::max(before, scaled.peaks()[k] * (*s)[k]);
    smallest_before = std::min(smallest_before, scaled.peaks()[k] * (*s)[k]);
  }
  CHECK(after / smallest_after < 0.5f * before / smallest_before);
  for (std::size_t n = 0; n < 16; ++n)
    for (std::size_t t = 0; t < 64; ++t) {
      double a = 0, b = 0, size = 0;
      for (std::size_t k = 0; k < 256; ++k) {
        a += static_cast<double>(l.x(t, k)) * static_cast<double>(l.w(n, k));
        b += static_cast<double>(x(t, k)) * static_cast<double>(w(n, k));
        size += std::fabs(static_cast<double>(l.x(t, k)) * static_cast<double>(l.w(n, k)));
      }
      CHECK(std::fabs(a - b) <= 1e-6 * size);
    }
}
