// Better blocks of IQ1, IQ2 and IQ3: points of a table, scales of groups and the block's scale with a smaller squared
// error than the reference encoder's.
//
// A part is the run of 8 or 4 elements that one point stands for. With v the signed coordinates of a point and t the
// step of its group, the error of a part is  sum w x^2 - 2 t B + t^2 A  with  A = sum w v^2  and  B = sum w x v: two
// numbers that do not depend on t. So points are looked for once, for a row of steps around the group's, and the
// winners are kept as candidates. From then on all scales of the groups and any scale of the block cost a few
// operations per candidate. What comes out is refined: new candidates for the steps that were chosen, and least squares
// for the block's scale, until the error stays.
//
// For one step the best point of the whole table is found, signs and their parity included. A lane is a part. The
// gain 2 t B - t^2 A is a sum over coordinates, so it is added up once for every half of a point there can be (81 or
// 64), and a point costs one maximum.
#ifndef BLOCQ_ENCODE_BEST_POINTS_HPP
#define BLOCQ_ENCODE_BEST_POINTS_HPP

#include <blocq/encode/best.hpp>

#include <cstring>

namespace blocq::inline v0::impl {

// The points of a format's table, ordered by the first half of their coordinates. A half is a number, its levels the
// digits.
template <class B>
struct halved_points {
  static constexpr std::size_t dimensions = element_t<B>::dimensions, size = element_t<B>::entries;
  static constexpr std::size_t levels = dimensions == 8 ? 3 : 8, width = dimensions == 8 ? 2 : 3;
  static constexpr std::size_t halves = dimensions == 8 ? 81 : 64;

  std::uint16_t first[halves + 1] = {};  // where the points with this first half begin
  std::uint8_t second[size] = {};        // their second halves
  std::uint16_t index[size] = {};        // and their places in the table

  static BLOCQ_INLINE constexpr std::size_t level(std::size_t index, std::size_t i) noexcept {
    return (std::size_t{format_traits<B>::grid[index]} >> (width * i)) & ((1u << width) - 1);
  }
  static BLOCQ_INLINE constexpr std::size_t half_of(std::size_t index, std::size_t which) noexcept {
    std::size_t number = 0;
    for (std::size_t i = dimensions / 2; i-- > 0;) number = number * levels + level(index, which * dimensions / 2 + i);
    return number;
  }
  constexpr halved_points() noexcept {
    for (std::size_t k = 0; k < size; ++k) ++first[half_of(k, 0) + 1];
    for (std::size_t a = 0; a < halves; ++a) first[a + 1] = static_cast<std::uint16_t>(first[a + 1] + first[a]);
    std::uint16_t next[halves] = {};
    for (std::size_t a = 0; a < halves; ++a) next[a] = first[a];
    for (std::size_t k = 0; k < size; ++k) {
      const std::uint16_t at = next[half_of(k, 0)]++;
      second[at] = static_cast<std::uint8_t>(half_of(k, 1));
      index[at] = static_cast<std::uint16_t>(k);
    }
  }
};
template <class B>
inline constexpr halved_points<B> points_of{};

template <class B>
inline constexpr bool has_signs = requires(const B& b) {
  get_signs(b, 0);
};
// Seven signs are stored for eight elements: the number of negative ones is even.
template <class B>
inline constexpr bool has_even_signs =
    std::is_same_v<B, iq2_xxs> || std::is_same_v<B, iq2_xs> || std::is_same_v<B, iq3_xxs>;

}  // namespace blocq::inline v0::impl

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

template <class B>
float get_unit(const B& b) noexcept {
  if constexpr (std::is_same_v<B, iq1_m>)
    return f16_to_f32(get_d(b));
  else
    return f16_to_f32(b.d);
}
template <class B>
void set_unit(B& b, float d) noexcept {
  if constexpr (std::is_same_v<B, iq1_m>)
    set_d(b, f32_to_f16(d));
  else
    store(b.d, f32_to_f16(d));
}

