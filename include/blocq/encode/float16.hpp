// Encoders of the 16-bit floats: nearest, ties to even. What is too large becomes an infinity, which is_valid refuses.
#ifndef BLOCQ_ENCODE_FLOAT16_HPP
#define BLOCQ_ENCODE_FLOAT16_HPP

#include <blocq/encode/reference.hpp>
#include <blocq/format/float16.hpp>

#include <bit>
#include <cstring>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

template <>
inline constexpr std::uint32_t valid_below<f16> = 0x477fe000;  // 65504
template <>
inline constexpr std::uint32_t valid_below<bf16> = 0x7f000000;

// 16 bits per number, in the low half of each lane.
template <class L>
BLOCQ_INLINE packed_t<L> code_of(L x, const f16*) noexcept {
  using P = packed_t<L>;
  const P bits = bits_of(x), magnitude = bits & P(INT32_MAX);
  const P number = min_of(minifloat_magnitude<float16>(x), P(0x7c00));
  return (number + keep(P(0x7e00) - number, magnitude > P(0x7f800000))) | ((bits >> 16) & P(0x8000));
}
template <class L>
BLOCQ_INLINE packed_t<L> code_of(L x, const bf16*) noexcept {
  using P = packed_t<L>;
  const P bits = bits_of(x), magnitude = bits & P(INT32_MAX);
  const P number = (magnitude + P(0x7fff) + ((bits >> 16) & P(1))) >> 16, nan = (magnitude >> 16) | P(0x40);
  return (number + keep(nan - number, magnitude > P(0x7f800000))) | ((bits >> 16) & P(0x8000));
}
BLOCQ_INLINE std::uint16_t code_of(float x, const f16*) noexcept { return f32_to_f16(x); }
BLOCQ_INLINE std::uint16_t code_of(float x, const bf16*) noexcept { return f32_to_bf16(x); }

}  // namespace detail

template <integer_lane L = lane, class B>
requires(std::is_same_v<B, f16> || std::is_same_v<B, bf16>) void encode(const float* x, std::size_t blocks,
                                                                        const encode_context&, B* out) noexcept {
  constexpr std::size_t size = lane_traits<L>::size;
  const std::size_t whole = blocks / size * size;
  for (std::size_t i = 0; i < whole; i += size) {
    L v[1];
    detail::gather_run<L, size>(x + i, v);
    const packed_t<L> code[1] = {detail::code_of(v[0], out)};
    std::uint16_t codes[size];
    scatter_run(code, codes);
    if constexpr (std::endian::native == std::endian::little)
      std::memcpy(out + i, codes, sizeof codes);
    else
      for (std::size_t k = 0; k < size; ++k) store(out[i + k].code, codes[k]);
  }
  for (std::size_t i = whole; i < blocks; ++i) store(out[i].code, detail::code_of(x[i], out));
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
