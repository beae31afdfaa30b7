// What halves.hpp cannot say without naming x86 instructions, for what every x86-64 processor has: compilers' default.
// Per vector of 16 bytes:
//
//   & | ^ + -          pand, por, pxor, paddb
//   >> << on words     psrlw, psllw
//   lookup             16 loads
//   maddubs, maddss    psllw, psraw, pmullw, twice
//   madd2              pmaddwd
//   convert            punpcklbw, psraw, ...
//   ints *             pmuludq, twice
#ifndef BLOCQ_SIMD_PRIMITIVE_SSE2_HPP
#define BLOCQ_SIMD_PRIMITIVE_SSE2_HPP

#include <blocq/simd/primitive/vector16.hpp>

#if defined(__x86_64__) && defined(__SSE2__) && !(defined(__SSSE3__) && defined(__SSE4_1__))

#include <emmintrin.h>

#define BLOCQ_HAS_HALVES 1

namespace blocq::inline v0::inline BLOCQ_ISA::simd::halves {

// table[index % 16] for indices below 128.
BLOCQ_INLINE u8x16 lookup(u8x16 table, u8x16 index) noexcept {
  std::uint8_t from[16];
  std::memcpy(from, &table, 16);
  const u64x2 at = as<u64x2>(index);
  const auto eight = [&](std::uint64_t codes) BLOCQ_INLINE_LAMBDA {
    std::uint64_t r = 0;
    for (int i = 0; i < 64; i += 8) r |= static_cast<std::uint64_t>(from[codes >> i & 15]) << i;
    return r;
  };
  return as<u8x16>(u64x2{eight(at[0]), eight(at[1])});
}
BLOCQ_INLINE i32x4 madd2(i16x8 a, i16x8 b) noexcept {
  return as<i32x4>(_mm_madd_epi16(as<__m128i>(a), as<__m128i>(b)));
}
// Half of the elements, widened: the first ones if h is 0. Signed ones come from the upper half of a wider one.
BLOCQ_INLINE __m128i zip_bytes(__m128i low, __m128i high, int h) noexcept {
  return h == 0 ? _mm_unpacklo_epi8(low, high) : _mm_unpackhi_epi8(low, high);
}
BLOCQ_INLINE __m128i zip_words(__m128i low, __m128i high, int h) noexcept {
  return h == 0 ? _mm_unpacklo_epi16(low, high) : _mm_unpackhi_epi16(low, high);
}
BLOCQ_INLINE i16x8 widen_signed(i8x16 a, int h) noexcept {
  return as<i16x8>(zip_bytes(as<__m128i>(a), as<__m128i>(a), h)) >> 8;
}
BLOCQ_INLINE u16x8 widen_unsigned(u8x16 a, int h) noexcept {
  return as<u16x8>(zip_bytes(as<__m128i>(a), __m128i{}, h));
}
BLOCQ_INLINE i32x4 widen_signed(i16x8 a, int h) noexcept {
  return as<i32x4>(zip_words(as<__m128i>(a), as<__m128i>(a), h)) >> 16;
}
BLOCQ_INLINE u32x4 widen_unsigned(u16x8 a, int h) noexcept {
  return as<u32x4>(zip_words(as<__m128i>(a), __m128i{}, h));
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
