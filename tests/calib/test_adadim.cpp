// Groups along inputs or outputs: where each is better, and that the choice is right.
#include <doctest/doctest.h>
#include <blocq/calib/adadim.hpp>
#include <packed_values.hpp>

#include "problem.hpp"

#include <limits>

namespace calib = blocq::calib;

namespace {

test::matrix values_of(const calib::adadim_result& a) {
  return std::visit([](const auto& m) { return test::values_of(m); }, a.matrix);
}

// The columns of extreme inputs have small weights, as training leaves them: by gain^-0.5.
test::layer compensated(std::uint64_t seed) {
  test::layer l(seed, {.tokens = 1024, .test_tokens = 256});
  for (std::size_t k = 0; k < l.w.cols; ++k) {
    double square = 0;
    for (std::size_t t = 0; t < l.x.rows; ++t)
      square += static_cast<double>(l.x(t, k)) * static_cast<double>(l.x(t, k));
    const double gain = std::sqrt(square / static_cast<double>(l.x.rows));
    if (gain < 7) continue;
    for (std::size_t n = 0; n < l.w.rows; ++n)
      l.w(n, k) = static_cast<float>(static_cast<double>(l.w(n, k)) / std::sqrt(gain));
  }
  return l;
}

}  // namespace

TEST_CASE(
    "adadim: the choice is the better one of both, in twenty layers; groups in columns gain where columns are scaled") {
  std::vector<double> ratios;
  std::size_t right = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const test::layer l =
        seed % 4 == 0 ? test::layer(seed, {.tokens = 1024, .test_tokens = 256, .outliers = 0}) : compensated(seed);
    calib::gram inputs(l.w.cols);
    REQUIRE(inputs.add(l.x.view()));
    const auto a = calib::adadim(l.w.view(), inputs, {.group = 64});
    REQUIRE(a);
    // Both, made here: groups of rows from rtn, of columns from rtn of the transposed matrix.
    const auto rows = calib::rtn(l.w.view(), calib::integers{.bits = 4, .group = 64});
    test::matrix transposed{l.w.cols, l.w.rows};
    for (std::size_t r = 0; r < l.w.rows; ++r)
      for (std::size_t k = 0; k < l.w.cols; ++k) transposed(k, r) = l.w(r, k);
    const auto columns = calib::rtn(transposed.view(), calib::integers{.bits = 4, .group = 64});
    test::matrix back{l.w.rows, l.w.cols};
    for (std::size_t r = 0; r < l.w.rows; ++r)
      for (std::size_t k = 0; k < l.w.cols; ++k) back(r, k) = columns->values[k * l.w.rows + r];
    const test::matrix in_rows{l.w.rows, l.w.cols, rows->values};
    const double of_rows = test::output_error(l.held_out, l.w.view(), in_rows.view()),
                 of_columns = test::output_error(l.held_out, l.w.view(), back.view());
    right += a->in_columns() == (of_columns < of_rows);
    const double own = test::output_error(l.held_out, l.w.view(), values_of(*a).view());
    CHECK(own == doctest::Approx(std::min(of_rows, of_columns)).epsilon(0.02));
    if (seed % 4 != 0) ratios.push_back(of_columns / of_rows);
  }
  CHECK(right == 20);
  MESSAGE("in columns / in rows, 4 bits: " << test::median(ratios));
  CHECK(test::median(ratios) <= 0.5);
}

TEST_CASE("adadim: gptq lowers the error of either") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const test::layer l = seed % 2 == 0 ? test::layer(seed, {.outliers = 0}) : compensated(seed);
    calib::gram inputs(l.w.cols);
    REQUIRE(inputs.add(l.x.view()));
    const auto plain = calib::adadim(l.w.view(), inputs, {.bits = 3, .group = 64}),
               fitted = calib::adadim(l.w.view(), inputs, {.bits = 3, .group = 64, .gptq = true});
    REQUIRE(fitted);
    CHECK(fitted->in_columns() == plain->in_columns());
    CHECK(test::output_error(l.held_out, l.w.view(), values_of(*fitted).view()) <
          0.7 * test::output_error(l.held_out, l.w.view(), values_of(*plain).view()));
  }
}

TEST_CASE("adadim: constants, and what is refused") {
  test::matrix w{40, 64, std::vector<float>(40 * 64, 0.5f)};
  calib::gram inputs = calib::gram::of_units(64);
  const auto a = calib::adadim(w.view(), inputs, {.group = 32});
  REQUIRE(a);
  for (const float v : values_of(*a).values) CHECK(v == doctest::Approx(0.5).epsilon(1e-3));
  CHECK(calib::adadim(w.view(), inputs, {.bits = 5, .group = 32}).error().code == blocq::errc::bad_value);
  CHECK(calib::adadim(w.view(), inputs, {.group = 20}).error().code == blocq::errc::bad_value);
  CHECK(calib::adadim(w.view(), inputs, {.group = 128}).error().code == blocq::errc::ragged);
  CHECK(calib::adadim(w.view(), calib::gram(32), {.group = 32}).error().code == blocq::errc::size_mismatch);
  CHECK(calib::adadim(w.view(), calib::gram(64), {.group = 32, .gptq = true}).error().code == blocq::errc::missing);
  w.values[100] = std::numeric_limits<float>::quiet_NaN();
  CHECK(calib::adadim(w.view(), inputs, {.group = 32}).error().code == blocq::errc::not_finite);
}
