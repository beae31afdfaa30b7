// What the scalar decoders of many formats share. Codes come from get_codes (planes.hpp), what a code stands for from
// the format's element, the scale of a group from get_scale.
//
// Every product here is exact: a binary16 scale, a group scale and a code have at most 24 significant bits together. So
// at most one rounding happens per element, and contraction or another order of the factors cannot change a result.
#ifndef BLOCQ_FORMAT_DECODE_HPP
#define BLOCQ_FORMAT_DECODE_HPP

#include <blocq/core/bits.hpp>
#include <blocq/format/planes.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// What a code of format B stands for, in units of its scale.
template <class B>
BLOCQ_INLINE constexpr int code_value(int code) noexcept {
  if constexpr (requires { element_t<B>::values; })
    return element_t<B>::values[code];
  else
    return element_t<B>::value(code);
}

// y = d * value
template <class B>
constexpr void decode_scaled(const B& b, float* y) noexcept {
  std::uint8_t q[block_size<B>];
  get_codes(b, q);
  const float d = f16_to_f32(b.d);
  for (std::size_t i = 0; i < block_size<B>; ++i) y[i] = d * static_cast<float>(code_value<B>(q[i]));
}

// y = d * value + m
template <class B>
constexpr void decode_affine(const B& b, float* y) noexcept {
  std::uint8_t q[block_size<B>];
  get_codes(b, q);
  const float d = f16_to_f32(b.d), m = f16_to_f32(b.m);
  for (std::size_t i = 0; i < block_size<B>; ++i) y[i] = d * static_cast<float>(code_value<B>(q[i])) + m;
}

// y = d * scale * value, in groups.
template <class B>
constexpr void decode_groups_scaled(const B& b, float* y) noexcept {
  constexpr int size = format_traits<B>::block_size, group = format_traits<B>::group_size;
  std::uint8_t q[block_size<B>];
  get_codes(b, q);
  const float d = f16_to_f32(b.d);
  for (int g = 0, i = 0; i < size; ++g) {
    const float scale = d * static_cast<float>(get_scale(b, g));
    for (const int end = i + group; i < end; ++i) y[i] = scale * static_cast<float>(code_value<B>(q[i]));
  }
}

// y = d * scale * value - dmin * min, in groups.
template <class B>
constexpr void decode_groups_affine(const B& b, float* y) noexcept {
  constexpr int size = format_traits<B>::block_size, group = format_traits<B>::group_size;
  std::uint8_t q[block_size<B>];
  get_codes(b, q);
  const float d = f16_to_f32(b.d), dmin = f16_to_f32(b.dmin);
  for (int g = 0, i = 0; i < size; ++g) {
    const auto s = get_scale(b, g);
    const float scale = d * static_cast<float>(s.scale), min = dmin * static_cast<float>(s.min);
    for (const int end = i + group; i < end; ++i) y[i] = scale * static_cast<float>(code_value<B>(q[i])) - min;
  }
}

// y = d * q, codes that are bytes.
template <std::size_t N>
constexpr void decode_bytes(const std::int8_t (&q)[N], float d, float* y) noexcept {
  for (std::size_t i = 0; i < N; ++i) y[i] = d * static_cast<float>(q[i]);
}

}  // namespace detail

// True if a decoder gets finite numbers from the block: all its scales and minima are finite. This one is for the
// formats whose scales are binary16 fields.
template <class B>
requires std::same_as<decltype(B::d), le16>
constexpr bool is_valid(const B& b) noexcept {
  bool finite = is_finite(f16_to_f32(b.d));
  if constexpr (requires { b.m; }) finite = finite && is_finite(f16_to_f32(b.m));
  if constexpr (requires { b.s; }) finite = finite && is_finite(f16_to_f32(b.s));
  if constexpr (requires { b.dmin; }) finite = finite && is_finite(f16_to_f32(b.dmin));
  return finite;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
