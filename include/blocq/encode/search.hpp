// The scale searches of the reference encoders: each problem is a short array x with weights w, and the answer is the
// scale, sometimes the minimum, and the integer codes with a small weighted squared error.
//
// Written once over a lane type L (core/lane.hpp): every lane is a problem of its own. The order of the operations,
// the first of equals and what happens to a NaN are the reference's, so they are part of the result: a product of
// three is (a * b) * c, a sum starts at zero and runs in index order.
//
// No search looks at a lane to decide what to do next, except to stop early when every lane agrees: a lane that has
// its answer keeps it through select. A candidate is remembered by the reciprocal scale that produced its codes, and
// the codes are computed once, from the winner.
#ifndef BLOCQ_ENCODE_SEARCH_HPP
#define BLOCQ_ENCODE_SEARCH_HPP

#include <blocq/core/lane.hpp>

#include <cstddef>

namespace blocq::inline v0::inline BLOCQ_ISA::detail {

// Values whose magnitudes stay below this count as zero.
inline constexpr float negligible = 1e-15f;

// The largest magnitude of x and the element that has it, the first of equals. A NaN is passed over.
template <class L>
struct peak {
  L magnitude = 0.0f;
  L value = 0.0f;

  BLOCQ_INLINE void add(L x) noexcept {
    const auto larger = abs(x) > magnitude;
    magnitude = select(larger, abs(x), magnitude);
    value = select(larger, x, value);
  }
};

template <class L, std::size_t N>
peak<L> find_peak(const L (&x)[N]) noexcept {
  peak<L> p;
  for (const L& v : x) p.add(v);
  return p;
}

template <class L, std::size_t N>
L sum_of_squares(const L (&x)[N]) noexcept {
  L sum = 0.0f;
  for (const L& v : x) sum += v * v;
  return sum;
}

// The sum of the squares of a super-block.
inline lane energy(const float* p) noexcept {
  lane x[256];
  gather(x, p, 0, 1);
  return sum_of_squares(x);
}

// w = x * x
template <class L, std::size_t N>
void square_weights(const L (&x)[N], L (&w)[N]) noexcept {
  for (std::size_t i = 0; i < N; ++i) w[i] = x[i] * x[i];
}

// w = importance * sqrt(sigma2 + x * x), in place: w holds the importance.
template <class L, std::size_t N>
void importance_weights(const L (&x)[N], L sigma2, L (&w)[N]) noexcept {
  for (std::size_t i = 0; i < N; ++i) w[i] = w[i] * sqrt(sigma2 + x[i] * x[i]);
}

// The integer nearest to x, ties to even, kept in lowest .. highest. Ordinary says that no |x| is above 2^21, so that
// the bounds can be kept before the last step: rounding is monotone.
template <bool Ordinary, class L>
BLOCQ_INLINE L level_of(L x, float lowest, float highest) noexcept {
  if constexpr (!Ordinary) return clamp_to(nearest_int(x), lowest, highest);
  constexpr float magic = 12582912.0f;
  return min_of(max_of(x + L(magic), L(magic + lowest)), L(magic + highest)) - L(magic);
}

// For codes q: the sums of w * x * q and of w * q * q. Their quotient is the scale that fits these codes best.
template <class L>
struct moments {
  L xq = 0.0f;
  L qq = 0.0f;

