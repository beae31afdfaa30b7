// The point of a table that is nearest to a few weighted values, found as the reference encoders find it: first each
// value is rounded to its own level, and if those levels are not a point of the table, only the table's points in the
// first few shells around them compete.
//
// What competes depends on the levels alone, so the lists are made once per process and table, when an encoder first
// needs them (a few milliseconds, thread-safe). They live in static storage that only such a process touches: at most
// 0.75 MB for a table of iq1, 0.5 MB for one of iq2 and 0.15 MB for one of iq3. Nothing is allocated.
#ifndef BLOCQ_ENCODE_NEAREST_POINT_HPP
#define BLOCQ_ENCODE_NEAREST_POINT_HPP

#include <blocq/core/lane.hpp>
#include <blocq/format/tables/iq_grids.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace blocq::inline v0::impl {

// A table of points and the number of shells (sets of points at the same distance from the levels) that compete.
// `Capacity` is the length of its lists when each is filled up to a multiple of 16.
template <const auto& Table, int Dimensions, int Shells, std::size_t Capacity>
struct point_set {
  static constexpr const auto& table = Table;
  static constexpr int size = sizeof(Table) / sizeof(Table[0]);
  static constexpr int dimensions = Dimensions;
  static constexpr int width = Dimensions == 8 ? 2 : 3;   // bits per coordinate in the table
  static constexpr int levels = Dimensions == 8 ? 3 : 8;  // values of a coordinate
  static constexpr int codes = Dimensions == 8 ? 6561 : 4096;
  static constexpr int shells = Shells;
  static constexpr std::size_t capacity = Capacity;

  static BLOCQ_INLINE constexpr int coordinate(int packed, int i) noexcept {
    return (packed >> (width * i)) & ((1 << width) - 1);
  }
};
using iq1_points = point_set<iq1_grid, 8, 3, 362352>;
using iq2_xxs_points = point_set<iq2_xxs_grid, 8, 2, 161136>;
using iq2_xs_points = point_set<iq2_xs_grid, 8, 2, 230560>;
using iq2_s_points = point_set<iq2_s_grid, 8, 1, 100576>;
using iq3_xxs_points = point_set<iq3_xxs_grid, 4, 2, 62432>;
using iq3_s_points = point_set<iq3_s_grid, 4, 3, 59296>;

}  // namespace blocq::inline v0::impl

namespace blocq::inline v0::inline BLOCQ_ISA::detail {

// Levels as one number, their code: level i counts levels^i. The points that compete for a code are a list of packed
// points, nearest shell first and in the table's order within a shell, filled up to a multiple of Unit by repeating
// its last point.
template <class P, int Unit>
class neighbours {
 public:
  static constexpr std::size_t unit = Unit;

  // Where the list of a code begins and how many units it has; a code that is a point has none, and its index instead.
  struct cell {
    std::uint32_t units : 8;
    std::uint32_t where : 24;
  };

  neighbours() noexcept {
    std::uint8_t coordinate[P::dimensions][P::size];
    for (int i = 0; i < P::dimensions; ++i)
      for (int k = 0; k < P::size; ++k) coordinate[i][k] = static_cast<std::uint8_t>(P::coordinate(P::table[k], i));

    // partial[i]: squared distances of all points from the levels, in the coordinates from i on. Counting up the
    // codes changes few of the higher ones.
    std::uint8_t partial[P::dimensions + 1][P::size] = {};
    std::uint8_t level[P::dimensions] = {};
    int changed = P::dimensions - 1;
    for (int code = 0; code < P::codes; ++code) {
      for (auto i = static_cast<std::size_t>(changed) + 1; i-- > 0;)
        for (std::size_t k = 0; k < P::size; ++k) {
          const auto difference = static_cast<std::uint8_t>(coordinate[i][k] - level[i]);
          partial[i][k] = static_cast<std::uint8_t>(partial[i + 1][k] + difference * difference);
        }
      add_list(code, partial[0]);
      for (changed = 0; changed < P::dimensions && ++level[changed] == P::levels; ++changed) level[changed] = 0;
    }
  }

  const cell& operator[](std::uint32_t code) const noexcept { return cells_[code]; }
  std::size_t count(cell c) const noexcept { return c.units * static_cast<std::size_t>(Unit); }
  const std::uint16_t* list(cell c) const noexcept { return packed_ + c.where * static_cast<std::size_t>(Unit); }

  // The index of a point of the table.
  int index(int packed) const noexcept {
    int code = 0;
    for (int i = P::dimensions - 1; i >= 0; --i) code = code * P::levels + P::coordinate(packed, i);
    return static_cast<int>(cells_[code].where);
  }

