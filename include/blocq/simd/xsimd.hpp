// The only door to xsimd, versions 8.1 to 14: whether it can be used here.
// BLOCQ_HAS_XSIMD is 1 if xsimd is found and usable; define BLOCQ_NO_XSIMD to leave it out on purpose.
#ifndef BLOCQ_SIMD_XSIMD_HPP
#define BLOCQ_SIMD_XSIMD_HPP

#include <blocq/core/config.hpp>

// Names that xsimd uses and that windows.h and complex.h define as macros.
#pragma push_macro("min")
#pragma push_macro("max")
#pragma push_macro("I")
#undef min
#undef max
#undef I

#define BLOCQ_HAS_XSIMD 0
#if !defined(BLOCQ_NO_XSIMD) && !defined(BLOCQ_NO_SIMD) && \
    __has_include(<xsimd/xsimd.hpp>) && (defined(__SSE2__) || defined(__aarch64__))
#include <xsimd/config/xsimd_config.hpp>
// clang rejects the `throw` in the headers of xsimd 8 when exceptions are off.
#if !(defined(__clang__) && !defined(__cpp_exceptions) && XSIMD_VERSION_MAJOR < 9)
#undef BLOCQ_HAS_XSIMD
#define BLOCQ_HAS_XSIMD 1
#include <xsimd/xsimd.hpp>
#endif
#endif

#pragma pop_macro("I")
#pragma pop_macro("max")
#pragma pop_macro("min")

#endif
