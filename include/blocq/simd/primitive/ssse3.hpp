// What halves.hpp cannot say without naming x86 instructions, for processors with SSE4.1 and no AVX2. Per vector of 16
// bytes (Nehalem: ports 0, 1, 5):
//
//   & | ^ + -          pand, por, pxor, paddb     1 cycle, 3 a cycle (adds 2)
//   >> << on words     psrlw, psllw               1 cycle, 1 a cycle
//   lookup             pshufb                     1 cycle, 2 a cycle
//   maddubs, madd2     pmaddubsw, pmaddwd         3 cycles, 1 a cycle
//   maddss             pabsb, psignb, pmaddubsw   1 + 3 cycles
//   convert            pmovsxbw, pmovzxbw, ...    1 cycle, 2 a cycle
//   ints *             pmulld                     6 cycles, every second cycle
#ifndef BLOCQ_SIMD_PRIMITIVE_SSSE3_HPP
#define BLOCQ_SIMD_PRIMITIVE_SSSE3_HPP

#include <blocq/simd/primitive/vector16.hpp>

#if defined(__x86_64__) && defined(__SSSE3__) && defined(__SSE4_1__)

#include <smmintrin.h>

#define BLOCQ_HAS_HALVES 1
#define BLOCQ_HAS_HALVES_MADD 1

namespace blocq::inline v0::inline BLOCQ_ISA::simd::halves {

// table[index % 16] for indices below 128.
BLOCQ_INLINE u8x16 lookup(u8x16 table, u8x16 index) noexcept {
  return as<u8x16>(_mm_shuffle_epi8(as<__m128i>(table), as<__m128i>(index)));
}
BLOCQ_INLINE i16x8 maddubs(u8x16 u, i8x16 s) noexcept {
  return as<i16x8>(_mm_maddubs_epi16(as<__m128i>(u), as<__m128i>(s)));
}
BLOCQ_INLINE i16x8 maddss(i8x16 a, i8x16 b) noexcept {
  const auto x = as<__m128i>(a);
  return as<i16x8>(_mm_maddubs_epi16(_mm_abs_epi8(x), _mm_sign_epi8(as<__m128i>(b), x)));
}
BLOCQ_INLINE i32x4 madd2(i16x8 a, i16x8 b) noexcept {
  return as<i32x4>(_mm_madd_epi16(as<__m128i>(a), as<__m128i>(b)));
}
// Half of the elements, widened: the first ones if h is 0.
BLOCQ_INLINE __m128i half(__m128i a, int h) noexcept { return h == 0 ? a : _mm_unpackhi_epi64(a, a); }
BLOCQ_INLINE i16x8 widen_signed(i8x16 a, int h) noexcept {
  return as<i16x8>(_mm_cvtepi8_epi16(half(as<__m128i>(a), h)));
}
BLOCQ_INLINE u16x8 widen_unsigned(u8x16 a, int h) noexcept {
  return as<u16x8>(_mm_cvtepu8_epi16(half(as<__m128i>(a), h)));
}
BLOCQ_INLINE i32x4 widen_signed(i16x8 a, int h) noexcept {
  return as<i32x4>(_mm_cvtepi16_epi32(half(as<__m128i>(a), h)));
}
BLOCQ_INLINE u32x4 widen_unsigned(u16x8 a, int h) noexcept {
  return as<u32x4>(_mm_cvtepu16_epi32(half(as<__m128i>(a), h)));
}
// Keeps the compiler from knowing how a vector came about.
template <class V>
BLOCQ_INLINE V opaque(V v) noexcept {
  __asm__("" : "+x"(v));
  return v;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd::halves

#endif

#endif
