// The arithmetic of the scale searches. A lane type L is one float for each of L's independent problems: `lane` below
// is one problem at a time and the model of every other lane type; a SIMD lane runs the same search on several at once.
//
// A reference encoder's bytes depend on the order and the rounding of each float operation. So every operation of a
// lane rounds once, to nearest, in the order in which it is written: a barrier after it keeps the compiler from
// contracting a product and a sum, from reassociating a chain and from replacing a division, whatever its flags.
// Comparisons mean what IEEE 754 says under -ffinite-math-only too.
//
// What a search may use of a lane type: construction from float, + - * /, unary -, the six comparisons (which give
// mask_t<L>), & | ~ on masks, select, any, all, abs, sqrt, nearest_int, rounded, round_half_away, max_of, min_of,
// at_most, at_least, to_i8, to_u8, gather and scatter; for tables, packed_t<L>, lookup, first_minimum and
// position_of_minimum. Integers live in lanes as integer-valued floats; every integer of a search is below 2^24, so
// they are exact.
#ifndef BLOCQ_CORE_LANE_HPP
#define BLOCQ_CORE_LANE_HPP

#include <blocq/core/bits.hpp>

#ifndef BLOCQ_GNU
#include <cmath>
#endif

#include <cstddef>

namespace blocq::inline v0 {

namespace impl {
// Hides from the compiler how x came about.
template <class Float>
BLOCQ_INLINE Float opaque(Float x) noexcept {
#if defined(BLOCQ_GNU) && defined(__SSE2__)
  __asm__("" : "+x"(x));
#elif defined(BLOCQ_GNU) && defined(__aarch64__)
  __asm__("" : "+w"(x));
#elif defined(__wasm__)  // where clang 14 mixes up the memory of several
  __asm__("" : "+r"(x));
#elif defined(BLOCQ_GNU)
  __asm__("" : "+m"(x));  // through memory, which also ends the excess precision of x87
#else
  volatile Float y = x;
  x = y;
#endif
  return x;
}

// Division and square root as instructions: with -ffast-math compilers put approximations in their place.
BLOCQ_INLINE float quotient(float a, float b) noexcept {
#if defined(BLOCQ_GNU) && defined(__AVX__)
  __asm__("vdivss {%1, %0, %0|%0, %0, %1}" : "+x"(a) : "x"(b));
  return a;
#elif defined(BLOCQ_GNU) && defined(__SSE2__)
  __asm__("divss {%1, %0|%0, %1}" : "+x"(a) : "x"(b));
  return a;
#else
  return opaque(a / b);
#endif
}
BLOCQ_INLINE float square_root(float x) noexcept {
#if defined(BLOCQ_GNU) && defined(__AVX__)
  __asm__("vsqrtss %0, %0, %0" : "+x"(x));
  return x;
#elif defined(BLOCQ_GNU) && defined(__SSE2__)
  __asm__("sqrtss %0, %0" : "+x"(x));
  return x;
#elif defined(BLOCQ_GNU)
  return opaque(__builtin_sqrtf(x));
#else
  return opaque(std::sqrt(x));
#endif
}

// An integer that orders floats as their values do.
BLOCQ_INLINE constexpr std::int32_t order_of(std::uint32_t bits) noexcept {
  const auto magnitude = static_cast<std::int32_t>(bits & 0x7fffffffu);
  return (bits >> 31) != 0 ? -magnitude : magnitude;
}

// IEEE comparison from the bit patterns: a < b, false if either is a NaN.
BLOCQ_INLINE constexpr bool less_by_bits(float a, float b) noexcept {
  return !is_nan(a) && !is_nan(b) && order_of(to_bits(a)) < order_of(to_bits(b));
}
}  // namespace impl

// What a comparison of lanes gives. A type of its own because & and | of bool are int.
struct lane_mask {
  bool v;

  BLOCQ_INLINE lane_mask(bool m) noexcept : v(m) {}
  BLOCQ_INLINE operator bool() const noexcept { return v; }
  friend BLOCQ_INLINE lane_mask operator&(lane_mask a, lane_mask b) noexcept { return a.v && b.v; }
  friend BLOCQ_INLINE lane_mask operator|(lane_mask a, lane_mask b) noexcept { return a.v || b.v; }
  BLOCQ_INLINE lane_mask operator~() const noexcept { return !v; }
};

struct lane {
  float v;

  lane() = default;
  BLOCQ_INLINE lane(float x) noexcept : v(x) {}

