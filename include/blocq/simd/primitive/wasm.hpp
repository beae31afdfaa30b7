// What halves.hpp cannot say without naming instructions of WebAssembly (simd128; what they become depends on the
// machine that the engine runs on):
//
//   & | ^ + -          v128.and, i8x16.add, ...
//   >> << on words     i16x8.shr_u, i16x8.shl
//   lookup             i8x16.swizzle
//   maddubs, maddss    i16x8.shl, i16x8.shr_s, i16x8.mul, twice
//   madd2              i32x4.dot_i16x8_s
//   convert            i16x8.extend_low_i8x16_s, ...
//   ints *             i32x4.mul
#ifndef BLOCQ_SIMD_PRIMITIVE_WASM_HPP
#define BLOCQ_SIMD_PRIMITIVE_WASM_HPP

#include <blocq/simd/primitive/vector16.hpp>

#if defined(__wasm_simd128__)

#include <wasm_simd128.h>

#define BLOCQ_HAS_HALVES 1

namespace blocq::inline v0::inline BLOCQ_ISA::simd::halves {

// table[index % 16] for indices below 128.
BLOCQ_INLINE u8x16 lookup(u8x16 table, u8x16 index) noexcept {
  return as<u8x16>(wasm_i8x16_swizzle(as<v128_t>(table), as<v128_t>(index & 15)));
}
BLOCQ_INLINE i32x4 madd2(i16x8 a, i16x8 b) noexcept {
  return as<i32x4>(wasm_i32x4_dot_i16x8(as<v128_t>(a), as<v128_t>(b)));
}
// Half of the elements, widened: the first ones if h is 0.
BLOCQ_INLINE i16x8 widen_signed(i8x16 a, int h) noexcept {
  const auto v = as<v128_t>(a);
  return as<i16x8>(h == 0 ? wasm_i16x8_extend_low_i8x16(v) : wasm_i16x8_extend_high_i8x16(v));
}
BLOCQ_INLINE u16x8 widen_unsigned(u8x16 a, int h) noexcept {
  const auto v = as<v128_t>(a);
  return as<u16x8>(h == 0 ? wasm_u16x8_extend_low_u8x16(v) : wasm_u16x8_extend_high_u8x16(v));
}
BLOCQ_INLINE i32x4 widen_signed(i16x8 a, int h) noexcept {
  const auto v = as<v128_t>(a);
  return as<i32x4>(h == 0 ? wasm_i32x4_extend_low_i16x8(v) : wasm_i32x4_extend_high_i16x8(v));
}
BLOCQ_INLINE u32x4 widen_unsigned(u16x8 a, int h) noexcept {
  const auto v = as<v128_t>(a);
  return as<u32x4>(h == 0 ? wasm_u32x4_extend_low_u16x8(v) : wasm_u32x4_extend_high_u16x8(v));
}
// Keeps the compiler from knowing how a vector came about.
template <class V>
BLOCQ_INLINE V opaque(V v) noexcept {
  __asm__("" : "+r"(v));
  return v;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd::halves

#endif

#endif
