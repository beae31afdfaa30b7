// Two vectors as one, for a tile's rows: blocq::simd::wide. Sixteen rows of a dword, or thirty-two with AVX-512.
// The functions mean what their namesakes of primitive/common.hpp do.
#ifndef BLOCQ_SIMD_WIDE_HPP
#define BLOCQ_SIMD_WIDE_HPP

#ifndef BLOCQ_NO_SIMD
#include <blocq/simd/primitive/avx512.hpp>
#endif
#include <blocq/simd/pairs.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::simd {

#ifdef BLOCQ_HAS_AVX512
namespace one = avx512;
#else
namespace one = native;
#endif

namespace wide {

using namespace pairs;

using bytes = two<one::bytes>;
using words = two<one::words>;
using ints = two<one::ints>;
using floats = two<one::floats>;

inline constexpr bool has_dot4 = one::has_dot4;
inline constexpr std::size_t rows = sizeof(bytes) / 4;

// Rows of the other operand whose sums fit in the registers.
#ifdef BLOCQ_HAS_AVX512
inline constexpr std::size_t columns = 6;
#else
inline constexpr std::size_t columns = 4;
#endif

BLOCQ_INLINE bytes load_bytes(const std::uint32_t* p) noexcept {
  return {one::load_bytes(p), one::load_bytes(p + rows / 2)};
}
BLOCQ_INLINE bytes fill_dwords(const void* p) noexcept {
  const one::bytes v = one::fill_eighths(p);
  return {v, v};
}
// Eight floats, as often as a register holds them.
BLOCQ_INLINE one::floats fill_eight_floats(const float* p) noexcept {
#ifdef BLOCQ_HAS_AVX512
  return one::fill_halves(p);
#else
  return one::load_floats(p);
#endif
}
// 32 bytes, as often as a register holds them.
BLOCQ_INLINE one::bytes fill_32_bytes(const void* p) noexcept {
#ifdef BLOCQ_HAS_AVX512
  return one::load_halves(p, p);
#else
  return one::load_bytes(p);
#endif
}
// Adds the products of neighbours in bfloat16 to a sum: of the odd elements, then of the even ones, each rounded once.
BLOCQ_INLINE one::floats add_bf16_products(one::floats sum, one::bytes a, one::bytes b) noexcept {
#ifdef BLOCQ_HAS_BF16_PRODUCTS
  return one::add_bf16_products(sum, a, b);
#else
  one::floats a_even, a_odd, b_even, b_odd;
  one::split_bf16(a, a_even, a_odd);
  one::split_bf16(b, b_even, b_odd);
  return one::fma(a_even, b_even, one::fma(a_odd, b_odd, sum));
#endif
}
BLOCQ_INLINE words fill_words(int w) noexcept { return {one::fill_words(w), one::fill_words(w)}; }
BLOCQ_INLINE ints fill_ints(int x) noexcept { return {one::fill_ints(x), one::fill_ints(x)}; }
BLOCQ_INLINE floats load_floats(const float* p) noexcept {
  return {one::load_floats(p), one::load_floats(p + rows / 2)};
}
BLOCQ_INLINE void store_floats(float* p, floats a) noexcept {
  one::store_floats(p, a.low);
  one::store_floats(p + rows / 2, a.high);
}
}  // namespace wide

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd

#endif