  friend BLOCQ_INLINE lane operator+(lane a, lane b) noexcept { return impl::opaque(a.v + b.v); }
  friend BLOCQ_INLINE lane operator-(lane a, lane b) noexcept { return impl::opaque(a.v - b.v); }
  friend BLOCQ_INLINE lane operator*(lane a, lane b) noexcept { return impl::opaque(a.v * b.v); }
  friend BLOCQ_INLINE lane operator/(lane a, lane b) noexcept { return impl::quotient(a.v, b.v); }
  BLOCQ_INLINE lane operator-() const noexcept { return from_bits(to_bits(v) ^ 0x80000000u); }
  BLOCQ_INLINE lane& operator+=(lane b) noexcept { return *this = *this + b; }
  BLOCQ_INLINE lane& operator-=(lane b) noexcept { return *this = *this - b; }

#if BLOCQ_FINITE_MATH
  friend BLOCQ_INLINE lane_mask operator<(lane a, lane b) noexcept { return impl::less_by_bits(a.v, b.v); }
  friend BLOCQ_INLINE lane_mask operator==(lane a, lane b) noexcept {
    return to_bits(a.v) == to_bits(b.v) ? !is_nan(a.v) : ((to_bits(a.v) | to_bits(b.v)) & 0x7fffffffu) == 0;
  }
  friend BLOCQ_INLINE lane_mask operator<=(lane a, lane b) noexcept { return a < b || a == b; }
#else
  friend BLOCQ_INLINE lane_mask operator<(lane a, lane b) noexcept { return a.v < b.v; }
  friend BLOCQ_INLINE lane_mask operator==(lane a, lane b) noexcept { return a.v == b.v; }
  friend BLOCQ_INLINE lane_mask operator<=(lane a, lane b) noexcept { return a.v <= b.v; }
#endif
  friend BLOCQ_INLINE lane_mask operator>(lane a, lane b) noexcept { return b < a; }
  friend BLOCQ_INLINE lane_mask operator>=(lane a, lane b) noexcept { return b <= a; }
  friend BLOCQ_INLINE lane_mask operator!=(lane a, lane b) noexcept { return !(a == b); }

  friend BLOCQ_INLINE lane abs(lane a) noexcept { return from_bits(to_bits(a.v) & 0x7fffffffu); }
  friend BLOCQ_INLINE lane sqrt(lane a) noexcept { return impl::square_root(a.v); }

  // The integer nearest to x, ties to even, for |x| <= 2^22; beyond that the value that the reference's bit trick
  // gives (the low 23 bits of x + 1.5 * 2^23, less 2^22).
  friend BLOCQ_INLINE lane nearest_int(lane x) noexcept {
    const std::uint32_t bits = to_bits((x + lane(12582912.0f)).v);
    return static_cast<float>(static_cast<std::int32_t>(bits & 0x7fffffu) - 0x400000);
  }
  // The same for |x| <= 2^22; the sign of a zero is left open.
  friend BLOCQ_INLINE lane rounded(lane x) noexcept { return (x + lane(12582912.0f)) - lane(12582912.0f); }
};

// Float to 32-bit integer toward zero. Out of range and NaN give INT32_MIN, as the x86 instruction does; the reference
// relies on that where it converts to 8 bits.
BLOCQ_INLINE constexpr std::int32_t to_i32(float x) noexcept {
  const std::uint32_t magnitude = to_bits(x) & 0x7fffffffu;
  return magnitude >= 0x4f000000u ? INT32_MIN : static_cast<std::int32_t>(x);
}
BLOCQ_INLINE constexpr std::int8_t to_i8(float x) noexcept { return static_cast<std::int8_t>(to_i32(x)); }
BLOCQ_INLINE constexpr std::uint8_t to_u8(float x) noexcept { return static_cast<std::uint8_t>(to_i32(x)); }

// C's roundf: to the nearest integer, halves away from zero.
BLOCQ_INLINE constexpr float round_half_away(float x) noexcept {
  const std::uint32_t bits = to_bits(x), magnitude = bits & 0x7fffffffu;
  if (magnitude >= 0x4b000000u) return x;  // 2^23 and beyond: an integer already, or NaN
  const float whole = static_cast<float>(static_cast<std::int32_t>(from_bits(magnitude)));
  const float rounded = whole + (from_bits(magnitude) - whole >= 0.5f ? 1.0f : 0.0f);
  return from_bits(to_bits(rounded) | (bits & 0x80000000u));
}

BLOCQ_INLINE lane to_i8(lane x) noexcept { return static_cast<float>(to_i8(x.v)); }
BLOCQ_INLINE lane to_u8(lane x) noexcept { return static_cast<float>(to_u8(x.v)); }
BLOCQ_INLINE lane round_half_away(lane x) noexcept { return round_half_away(x.v); }

BLOCQ_INLINE lane select(lane_mask m, lane a, lane b) noexcept { return m ? a : b; }
BLOCQ_INLINE bool any(lane_mask m) noexcept { return m.v; }
BLOCQ_INLINE bool all(lane_mask m) noexcept { return m.v; }

// A 32-bit integer in each lane, whose arithmetic wraps: the bits of a float, or several fields of a few bits, all in
// all 16, that select entries of small tables.
struct lane_packed {
  std::int32_t v;

