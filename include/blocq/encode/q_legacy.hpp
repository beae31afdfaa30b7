// Reference encoders of the formats with one scale, or a scale and a minimum, for the whole block. A lane is a block.
#ifndef BLOCQ_ENCODE_Q_LEGACY_HPP
#define BLOCQ_ENCODE_Q_LEGACY_HPP

#include <blocq/encode/reference.hpp>
#include <blocq/encode/search.hpp>
#include <blocq/format/q_legacy.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// No scale is larger than the largest magnitude, because no sum of codes is larger than that of their squares; the sum
// of a block of q8_1 is no more than 32 times as large.
template <>
inline constexpr std::uint32_t valid_below<q4_0> = 0x47000000;  // 2^15
template <>
inline constexpr std::uint32_t valid_below<q5_0> = 0x47000000;
template <>
inline constexpr std::uint32_t valid_below<q8_0> = 0x47000000;
template <>
inline constexpr std::uint32_t valid_below<q8_1> = 0x44800000;  // 2^10

template <class L>
L reciprocal(L d) noexcept {
  return select(d != L(0.0f), L(1.0f) / d, L(0.0f));
}

// Weights of the blocks first .. first + count - 1, from the importance and the mean square of the row.
template <class L, std::size_t N>
void row_weights(const encode_context& c, std::size_t first, std::size_t count, const L (&x)[N], L (&w)[N]) noexcept {
  gather(w, c.weights + first * N, N, count);
  importance_weights(x, L(c.row_mean_square), w);
}

// q4_0, q5_0
template <class L, class B>
void encode_symmetric(const float* p, std::size_t blocks, const encode_context& c, B* out) noexcept {
  constexpr float half = -element_t<B>::lowest;
  for_each_tile<L, 32>(p, blocks, [&](std::size_t first, std::size_t count, const L(&x)[32]) {
    L d, code[32];
    if (c.weights != nullptr) {
      L w[32];
      row_weights(c, first, count, x, w);
      d = fit_symmetric(x, w, half, code);
    } else {
      d = find_peak(x).value / L(-half);
      const L inverse = reciprocal(d);
      for (int i = 0; i < 32; ++i) code[i] = min_of(L(2.0f * half - 1.0f), to_i8(x[i] * inverse + L(half + 0.5f)));
    }
    store_f16(d, &B::d, out + first, count);
    store_codes(code, out + first, count);
  });
}

// q4_1, q5_1
template <class L, class B>
void encode_affine(const float* p, std::size_t blocks, const encode_context& c, B* out) noexcept {
  constexpr float highest = element_t<B>::highest;
  constexpr float largest_float = 3.40282347e38f;
  const auto store = [&]<class T>(std::size_t first, std::size_t count, T d, T m, const T(&code)[32]) {
    store_f16(d, &B::d, out + first, count);
    store_f16(m, &B::m, out + first, count);
    store_codes(code, out + first, count);
  };
  if (c.weights != nullptr) {
    using T = lane_pair<L>;
    for_each_tile<T, 32>(p, blocks, [&](std::size_t first, std::size_t count, const T(&x)[32]) {
      T w[32], code[32];
      row_weights(c, first, count, x, w);
      const affine_fit<T> fit = fit_affine<false>(x, w, highest, {-0.9f, 0.05f, 36}, code);
      store(first, count, fit.scale, -fit.minimum, code);
    });
    return;
  }
  for_each_tile<L, 32>(p, blocks, [&](std::size_t first, std::size_t count, const L(&x)[32]) {
    L m = largest_float, largest = -largest_float, code[32];
    for (const L& v : x) {
      m = min_of(v, m);
      largest = max_of(v, largest);
    }
    const L d = (largest - m) / L(highest), inverse = reciprocal(d);
    for (int i = 0; i < 32; ++i) code[i] = min_of(L(highest), to_u8((x[i] - m) * inverse + L(0.5f)));
    store(first, count, d, m, code);
  });
}

// The integers nearest to x, halves away from zero, for |x| < 2^22. Half a unit less than one half is added to the
// magnitude: then what was below a half stays below the integer, and a half reaches it by the rounding of the sum.
template <class L>
packed_t<L> rounded_half_away(L x) noexcept {
  using P = packed_t<L>;
  return P(x + float_of((bits_of(x) & P(INT32_MIN)) | bits_of(L(0.49999997f))));
}

