// Three ranges: what they gain over one, and their sum as one table.
#include <doctest/doctest.h>
#include <blocq/calib/split_ranges.hpp>
#include <packed_values.hpp>

#include <algorithm>
#include <limits>

namespace calib = blocq::calib;

namespace {

// One range for all weights.
double plain_error(const test::matrix& w, int bits) {
  const auto [low, high] = std::minmax_element(w.values.begin(), w.values.end());
  const float step = (*high - *low) / static_cast<float>((1 << bits) - 1);
  test::matrix q = w;
  for (float& v : q.values) v = *low + step * std::nearbyint((v - *low) / step);
  return test::weight_error(w.view(), q.view());
}

}  // namespace

TEST_CASE("split: three ranges have a fraction of the error of one") {
  for (const auto& [bits, bound] : {std::pair{2, 0.4}, std::pair{4, 0.2}}) {
    std::vector<double> ratios;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      const test::layer l(seed, {.tokens = 1, .test_tokens = 1});
      const auto p = calib::split_ranges(l.w.view(), {.bits = bits});
      REQUIRE(p);
      CHECK(p->bits() == bits + 2);
      ratios.push_back(test::weight_error(l.w.view(), test::values_of(*p).view()) / plain_error(l.w, bits));
    }
    std::sort(ratios.begin(), ratios.end());
    MESSAGE(bits << " bits: " << ratios[2]);
    CHECK(ratios[2] <= bound);
  }
}

TEST_CASE("split: a part's range is its weights', without 0") {
  const test::matrix w{1, 8, {-8.0f, -7.0f, -1.0f, 0.5f, 1.0f, 6.0f, 6.5f, 9.0f}};
  const auto p = calib::split_ranges(w.view(), {.bits = 2});
  REQUIRE(p);
  const float expected[12] = {-8, -23 / 3.f, -22 / 3.f, -7, -1, -1 / 3.f, 1 / 3.f, 1, 6, 7, 8, 9};
  for (std::size_t c = 0; c < 12; ++c) CHECK(p->entry(0, c) == doctest::Approx(expected[c]).epsilon(1e-3));
}

TEST_CASE("split: constants, empty parts, and what is refused") {
  test::matrix w{2, 3, std::vector<float>(6, 0.5f)};
  CHECK(test::values_of(*calib::split_ranges(w.view())).values == w.values);
  w.values = {1, 2, 1, 2, 1, 2};
  CHECK(test::values_of(*calib::split_ranges(w.view(), {.bits = 2})).values == w.values);
  CHECK(calib::split_ranges(w.view(), {.bits = 7}).error().code == blocq::errc::bad_value);
  CHECK(calib::split_ranges({}).error().code == blocq::errc::size_mismatch);
  w.values[4] = std::numeric_limits<float>::quiet_NaN();
  CHECK(calib::split_ranges(w.view()).error().code == blocq::errc::not_finite);
}
