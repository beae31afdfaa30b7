// Bit balance: what one level more gains, and products of any widths.
#include <doctest/doctest.h>
#include <blocq/calib/abq.hpp>
#include <packed_values.hpp>

#include "problem.hpp"

#include <limits>

namespace calib = blocq::calib;

namespace {

std::vector<float> product(const blocq::packed::plane_groups& m, const std::vector<float>& x) {
  std::vector<float> y(m.rows()), space(m.scratch());
  m.gemv(x, y, space);
  return y;
}

}  // namespace

TEST_CASE("abq: five levels have at most three quarters of the error of four") {
  for (const std::size_t group : {std::size_t{0}, std::size_t{128}}) {
    std::vector<double> ratios;
    for (const test::problem& p : test::problems()) {
      const auto five = calib::abq(p.layer.w.view(), {.bits = 2, .group = group}),
                 four = calib::abq(p.layer.w.view(), {.bits = 2, .balanced = false, .group = group});
      REQUIRE(five);
      REQUIRE(four);
      CHECK(five->bits() == 3);
      CHECK(four->bits() == 2);
      ratios.push_back(test::weight_error(p.layer.w.view(), test::values_of(*five).view()) /
                       test::weight_error(p.layer.w.view(), test::values_of(*four).view()));
    }
    MESSAGE("W2* / W2, groups of " << group << ": " << test::median(ratios));
    CHECK(test::median(ratios) <= 0.75);
  }
}

TEST_CASE("abq: importance lowers the error of the output") {
  std::vector<double> ratios;
  for (const test::problem& p : test::problems()) {
    const auto plain = calib::abq(p.layer.w.view()),
               weighted = calib::abq(p.layer.w.view(), {}, p.moments.mean_squares());
    REQUIRE(weighted);
    ratios.push_back(p.error(test::values_of(*weighted).values) / p.error(test::values_of(*plain).values));
  }
  CHECK(test::median(ratios) < 0.95);
}

TEST_CASE("abq: products of every pair of widths are those of the integers") {
  test::normal_numbers next{{21}};
  for (const std::size_t cols : {45u, 512u, 700u})
    for (int bits = 1; bits <= 8; ++bits)
      for (int input_bits = 2; input_bits <= 8; ++input_bits) {
        test::matrix w{2, cols};
        for (float& v : w.values) v = static_cast<float>(next.normal());
        const auto m = calib::abq(w.view(), {.bits = bits, .balanced = false, .group = 128, .input_bits = input_bits});
        REQUIRE(m);
        // Inputs that are whole numbers of the widest range come through as they are.
        const int top = (1 << (input_bits - 1)) - 1;
        std::vector<float> x(cols);
        for (float& v : x)
          v = static_cast<float>(static_cast<int>(next.next() % static_cast<unsigned>(2 * top + 1)) - top);
        x[cols - 1] = static_cast<float>(-top);
        const std::vector<float> y = product(*m, x);
        const test::matrix q = test::values_of(*m);
        for (std::size_t r = 0; r < 2; ++r) {
          double sum = 0, size = 0;
          for (std::size_t k = 0; k < cols; ++k) {
            sum += static_cast<double>(q(r, k)) * static_cast<double>(x[k]);
            size += (std::fabs(static_cast<double>(q(r, k))) + 1) * std::fabs(static_cast<double>(x[k]));
          }
          CHECK(std::fabs(static_cast<double>(y[r]) - sum) <= 1e-5 * size);
        }
      }
}

TEST_CASE("abq: fewer bits of inputs have larger errors") {
  const test::problem& p = test::problems().front();
  std::vector<float> x(p.layer.held_out.values.begin(), p.layer.held_out.values.begin() + 256);
  double last = 0;
  for (int bits = 8; bits >= 2; bits -= 2) {
    const auto m = calib::abq(p.layer.w.view(), {.bits = 4, .input_bits = bits});
    REQUIRE(m);
    const std::vector<float> y = product(*m, x);
    const test::matrix q = test::values_of(*m);
    double error = 0;
    for (std::size_t r = 0; r < m->rows(); ++r) {
      double sum = 0;
      for (std::size_t k = 0; k < x.size(); ++k) sum += static_cast<double>(q(r, k)) * static_cast<double>(x[k]);
      error += (static_cast<double>(y[r]) - sum) * (static_cast<double>(y[r]) - sum);
    }
    CHECK(error > 2 * last);
    last = error;
  }
}

TEST_CASE("abq: constants, zeros, and what is refused") {
  test::matrix w{3, 200};
  for (std::size_t k = 0; k < 200; ++k) w(0, k) = 0.5f, w(1, k) = k % 2 == 0 ? 1.0f : -1.0f;
  const auto m = calib::abq(w.view());
  REQUIRE(m);
  CHECK(test::values_of(*m).values == w.values);
  CHECK(product(*m, std::vector<float>(200)) == std::vector<float>(3));
  for (const int bits : {0, 8}) CHECK(calib::abq(w.view(), {.bits = bits}).error().code == blocq::errc::bad_value);
  CHECK(calib::abq(w.view(), {.bits = 9, .balanced = false}).error().code == blocq::errc::bad_value);
  for (const int bits : {1, 9})
    CHECK(calib::abq(w.view(), {.input_bits = bits}).error().code == blocq::errc::bad_value);
  CHECK(calib::abq(w.view(), {.group = 64}).error().code == blocq::errc::bad_value);
  CHECK(calib::abq({}).error().code == blocq::errc::size_mismatch);
  const float wrong[] = {1, 2};
  CHECK(calib::abq(w.view(), {}, wrong).error().code == blocq::errc::size_mismatch);
  w(2, 5) = std::numeric_limits<float>::quiet_NaN();
  CHECK(calib::abq(w.view()).error().code == blocq::errc::not_finite);
  w(2, 5) = 60000.0f, w(2, 6) = -60000.0f;
  CHECK(calib::abq(w.view(), {.bits = 1, .balanced = false}).error().code == blocq::errc::scale_range);
}