// Lane i of x.
template <class L>
BLOCQ_INLINE lane lane_of(const L& x, std::size_t i) noexcept {
  static_assert(sizeof(L) == lane_traits<L>::size * sizeof(float));
  float v;
  std::memcpy(&v, reinterpret_cast<const unsigned char*>(&x) + i * sizeof v, sizeof v);
  return v;
}

template <class L, class B>
class point_optimizer {
  static constexpr const auto& points = impl::points_of<B>;
  static constexpr std::size_t lanes = lane_traits<L>::size;
  static constexpr std::size_t D = points.dimensions, parts = 256 / D, levels = points.levels, halves = points.halves;
  static constexpr std::size_t groups = 256 / format_traits<B>::group_size, per_group = parts / groups;
  static constexpr int scales = impl::has_signs<B> ? 16 : 8;
  // What is chosen for several parts together: the shift of a group of iq1_s, and in iq3_xxs which of two parts changes
  // a sign so that their number becomes even. A variant is one way to choose, and has its own list of candidates.
  static constexpr bool paired = std::is_same_v<B, iq3_xxs>;
  static constexpr std::size_t variants = paired || !impl::has_signs<B> ? 2 : 1;
  static constexpr std::size_t unit_parts = paired ? 2 : std::is_same_v<B, iq1_s> ? 4 : 1;
  static constexpr std::size_t units = parts / unit_parts;

 public:
  point_optimizer(const float* x, const float* w, const B& block) noexcept : x_(x), w_(w) {
    best_.d = get_unit(block);
    for (std::size_t g = 0; g < groups; ++g) best_.scale[g] = get_scale(block, static_cast<int>(g));
  }

  B run(const B& block) noexcept {
    const float start = best_.d;
    if (!(lane(start) > lane(0.0f))) return block;
    if constexpr (D == 8)
      for (const float f : few) add_candidates(f);
    else
      for (const float f : many) add_candidates(f);
    for (const float f : unit_factors) try_unit((lane(start) * lane(f)).v);
    for (int pass = 0; pass < passes; ++pass) {
      const float before = best_.error;
      settle();
      if (pass > 0 && !(lane(best_.error) < lane(before))) break;
      add_candidates(1.0f);
    }
    settle();
    return written(block);
  }

 private:
  // Steps, in units of the reference's, for which points are looked for. A table of 8 coordinates has few points that
  // are the best for some step.
  static constexpr float few[] = {0.6f, 0.76f, 0.92f, 1.1f, 1.4f};
  static constexpr float many[] = {0.55f, 0.65f, 0.75f, 0.84f, 0.92f, 1.0f, 1.09f, 1.2f, 1.35f, 1.6f};
  static constexpr float unit_factors[] = {1.0f,  0.76f, 0.8f,  0.84f, 0.88f, 0.91f, 0.94f, 0.97f,
                                           1.03f, 1.06f, 1.09f, 1.12f, 1.16f, 1.2f,  1.24f};
  static constexpr int passes = 3;
  static constexpr int capacity = 16;

  struct candidates {
    int count = 0;
    float a[capacity], b[capacity];  // A and 2 B
    std::uint16_t index[capacity];
    std::uint8_t signs[capacity];

    BLOCQ_INLINE void add(lane aa, lane bb, std::uint16_t i, std::uint8_t s) noexcept {
      for (int k = 0; k < count; ++k)
        if (index[k] == i && signs[k] == s) return;
      if (count == capacity) return;
      a[count] = aa.v;
      b[count] = (bb + bb).v;
      index[count] = i;
      signs[count++] = s;
    }
    // The least of t * (t * A - 2 B) over the candidates, for the step in each lane.
    BLOCQ_INLINE L least(L t) const noexcept {
      L e = t * L(a[0]) - L(b[0]);
      for (int k = 1; k < count; ++k) e = min_of(t * L(a[k]) - L(b[k]), e);
      return t * e;
    }
    int best_for(lane t) const noexcept {
      champion c;
      for (int k = 0; k < count; ++k) c.consider(t * lane(a[k]) - lane(b[k]), k);
      return c.index < 0 ? 0 : c.index;  // no number is less than infinity
    }
  };
  struct solution {
    float d = 0, error = from_bits(0x7f800000u);  // less the constant sum w x^2
    int scale[groups] = {};
  };

