// Bit budgets: of several ways to store each matrix of a model, the choice that loses least and takes no more than so
// many bytes. Which errors are comparable between matrices, and how they are measured, is the caller's business; here
// they only add up. It is the multiple-choice knapsack problem, solved as by Lagrange: a price for a byte turns it into
// one small problem for each matrix, which its lower convex hull of (bytes, error) answers for all prices at once
// (Sinha and Zoltners 1979, "The multiple-choice knapsack problem"). What is left of the budget at that price goes to
// a search over the few choices that the gap between both bounds leaves open.
#ifndef BLOCQ_CALIB_BUDGET_HPP
#define BLOCQ_CALIB_BUDGET_HPP

#include <blocq/core/error.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

// One way to store a matrix.
struct budget_choice {
  std::uint64_t bytes = 0;
  double error = 0;  // in a unit that all matrices share, not negative
};

struct budget_plan {
  std::vector<std::size_t> choices;  // the number of each matrix's choice
  std::uint64_t bytes = 0;           // of all matrices
  double error = 0;
  double bound = 0;  // no plan of the budget has a smaller error than this
};

// The plan of the smallest error for matrices that may have so many bytes together. Of plans that are equally good it
// is always the same one. `states`: how many partial plans are remembered at once; a plan is the best there is unless
// there were more to remember, and then still no worse than walking the hulls by the gain of a byte.
//   errc::missing     a matrix without a choice
//   errc::not_finite  an error that is negative or no number
//   errc::too_large   even the smallest choices take more bytes, or so many that they cannot be counted
inline result<budget_plan> plan_budget(std::span<const std::vector<budget_choice>> matrices, std::uint64_t bytes,
                                       std::size_t states = 1024);

namespace detail {

// A number that is neither negative nor infinite, told by its bits: -ffast-math knows no NaN.
inline bool is_error(double x) noexcept {
  const auto bits = __builtin_bit_cast(std::uint64_t, x);
  return bits < 0x7ff0000000000000u || bits << 1 == 0;
}

// From one choice of a matrix to the next on its hull.
struct hull_step {
  std::size_t matrix, from, to;
  std::uint64_t bytes;  // more
  double gain;          // less error for each of them
};

// The numbers of the choices on the lower convex hull, by size, from the smallest choice to the one of least error.
inline std::vector<std::size_t> lower_hull(const std::vector<budget_choice>& choices) {
  std::vector<std::size_t> order(choices.size()), hull;
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return choices[a].bytes != choices[b].bytes ? choices[a].bytes < choices[b].bytes
                                                : choices[a].error < choices[b].error;
  });
  const auto gain = [&](std::size_t a, std::size_t b) {
    return (choices[a].error - choices[b].error) / static_cast<double>(choices[b].bytes - choices[a].bytes);
  };
  for (const std::size_t i : order) {
    if (!hull.empty() && choices[i].error >= choices[hull.back()].error) continue;
    while (hull.size() > 1 && gain(hull[hull.size() - 2], hull.back()) <= gain(hull.back(), i)) hull.pop_back();
    hull.push_back(i);
  }
  return hull;
}

// A plan for the matrices up to one of them.
struct budget_state {
  std::uint64_t bytes;
  double error;
  std::size_t parent, choice;  // the state that it continues, and with what
};

}  // namespace detail