  lane_packed() = default;
  BLOCQ_INLINE explicit lane_packed(std::int32_t x) noexcept : v(x) {}
  BLOCQ_INLINE explicit lane_packed(lane x) noexcept : v(to_i32(x.v)) {}  // toward zero
  BLOCQ_INLINE explicit operator lane() const noexcept { return static_cast<float>(v); }

  static BLOCQ_INLINE lane_packed wrap(std::uint32_t x) noexcept { return lane_packed(static_cast<std::int32_t>(x)); }
  BLOCQ_INLINE std::uint32_t bits() const noexcept { return static_cast<std::uint32_t>(v); }
  friend BLOCQ_INLINE lane_packed operator+(lane_packed a, lane_packed b) noexcept { return wrap(a.bits() + b.bits()); }
  friend BLOCQ_INLINE lane_packed operator-(lane_packed a, lane_packed b) noexcept { return wrap(a.bits() - b.bits()); }
  friend BLOCQ_INLINE lane_packed operator&(lane_packed a, lane_packed b) noexcept { return lane_packed(a.v & b.v); }
  friend BLOCQ_INLINE lane_packed operator|(lane_packed a, lane_packed b) noexcept { return lane_packed(a.v | b.v); }
  BLOCQ_INLINE lane_packed operator<<(int n) const noexcept { return wrap(bits() << n); }
  BLOCQ_INLINE lane_packed operator>>(int n) const noexcept { return lane_packed(v >> n); }
  friend BLOCQ_INLINE lane_mask operator>(lane_packed a, lane_packed b) noexcept { return a.v > b.v; }
  friend BLOCQ_INLINE lane_packed max_of(lane_packed a, lane_packed b) noexcept { return a.v > b.v ? a : b; }
  friend BLOCQ_INLINE lane_packed min_of(lane_packed a, lane_packed b) noexcept { return a.v < b.v ? a : b; }
};

BLOCQ_INLINE lane_packed bits_of(lane x) noexcept { return lane_packed::wrap(to_bits(x.v)); }
BLOCQ_INLINE lane float_of(lane_packed bits) noexcept { return from_bits(bits.bits()); }
BLOCQ_INLINE lane_packed add_one(lane_packed x, lane_mask where) noexcept { return x + lane_packed(where.v ? 1 : 0); }
BLOCQ_INLINE lane_packed keep(lane_packed x, lane_mask where) noexcept { return where.v ? x : lane_packed(0); }
BLOCQ_INLINE std::int32_t maximum(lane_packed x) noexcept { return x.v; }

template <class L>
struct lane_traits;
template <>
struct lane_traits<lane> {
  static constexpr std::size_t size = 1;
  using mask = lane_mask;
  using packed = lane_packed;
};

template <class L>
using mask_t = typename lane_traits<L>::mask;
template <class L>
using packed_t = typename lane_traits<L>::packed;

// A lane type whose bits can be worked with as integers: a single register.
template <class L>
concept integer_lane = requires {
  typename packed_t<L>;
};

// Lane i holds p[i * stride]; scatter is the inverse. Lanes from `count` on repeat the last one and are not stored.
BLOCQ_INLINE void gather(lane& to, const float* p, std::size_t, std::size_t) noexcept { to = *p; }
BLOCQ_INLINE void scatter(lane from, float* p, std::size_t, std::size_t) noexcept { *p = from.v; }

// A tile, N consecutive floats for each lane: to[j] of lane i is p[i * stride + j].
template <class L, std::size_t N>
BLOCQ_INLINE void gather(L (&to)[N], const float* p, std::size_t stride, std::size_t count) noexcept {
  for (std::size_t j = 0; j < N; ++j) gather(to[j], p + j, stride, count);
}
template <class L, std::size_t N>
BLOCQ_INLINE void scatter(const L (&from)[N], float* p, std::size_t stride, std::size_t count) noexcept {
  for (std::size_t j = 0; j < N; ++j) scatter(from[j], p + j, stride, count);
}
// A tile of integers that fit a Byte, std::int8_t or std::uint8_t.
template <class L, std::size_t N, class Byte>
requires(sizeof(Byte) == 1) BLOCQ_INLINE
    void scatter(const L (&from)[N], Byte* p, std::size_t stride, std::size_t count) noexcept {
  float numbers[N * lane_traits<L>::size];
  scatter(from, numbers, N, count);
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t j = 0; j < N; ++j) p[i * stride + j] = static_cast<Byte>(numbers[i * N + j]);
}

