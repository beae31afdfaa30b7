// The vectors and primitives of this translation unit's instruction set: blocq::simd::native.
#ifndef BLOCQ_SIMD_VEC_HPP
#define BLOCQ_SIMD_VEC_HPP

#include <blocq/simd/primitive/common.hpp>
#if defined(__AVX2__)
#include <blocq/simd/primitive/avx2.hpp>
#endif

namespace blocq::inline v0::inline BLOCQ_ISA::simd {

#if defined(__AVX2__)
namespace native = avx2;
#else
namespace native = common;
#endif

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd

#endif
