// Reference encoders of the K formats. A lane is a group of a super-block: first each group finds its own scale (and
// minimum), then the super-block finds integers for those, then the codes are computed anew from what was stored.
// In q8_k, which has no groups, a lane is a block.
#ifndef BLOCQ_ENCODE_Q_K_HPP
#define BLOCQ_ENCODE_Q_K_HPP

#include <blocq/encode/reference.hpp>
#include <blocq/encode/search.hpp>
#include <blocq/format/q_k.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// The weights of the groups first .. first + count - 1 of one super-block, and the sum of each group's.
template <class L, std::size_t N>
void group_weights(const float* importance, float sigma2, std::size_t first, std::size_t count, const L (&x)[N],
                   L (&w)[N], float* sums) noexcept {
  gather(w, importance + first * N, N, count);
  importance_weights(x, L(sigma2), w);
  L sum = 0.0f;
  for (const L& v : w) sum += v;
  scatter(sum, sums + first, 1, count);
}

// Codes for what the super-block stored: q of x ~ step * (q + lowest) - minimum, q + lowest in lowest .. highest. A
// group whose step is zero keeps the codes of its search.
template <class L, std::size_t N>
void requantize(const float* p, const float* step, const float* minimum, float lowest, float highest,
                float* code) noexcept {
  for_each_tile<L, N>(p, 256 / N, [&](std::size_t first, std::size_t count, const L(&x)[N]) {
    L d, m, q[N];
    gather(d, step + first, 1, count);
    gather(m, minimum + first, 1, count);
    gather(q, code + first * N, N, count);
    for (std::size_t i = 0; i < N; ++i) {
      const L fresh = clamp_to(nearest_int((x[i] + m) / d), lowest, highest) - L(lowest);
      q[i] = select(d == L(0.0f), q[i], fresh);
    }
    scatter(q, code + first * N, N, count);
  });
}

// Codes 0 .. highest for a super-block's scales or minimums, none negative, and the unit they count in.
template <std::size_t G>
float quantize_positive(const float (&value)[G], const float (&weight)[G], bool weighted, float highest,
                        int (&code)[G]) noexcept {
  lane v[G], q[G], unit;
  gather(v, value, 0, 1);
  if (weighted) {
    lane w[G];
    gather(w, weight, 0, 1);
    unit = fit_positive(v, w, highest, q);
  } else {
    lane largest = 0.0f;
    for (const lane& s : v) largest = max_of(s, largest);
    const lane inverse = select(largest > lane(0.0f), lane(highest) / largest, lane(0.0f));
    for (std::size_t g = 0; g < G; ++g) q[g] = to_u8(nearest_int(inverse * v[g]));
    unit = largest / lane(highest);
  }
  for (std::size_t g = 0; g < G; ++g) code[g] = static_cast<int>(min_of(q[g], lane(highest)).v);
  return unit.v;
}

// Codes -half .. half - 1 for a super-block's scales, the largest magnitude getting -half, and the unit they count in.
template <std::size_t G>
lane quantize_signed(const lane (&scale)[G], lane extreme, float half, int (&code)[G]) noexcept {
  const lane_mask zero = extreme == lane(0.0f);
  const lane inverse = lane(-half) / extreme;
  for (std::size_t g = 0; g < G; ++g) {
    const lane q = to_i8(min_of(lane(127.0f), nearest_int(inverse * scale[g])));
    code[g] = static_cast<int>(select(zero, -half, clamp_to(q, -half, half - 1.0f)).v);
  }
  return select(zero, 0.0f, lane(1.0f) / inverse);
}

// q2_k, q4_k, q5_k: groups of N. Without importance the weights of q2_k are the magnitudes, and its error is a sum of
// magnitudes; the other two add the group's root mean square to the magnitudes.
template <class L, std::size_t N, class B>
void encode_groups_affine(const float* p, std::size_t blocks, const encode_context& c, affine_steps steps, B* out) {
  constexpr std::size_t groups = 256 / N;
  constexpr bool absolute = N == 16;
  constexpr float highest = element_t<B>::highest, highest_scale = absolute ? 15.0f : 63.0f;
  for (std::size_t b = 0; b < blocks; ++b, p += 256) {
    const bool weighted = c.weights != nullptr;
    const float sigma2 = weighted ? (lane(absolute ? 1.0f : 2.0f) * energy(p) / lane(256.0f)).v : 0.0f;
    float scale[groups], minimum[groups], weight[groups], code[256];
    for_each_tile<L, N>(p, groups, [&](std::size_t first, std::size_t count, const L(&x)[N]) {
      L w[N], q[N];
      affine_fit<L> fit;
      if (weighted) {
        group_weights(c.weights + b * 256, sigma2, first, count, x, w, weight);
        fit = fit_affine<false>(x, w, highest, {-0.9f, 0.05f, 36}, q);
      } else {
        const L average = absolute ? L(0.0f) : sqrt(sum_of_squares(x) / L(N));
        for (std::size_t i = 0; i < N; ++i) w[i] = average + abs(x[i]);
        fit = fit_affine<absolute>(x, w, highest, steps, q);
      }
      scatter(fit.scale, scale + first, 1, count);
      scatter(fit.minimum, minimum + first, 1, count);
      scatter(q, code + first * N, N, count);
    });

    int scales[groups], minimums[groups];
    store(out[b].d, f32_to_f16(quantize_positive(scale, weight, weighted, highest_scale, scales)));
    store(out[b].dmin, f32_to_f16(quantize_positive(minimum, weight, weighted, highest_scale, minimums)));
    const lane d = f16_to_f32(out[b].d), dmin = f16_to_f32(out[b].dmin);
    for (std::size_t g = 0; g < groups; ++g) {
      set_scale(out[b], static_cast<int>(g), {scales[g], minimums[g]});
      scale[g] = (d * lane(static_cast<float>(scales[g]))).v;
      minimum[g] = (dmin * lane(static_cast<float>(minimums[g]))).v;
    }
    requantize<L, N>(p, scale, minimum, 0.0f, highest, code);
    store_codes(code, out[b]);
  }
}

