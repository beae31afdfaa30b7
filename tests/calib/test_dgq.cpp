// Two grains: bytes that stay bytes, and what the searches gain.
#include <doctest/doctest.h>
#include <blocq/calib/dgq.hpp>
#include <packed_values.hpp>

#include "problem.hpp"

#include <limits>

namespace calib = blocq::calib;
using blocq::packed::dual_groups;

namespace {

// Integer groups with a zero point, from the range of each group.
test::matrix nearest_in_groups(const test::matrix& w, std::size_t group) {
  test::matrix q = w;
  for (std::size_t first = 0; first < w.values.size(); first += group) {
    float low = 0, high = 0;
    for (std::size_t i = first; i < first + group; ++i)
      low = std::min(low, w.values[i]), high = std::max(high, w.values[i]);
    const float scale = (high - low) / 15, zero = std::nearbyint(-low / scale);
    for (std::size_t i = first; i < first + group; ++i)
      q.values[i] = scale * (std::clamp(std::nearbyint(w.values[i] / scale) + zero, 0.0f, 15.0f) - zero);
  }
  return q;
}

}  // namespace

TEST_CASE("dgq: within their range codes become bytes, for every step and zero") {
  for (int step = 1; step <= 127; ++step)
    for (int zero = 0; zero <= 15; ++zero) {
      const int lowest = dual_groups::lowest_code(step, zero), highest = dual_groups::highest_code(step, zero);
      CHECK((0 <= lowest && lowest <= zero && zero <= highest && highest <= 15));
      for (int q = lowest; q <= highest; ++q) CHECK(std::abs(step * (q - zero)) <= 127);
      if (lowest > 0) CHECK(step * (zero - lowest + 1) > 127);
      if (highest < 15) CHECK(step * (highest + 1 - zero) > 127);
    }
}

TEST_CASE("dgq: a smaller error than groups with scales in floats") {
  std::vector<double> ratios;
  for (const test::problem& p : test::problems()) {
    const auto m = calib::dgq(p.layer.w.view(), p.moments, {.group = 128});
    REQUIRE(m);
    ratios.push_back(p.error(test::values_of(*m).values) / p.error(nearest_in_groups(p.layer.w, 128).values));
    int most = 0;
    for (std::size_t r = 0; r < m->rows(); ++r)
      for (std::size_t k = 0; k < m->cols(); ++k) most = std::max(most, std::abs(m->byte(r, k)));
    CHECK(most <= 127);
    CHECK(most >= 100);  // the grid is used
  }
  MESSAGE("dgq / groups of 128 with a zero: " << test::median(ratios));
  CHECK(test::median(ratios) <= 0.65);
}

TEST_CASE("dgq: constants, zeros, groups that end early, and what is refused") {
  test::matrix w{3, 96};
  for (std::size_t k = 0; k < 96; ++k) w(0, k) = 0.5f, w(1, k) = k % 2 == 0 ? 1.0f : -1.0f;
  const calib::gram inputs = calib::gram::of_units(96);
  const auto m = calib::dgq(w.view(), inputs, {.group = 64});
  REQUIRE(m);
  const test::matrix q = test::values_of(*m);
  for (std::size_t k = 0; k < 96; ++k) {
    CHECK(q(0, k) == doctest::Approx(0.5).epsilon(0.01));
    CHECK(q(1, k) == doctest::Approx(w(1, k)).epsilon(0.1));
    CHECK(q(2, k) == 0.0f);
  }
  std::vector<std::int8_t> bytes(96);
  m->expand_row(0, bytes);
  for (std::size_t k = 0; k < 96; ++k) CHECK(static_cast<float>(bytes[k]) * m->scale(0) == q(0, k));
  CHECK(calib::dgq(w.view(), inputs, {.group = 48}).error().code == blocq::errc::bad_value);
  CHECK(calib::dgq(w.view(), inputs, {.smoothed = 1}).error().code == blocq::errc::bad_value);
  CHECK(calib::dgq(w.view(), calib::gram(32)).error().code == blocq::errc::size_mismatch);
  CHECK(calib::dgq({w.values.data(), 4, 70}, calib::gram(70)).error().code == blocq::errc::ragged);
  w(2, 5) = std::numeric_limits<float>::infinity();
  CHECK(calib::dgq(w.view(), inputs).error().code == blocq::errc::not_finite);
}
