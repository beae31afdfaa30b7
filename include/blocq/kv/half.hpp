// Numbers of keys and values in binary16, for the caches that keep some of them so.
#ifndef BLOCQ_KV_HALF_HPP
#define BLOCQ_KV_HALF_HPP

#include <blocq/core/bits.hpp>

#include <cstdint>

namespace blocq::inline v0::inline BLOCQ_ISA::kv::detail {

// The nearest binary16, and the largest one instead of an infinity; 0 for a NaN.
BLOCQ_INLINE std::uint16_t finite_half(float x) noexcept {
  const std::uint16_t half = is_nan(x) ? 0 : f32_to_f16(x);
  return static_cast<std::uint16_t>((half & 0x7fff) == 0x7c00 ? half - 1 : half);
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::kv::detail

#endif
