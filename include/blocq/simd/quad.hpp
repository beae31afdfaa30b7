// Four lanes of 16 bytes: blocq::simd::quad, the vectors of dot, gemv and the products of few columns. With AVX-512 a
// register, elsewhere two vectors of 32 bytes (pairs.hpp). Names are those of primitive/common.hpp; what this page adds
// to them it says:
//
//   load_lanes     16 bytes from each of four addresses; fill_lanes: the same 16 four times
//   load_halves    32 bytes from each of two addresses; load_f16_halves, load_bf16_halves: 16 of numbers of 16 bits
//   load_every_other   runs i, i + 2, ... of Size bytes of 32 from each of four addresses, one lane each
//   load_fields    of 32 bytes, as move_bits: the fields at bit From, then those after them
//   split_nibbles  of 16 bytes from each of two addresses: the lower ones, then the upper ones
//   store_halves   32 bytes to each of two addresses
//   join           two vectors of 32 bytes
//   widen_zero     a vector of 32 bytes, then zeros
//   fold           the upper half added to the lower one
//   meet           of four vectors: dword j of lane l is the sum of lane l of vector j
//   meet_halves    of two results of meet: lanes 0 and 1, and lanes 2 and 3, are added to each other: of a, then of b
//   fours          of two products of bytes: in lane l, four words of sums of four products of the first, then of the
//                  second
//   spread_words   in lane l word From[2 l] of sixteen four times, then word From[2 l + 1]
//   spread_lane    the same of the eight words of one lane
//   spread_lanes   element l of each lane l, four times
//   fill_four, load_four_halves   four numbers, or as binary16, in each lane
//   load_halves_as_floats   binary16 at the beginning of each of sixteen blocks of Stride bytes, which are all read
//   load_pairs_of_halves_as_floats   the same of two numbers side by side
//   to_floats, lookup16   of 16 bytes, half h of a vector of 32
//   load_tapered   32 bytes, then 16, then 4 from three addresses, then zeros
//   join_planes    in each qword: byte c has in bit i bit c of byte From of planes[i]
//   spread_bits_of_halves   spread_bits from each of two addresses
//   spread_bits    bits 16 h to 16 h + 15 of four bytes from each of four addresses, one lane each
#ifndef BLOCQ_SIMD_QUAD_HPP
#define BLOCQ_SIMD_QUAD_HPP

#ifndef BLOCQ_NO_SIMD
#include <blocq/simd/primitive/avx512.hpp>
#endif
#include <blocq/simd/pairs.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::simd {

#ifdef BLOCQ_HAS_AVX512

namespace quad = avx512;

#else

