// What halves.hpp cannot say without naming instructions of 64-bit ARM. Per vector of 16 bytes (Cortex-A76: pipes V0,
// V1; Cortex-A53 executes the same at half the width):
//
//   & | ^ + -          and, orr, eor, add         2 cycles, 2 a cycle
//   >> << on words     ushr, shl                  2 cycles, 1 a cycle
//   lookup             tbl                        2 cycles, 2 a cycle
//   maddubs, maddss    smull, smull2, addp        4 + 2 cycles
//   madd2              smull, smull2, addp        4 + 2 cycles
//   add_pairs          addp, faddp                2 cycles, 2 a cycle
//   count_bits         cnt                        2 cycles, 2 a cycle
//   dot4               sdot                       with dotprod, 3 cycles, 2 a cycle
//   matmul             smmla                      with i8mm (Neoverse N2), 3 cycles, 2 a cycle
//   convert            sxtl, uxtl                 2 cycles, 1 a cycle
//   ints *             mul                        5 cycles, every second cycle
//   f16_to_floats      fcvtl, fcvtl2              4 cycles, every second cycle
#ifndef BLOCQ_SIMD_PRIMITIVE_NEON64_HPP
#define BLOCQ_SIMD_PRIMITIVE_NEON64_HPP

#include <blocq/simd/primitive/vector16.hpp>

#if defined(__aarch64__) && defined(__ARM_NEON) && defined(BLOCQ_GNU) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#include <arm_neon.h>

#define BLOCQ_HAS_HALVES 1
#define BLOCQ_HAS_HALVES_MADD 1
#define BLOCQ_HAS_HALVES_F16 1
#define BLOCQ_HAS_HALVES_COUNT 1
#define BLOCQ_HAS_HALVES_ADD_PAIRS 1
#define BLOCQ_HAS_HALVES_FINISH 1
#define BLOCQ_HAS_HALVES_BYTE_SHIFTS 1

namespace blocq::inline v0::inline BLOCQ_ISA::simd::halves {

// table[index % 16] for indices below 128.
BLOCQ_INLINE u8x16 lookup(u8x16 table, u8x16 index) noexcept {
  return as<u8x16>(vqtbl1q_u8(as<uint8x16_t>(table), as<uint8x16_t>(index & 15)));
}
BLOCQ_INLINE u8x16 count_bits(u8x16 a) noexcept { return as<u8x16>(vcntq_u8(as<uint8x16_t>(a))); }
BLOCQ_INLINE i16x8 maddss(i8x16 a, i8x16 b) noexcept {
  const auto x = as<int8x16_t>(a), y = as<int8x16_t>(b);
  return as<i16x8>(vpaddq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(y)), vmull_high_s8(x, y)));
}
BLOCQ_INLINE i16x8 maddubs(u8x16 u, i8x16 s) noexcept { return maddss(as<i8x16>(u), s); }
BLOCQ_INLINE i32x4 madd2(i16x8 a, i16x8 b) noexcept {
  const int16x8_t x = as<int16x8_t>(a), y = as<int16x8_t>(b);
  return as<i32x4>(vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y)));
}
BLOCQ_INLINE i32x4 add_pairs(i32x4 a, i32x4 b) noexcept {
  return as<i32x4>(vpaddq_s32(as<int32x4_t>(a), as<int32x4_t>(b)));
}
BLOCQ_INLINE f32x4 add_pairs(f32x4 a, f32x4 b) noexcept {
  return as<f32x4>(vpaddq_f32(as<float32x4_t>(a), as<float32x4_t>(b)));
}
#ifdef __ARM_FEATURE_DOTPROD
#define BLOCQ_HAS_HALVES_DOT4 1
BLOCQ_INLINE i32x4 dot4(i32x4 sum, u8x16 a, u8x16 s) noexcept {
  return as<i32x4>(vdotq_s32(as<int32x4_t>(sum), as<int8x16_t>(a), as<int8x16_t>(s)));
}
#endif
#if defined(__ARM_FEATURE_MATMUL_INT8) && defined(__ARM_FEATURE_DOTPROD)
#define BLOCQ_HAS_HALVES_MATMUL 1
// Two rows of eight signed bytes of a times two of b: element 2 i + j is of row i of a and row j of b.
BLOCQ_INLINE i32x4 matmul(i32x4 sum, u8x16 a, u8x16 b) noexcept {
  return as<i32x4>(vmmlaq_s32(as<int32x4_t>(sum), as<int8x16_t>(a), as<int8x16_t>(b)));
}
#endif
// Half of the elements, widened: the first ones if h is 0.
BLOCQ_INLINE i16x8 widen_signed(i8x16 a, int h) noexcept {
  const auto v = as<int8x16_t>(a);
  return as<i16x8>(h == 0 ? vmovl_s8(vget_low_s8(v)) : vmovl_high_s8(v));
}
BLOCQ_INLINE u16x8 widen_unsigned(u8x16 a, int h) noexcept {
  const auto v = as<uint8x16_t>(a);
  return as<u16x8>(h == 0 ? vmovl_u8(vget_low_u8(v)) : vmovl_high_u8(v));
}
BLOCQ_INLINE i32x4 widen_signed(i16x8 a, int h) noexcept {
  const auto v = as<int16x8_t>(a);
  return as<i32x4>(h == 0 ? vmovl_s16(vget_low_s16(v)) : vmovl_high_s16(v));
}
BLOCQ_INLINE u32x4 widen_unsigned(u16x8 a, int h) noexcept {
  const auto v = as<uint16x8_t>(a);
  return as<u32x4>(h == 0 ? vmovl_u16(vget_low_u16(v)) : vmovl_high_u16(v));
}
// Keeps the compiler from knowing how a vector came about.
template <class V>
BLOCQ_INLINE V opaque(V v) noexcept {
  __asm__("" : "+w"(v));
  return v;
}
// Sums that are computed before those of the next call: g++ begins all of them at once else, and keeps on the stack
// what then finds no register.
template <class V>
BLOCQ_INLINE void finish(V& a, V& b) noexcept {
  __asm__ volatile("" : "+w"(a), "+w"(b));
}
BLOCQ_INLINE f32x4 f16_to_floats(u16x8 codes, int h) noexcept {
  const float16x8_t x = as<float16x8_t>(codes);
  return as<f32x4>(h == 0 ? vcvt_f32_f16(vget_low_f16(x)) : vcvt_high_f32_f16(x));
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd::halves

#endif

#endif