inline result<budget_plan> plan_budget(std::span<const std::vector<budget_choice>> matrices, std::uint64_t bytes,
                                       std::size_t states) {
  budget_plan plan;
  std::vector<detail::hull_step> steps;
  for (std::size_t m = 0; m < matrices.size(); ++m) {
    const auto& choices = matrices[m];
    if (choices.empty()) return error(errc::missing) << "matrix " << m << " has no choice";
    for (std::size_t c = 0; c < choices.size(); ++c)
      if (!detail::is_error(choices[c].error))
        return error(errc::not_finite) << "choice " << c << " of matrix " << m << " has an error that is no number";
    const std::vector<std::size_t> hull = detail::lower_hull(choices);
    for (std::size_t i = 1; i < hull.size(); ++i) {
      const budget_choice &a = choices[hull[i - 1]], &b = choices[hull[i]];
      steps.push_back(
          {m, hull[i - 1], hull[i], b.bytes - a.bytes, (a.error - b.error) / static_cast<double>(b.bytes - a.bytes)});
    }
    const std::uint64_t least = choices[hull.front()].bytes;
    if (least > UINT64_MAX - plan.bytes)
      return error(errc::too_large) << "the smallest choices take more bytes than can be counted";
    plan.bytes += least;
    plan.choices.push_back(hull.front());
  }
  if (plan.bytes > bytes)
    return error(errc::too_large) << "the smallest choices take " << plan.bytes << " bytes, and the budget is "
                                  << bytes;

  // The steps of a matrix are in order, since its hull is convex. The first that is too large sets the price.
  std::stable_sort(steps.begin(), steps.end(), [](const auto& a, const auto& b) { return a.gain > b.gain; });
  double price = 0;
  for (const detail::hull_step& s : steps) {
    if (plan.choices[s.matrix] != s.from) continue;  // the step before it was too large
    if (s.bytes <= bytes - plan.bytes) {
      plan.choices[s.matrix] = s.to;
      plan.bytes += s.bytes;
    } else if (price == 0) {
      price = s.gain;
    }
  }
  const auto priced = [price](const budget_choice& c) { return c.error + price * static_cast<double>(c.bytes); };
  const auto cheapest = [&](const std::vector<budget_choice>& choices) {
    double least = priced(choices.front());
    for (const budget_choice& c : choices) least = (std::min)(least, priced(c));
    return least;
  };
  plan.bound = -price * static_cast<double>(bytes);
  for (std::size_t m = 0; m < matrices.size(); ++m) {
    plan.error += matrices[m][plan.choices[m]].error;
    plan.bound += cheapest(matrices[m]);
  }
  plan.bound = (std::min)((std::max)(plan.bound, 0.0), plan.error);
  if (price == 0) return plan;

  // Any better plan pays, above the cheapest choices at that price, less than the gap. Sums are rounded.
  const double gap = (plan.error - plan.bound) * (1 + 1e-9) + 1e-12 * plan.error;
  std::vector<std::uint64_t> rest(matrices.size() + 1);  // the smallest choices from a matrix on
  for (std::size_t m = matrices.size(); m-- > 0;) {
    std::uint64_t least = UINT64_MAX;
    for (const budget_choice& c : matrices[m]) least = (std::min)(least, c.bytes);
    rest[m] = rest[m + 1] + least;
  }
  std::vector<std::vector<detail::budget_state>> reached(1);
  reached.front().push_back({0, 0.0, 0, 0});
  double floor = 0;  // what the cheapest choices so far pay
  for (std::size_t m = 0; m < matrices.size(); ++m) {
    floor += cheapest(matrices[m]);
    const auto excess = [&](const detail::budget_state& s) {
      return s.error + price * static_cast<double>(s.bytes) - floor;
    };
    std::vector<detail::budget_state> next;
    for (std::size_t s = 0; s < reached[m].size(); ++s)
      for (std::size_t c = 0; c < matrices[m].size(); ++c) {
        const detail::budget_state& from = reached[m][s];
        const std::uint64_t room = bytes - rest[m + 1] - from.bytes;  // states that leave none were not kept
        if (matrices[m][c].bytes > room) continue;
        const detail::budget_state to{from.bytes + matrices[m][c].bytes, from.error + matrices[m][c].error, s, c};
        if (excess(to) <= gap) next.push_back(to);
      }
    std::stable_sort(next.begin(), next.end(), [](const auto& a, const auto& b) {
      return a.bytes != b.bytes ? a.bytes < b.bytes : a.error < b.error;
    });
    std::vector<detail::budget_state> kept;
    for (const auto& s : next)
      if (kept.empty() || s.error < kept.back().error) kept.push_back(s);
    if (kept.size() > states) {  // those nearest to the price
      std::stable_sort(kept.begin(), kept.end(), [&](const auto& a, const auto& b) { return excess(a) < excess(b); });
      kept.resize(states);
    }
    if (kept.empty()) return plan;  // nothing is better
    reached.push_back(std::move(kept));
  }
  const auto& ends = reached.back();
  const auto best =
      std::min_element(ends.begin(), ends.end(), [](const auto& a, const auto& b) { return a.error < b.error; });
  if (best->error >= plan.error) return plan;
  plan.error = best->error;
  plan.bytes = best->bytes;
  const detail::budget_state* s = &*best;
  for (std::size_t m = matrices.size(); m-- > 0; s = &reached[m][s->parent]) plan.choices[m] = s->choice;
  return plan;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