// q8_0, q8_1: calls done(block, scale) when a block has its codes. A lane is an element. After a NaN the largest
// magnitude starts anew, as in the reference.
template <class L, class B, class F>
void quantize_to_bytes(const float* p, std::size_t blocks, B* out, F&& done) noexcept {
  constexpr std::size_t K = 32 / lane_traits<L>::size, at_once = 16;
  std::uint32_t peak[at_once];
  float amax[at_once] = {}, scale[at_once], inverse[at_once];
  for (std::size_t first = 0; first < blocks; first += at_once) {
    const std::size_t count = blocks - first < at_once ? blocks - first : at_once;
    find_peaks<L, 32>(p, count, peak);
    for (std::size_t b = 0; b < count; ++b) {
      amax[b] = from_bits(peak[b]);
      if (peak[b] < 0x7f800000u) continue;
      lane largest = 0.0f;
      for (std::size_t i = 0; i < 32; ++i) largest = max_of(largest, abs(lane(p[b * 32 + i])));
      amax[b] = largest.v;
    }
    for (std::size_t b = 0; b < at_once; b += lane_traits<L>::size) {
      L d;
      gather(d, amax + b, 1, lane_traits<L>::size);
      d = d / L(127.0f);
      scatter(d, scale + b, 1, lane_traits<L>::size);
      scatter(reciprocal(d), inverse + b, 1, lane_traits<L>::size);
    }
    for (std::size_t b = 0; b < count; ++b, p += 32) {
      B& block = out[first + b];
      if (peak[b] >= 0x10000000u && peak[b] < 0x7f800000u) {  // no code is far beyond 127
        L x[K];
        packed_t<L> code[K];
        gather_run<L, 32>(p, x);
        for (std::size_t j = 0; j < K; ++j) code[j] = rounded_half_away(x[j] * L(inverse[b]));
        scatter_run(code, block.qs);
      } else {
        for (std::size_t i = 0; i < 32; ++i)
          block.qs[i] = static_cast<std::int8_t>(to_i8(round_half_away(lane(p[i]) * lane(inverse[b]))).v);
      }
      done(block, lane(scale[b]));
    }
  }
}

}  // namespace detail

template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, q4_0* out) noexcept {
  detail::encode_symmetric<L>(x, blocks, c, out);
}
template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, q5_0* out) noexcept {
  detail::encode_symmetric<L>(x, blocks, c, out);
}
template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, q4_1* out) noexcept {
  detail::encode_affine<L>(x, blocks, c, out);
}
template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, q5_1* out) noexcept {
  detail::encode_affine<L>(x, blocks, c, out);
}

template <integer_lane L = lane>
void encode(const float* p, std::size_t blocks, const encode_context&, q8_0* out) noexcept {
  detail::quantize_to_bytes<L>(p, blocks, out, [](q8_0& block, lane d) { store(block.d, f32_to_f16(d.v)); });
}

template <integer_lane L = lane>
void encode(const float* p, std::size_t blocks, const encode_context&, q8_1* out) noexcept {
  detail::quantize_to_bytes<L>(p, blocks, out, [](q8_1& block, lane d) {
    int sum = 0;
    for (const std::int8_t q : block.qs) sum += q;
    store(block.d, f32_to_f16(d.v));
    store(block.s, f32_to_f16((lane(static_cast<float>(sum)) * d).v));
  });
}

template <class L = lane>
void encode(const float* p, std::size_t blocks, const encode_context&, q1_0* out) noexcept {
  detail::for_each_tile<L, 128>(p, blocks, [&](std::size_t first, std::size_t count, const L(&x)[128]) {
    L code[128], sum = 0.0f;
    for (int i = 0; i < 128; ++i) {
      sum += abs(x[i]);
      code[i] = select(x[i] >= L(0.0f), L(1.0f), L(0.0f));
    }
    detail::store_f16(sum / L(128.0f), &q1_0::d, out + first, count);
    detail::store_codes(code, out + first, count);
  });
}

// The largest magnitude is level 1 or -1, so the fourth level, 2, is not used.
template <class L = lane>
void encode(const float* p, std::size_t blocks, const encode_context&, q2_0* out) noexcept {
  detail::for_each_tile<L, 64>(p, blocks, [&](std::size_t first, std::size_t count, const L(&x)[64]) {
    const L d = detail::find_peak(x).magnitude, inverse = detail::reciprocal(d);
    L code[64];
    for (int i = 0; i < 64; ++i) {
      const L level = round_half_away(x[i] * inverse);
      code[i] = select(abs(level) <= L(1.0f), level + L(1.0f), L(0.0f));  // 0 where level is a NaN or an infinity
    }
    detail::store_f16(d, &q2_0::d, out + first, count);
    detail::store_codes(code, out + first, count);
  });
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
