// Reference encoders of the formats whose codes are indices into the table of iq4_nl_code. A lane is a group of 32
// elements: a block of iq4_nl, an eighth of a block of iq4_xs.
#ifndef BLOCQ_ENCODE_IQ4_HPP
#define BLOCQ_ENCODE_IQ4_HPP

#include <blocq/encode/q_legacy.hpp>
#include <blocq/format/iq.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// result[k] for the level k nearest to x; a tie goes up, and a NaN gets the last one.
template <class L, class T>
L choose_iq4(L x, const T (&result)[16]) noexcept {
  L chosen = static_cast<float>(result[0]);
  for (int k = 1; k < 16; ++k) {
    const float edge = 0.5f * static_cast<float>(iq4_nl_code::values[k - 1] + iq4_nl_code::values[k]);
    chosen = select(x < L(edge), chosen, L(static_cast<float>(result[k])));
  }
  return chosen;
}

template <class L>
void iq4_codes(const L (&x)[32], L inverse, L (&code)[32]) noexcept {
  constexpr std::uint8_t index[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (int i = 0; i < 32; ++i) code[i] = choose_iq4(inverse * x[i], index);
}

template <class L>
moments<L> measure_iq4(const L (&x)[32], const L (&w)[32], L inverse) noexcept {
  moments<L> m;
  for (int i = 0; i < 32; ++i) {
    const L level = choose_iq4(inverse * x[i], iq4_nl_code::values), wq = w[i] * level;
    m.xq += wq * x[i];
    m.qq += wq * level;
  }
  return m;
}

// The scale of x ~ scale * level: where the extreme element is put on level 127, though there is none, or on one of the
// 15 numbers around the lowest level, -127. Problems below `negligible` get 0.
template <class L>
L fit_iq4(const L (&x)[32], const L (&w)[32]) noexcept {
  const peak<L> extreme = find_peak(x);
  const float lowest = iq4_nl_code::values[0];
  moments<L> m = measure_iq4(x, w, L(1.0f) / (-extreme.value / L(lowest)));
  L scale = m.scale(m.qq > L(0.0f)), best = scale * m.xq;
  for (int step = -7; step <= 7; ++step) {
    m = measure_iq4(x, w, L(static_cast<float>(step) + lowest) / extreme.value);
    const auto better = (m.qq > L(0.0f)) & (m.xq * m.xq > best * m.qq);
    scale = select(better, m.xq / m.qq, scale);
    best = select(better, scale * m.xq, best);
  }
  return select(extreme.magnitude < L(negligible), L(0.0f), scale);
}

// Weights of the groups first .. first + count - 1; sigma2 is twice the mean square of whatever shares an importance.
template <class L>
void iq4_weights(const float* importance, L sigma2, std::size_t first, std::size_t count, const L (&x)[32],
                 L (&w)[32]) noexcept {
  if (importance == nullptr) {
    square_weights(x, w);
  } else {
    gather(w, importance + first * 32, 32, count);
    importance_weights(x, sigma2, w);
  }
}

// As in the K formats: a lane is a group, then a block, then a group.
template <class L>
void encode_iq4_xs_batch(const float* p, const float* importance, std::size_t blocks, iq4_xs* out) noexcept {
  constexpr std::size_t all = lane_traits<L>::size * 8;
  float scale[all], energy[all] = {};
  std::uint8_t code[all * 32];
  std::int8_t scales[all];
  if (importance != nullptr) energy_of_groups<L>(p, blocks, 8, energy);
  for_each_tile<L, 32>(p, blocks * 8, [&](std::size_t first, std::size_t count, const L(&x)[32]) {
    L e, w[32];
    gather(e, energy + first, 1, count);
    iq4_weights(importance, e * L(2.0f / 256), first, count, x, w);
    scatter(fit_iq4(x, w), scale + first, 1, count);
  });

  L s[8], q[8];
  gather(s, scale, 8, blocks);
  const L d = find_peak(s).value / L(-32.0f), inverse = reciprocal(d);
  for (int g = 0; g < 8; ++g) q[g] = clamp_to(nearest_int(inverse * s[g]), -32.0f, 31.0f);
  store_f16(d, &iq4_xs::d, out, blocks);
  scatter(q, scales, 8, blocks);
  for (L& v : q) v = d * v;
  scatter(q, scale, 8, blocks);

  for_each_tile<L, 32>(p, blocks * 8, [&](std::size_t first, std::size_t count, const L(&x)[32]) {
    L step, codes[32];
    gather(step, scale + first, 1, count);
    iq4_codes(x, reciprocal(step), codes);
    scatter(codes, code + first * 32, 32, count);
  });
  for (std::size_t b = 0; b < blocks; ++b) {
    for (std::size_t g = 0; g < 8; ++g) set_scale(out[b], static_cast<int>(g), scales[b * 8 + g]);
    set_codes(out[b], code + b * 256);
  }
}

}  // namespace detail

// What a file gets. (The reference has a second encoder for this format, one that tries a single scale.)
template <class L = lane>
void encode(const float* p, std::size_t blocks, const encode_context& c, iq4_nl* out) noexcept {
  detail::for_each_tile<L, 32>(p, blocks, [&](std::size_t first, std::size_t count, const L(&x)[32]) {
    L w[32], code[32];
    detail::iq4_weights(c.weights, detail::sum_of_squares(x) * L(2.0f / 32), first, count, x, w);
    const L d = detail::fit_iq4(x, w);
    detail::iq4_codes(x, detail::reciprocal(d), code);
    detail::store_f16(d, &iq4_nl::d, out + first, count);
    detail::store_codes(code, out + first, count);
  });
}

template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, iq4_xs* out) noexcept {
  detail::for_each_batch<L>(x, blocks, c, out, detail::encode_iq4_xs_batch<L>);
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
