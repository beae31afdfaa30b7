// Compiler attributes, the assert hook and the namespace that keeps translation units with different flags apart.
// Nothing here changes a layout or a public type.
//
// Two namespaces hold the whole library:
//   blocq::v0            types: trivially copyable structs, traits, concepts, error codes. Their members are
//                        always inlined, so no function of this namespace is ever emitted.
//   blocq::v0::<ISA>     everything that becomes machine code. Its name is pasted from the instruction-set and
//                        arithmetic macros in force, so that a translation unit built with -mavx2 and one built
//                        without never share a symbol, and the linker cannot choose the wrong one of the two.
//                        It ends in the version, so that two versions of the library can live in one program.
// Both are inline namespaces: users write blocq::name.
#ifndef BLOCQ_CORE_CONFIG_HPP
#define BLOCQ_CORE_CONFIG_HPP

#include <blocq/version.hpp>

#if __cplusplus < 202002L && !(defined(_MSVC_LANG) && _MSVC_LANG >= 202002L)
#error "blocq needs C++20"
#endif

// Vector extension, statement of assembly, attributes. clang does not say __GNUC__ where it stands in for MSVC.
#if defined(__GNUC__) || defined(__clang__)
#define BLOCQ_GNU 1
#endif

#ifdef BLOCQ_GNU
#define BLOCQ_INLINE __attribute__((always_inline)) inline
#define BLOCQ_INLINE_LAMBDA __attribute__((always_inline))
#define BLOCQ_NOINLINE __attribute__((noinline))
#elif defined(_MSC_VER)
#define BLOCQ_INLINE __forceinline
#define BLOCQ_INLINE_LAMBDA
#define BLOCQ_NOINLINE __declspec(noinline)
#else
#define BLOCQ_INLINE inline
#define BLOCQ_INLINE_LAMBDA
#define BLOCQ_NOINLINE
#endif

// What a view or a reference is a part of: clang warns where that is a temporary.
#if defined(__has_cpp_attribute)
#if __has_cpp_attribute(clang::lifetimebound)
#define BLOCQ_LIFETIMEBOUND [[clang::lifetimebound]]
#endif
#endif
#ifndef BLOCQ_LIFETIMEBOUND
#define BLOCQ_LIFETIMEBOUND
#endif

// Preconditions. They are checked as assert() is, where NDEBUG is not defined; BLOCQ_ASSERT(condition), defined before
// the first include, checks them in another way.
#if defined(BLOCQ_ASSERT)
#define BLOCQ_TAG_CHECKED _checked
#elif defined(NDEBUG)
#define BLOCQ_ASSERT(condition) static_cast<void>(0)
#define BLOCQ_TAG_CHECKED
#else
#include <cassert>
#define BLOCQ_ASSERT(condition) assert(condition)
#define BLOCQ_TAG_CHECKED _debug
#endif

// -ffinite-math-only (part of -ffast-math) lets a compiler assume that no comparison ever sees a NaN.
#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#define BLOCQ_FINITE_MATH 1
#else
#define BLOCQ_FINITE_MATH 0
#endif

#if defined(__FAST_MATH__) || BLOCQ_FINITE_MATH
#define BLOCQ_TAG_MATH _fastmath
#else
#define BLOCQ_TAG_MATH
#endif

// With and without xsimd, and as the portable model that BLOCQ_NO_SIMD asks for, the same operation is another
// function.
#if defined(BLOCQ_NO_SIMD)
#define BLOCQ_TAG_XSIMD _portable
#elif defined(BLOCQ_NO_XSIMD) || !__has_include(<xsimd/xsimd.hpp>)
#define BLOCQ_TAG_XSIMD _scalar
#else
#define BLOCQ_TAG_XSIMD
#endif