// q3_k, q6_k: 16 groups of 16. q3_k alone weighs with the super-block's energy, descends where there is no importance
// and searches the scales too where there is.
template <class L, class B>
void encode_groups_symmetric(const float* p, std::size_t blocks, const encode_context& c, B* out) {
  constexpr bool is_q3 = element_t<B>::bits == 3;
  constexpr float half = -element_t<B>::lowest;
  for (std::size_t b = 0; b < blocks; ++b, p += 256) {
    const bool weighted = c.weights != nullptr;
    const float sigma2 = weighted && is_q3 ? (lane(2.0f) * energy(p) / lane(256.0f)).v : 0.0f;
    float scale[16], weight[16], code[256];
    for_each_tile<L, 16>(p, 16, [&](std::size_t first, std::size_t count, const L(&x)[16]) {
      L w[16], q[16], s;
      if (weighted && is_q3)
        group_weights(c.weights + b * 256, sigma2, first, count, x, w, weight);
      else if (weighted)
        gather(w, c.weights + b * 256 + first * 16, 16, count);
      else
        square_weights(x, w);
      s = weighted || !is_q3 ? fit_symmetric(x, w, half, q) : fit_symmetric_by_descent(x, half, q);
      scatter(s, scale + first, 1, count);
      scatter(q, code + first * 16, 16, count);
    });

    lane s[16];
    gather(s, scale, 0, 1);
    const peak<lane> extreme = find_peak(s);
    if (!is_q3 && extreme.magnitude < lane(negligible)) {
      out[b] = {};
      continue;
    }
    int scales[16];
    lane d;
    if (weighted && is_q3) {
      lane w[16], q[16];
      gather(w, weight, 0, 1);
      d = fit_symmetric(s, w, 32.0f, q);
      for (int g = 0; g < 16; ++g) scales[g] = static_cast<int>(q[g].v) - 32;
    } else {
      d = quantize_signed(s, extreme.value, is_q3 ? 32.0f : 128.0f, scales);
    }
    store(out[b].d, f32_to_f16(d.v));
    d = f16_to_f32(out[b].d);
    const float none[16] = {};
    for (int g = 0; g < 16; ++g) {
      set_scale(out[b], g, scales[g]);
      scale[g] = (d * lane(static_cast<float>(scales[g]))).v;
    }
    requantize<L, 16>(p, scale, none, -half, half - 1.0f, code);
    store_codes(code, out[b]);
  }
}

}  // namespace detail

template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, q2_k* out) noexcept {
  detail::encode_groups_affine<L, 16>(x, blocks, c, {-0.5f, 0.1f, 15}, out);
}
template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, q3_k* out) noexcept {
  detail::encode_groups_symmetric<L>(x, blocks, c, out);
}
template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, q4_k* out) noexcept {
  detail::encode_groups_affine<L, 32>(x, blocks, c, {-1.0f, 0.1f, 20}, out);
}
template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, q5_k* out) noexcept {
  detail::encode_groups_affine<L, 32>(x, blocks, c, {-0.5f, 0.1f, 15}, out);
}
template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, q6_k* out) noexcept {
  detail::encode_groups_symmetric<L>(x, blocks, c, out);
}

// The extreme element gets -127, so d has the opposite sign.
template <class L = lane>
void encode(const float* p, std::size_t blocks, const encode_context&, q8_k* out) noexcept {
  detail::for_each_tile<L, 256>(p, blocks, [&](std::size_t first, std::size_t count, const L(&x)[256]) {
    const detail::peak<L> extreme = detail::find_peak(x);
    const auto zero = extreme.magnitude == L(0.0f);
    const L inverse = L(-127.0f) / extreme.value;
    L code[256];
    float d[lane_traits<L>::size];
    for (int i = 0; i < 256; ++i)
      code[i] = select(zero, L(0.0f), to_i8(min_of(L(127.0f), nearest_int(inverse * x[i]))));
    scatter(select(zero, L(0.0f), L(1.0f) / inverse), d, 1, count);
    detail::store_bytes(code, out + first, count);
    for (std::size_t b = 0; b < count; ++b) {
      q8_k& block = out[first + b];
      store(block.d, to_bits(d[b]));
      for (int g = 0; g < 16; ++g) {
        int sum = 0;
        for (int i = 0; i < 16; ++i) sum += block.qs[16 * g + i];
        store(block.bsums[g], static_cast<std::int16_t>(sum));
      }
    }
  });
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
