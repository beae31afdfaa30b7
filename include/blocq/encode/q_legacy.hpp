// Reference encoders of the formats with one scale, or a scale and a minimum, for the whole block. A lane is a block.
#ifndef BLOCQ_ENCODE_Q_LEGACY_HPP
#define BLOCQ_ENCODE_Q_LEGACY_HPP

#include <blocq/encode/reference.hpp>
#include <blocq/encode/search.hpp>
#include <blocq/format/q_legacy.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

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
  for_each_tile<L, 32>(p, blocks, [&](std::size_t first, std::size_t count, const L(&x)[32]) {
    L d, m, code[32];
    if (c.weights != nullptr) {
      L w[32];
      row_weights(c, first, count, x, w);
      const affine_fit<L> fit = fit_affine<false>(x, w, highest, {-0.9f, 0.05f, 36}, code);
      d = fit.scale;
      m = -fit.minimum;
    } else {
      L largest = -largest_float;
      m = largest_float;
      for (const L& v : x) {
        m = min_of(v, m);
        largest = max_of(v, largest);
      }
      d = (largest - m) / L(highest);
      const L inverse = reciprocal(d);
      for (int i = 0; i < 32; ++i) code[i] = min_of(L(highest), to_u8((x[i] - m) * inverse + L(0.5f)));
    }
    store_f16(d, &B::d, out + first, count);
    store_f16(m, &B::m, out + first, count);
    store_codes(code, out + first, count);
  });
}

// q8_0, q8_1: the scale and the codes. After a NaN the largest magnitude starts anew, as in the reference.
template <class L>
L quantize_to_bytes(const L (&x)[32], L (&code)[32]) noexcept {
  L largest = 0.0f;
  for (const L& v : x) largest = max_of(largest, abs(v));
  const L d = largest / L(127.0f), inverse = reciprocal(d);
  for (int i = 0; i < 32; ++i) code[i] = to_i8(round_half_away(x[i] * inverse));
  return d;
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

template <class L = lane>
void encode(const float* p, std::size_t blocks, const encode_context&, q8_0* out) noexcept {
  detail::for_each_tile<L, 32>(p, blocks, [&](std::size_t first, std::size_t count, const L(&x)[32]) {
    L code[32];
    detail::store_f16(detail::quantize_to_bytes(x, code), &q8_0::d, out + first, count);
    detail::store_bytes(code, out + first, count);
  });
}

template <class L = lane>
void encode(const float* p, std::size_t blocks, const encode_context&, q8_1* out) noexcept {
  detail::for_each_tile<L, 32>(p, blocks, [&](std::size_t first, std::size_t count, const L(&x)[32]) {
    L code[32], sum = 0.0f;
    const L d = detail::quantize_to_bytes(x, code);
    for (const L& q : code) sum += q;
    detail::store_f16(d, &q8_1::d, out + first, count);
    detail::store_f16(sum * d, &q8_1::s, out + first, count);
    detail::store_bytes(code, out + first, count);
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