  BLOCQ_INLINE void add(L w, L wx, L q) noexcept {
    xq += wx * q;
    qq += w * q * q;
  }
  BLOCQ_INLINE L scale(mask_t<L> usable) const noexcept { return select(usable, xq / qq, L(0.0f)); }
};

// x ~ scale * q with q in -half .. half - 1; code = q + half. The extreme element of x gets -half, and 18 neighbouring
// scales are tried. Problems below `negligible` get scale 0 and code 0.
template <class L, std::size_t N>
L fit_symmetric(const L (&x)[N], const L (&w)[N], float half, L (&code)[N]) noexcept {
  const peak<L> extreme = find_peak(x);
  const auto live = extreme.magnitude >= L(negligible);
  auto finite = live;
  L wx[N];
  for (std::size_t i = 0; i < N; ++i) {
    wx[i] = w[i] * x[i];
    finite = finite & (abs(x[i]) <= L(3.40282347e38f));
  }
  // Then every level is within half + 1, and where a lane is not live it does not count.
  const bool ordinary = all(finite | ~live);
  const auto measure = [&](L inverse) {
    moments<L> m;
    if (ordinary)
      for (std::size_t i = 0; i < N; ++i) m.add(w[i], wx[i], level_of<true>(inverse * x[i], -half, half - 1.0f));
    else
      for (std::size_t i = 0; i < N; ++i) m.add(w[i], wx[i], level_of<false>(inverse * x[i], -half, half - 1.0f));
    return m;
  };

  L inverse = L(-half) / extreme.value;
  moments<L> m = measure(inverse);
  L scale = m.scale(m.qq != L(0.0f)), best = scale * m.xq;
  for (int step = -9; step <= 9; ++step) {
    if (step == 0) continue;
    const L candidate = -(L(half) + L(0.1f) * L(static_cast<float>(step))) / extreme.value;
    m = measure(candidate);
    const auto better = (m.qq > L(0.0f)) & (m.xq * m.xq > best * m.qq);
    if (!any(better)) continue;
    inverse = select(better, candidate, inverse);
    scale = select(better, m.xq / m.qq, scale);
    best = select(better, scale * m.xq, best);
  }
  for (std::size_t i = 0; i < N; ++i)
    code[i] = select(live, level_of<false>(inverse * x[i], -half, half - 1.0f) + L(half), L(0.0f));
  return select(live, scale, L(0.0f));
}

// Up to five passes over the codes; each code in turn moves to where the others' scale wants it if that lowers the
// error. Signed codes stay in lowest .. highest; Unsigned ones have no lower bound but are kept in 8 bits.
template <bool Unsigned, class L, std::size_t N>
void descend(const L (&x)[N], const L (&w)[N], float lowest, float highest, L (&code)[N], moments<L>& m) noexcept {
  for (int pass = 0; pass < 5; ++pass) {
    mask_t<L> moved(false);
    for (std::size_t i = 0; i < N; ++i) {
      const L wx = w[i] * x[i];
      const moments<L> others{m.xq - wx * code[i], m.qq - w[i] * code[i] * code[i]};
      L q = min_of(L(highest), nearest_int(x[i] * others.qq / others.xq));
      if constexpr (!Unsigned) q = max_of(L(lowest), q);
      moments<L> next = others;
      next.add(w[i], wx, q);
      auto better = (others.xq > L(0.0f)) & ((Unsigned ? others : next).qq > L(0.0f)) & (q != code[i]) &
                    (next.xq * next.xq * m.qq > m.xq * m.xq * next.qq);
      code[i] = select(better, Unsigned ? to_u8(q) : q, code[i]);
      m.xq = select(better, next.xq, m.xq);
      m.qq = select(better, next.qq, m.qq);
      moved = moved | better;
    }
    if (!any(moved)) break;
  }
}

// As fit_symmetric with w = x * x, but from one scale and by descent.
template <class L, std::size_t N>
L fit_symmetric_by_descent(const L (&x)[N], float half, L (&code)[N]) noexcept {
  const peak<L> extreme = find_peak(x);
  const auto live = extreme.magnitude >= L(negligible);
  const L inverse = L(-half) / extreme.value;
  L w[N];
  square_weights(x, w);
  moments<L> m;
  for (std::size_t i = 0; i < N; ++i) {
    code[i] = clamp_to(nearest_int(inverse * x[i]), -half, half - 1.0f);
    m.add(w[i], w[i] * x[i], code[i]);
  }
  descend<false>(x, w, -half, half - 1.0f, code, m);
  for (L& q : code) q = select(live, q + L(half), L(0.0f));
  return select(live, m.scale(m.qq > L(0.0f)), L(0.0f));
}

// x ~ scale * code with code in 0 .. highest, for x that are not negative (where rounding made one negative its code
// wraps to 8 bits, as the reference's does). Nine scales are tried, then the codes descend.
template <class L, std::size_t N>
L fit_positive(const L (&x)[N], const L (&w)[N], float highest, L (&code)[N]) noexcept {
  L largest = 0.0f;
  for (const L& v : x) largest = max_of(largest, v);
  const auto dead = largest < L(negligible);
  const auto error = [&](L scale, const L(&q)[N]) {
    L sum = 0.0f;
    for (std::size_t i = 0; i < N; ++i) {
      const L difference = x[i] - scale * q[i];
      sum += w[i] * difference * difference;
    }
    return sum;
  };
  const auto level = [&](L v, L inverse) { return min_of(L(highest), nearest_int(inverse * v)); };

  L inverse = L(highest) / largest;
  for (std::size_t i = 0; i < N; ++i) code[i] = to_u8(nearest_int(inverse * x[i]));
  L best = error(L(1.0f) / inverse, code);
  for (int step = -4; step <= 4; ++step) {
    if (step == 0) continue;
    const L candidate = (L(0.1f) * L(static_cast<float>(step)) + L(highest)) / largest;
    for (std::size_t i = 0; i < N; ++i) code[i] = level(x[i], candidate);
    const L e = error(L(1.0f) / candidate, code);
    inverse = select(e < best, candidate, inverse);
    best = select(e < best, e, best);
  }
  moments<L> m;
  for (std::size_t i = 0; i < N; ++i) {
    const L q = level(x[i], inverse);
    m.add(w[i], w[i] * x[i], q);
    code[i] = to_u8(q);
  }
  descend<true>(x, w, 0.0f, highest, code, m);
  for (L& q : code) q = select(dead, L(0.0f), q);
  return select(dead, L(0.0f), m.scale(m.qq > L(0.0f)));
}

// The reciprocal scales that fit_affine tries: (first + step * i + highest) / range for i = 0 .. last.
struct affine_steps {
  float first, step;
  int last;
};

template <class L>
struct affine_fit {
  L scale, minimum;
};

// x ~ scale * code - minimum with code in 0 .. highest and minimum >= 0. Each candidate's codes are followed by the
// least-squares scale and minimum for them; the error is the weighted sum of squares, or of magnitudes (Absolute).
// An accepted minimum is where the next candidates start from.
template <bool Absolute, class L, std::size_t N>
affine_fit<L> fit_affine(const L (&x)[N], const L (&w)[N], float highest, affine_steps steps, L (&code)[N]) noexcept {
  L lowest = x[0], largest = x[0], sum_w = w[0], sum_x = w[0] * x[0];
  for (std::size_t i = 1; i < N; ++i) {
    lowest = min_of(x[i], lowest);
    largest = max_of(x[i], largest);
    sum_w += w[i];
    sum_x += w[i] * x[i];
  }
  const L least = lowest;
  lowest = select(lowest > L(0.0f), L(0.0f), lowest);
  const auto live = largest != lowest;
  const auto fill = [&](L inverse, L from) {
    const L reach = inverse * max_of(largest - from, from - least);  // the largest magnitude that is rounded
    const auto ordinary = (abs(reach) <= L(2097152.0f)) & (abs(sum_x) <= L(3.40282347e38f));
    if (all(ordinary | ~live))
      for (std::size_t i = 0; i < N; ++i) code[i] = level_of<true>(inverse * (x[i] - from), 0.0f, highest);
    else
      for (std::size_t i = 0; i < N; ++i) code[i] = level_of<false>(inverse * (x[i] - from), 0.0f, highest);
  };
  const auto error = [&](L scale, L from, const L(&q)[N]) {
    L sum = 0.0f;
    for (std::size_t i = 0; i < N; ++i) {
      const L difference = scale * q[i] + from - x[i];
      sum += w[i] * (Absolute ? abs(difference) : difference * difference);
    }
    return sum;
  };

  // The winner: its codes are those of `inverse` and `origin`, its fit is `scale` and `lowest`.
  L inverse = L(highest) / (largest - lowest), origin = lowest, scale = L(1.0f) / inverse;
  fill(inverse, origin);
  L best = error(scale, lowest, code);
  for (int i = 0; i <= steps.last; ++i) {
    const L candidate = (L(steps.first) + L(steps.step) * L(static_cast<float>(i)) + L(highest)) / (largest - lowest);
    L sum_q = 0.0f, sum_qq = 0.0f, sum_xq = 0.0f;
    fill(candidate, lowest);
    for (std::size_t j = 0; j < N; ++j) {
      const L wq = w[j] * code[j];
      sum_q += wq;
      sum_qq += wq * code[j];
      sum_xq += wq * x[j];
    }
    const L determinant = sum_w * sum_qq - sum_q * sum_q;
    auto better = live & (determinant > L(0.0f));
    if (!any(better)) continue;
    L s = (sum_w * sum_xq - sum_x * sum_q) / determinant;
    L from = (sum_qq * sum_x - sum_q * sum_xq) / determinant;
    const auto above = from > L(0.0f);
    s = select(above, sum_xq / sum_qq, s);
    from = select(above, L(0.0f), from);
    const L e = error(s, from, code);
    better = better & (e < best);
    inverse = select(better, candidate, inverse);
    origin = select(better, lowest, origin);
    scale = select(better, s, scale);
    lowest = select(better, from, lowest);
    best = select(better, e, best);
  }
  fill(inverse, origin);
  for (L& q : code) q = select(live, q, L(0.0f));
  return {select(live, scale, L(0.0f)), -lowest};
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::detail

#endif