  // Whether candidates of this variant have an even number of signs, those of the others are right as they are.
  static constexpr bool makes_even(std::size_t variant) noexcept {
    return impl::has_even_signs<B> && (!paired || variant == 1);
  }
  static lane step_of(float d, int scale) noexcept {
    return lane(d) * lane(format_traits<B>::unit) * lane(static_cast<float>(2 * scale + 1));
  }
  static std::size_t list_of(std::size_t variant, std::size_t part) noexcept {
    return paired ? static_cast<std::size_t>(part == variant) : variant;
  }

  // to[i0 + levels * i1 + ...] = combine(term[0][i0], term[1][i1], ...)
  template <class Combine>
  static void over_halves(const L (*term)[levels], L (&to)[halves], Combine combine) noexcept {
    std::size_t n = levels;
    for (std::size_t l = 0; l < levels; ++l) to[l] = term[0][l];
    for (std::size_t j = 1; j < D / 2; ++j, n *= levels)
      for (std::size_t l = levels; l-- > 0;)
        for (std::size_t i = 0; i < n; ++i) to[l * n + i] = combine(to[i], term[j][l]);
  }

  // What each half of a point gains, and what it gains when one of its signs is wrong.
  struct half_gains {
    L right[2][halves], wrong[2][halves];

    // The place of the best point for each lane. OneWrong: a sign is wrong in one of the halves.
    template <bool OneWrong>
    void search(int* place) const noexcept {
      L most = -3.40282347e38f, at = 0.0f;
      for (std::size_t a = 0; a < halves; ++a) {
        if (points.first[a] == points.first[a + 1]) continue;
        const std::uint8_t* const second = points.second + points.first[a];
        const int n = points.first[a + 1] - points.first[a];
        L gain = right[1][second[0]];
        for (int k = 1; k < n; ++k) gain = max_of(right[1][second[k]], gain);
        if constexpr (OneWrong) {
          L other = wrong[1][second[0]];
          for (int k = 1; k < n; ++k) other = max_of(wrong[1][second[k]], other);
          gain = max_of(wrong[0][a] + gain, right[0][a] + other);
        } else {
          gain = right[0][a] + gain;
        }
        const auto better = gain > most;
        most = select(better, gain, most);
        at = select(better, L(static_cast<float>(a)), at);
      }
      float at_of[lanes];
      scatter(at, at_of, 1, lanes);
      for (std::size_t i = 0; i < lanes; ++i) {
        const auto a = static_cast<std::size_t>(at_of[i]);
        champion best;
        for (int k = points.first[a]; k < points.first[a + 1]; ++k) {
          const std::uint8_t b = points.second[k];
          lane gain = lane_of(right[0][a], i) + lane_of(right[1][b], i);
          if constexpr (OneWrong)
            gain = max_of(lane_of(wrong[0][a], i) + lane_of(right[1][b], i),
                          lane_of(right[0][a], i) + lane_of(wrong[1][b], i));
          best.consider(-gain, k);
        }
        place[i] = best.index < 0 ? points.first[a] : best.index;
      }
    }
  };

  // The coordinate that a level stands for; iq1 shifts it.
  static constexpr int coordinate(std::size_t level, std::size_t variant) noexcept {
    const int v = format_traits<B>::levels[level];
    return impl::has_signs<B> ? v : 8 * v + (variant == 0 ? 1 : -1);
  }

