// Encoders of the 16-bit floats: nearest, ties to even. What is too large becomes an infinity, which is_valid refuses.
#ifndef BLOCQ_ENCODE_FLOAT16_HPP
#define BLOCQ_ENCODE_FLOAT16_HPP

#include <blocq/encode/reference.hpp>
#include <blocq/format/float16.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

inline void encode(const float* x, std::size_t blocks, const encode_context&, f16* out) noexcept {
  for (std::size_t i = 0; i < blocks; ++i) store(out[i].code, f32_to_f16(x[i]));
}
inline void encode(const float* x, std::size_t blocks, const encode_context&, bf16* out) noexcept {
  for (std::size_t i = 0; i < blocks; ++i) store(out[i].code, f32_to_bf16(x[i]));
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
