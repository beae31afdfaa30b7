// Encoders of the 16-bit floats: nearest, ties to even. What is too large becomes an infinity, which is_valid refuses.
#ifndef BLOCQ_ENCODE_FLOAT16_HPP
#define BLOCQ_ENCODE_FLOAT16_HPP

#include <blocq/encode/reference.hpp>
#include <blocq/format/float16.hpp>

#include <bit>

namespace blocq::inline v0::inline BLOCQ_ISA {

template <integer_lane L = lane>
void encode(const float* x, std::size_t blocks, const encode_context&, f16* out) noexcept {
  using P = packed_t<L>;
  constexpr std::size_t size = lane_traits<L>::size;
  const std::size_t whole = blocks / size * size;
  for (std::size_t i = 0; i < whole; i += size) {
    L v[1];
    detail::gather_run<L, size>(x + i, v);
    const P bits = bits_of(v[0]), magnitude = bits & P(INT32_MAX);
    const P number = min_of(detail::minifloat_magnitude<float16>(v[0]), P(0x7c00));
    const P code[1] = {(number + keep(P(0x7e00) - number, magnitude > P(0x7f800000))) | ((bits >> 16) & P(0x8000))};
    std::uint16_t codes[size];
    scatter_run(code, codes);
    if constexpr (std::endian::native == std::endian::little)
      __builtin_memcpy(out + i, codes, sizeof codes);
    else
      for (std::size_t k = 0; k < size; ++k) store(out[i + k].code, codes[k]);
  }
  for (std::size_t i = whole; i < blocks; ++i) store(out[i].code, f32_to_f16(x[i]));
}
inline void encode(const float* x, std::size_t blocks, const encode_context&, bf16* out) noexcept {
  for (std::size_t i = 0; i < blocks; ++i) store(out[i].code, f32_to_bf16(x[i]));
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
