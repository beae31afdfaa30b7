// Reference encoders of iq1_s and iq1_m: points with coordinates -1, 0 and 1, shifted by 1/8 up or down. A lane is a
// group of 32 (iq1_s) or 16 (iq1_m) elements with one scale.
//
// In the best assignment of three levels to sorted values the low ones get the lowest level, the high ones the highest.
// So every pair of splits of the sorted group is tried, with every shift: prefix sums give the error of each. Runs of 8
// whose levels are not a point of the table then move to the nearest point, and the super-block finds a unit for the
// scales of its groups.
#ifndef BLOCQ_ENCODE_IQ1_HPP
#define BLOCQ_ENCODE_IQ1_HPP

#include <blocq/encode/nearest_point.hpp>
#include <blocq/encode/reference.hpp>
#include <blocq/encode/search.hpp>
#include <blocq/format/iq.hpp>

namespace blocq::inline v0::impl {

// The values of the levels when they are shifted up, and when they are shifted down.
inline constexpr float iq1_shifted[2][4] = {{-0.875f, 0.125f, 1.125f, 0.0f}, {-1.125f, -0.125f, 0.875f, 0.0f}};

}  // namespace blocq::inline v0::impl

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// rank[i]: how many values come before x[i] when they are sorted; equal values keep their order.
template <class L, std::size_t N>
void rank_values(const L (&x)[N], L (&rank)[N]) noexcept {
  for (L& r : rank) r = 0.0f;
  for (std::size_t i = 0; i < N; ++i)
    for (std::size_t j = i + 1; j < N; ++j) {
      const L swapped = select(x[j] < x[i], L(1.0f), L(0.0f));
      rank[i] += swapped;
      rank[j] += L(1.0f) - swapped;
    }
}

// to[rank[i]] = from[i], the last of equal ranks, which only NaNs have; lane k's ranks are ranks[k].
template <class L, std::size_t N>
void sort_by_rank(const L (&from)[N], const std::uint8_t (&ranks)[lane_traits<L>::size][N], L (&to)[N]) noexcept {
  constexpr std::size_t lanes = lane_traits<L>::size;
  float values[lanes][N], sorted[N][lanes] = {};
  scatter(from, values[0], N, lanes);
  for (std::size_t k = 0; k < lanes; ++k)
    for (std::size_t i = 0; i < N; ++i) sorted[ranks[k][i]][k] = values[k][i];
  for (std::size_t i = 0; i < N; ++i) gather(to[i], sorted[i], 1, lanes);
}

// sum[i] = values[0] + ... + values[i - 1]
template <class L, std::size_t N>
void prefix_sums(const L (&values)[N], L (&sum)[N + 1]) noexcept {
  sum[0] = 0.0f;
  for (std::size_t i = 0; i < N; ++i) sum[i + 1] = sum[i] + values[i];
}

// The winner of the split search: ranks below `low` get the lowest level, ranks from `high` on the highest. Bit 0 of
// `shifts` says that the last half of the group is shifted down, bit 1 that the first half is. The scale may be
// negative; NaN: nothing was found.
template <class L>
struct split {
  L best = -3.40282347e38f, scale = 0.0f, low = -1.0f, high = -1.0f, shifts = 0.0f;

  // Candidates that share i and j, one for each k. Mostly none of them is better, which takes one branch to know.
  template <std::size_t K>
  BLOCQ_INLINE void consider(const moments<L> (&m)[K], int i, int j, const float (&k)[K]) noexcept {
    auto some = m[0].xq * m[0].xq > best * m[0].qq;
    for (std::size_t n = 1; n < K; ++n) some = some | (m[n].xq * m[n].xq > best * m[n].qq);
    if (!any(some)) return;
    for (std::size_t n = 0; n < K; ++n) {
      const L xq = m[n].xq, qq = m[n].qq;
      const auto better = (qq > L(0.0f)) & (xq * xq > best * qq);
      if (!any(better)) continue;
      scale = select(better, xq / qq, scale);
      best = select(better, scale * xq, best);
      low = select(better, L(static_cast<float>(i)), low);
      high = select(better, L(static_cast<float>(j)), high);
      shifts = select(better, L(k[n]), shifts);
    }
  }
};

