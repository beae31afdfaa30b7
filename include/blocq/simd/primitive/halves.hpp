// The primitives on machines with vectors of 16 bytes: a vector of 32 is two of them. Meanings: common.hpp. Almost all
// is written once in the compilers' vector operations (vector16.hpp); the file of each instruction set that is included
// below says what becomes of them, and holds the few functions that need an instruction by its name.
#ifndef BLOCQ_SIMD_PRIMITIVE_HALVES_HPP
#define BLOCQ_SIMD_PRIMITIVE_HALVES_HPP

#include <blocq/core/lane.hpp>
#include <blocq/simd/primitive/neon64.hpp>
#include <blocq/simd/primitive/sse2.hpp>
#include <blocq/simd/primitive/ssse3.hpp>
#include <blocq/simd/primitive/wasm.hpp>
#include <blocq/simd/transpose.hpp>

#ifdef BLOCQ_HAS_HALVES

namespace blocq::inline v0::inline BLOCQ_ISA::simd::halves {

struct bytes {
  u8x16 low, high;
};
struct words {
  i16x8 low, high;
};
struct ints {
  i32x4 low, high;
};
struct floats {
  f32x4 low, high;
};

// ---- 16 bytes ----

BLOCQ_INLINE f32x4 to_floats(i32x4 a) noexcept { return __builtin_convertvector(a, f32x4); }

// Elements of a and b in turn, of their first halves or of their second ones.
BLOCQ_INLINE u8x16 zip(u8x16 a, u8x16 b, int h) noexcept {
  return h == 0 ? __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
                : __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
BLOCQ_INLINE u16x8 zip(u16x8 a, u16x8 b, int h) noexcept {
  return h == 0 ? __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
                : __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

// 255 where bit i % 8 of byte i / 8 + First of a dword, repeated, is set.
template <int First>
BLOCQ_INLINE u8x16 bit_masks(u32x4 dword) noexcept {
  constexpr int l = First, h = First + 1;
  const auto a = as<u8x16>(dword);
  const u8x16 source = __builtin_shufflevector(a, a, l, l, l, l, l, l, l, l, h, h, h, h, h, h, h, h);
  const u8x16 bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  return as<u8x16>((source & bit) == bit);
}

// The first twelve bytes as sixteen fields of six bits: three bytes to each dword, then its four fields to its bytes.
BLOCQ_INLINE u8x16 sixes(u8x16 a) noexcept {
  const u32x4 x = as<u32x4>(__builtin_shufflevector(a, u8x16{}, 0, 1, 2, 16, 3, 4, 5, 16, 6, 7, 8, 16, 9, 10, 11, 16));
  return as<u8x16>((x & 0x3fu) | ((x << 2) & 0x3f00u) | ((x << 4) & 0x3f0000u) | ((x << 6) & 0x3f000000u));
}

BLOCQ_INLINE f32x4 select(i32x4 mask, f32x4 a, f32x4 b) noexcept {
  return as<f32x4>((mask & as<i32x4>(a)) | (~mask & as<i32x4>(b)));
}

#ifndef BLOCQ_HAS_HALVES_MADD
// Bytes are shifted into words, the even ones and the odd ones.
BLOCQ_INLINE i16x8 maddubs(u8x16 u, i8x16 s) noexcept {
  const auto a = as<u16x8>(u);
  const auto b = as<i16x8>(s);
  return plus(times(as<i16x8>(a & fill_u16(255)), (b << 8) >> 8), times(as<i16x8>(a >> 8), b >> 8));
}
BLOCQ_INLINE i16x8 maddss(i8x16 a, i8x16 b) noexcept {
  const auto x = as<i16x8>(a), y = as<i16x8>(b);
  return plus(times((x << 8) >> 8, (y << 8) >> 8), times(x >> 8, y >> 8));
}
#endif

#ifndef BLOCQ_HAS_HALVES_FINISH
template <class V>
BLOCQ_INLINE void finish(V&, V&) noexcept {}
#endif

#ifndef BLOCQ_HAS_HALVES_COUNT
// In pairs, in fours, in all eight.
BLOCQ_INLINE u8x16 count_bits(u8x16 a) noexcept {
  a = a - ((a >> 1) & 0x55);
  a = (a & 0x33) + ((a >> 2) & 0x33);
  return (a + (a >> 4)) & 0x0f;
}
#endif

#ifndef BLOCQ_HAS_HALVES_F16
BLOCQ_INLINE f32x4 f16_to_floats(u16x8 codes, int h) noexcept {
  const u32x4 x = widen_unsigned(codes, h);
  const u32x4 shifted = (x & 0x7fffu) << 13, infinite = fill_u32(0x0f800000), bias = fill_u32(112u << 23);
  const u32x4 exponent = shifted & infinite;
  const u32x4 normal = shifted + bias + (as<u32x4>(exponent == infinite) & bias);
  // A subnormal number is the fraction of 1 + fraction, scaled.
  const u32x4 one = fill_u32(113u << 23);
  const f32x4 tiny = as<f32x4>(shifted + one) - as<f32x4>(one);
  const f32x4 magnitude = select(as<i32x4>(exponent == u32x4{}), tiny, as<f32x4>(normal));
  return as<f32x4>(as<u32x4>(magnitude) | (x & 0x8000u) << 16);
}
#endif

// ---- bytes ----

BLOCQ_INLINE bytes load_bytes(const void* p) noexcept {
  return {load_as<u8x16>(p), load_as<u8x16>(static_cast<const std::uint8_t*>(p) + 16)};
}
BLOCQ_INLINE bytes fill_bytes(int b) noexcept {
  const u8x16 v = fill_u8(static_cast<unsigned>(b));
  return {v, v};
}
BLOCQ_INLINE bytes load_halves(const void* p) noexcept {
  const auto v = load_as<u8x16>(p);
  return {v, v};
}
BLOCQ_INLINE bytes load_two(const void* a, const void* b) noexcept { return {load_as<u8x16>(a), load_as<u8x16>(b)}; }
BLOCQ_INLINE bytes load_quarters(const void* a, const void* b, const void* c, const void* d) noexcept {
  const auto two = [](const void* p, const void* q) BLOCQ_INLINE_LAMBDA {
    return as<u8x16>(u64x2{load_as<std::uint64_t>(p), load_as<std::uint64_t>(q)});
  };
  return {two(a, b), two(c, d)};
}
template <class At>
BLOCQ_INLINE bytes load_eighths(At at) noexcept {
  const auto entry = [&](int i) BLOCQ_INLINE_LAMBDA { return load_as<std::uint32_t>(at(i)); };
  return {as<u8x16>(u32x4{entry(0), entry(1), entry(2), entry(3)}),
          as<u8x16>(u32x4{entry(4), entry(5), entry(6), entry(7)})};
}
template <class At>
BLOCQ_INLINE void load_columns(At at, bytes* v) noexcept {
  u32x4 low[4], high[4];
  for (int r = 0; r < 4; ++r) {
    low[r] = load_as<u32x4>(at(r));
    high[r] = load_as<u32x4>(at(r + 4));
  }
  transpose(low);
  transpose(high);
  for (int i = 0; i < 4; ++i) v[i] = {as<u8x16>(low[i]), as<u8x16>(high[i])};
}
BLOCQ_INLINE bytes fill_eighths(const void* p) noexcept {
  const auto v = as<u8x16>(fill_u32(load_as<std::uint32_t>(p)));
  return {v, v};
}
BLOCQ_INLINE bytes half_and_eighths(const void* a, const void* b) noexcept {
  return {load_as<u8x16>(a), as<u8x16>(fill_u32(load_as<std::uint32_t>(b)))};
}
BLOCQ_INLINE bytes half_and_eighth(const void* a, const void* b) noexcept {
  return {load_as<u8x16>(a), as<u8x16>(u32x4{load_as<std::uint32_t>(b)})};
}
BLOCQ_INLINE bytes fill_halves(int low, int high) noexcept {
  return {fill_u8(static_cast<unsigned>(low)), fill_u8(static_cast<unsigned>(high))};
}
// Register by register: of 32 bytes at once g++ makes a copy on the stack.
template <class V>
BLOCQ_INLINE void store_registers(void* p, V a) noexcept {
  std::memcpy(p, &a.low, 16);
  std::memcpy(static_cast<std::uint8_t*>(p) + 16, &a.high, 16);
}
BLOCQ_INLINE void store_bytes(void* p, bytes a) noexcept { store_registers(p, a); }

BLOCQ_INLINE bytes operator&(bytes a, bytes b) noexcept { return {a.low & b.low, a.high & b.high}; }
BLOCQ_INLINE bytes operator|(bytes a, bytes b) noexcept { return {a.low | b.low, a.high | b.high}; }
BLOCQ_INLINE bytes operator^(bytes a, bytes b) noexcept { return {a.low ^ b.low, a.high ^ b.high}; }
BLOCQ_INLINE bytes operator+(bytes a, bytes b) noexcept { return {a.low + b.low, a.high + b.high}; }
BLOCQ_INLINE bytes operator-(bytes a, bytes b) noexcept { return {a.low - b.low, a.high - b.high}; }
BLOCQ_INLINE bytes operator*(bytes a, bytes b) noexcept { return {a.low * b.low, a.high * b.high}; }

BLOCQ_INLINE bytes carry_of_thrice(bytes a) noexcept {
  const auto carry = [](u8x16 v) BLOCQ_INLINE_LAMBDA { return u8x16{} - as<u8x16>((v > 85) + (v > 170)); };
  return {carry(a.low), carry(a.high)};
}
// Bytes are shifted as words, which all machines can, and what comes from a neighbour is cut off.
template <int Width>
BLOCQ_INLINE bytes field(bytes a, int shift) noexcept {
  const u8x16 mask = fill_u8((1u << Width) - 1u);
  const auto shifted = [&](u8x16 v) BLOCQ_INLINE_LAMBDA {
    return as<u8x16>(as<u16x8>(v) >> static_cast<std::uint16_t>(shift)) & mask;
  };
  return {shifted(a.low), shifted(a.high)};
}
template <int Width, int From, int To>
BLOCQ_INLINE bytes move_bits(bytes a) noexcept {
  const u8x16 mask = fill_u8(((1u << Width) - 1u) << To);
  const auto moved = [&](u8x16 v) BLOCQ_INLINE_LAMBDA {
#ifdef BLOCQ_HAS_HALVES_BYTE_SHIFTS
    if constexpr (To == 0 && From + Width == 8) return v >> From;
    if constexpr (From == 0 && To + Width == 8) return v << To;
#endif
    const auto w = as<u16x8>(v);
    return as<u8x16>(To >= From ? w << (To >= From ? To - From : 0) : w >> (To >= From ? 0 : From - To)) & mask;
  };
  return {moved(a.low), moved(a.high)};
}
BLOCQ_INLINE bytes shift_left(bytes a, int shift) noexcept {
  const u8x16 mask = fill_u8(0xffu << shift);
  const auto shifted = [&](u8x16 v) BLOCQ_INLINE_LAMBDA {
    return as<u8x16>(as<u16x8>(v) << static_cast<std::uint16_t>(shift)) & mask;
  };
  return {shifted(a.low), shifted(a.high)};
}
BLOCQ_INLINE bytes split_nibbles(const void* p) noexcept {
  const auto v = load_as<u8x16>(p);
  return {v & 15, v >> 4};
}
template <bool HighFirst = false>
BLOCQ_INLINE bytes spread_nibbles(const void* p) noexcept {
  const auto v = load_as<u8x16>(p);
  const u8x16 low = v & 15, high = v >> 4, first = HighFirst ? high : low, second = HighFirst ? low : high;
  return {zip(first, second, 0), zip(first, second, 1)};
}
BLOCQ_INLINE bytes spread_pairs(const void* p) noexcept {
  const auto v = as<u8x16>(u64x2{load_as<std::uint64_t>(p), 0});
  const u8x16 four = zip(v & 15, v >> 4, 0), first = four & 3, second = four >> 2;
  return {zip(first, second, 0), zip(first, second, 1)};
}
BLOCQ_INLINE bytes spread_bits(const void* p, int set) noexcept {
  const u32x4 v = fill_u32(load_as<std::uint32_t>(p));
  return bytes{bit_masks<0>(v), bit_masks<2>(v)} & fill_bytes(set);
}
template <int First>
BLOCQ_INLINE bytes spread_bits_of_eighths(bytes a, int set) noexcept {
  constexpr int b = First / 8;
  constexpr std::uint8_t one = 1 << First % 8, two = 2 << First % 8, four = 4 << First % 8, eight = 8 << First % 8;
  const u8x16 bit = {one, two, four, eight, one, two, four, eight, one, two, four, eight, one, two, four, eight};
  const auto masks = [&](u8x16 v) BLOCQ_INLINE_LAMBDA {
    const u8x16 source = __builtin_shufflevector(v, v, b, b, b, b, b + 4, b + 4, b + 4, b + 4, b + 8, b + 8, b + 8,
                                                 b + 8, b + 12, b + 12, b + 12, b + 12);
    return as<u8x16>((source & bit) == bit);
  };
  return bytes{masks(a.low), masks(a.high)} & fill_bytes(set);
}
template <int From>
BLOCQ_INLINE bytes spread_bits_of_quarters(bytes a, int set) noexcept {
  constexpr int b = From, c = From + 8;
  const u8x16 bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const auto masks = [&](u8x16 v) BLOCQ_INLINE_LAMBDA {
    const u8x16 source = __builtin_shufflevector(v, v, b, b, b, b, b, b, b, b, c, c, c, c, c, c, c, c);
    return as<u8x16>((source & bit) == bit);
  };
  return bytes{masks(a.low), masks(a.high)} & fill_bytes(set);
}
BLOCQ_INLINE bytes spread_bits_of_two(const void* a, const void* b, int h, int set) noexcept {
  const auto masks = [&](const void* p) BLOCQ_INLINE_LAMBDA {
    return bit_masks<0>(fill_u32(load_as<std::uint16_t>(static_cast<const std::uint8_t*>(p) + 2 * h)));
  };
  return bytes{masks(a), masks(b)} & fill_bytes(set);
}
BLOCQ_INLINE bytes spread_bytes(const void* p) noexcept {
  const auto v = as<u8x16>(fill_u32(load_as<std::uint32_t>(p)));
  return {__builtin_shufflevector(v, v, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1),
          __builtin_shufflevector(v, v, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3)};
}
BLOCQ_INLINE bytes spread_sixes(const void* p) noexcept {
  const auto low = load_as<u8x16>(p), high = load_as<u8x16>(static_cast<const std::uint8_t*>(p) + 8);  // from 4 on
  return {sixes(low), sixes(__builtin_shufflevector(high, high, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3))};
}
BLOCQ_INLINE bytes swap_middle_quarters(bytes a) noexcept {
  const auto low = as<u64x2>(a.low), high = as<u64x2>(a.high);
  return {as<u8x16>(__builtin_shufflevector(low, high, 0, 2)), as<u8x16>(__builtin_shufflevector(low, high, 1, 3))};
}
BLOCQ_INLINE std::uint32_t upper_bits(u8x16 a) noexcept {
  const u64x2 one = as<u64x2>(a >> 7);  // of each byte, gathered by a product without carries
  const auto eight = [&](int h)
                         BLOCQ_INLINE_LAMBDA { return static_cast<std::uint32_t>(one[h] * 0x0102040810204080u >> 56); };
  return eight(0) | eight(1) << 8;
}
BLOCQ_INLINE std::uint32_t upper_bits(bytes a) noexcept { return upper_bits(a.low) | upper_bits(a.high) << 16; }
BLOCQ_INLINE bytes count_bits(bytes a) noexcept { return {count_bits(a.low), count_bits(a.high)}; }
BLOCQ_INLINE bytes lookup16(bytes table, bytes index) noexcept {
  return {lookup(table.low, index.low), lookup(table.high, index.high)};
}
BLOCQ_INLINE bytes equal(bytes a, bytes b) noexcept { return {as<u8x16>(a.low == b.low), as<u8x16>(a.high == b.high)}; }
BLOCQ_INLINE bytes lesser(bytes a, bytes b) noexcept {
  const auto each = [](i8x16 x, i8x16 y) BLOCQ_INLINE_LAMBDA { return as<u8x16>(x < y ? x : y); };
  return {each(as<i8x16>(a.low), as<i8x16>(b.low)), each(as<i8x16>(a.high), as<i8x16>(b.high))};
}
BLOCQ_INLINE bytes negate_where(bytes a, bytes mask) noexcept { return (a ^ mask) - mask; }
BLOCQ_INLINE bytes negate_by_bits(bytes a, const void* p) noexcept { return negate_where(a, spread_bits(p, 255)); }
BLOCQ_INLINE bool any(bytes mask) noexcept {
  const auto either = as<u64x2>(mask.low | mask.high);
  return (either[0] | either[1]) != 0;
}

// ---- floats ----

BLOCQ_INLINE floats to_floats(bytes a, int q) noexcept {
  const i16x8 w = widen_signed(as<i8x16>(q < 2 ? a.low : a.high), q % 2);
  return {to_floats(widen_signed(w, 0)), to_floats(widen_signed(w, 1))};
}
BLOCQ_INLINE floats load_floats(const float* p) noexcept { return {load_as<f32x4>(p), load_as<f32x4>(p + 4)}; }
BLOCQ_INLINE void store_floats(float* p, floats a) noexcept { store_registers(p, a); }
BLOCQ_INLINE floats fill_floats(float x) noexcept { return {fill_f32(x), fill_f32(x)}; }
BLOCQ_INLINE floats operator*(floats a, floats b) noexcept { return {a.low * b.low, a.high * b.high}; }
BLOCQ_INLINE floats operator+(floats a, floats b) noexcept { return {a.low + b.low, a.high + b.high}; }
BLOCQ_INLINE floats operator-(floats a, floats b) noexcept { return {a.low - b.low, a.high - b.high}; }

template <class V>
BLOCQ_INLINE V as_written(V a) noexcept {
  return {opaque(a.low), opaque(a.high)};
}
BLOCQ_INLINE floats quotient(floats a, floats b) noexcept {
  const auto four = [](f32x4 x, f32x4 y) BLOCQ_INLINE_LAMBDA {
    const auto one = [&](int i) BLOCQ_INLINE_LAMBDA { return impl::quotient(x[i], y[i]); };
    return f32x4{one(0), one(1), one(2), one(3)};
  };
  return {four(a.low, b.low), four(a.high, b.high)};
}
BLOCQ_INLINE floats fma(floats a, floats b, floats c) noexcept {
  floats sum = {a.low * b.low + c.low, a.high * b.high + c.high};
  finish(sum.low, sum.high);
  return sum;
}
BLOCQ_INLINE floats twice(floats a, int h) noexcept {
  const auto of = [h](f32x4 v) BLOCQ_INLINE_LAMBDA {
    return h == 0 ? __builtin_shufflevector(v, v, 0, 0, 1, 1) : __builtin_shufflevector(v, v, 2, 2, 3, 3);
  };
  return {of(a.low), of(a.high)};
}
template <int First>
BLOCQ_INLINE floats spread_two(floats a) noexcept {
  return {__builtin_shufflevector(a.low, a.low, First, First, First, First),
          __builtin_shufflevector(a.high, a.high, First + 1, First + 1, First + 1, First + 1)};
}
BLOCQ_INLINE floats load_four_halves(const le16& a, const le16& b, const le16& c, const le16& d) noexcept {
  const u16x8 codes = {load(a), load(b), load(c), load(d)};
  const f32x4 four = f16_to_floats(codes, 0);
  return {four, four};
}
BLOCQ_INLINE floats fill_four(float a, float b, float c, float d) noexcept {
  const f32x4 four = {a, b, c, d};
  return {four, four};
}
BLOCQ_INLINE floats fill_two(float low, float high) noexcept { return {fill_f32(low), fill_f32(high)}; }
template <class At>
BLOCQ_INLINE floats load_halves_as_floats(At at) noexcept {
  const auto code = [&](int i) BLOCQ_INLINE_LAMBDA { return load_as<std::uint16_t>(at(i)); };
  u16x8 codes = {code(0)};
  for (int i = 1; i < 8; ++i) codes[i] = code(i);
  return {f16_to_floats(codes, 0), f16_to_floats(codes, 1)};
}
BLOCQ_INLINE floats copy_sign(floats magnitude, floats sign) noexcept {
  const auto with = [](f32x4 m, f32x4 s)
                        BLOCQ_INLINE_LAMBDA { return as<f32x4>(as<u32x4>(m) | (as<u32x4>(s) & 0x80000000u)); };
  return {with(magnitude.low, sign.low), with(magnitude.high, sign.high)};
}
BLOCQ_INLINE std::uint16_t float_to_half(float x) noexcept { return f32_to_f16(x); }
BLOCQ_INLINE void store_halves(std::uint16_t (&to)[8], floats a) noexcept {
  for (int i = 0; i < 8; ++i) to[i] = f32_to_f16(i < 4 ? a.low[i] : a.high[i - 4]);
}
BLOCQ_INLINE float sum(floats a) noexcept {
  const f32x4 four = a.low + a.high, two = four + __builtin_shufflevector(four, four, 2, 3, 0, 1);
  return two[0] + two[1];
}

// ---- words ----

BLOCQ_INLINE words load_words(const std::int16_t* p) noexcept { return {load_as<i16x8>(p), load_as<i16x8>(p + 8)}; }
BLOCQ_INLINE words load_little_words(const void* p) noexcept { return load_words(static_cast<const std::int16_t*>(p)); }
BLOCQ_INLINE void store_words(std::int16_t* p, words a) noexcept { store_registers(p, a); }
BLOCQ_INLINE words widen_half(bytes a, int h) noexcept {
  const u8x16 v = h == 0 ? a.low : a.high;
  return {widen_signed(as<i8x16>(v), 0), widen_signed(as<i8x16>(v), 1)};
}
BLOCQ_INLINE words widen_bytes(const void* p) noexcept {
  const auto v = load_as<u8x16>(p);
  return {as<i16x8>(widen_unsigned(v, 0)), as<i16x8>(widen_unsigned(v, 1))};
}
BLOCQ_INLINE words widen_quarters(bytes a, int q) noexcept {
  return {as<i16x8>(widen_unsigned(a.low, q)), as<i16x8>(widen_unsigned(a.high, q))};
}
BLOCQ_INLINE words widen_codes(bytes a, int h) noexcept {
  const u8x16 v = h == 0 ? a.low : a.high;
  return {as<i16x8>(widen_unsigned(v, 0)), as<i16x8>(widen_unsigned(v, 1))};
}
BLOCQ_INLINE words widen_even(bytes a) noexcept {
  const auto even = [](u8x16 v) BLOCQ_INLINE_LAMBDA { return as<i16x8>(as<u16x8>(v) << 8) >> 8; };
  return {even(a.low), even(a.high)};
}
BLOCQ_INLINE words widen_odd(bytes a) noexcept { return {as<i16x8>(a.low) >> 8, as<i16x8>(a.high) >> 8}; }
template <int A, int B, int C, int D>
BLOCQ_INLINE words spread_words(words a) noexcept {
  return {__builtin_shufflevector(a.low, a.high, A, A, A, A, B, B, B, B),
          __builtin_shufflevector(a.low, a.high, C, C, C, C, D, D, D, D)};
}
template <int First, int Second>
BLOCQ_INLINE words widen_two(bytes a) noexcept {
  const auto two = [](u8x16 v) BLOCQ_INLINE_LAMBDA {
    return as<i16x8>(__builtin_shufflevector(u8x16{}, v, 0, 16 + First, 0, 16 + Second, 0, 20 + First, 0, 20 + Second,
                                             0, 24 + First, 0, 24 + Second, 0, 28 + First, 0, 28 + Second)) >>
           8;
  };
  return {two(a.low), two(a.high)};
}
BLOCQ_INLINE words widen(std::uint64_t low, std::uint64_t high) noexcept {
  const auto v = as<u8x16>(u64x2{low, high});
  return {widen_signed(as<i8x16>(v), 0), widen_signed(as<i8x16>(v), 1)};
}
BLOCQ_INLINE words widen_twice(std::uint64_t a) noexcept {
  const auto v = as<u8x16>(u64x2{a, 0});
  const u8x16 twice = zip(v, v, 0);
  return {widen_signed(as<i8x16>(twice), 0), widen_signed(as<i8x16>(twice), 1)};
}
BLOCQ_INLINE words fill_words(int w) noexcept {
  const auto v = as<i16x8>(fill_u16(static_cast<unsigned>(w)));
  return {v, v};
}
BLOCQ_INLINE words fill_two(const std::int16_t* p) noexcept { return {fill_words(p[0]).low, fill_words(p[1]).low}; }
BLOCQ_INLINE words operator+(words a, words b) noexcept { return {plus(a.low, b.low), plus(a.high, b.high)}; }
BLOCQ_INLINE words operator-(words a, words b) noexcept { return {minus(a.low, b.low), minus(a.high, b.high)}; }
BLOCQ_INLINE words operator*(words a, words b) noexcept { return {times(a.low, b.low), times(a.high, b.high)}; }
BLOCQ_INLINE words operator|(words a, words b) noexcept { return {a.low | b.low, a.high | b.high}; }
BLOCQ_INLINE words operator&(words a, words b) noexcept { return {a.low & b.low, a.high & b.high}; }
BLOCQ_INLINE words equal(words a, words b) noexcept { return {a.low == b.low, a.high == b.high}; }
BLOCQ_INLINE bytes next_digits(words& even, words& odd) noexcept {
  const auto next = [](i16x8& e, i16x8& o) BLOCQ_INLINE_LAMBDA {
    e = (e & 255) * 3, o = (o & 255) * 3;
    return as<u8x16>(e >> 8 | (o & ~255));
  };
  return {next(even.low, odd.low), next(even.high, odd.high)};
}
BLOCQ_INLINE words shift_right(words a, int n) noexcept {
  const auto shifted = [n](i16x8 v)
                           BLOCQ_INLINE_LAMBDA { return as<i16x8>(as<u16x8>(v) >> static_cast<std::uint16_t>(n)); };
  return {shifted(a.low), shifted(a.high)};
}
template <int Low, int Width, int To>
BLOCQ_INLINE words move_field(words a) noexcept {
  const u16x8 mask = fill_u16(((1u << Width) - 1u) << To);
  const auto moved = [&](i16x8 v) BLOCQ_INLINE_LAMBDA {
    const auto x = as<u16x8>(v);
    return as<i16x8>((To >= Low ? x << (To >= Low ? To - Low : 0) : x >> (To >= Low ? 0 : Low - To)) & mask);
  };
  return {moved(a.low), moved(a.high)};
}
BLOCQ_INLINE words maddubs(bytes u, bytes s) noexcept {
  return {maddubs(u.low, as<i8x16>(s.low)), maddubs(u.high, as<i8x16>(s.high))};
}
BLOCQ_INLINE words maddss(bytes a, bytes b) noexcept {
  return {maddss(as<i8x16>(a.low), as<i8x16>(b.low)), maddss(as<i8x16>(a.high), as<i8x16>(b.high))};
}
BLOCQ_INLINE words interleave(bytes low, bytes high, int h) noexcept {
  const u8x16 l = h == 0 ? low.low : low.high, u = h == 0 ? high.low : high.high;
  return {as<i16x8>(zip(l, u, 0)), as<i16x8>(zip(l, u, 1))};
}
BLOCQ_INLINE bytes interleave_bytes(bytes a, bytes b, int h) noexcept {
  return {zip(a.low, b.low, h), zip(a.high, b.high, h)};
}
BLOCQ_INLINE bytes interleave_words(bytes a, bytes b, int h) noexcept {
  const auto both = [h](u8x16 x, u8x16 y) BLOCQ_INLINE_LAMBDA { return as<u8x16>(zip(as<u16x8>(x), as<u16x8>(y), h)); };
  return {both(a.low, b.low), both(a.high, b.high)};
}
BLOCQ_INLINE words little_words(bytes a) noexcept { return {as<i16x8>(a.low), as<i16x8>(a.high)}; }
BLOCQ_INLINE words pack(ints a, ints b) noexcept {
  const auto both = [](i32x4 x, i32x4 y) BLOCQ_INLINE_LAMBDA {
    return __builtin_shufflevector(as<i16x8>(x), as<i16x8>(y), 0, 2, 4, 6, 8, 10, 12, 14);
  };
  return {both(a.low, b.low), both(a.high, b.high)};
}
BLOCQ_INLINE words even_and_odd(ints even, ints odd) noexcept {
  const auto both = [](i32x4 e, i32x4 o)
                        BLOCQ_INLINE_LAMBDA { return as<i16x8>((as<u32x4>(e) & 0xffffu) | as<u32x4>(o) << 16); };
  return {both(even.low, odd.low), both(even.high, odd.high)};
}
BLOCQ_INLINE bytes narrow(words a, words b) noexcept {
  const auto pack = [](i16x8 x, i16x8 y) BLOCQ_INLINE_LAMBDA {
    return __builtin_shufflevector(as<u8x16>(x), as<u8x16>(y), 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28,
                                   30);
  };
  return {pack(a.low, a.high), pack(b.low, b.high)};
}
BLOCQ_INLINE void split_bf16(bytes a, floats& even, floats& odd) noexcept {
  const u32x4 low = as<u32x4>(a.low), high = as<u32x4>(a.high);
  even = {as<f32x4>(low << 16), as<f32x4>(high << 16)};
  odd = {as<f32x4>(low & 0xffff0000u), as<f32x4>(high & 0xffff0000u)};
}
BLOCQ_INLINE void split_pairs(floats& a, floats& b) noexcept {
  const floats even = {__builtin_shufflevector(a.low, a.high, 0, 2, 4, 6),
                       __builtin_shufflevector(b.low, b.high, 0, 2, 4, 6)};
  const floats odd = {__builtin_shufflevector(a.low, a.high, 1, 3, 5, 7),
                      __builtin_shufflevector(b.low, b.high, 1, 3, 5, 7)};
  a = even, b = odd;
}
BLOCQ_INLINE bytes repeat_words(words a, int h) noexcept {
  const auto v = as<u16x8>(h == 0 ? a.low : a.high);
  return {as<u8x16>(zip(v, v, 0)), as<u8x16>(zip(v, v, 1))};
}

// ---- ints ----

template <int Bytes, class V>
BLOCQ_INLINE V add_neighbours(V a, V b) noexcept {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  using half = decltype(a.low);
  const auto add = [](half x, half y) BLOCQ_INLINE_LAMBDA {
    if constexpr (Bytes == 8) {
      const auto p = as<u64x2>(x), q = as<u64x2>(y);
      return plus(as<half>(__builtin_shufflevector(p, q, 0, 2)), as<half>(__builtin_shufflevector(p, q, 1, 3)));
    } else {
#ifdef BLOCQ_HAS_HALVES_ADD_PAIRS
      if constexpr (sizeof(x[0]) == 4) return add_pairs(x, y);
#endif
      const auto p = as<u32x4>(x), q = as<u32x4>(y);
      return plus(as<half>(__builtin_shufflevector(p, q, 0, 2, 4, 6)),
                  as<half>(__builtin_shufflevector(p, q, 1, 3, 5, 7)));
    }
  };
  if constexpr (Bytes == 16) return {plus(a.low, a.high), plus(b.low, b.high)};
  return {add(a.low, b.low), add(a.high, b.high)};
}

#ifdef BLOCQ_HAS_HALVES_DOT4
inline constexpr bool has_dot4 = true;
inline constexpr int dot4_bias = 0;
#else
inline constexpr bool has_dot4 = false;
inline constexpr int dot4_bias = 128;
BLOCQ_INLINE i32x4 dot4(i32x4 sum, u8x16 biased, u8x16 s) noexcept {
  const i16x8 x = as<i16x8>(biased), y = as<i16x8>(s);
  return plus(plus(sum, madd2(x & 0xff, (y << 8) >> 8)), madd2(as<i16x8>(as<u16x8>(x) >> 8), y >> 8));
}
#endif
BLOCQ_INLINE void dot4_to(ints& sum, bytes biased, bytes s) noexcept {
  sum = {dot4(sum.low, biased.low, s.low), dot4(sum.high, biased.high, s.high)};
}
BLOCQ_INLINE ints madd2(words a, words b) noexcept { return {madd2(a.low, b.low), madd2(a.high, b.high)}; }
BLOCQ_INLINE void madd2_to(ints& sum, words a, words b) noexcept {
  sum = {plus(sum.low, madd2(a.low, b.low)), plus(sum.high, madd2(a.high, b.high))};
  finish(sum.low, sum.high);
}
BLOCQ_INLINE ints fill_ints(std::int32_t x) noexcept {
  const auto v = as<i32x4>(fill_u32(static_cast<std::uint32_t>(x)));
  return {v, v};
}
BLOCQ_INLINE ints operator+(ints a, ints b) noexcept { return {plus(a.low, b.low), plus(a.high, b.high)}; }
BLOCQ_INLINE ints operator-(ints a, ints b) noexcept { return {minus(a.low, b.low), minus(a.high, b.high)}; }
BLOCQ_INLINE ints operator*(ints a, ints b) noexcept { return {times(a.low, b.low), times(a.high, b.high)}; }
BLOCQ_INLINE ints operator&(ints a, ints b) noexcept { return {a.low & b.low, a.high & b.high}; }
BLOCQ_INLINE ints operator|(ints a, ints b) noexcept { return {a.low | b.low, a.high | b.high}; }
BLOCQ_INLINE ints shift_left(ints a, int n) noexcept { return {a.low << n, a.high << n}; }
BLOCQ_INLINE ints shift_right(ints a, int n) noexcept {
  const auto shifted = [n](i32x4 v)
                           BLOCQ_INLINE_LAMBDA { return as<i32x4>(as<u32x4>(v) >> static_cast<std::uint32_t>(n)); };
  return {shifted(a.low), shifted(a.high)};
}
BLOCQ_INLINE ints load_ints(const void* p) noexcept {
  return {load_as<i32x4>(p), load_as<i32x4>(static_cast<const std::uint8_t*>(p) + 16)};
}
BLOCQ_INLINE void store_ints(std::int32_t* p, ints a) noexcept { store_registers(p, a); }
BLOCQ_INLINE ints equal(ints a, ints b) noexcept { return {a.low == b.low, a.high == b.high}; }
BLOCQ_INLINE ints larger(ints a, ints b) noexcept {
  const auto choose = [](i32x4 x, i32x4 y) BLOCQ_INLINE_LAMBDA { return (x & (x > y)) | (y & (x <= y)); };
  return {choose(a.low, b.low), choose(a.high, b.high)};
}
BLOCQ_INLINE ints larger_unsigned(ints a, ints b) noexcept {
  const auto choose = [](u32x4 x, u32x4 y) BLOCQ_INLINE_LAMBDA { return as<i32x4>((x & (x > y)) | (y & (x <= y))); };
  return {choose(as<u32x4>(a.low), as<u32x4>(b.low)), choose(as<u32x4>(a.high), as<u32x4>(b.high))};
}
BLOCQ_INLINE std::int32_t largest(ints a) noexcept {
  const ints two = larger(a, {a.high, a.low});
  const std::int32_t x = two.low[0] > two.low[1] ? two.low[0] : two.low[1];
  const std::int32_t y = two.low[2] > two.low[3] ? two.low[2] : two.low[3];
  return x > y ? x : y;
}
BLOCQ_INLINE std::int32_t sum(ints a) noexcept {
  const auto four = as<u32x4>(plus(a.low, a.high));
  return static_cast<std::int32_t>((four[0] + four[1]) + (four[2] + four[3]));
}
BLOCQ_INLINE ints truncate(floats a) noexcept {
  return {__builtin_convertvector(a.low, i32x4), __builtin_convertvector(a.high, i32x4)};
}
// Adding 1.5 * 2^23 rounds to an integer in the low bits.
BLOCQ_INLINE ints nearest(floats a) noexcept {
  const f32x4 magic = fill_f32(12582912.0f);
  const auto round = [&](f32x4 v) BLOCQ_INLINE_LAMBDA { return minus(as<i32x4>(opaque(v + magic)), as<i32x4>(magic)); };
  return {round(a.low), round(a.high)};
}
BLOCQ_INLINE bytes narrow(const ints (&a)[4]) noexcept {
  const auto pack = [](ints x, ints y) BLOCQ_INLINE_LAMBDA {
    const auto words = [](ints v) BLOCQ_INLINE_LAMBDA {
      return __builtin_shufflevector(as<i16x8>(v.low), as<i16x8>(v.high), 0, 2, 4, 6, 8, 10, 12, 14);
    };
    return __builtin_shufflevector(as<u8x16>(words(x)), as<u8x16>(words(y)), 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22,
                                   24, 26, 28, 30);
  };
  return {pack(a[0], a[1]), pack(a[2], a[3])};
}
template <class At>
BLOCQ_INLINE ints load_bytes_as_ints(At at) noexcept {
  return {i32x4{*at(0), *at(1), *at(2), *at(3)}, i32x4{*at(4), *at(5), *at(6), *at(7)}};
}
BLOCQ_INLINE ints widen_words(const void* p) noexcept {
  const auto v = load_as<u16x8>(p);
  return {as<i32x4>(widen_unsigned(v, 0)), as<i32x4>(widen_unsigned(v, 1))};
}
BLOCQ_INLINE ints odd_eighths(const void* p) noexcept {
  const auto* at = static_cast<const std::uint8_t*>(p);
  const auto odd = [](i32x4 a, i32x4 b) BLOCQ_INLINE_LAMBDA { return __builtin_shufflevector(a, b, 1, 3, 5, 7); };
  return {odd(load_as<i32x4>(at), load_as<i32x4>(at + 16)), odd(load_as<i32x4>(at + 32), load_as<i32x4>(at + 48))};
}
BLOCQ_INLINE void add_to(words& sum, words term) noexcept { sum = sum + term; }
BLOCQ_INLINE void add_to(ints& sum, ints term) noexcept { sum = sum + term; }

BLOCQ_INLINE ints upper_words(bytes a) noexcept { return {as<i32x4>(a.low) >> 16, as<i32x4>(a.high) >> 16}; }
BLOCQ_INLINE floats to_floats(ints a) noexcept { return {to_floats(a.low), to_floats(a.high)}; }
BLOCQ_INLINE floats halves_to_floats(words a, int h) noexcept {
  const auto v = as<u16x8>(h == 0 ? a.low : a.high);
  return {f16_to_floats(v, 0), f16_to_floats(v, 1)};
}
BLOCQ_INLINE floats load_f16(const void* p) noexcept {
  const auto v = load_as<u16x8>(p);
  return {f16_to_floats(v, 0), f16_to_floats(v, 1)};
}
BLOCQ_INLINE float half_to_float(std::uint16_t a) noexcept {
#ifdef BLOCQ_HAS_HALVES_F16
  return f16_to_floats(fill_u16(a), 0)[0];
#else
  return f16_to_f32(a);
#endif
}
BLOCQ_INLINE floats uppers_to_floats(words a, int h) noexcept {
  const auto v = as<u16x8>(h == 0 ? a.low : a.high);
  return {as<f32x4>(zip(u16x8{}, v, 0)), as<f32x4>(zip(u16x8{}, v, 1))};
}
BLOCQ_INLINE floats load_bf16(const void* p) noexcept {
  const auto v = load_as<u16x8>(p);
  return {as<f32x4>(zip(u16x8{}, v, 0)), as<f32x4>(zip(u16x8{}, v, 1))};
}
BLOCQ_INLINE floats lookup16(const float (&table)[16], bytes index, int q) noexcept {
  const auto eight = as<u64x2>(q < 2 ? index.low : index.high)[q % 2];
  const auto at = [&](int i) BLOCQ_INLINE_LAMBDA { return table[eight >> (8 * i) & 15]; };
  return {f32x4{at(0), at(1), at(2), at(3)}, f32x4{at(4), at(5), at(6), at(7)}};
}
BLOCQ_INLINE void transpose_eighths(bytes (&a)[8]) noexcept {
  for (int i = 0; i < 4; ++i) {  // the quarters of the square change places,
    const u8x16 upper = a[i].high;
    a[i].high = a[i + 4].low;
    a[i + 4].low = upper;
  }
  for (int i = 0; i < 8; i += 4) {  // and each of them is transposed
    u32x4 low[4], high[4];
    for (int j = 0; j < 4; ++j) low[j] = as<u32x4>(a[i + j].low), high[j] = as<u32x4>(a[i + j].high);
    transpose(low);
    transpose(high);
    for (int j = 0; j < 4; ++j) a[i + j] = {as<u8x16>(low[j]), as<u8x16>(high[j])};
  }
}
BLOCQ_INLINE bytes as_bytes(words a) noexcept { return {as<u8x16>(a.low), as<u8x16>(a.high)}; }
BLOCQ_INLINE bytes as_bytes(ints a) noexcept { return {as<u8x16>(a.low), as<u8x16>(a.high)}; }
BLOCQ_INLINE bytes as_bytes(floats a) noexcept { return {as<u8x16>(a.low), as<u8x16>(a.high)}; }
BLOCQ_INLINE words as_words(bytes a) noexcept { return {as<i16x8>(a.low), as<i16x8>(a.high)}; }
BLOCQ_INLINE words as_words(ints a) noexcept { return {as<i16x8>(a.low), as<i16x8>(a.high)}; }
BLOCQ_INLINE bytes little_bytes(ints a) noexcept { return as_bytes(a); }
BLOCQ_INLINE ints as_ints(bytes a) noexcept { return {as<i32x4>(a.low), as<i32x4>(a.high)}; }
BLOCQ_INLINE floats as_floats(bytes a) noexcept { return {as<f32x4>(a.low), as<f32x4>(a.high)}; }
BLOCQ_INLINE void prefetch(const void* p) noexcept { __builtin_prefetch(p); }

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd::halves

#endif

#endif
