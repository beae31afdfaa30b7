// Reference encoders of iq2_xxs, iq2_xs, iq2_s, iq3_xxs and iq3_s: magnitudes are points of a table, signs lie beside
// them. A lane is a group of 16 or 32 elements with one scale.
//
// A group tries a row of scales. Each one rounds the magnitudes to levels and these to points, and the best is the one
// whose points, under the scale that fits them best, leave the smallest weighted error. From its scale the points are
// chosen once more, in some formats only those that the levels had missed. Then the super-block finds a unit for the
// scales of its groups; the points stay as they are.
#ifndef BLOCQ_ENCODE_IQ23_HPP
#define BLOCQ_ENCODE_IQ23_HPP

#include <blocq/encode/nearest_point.hpp>
#include <blocq/encode/reference.hpp>
#include <blocq/encode/search.hpp>
#include <blocq/format/iq.hpp>

namespace blocq::inline v0::impl {

// What is chosen anew from the best scale: the points that the levels missed; all, if one was missed; all.
enum class second_choice { missed, all_if_missed, all };

// How the reference searches for each format. The scales tried put the largest magnitude on 2 * levels - 1 + step * i,
// i = -steps .. steps; groups below `negligible` are zero; `correction` is applied to the stored super-block scale.
template <class B>
struct point_search;
template <>
struct point_search<iq2_xxs> {
  using points = iq2_xxs_points;
  static constexpr float step = 0.1f, negligible = 1e-15f, correction = 1.0f, energy = 1.0f;
  static constexpr int steps = 6;
  static constexpr bool even_signs = true;
  static constexpr second_choice again = second_choice::all;
  static constexpr bool keeps_points = false;
};
template <>
struct point_search<iq2_xs> {
  using points = iq2_xs_points;
  static constexpr float step = 0.1f, negligible = 1e-15f, correction = 1.0f, energy = 1.0f;
  static constexpr int steps = 9;
  static constexpr bool even_signs = true;
  static constexpr second_choice again = second_choice::missed;
  static constexpr bool keeps_points = false;
};
template <>
struct point_search<iq2_s> {
  using points = iq2_s_points;
  static constexpr float step = 0.1f, negligible = 1e-8f, correction = 0.9875f, energy = 2.0f;
  static constexpr int steps = 9;
  static constexpr bool even_signs = false;
  static constexpr second_choice again = second_choice::missed;
  static constexpr bool keeps_points = true;
};
template <>
struct point_search<iq3_xxs> {
  using points = iq3_xxs_points;
  static constexpr float step = 0.2f, negligible = 1e-8f, correction = 1.0125f, energy = 2.0f;
  static constexpr int steps = 15;
  static constexpr bool even_signs = true;
  static constexpr second_choice again = second_choice::missed;
  static constexpr bool keeps_points = false;
};
template <>
struct point_search<iq3_s> {
  using points = iq3_s_points;
  static constexpr float step = 0.2f, negligible = 1e-45f, correction = 1.033f, energy = 2.0f;
  static constexpr int steps = 9;
  static constexpr bool even_signs = false;
  static constexpr second_choice again = second_choice::all_if_missed;
  static constexpr bool keeps_points = true;
};

// The coordinate of each level.
template <class P>
struct level_values {
  float v[1 << P::width] = {};

  BLOCQ_INLINE constexpr level_values() noexcept {
    for (int i = 0; i < P::levels; ++i) v[i] = static_cast<float>(2 * i + 1);
  }
};
template <class P>
inline constexpr level_values<P> odd_numbers;

}  // namespace blocq::inline v0::impl

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// What a group becomes: its scale (not negative), packed points, and sign bytes.
template <class B>
struct signed_group {
  using points = typename impl::point_search<B>::points;
  static constexpr std::size_t size = static_cast<std::size_t>(format_traits<B>::group_size);
  static constexpr std::size_t runs = size / 8, count = size / points::dimensions;

  bool zero;
  float scale, point[count], signs[runs];
};

// Makes x a magnitude and returns the sign bits of the eight. Even asks for an even number of signs: if it is odd, the
// element that matters least changes its sign, so that its magnitude becomes negative.
template <bool Even, class L>
L take_signs(L* x, const L* w) noexcept {
  L flipped = -1.0f;  // the element that changes its sign
  if constexpr (Even) {
    L count = 0.0f, least = w[0] * x[0] * x[0];
    flipped = 0.0f;
    for (int j = 0; j < 8; ++j) {
      count += select(x[j] >= L(0.0f), L(0.0f), L(1.0f));
      if (j == 0) continue;
      const L weight = w[j] * x[j] * x[j];
      const auto less = weight < least;
      least = select(less, weight, least);
      flipped = select(less, L(static_cast<float>(j)), flipped);
    }
    const L half = count * L(0.5f);
    flipped = select(nearest_int(half) == half, L(-1.0f), flipped);
  }
  L signs = 0.0f;
  for (int j = 0; j < 8; ++j) {
    const L bit = static_cast<float>(1 << j);
    const auto change = flipped == L(static_cast<float>(j));
    const L sign = select(x[j] >= L(0.0f), L(0.0f), bit);
    x[j] = select(x[j] >= L(0.0f), x[j], -x[j]);
    x[j] = select(change, -x[j], x[j]);
    signs += select(change, bit - sign, sign);
  }
  return signs;
}