// The best of all splits i <= j of N sorted elements with weights of the sum `weight` and magnitudes up to `largest`;
// sums_of(i, j, m) makes the moments for each k.
//
// Whatever is less than the best by more than rounding errors has no influence on what wins, so the search starts from
// what a few likely splits achieve, less 2^-12 of it, and finds little that is better. That holds as long as no product
// leaves the range of normal floats; qq is never less than weight / 128.
template <int N, class L, std::size_t K, class F>
split<L> best_split(L weight, L largest, const float (&k)[K], F&& sums_of) noexcept {
  moments<L> m[K];
  L bound = 0.0f;
  for (int i = N / 8; i <= N / 2; i += N / 16)
    for (int j = N - i - N / 16; j <= N - i + N / 16; j += N / 16) {
      sums_of(i, j, m);
      for (const auto& [xq, qq] : m) bound = max_of(xq / qq * xq, bound);
    }
  split<L> winner;
  const auto ordinary = (weight >= L(0x1p-30f)) & (weight <= L(0x1p30f)) & (largest <= L(0x1p20f)) &
                        (bound >= L(0x1p-60f)) & (bound <= L(0x1p80f));
  winner.best = select(ordinary, bound * L(1.0f - 0x1p-12f), winner.best);
  for (int i = 0; i <= N; ++i)
    for (int j = i; j <= N; ++j) {
      sums_of(i, j, m);
      winner.consider(m, i, j, k);
    }
  return winner;
}

// iq1_s: one shift for the group.
template <class L>
split<L> find_split(const L (&x)[32], const L (&w)[32], const L (&rank)[32], L largest) noexcept {
  L wx[32], sorted[32], sum_x[33], sum_w[33];
  std::uint8_t ranks[lane_traits<L>::size][32];
  scatter(rank, ranks[0], 32, lane_traits<L>::size);
  for (int i = 0; i < 32; ++i) wx[i] = w[i] * x[i];
  sort_by_rank(wx, ranks, sorted);
  prefix_sums(sorted, sum_x);
  sort_by_rank(w, ranks, sorted);
  prefix_sums(sorted, sum_w);

  // What the elements below split i and those from split i on contribute, for each shift.
  L low_x[2][33], low_w[2][33], high_x[2][33], high_w[2][33];
  for (int s = 0; s < 2; ++s) {
    const L lowest = impl::iq1_shifted[s][0], highest = impl::iq1_shifted[s][2];
    for (int i = 0; i <= 32; ++i) {
      low_x[s][i] = sum_x[i] * lowest;
      low_w[s][i] = sum_w[i] * lowest * lowest;
      high_x[s][i] = (sum_x[32] - sum_x[i]) * highest;
      high_w[s][i] = (sum_w[32] - sum_w[i]) * highest * highest;
    }
  }
  return best_split<32>(sum_w[32], largest, {0.0f, 3.0f}, [&](int i, int j, moments<L>(&m)[2]) BLOCQ_INLINE_LAMBDA {
    for (int s = 0; s < 2; ++s) {
      const L middle = impl::iq1_shifted[s][1];
      m[s].xq = low_x[s][i] + (sum_x[j] - sum_x[i]) * middle + high_x[s][j];
      m[s].qq = low_w[s][i] + (sum_w[j] - sum_w[i]) * middle * middle + high_w[s][j];
    }
  });
}

// iq1_m: a shift for each half of the group. Here the sums over the levels come from one prefix sum for each split,
// multiplied by the difference between levels.
template <class L>
split<L> find_split(const L (&x)[16], const L (&w)[16], const L (&rank)[16], L largest) noexcept {
  L sum_x[2][17], sum_w[2][17];
  std::uint8_t ranks[lane_traits<L>::size][16];
  scatter(rank, ranks[0], 16, lane_traits<L>::size);
  for (int half = 0; half < 2; ++half) {
    L own_wx[16], own_w[16], sorted[16];
    for (int i = 0; i < 16; ++i) {
      own_wx[i] = i / 8 == half ? w[i] * x[i] : L(0.0f);
      own_w[i] = i / 8 == half ? w[i] : L(0.0f);
    }
    sort_by_rank(own_wx, ranks, sorted);
    prefix_sums(sorted, sum_x[half]);
    sort_by_rank(own_w, ranks, sorted);
    prefix_sums(sorted, sum_w[half]);
  }
  // What the elements of each half contribute, for each shift: all of them, those below a split, those below the other.
  L all_x[2][2], low_w[2][2][17], high_w[2][2][17];
  for (int half = 0; half < 2; ++half)
    for (int s = 0; s < 2; ++s) {
      const float(&v)[4] = impl::iq1_shifted[s];
      const L all_w = sum_w[half][16] * L(v[2]) * L(v[2]);
      all_x[half][s] = sum_x[half][16] * L(v[2]);
      for (int i = 0; i <= 16; ++i) {
        low_w[half][s][i] = all_w + sum_w[half][i] * L(v[0] * v[0] - v[1] * v[1]);
        high_w[half][s][i] = sum_w[half][i] * L(v[1] * v[1] - v[2] * v[2]);
      }
    }
  const L weight = sum_w[0][16] + sum_w[1][16];
  return best_split<16>(weight, largest, {0.0f, 1.0f, 2.0f, 3.0f},
                        [&](int i, int j, moments<L>(&m)[4]) BLOCQ_INLINE_LAMBDA {
                          moments<L> of[2][2];  // of each half, for each shift
                          for (int half = 0; half < 2; ++half)
                            for (int s = 0; s < 2; ++s) {
                              of[half][s].xq = all_x[half][s] - (sum_x[half][i] + sum_x[half][j]);
                              of[half][s].qq = low_w[half][s][i] + high_w[half][s][j];
                            }
                          for (int k = 0; k < 4; ++k)
                            m[k] = {of[0][k / 2].xq + of[1][k % 2].xq, of[0][k / 2].qq + of[1][k % 2].qq};
                        });
}

