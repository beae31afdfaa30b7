// Inputs in few bits, for the products that round them.
#ifndef BLOCQ_PACKED_INPUTS_HPP
#define BLOCQ_PACKED_INPUTS_HPP

#include <blocq/core/lane.hpp>
#include <blocq/simd/vec.hpp>

#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA::packed::detail {

// A NaN or an infinity if there is one.
inline float largest_magnitude(std::span<const float> x) noexcept {
  namespace vec = simd::native;
  vec::ints peak = vec::fill_ints(0);
  const auto add = [&](const float* p) BLOCQ_INLINE_LAMBDA {  // magnitudes are ordered as their bits
    peak = vec::larger(peak, vec::as_ints(vec::as_bytes(vec::load_floats(p))) & vec::fill_ints(0x7fffffff));
  };
  std::size_t k = 0;
  for (; k + 8 <= x.size(); k += 8) add(x.data() + k);
  float rest[8] = {};
  for (std::size_t i = 0; k + i < x.size(); ++i) rest[i] = x[k + i];
  add(rest);
  return from_bits(static_cast<std::uint32_t>(vec::largest(peak)));
}

// Whether numbers can be rounded to multiples of a scale. Not where it is subnormal, and may be half of what it should
// be (all numbers are next to nothing then), nor where it is none.
inline bool can_divide(float scale) noexcept { return scale >= 0x1p-126f && is_finite(scale); }

// Numbers 32 chunk to 32 chunk + 31 over scale, to the nearest integers, which are bytes; 0 beyond the end.
struct rounded_chunk {
  simd::native::bytes bytes;
  std::int32_t sum;
};
BLOCQ_INLINE rounded_chunk round_chunk(std::span<const float> x, std::size_t chunk, float scale) noexcept {
  namespace vec = simd::native;
  const std::size_t left = x.size() - 32 * chunk;
  const float* from = x.data() + 32 * chunk;
  float rest[32];
  if (left < 32) {
    for (std::size_t i = 0; i < 32; ++i) rest[i] = i < left ? from[i] : 0.0f;
    from = rest;
  }
  vec::ints codes[4];
  for (std::size_t q = 0; q < 4; ++q)
    codes[q] = vec::nearest(vec::as_written(vec::quotient(vec::load_floats(from + 8 * q), vec::fill_floats(scale))));
  return {vec::narrow(codes), vec::sum((codes[0] + codes[1]) + (codes[2] + codes[3]))};
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed::detail

#endif
