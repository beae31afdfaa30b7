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

#include <blocq/core/lane_pair.hpp>

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
    value = select(abs(x) > magnitude, x, value);
    magnitude = max_of(abs(x), magnitude);
  }
};

template <class L, std::size_t N>
peak<L> find_peak(const L (&x)[N]) noexcept {
  L lowest = 0.0f, highest = 0.0f;
  for (const L& v : x) {
    lowest = min_of(v, lowest);
    highest = max_of(v, highest);
  }
  peak<L> p{max_of(-lowest, highest), select(highest > -lowest, highest, lowest)};
  if (any((highest == -lowest) & (highest > L(0.0f)))) {  // which of the two came first?
    p = {};
    for (const L& v : x) p.add(v);
  }
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

// The integer nearest to x, ties to even, kept in lowest .. highest. Ordinary says that no |x| is above 2^21.
template <bool Ordinary, class L>
BLOCQ_INLINE L level_of(L x, float lowest, float highest) noexcept {
  if constexpr (Ordinary) return at_least(at_most(rounded(x), highest), lowest);
  return clamp_to(nearest_int(x), lowest, highest);
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
// scales are tried: step k puts it on -half - k / 10. Problems below `negligible` get scale 0 and code 0.
template <class L, std::size_t N>
L fit_symmetric(const L (&x)[N], const L (&w)[N], float half, L (&code)[N]) noexcept {
  const peak<L> extreme = find_peak(x);
  L wx[N], kept[N];
  for (std::size_t i = 0; i < N; ++i) wx[i] = w[i] * x[i];
  const auto live = extreme.magnitude >= L(negligible);
  const auto finite = [&](L v) { return all((abs(v) <= L(3.40282347e38f)) | ~live); };  // in all lanes that count
  bool ordinary = finite(extreme.magnitude);

  // Levels are kept in their bounds by keeping x in bounds that serve all steps up to `last` down to the last below 1
  // or -9: step `last` puts these bounds 0.01 inside of where the levels -half and half - 1 end, the others put them on
  // the same levels, and rounding is monotone. Up to step 0 only x of the other sign than the extreme can get too far.
  const auto keep_for_steps_up_to = [&](int last) {
    const float reach = half + 0.1f * static_cast<float>(last);
    const L own = extreme.value * L(last > 0 ? (half + 0.49f) / reach : 1.0f);
    const L opposite = extreme.value * L((0.51f - half) / reach);
    const L lowest = min_of(own, opposite), highest = max_of(own, opposite);
    for (std::size_t i = 0; i < N; ++i) kept[i] = min_of(highest, max_of(lowest, x[i]));
  };
  const auto measure = [&](L inverse) {
    moments<L> m;
    if (ordinary)
      for (std::size_t i = 0; i < N; ++i) m.add(w[i], wx[i], rounded(inverse * kept[i]));
    else
      for (std::size_t i = 0; i < N; ++i) m.add(w[i], wx[i], level_of<false>(inverse * x[i], -half, half - 1.0f));
    return m;
  };

  keep_for_steps_up_to(0);
  L inverse = L(-half) / extreme.value;
  moments<L> m = measure(inverse);
  if (ordinary && !finite(m.xq)) {  // a NaN among x
    ordinary = false;
    m = measure(inverse);
  }
  L scale = m.scale(m.qq != L(0.0f)), best = scale * m.xq;
  for (int step = -9; step <= 9; ++step) {
    if (step == 0) {
      keep_for_steps_up_to(9);
      continue;
    }
    const L candidate = -(L(half) + L(0.1f) * L(static_cast<float>(step))) / extreme.value;
    m = measure(candidate);
    const auto better = (m.qq > L(0.0f)) & (m.xq * m.xq > best * m.qq);
    inverse = select(better, candidate, inverse);
    scale = select(better, m.xq / m.qq, scale);
    best = select(better, scale * m.xq, best);
  }
  if (ordinary)
    for (std::size_t i = 0; i < N; ++i) code[i] = level_of<true>(inverse * x[i], -half, half - 1.0f) + L(half);
  else
    for (std::size_t i = 0; i < N; ++i) code[i] = level_of<false>(inverse * x[i], -half, half - 1.0f) + L(half);
  if (!all(live))
    for (L& q : code) q = select(live, q, L(0.0f));
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

template <class L>
struct affine_fit {
  L scale, minimum;
};

// A search for fit_affine. A candidate takes three steps, each of which has to wait for the sums of the one before; two
// searches take them in turns, so that each has something to do meanwhile.
template <bool Absolute, class L, std::size_t N>
class affine_search {
 public:
  affine_search(const L (&x)[N], const L (&w)[N], float highest) noexcept : x_(x), w_(w), highest_(highest) {
    lowest_ = largest_ = x[0];
    sum_w_ = w[0];
    sum_x_ = w[0] * x[0];
    for (std::size_t i = 1; i < N; ++i) {
      lowest_ = min_of(x[i], lowest_);
      largest_ = max_of(x[i], largest_);
      sum_w_ += w[i];
      sum_x_ += w[i] * x[i];
    }
    least_ = lowest_;
    lowest_ = select(lowest_ > L(0.0f), L(0.0f), lowest_);
    live_ = largest_ != lowest_;
    finite_ = abs(sum_x_) <= L(3.40282347e38f);
    inverse_ = L(highest) / (largest_ - lowest_);
    origin_ = lowest_;
    scale_ = L(1.0f) / inverse_;
    each_code<true>(inverse_, origin_, [&](std::size_t i, L code) BLOCQ_INLINE_LAMBDA { code_[i] = code; });
    best_ = error(scale_, lowest_);
  }

  // The codes for the reciprocal scale that puts the largest x on `level`, which passes the highest by less than half a
  // step unless it Overshoots.
  template <bool Overshoots>
  BLOCQ_INLINE void propose(L level) noexcept {
    candidate_ = level / (largest_ - lowest_);
    L q = 0.0f, qq = 0.0f, xq = 0.0f;
    each_code<Overshoots>(candidate_, lowest_, [&](std::size_t i, L code) BLOCQ_INLINE_LAMBDA {
      const L wq = w_[i] * code;
      code_[i] = code;
      q += wq;
      qq += wq * code;
      xq += wq * x_[i];
    });
    sum_q_ = q;
    sum_qq_ = qq;
    sum_xq_ = xq;
  }
  // The scale and the minimum that fit these codes best.
  BLOCQ_INLINE void solve() noexcept {
    const L determinant = sum_w_ * sum_qq_ - sum_q_ * sum_q_;
    solved_ = live_ & (determinant > L(0.0f));
    next_scale_ = (sum_w_ * sum_xq_ - sum_x_ * sum_q_) / determinant;
    next_lowest_ = (sum_qq_ * sum_x_ - sum_q_ * sum_xq_) / determinant;
    const auto above = next_lowest_ > L(0.0f);
    next_scale_ = select(above, sum_xq_ / sum_qq_, next_scale_);
    next_lowest_ = select(above, L(0.0f), next_lowest_);
  }
  BLOCQ_INLINE void judge() noexcept {
    const L e = error(next_scale_, next_lowest_);
    const auto better = solved_ & (e < best_);
    inverse_ = select(better, candidate_, inverse_);
    origin_ = select(better, lowest_, origin_);
    scale_ = select(better, next_scale_, scale_);
    lowest_ = select(better, next_lowest_, lowest_);
    best_ = select(better, e, best_);
  }
  affine_fit<L> finish(L (&code)[N]) noexcept {
    each_code<true>(inverse_, origin_, [&](std::size_t i, L q) BLOCQ_INLINE_LAMBDA { code[i] = q; });
    if (!all(live_))
      for (L& q : code) q = select(live_, q, L(0.0f));
    return {select(live_, scale_, L(0.0f)), -lowest_};
  }

 private:
  // Calls f(i, code of x[i]).
  template <bool Overshoots, class F>
  BLOCQ_INLINE void each_code(L inverse, L from, F&& f) noexcept {
    const L reach = inverse * max_of(largest_ - from, from - least_);  // the largest magnitude that is rounded
    const L move = -from;
    if (all((finite_ & (reach >= L(0.0f)) & (reach <= L(2097152.0f))) | ~live_))
      for (std::size_t i = 0; i < N; ++i) {
        const L level = at_least(rounded(inverse * (x_[i] + move)), 0.0f);
        f(i, Overshoots ? at_most(level, highest_) : level);
      }
    else
      for (std::size_t i = 0; i < N; ++i) f(i, clamp_to(nearest_int(inverse * (x_[i] + move)), 0.0f, highest_));
  }
  L error(L scale, L from) const noexcept {
    L sum = 0.0f;
    for (std::size_t i = 0; i < N; ++i) {
      const L difference = scale * code_[i] + from - x_[i];
      sum += w_[i] * (Absolute ? abs(difference) : difference * difference);
    }
    return sum;
  }

  const L (&x_)[N];
  const L (&w_)[N];
  const float highest_;
  L code_[N], lowest_, largest_, least_, sum_w_, sum_x_, sum_q_, sum_qq_, sum_xq_;
  L candidate_, next_scale_, next_lowest_;
  L inverse_, origin_, scale_, best_;  // the winner's codes are those of inverse_ and origin_
  mask_t<L> live_ = mask_t<L>(false), finite_ = mask_t<L>(false), solved_ = mask_t<L>(false);
};

// The reciprocal scales that fit_affine tries: (first + step * i + highest) / range for i = 0 .. last.
struct affine_steps {
  float first, step;
  int last;
};

template <class... Search>
void take_turns(float highest, affine_steps steps, Search&... search) noexcept {
  for (int i = 0; i <= steps.last; ++i) {
    const lane level = lane(steps.first) + lane(steps.step) * lane(static_cast<float>(i)) + lane(highest);
    if (level < lane(highest + 0.49f))
      (search.template propose<false>(level.v), ...);
    else
      (search.template propose<true>(level.v), ...);
    (search.solve(), ...);
    (search.judge(), ...);
  }
}

// x ~ scale * code - minimum with code in 0 .. highest and minimum >= 0. Each candidate's codes are followed by the
// least-squares scale and minimum for them; the error is the weighted sum of squares, or of magnitudes (Absolute).
// An accepted minimum is where the next candidates start from.
template <bool Absolute, class L, std::size_t N>
affine_fit<L> fit_affine(const L (&x)[N], const L (&w)[N], float highest, affine_steps steps, L (&code)[N]) noexcept {
  affine_search<Absolute, L, N> search(x, w, highest);
  take_turns(highest, steps, search);
  return search.finish(code);
}
template <bool Absolute, class L, std::size_t N>
affine_fit<lane_pair<L>> fit_affine(const lane_pair<L> (&x)[N], const lane_pair<L> (&w)[N], float highest,
                                    affine_steps steps, lane_pair<L> (&code)[N]) noexcept {
  L low_x[N], low_w[N], low_code[N], high_x[N], high_w[N], high_code[N];
  for (std::size_t i = 0; i < N; ++i) {
    low_x[i] = x[i].low, low_w[i] = w[i].low;
    high_x[i] = x[i].high, high_w[i] = w[i].high;
  }
  affine_search<Absolute, L, N> low(low_x, low_w, highest), high(high_x, high_w, highest);
  take_turns(highest, steps, low, high);
  const affine_fit<L> l = low.finish(low_code), h = high.finish(high_code);
  for (std::size_t i = 0; i < N; ++i) code[i] = {low_code[i], high_code[i]};
  return {{l.scale, h.scale}, {l.minimum, h.minimum}};
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::detail

#endif