 private:
  void add_list(int code, const std::uint8_t* distance) noexcept {
    std::uint8_t shell[P::shells], beyond = 0;
    for (std::uint8_t& d : shell) {
      std::uint8_t more = 255;
      for (int k = 0; k < P::size; ++k) {
        const auto excess = static_cast<std::uint8_t>(distance[k] - beyond);  // what is nearer wraps around
        more = excess < more ? excess : more;
      }
      d = static_cast<std::uint8_t>(beyond + more);
      beyond = static_cast<std::uint8_t>(d + 1);
    }
    if (shell[0] == 0) {
      int k = 0;
      while (distance[k] != 0) ++k;
      cells_[code] = {0, static_cast<std::uint32_t>(k) & 0xffffffu};
      return;
    }
    std::uint16_t candidate[P::size + 1];
    int count = 0;
    for (int k = 0; k < P::size; ++k) {
      candidate[count] = static_cast<std::uint16_t>(k);
      count += distance[k] <= shell[P::shells - 1];
    }
    const std::size_t first = filled_;
    for (const std::uint8_t d : shell)
      for (int n = 0; n < count; ++n) {
        packed_[filled_] = P::table[candidate[n]];
        filled_ += distance[candidate[n]] == d;
      }
    for (; filled_ % Unit != 0; ++filled_) packed_[filled_] = packed_[filled_ - 1];
    BLOCQ_ASSERT(filled_ <= P::capacity);
    cells_[code] = {static_cast<std::uint32_t>((filled_ - first) / Unit) & 0xffu,
                    static_cast<std::uint32_t>(first / Unit) & 0xffffffu};
  }

  std::size_t filled_ = 0;
  cell cells_[P::codes];
  alignas(64) std::uint16_t packed_[P::capacity + 1];
};

// The lists for lane type L.
template <class P, class L>
const auto& neighbours_for() noexcept {
  static const neighbours<P, lane_traits<L>::size <= 8 ? 8 : 16> lists;
  return lists;
}

// The sum over the coordinates of w * (value - x)^2 for as many points as L has lanes, where `values` has the value of
// each level. A coordinate's terms are a table.
template <class P, class L>
class weighted_distance {
 public:
  BLOCQ_INLINE weighted_distance(const lookup_table<L, P::width>& values, const float* x, const float* w) noexcept {
    for (int i = 0; i < P::dimensions; ++i)
      for (std::size_t part = 0; part < values.parts; ++part) {
        const L difference = values.part[part] - L(x[i]);
        term_[i].part[part] = L(w[i]) * difference * difference;
      }
  }

  BLOCQ_INLINE L operator()(const std::uint16_t* packed) const noexcept {
    packed_t<L> point;
    gather(point, packed);
    return sum(point, std::make_integer_sequence<int, P::dimensions - 1>{});
  }

 private:
  template <int... J>
  BLOCQ_INLINE L sum(packed_t<L> point, std::integer_sequence<int, J...>) const noexcept {
    L sum = lookup<0>(term_[0], point);
    ((sum += lookup<P::width*(J + 1)>(term_[J + 1], point)), ...);
    return sum;
  }

  lookup_table<L, P::width> term_[P::dimensions];
};

// The first of the list's points that has the smallest distance.
template <class P, class L>
BLOCQ_INLINE std::uint16_t nearest_point(const std::uint16_t* list, std::size_t count,
                                         const lookup_table<L, P::width>& values, const float* x,
                                         const float* w) noexcept {
  constexpr std::size_t lanes = lane_traits<L>::size;
  const weighted_distance<P, L> distance(values, x, w);
  const L infinite = 3.40282347e38f;
  L least = min_of(distance(list), infinite);
  if (count <= lanes) return list[first_minimum(least)];

  static constexpr float counting[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  L position;
  gather(position, counting, 1, lanes);
  L at = select(least < infinite, position, L(0.0f));
  for (std::size_t n = lanes; n < count; n += lanes) {
    position += L(static_cast<float>(lanes));
    const L sum = distance(list + n);
    at = select(sum < least, position, at);
    least = min_of(sum, least);
  }
  return list[position_of_minimum(least, at)];
}

// The values of the coordinates of packed points.
template <class P, class L>
BLOCQ_INLINE void unpack_points(packed_t<L> point, const lookup_table<L, P::width>& values, L* to) noexcept {
  [&]<int... J>(std::integer_sequence<int, J...>) { ((to[J] = lookup<P::width * J>(values, point)), ...); }
  (std::make_integer_sequence<int, P::dimensions>{});
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::detail

#endif
