// Numbers of keys and values in binary16, for the caches that keep some of them so.
#ifndef BLOCQ_KV_HALF_HPP
#define BLOCQ_KV_HALF_HPP

#include <blocq/core/bits.hpp>
#include <blocq/simd/vec.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA::kv {

namespace detail {
namespace vec = simd::native;

// The nearest binary16, and the largest one instead of an infinity; 0 for a NaN.
BLOCQ_INLINE std::uint16_t finite_half(float x) noexcept {
  const std::uint16_t half = is_nan(x) ? 0 : f32_to_f16(x);
  return static_cast<std::uint16_t>((half & 0x7fff) == 0x7c00 ? half - 1 : half);
}

// sum of a[i] * x[i] over n numbers in binary16.
BLOCQ_INLINE float dot_halves(const float* a, const le16* x, std::size_t n) noexcept {
  vec::floats sum = vec::fill_floats(0.0f);
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) sum = vec::fma(vec::load_floats(a + i), vec::load_f16(x + i), sum);
  float rest = vec::sum(sum);
  for (; i < n; ++i) rest += a[i] * f16_to_f32(x[i]);
  return rest;
}

// Adds factor * x to numbers, as many.
BLOCQ_INLINE void add_halves(float factor, const le16* x, std::span<float> out) noexcept {
  const vec::floats factors = vec::fill_floats(factor);
  std::size_t i = 0;
  for (; i + 8 <= out.size(); i += 8)
    vec::store_floats(&out[i], vec::fma(factors, vec::load_f16(x + i), vec::load_floats(&out[i])));
  for (; i < out.size(); ++i) out[i] += factor * f16_to_f32(x[i]);
}

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA::kv

#endif