// What a group becomes: its scale (not negative, 0 if nothing is to be stored), packed points and shifts as in split.
template <std::size_t N>
struct shifted_group {
  float scale;
  int shifts;
  int point[N / 8];
};

// The search for `count` groups, one in each lane. Groups whose magnitudes stay below `zero_below` are zero.
template <class L, std::size_t N>
void fit_shifted_points(const L (&x)[N], const L (&w)[N], float zero_below, std::size_t count,
                        shifted_group<N>* out) noexcept {
  constexpr std::size_t lanes = lane_traits<L>::size, K = N / 8;
  const auto& lists = neighbours_for<impl::iq1_points, L>();
  L largest = abs(x[0]), rank[N];
  for (std::size_t i = 1; i < N; ++i) largest = max_of(largest, abs(x[i]));
  rank_values(x, rank);
  const split<L> found = find_split(x, w, rank, largest);
  const auto live = (found.low >= L(0.0f)) & (largest >= L(zero_below));
  const auto mirrored = found.scale < L(0.0f);
  const L scale = select(mirrored, -found.scale, found.scale);

  float x_of[lanes][N], w_of[lanes][N], code_of[K][lanes], scale_of[lanes], shifts_of[lanes], live_of[lanes];
  scatter(x, x_of[0], N, count);
  scatter(w, w_of[0], N, count);
  scatter(scale, scale_of, 1, lanes);
  scatter(select(mirrored, L(3.0f) - found.shifts, found.shifts), shifts_of, 1, lanes);
  scatter(select(live, L(1.0f), L(0.0f)), live_of, 1, lanes);
  for (std::size_t k = 0; k < K; ++k) {
    L code = 0.0f;
    for (std::size_t i = 8 * k + 8; i-- > 8 * k;) {
      const L level = select(rank[i] < found.low, L(0.0f), select(rank[i] < found.high, L(1.0f), L(2.0f)));
      code = code * L(3.0f) + select(mirrored, L(2.0f) - level, level);
    }
    scatter(code, code_of[k], 1, lanes);
  }

  const lookup_table<L, 2> values[2] = {lookup_table<L, 2>(impl::iq1_shifted[0]),
                                        lookup_table<L, 2>(impl::iq1_shifted[1])};
  for (std::size_t lane_index = 0; lane_index < count; ++lane_index) {
    const std::size_t n = lane_index;
    out[n] = {};
    if (to_bits(live_of[n]) == 0) continue;
    out[n].scale = scale_of[n];
    out[n].shifts = static_cast<int>(shifts_of[n]);
    bool missed = false;
    const auto shift = [&](std::size_t k) { return (out[n].shifts >> (2 * k < K ? 1 : 0)) & 1; };
    for (std::size_t k = 0; k < K; ++k) {
      const auto cell = lists[static_cast<std::uint32_t>(code_of[k][n])];
      if (cell.units == 0) {
        out[n].point[k] = iq1_grid[cell.where];
        continue;
      }
      missed = true;
      lookup_table<L, 2> scaled;
      for (std::size_t part = 0; part < scaled.parts; ++part)
        scaled.part[part] = L(scale_of[n]) * values[shift(k)].part[part];
      out[n].point[k] = nearest_point<impl::iq1_points>(lists.list(cell), lists.count(cell), scaled, x_of[n] + 8 * k,
                                                        w_of[n] + 8 * k);
    }
    if (!missed) continue;
    moments<lane> m;
    for (std::size_t i = 0; i < N; ++i) {
      const int level = impl::iq1_points::coordinate(out[n].point[i / 8], static_cast<int>(i % 8));
      const lane q = impl::iq1_shifted[shift(i / 8)][level], wq = lane(w_of[n][i]) * q;
      m.xq += wq * lane(x_of[n][i]);
      m.qq += wq * q;
    }
    if ((m.xq > lane(0.0f)) & (m.qq > lane(0.0f))) out[n].scale = (m.xq / m.qq).v;
  }
}