namespace quad {

using namespace pairs;
using pairs::lookup16;
using pairs::to_floats;

using bytes = two<native::bytes>;
using words = two<native::words>;
using ints = two<native::ints>;
using floats = two<native::floats>;

inline constexpr bool has_dot4 = native::has_dot4;
inline constexpr int dot4_bias = native::dot4_bias;

BLOCQ_INLINE bytes load_bytes(const void* p) noexcept {
  return {native::load_bytes(p), native::load_bytes(static_cast<const std::uint8_t*>(p) + 32)};
}
BLOCQ_INLINE void store_bytes(void* p, bytes a) noexcept {
  native::store_bytes(p, a.low);
  native::store_bytes(static_cast<std::uint8_t*>(p) + 32, a.high);
}
BLOCQ_INLINE bytes load_halves(const void* a, const void* b) noexcept {
  return {native::load_bytes(a), native::load_bytes(b)};
}
BLOCQ_INLINE bytes load_lanes(const void* a, const void* b, const void* c, const void* d) noexcept {
  return {native::load_two(a, b), native::load_two(c, d)};
}
template <int Size>
BLOCQ_INLINE bytes load_every_other(const void* a, const void* b, const void* c, const void* d, int i) noexcept {
  const auto at = [i](const void* p, int run) { return static_cast<const std::uint8_t*>(p) + Size * (2 * run + i); };
  if constexpr (Size == 16)
    return load_lanes(at(a, 0), at(b, 0), at(c, 0), at(d, 0));
  else
    return {native::load_quarters(at(a, 0), at(a, 1), at(b, 0), at(b, 1)),
            native::load_quarters(at(c, 0), at(c, 1), at(d, 0), at(d, 1))};
}
template <int Width, int From, int To>
BLOCQ_INLINE bytes load_fields(const void* p) noexcept {
  const native::bytes all = native::load_bytes(p);
  return {native::move_bits<Width, From, To>(all), native::move_bits<Width, From + Width, To>(all)};
}
BLOCQ_INLINE bytes split_nibbles(const void* a, const void* b) noexcept {
  return {native::split_nibbles(a), native::split_nibbles(b)};
}
BLOCQ_INLINE bytes fill_lanes(const void* p) noexcept {
  const native::bytes v = native::load_halves(p);
  return {v, v};
}
BLOCQ_INLINE bytes fill_bytes(int b) noexcept { return {native::fill_bytes(b), native::fill_bytes(b)}; }
BLOCQ_INLINE words fill_words(int w) noexcept { return {native::fill_words(w), native::fill_words(w)}; }
BLOCQ_INLINE ints fill_ints(std::int32_t x) noexcept { return {native::fill_ints(x), native::fill_ints(x)}; }
BLOCQ_INLINE floats fill_floats(float x) noexcept { return {native::fill_floats(x), native::fill_floats(x)}; }
BLOCQ_INLINE floats load_floats(const float* p) noexcept {
  return {native::load_floats(p), native::load_floats(p + 8)};
}
BLOCQ_INLINE void store_floats(float* p, floats a) noexcept {
  native::store_floats(p, a.low);
  native::store_floats(p + 8, a.high);
}
BLOCQ_INLINE void store_halves(float* low, float* high, floats a) noexcept {
  native::store_floats(low, a.low);
  native::store_floats(high, a.high);
}
template <class V>
BLOCQ_INLINE two<V> join(V low, V high) noexcept {
  return {low, high};
}
template <class V>
BLOCQ_INLINE V fold(two<V> a) noexcept {
  return a.low + a.high;
}
template <class V>
BLOCQ_INLINE V as_written(V v) noexcept {
  return {native::as_written(v.low), native::as_written(v.high)};
}

template <class V>
BLOCQ_INLINE V meet(V a, V b, V c, V d) noexcept {
#ifdef BLOCQ_HAS_HALVES_ADD_PAIRS  // of integers, whose sums are the same in any order
  if constexpr (std::is_same_v<V, ints>) return add_neighbours<4>(add_neighbours<4>(a, b), add_neighbours<4>(c, d));
#endif
  return add_neighbours<4>(add_neighbours<8>(a, b), add_neighbours<8>(c, d));
}
template <class V>
BLOCQ_INLINE V meet_halves(V a, V b) noexcept {
  return {native::add_neighbours<16>(a.low, a.high), native::add_neighbours<16>(b.low, b.high)};
}
BLOCQ_INLINE words fours(words a, words b) noexcept { return add_neighbours<8>(a, b); }
BLOCQ_INLINE words fours(ints a, ints b) noexcept { return {native::pack(a.low, b.low), native::pack(a.high, b.high)}; }

BLOCQ_INLINE ints widen_zero(native::ints low) noexcept { return {low, native::fill_ints(0)}; }
BLOCQ_INLINE words widen_zero(native::words low) noexcept { return {low, native::fill_words(0)}; }

template <int... From>
BLOCQ_INLINE words spread_words(native::words a) noexcept {
  static_assert(sizeof...(From) == 8);
  constexpr int from[8] = {From...};
  return {native::spread_words<from[0], from[1], from[2], from[3]>(a),
          native::spread_words<from[4], from[5], from[6], from[7]>(a)};
}
template <int Lane, int... From>
BLOCQ_INLINE words spread_lane(words a) noexcept {
  return spread_words<(8 * (Lane % 2) + From)...>(Lane < 2 ? a.low : a.high);
}
BLOCQ_INLINE floats fill_four(float a, float b, float c, float d) noexcept {
  const native::floats four = native::fill_four(a, b, c, d);
  return {four, four};
}
BLOCQ_INLINE floats load_four_halves(const le16& a, const le16& b, const le16& c, const le16& d) noexcept {
  const native::floats four = native::load_four_halves(a, b, c, d);
  return {four, four};
}
BLOCQ_INLINE floats spread_lanes(floats a) noexcept {
  return {native::spread_two<0>(a.low), native::spread_two<2>(a.high)};
}
template <int From, int N>
BLOCQ_INLINE bytes join_planes(const bytes* planes) noexcept {
  bytes codes = spread_bits_of_quarters<From>(planes[0], 1);
  for (int i = 1; i < N; ++i) codes = codes | spread_bits_of_quarters<From>(planes[i], 1 << i);
  return codes;
}
BLOCQ_INLINE bytes spread_bits(const void* a, const void* b, const void* c, const void* d, int h, int set) noexcept {
  return {native::spread_bits_of_two(a, b, h, set), native::spread_bits_of_two(c, d, h, set)};
}

BLOCQ_INLINE bytes spread_bits_of_halves(const void* a, const void* b, int set) noexcept {
  return {native::spread_bits(a, set), native::spread_bits(b, set)};
}
BLOCQ_INLINE bytes load_tapered(const void* half, const void* lane, const void* dword) noexcept {
  return {native::load_bytes(half), native::half_and_eighth(lane, dword)};
}

template <std::size_t Stride>
BLOCQ_INLINE floats load_halves_as_floats(const void* p) noexcept {
  const auto eight = [p](std::size_t first) BLOCQ_INLINE_LAMBDA {
    return native::load_halves_as_floats([=](int i) BLOCQ_INLINE_LAMBDA {
      return static_cast<const std::uint8_t*>(p) + (first + static_cast<std::size_t>(i)) * Stride;
    });
  };
  return {eight(0), eight(8)};
}
template <std::size_t Stride>
BLOCQ_INLINE void load_pairs_of_halves_as_floats(const void* p, floats& first, floats& second) noexcept {
  const auto eight = [p](std::size_t from, native::floats& even, native::floats& odd) BLOCQ_INLINE_LAMBDA {
    const native::words pairs = native::little_words(native::load_eighths([=](int i) BLOCQ_INLINE_LAMBDA {
      return static_cast<const std::uint8_t*>(p) + (from + static_cast<std::size_t>(i)) * Stride;
    }));
    even = native::halves_to_floats(pairs, 0), odd = native::halves_to_floats(pairs, 1);
    native::split_pairs(even, odd);
  };
  eight(0, first.low, second.low);
  eight(8, first.high, second.high);
}
BLOCQ_INLINE floats halves_to_floats(native::words a) noexcept {
  return {native::halves_to_floats(a, 0), native::halves_to_floats(a, 1)};
}
BLOCQ_INLINE floats to_floats(native::bytes a, int h) noexcept {
  return {native::to_floats(a, 2 * h), native::to_floats(a, 2 * h + 1)};
}
BLOCQ_INLINE floats lookup16(const float (&table)[16], native::bytes index, int h) noexcept {
  return {native::lookup16(table, index, 2 * h), native::lookup16(table, index, 2 * h + 1)};
}
BLOCQ_INLINE void split_pairs(floats& a, floats& b) noexcept {
  native::split_pairs(a.low, a.high);
  native::split_pairs(b.low, b.high);
  const floats even = {a.low, b.low}, odd = {a.high, b.high};
  a = even, b = odd;
}
BLOCQ_INLINE floats load_f16(const void* p) noexcept {
  return {native::load_f16(p), native::load_f16(static_cast<const std::uint8_t*>(p) + 16)};
}
BLOCQ_INLINE floats load_bf16(const void* p) noexcept {
  return {native::load_bf16(p), native::load_bf16(static_cast<const std::uint8_t*>(p) + 16)};
}
BLOCQ_INLINE floats load_f16_halves(const void* a, const void* b) noexcept {
  return {native::load_f16(a), native::load_f16(b)};
}
BLOCQ_INLINE floats load_bf16_halves(const void* a, const void* b) noexcept {
  return {native::load_bf16(a), native::load_bf16(b)};
}
BLOCQ_INLINE float sum(floats a) noexcept { return native::sum(fold(a)); }

}  // namespace quad

#endif

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd

#endif
