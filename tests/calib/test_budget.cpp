// Bit budgets, held against every plan that there is.
#include <doctest/doctest.h>
#include <blocq/calib/budget.hpp>
#include <synthetic.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace calib = blocq::calib;

namespace {

using problem = std::vector<std::vector<calib::budget_choice>>;

// Matrices of different sizes, each stored in so many ways, whose errors fall with the bytes as those of blocks do,
// about a factor of four for a bit, and not always on a convex curve.
problem random_problem(std::size_t matrices, std::size_t choices, std::uint64_t seed) {
  test::normal_numbers next{{seed}};
  problem p(matrices);
  for (auto& m : p) {
    const double weights = 1000 * std::exp(next.normal()), sensitivity = std::exp(2 * next.normal());
    for (std::size_t c = 0; c < choices; ++c) {
      const double bits = 2 + 1.3 * static_cast<double>(c) + 0.3 * next.normal();
      m.push_back({static_cast<std::uint64_t>(weights * bits),
                   weights * sensitivity * std::exp2(-2 * bits) * std::exp(0.3 * next.normal())});
    }
  }
  return p;
}

// The smallest error of all plans that fit; negative if none does.
double brute_force(const problem& p, std::uint64_t budget, std::size_t m = 0) {
  if (m == p.size()) return 0;
  double best = -1;
  for (const calib::budget_choice& c : p[m]) {
    if (c.bytes > budget) continue;
    const double rest = brute_force(p, budget - c.bytes, m + 1);
    if (rest >= 0 && (best < 0 || c.error + rest < best)) best = c.error + rest;
  }
  return best;
}

// All choices at their largest, and at their smallest.
std::pair<std::uint64_t, std::uint64_t> range_of(const problem& p) {
  std::pair<std::uint64_t, std::uint64_t> range{0, 0};
  for (const auto& m : p) {
    const auto [least, most] =
        std::minmax_element(m.begin(), m.end(), [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
    range.first += least->bytes;
    range.second += most->bytes;
  }
  return range;
}

void check_consistent(const problem& p, const calib::budget_plan& plan, std::uint64_t budget) {
  REQUIRE(plan.choices.size() == p.size());
  std::uint64_t bytes = 0;
  double error = 0;
  for (std::size_t m = 0; m < p.size(); ++m) {
    bytes += p[m].at(plan.choices[m]).bytes;
    error += p[m].at(plan.choices[m]).error;
  }
  CHECK(plan.bytes == bytes);
  CHECK(plan.bytes <= budget);
  CHECK(plan.error == doctest::Approx(error));
  CHECK(plan.bound <= plan.error);
}

}  // namespace

TEST_CASE("budget: five matrices of four types get the plan that brute force finds, for any budget") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const problem p = random_problem(5, 4, seed);
    const auto [least, most] = range_of(p);
    for (std::uint64_t i = 0; i <= 40; ++i) {
      const std::uint64_t budget = least + (most - least) * i / 40;
      const auto plan = calib::plan_budget(p, budget);
      REQUIRE(plan);
      check_consistent(p, *plan, budget);
      const double best = brute_force(p, budget);
      CHECK(plan->error == doctest::Approx(best).epsilon(1e-12));
      CHECK(plan->bound <= best * (1 + 1e-12));
    }
  }
}

TEST_CASE("budget: at the sizes of the walk along the hulls nothing is left for the search") {
  const problem p = random_problem(5, 4, 7);
  const auto [least, most] = range_of(p);
  std::size_t exact = 0;
  for (std::uint64_t budget = least; budget <= most; ++budget) {
    const auto plan = calib::plan_budget(p, budget);
    REQUIRE(plan);
    if (plan->bytes != budget || plan->bound < plan->error * (1 - 1e-12)) continue;
    ++exact;
    CHECK(calib::plan_budget(p, budget, 0)->choices == plan->choices);
  }
  CHECK(exact >= 5);
}

TEST_CASE("budget: a large model's plan is near its bound, also when the search is cut short") {
  const problem p = random_problem(300, 12, 3);
  const auto [least, most] = range_of(p);
  double previous = std::numeric_limits<double>::infinity();
  for (const std::uint64_t share : {1u, 3u, 6u, 9u}) {
    const std::uint64_t budget = least + (most - least) * share / 10;
    const auto plan = calib::plan_budget(p, budget), cut = calib::plan_budget(p, budget, 8);
    REQUIRE(plan);
    REQUIRE(cut);
    check_consistent(p, *plan, budget);
    check_consistent(p, *cut, budget);
    CHECK(plan->error <= plan->bound * 1.001);
    CHECK(cut->error <= plan->bound * 1.01);
    CHECK(plan->error <= cut->error);
    CHECK(plan->error < previous);
    CHECK(calib::plan_budget(p, budget)->choices == plan->choices);
    previous = plan->error;
  }
}

TEST_CASE("budget: equal choices, choices that others beat, room for everything, and nothing to choose") {
  const auto none = calib::plan_budget({}, 0);
  REQUIRE(none);
  CHECK(none->choices.empty());
  CHECK(none->error == 0.0);
  // Larger and worse is never taken; of equals, the first.
  const problem p{{{10, 1.0}, {10, 1.0}, {20, 2.0}}, {{8, 3.0}, {4, 5.0}, {8, 3.0}, {16, 0.5}}};
  const auto all = calib::plan_budget(p, 1000);
  REQUIRE(all);
  CHECK(all->choices == std::vector<std::size_t>{0, 3});
  CHECK(all->bytes == 26);
  CHECK(all->bound == all->error);
  CHECK(calib::plan_budget(p, 18)->choices == std::vector<std::size_t>{0, 0});
  CHECK(calib::plan_budget(p, 14)->choices == std::vector<std::size_t>{0, 1});
}

TEST_CASE("budget: what cannot be planned is refused") {
  const auto impossible = calib::plan_budget(problem{{{10, 1.0}}, {{6, 1.0}, {5, 2.0}}}, 14);
  REQUIRE(!impossible);
  CHECK(impossible.error().code == blocq::errc::too_large);
  CHECK(std::string(impossible.message()) == "the smallest choices take 15 bytes, and the budget is 14");
  const auto empty = calib::plan_budget(problem{{{10, 1.0}}, {}}, 100);
  REQUIRE(!empty);
  CHECK(empty.error().code == blocq::errc::missing);
  CHECK(std::string(empty.message()) == "matrix 1 has no choice");
  for (const double bad : {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const auto refused = calib::plan_budget(problem{{{10, 1.0}, {20, bad}}}, 100);
    REQUIRE(!refused);
    CHECK(refused.error().code == blocq::errc::not_finite);
  }
  const auto huge = calib::plan_budget(problem{{{UINT64_MAX - 1, 1.0}}, {{2, 1.0}}}, UINT64_MAX);
  REQUIRE(!huge);
  CHECK(huge.error().code == blocq::errc::too_large);
}
