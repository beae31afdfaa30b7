// Two vectors as one, for a tile's rows: blocq::simd::wide. Sixteen rows of a dword, or thirty-two with AVX-512.
// The functions mean what their namesakes of primitive/common.hpp do.
#ifndef BLOCQ_SIMD_WIDE_HPP
#define BLOCQ_SIMD_WIDE_HPP

#ifndef BLOCQ_NO_SIMD
#include <blocq/simd/primitive/avx512.hpp>
#endif
#include <blocq/simd/vec.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::simd {

#ifdef BLOCQ_HAS_AVX512
namespace one = avx512;
#else
namespace one = native;
#endif

namespace wide {

template <class V>
struct two {
  V low, high;
};
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
BLOCQ_INLINE words fill_words(int w) noexcept { return {one::fill_words(w), one::fill_words(w)}; }
BLOCQ_INLINE ints fill_ints(int x) noexcept { return {one::fill_ints(x), one::fill_ints(x)}; }
BLOCQ_INLINE floats load_floats(const float* p) noexcept {
  return {one::load_floats(p), one::load_floats(p + rows / 2)};
}
BLOCQ_INLINE void store_floats(float* p, floats a) noexcept {
  one::store_floats(p, a.low);
  one::store_floats(p + rows / 2, a.high);
}
template <class V>
BLOCQ_INLINE two<V> operator+(two<V> a, two<V> b) noexcept {
  return {a.low + b.low, a.high + b.high};
}
template <class V>
BLOCQ_INLINE two<V> operator-(two<V> a, two<V> b) noexcept {
  return {a.low - b.low, a.high - b.high};
}
template <class V>
BLOCQ_INLINE two<V> operator*(two<V> a, two<V> b) noexcept {
  return {a.low * b.low, a.high * b.high};
}
BLOCQ_INLINE floats fma(floats a, floats b, floats c) noexcept {
  return {one::fma(a.low, b.low, c.low), one::fma(a.high, b.high, c.high)};
}
template <class V>
BLOCQ_INLINE void add_to(two<V>& sum, two<V> term) noexcept {
  one::add_to(sum.low, term.low);
  one::add_to(sum.high, term.high);
}
BLOCQ_INLINE words maddubs(bytes u, bytes s) noexcept {
  return {one::maddubs(u.low, s.low), one::maddubs(u.high, s.high)};
}
BLOCQ_INLINE ints madd2(words a, words b) noexcept { return {one::madd2(a.low, b.low), one::madd2(a.high, b.high)}; }
BLOCQ_INLINE void dot4_to(ints& sum, bytes biased, bytes s) noexcept {
  one::dot4_to(sum.low, biased.low, s.low);
  one::dot4_to(sum.high, biased.high, s.high);
}
// The upper word of every dword.
BLOCQ_INLINE ints upper_words(bytes a) noexcept { return {one::upper_words(a.low), one::upper_words(a.high)}; }
BLOCQ_INLINE floats to_floats(ints a) noexcept { return {one::to_floats(a.low), one::to_floats(a.high)}; }
BLOCQ_INLINE words as_words(bytes a) noexcept { return {one::as_words(a.low), one::as_words(a.high)}; }
BLOCQ_INLINE ints as_ints(bytes a) noexcept { return {one::as_ints(a.low), one::as_ints(a.high)}; }
BLOCQ_INLINE floats as_floats(bytes a) noexcept { return {one::as_floats(a.low), one::as_floats(a.high)}; }

}  // namespace wide

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd

#endif