// Calls done(block number, its groups, its weights) for each super-block.
template <class L, std::size_t N, class F>
void encode_shifted_points(const float* p, std::size_t blocks, const encode_context& c, float zero_below, F&& done) {
  constexpr std::size_t groups = 256 / N;
  constexpr std::size_t at_once = lane_traits<L>::size > groups ? lane_traits<L>::size / groups : 1;
  for (std::size_t b = 0; b < blocks; b += at_once) {
    const std::size_t n = blocks - b < at_once ? blocks - b : at_once;
    shifted_group<N> group[at_once * groups];
    float mean_square[at_once * groups], weight[at_once * 256];
    for (std::size_t i = 0; i < n; ++i) {
      const lane mean = lane(2.0f) * energy(p + (b + i) * 256) / lane(256.0f);
      for (std::size_t g = 0; g < groups; ++g) mean_square[i * groups + g] = mean.v;
    }
    for_each_tile<L, N>(p + b * 256, n * groups, [&](std::size_t first, std::size_t count, const L(&x)[N]) {
      L w[N], sigma2;
      gather(sigma2, mean_square + first, 1, count);
      if (c.weights != nullptr) {
        gather(w, c.weights + b * 256 + first * N, N, count);
        importance_weights(x, sigma2, w);
      } else if constexpr (N == 32) {
        for (L& v : w) v = 1.0f;
        importance_weights(x, sigma2, w);
      } else {
        square_weights(x, w);
      }
      scatter(w, weight + first * N, N, count);
      fit_shifted_points(x, w, zero_below, count, group + first);
    });
    for (std::size_t i = 0; i < n; ++i) done(b + i, group + i * groups, weight + i * 256);
  }
}

// The largest scale of a super-block, and the code of a scale in units of d.
template <std::size_t N>
lane largest_scale(const shifted_group<N>* group) noexcept {
  lane largest = 0.0f;
  for (std::size_t g = 0; g < 256 / N; ++g) largest = max_of(largest, lane(group[g].scale));
  return largest;
}
inline int shifted_scale_code(float scale, lane inverse) noexcept {
  const lane code = nearest_int(lane(0.5f) * (inverse * lane(scale) - lane(1.0f)));
  return static_cast<int>(clamp_to(code, 0.0f, 7.0f).v);
}

}  // namespace detail

template <integer_lane L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, iq1_s* out) noexcept {
  const auto& lists = detail::neighbours_for<impl::iq1_points, L>();
  const auto done = [&](std::size_t b, const detail::shifted_group<32>* group, const float*) {
    out[b] = {};
    for (int k = 0; k < 32; ++k) set_index(out[b], k, lists.index(group[k / 4].point[k % 4]));
    const lane largest = detail::largest_scale(group);
    if (!(largest > lane(0.0f))) return;
    const lane d = largest / lane(15.0f), inverse = lane(1.0f) / d;
    store(out[b].d, f32_to_f16((d * lane(1.125f)).v));
    for (int g = 0; g < 8; ++g) {
      set_scale(out[b], g, detail::shifted_scale_code(group[g].scale, inverse));
      set_shift(out[b], 4 * g, group[g].shifts != 0);
    }
  };
  detail::encode_shifted_points<L, 32>(x, blocks, c, 1e-12f, done);
}

template <integer_lane L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, iq1_m* out) noexcept {
  const auto& lists = detail::neighbours_for<impl::iq1_points, L>();
  const auto done = [&](std::size_t b, const detail::shifted_group<16>* group, const float* weight) {
    out[b] = {};
    for (int k = 0; k < 32; ++k) set_index(out[b], k, lists.index(group[k / 2].point[k % 2]));
    const lane largest = detail::largest_scale(group);
    if (!(largest > lane(0.0f))) return;
    lane d = largest / lane(15.0f);
    const lane inverse = lane(1.0f) / d;
    detail::moments<lane> m;
    for (int g = 0; g < 16; ++g) {
      const int s = detail::shifted_scale_code(group[g].scale, inverse);
      set_scale(out[b], g, s);
      for (int k = 0; k < 2; ++k) {
        const bool down = ((group[g].shifts >> (1 - k)) & 1) != 0;
        set_shift(out[b], 2 * g + k, down);
        for (int i = 0; i < 8; ++i) {
          const int at = 16 * g + 8 * k + i;
          const float level = impl::iq1_shifted[down][impl::iq1_points::coordinate(group[g].point[k], i)];
          const lane q = lane(level) * lane(static_cast<float>(2 * s + 1)), wq = lane(weight[at]) * q;
          m.xq += wq * lane(x[b * 256 + static_cast<std::size_t>(at)]);
          m.qq += wq * q;
        }
      }
    }
    if (m.qq > lane(0.0f)) d = m.xq / m.qq;
    set_d(out[b], f32_to_f16((d * lane(1.1125f)).v));
  };
  detail::encode_shifted_points<L, 16>(x, blocks, c, 1e-7f, done);
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
