// LLM.int8: what the decomposition computes, and what it gains where a few columns are extreme.
#include <doctest/doctest.h>
#include <blocq/calib/gram.hpp>
#include <blocq/calib/llm_int8.hpp>
#include <synthetic.hpp>

#include <cmath>
#include <vector>

namespace calib = blocq::calib;
namespace packed = blocq::packed;

namespace {

double error_of(const packed::int8_matrix& w, const test::layer& l) {
  double error = 0, energy = 0;
  std::vector<float> y(l.w.rows), space(w.scratch());
  for (std::size_t t = 0; t < l.held_out.rows; ++t) {
    w.gemv(l.held_out.view().row(t), y, space);
    for (std::size_t n = 0; n < l.w.rows; ++n) {
      double exact = 0;
      for (std::size_t k = 0; k < l.w.cols; ++k)
        exact += static_cast<double>(l.w(n, k)) * static_cast<double>(l.held_out(t, k));
      error += (exact - static_cast<double>(y[n])) * (exact - static_cast<double>(y[n]));
      energy += exact * exact;
    }
  }
  return error / energy;
}

}  // namespace

TEST_CASE("llm.int8: whole numbers up to 127 and outliers in half precision are exact") {
  test::matrix w{3, 8};
  for (std::size_t i = 0; i < w.values.size(); ++i)
    w.values[i] = static_cast<float>(static_cast<int>(i * 37 % 255) - 127);
  for (std::size_t n = 0; n < 3; ++n) w(n, 0) = 127.0f, w(n, 5) = 0.25f;
  const std::uint32_t outliers[] = {5, 7};
  const auto q = packed::int8_matrix::quantize(w.view(), outliers);
  REQUIRE(q);
  const std::vector<float> x = {127, -3, 0, 5, 1, 1000.5f, -127, 2000};
  std::vector<float> y(3), space(q->scratch());
  q->gemv(x, y, space);
  for (std::size_t n = 0; n < 3; ++n) {
    float sum = 0;
    for (std::size_t k = 0; k < 8; ++k) sum += w(n, k) * x[k];
    CHECK(y[n] == doctest::Approx(sum).epsilon(1e-6));
    CHECK(q->codes[n * 8 + 5] == 0);
    CHECK(q->codes[n * 8] == 127);
  }
  // A token of zeros, and one with nothing outside the outliers.
  q->gemv(std::vector<float>(8), y, space);
  CHECK(y == std::vector<float>(3));
  q->gemv(std::vector<float>{0, 0, 0, 0, 0, 4, 0, 0}, y, space);
  CHECK(y == std::vector<float>(3, 1.0f));
}

TEST_CASE("llm.int8: where a scale has hardly any bits codes stay within theirs") {
  // 190 / 127 of the smallest float is one of it.
  const float w[] = {blocq::from_bits(190), -blocq::from_bits(190), blocq::from_bits(5), 0};
  const auto q = packed::int8_matrix::quantize({w, 1, 4, 4}, {});
  REQUIRE(q);
  CHECK(q->scales[0] == blocq::from_bits(1));
  CHECK(q->codes == std::vector<std::int8_t>{127, -127, 5, 0});
}

TEST_CASE("llm.int8: a few columns in half precision take the error down by a factor") {
  const test::layer l(2, {.rows = 32, .cols = 256, .tokens = 256, .test_tokens = 128});
  calib::gram moments(256);
  REQUIRE(moments.add(l.x.view()));
  // The threshold in the units of these inputs: six times their typical size lies far below the extreme columns.
  const std::vector<std::uint32_t> outliers = calib::outlier_columns(moments.peaks(), 20.0f);
  CHECK(outliers.size() >= 3);
  CHECK(outliers.size() < 13);
  const auto plain = packed::int8_matrix::quantize(l.w.view(), {}),
             split = packed::int8_matrix::quantize(l.w.view(), outliers);
  REQUIRE(plain);
  REQUIRE(split);
  CHECK(error_of(*split, l) < 0.2 * error_of(*plain, l));
}

TEST_CASE("llm.int8 refuses outliers that are none, and numbers that are none") {
  test::matrix w{2, 4};
  const std::uint32_t beyond[] = {1, 4}, descending[] = {2, 1};
  CHECK(packed::int8_matrix::quantize(w.view(), beyond).error().code == blocq::errc::bad_value);
  CHECK(packed::int8_matrix::quantize(w.view(), descending).error().code == blocq::errc::bad_value);
  w(1, 2) = blocq::from_bits(0x7fc00000u);
  CHECK(packed::int8_matrix::quantize(w.view(), {}).error().code == blocq::errc::not_finite);
}
