// Choosing at run time among translation units that were compiled for different instruction sets. Optional: nothing
// else in the library knows of it, and a program compiled for one instruction set needs none of it.
//
// A source of kernels is compiled once for each architecture (blocq_add_kernels in cmake/BlocqKernels.cmake does it)
// and fills a table of function pointers, a struct of the program's own; the rest of the program is compiled for the
// oldest processor it must run on and asks for the best table that runs here:
//
//   // kernels.cpp
//   template <>
//   const my_kernels& blocq::dispatch::kernels<my_kernels, BLOCQ_DISPATCH_ARCH>() noexcept {
//     static constexpr my_kernels table{...};
//     return table;
//   }
//   // anywhere else
//   const my_kernels& k = blocq::dispatch::choose<my_kernels, BLOCQ_DISPATCH_ARCHS>();
#ifndef BLOCQ_DISPATCH_DISPATCH_HPP
#define BLOCQ_DISPATCH_DISPATCH_HPP

#include <blocq/core/config.hpp>

#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64) || defined(_M_IX86)
#define BLOCQ_CPUID 1
#ifndef BLOCQ_GNU
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#else
#define BLOCQ_CPUID 0
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif
#endif

namespace blocq::dispatch::inline v0 {

// What a source of kernels is compiled for, from the oldest to the newest of each family. `baseline` is whatever the
// rest of the program is compiled for.
enum class arch : unsigned char {
  baseline,
  sse4,         // SSE4.2, SSSE3
  avx2,         // AVX2, FMA, F16C, BMI2
  avx_vnni,     // avx2 and AVX-VNNI
  avx512,       // avx2 and AVX-512 F, CD, BW, VL, DQ
  avx512_vnni,  // avx512 and IFMA, VBMI, VNNI, GFNI
  dotprod,      // ARMv8.2 with dot products
  i8mm,         // dotprod and the matrix products of 8-bit integers
};

BLOCQ_INLINE constexpr const char* name(arch a) noexcept {
  switch (a) {
    case arch::baseline: return "baseline";
    case arch::sse4: return "sse4";
    case arch::avx2: return "avx2";
    case arch::avx_vnni: return "avx_vnni";
    case arch::avx512: return "avx512";
    case arch::avx512_vnni: return "avx512_vnni";
    case arch::dotprod: return "dotprod";
    case arch::i8mm: return "i8mm";
  }
  return "unknown";
}

// The table that the translation unit compiled for A fills.
template <class Table, arch A>
const Table& kernels() noexcept;

}  // namespace blocq::dispatch::inline v0

namespace blocq::dispatch::inline v0::inline BLOCQ_ISA {

namespace detail {

#if BLOCQ_CPUID
struct cpuid_registers {
  unsigned a, b, c, d;
};
inline cpuid_registers cpuid(unsigned leaf, unsigned subleaf) noexcept {
#ifndef BLOCQ_GNU
  int r[4] = {};
  __cpuid(r, 0);
  if (static_cast<unsigned>(r[0]) < leaf) return {};
  __cpuidex(r, static_cast<int>(leaf), static_cast<int>(subleaf));
  return {static_cast<unsigned>(r[0]), static_cast<unsigned>(r[1]), static_cast<unsigned>(r[2]),
          static_cast<unsigned>(r[3])};
#else
  cpuid_registers r{};
  if (__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d) == 0) return {};
  return r;
#endif
}
// The registers that the operating system saves: bit 2 AVX, bits 5 to 7 AVX-512.
inline unsigned saved_registers() noexcept {
#ifndef BLOCQ_GNU
  return static_cast<unsigned>(_xgetbv(0));
#else
  unsigned low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
#endif
}

inline bool supports(arch a) noexcept {
  const auto has = [](unsigned word, unsigned bits) { return (word & bits) == bits; };
  constexpr unsigned sse4_bits = 1u | 1u << 9 | 1u << 19 | 1u << 20 | 1u << 23;  // SSE3, SSSE3, SSE4.1, SSE4.2, POPCNT
  constexpr unsigned avx_bits = 1u << 12 | 1u << 27 | 1u << 28 | 1u << 29;       // FMA, OSXSAVE, AVX, F16C
  constexpr unsigned avx2_bits = 1u << 3 | 1u << 5 | 1u << 8;                    // BMI1, AVX2, BMI2
  constexpr unsigned avx512_bits = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;  // F, DQ, CD, BW, VL
  constexpr unsigned ifma_bits = 1u << 21;                                                // IFMA
  constexpr unsigned vnni_bits = 1u << 1 | 1u << 8 | 1u << 11;                            // VBMI, GFNI, VNNI
  const cpuid_registers one = cpuid(1, 0), seven = cpuid(7, 0);
  const bool sse4 = has(one.c, sse4_bits);
  const unsigned saved = has(one.c, avx_bits) ? saved_registers() : 0;
  const bool avx2 = sse4 && has(saved, 0x06) && has(seven.b, avx2_bits);
  const bool avx512 = avx2 && has(saved, 0xe6) && has(seven.b, avx512_bits);
  switch (a) {
    case arch::baseline: return true;
    case arch::sse4: return sse4;
    case arch::avx2: return avx2;
    case arch::avx_vnni: return avx2 && seven.a >= 1 && has(cpuid(7, 1).a, 1u << 4);
    case arch::avx512: return avx512;
    case arch::avx512_vnni: return avx512 && has(seven.b, ifma_bits) && has(seven.c, vnni_bits);
    default: return false;
  }
}
#elif defined(__aarch64__) && defined(__linux__)
inline bool supports(arch a) noexcept {
  const bool dotprod = (getauxval(AT_HWCAP) >> 20 & 1u) != 0;
  switch (a) {
    case arch::baseline: return true;
    case arch::dotprod: return dotprod;
    case arch::i8mm: return dotprod && (getauxval(AT_HWCAP2) >> 13 & 1u) != 0;
    default: return false;
  }
}
#else
inline bool supports(arch a) noexcept { return a == arch::baseline; }
#endif

}  // namespace detail

// True if this processor and its operating system run code for `a`.
inline bool supports(arch a) noexcept { return detail::supports(a); }

// The last of Archs, which are in the order of the enumeration, that runs here and is at most `limit`. The first of
// them must run everywhere. Cheap enough for a start-up, not for a loop: keep the answer.
template <arch First, arch... Rest>
arch best(arch limit = arch::i8mm) noexcept {
  arch found = First;
  ((Rest <= limit && detail::supports(Rest) ? void(found = Rest) : void()), ...);
  return found;
}

// The table of kernels of best<Archs...>(limit).
template <class Table, arch... Archs>
const Table& choose(arch limit = arch::i8mm) noexcept {
  const arch chosen = best<Archs...>(limit);
  const Table* table = nullptr;
  ((Archs == chosen ? void(table = &v0::kernels<Table, Archs>()) : void()), ...);
  return *table;
}

}  // namespace blocq::dispatch::inline v0::inline BLOCQ_ISA

#endif
