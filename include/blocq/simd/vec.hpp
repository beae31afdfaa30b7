// The vectors and primitives of this translation unit's instruction set: blocq::simd::native. With BLOCQ_NO_SIMD, the
// portable model.
#ifndef BLOCQ_SIMD_VEC_HPP
#define BLOCQ_SIMD_VEC_HPP

#include <blocq/simd/primitive/common.hpp>
#if defined(BLOCQ_NO_SIMD)
#elif defined(__AVX2__)
#include <blocq/simd/primitive/avx2.hpp>
#elif defined(BLOCQ_GNU)
#include <blocq/simd/primitive/halves.hpp>
#endif

#include <cstddef>
#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA::simd {

#if defined(BLOCQ_NO_SIMD)
namespace native = common;
#elif defined(__AVX2__)
namespace native = avx2;
#elif defined(BLOCQ_HAS_HALVES)
namespace native = halves;
#else
namespace native = common;
#endif

// f.operator()<0>() to f.operator()<N - 1>(): shifts by a loop's counter become instructions with a constant.
template <int N, class F>
BLOCQ_INLINE void unroll(F&& f) noexcept {
  [&]<int... Index>(std::integer_sequence<int, Index...>) BLOCQ_INLINE_LAMBDA { (f.template operator()<Index>(), ...); }
  (std::make_integer_sequence<int, N>{});
}

// An array that is written as vectors and read element by element lies in memory: a compiler that keeps the vectors
// takes every element out of a register, which costs more than to load it.
template <class T>
BLOCQ_INLINE void keep_in_memory(T& array) noexcept {
#ifdef BLOCQ_GNU
  __asm__("" : "+m"(array));
#else
  static_cast<void>(array);
#endif
}

// a, of which the compiler is not to know where it comes from: it does not unroll a loop of so many rounds, and
// computes one address of two that are chosen from, where clang else computes both of everything that lies behind them.
template <class T>
BLOCQ_INLINE T opaque(T a) noexcept {
#ifdef BLOCQ_GNU
  __asm__("" : "+r"(a));
#endif
  return a;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd

#endif