// The search for groups of format B, one in each lane.
template <class L, class B>
class signed_group_search {
  using traits = impl::point_search<B>;
  using points = typename traits::points;
  static constexpr std::size_t lanes = lane_traits<L>::size, N = signed_group<B>::size;
  static constexpr std::size_t D = points::dimensions, K = signed_group<B>::count;
  static constexpr float highest = points::levels - 1;

 public:
  // x: magnitudes, w: weights, of `count` groups.
  signed_group_search(const L (&x)[N], const L (&w)[N], std::size_t count) noexcept
      : lists_(neighbours_for<points, L>()), values_(impl::odd_numbers<points>.v), x_(x), w_(w), count_(count) {
    L root[N];
    for (std::size_t i = 0; i < N; ++i) {
      wx_[i] = w[i] * x[i];
      root[i] = sqrt(w[i]);
    }
    scatter(x, x_of_[0], N, count);
    scatter(root, root_of_[0], N, count);
  }

  void operator()(signed_group<B>* out) noexcept {
    L largest = x_[0];
    for (std::size_t i = 1; i < N; ++i) largest = max_of(largest, x_[i]);
    auto live = largest >= L(traits::negligible);
    L scale, top = largest;
    if constexpr (std::is_same_v<B, iq2_xxs>) {
      L codes[N];
      scale = fit_positive(x_, w_, highest + 2.0f, codes);
      top = scale * L(highest + 1.0f);
      live = live & (top > L(0.0f));
    } else {
      scale = largest / L(2.0f * highest + 1.0f);
    }

    L best = 0.0f, point[K], missed[K];
    for (std::size_t k = 0; k < K; ++k) {
      point[k] = 0.0f;
      missed[k] = traits::again == impl::second_choice::missed ? 0.0f : 1.0f;
    }
    float lane_of[lanes];
    std::uint32_t wanted[lanes] = {};
    scatter(select(live, L(1.0f), L(0.0f)), lane_of, 1, lanes);
    for (std::size_t i = 0; i < count_; ++i) {
      out[i].zero = to_bits(lane_of[i]) == 0;
      wanted[i] = out[i].zero ? 0 : ~0u;
    }
    for (int i = -traits::steps; i <= traits::steps; ++i) {
      const L inverse = (L(2.0f * highest + 1.0f) + L(static_cast<float>(i)) * L(traits::step)) / top;
      packed_t<L> levels[K], candidate[K];
      choose(inverse, L(1.0f) / inverse, wanted, levels, candidate);
      const moments<L> m = measure(candidate);
      const auto better = live & (m.qq > L(0.0f)) & (m.xq * m.xq > best * m.qq);
      if (!any(better)) continue;
      scale = select(better, m.xq / m.qq, scale);
      best = select(better, scale * m.xq, best);
      for (std::size_t k = 0; k < K; ++k) {
        const L chosen(candidate[k]);
        point[k] = select(better, chosen, point[k]);
        missed[k] = select(better, select(chosen == L(levels[k]), L(0.0f), L(1.0f)), missed[k]);
      }
    }

    L any_missed = traits::again == impl::second_choice::all ? 1.0f : 0.0f;
    for (const L& v : missed) any_missed = max_of(any_missed, v);
    const auto again = live & (scale > L(0.0f)) & (any_missed > L(0.0f));
    if (any(again)) {
      for (std::uint32_t& bits : wanted) bits = 0;
      L second[K];
      for (std::size_t k = 0; k < K; ++k) {
        second[k] = select(again, traits::again == impl::second_choice::missed ? missed[k] : L(1.0f), L(0.0f));
        scatter(second[k], lane_of, 1, lanes);
        for (std::size_t i = 0; i < count_; ++i) wanted[i] |= static_cast<std::uint32_t>(lane_of[i]) << k;
      }
      packed_t<L> levels[K], candidate[K];
      choose(L(1.0f) / scale, scale, wanted, levels, candidate);
      for (std::size_t k = 0; k < K; ++k) {
        point[k] = select(second[k] > L(0.0f), L(candidate[k]), point[k]);
        candidate[k] = packed_t<L>(point[k]);
      }
      const moments<L> m = measure(candidate);
      scale = select(again & (m.qq > L(0.0f)), m.xq / m.qq, scale);
    }
    scale = select(live, scale, L(0.0f));

    scatter(scale, lane_of, 1, lanes);
    for (std::size_t i = 0; i < count_; ++i) out[i].scale = lane_of[i];
    for (std::size_t k = 0; k < K; ++k) {
      scatter(select(live, point[k], L(0.0f)), lane_of, 1, lanes);
      for (std::size_t i = 0; i < count_; ++i) out[i].point[k] = lane_of[i];
    }
  }

