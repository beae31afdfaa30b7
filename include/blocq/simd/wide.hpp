// Vectors of 64 bytes, for sixteen rows at once: blocq::simd::wide. Two vectors of 32, or one register of AVX-512.
// The functions mean what their namesakes of primitive/common.hpp do.
#ifndef BLOCQ_SIMD_WIDE_HPP
#define BLOCQ_SIMD_WIDE_HPP

#include <blocq/simd/primitive/avx512.hpp>
#include <blocq/simd/vec.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::simd {

namespace twice {

template <class V>
struct two {
  V low, high;
};
using bytes = two<native::bytes>;
using words = two<native::words>;
using ints = two<native::ints>;
using floats = two<native::floats>;

inline constexpr bool has_dot4 = native::has_dot4;
inline constexpr int registers = 16;

BLOCQ_INLINE bytes load_bytes(const std::uint32_t* p) noexcept {
  return {native::load_bytes(p), native::load_bytes(p + 8)};
}
BLOCQ_INLINE bytes fill_dwords(const void* p) noexcept {
  const native::bytes v = native::fill_eighths(p);
  return {v, v};
}
BLOCQ_INLINE words fill_words(int w) noexcept { return {native::fill_words(w), native::fill_words(w)}; }
BLOCQ_INLINE ints fill_ints(int x) noexcept { return {native::fill_ints(x), native::fill_ints(x)}; }
BLOCQ_INLINE floats load_floats(const float* p) noexcept {
  return {native::load_floats(p), native::load_floats(p + 8)};
}
BLOCQ_INLINE void store_floats(float* p, floats a) noexcept {
  native::store_floats(p, a.low);
  native::store_floats(p + 8, a.high);
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
  return {native::fma(a.low, b.low, c.low), native::fma(a.high, b.high, c.high)};
}
template <class V>
BLOCQ_INLINE void add_to(two<V>& sum, two<V> term) noexcept {
  native::add_to(sum.low, term.low);
  native::add_to(sum.high, term.high);
}
BLOCQ_INLINE words maddubs(bytes u, bytes s) noexcept {
  return {native::maddubs(u.low, s.low), native::maddubs(u.high, s.high)};
}
BLOCQ_INLINE ints madd2(words a, words b) noexcept {
  return {native::madd2(a.low, b.low), native::madd2(a.high, b.high)};
}
BLOCQ_INLINE void dot4_to(ints& sum, bytes biased, bytes s) noexcept {
  native::dot4_to(sum.low, biased.low, s.low);
  native::dot4_to(sum.high, biased.high, s.high);
}
// The upper word of every dword.
BLOCQ_INLINE ints upper_words(bytes a) noexcept { return {native::upper_words(a.low), native::upper_words(a.high)}; }
BLOCQ_INLINE floats to_floats(ints a) noexcept { return {native::to_floats(a.low), native::to_floats(a.high)}; }
BLOCQ_INLINE words as_words(bytes a) noexcept { return {native::as_words(a.low), native::as_words(a.high)}; }
BLOCQ_INLINE ints as_ints(bytes a) noexcept { return {native::as_ints(a.low), native::as_ints(a.high)}; }
BLOCQ_INLINE floats as_floats(bytes a) noexcept { return {native::as_floats(a.low), native::as_floats(a.high)}; }

}  // namespace twice

#ifdef BLOCQ_HAS_AVX512
namespace wide = avx512;
#else
namespace wide = twice;
#endif

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd

#endif
