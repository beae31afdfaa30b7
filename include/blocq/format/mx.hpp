// The OCP Microscaling formats (MX v1.0) and GGUF's own variant of MXFP4: blocks of small codes that share one power
// of two. Layouts and decoders only; the encoders are in encode/. Tensors whose scales lie apart: format/split.hpp.
//
// The shared scale is a float8_e8m0fnu, 2^(byte - 127); byte 0xff makes every element of the block a NaN. The
// specification leaves the memory layout open; this is the usual one, codes without gaps and the first in the lowest
// bits, with the scale in front of them.
#ifndef BLOCQ_FORMAT_MX_HPP
#define BLOCQ_FORMAT_MX_HPP

#include <blocq/elem/codebook.hpp>
#include <blocq/elem/fixed_point.hpp>
#include <blocq/elem/minifloat.hpp>
#include <blocq/format/planes.hpp>
#include <blocq/format/q_legacy.hpp>

namespace blocq::inline v0 {

//   0       1
//   | scale | codes: N * Element::bits / 8 bytes |     y = 2^(scale - 127) * element
template <class Element, std::size_t N = 32>
struct mx_block {
  static_assert(N > 0 && N % 8 == 0, "mx_block<Element, N>: a block has a multiple of 8 elements");
  std::uint8_t scale;  // float8_e8m0fnu
  std::uint8_t codes[N * Element::bits / 8];
};

using mxfp8_e4m3 = mx_block<float8_e4m3fn>;
using mxfp8_e5m2 = mx_block<float8_e5m2>;
using mxfp6_e2m3 = mx_block<float6_e2m3fn>;
using mxfp6_e3m2 = mx_block<float6_e3m2fn>;
using mxfp4_ocp = mx_block<float4_e2m1fn>;
using mxint8 = mx_block<fixed8_6>;
static_assert(sizeof(mxfp8_e4m3) == 33 && sizeof(mxfp6_e2m3) == 25 && sizeof(mxfp4_ocp) == 17 && sizeof(mxint8) == 33);

// GGUF's MXFP4: the same numbers, but other neighbours share a byte, code 8 is 0 instead of -0, and scale 0xff is
// 2^128 instead of NaN.
//   0   1                17
//   | e | qs             |     y = 2^(e - 127) * element, in integers: 2^(e - 128) * e2m1_doubled_code::values[q]
struct mxfp4 {
  std::uint8_t e;
  std::uint8_t qs[16];  // byte j: element j in the low, element j + 16 in the high nibble
};
static_assert(sizeof(mxfp4) == 17);

namespace impl {
template <class Element>
inline constexpr const char* mx_name = "mx";
template <>
inline constexpr const char* mx_name<float8_e4m3fn> = "mxfp8_e4m3";
template <>
inline constexpr const char* mx_name<float8_e5m2> = "mxfp8_e5m2";
template <>
inline constexpr const char* mx_name<float6_e2m3fn> = "mxfp6_e2m3";
template <>
inline constexpr const char* mx_name<float6_e3m2fn> = "mxfp6_e3m2";
template <>
inline constexpr const char* mx_name<float4_e2m1fn> = "mxfp4_ocp";
template <>
inline constexpr const char* mx_name<fixed8_6> = "mxint8";
}  // namespace impl

// Activations that go with MX weights are MXFP8 E4M3 unless the caller quantizes them otherwise: any two MX formats
// with blocks of the same size can be multiplied.
template <class Element, std::size_t N>
struct format_traits<mx_block<Element, N>> {
  static constexpr const char* name = impl::mx_name<Element>;
  static constexpr std::size_t block_size = N;
  static constexpr bool importance = false;
  using element = Element;
  using operand = mx_block<float8_e4m3fn, N>;
  using codes = planes<dense<&mx_block<Element, N>::codes, Element::bits>>;
};

template <>
struct format_traits<mxfp4> : impl::gguf_traits<39, 32, e2m1_doubled_code, q8_0, false> {
  static constexpr const char* name = "mxfp4";
  using codes = planes<plane<&mxfp4::qs, 4, 16>>;
};

namespace impl {
// 2^(e - 128), the unit of the doubled codes of mxfp4.
BLOCQ_INLINE constexpr float half_e8m0(std::uint8_t e) noexcept {
  return from_bits(e < 2 ? 0x00200000u << e : (e - 1u) << 23);
}
}  // namespace impl

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

// The products are exact but for overflow to infinity, which a scale near the upper end of its range can cause.
template <class Element, std::size_t N>
constexpr void decode(const mx_block<Element, N>& b, float* y) noexcept {
  std::uint8_t q[N];
  get_codes(b, q);
  const float scale = float8_e8m0fnu{b.scale}.to_float();
  if (!is_finite(scale)) {
    for (std::size_t i = 0; i < N; ++i) y[i] = scale;
    return;
  }
  for (std::size_t i = 0; i < N; ++i) {
    const float element = Element{q[i]}.to_float();
    y[i] = is_finite(element) ? element * scale : element;
  }
}

constexpr void decode(const mxfp4& b, float* y) noexcept {
  std::uint8_t q[32];
  get_codes(b, q);
  const float d = impl::half_e8m0(b.e);
  for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(e2m1_doubled_code::values[q[i]]) * d;
}

namespace detail {
template <class B>
constexpr bool decodes_to_finite(const B& b) noexcept {
  float y[block_size<B>] = {};
  decode(b, y);
  bool finite = true;
  for (const float v : y) finite = finite && is_finite(v);
  return finite;
}
}  // namespace detail

// True if a decoder gets finite numbers from the block: the scale is a number, no element is a NaN or an infinity, and
// none overflows. The reference's validation of mxfp4 asks for the first of the three only.
template <class Element, std::size_t N>
constexpr bool is_valid(const mx_block<Element, N>& b) noexcept {
  return detail::decodes_to_finite(b);
}
constexpr bool is_valid(const mxfp4& b) noexcept { return b.e < 252 || (b.e != 0xff && detail::decodes_to_finite(b)); }

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