 private:
  // The levels of x * inverse, and the points nearest to x in units of `scale`. Bit k of wanted[i] asks for the k-th
  // point of group i; where it is 0 the levels stand for themselves.
  void choose(L inverse, L scale, const std::uint32_t (&wanted)[lanes], packed_t<L> (&levels)[K],
              packed_t<L> (&point)[K]) const noexcept {
    std::uint32_t code_of[K][lanes], point_of[K][lanes];
    for (std::size_t k = 0; k < K; ++k) {
      L code = 0.0f, packed = 0.0f;
      for (std::size_t j = D; j-- > 0;) {
        const L rounded = nearest_int(L(0.5f) * (inverse * x_[D * k + j] - L(1.0f)));
        const L level = clamp_to(rounded, 0.0f, highest);
        code = code * L(static_cast<float>(points::levels)) + level;
        packed = packed * L(static_cast<float>(1 << points::width)) + level;
      }
      levels[k] = packed_t<L>(packed);
      scatter(packed_t<L>(code), code_of[k]);
      scatter(levels[k], point_of[k]);
    }

    // What has to be searched for is sorted by the length of its list, so that no branch depends on one search.
    std::uint8_t one[lanes * K + 1], two[lanes * K + 1], many[lanes * K + 1];
    std::size_t ones = 0, twos = 0, more = 0;
    lookup_table<L, points::width> values[lanes];
    float scale_of[lanes];
    scatter(scale, scale_of, 1, lanes);
    for (std::size_t i = 0; i < count_; ++i) {
      for (std::size_t part = 0; part < values[i].parts; ++part)
        values[i].part[part] = L(scale_of[i]) * values_.part[part];
      for (std::size_t k = 0; k < K; ++k) {
        const std::uint32_t units = lists_[code_of[k][i]].units & (0u - (wanted[i] >> k & 1));
        one[ones] = two[twos] = many[more] = static_cast<std::uint8_t>(k * lanes + i);
        ones += units == 1;
        twos += units == 2;
        more += units > 2;
      }
    }
    const auto search = [&](std::uint8_t place, std::size_t units) {
      const std::size_t k = place / lanes, i = place % lanes;
      const auto cell = lists_[code_of[k][i]];
      point_of[k][i] = nearest_point<points>(lists_.list(cell), (units != 0 ? units : cell.units) * lists_.unit,
                                             values[i], x_of_[i] + D * k, root_of_[i] + D * k);
    };
    for (std::size_t n = 0; n < ones; ++n) search(one[n], 1);
    for (std::size_t n = 0; n < twos; ++n) search(two[n], 2);
    for (std::size_t n = 0; n < more; ++n) search(many[n], 0);
    for (std::size_t k = 0; k < K; ++k) gather(point[k], point_of[k]);
  }

  moments<L> measure(const packed_t<L> (&point)[K]) const noexcept {
    moments<L> m;
    for (std::size_t k = 0; k < K; ++k) {
      L q[D];
      unpack_points<points>(point[k], values_, q);
      for (std::size_t j = 0; j < D; ++j) m.add(w_[D * k + j], wx_[D * k + j], q[j]);
    }
    return m;
  }

  const neighbours<points, lane_traits<L>::size <= 8 ? 8 : 16>& lists_;
  const lookup_table<L, points::width> values_;
  const L (&x_)[N];
  const L (&w_)[N];
  const std::size_t count_;
  L wx_[N];
  float x_of_[lanes][N], root_of_[lanes][N];  // x and the roots of w, group by group
};

// Moves the points and signs of each group that is not zero to the first place that is free.
inline void close_gaps(const signed_group<iq3_s>* group, iq3_s& out) noexcept {
  const iq3_s right = out;
  for (std::uint8_t& q : out.qs) q = 0;
  for (std::uint8_t& s : out.signs) s = 0;
  int at = 0;
  for (int g = 0; g < 8; ++g) {
    if (group[g].zero) continue;
    for (int k = 0; k < 8; ++k) out.qs[8 * at + k] = right.qs[8 * g + k];
    for (int k = 0; k < 4; ++k) out.signs[4 * at + k] = right.signs[4 * g + k];
    ++at;
  }
}

