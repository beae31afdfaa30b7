// Codes that choose a point of a table instead of standing for an integer of their own.
#ifndef BLOCQ_ELEM_GRID_HPP
#define BLOCQ_ELEM_GRID_HPP

#include <blocq/core/config.hpp>

namespace blocq::inline v0 {

// One code chooses `Dimensions` elements at once out of `Entries` points with integer coordinates. Lowest and Highest
// bound an element in units of its scale, signs and shifts included.
template <int Dimensions, int Entries, int Lowest, int Highest>
struct grid_point {
  static constexpr int dimensions = Dimensions;
  static constexpr int entries = Entries;
  static constexpr int lowest = Lowest;
  static constexpr int highest = Highest;
};

// A bit: 0 stands for -1, 1 for 1.
struct binary : grid_point<1, 2, -1, 1> {
  BLOCQ_INLINE static constexpr int value(int code) noexcept { return 2 * code - 1; }
};

// A base-3 digit: 0 stands for -1, 1 for 0, 2 for 1.
struct ternary : grid_point<1, 3, -1, 1> {
  BLOCQ_INLINE static constexpr int value(int code) noexcept { return code - 1; }
};

}  // namespace blocq::inline v0

#endif
