// What wide.hpp needs of AVX-512. Meanings: common.hpp, of sixteen dwords instead of eight. Instructions per vector of
// 64 bytes (Zen 5; Ice Lake):
//
//   maddubs, madd2     vpmaddubsw, vpmaddwd       3 cycles, 2 a cycle; 5, 1 a cycle
//   dot4_to            vpdpbusd                   4 cycles, 2 a cycle; 5, 1 a cycle
//   ints *             vpmulld                    3 cycles, 2 a cycle; 10, every second cycle
//   fill_eighths       an operand in memory, broadcast
#ifndef BLOCQ_SIMD_PRIMITIVE_AVX512_HPP
#define BLOCQ_SIMD_PRIMITIVE_AVX512_HPP

#include <blocq/core/bits.hpp>

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)

#define BLOCQ_HAS_AVX512 1

#include <immintrin.h>

#include <cstring>

namespace blocq::inline v0::inline BLOCQ_ISA::simd::avx512 {

struct bytes {
  __m512i v;
};
struct words {
  __m512i v;
};
struct ints {
  __m512i v;
};
struct floats {
  __m512 v;
};

BLOCQ_INLINE bytes load_bytes(const void* p) noexcept { return {_mm512_loadu_si512(p)}; }
BLOCQ_INLINE bytes fill_eighths(const void* p) noexcept {
  int word;
  std::memcpy(&word, p, 4);
  return {_mm512_set1_epi32(word)};
}
BLOCQ_INLINE words fill_words(int w) noexcept { return {_mm512_set1_epi16(static_cast<short>(w))}; }
BLOCQ_INLINE ints fill_ints(int x) noexcept { return {_mm512_set1_epi32(x)}; }
BLOCQ_INLINE floats load_floats(const float* p) noexcept { return {_mm512_loadu_ps(p)}; }
BLOCQ_INLINE void store_floats(float* p, floats a) noexcept { _mm512_storeu_ps(p, a.v); }
BLOCQ_INLINE ints operator+(ints a, ints b) noexcept { return {_mm512_add_epi32(a.v, b.v)}; }
BLOCQ_INLINE ints operator*(ints a, ints b) noexcept { return {_mm512_mullo_epi32(a.v, b.v)}; }
BLOCQ_INLINE floats operator-(floats a, floats b) noexcept { return {_mm512_sub_ps(a.v, b.v)}; }
BLOCQ_INLINE floats operator*(floats a, floats b) noexcept { return {_mm512_mul_ps(a.v, b.v)}; }
BLOCQ_INLINE floats fma(floats a, floats b, floats c) noexcept { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
BLOCQ_INLINE void add_to(words& sum, words term) noexcept { sum.v = _mm512_add_epi16(sum.v, term.v); }
BLOCQ_INLINE void add_to(ints& sum, ints term) noexcept { sum.v = _mm512_add_epi32(sum.v, term.v); }
BLOCQ_INLINE words maddubs(bytes u, bytes s) noexcept { return {_mm512_maddubs_epi16(u.v, s.v)}; }
BLOCQ_INLINE ints madd2(words a, words b) noexcept { return {_mm512_madd_epi16(a.v, b.v)}; }
#ifdef __AVX512VNNI__
inline constexpr bool has_dot4 = true;
BLOCQ_INLINE void dot4_to(ints& sum, bytes biased, bytes s) noexcept {
#ifdef __GNUC__
  __m512i v = sum.v;
  __asm__("vpdpbusd {%2, %1, %0|%0, %1, %2}" : "+v"(v) : "v"(biased.v), "v"(s.v));
  sum.v = v;
#else
  sum.v = _mm512_dpbusd_epi32(sum.v, biased.v, s.v);
#endif
}
#else
inline constexpr bool has_dot4 = false;
BLOCQ_INLINE void dot4_to(ints& sum, bytes biased, bytes s) noexcept {
  const __m512i even = _mm512_and_si512(biased.v, _mm512_set1_epi16(0xff)), odd = _mm512_srli_epi16(biased.v, 8);
  const __m512i even_s = _mm512_srai_epi16(_mm512_slli_epi16(s.v, 8), 8), odd_s = _mm512_srai_epi16(s.v, 8);
  sum.v = _mm512_add_epi32(sum.v, _mm512_add_epi32(_mm512_madd_epi16(even, even_s), _mm512_madd_epi16(odd, odd_s)));
}
#endif
#ifdef __GNUC__  // these two intrinsics name a register that is undefined on purpose, of which g++ 12 warns
typedef std::int32_t ints_of_16 __attribute__((vector_size(64)));
BLOCQ_INLINE ints upper_words(bytes a) noexcept {
  return {reinterpret_cast<__m512i>(reinterpret_cast<ints_of_16>(a.v) >> 16)};
}
BLOCQ_INLINE floats to_floats(ints a) noexcept {
  return {__builtin_convertvector(reinterpret_cast<ints_of_16>(a.v), __m512)};
}
#else
BLOCQ_INLINE ints upper_words(bytes a) noexcept { return {_mm512_srai_epi32(a.v, 16)}; }
BLOCQ_INLINE floats to_floats(ints a) noexcept { return {_mm512_cvtepi32_ps(a.v)}; }
#endif
BLOCQ_INLINE words as_words(bytes a) noexcept { return {a.v}; }
BLOCQ_INLINE ints as_ints(bytes a) noexcept { return {a.v}; }
BLOCQ_INLINE floats as_floats(bytes a) noexcept { return {_mm512_castsi512_ps(a.v)}; }

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd::avx512

#endif

#endif