// Writes a block from its groups.
template <int Unit, class B>
void store_groups(const signed_group<B>* group, const neighbours<typename impl::point_search<B>::points, Unit>& lists,
                  B& out) noexcept {
  using traits = impl::point_search<B>;
  using G = signed_group<B>;
  constexpr int groups = 256 / G::size, count = G::count, runs = G::runs;
  lane largest = 0.0f;
  for (int g = 0; g < groups; ++g) largest = max_of(largest, abs(lane(group[g].scale)));
  out = {};
  const bool nothing = !(largest > lane(0.0f));
  if (nothing && !traits::keeps_points) return;
  const lane d = largest / lane(31.0f), inverse = lane(1.0f) / d;
  if (!nothing) store(out.d, f32_to_f16((d * lane(traits::correction)).v));
  for (int g = 0; g < groups; ++g) {
    const lane scale = group[g].scale;
    const lane code = clamp_to(nearest_int(lane(0.5f) * (inverse * abs(scale) - lane(1.0f))), 0.0f, 15.0f);
    if (!nothing) set_scale(out, g, static_cast<int>(code.v));
    if (group[g].zero) continue;
    for (int k = 0; k < count; ++k) set_index(out, g * count + k, lists.index(static_cast<int>(group[g].point[k])));
    for (int k = 0; k < runs; ++k) {
      const int signs = static_cast<int>(group[g].signs[k]);
      set_signs(out, g * runs + k, scale < lane(0.0f) ? ~signs & 255 : signs);
    }
  }
}

template <class L, class B>
void encode_signed_points(const float* p, std::size_t blocks, const encode_context& c, B* out) noexcept {
  using traits = impl::point_search<B>;
  using G = signed_group<B>;
  constexpr std::size_t groups = 256 / G::size;
  const auto& lists = neighbours_for<typename traits::points, L>();
  // As many super-blocks at a time as it takes to fill the lanes.
  constexpr std::size_t at_once = lane_traits<L>::size > groups ? lane_traits<L>::size / groups : 1;
  for (std::size_t b = 0; b < blocks; b += at_once) {
    const std::size_t n = blocks - b < at_once ? blocks - b : at_once;
    G group[at_once * groups];
    float mean_square[at_once * groups];
    for (std::size_t i = 0; i < n; ++i) {
      const lane mean = lane(traits::energy) * energy(p + (b + i) * 256) / lane(256.0f);
      for (std::size_t g = 0; g < groups; ++g) mean_square[i * groups + g] = mean.v;
    }
    for_each_tile<L, G::size>(p + b * 256, n * groups, [&](std::size_t first, std::size_t count, L(&x)[G::size]) {
      L w[G::size], sigma2;
      gather(sigma2, mean_square + first, 1, count);
      if (c.weights != nullptr) {
        gather(w, c.weights + b * 256 + first * G::size, G::size, count);
        importance_weights(x, sigma2, w);
      } else if constexpr (std::is_same_v<B, iq2_s>) {
        for (std::size_t i = 0; i < G::size; ++i) w[i] = L(0.25f) * sigma2 + x[i] * x[i];
      } else if constexpr (requires { format_traits<B>::importance_required; }) {
        for (L& v : w) v = 1.0f;
        importance_weights(x, sigma2, w);
      } else {
        square_weights(x, w);
      }
      for (std::size_t k = 0; k < G::runs; ++k) {
        float lane_of[lane_traits<L>::size];
        scatter(take_signs<traits::even_signs>(x + 8 * k, w + 8 * k), lane_of, 1, lane_traits<L>::size);
        for (std::size_t i = 0; i < count; ++i) group[first + i].signs[k] = lane_of[i];
      }
      signed_group_search<L, B>(x, w, count)(group + first);
    });
    for (std::size_t i = 0; i < n; ++i) {
      const G* own = group + i * groups;
      if (is_nan(mean_square[i * groups])) {
        out[b + i] = {};
        continue;
      }
      store_groups(own, lists, out[b + i]);
      if constexpr (std::is_same_v<B, iq3_s>)
        if (c.reference_bugs) close_gaps(own, out[b + i]);
    }
  }
}

}  // namespace detail

template <integer_lane L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, iq2_xxs* out) noexcept {
  detail::encode_signed_points<L>(x, blocks, c, out);
}
template <integer_lane L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, iq2_xs* out) noexcept {
  detail::encode_signed_points<L>(x, blocks, c, out);
}
template <integer_lane L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, iq2_s* out) noexcept {
  detail::encode_signed_points<L>(x, blocks, c, out);
}
template <integer_lane L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, iq3_xxs* out) noexcept {
  detail::encode_signed_points<L>(x, blocks, c, out);
}
template <integer_lane L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, iq3_s* out) noexcept {
  detail::encode_signed_points<L>(x, blocks, c, out);
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
