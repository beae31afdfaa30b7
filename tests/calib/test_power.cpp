// Powers: the exponent that is found, and what it buys.
#include <doctest/doctest.h>
#include <blocq/calib/power.hpp>
#include <packed_values.hpp>

#include <algorithm>
#include <limits>

namespace calib = blocq::calib;

namespace {

double error_of(const test::matrix& w, const calib::power_options& o) {
  const auto p = calib::make_power(w.view(), o);
  REQUIRE(p);
  return test::weight_error(w.view(), test::values_of(p->matrix).view());
}

}  // namespace

TEST_CASE("power: the exponent is that of the least error, and halves what linear steps have wrong") {
  std::vector<double> ratios;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const test::layer l(seed, {.tokens = 1, .test_tokens = 1});
    const auto found = calib::make_power(l.w.view());
    REQUIRE(found);
    double best = 1, least = 1;
    for (int i = 20; i <= 100; ++i)
      if (const double e = error_of(l.w, {.exponent = 0.01 * i}); e < least) least = e, best = 0.01 * i;
    const double error = test::weight_error(l.w.view(), test::values_of(found->matrix).view());
    CHECK(std::fabs(found->exponent - best) <= 0.02);
    CHECK(error <= 1.005 * least);
    ratios.push_back(error / error_of(l.w, {.exponent = 1.0}));
  }
  std::sort(ratios.begin(), ratios.end());
  MESSAGE("4 bits per row, powers / linear: " << ratios[2]);
  CHECK(ratios[2] <= 0.6);
}

TEST_CASE("power: levels of exponent 1 are even, every row has its own scale") {
  const test::matrix w{2, 15, [] {
                         std::vector<float> v;
                         for (int r = 0; r < 2; ++r)
                           for (int q = -7; q <= 7; ++q) v.push_back(static_cast<float>(q) * (r == 0 ? 0.125f : 64.0f));
                         return v;
                       }()};
  const auto p = calib::make_power(w.view(), {.exponent = 1.0});
  REQUIRE(p);
  const test::matrix values = test::values_of(p->matrix);
  for (std::size_t i = 0; i < w.values.size(); ++i)
    CHECK(values.values[i] == doctest::Approx(w.values[i]).epsilon(1e-3));
}

TEST_CASE("power: zeros, constants, and what is refused") {
  test::matrix w{2, 4};
  w.values = {0, 0, 0, 0, 3, 3, 3, 3};
  const auto p = calib::make_power(w.view());
  REQUIRE(p);
  CHECK(test::values_of(p->matrix).values == w.values);
  CHECK(calib::make_power(w.view(), {.bits = 1}).error().code == blocq::errc::bad_value);
  CHECK(calib::make_power(w.view(), {.exponent = 1.5}).error().code == blocq::errc::bad_value);
  CHECK(calib::make_power({}).error().code == blocq::errc::size_mismatch);
  w.values[5] = std::numeric_limits<float>::infinity();
  CHECK(calib::make_power(w.view()).error().code == blocq::errc::not_finite);
}
