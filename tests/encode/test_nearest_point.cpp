// The lists of competing points, and the search in them, against plain loops over the whole table.
#include <doctest/doctest.h>
#include <blocq/encode/nearest_point.hpp>
#include <blocq/simd/lane.hpp>

#include <random.hpp>

#include <algorithm>
#include <map>
#include <vector>

namespace {

using blocq::lane;
using blocq::native_lane;

template <class P>
int squared_distance(int a, int b) {
  int sum = 0;
  for (int i = 0; i < P::dimensions; ++i) {
    const int difference = P::coordinate(a, i) - P::coordinate(b, i);
    sum += difference * difference;
  }
  return sum;
}

template <class P>
int packed_levels(int code) {
  int packed = 0;
  for (int i = 0; i < P::dimensions; ++i, code /= P::levels) packed |= code % P::levels << (P::width * i);
  return packed;
}

template <class P>
void check_lists() {
  const auto& lists = blocq::detail::neighbours_for<P, native_lane>();
  std::size_t total = 0;
  for (int code = 0; code < P::codes; ++code) {
    const int levels = packed_levels<P>(code);
    std::map<int, std::vector<int>> by_distance;
    for (const int point : P::table) by_distance[squared_distance<P>(point, levels)].push_back(point);
    const auto cell = lists[static_cast<std::uint32_t>(code)];
    if (by_distance.count(0) != 0) {
      REQUIRE(cell.units == 0);
      REQUIRE(P::table[cell.where] == levels);
      REQUIRE(lists.index(levels) == static_cast<int>(cell.where));
      continue;
    }
    std::vector<int> want;
    int shells = 0;
    for (const auto& [distance, points] : by_distance)
      if (shells++ < P::shells) want.insert(want.end(), points.begin(), points.end());
    REQUIRE(lists.count(cell) >= want.size());
    want.resize(lists.count(cell), want.back());
    REQUIRE(std::equal(want.begin(), want.end(), lists.list(cell)));
    total += (want.size() + 15) / 16 * 16;
  }
  CHECK(total <= P::capacity);
  CHECK(total + 16 * static_cast<std::size_t>(P::codes) >= P::capacity);
}

// The first minimum of the reference's sum, over a list of any length.
template <class P>
int nearest_by_loop(const std::uint16_t* list, std::size_t count, float scale, const float* x, const float* w) {
  lane least = 3.40282347e38f;
  int nearest = list[0];
  for (std::size_t n = 0; n < count; ++n) {
    lane sum = 0.0f;
    for (int i = 0; i < P::dimensions; ++i) {
      const lane difference = lane(scale) * lane(static_cast<float>(2 * P::coordinate(list[n], i) + 1)) - lane(x[i]);
      sum += lane(w[i]) * difference * difference;
    }
    if (!(sum < least)) continue;
    least = sum;
    nearest = list[n];
  }
  return nearest;
}

template <class P, class L>
void check_search() {
  constexpr float odd[8] = {1, 3, 5, 7, 9, 11, 13, 15};
  float values[1 << P::width] = {};
  test::random_bits bits{1};
  const auto& lists = blocq::detail::neighbours_for<P, L>();
  for (int code = 0; code < P::codes; ++code) {
    const auto cell = lists[static_cast<std::uint32_t>(code)];
    if (cell.units == 0) continue;
    const bool plain = code % 3 == 0;  // small integers, whose sums tie
    const float scale = plain ? 1.0f : 0.5f + static_cast<float>(bits.byte()) / 256.0f;
    float x[8], w[8];
    for (int i = 0; i < P::dimensions; ++i) {
      const float centre = odd[P::coordinate(packed_levels<P>(code), i)] * scale;
      x[i] = plain ? centre : centre + scale * (static_cast<float>(bits.byte()) / 128.0f - 1.0f);
      w[i] = plain ? static_cast<float>(bits.byte() % 3) : static_cast<float>(bits.byte());
    }
    for (int i = 0; i < P::levels; ++i) values[i] = (lane(scale) * lane(odd[i])).v;
    const std::size_t count = lists.count(cell);
    const int got =
        blocq::detail::nearest_point<P, L>(lists.list(cell), count, blocq::lookup_table<L, P::width>(values), x, w);
    REQUIRE(got == nearest_by_loop<P>(lists.list(cell), count, scale, x, w));
  }
}

}  // namespace

TEST_CASE("the points that compete are those of the first shells, in the table's order") {
  check_lists<blocq::impl::iq1_points>();
  check_lists<blocq::impl::iq2_xxs_points>();
  check_lists<blocq::impl::iq2_xs_points>();
  check_lists<blocq::impl::iq2_s_points>();
  check_lists<blocq::impl::iq3_xxs_points>();
  check_lists<blocq::impl::iq3_s_points>();
}

TEST_CASE("the nearest point is the first minimum of the reference's sum") {
  check_search<blocq::impl::iq1_points, native_lane>();
  check_search<blocq::impl::iq2_xs_points, native_lane>();
  check_search<blocq::impl::iq3_xxs_points, native_lane>();
  check_search<blocq::impl::iq3_s_points, native_lane>();
  check_search<blocq::impl::iq2_xs_points, lane>();
  check_search<blocq::impl::iq3_s_points, lane>();
}
