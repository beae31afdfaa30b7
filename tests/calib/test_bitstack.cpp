// Stacks of signs: each level gains, and any number of them is a matrix.
#include <doctest/doctest.h>
#include <blocq/calib/bitstack.hpp>
#include <blocq/calib/low_rank.hpp>
#include <packed_values.hpp>

#include "problem.hpp"

#include <limits>

namespace calib = blocq::calib;
using blocq::packed::bit_stack;

TEST_CASE("bitstack: errors fall with each level; one is better than as many bytes of singular vectors") {
  std::vector<double> ratios;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const test::layer l(seed, {.rows = 128, .cols = 512, .tokens = 1, .test_tokens = 1});
    const auto all = calib::make_bit_stack(l.w.view(), {.levels = seed == 1 ? std::size_t{8} : std::size_t{1}});
    REQUIRE(all);
    double last = 1;
    for (std::size_t n = 1; n <= all->levels(); ++n) {
      const auto some = bit_stack::from_parts(all->first_levels(n));
      REQUIRE(some);
      const double error = test::weight_error(l.w.view(), test::values_of(*some).view());
      CHECK(error < 0.85 * last);
      CHECK(all->gains()[n - 1] == doctest::Approx(last - error).epsilon(1e-3));
      CHECK(some->gains().size() == n);
      last = error;
      if (n != 1) continue;
      const std::size_t rank = all->level_bytes() / (2 * (128 + 512));
      const test::matrix nothing{128, 512};
      const auto plain = calib::low_rank_error(l.w.view(), nothing.view(), rank);
      REQUIRE(plain);
      ratios.push_back(error / test::weight_error(l.w.view(), test::values_of(*plain).view()));
    }
  }
  MESSAGE("signs and rank 4 / singular vectors of as many bytes: " << test::median(ratios));
  CHECK(test::median(ratios) <= 0.6);
}

TEST_CASE("bitstack: columns of large inputs come first") {
  std::vector<double> ratios;
  for (const test::problem& p : test::problems()) {
    const auto plain = calib::make_bit_stack(p.layer.w.view(), {.levels = 4}),
               scaled = calib::make_bit_stack(p.layer.w.view(), {.levels = 4}, p.moments.mean_squares());
    REQUIRE(scaled);
    ratios.push_back(p.error(test::values_of(*scaled).values) / p.error(test::values_of(*plain).values));
  }
  MESSAGE("4 levels, scaled / plain: " << test::median(ratios));
  CHECK(test::median(ratios) <= 0.6);
}

TEST_CASE("bitstack: constants, zeros, and what is refused") {
  test::matrix w{6, 40, std::vector<float>(240, -0.5f)};
  const auto m = calib::make_bit_stack(w.view(), {.levels = 2, .rank = 1});
  REQUIRE(m);
  for (const float v : test::values_of(*m).values) CHECK(v == doctest::Approx(-0.5).epsilon(1e-3));
  const test::matrix zero{6, 40};
  CHECK(test::values_of(*calib::make_bit_stack(zero.view())).values == zero.values);
  CHECK(calib::make_bit_stack(w.view(), {.levels = 65}).error().code == blocq::errc::bad_value);
  CHECK(calib::make_bit_stack(w.view(), {.rank = 7}).error().code == blocq::errc::bad_value);
  CHECK(calib::make_bit_stack({}).error().code == blocq::errc::size_mismatch);
  w.values[5] = std::numeric_limits<float>::infinity();
  CHECK(calib::make_bit_stack(w.view()).error().code == blocq::errc::not_finite);
}
