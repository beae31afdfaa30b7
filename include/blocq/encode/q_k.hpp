// Reference encoders of the K formats. As many super-blocks are encoded together as L has lanes. First each group finds
// its own scale (and minimum): a lane is a group. Then each super-block finds integers for those: a lane is a
// super-block. At last the codes are computed anew from what was stored: a lane is a group again.
// In q8_k, which has no groups, a lane is a block.
#ifndef BLOCQ_ENCODE_Q_K_HPP
#define BLOCQ_ENCODE_Q_K_HPP

#include <blocq/encode/reference.hpp>
#include <blocq/encode/search.hpp>
#include <blocq/format/q_k.hpp>

#include <cstring>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// The weights of the groups first .. first + count - 1, with `factor` times the mean square of the super-block, and the
// sum of each group's.
template <class L, std::size_t N>
void group_weights(const float* importance, const float* energy, float factor, std::size_t first, std::size_t count,
                   const L (&x)[N], L (&w)[N], float* sums) noexcept {
  L e, sum = 0.0f;
  gather(e, energy + first, 1, count);
  gather(w, importance + first * N, N, count);
  importance_weights(x, L(factor) * e / L(256.0f), w);
  for (const L& v : w) sum += v;
  scatter(sum, sums + first, 1, count);
}

// Codes of `groups` groups for what their super-blocks stored: q of x ~ step * (q + lowest) - minimum, q + lowest in
// lowest .. highest; no minimum if that is null. A group whose step is zero keeps the codes of its search.
template <class L, std::size_t N>
void requantize(const float* p, std::size_t groups, const float* step, const float* minimum, float lowest,
                float highest, std::uint8_t* code) noexcept {
  for_each_tile<L, N>(p, groups, [&](std::size_t first, std::size_t count, const L(&x)[N]) {
    L d, m = 0.0f, q[N];
    gather(d, step + first, 1, count);
    if (minimum != nullptr) gather(m, minimum + first, 1, count);
    for (std::size_t i = 0; i < N; ++i) q[i] = clamp_to(nearest_int((x[i] + m) / d), lowest, highest) - L(lowest);
    std::uint8_t fresh[lane_traits<L>::size * N];
    scatter(q, fresh, N, count);
    for (std::size_t g = 0; g < count; ++g)
      if (lane(step[first + g]) != lane(0.0f)) std::memcpy(code + (first + g) * N, fresh + g * N, N);
  });
}

// Stores the units that the super-blocks' scales or minimums count in, and the integers for these as Integer; `step`
// becomes what the integers stand for.
template <class L, std::size_t G, class B, class Integer>
void store_steps(L unit, L (&q)[G], std::size_t count, le16 B::*field, B* out, Integer* code, float* step) noexcept {
  float stored[lane_traits<L>::size] = {};
  store_f16(unit, field, out, count);
  for (std::size_t b = 0; b < count; ++b) stored[b] = f16_to_f32(out[b].*field);
  scatter(q, code, G, count);
  gather(unit, stored, 1, count);
  for (L& v : q) v = unit * v;
  scatter(q, step, G, count);
}

// Scales or minimums, none negative, in 0 .. highest units.
template <class L, std::size_t G, class B>
void quantize_positive(float* value, const float* weight, std::size_t count, float highest, le16 B::*field, B* out,
                       std::uint8_t* code) noexcept {
  L v[G], q[G], unit;
  gather(v, value, G, count);
  if (weight != nullptr) {
    L w[G];
    gather(w, weight, G, count);
    unit = fit_positive(v, w, highest, q);
  } else {
    L largest = 0.0f;
    for (const L& s : v) largest = max_of(s, largest);
    const L inverse = select(largest > L(0.0f), L(highest) / largest, L(0.0f));
    for (std::size_t g = 0; g < G; ++g) q[g] = to_u8(nearest_int(inverse * v[g]));
    unit = largest / L(highest);
  }
  for (L& k : q) k = min_of(k, L(highest));
  store_steps(unit, q, count, field, out, code, value);
}

// Codes -half .. half - 1 for scales of either sign, the extreme one getting -half, and their unit.
template <class L, std::size_t G>
L quantize_signed(const L (&scale)[G], L extreme, float half, L (&code)[G]) noexcept {
  const auto zero = extreme == L(0.0f);
  const L inverse = L(-half) / extreme;
  for (std::size_t g = 0; g < G; ++g) {
    const L q = to_i8(min_of(L(127.0f), nearest_int(inverse * scale[g])));
    code[g] = select(zero, L(-half), clamp_to(q, -half, half - 1.0f));
  }
  return select(zero, L(0.0f), L(1.0f) / inverse);
}

