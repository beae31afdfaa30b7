// Two vectors as one: blocq::simd::pairs. With vectors of 32 bytes this is the register of 64 that quad.hpp stands for,
// and twice that register it is the tile's rows of wide.hpp. The functions mean what their namesakes of
// primitive/common.hpp do, of twice the size; what works within halves of 16 bytes there works within lanes here.
#ifndef BLOCQ_SIMD_PAIRS_HPP
#define BLOCQ_SIMD_PAIRS_HPP

#include <blocq/simd/vec.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::simd::pairs {

template <class V>
struct two {
  V low, high;
};
template <class V>
two(V, V) -> two<V>;

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
template <class V>
BLOCQ_INLINE two<V> operator&(two<V> a, two<V> b) noexcept {
  return {a.low & b.low, a.high & b.high};
}
template <class V>
BLOCQ_INLINE two<V> operator|(two<V> a, two<V> b) noexcept {
  return {a.low | b.low, a.high | b.high};
}
template <class V>
BLOCQ_INLINE two<V> operator^(two<V> a, two<V> b) noexcept {
  return {a.low ^ b.low, a.high ^ b.high};
}
template <class V>
BLOCQ_INLINE two<V> fma(two<V> a, two<V> b, two<V> c) noexcept {
  return {fma(a.low, b.low, c.low), fma(a.high, b.high, c.high)};
}
template <class V>
BLOCQ_INLINE two<V> twice(two<V> a, int h) noexcept {
  return {twice(a.low, h), twice(a.high, h)};
}
template <class V>
BLOCQ_INLINE void add_to(two<V>& sum, two<V> term) noexcept {
  add_to(sum.low, term.low);
  add_to(sum.high, term.high);
}
template <class U, class S>
BLOCQ_INLINE auto maddubs(two<U> u, two<S> s) noexcept {
  return two{maddubs(u.low, s.low), maddubs(u.high, s.high)};
}
template <class V>
BLOCQ_INLINE auto maddss(two<V> a, two<V> b) noexcept {
  return two{maddss(a.low, b.low), maddss(a.high, b.high)};
}
template <class V>
BLOCQ_INLINE auto madd2(two<V> a, two<V> b) noexcept {
  return two{madd2(a.low, b.low), madd2(a.high, b.high)};
}
template <class Ints, class Words>
BLOCQ_INLINE void madd2_to(two<Ints>& sum, two<Words> a, two<Words> b) noexcept {
  madd2_to(sum.low, a.low, b.low);
  madd2_to(sum.high, a.high, b.high);
}
template <class V>
BLOCQ_INLINE auto little_words(two<V> a) noexcept {
  return two{little_words(a.low), little_words(a.high)};
}
template <class V>
BLOCQ_INLINE auto even_and_odd(two<V> even, two<V> odd) noexcept {
  return two{even_and_odd(even.low, odd.low), even_and_odd(even.high, odd.high)};
}
template <class V>
BLOCQ_INLINE auto widen_quarters(two<V> a, int q) noexcept {
  return two{widen_quarters(a.low, q), widen_quarters(a.high, q)};
}
template <class Ints, class Bytes>
BLOCQ_INLINE void dot4_to(two<Ints>& sum, two<Bytes> biased, two<Bytes> s) noexcept {
  dot4_to(sum.low, biased.low, s.low);
  dot4_to(sum.high, biased.high, s.high);
}
template <int Width, int From, int To, class V>
BLOCQ_INLINE two<V> move_bits(two<V> a) noexcept {
  return {move_bits<Width, From, To>(a.low), move_bits<Width, From, To>(a.high)};
}
template <class V>
BLOCQ_INLINE auto next_digits(two<V>& even, two<V>& odd) noexcept {
  return two{next_digits(even.low, odd.low), next_digits(even.high, odd.high)};
}
template <class V>
BLOCQ_INLINE two<V> shift_right(two<V> a, int bits) noexcept {
  return {shift_right(a.low, bits), shift_right(a.high, bits)};
}
template <class V>
BLOCQ_INLINE two<V> count_bits(two<V> a) noexcept {
  return {count_bits(a.low), count_bits(a.high)};
}
template <class V>
BLOCQ_INLINE two<V> lookup16(two<V> table, two<V> index) noexcept {
  return {lookup16(table.low, index.low), lookup16(table.high, index.high)};
}
template <int From, class V>
BLOCQ_INLINE two<V> spread_bits_of_quarters(two<V> a, int set) noexcept {
  return {spread_bits_of_quarters<From>(a.low, set), spread_bits_of_quarters<From>(a.high, set)};
}
template <class V>
BLOCQ_INLINE two<V> interleave_bytes(two<V> a, two<V> b, int h) noexcept {
  return {interleave_bytes(a.low, b.low, h), interleave_bytes(a.high, b.high, h)};
}
template <class V>
BLOCQ_INLINE two<V> interleave_words(two<V> a, two<V> b, int h) noexcept {
  return {interleave_words(a.low, b.low, h), interleave_words(a.high, b.high, h)};
}
template <class V>
BLOCQ_INLINE two<V> shift_left(two<V> a, int bits) noexcept {
  return {shift_left(a.low, bits), shift_left(a.high, bits)};
}
template <int Bytes, class V>
BLOCQ_INLINE two<V> add_neighbours(two<V> a, two<V> b) noexcept {
  static_assert(Bytes < 16);
  return {add_neighbours<Bytes>(a.low, b.low), add_neighbours<Bytes>(a.high, b.high)};
}
template <class Bytes, class Floats>
BLOCQ_INLINE void split_bf16(two<Bytes> a, two<Floats>& even, two<Floats>& odd) noexcept {
  split_bf16(a.low, even.low, odd.low);
  split_bf16(a.high, even.high, odd.high);
}
// The upper word of every dword.
template <class V>
BLOCQ_INLINE auto upper_words(two<V> a) noexcept {
  return two{upper_words(a.low), upper_words(a.high)};
}
template <class V>
BLOCQ_INLINE auto to_floats(two<V> a) noexcept {
  return two{to_floats(a.low), to_floats(a.high)};
}
template <class V>
BLOCQ_INLINE auto as_bytes(two<V> a) noexcept {
  return two{as_bytes(a.low), as_bytes(a.high)};
}
template <class V>
BLOCQ_INLINE auto as_words(two<V> a) noexcept {
  return two{as_words(a.low), as_words(a.high)};
}
template <class V>
BLOCQ_INLINE auto as_ints(two<V> a) noexcept {
  return two{as_ints(a.low), as_ints(a.high)};
}
template <class V>
BLOCQ_INLINE auto as_floats(two<V> a) noexcept {
  return two{as_floats(a.low), as_floats(a.high)};
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd::pairs

#endif