  // For every part the best point at `factor` times the present step of its group.
  void add_candidates(float factor) noexcept {
    static_assert(parts % lanes == 0);
    for (std::size_t part = 0; part < parts; part += lanes) add_candidates(factor, part);
  }
  void add_candidates(float factor, std::size_t part) noexcept {
    L x[D], w[D], half_step, odd;
    float half_step_of[lanes], odd_of[lanes];
    for (std::size_t i = 0; i < lanes; ++i) {
      half_step_of[i] = (step_of(best_.d, best_.scale[(part + i) / per_group]) * lane(0.5f * factor)).v;
      odd_of[i] = is_odd(part + i) ? 1.0f : 0.0f;
    }
    gather(x, x_ + part * D, D, lanes);
    gather(w, w_ + part * D, D, lanes);
    gather(half_step, half_step_of, 1, lanes);
    gather(odd, odd_of, 1, lanes);

    for (std::size_t variant = 0; variant < variants; ++variant) {
      half_gains gains;
      L gain[D][levels], loss[D][levels];
      for (std::size_t j = 0; j < D; ++j) {
        const L wx = w[j] * (impl::has_signs<B> ? abs(x[j]) : x[j]);
        for (std::size_t l = 0; l < levels; ++l) {
          const L v = static_cast<float>(coordinate(l, variant));
          gain[j][l] = (wx - half_step * w[j] * v) * v;
          loss[j][l] = odd * (wx + wx) * v;
        }
      }
      for (std::size_t h = 0; h < 2; ++h) {
        over_halves(gain + h * D / 2, gains.right[h], [](L a, L b) { return a + b; });
        if (!makes_even(variant)) continue;
        over_halves(loss + h * D / 2, gains.wrong[h], [](L a, L b) { return min_of(a, b); });
        for (std::size_t k = 0; k < halves; ++k) gains.wrong[h][k] = gains.right[h][k] - gains.wrong[h][k];
      }
      int best[lanes];
      if (makes_even(variant))
        gains.template search<true>(best);
      else
        gains.template search<false>(best);
      for (std::size_t i = 0; i < lanes; ++i)
        add_candidate(part + i, variant, points.index[best[i]], makes_even(variant) && is_odd(part + i));
    }
  }

  // Whether the eight elements that the part belongs to have an odd number of negative ones.
  bool is_odd(std::size_t part) const noexcept {
    const float* x = x_ + part * D / 8 * 8;
    std::uint32_t odd = 0;
    for (int j = 0; j < 8; ++j) odd ^= to_bits(x[j]) >> 31;
    return odd != 0;
  }

  void add_candidate(std::size_t part, std::size_t variant, std::uint16_t index, bool flip) noexcept {
    const float *x = x_ + part * D, *w = w_ + part * D;
    std::uint32_t signs = 0;
    if (impl::has_signs<B>)
      for (std::size_t j = 0; j < D; ++j) signs |= to_bits(x[j]) >> 31 << j;
    if (flip) {
      champion least;
      for (std::size_t j = 0; j < D; ++j) {
        const int v = coordinate(points.level(index, j), variant);
        least.consider(lane(w[j]) * abs(lane(x[j])) * lane(static_cast<float>(v)), static_cast<int>(j));
      }
      signs ^= 1u << (least.index < 0 ? 0 : least.index);
    }
    lane a = 0.0f, b = 0.0f;
    for (std::size_t j = 0; j < D; ++j) {
      const int v = coordinate(points.level(index, j), variant);
      const lane level = static_cast<float>((signs >> j & 1) != 0 ? -v : v), wv = lane(w[j]) * level;
      a += wv * level;
      b += wv * lane(x[j]);
    }
    list_[part][variant].add(a, b, index, static_cast<std::uint8_t>(signs));
  }