// 2^Width floats, the same for every lane that looks something up: entry k is lane k % size of part[k / size], and
// where a register has more lanes than that, the entries repeat.
template <class L, int Width>
struct lookup_table {
  static constexpr std::size_t size = lane_traits<L>::size, entries = std::size_t{1} << Width;
  static constexpr std::size_t parts = entries > size ? entries / size : 1;

  L part[parts];

  lookup_table() = default;
  BLOCQ_INLINE explicit lookup_table(const float (&values)[entries]) noexcept {
    for (std::size_t p = 0; p < parts; ++p) {
      float lanes[size];
      for (std::size_t i = 0; i < size; ++i) lanes[i] = values[(p * size + i) % entries];
      gather(part[p], lanes, 1, size);
    }
  }
};

// Lane i gets the entry that the Width bits of p from bit Shift on select.
template <int Shift, int Width>
BLOCQ_INLINE lane lookup(const lookup_table<lane, Width>& table, lane_packed p) noexcept {
  return table.part[(p.bits() >> Shift) & ((1u << Width) - 1u)];
}

// Lane i holds p[i].
BLOCQ_INLINE void gather(lane_packed& to, const std::uint16_t* p) noexcept { to.v = *p; }
BLOCQ_INLINE void gather(lane_packed& to, const std::uint32_t* p) noexcept { to = lane_packed::wrap(*p); }
BLOCQ_INLINE void scatter(lane_packed from, std::uint32_t* p) noexcept { *p = from.bits(); }

// Integers that fit an Integer of 8 or 16 bits, lane after lane.
template <std::size_t N, class Integer>
BLOCQ_INLINE void scatter_run(const lane_packed (&from)[N], Integer* p) noexcept {
  for (std::size_t j = 0; j < N; ++j) p[j] = static_cast<Integer>(from[j].v);
}

// Integers of four bits, two to a byte, the first in the low half.
template <std::size_t N>
BLOCQ_INLINE void scatter_nibbles(const lane_packed (&from)[N], std::uint8_t* p) noexcept {
  for (std::size_t j = 0; j < N; j += 2) p[j / 2] = static_cast<std::uint8_t>(from[j].v | from[j + 1].v << 4);
}

// The first lane with the smallest value; and the position that goes with the smallest value, of equal values the
// smallest position, all positions being integers from 0 on. No value is a NaN.
BLOCQ_INLINE std::size_t first_minimum(lane) noexcept { return 0; }
BLOCQ_INLINE std::size_t position_of_minimum(lane, lane position) noexcept {
  return static_cast<std::size_t>(position.v);
}

// b unless a > b, and b unless a < b: with a NaN the result is b, as in the reference's macros.
template <class L>
BLOCQ_INLINE L max_of(L a, L b) noexcept {
  return select(a > b, a, b);
}
template <class L>
BLOCQ_INLINE L min_of(L a, L b) noexcept {
  return select(a < b, a, b);
}
// The smaller of x and highest > 0, the larger of x and lowest <= 0, for x that is not a NaN; the sign of a zero is
// left open.
template <class L>
BLOCQ_INLINE L at_most(L x, float highest) noexcept {
  return min_of(x, L(highest));
}
template <class L>
BLOCQ_INLINE L at_least(L x, float lowest) noexcept {
  return max_of(x, L(lowest));
}
template <class L>
BLOCQ_INLINE L clamp_to(L x, float lowest, float highest) noexcept {
  return max_of(L(lowest), min_of(L(highest), x));
}

}  // namespace blocq::inline v0

#endif