// q2_k, q4_k, q5_k: groups of N. Without importance the weights of q2_k are the magnitudes, and its error is a sum of
// magnitudes; the other two add the group's root mean square to the magnitudes.
template <class L, std::size_t N, class B>
void encode_affine_batch(const float* p, const float* importance, std::size_t blocks, affine_steps steps, B* out) {
  constexpr std::size_t groups = 256 / N, all = lane_traits<L>::size * groups;
  constexpr bool absolute = N == 16;
  constexpr float highest = element_t<B>::highest, highest_scale = absolute ? 15.0f : 63.0f;
  float scale[all], minimum[all], energy[all], weight[all];
  std::uint8_t code[all * N], scales[all], minimums[all];
  if (importance != nullptr) energy_of_groups<L>(p, blocks, groups, energy);
  using T = lane_pair<L>;
  for_each_tile<T, N>(p, blocks * groups, [&](std::size_t first, std::size_t count, const T(&x)[N]) {
    T w[N], q[N];
    affine_fit<T> fit;
    if (importance != nullptr) {
      group_weights(importance, energy, absolute ? 1.0f : 2.0f, first, count, x, w, weight);
      fit = fit_affine<false>(x, w, highest, {-0.9f, 0.05f, 36}, q);
    } else {
      const T average = absolute ? T(0.0f) : sqrt(sum_of_squares(x) / T(N));
      for (std::size_t i = 0; i < N; ++i) w[i] = average + abs(x[i]);
      fit = fit_affine<absolute>(x, w, highest, steps, q);
    }
    scatter(fit.scale, scale + first, 1, count);
    scatter(fit.minimum, minimum + first, 1, count);
    scatter(q, code + first * N, N, count);
  });

  const float* const weights = importance != nullptr ? weight : nullptr;
  quantize_positive<L, groups>(scale, weights, blocks, highest_scale, &B::d, out, scales);
  quantize_positive<L, groups>(minimum, weights, blocks, highest_scale, &B::dmin, out, minimums);
  requantize<L, N>(p, blocks * groups, scale, minimum, 0.0f, highest, code);
  for (std::size_t b = 0; b < blocks; ++b) {
    for (std::size_t g = 0; g < groups; ++g)
      set_scale(out[b], static_cast<int>(g), {scales[b * groups + g], minimums[b * groups + g]});
    set_codes(out[b], code + b * 256);
  }
}

// q3_k, q6_k: 16 groups of 16. q3_k alone weighs with the super-block's energy, descends where there is no importance
// and searches the scales too where there is. q6_k alone has blocks of zeros.
template <class L, class B>
void encode_symmetric_batch(const float* p, const float* importance, std::size_t blocks, B* out) {
  constexpr std::size_t all = lane_traits<L>::size * 16;
  constexpr bool is_q3 = element_t<B>::bits == 3;
  constexpr float half = -element_t<B>::lowest;
  float scale[all], energy[all], weight[all], magnitude[lane_traits<L>::size];
  std::uint8_t code[all * 16];
  std::int8_t scales[all];
  if (importance != nullptr && is_q3) energy_of_groups<L>(p, blocks, 16, energy);
  for_each_tile<L, 16>(p, blocks * 16, [&](std::size_t first, std::size_t count, const L(&x)[16]) {
    L w[16], q[16], s;
    if (importance == nullptr)
      square_weights(x, w);
    else if (is_q3)
      group_weights(importance, energy, 2.0f, first, count, x, w, weight);
    else
      gather(w, importance + first * 16, 16, count);
    s = importance == nullptr && is_q3 ? fit_symmetric_by_descent(x, half, q) : fit_symmetric(x, w, half, q);
    scatter(s, scale + first, 1, count);
    scatter(q, code + first * 16, 16, count);
  });

  L s[16], q[16], unit;
  gather(s, scale, 16, blocks);
  const peak<L> extreme = find_peak(s);
  scatter(extreme.magnitude, magnitude, 1, blocks);
  if (importance != nullptr && is_q3) {
    L w[16];
    gather(w, weight, 16, blocks);
    unit = fit_symmetric(s, w, 32.0f, q);
    for (L& v : q) v = v - L(32.0f);
  } else {
    unit = quantize_signed(s, extreme.value, is_q3 ? 32.0f : 128.0f, q);
  }
  store_steps(unit, q, blocks, &B::d, out, scales, scale);
  requantize<L, 16>(p, blocks * 16, scale, nullptr, -half, half - 1.0f, code);
  for (std::size_t b = 0; b < blocks; ++b) {
    if (!is_q3 && lane(magnitude[b]) < lane(negligible)) {
      out[b] = {};
      continue;
    }
    for (std::size_t g = 0; g < 16; ++g) set_scale(out[b], static_cast<int>(g), scales[b * 16 + g]);
    set_codes(out[b], code + b * 256);
  }
}

template <class L, std::size_t N, class B>
void encode_affine_groups(const float* x, std::size_t blocks, const encode_context& c, affine_steps steps, B* out) {
  for_each_batch<L>(x, blocks, c, out, [=](const float* p, const float* importance, std::size_t count, B* to) {
    encode_affine_batch<L, N>(p, importance, count, steps, to);
  });
}
template <class L, class B>
void encode_symmetric_groups(const float* x, std::size_t blocks, const encode_context& c, B* out) {
  for_each_batch<L>(x, blocks, c, out, encode_symmetric_batch<L, B>);
}

}  // namespace detail

template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, q2_k* out) noexcept {
  detail::encode_affine_groups<L, 16>(x, blocks, c, {-0.5f, 0.1f, 15}, out);
}
template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, q3_k* out) noexcept {
  detail::encode_symmetric_groups<L>(x, blocks, c, out);
}
template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, q4_k* out) noexcept {
  detail::encode_affine_groups<L, 32>(x, blocks, c, {-1.0f, 0.1f, 20}, out);
}
template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, q5_k* out) noexcept {
  detail::encode_affine_groups<L, 32>(x, blocks, c, {-0.5f, 0.1f, 15}, out);
}
template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, q6_k* out) noexcept {
  detail::encode_symmetric_groups<L>(x, blocks, c, out);
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