  // The error of a unit for the step in each lane, and the variant that has it.
  L unit_error(std::size_t unit, L t) const noexcept {
    L least = 0.0f;
    for (std::size_t v = 0; v < variants; ++v) {
      L sum = 0.0f;
      for (std::size_t k = 0; k < unit_parts; ++k) sum += list_[unit * unit_parts + k][list_of(v, k)].least(t);
      least = v == 0 ? sum : min_of(sum, least);
    }
    return least;
  }
  std::size_t variant_for(std::size_t unit, lane t) const noexcept {
    champion best;
    for (std::size_t v = 0; v < variants; ++v) {
      lane sum = 0.0f;
      for (std::size_t k = 0; k < unit_parts; ++k) {
        const candidates& c = list_[unit * unit_parts + k][list_of(v, k)];
        const int n = c.best_for(t);
        sum += t * (t * lane(c.a[n]) - lane(c.b[n]));
      }
      best.consider(sum, static_cast<int>(v));
    }
    return best.index < 0 ? 0 : static_cast<std::size_t>(best.index);
  }

  // Calls f(part, its candidates, the one chosen, its variant) for the present solution.
  template <class F>
  void for_each_part(F f) const noexcept {
    for (std::size_t u = 0; u < units; ++u) {
      const int scale = best_.scale[u * unit_parts / per_group];
      const lane t = step_of(best_.d, scale);
      const std::size_t v = variant_for(u, t);
      for (std::size_t k = 0; k < unit_parts; ++k) {
        const std::size_t part = u * unit_parts + k;
        const candidates& c = list_[part][list_of(v, k)];
        f(part, scale, c, c.best_for(t), v);
      }
    }
  }

  // The best scales for this unit; true if that is the best solution so far.
  bool try_unit(float d) noexcept {
    solution s;
    s.d = f16_to_f32(f32_to_f16(d));
    if (s.d == 0.0f || !is_finite(s.d)) return false;
    lane total = 0.0f;
    for (std::size_t g = 0; g < groups; ++g) {
      const champion best = best_of<L>(
          0, scales - 1, [&](int i) { return step_of(s.d, i).v; },
          [&](L t) {
            L sum = 0.0f;
            for (std::size_t u = 0; u < units / groups; ++u) sum += unit_error(g * units / groups + u, t);
            return sum;
          });
      if (best.index < 0) return false;
      s.scale[g] = best.index;
      total += lane(best.error);
    }
    s.error = total.v;
    if (!(total < lane(best_.error))) return false;
    best_ = s;
    return true;
  }

  // Least squares for the unit, then the scales again, while that helps.
  void settle() noexcept {
    for (int pass = 0; pass < 4; ++pass) {
      lane aa = 0.0f, bb = 0.0f;
      for_each_part([&](std::size_t, int scale, const candidates& c, int k, std::size_t) {
        const lane s = lane(format_traits<B>::unit) * lane(static_cast<float>(2 * scale + 1));
        aa += s * s * lane(c.a[k]);
        bb += s * lane(c.b[k]);
      });
      if (!try_unit((lane(0.5f) * bb / aa).v)) return;
    }
  }

  B written(const B& block) const noexcept {
    B b = block;
    set_unit(b, best_.d);
    for (std::size_t g = 0; g < groups; ++g) set_scale(b, static_cast<int>(g), best_.scale[g]);
    int signs = 0;
    for_each_part([&](std::size_t part, int, const candidates& c, int k, std::size_t variant) {
      const int at = static_cast<int>(part);
      set_index(b, at, c.index[k]);
      if constexpr (impl::has_signs<B>) {
        const int shift = D == 4 && at % 2 == 1 ? 4 : 0;
        signs = (shift == 0 ? 0 : signs) | c.signs[k] << shift;
        if (D == 8 || shift != 0) set_signs(b, at * static_cast<int>(D) / 8, signs);
      } else {
        set_shift(b, at, variant == 1);
      }
    });
    return b;
  }

  const float* x_;
  const float* w_;
  candidates list_[parts][variants];
  solution best_;
};

}  // namespace detail

template <class L, class B>
requires(element_t<B>::dimensions >= 4) void improve(const float* x, const float* w, B& block) noexcept {
  detail::keep_better(x, w, detail::point_optimizer<L, B>(x, w, block).run(block), block);
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