// One piece of the namespace's name per instruction-set extension that changes the code a compiler emits.
#ifdef __SSE3__
#define BLOCQ_TAG_SSE3 _sse3
#else
#define BLOCQ_TAG_SSE3
#endif
#ifdef __SSSE3__
#define BLOCQ_TAG_SSSE3 _ssse3
#else
#define BLOCQ_TAG_SSSE3
#endif
#ifdef __SSE4_1__
#define BLOCQ_TAG_SSE41 _sse41
#else
#define BLOCQ_TAG_SSE41
#endif
#ifdef __SSE4_2__
#define BLOCQ_TAG_SSE42 _sse42
#else
#define BLOCQ_TAG_SSE42
#endif
#ifdef __AVX__
#define BLOCQ_TAG_AVX _avx
#else
#define BLOCQ_TAG_AVX
#endif
#ifdef __AVX2__
#define BLOCQ_TAG_AVX2 _avx2
#else
#define BLOCQ_TAG_AVX2
#endif
#ifdef __FMA__
#define BLOCQ_TAG_FMA _fma
#else
#define BLOCQ_TAG_FMA
#endif
#ifdef __F16C__
#define BLOCQ_TAG_F16C _f16c
#else
#define BLOCQ_TAG_F16C
#endif
#ifdef __BMI2__
#define BLOCQ_TAG_BMI2 _bmi2
#else
#define BLOCQ_TAG_BMI2
#endif
#ifdef __AVXVNNI__
#define BLOCQ_TAG_AVXVNNI _avxvnni
#else
#define BLOCQ_TAG_AVXVNNI
#endif
#ifdef __AVX512F__
#define BLOCQ_TAG_AVX512F _avx512f
#else
#define BLOCQ_TAG_AVX512F
#endif
#ifdef __AVX512BW__
#define BLOCQ_TAG_AVX512BW _bw
#else
#define BLOCQ_TAG_AVX512BW
#endif
#ifdef __AVX512VL__
#define BLOCQ_TAG_AVX512VL _vl
#else
#define BLOCQ_TAG_AVX512VL
#endif
#ifdef __AVX512DQ__
#define BLOCQ_TAG_AVX512DQ _dq
#else
#define BLOCQ_TAG_AVX512DQ
#endif
#ifdef __AVX512VNNI__
#define BLOCQ_TAG_AVX512VNNI _vnni
#else
#define BLOCQ_TAG_AVX512VNNI
#endif
#ifdef __AVX512VBMI__
#define BLOCQ_TAG_AVX512VBMI _vbmi
#else
#define BLOCQ_TAG_AVX512VBMI
#endif
#ifdef __AVX512BITALG__
#define BLOCQ_TAG_AVX512BITALG _bitalg
#else
#define BLOCQ_TAG_AVX512BITALG
#endif
#ifdef __GFNI__
#define BLOCQ_TAG_GFNI _gfni
#else
#define BLOCQ_TAG_GFNI
#endif
#ifdef __AVX512BF16__
#define BLOCQ_TAG_AVX512BF16 _bf16
#else
#define BLOCQ_TAG_AVX512BF16
#endif
#ifdef __ARM_FEATURE_DOTPROD
#define BLOCQ_TAG_DOTPROD _dotprod
#else
#define BLOCQ_TAG_DOTPROD
#endif
#ifdef __ARM_FEATURE_MATMUL_INT8
#define BLOCQ_TAG_I8MM _i8mm
#else
#define BLOCQ_TAG_I8MM
#endif
#ifdef __ARM_FEATURE_SVE
#define BLOCQ_TAG_SVE _sve
#else
#define BLOCQ_TAG_SVE
#endif

#if defined(__x86_64__) || defined(_M_X64)
#define BLOCQ_TAG_BASE x86_64
#elif defined(__i386__) || defined(_M_IX86)
#define BLOCQ_TAG_BASE x86
#elif defined(__aarch64__) || defined(_M_ARM64)
#define BLOCQ_TAG_BASE arm64
#elif defined(__wasm_simd128__)
#define BLOCQ_TAG_BASE wasm_simd128
#else
#define BLOCQ_TAG_BASE generic
#endif

#define BLOCQ_PASTE_X86_(a, b, c, d, e, f, g, h, i, j) a##b##c##d##e##f##g##h##i##j
#define BLOCQ_PASTE_X86(a, b, c, d, e, f, g, h, i, j) BLOCQ_PASTE_X86_(a, b, c, d, e, f, g, h, i, j)
#define BLOCQ_PASTE_512_(a, b, c, d, e, f, g, h, i) a##b##c##d##e##f##g##h##i
#define BLOCQ_PASTE_512(a, b, c, d, e, f, g, h, i) BLOCQ_PASTE_512_(a, b, c, d, e, f, g, h, i)
#define BLOCQ_PASTE_VERSION_(a, b, c) _v##a##_##b##_##c
#define BLOCQ_PASTE_VERSION(a, b, c) BLOCQ_PASTE_VERSION_(a, b, c)
#define BLOCQ_PASTE_ALL_(a, b, c, d, e, f, g, h, i, j) a##b##c##d##e##f##g##h##i##j
#define BLOCQ_PASTE_ALL(a, b, c, d, e, f, g, h, i, j) BLOCQ_PASTE_ALL_(a, b, c, d, e, f, g, h, i, j)

// The name of the innermost namespace, for example x86_64_sse3_ssse3_sse41_sse42_avx_avx2_fma_f16c_v0_1_0.
#define BLOCQ_ISA                                                                                                     \
  BLOCQ_PASTE_ALL(BLOCQ_TAG_BASE,                                                                                     \
                  BLOCQ_PASTE_X86(BLOCQ_TAG_SSE3, BLOCQ_TAG_SSSE3, BLOCQ_TAG_SSE41, BLOCQ_TAG_SSE42, BLOCQ_TAG_AVX,   \
                                  BLOCQ_TAG_AVX2, BLOCQ_TAG_FMA, BLOCQ_TAG_F16C, BLOCQ_TAG_BMI2, BLOCQ_TAG_AVXVNNI),  \
                  BLOCQ_PASTE_512(BLOCQ_TAG_AVX512F, BLOCQ_TAG_AVX512BW, BLOCQ_TAG_AVX512VL, BLOCQ_TAG_AVX512DQ,      \
                                  BLOCQ_TAG_AVX512VNNI, BLOCQ_TAG_AVX512VBMI, BLOCQ_TAG_AVX512BITALG, BLOCQ_TAG_GFNI, \
                                  BLOCQ_TAG_AVX512BF16),                                                              \
                  BLOCQ_TAG_DOTPROD, BLOCQ_TAG_I8MM, BLOCQ_TAG_SVE, BLOCQ_TAG_XSIMD, BLOCQ_TAG_MATH,                  \
                  BLOCQ_TAG_CHECKED,                                                                                  \
                  BLOCQ_PASTE_VERSION(BLOCQ_VERSION_MAJOR, BLOCQ_VERSION_MINOR, BLOCQ_VERSION_PATCH))

#endif
