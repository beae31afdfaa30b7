// The primitives as plain loops: what each of them means, on every machine. An instruction set gives the same
// functions for its registers (avx2.hpp beside this file); tests hold it to this model. They are inlined where the
// compiler likes: forcing it made translation units of the model take minutes.
//
// Vectors have fixed sizes: 32 bytes, 16 words, 8 integers or floats. A primitive is verb and unit; where it works
// within halves of 16 bytes its name says so. Integer arithmetic wraps unless a function says otherwise.
#ifndef BLOCQ_SIMD_PRIMITIVE_COMMON_HPP
#define BLOCQ_SIMD_PRIMITIVE_COMMON_HPP

#include <blocq/core/bits.hpp>
#include <blocq/core/lane.hpp>

#include <cstring>

namespace blocq::inline v0::inline BLOCQ_ISA::simd::common {

struct bytes {
  std::uint8_t v[32];
};
struct words {
  std::int16_t v[16];
};
struct ints {
  std::int32_t v[8];
};
struct floats {
  float v[8];
};

// An integer that may have left its range, wrapped; and sums that wrap.
inline std::int32_t wrapped(std::int64_t x) noexcept { return static_cast<std::int32_t>(x); }
inline std::int32_t plus(std::int32_t a, std::int32_t b) noexcept { return wrapped(std::int64_t{a} + b); }
inline std::int16_t plus(std::int16_t a, std::int16_t b) noexcept { return static_cast<std::int16_t>(a + b); }
inline float plus(float a, float b) noexcept { return a + b; }

// v, computed before anything else is done with it: keeps -ffast-math from another order.
template <class V>
inline V as_written(V v) noexcept {
#ifdef BLOCQ_GNU
  __asm__("" : "+m"(v));
#endif
  return v;
}

inline bytes load_bytes(const void* p) noexcept {
  bytes r;
  std::memcpy(r.v, p, 32);
  return r;
}
inline bytes fill_bytes(int b) noexcept {
  bytes r;
  for (std::uint8_t& v : r.v) v = static_cast<std::uint8_t>(b);
  return r;
}
// 16 bytes, twice.
inline bytes load_halves(const void* p) noexcept {
  bytes r;
  std::memcpy(r.v, p, 16);
  std::memcpy(r.v + 16, p, 16);
  return r;
}
// 8 bytes each from four addresses.
inline bytes load_quarters(const void* a, const void* b, const void* c, const void* d) noexcept {
  bytes r;
  std::memcpy(r.v, a, 8);
  std::memcpy(r.v + 8, b, 8);
  std::memcpy(r.v + 16, c, 8);
  std::memcpy(r.v + 24, d, 8);
  return r;
}
// 4 bytes each from the addresses at(0) to at(7).
template <class At>
inline bytes load_eighths(At at) noexcept {
  bytes r;
  for (int i = 0; i < 8; ++i) std::memcpy(r.v + 4 * i, at(i), 4);
  return r;
}
// 16 bytes of each of eight rows, which begin at at(0) to at(7): eighth r of vector i is eighth i of row r.
template <class At>
inline void load_columns(At at, bytes* v) noexcept {
  for (int i = 0; i < 4; ++i)
    for (int r = 0; r < 8; ++r) std::memcpy(v[i].v + 4 * r, static_cast<const std::uint8_t*>(at(r)) + 4 * i, 4);
}
// The same 4 bytes eight times.
inline bytes fill_eighths(const void* p) noexcept {
  bytes r;
  for (int i = 0; i < 8; ++i) std::memcpy(r.v + 4 * i, p, 4);
  return r;
}
// 16 bytes each from two addresses.
inline bytes load_two(const void* a, const void* b) noexcept {
  bytes r;
  std::memcpy(r.v, a, 16);
  std::memcpy(r.v + 16, b, 16);
  return r;
}
// 16 bytes at a, then the 4 at b four times.
inline bytes half_and_eighths(const void* a, const void* b) noexcept {
  bytes r;
  std::memcpy(r.v, a, 16);
  for (int i = 16; i < 32; i += 4) std::memcpy(r.v + i, b, 4);
  return r;
}
// 16 bytes at a, then the 4 at b, then zeros.
inline bytes half_and_eighth(const void* a, const void* b) noexcept {
  bytes r{};
  std::memcpy(r.v, a, 16);
  std::memcpy(r.v + 16, b, 4);
  return r;
}
// One byte sixteen times, then the other.
inline bytes fill_halves(int low, int high) noexcept {
  bytes r;
  for (int i = 0; i < 32; ++i) r.v[i] = static_cast<std::uint8_t>(i < 16 ? low : high);
  return r;
}
inline void store_bytes(void* p, bytes a) noexcept { std::memcpy(p, a.v, 32); }

inline bytes operator&(bytes a, bytes b) noexcept {
  for (int i = 0; i < 32; ++i) a.v[i] = static_cast<std::uint8_t>(a.v[i] & b.v[i]);
  return a;
}
inline bytes operator|(bytes a, bytes b) noexcept {
  for (int i = 0; i < 32; ++i) a.v[i] = static_cast<std::uint8_t>(a.v[i] | b.v[i]);
  return a;
}
inline bytes operator^(bytes a, bytes b) noexcept {
  for (int i = 0; i < 32; ++i) a.v[i] = static_cast<std::uint8_t>(a.v[i] ^ b.v[i]);
  return a;
}
inline bytes operator+(bytes a, bytes b) noexcept {
  for (int i = 0; i < 32; ++i) a.v[i] = static_cast<std::uint8_t>(a.v[i] + b.v[i]);
  return a;
}
inline bytes operator-(bytes a, bytes b) noexcept {
  for (int i = 0; i < 32; ++i) a.v[i] = static_cast<std::uint8_t>(a.v[i] - b.v[i]);
  return a;
}

inline bytes operator*(bytes a, bytes b) noexcept {
  for (int i = 0; i < 32; ++i) a.v[i] = static_cast<std::uint8_t>(a.v[i] * b.v[i]);
  return a;
}
// byte * 3 / 256
inline bytes carry_of_thrice(bytes a) noexcept {
  for (std::uint8_t& v : a.v) v = static_cast<std::uint8_t>(v * 3 >> 8);
  return a;
}

// (byte >> shift) & (2^Width - 1), in every byte.
template <int Width>
inline bytes field(bytes a, int shift) noexcept {
  for (std::uint8_t& v : a.v) v = static_cast<std::uint8_t>((v >> shift) & ((1 << Width) - 1));
  return a;
}
// Bits [From, From + Width) of every byte, moved to bit To; the others are 0.
template <int Width, int From, int To>
inline bytes move_bits(bytes a) noexcept {
  for (std::uint8_t& v : a.v) v = static_cast<std::uint8_t>(((v >> From) & ((1 << Width) - 1)) << To);
  return a;
}
// byte << shift, without what leaves the byte.
inline bytes shift_left(bytes a, int shift) noexcept {
  for (std::uint8_t& v : a.v) v = static_cast<std::uint8_t>(v << shift);
  return a;
}
// From 16 bytes: their low nibbles, then their high nibbles.
inline bytes split_nibbles(const void* p) noexcept {
  bytes r = load_halves(p);
  for (int i = 0; i < 16; ++i) {
    r.v[i] = static_cast<std::uint8_t>(r.v[i] & 15);
    r.v[i + 16] = static_cast<std::uint8_t>(r.v[i + 16] >> 4);
  }
  return r;
}
// From 16 bytes: the two nibbles of each, low before high or high before low.
template <bool HighFirst = false>
inline bytes spread_nibbles(const void* p) noexcept {
  const bytes a = load_halves(p);
  bytes r;
  for (int i = 0; i < 32; ++i) r.v[i] = static_cast<std::uint8_t>((a.v[i / 2] >> ((i % 2 != HighFirst) * 4)) & 15);
  return r;
}
// From 8 bytes: the four fields of two bits of each, lowest first.
inline bytes spread_pairs(const void* p) noexcept {
  std::uint8_t a[8];
  std::memcpy(a, p, 8);
  bytes r;
  for (int i = 0; i < 32; ++i) r.v[i] = static_cast<std::uint8_t>((a[i / 4] >> (i % 4 * 2)) & 3);
  return r;
}
// From 4 bytes: byte i is `set` if bit i of them is set and 0 if not, bit 0 first.
inline bytes spread_bits(const void* p, int set) noexcept {
  std::uint8_t a[4];
  std::memcpy(a, p, 4);
  bytes r;
  for (int i = 0; i < 32; ++i) r.v[i] = static_cast<std::uint8_t>(((a[i / 8] >> (i % 8)) & 1) != 0 ? set : 0);
  return r;
}
// In every eighth: byte i is `set` if bit First + i of its 4 bytes is set and 0 if not. First is a multiple of 4.
template <int First>
inline bytes spread_bits_of_eighths(bytes a, int set) noexcept {
  bytes r;
  for (int i = 0; i < 32; ++i) {
    const int bit = First + i % 4;
    r.v[i] = static_cast<std::uint8_t>(((a.v[i / 4 * 4 + bit / 8] >> (bit % 8)) & 1) != 0 ? set : 0);
  }
  return r;
}
// In every quarter: byte i is `set` if bit i of its byte From is set and 0 if not.
template <int From>
inline bytes spread_bits_of_quarters(bytes a, int set) noexcept {
  bytes r;
  for (int i = 0; i < 32; ++i)
    r.v[i] = static_cast<std::uint8_t>(((a.v[i / 8 * 8 + From] >> (i % 8)) & 1) != 0 ? set : 0);
  return r;
}
// The same as spread_bits for bits 16h to 16h + 15 of 4 bytes at a, then of those at b.
inline bytes spread_bits_of_two(const void* a, const void* b, int h, int set) noexcept {
  const bytes first = spread_bits(a, set), second = spread_bits(b, set);
  bytes r;
  std::memcpy(r.v, first.v + 16 * h, 16);
  std::memcpy(r.v + 16, second.v + 16 * h, 16);
  return r;
}
// From 24 bytes: 32 fields of six bits, lowest first.
inline bytes spread_sixes(const void* p) noexcept {
  std::uint8_t a[25] = {};
  std::memcpy(a, p, 24);
  bytes r;
  for (int i = 0; i < 32; ++i) {
    const unsigned two = a[6 * i / 8] | static_cast<unsigned>(a[6 * i / 8 + 1]) << 8;
    r.v[i] = static_cast<std::uint8_t>((two >> (6 * i % 8)) & 63u);
  }
  return r;
}
// Swaps the second and the third quarter (of 8 bytes each).
inline bytes swap_middle_quarters(bytes a) noexcept {
  bytes r = a;
  std::memcpy(r.v + 8, a.v + 16, 8);
  std::memcpy(r.v + 16, a.v + 8, 8);
  return r;
}
// table[index % 16] for indices below 128, within each half.
inline bytes lookup16(bytes table, bytes index) noexcept {
  for (int i = 0; i < 32; ++i) index.v[i] = table.v[i / 16 * 16 + (index.v[i] & 15)];
  return index;
}
// 255 where they are equal, 0 elsewhere.
inline bytes equal(bytes a, bytes b) noexcept {
  for (int i = 0; i < 32; ++i) a.v[i] = a.v[i] == b.v[i] ? 255 : 0;
  return a;
}
// The lesser of each two, which are signed.
inline bytes lesser(bytes a, bytes b) noexcept {
  for (int i = 0; i < 32; ++i)
    a.v[i] = static_cast<std::int8_t>(a.v[i]) < static_cast<std::int8_t>(b.v[i]) ? a.v[i] : b.v[i];
  return a;
}
// Negated where the mask byte is 255, unchanged where it is 0.
inline bytes negate_where(bytes a, bytes mask) noexcept { return (a ^ mask) - mask; }

// True if any bit is set.
inline bool any(bytes mask) noexcept {
  unsigned bits = 0;
  for (const std::uint8_t v : mask.v) bits |= v;
  return bits != 0;
}
// Each of 4 bytes eight times.
inline bytes spread_bytes(const void* p) noexcept {
  bytes r;
  for (int i = 0; i < 32; ++i) r.v[i] = static_cast<const std::uint8_t*>(p)[i / 8];
  return r;
}

// Byte i negated if bit i of the 4 bytes at p is set.
inline bytes negate_by_bits(bytes a, const void* p) noexcept { return negate_where(a, spread_bits(p, 255)); }
// Bytes 8q to 8q + 7 as signed numbers.
inline floats to_floats(bytes a, int q) noexcept {
  floats r;
  for (int i = 0; i < 8; ++i) r.v[i] = static_cast<float>(static_cast<std::int8_t>(a.v[8 * q + i]));
  return r;
}

inline floats load_floats(const float* p) noexcept {
  floats r;
  std::memcpy(r.v, p, 32);
  return r;
}
inline void store_floats(float* p, floats a) noexcept { std::memcpy(p, a.v, 32); }
inline floats fill_floats(float x) noexcept {
  floats r;
  for (float& v : r.v) v = x;
  return r;
}
inline floats operator*(floats a, floats b) noexcept {
  for (int i = 0; i < 8; ++i) a.v[i] *= b.v[i];
  return a;
}
inline floats operator+(floats a, floats b) noexcept {
  for (int i = 0; i < 8; ++i) a.v[i] += b.v[i];
  return a;
}
inline floats operator-(floats a, floats b) noexcept {
  for (int i = 0; i < 8; ++i) a.v[i] -= b.v[i];
  return a;
}

// a / b, correctly rounded whatever the compiler's flags.
inline floats quotient(floats a, floats b) noexcept {
  for (int i = 0; i < 8; ++i) a.v[i] = impl::quotient(a.v[i], b.v[i]);
  return a;
}
// a * b + c; whether the product is rounded first is the machine's choice.
inline floats fma(floats a, floats b, floats c) noexcept { return a * b + c; }
// Elements 2 h and 2 h + 1 of each half, twice each.
inline floats twice(floats a, int h) noexcept {
  floats r;
  for (int i = 0; i < 8; ++i) r.v[i] = a.v[i / 4 * 4 + 2 * h + i % 4 / 2];
  return r;
}
// Element First of the first half four times, then the next one of the second half.
template <int First>
inline floats spread_two(floats a) noexcept {
  floats r;
  for (int i = 0; i < 8; ++i) r.v[i] = a.v[i / 4 * 5 + First];
  return r;
}
// Four binary16 numbers, in each half.
inline floats load_four_halves(const le16& a, const le16& b, const le16& c, const le16& d) noexcept {
  const float f[4] = {f16_to_f32(a), f16_to_f32(b), f16_to_f32(c), f16_to_f32(d)};
  return {{f[0], f[1], f[2], f[3], f[0], f[1], f[2], f[3]}};
}
// Four numbers, in each half.
inline floats fill_four(float a, float b, float c, float d) noexcept { return {{a, b, c, d, a, b, c, d}}; }
// `low` four times, then `high` four times.
inline floats fill_two(float low, float high) noexcept { return {{low, low, low, low, high, high, high, high}}; }
// Eight binary16 numbers, little-endian, that lie at the addresses at(0) to at(7).
template <class At>
inline floats load_halves_as_floats(At at) noexcept {
  floats r;
  for (int i = 0; i < 8; ++i) {
    le16 h;
    std::memcpy(&h, at(i), 2);
    r.v[i] = f16_to_f32(h);
  }
  return r;
}
// The sum of all elements: halves, then quarters, then eighths are added to each other.
inline float sum(floats a) noexcept {
  for (int n = 4; n > 0; n /= 2)
    for (int i = 0; i < n; ++i) a.v[i] += a.v[i + n];
  return a.v[0];
}

inline words load_words(const std::int16_t* p) noexcept {
  words r;
  std::memcpy(r.v, p, 32);
  return r;
}
// 16 words as they lie in a file.
inline words load_little_words(const void* p) noexcept {
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = static_cast<std::int16_t>(load(static_cast<const le16*>(p)[i]));
  return r;
}
inline void store_words(std::int16_t* p, words a) noexcept { std::memcpy(p, a.v, 32); }
// Signed bytes as words, the lowest first: the eight of `low`, then those of `high`; or those of `a`, each twice.
inline words widen(std::uint64_t low, std::uint64_t high) noexcept {
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = static_cast<std::int8_t>((i < 8 ? low : high) >> (i % 8 * 8) & 255u);
  return r;
}
inline words widen_twice(std::uint64_t a) noexcept {
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = static_cast<std::int8_t>(a >> (i / 2 * 8) & 255u);
  return r;
}
inline words fill_words(int w) noexcept {
  words r;
  for (std::int16_t& v : r.v) v = static_cast<std::int16_t>(w);
  return r;
}
// p[0] eight times, then p[1] eight times.
inline words fill_two(const std::int16_t* p) noexcept {
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = p[i / 8];
  return r;
}
// Words A and B four times each, then C and D.
template <int A, int B, int C, int D>
inline words spread_words(words a) noexcept {
  constexpr int from[4] = {A, B, C, D};
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = a.v[from[i / 4]];
  return r;
}
inline words operator+(words a, words b) noexcept {
  for (int i = 0; i < 16; ++i) a.v[i] = static_cast<std::int16_t>(a.v[i] + b.v[i]);
  return a;
}
inline words operator-(words a, words b) noexcept {
  for (int i = 0; i < 16; ++i) a.v[i] = static_cast<std::int16_t>(a.v[i] - b.v[i]);
  return a;
}
inline words operator*(words a, words b) noexcept {
  for (int i = 0; i < 16; ++i) a.v[i] = static_cast<std::int16_t>(a.v[i] * b.v[i]);
  return a;
}
// Bytes of up to 7 bits times signed bytes, two neighbouring products in each word. The caller keeps the sums within 16
// bits.
inline words maddubs(bytes u, bytes s) noexcept {
  words r;
  for (int i = 0; i < 16; ++i)
    r.v[i] = static_cast<std::int16_t>(u.v[2 * i] * static_cast<std::int8_t>(s.v[2 * i]) +
                                       u.v[2 * i + 1] * static_cast<std::int8_t>(s.v[2 * i + 1]));
  return r;
}
// The same of signed bytes, where b is not -128.
inline words maddss(bytes a, bytes b) noexcept {
  const auto product = [&](int i) { return static_cast<std::int8_t>(a.v[i]) * static_cast<std::int8_t>(b.v[i]); };
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = static_cast<std::int16_t>(product(2 * i) + product(2 * i + 1));
  return r;
}
// Bits [Low, Low + Width) of every word, moved to bit To; the others are 0.
template <int Low, int Width, int To>
inline words move_field(words a) noexcept {
  for (std::int16_t& v : a.v)
    v = static_cast<std::int16_t>(((static_cast<unsigned>(v) >> Low) & ((1u << Width) - 1u)) << To);
  return a;
}
inline words operator|(words a, words b) noexcept {
  for (int i = 0; i < 16; ++i) a.v[i] = static_cast<std::int16_t>(a.v[i] | b.v[i]);
  return a;
}
// All bits set where they are equal, none elsewhere.
inline words equal(words a, words b) noexcept {
  for (int i = 0; i < 16; ++i) a.v[i] = a.v[i] == b.v[i] ? -1 : 0;
  return a;
}
// Bit 7 of byte i as bit i.
inline std::uint32_t upper_bits(bytes a) noexcept {
  std::uint32_t r = 0;
  for (int i = 0; i < 32; ++i) r |= static_cast<std::uint32_t>(a.v[i] >> 7) << i;
  return r;
}
// How many bits of each byte are set.
inline bytes count_bits(bytes a) noexcept {
  for (std::uint8_t& v : a.v) v = static_cast<std::uint8_t>(count_ones(v));
  return a;
}
// 16 unsigned bytes as words.
inline words widen_bytes(const void* p) noexcept {
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = static_cast<const std::uint8_t*>(p)[i];
  return r;
}
// The first or the last eight bytes of each half (of 16) as unsigned words.
inline words widen_quarters(bytes a, int q) noexcept {
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = a.v[i / 8 * 16 + 8 * q + i % 8];
  return r;
}
// Half h as unsigned words.
inline words widen_codes(bytes a, int h) noexcept {
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = a.v[16 * h + i];
  return r;
}
// Half h (16 bytes) as signed words.
inline words widen_half(bytes a, int h) noexcept {
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = static_cast<std::int8_t>(a.v[16 * h + i]);
  return r;
}
// Bytes 0, 2, 4, ... or 1, 3, 5, ... as signed words.
inline words widen_even(bytes a) noexcept {
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = static_cast<std::int8_t>(a.v[2 * i]);
  return r;
}
inline words widen_odd(bytes a) noexcept {
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = static_cast<std::int8_t>(a.v[2 * i + 1]);
  return r;
}
// Of every eighth, bytes First and Second as signed words.
template <int First, int Second>
inline words widen_two(bytes a) noexcept {
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = static_cast<std::int8_t>(a.v[i / 2 * 4 + (i % 2 == 0 ? First : Second)]);
  return r;
}
// Products of words, two neighbouring ones in each integer.
inline ints madd2(words a, words b) noexcept {
  ints r;
  for (int i = 0; i < 8; ++i)
    r.v[i] = plus(std::int32_t{a.v[2 * i]} * b.v[2 * i], std::int32_t{a.v[2 * i + 1]} * b.v[2 * i + 1]);
  return r;
}
// Adds what madd2 gives.
inline void madd2_to(ints& sum, words a, words b) noexcept {
  const ints products = madd2(a, b);
  for (int i = 0; i < 8; ++i) sum.v[i] = plus(sum.v[i], products.v[i]);
}
// Whether there is an instruction for dot4_to. It takes signed bytes a as a + dot4_bias: 128 where its operand is
// unsigned, 0 where it is not.
inline constexpr bool has_dot4 = false;
inline constexpr int dot4_bias = 128;
// Adds the products of biased bytes, or of codes of up to 7 bits, and signed bytes, four neighbouring ones to each
// integer.
inline void dot4_to(ints& sum, bytes biased, bytes s) noexcept {
  for (int i = 0; i < 32; ++i) sum.v[i / 4] = plus(sum.v[i / 4], biased.v[i] * static_cast<std::int8_t>(s.v[i]));
}
inline ints fill_ints(std::int32_t x) noexcept {
  ints r;
  for (std::int32_t& v : r.v) v = x;
  return r;
}
inline ints operator+(ints a, ints b) noexcept {
  for (int i = 0; i < 8; ++i) a.v[i] = plus(a.v[i], b.v[i]);
  return a;
}
inline ints operator-(ints a, ints b) noexcept {
  for (int i = 0; i < 8; ++i) a.v[i] = wrapped(std::int64_t{a.v[i]} - b.v[i]);
  return a;
}
inline ints operator*(ints a, ints b) noexcept {
  for (int i = 0; i < 8; ++i) a.v[i] = wrapped(std::int64_t{a.v[i]} * b.v[i]);
  return a;
}
inline void store_ints(std::int32_t* p, ints a) noexcept { std::memcpy(p, a.v, 32); }
inline ints larger(ints a, ints b) noexcept {
  for (int i = 0; i < 8; ++i) a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
  return a;
}
inline ints larger_unsigned(ints a, ints b) noexcept {
  for (int i = 0; i < 8; ++i)
    a.v[i] = static_cast<std::uint32_t>(a.v[i]) > static_cast<std::uint32_t>(b.v[i]) ? a.v[i] : b.v[i];
  return a;
}
inline std::int32_t largest(ints a) noexcept {
  for (int i = 1; i < 8; ++i) a.v[0] = a.v[0] > a.v[i] ? a.v[0] : a.v[i];
  return a.v[0];
}
inline std::int32_t sum(ints a) noexcept {
  for (int i = 1; i < 8; ++i) a.v[0] = plus(a.v[0], a.v[i]);
  return a.v[0];
}
// Parts of Bytes bytes, added to their neighbours, part 0 to part 1 and so on: the sums of a, then those of b, within
// each half; or, of parts of 16 bytes, the sum of a in the first half and that of b in the other.
template <int Bytes, class V>
inline V add_neighbours(V a, V b) noexcept {
  constexpr int size = static_cast<int>(sizeof(a.v[0])), part = Bytes / size, half = Bytes == 16 ? 2 * part : 16 / size;
  V r;
  int to = 0;
  const auto add = [&](const V& x, int from) {
    for (int i = from; i < from + half; i += 2 * part)
      for (int k = i; k < i + part; ++k) r.v[to++] = plus(x.v[k], x.v[k + part]);
  };
  for (int from = 0; from < 32 / size; from += half) add(a, from), add(b, from);
  return r;
}
// To integers that fit: towards zero, or to the nearest, halves to even.
inline ints truncate(floats a) noexcept {
  ints r;
  for (int i = 0; i < 8; ++i) r.v[i] = static_cast<std::int32_t>(a.v[i]);
  return r;
}
inline ints nearest(floats a) noexcept {
  ints r;
  for (int i = 0; i < 8; ++i) r.v[i] = static_cast<std::int32_t>(nearest_int(lane(a.v[i])).v);
  return r;
}
inline floats copy_sign(floats magnitude, floats sign) noexcept {
  for (int i = 0; i < 8; ++i) magnitude.v[i] = from_bits(to_bits(magnitude.v[i]) | (to_bits(sign.v[i]) & 0x80000000u));
  return magnitude;
}
// Integers that fit as signed bytes, in order.
inline bytes narrow(const ints (&a)[4]) noexcept {
  bytes r;
  for (int i = 0; i < 32; ++i) r.v[i] = static_cast<std::uint8_t>(a[i / 8].v[i % 8]);
  return r;
}
inline std::uint16_t float_to_half(float x) noexcept { return f32_to_f16(x); }
// Numbers, no NaN among them, as binary16.
inline void store_halves(std::uint16_t (&to)[8], floats a) noexcept {
  for (int i = 0; i < 8; ++i) to[i] = f32_to_f16(a.v[i]);
}
inline ints operator&(ints a, ints b) noexcept {
  for (int i = 0; i < 8; ++i) a.v[i] &= b.v[i];
  return a;
}
inline ints operator|(ints a, ints b) noexcept {
  for (int i = 0; i < 8; ++i) a.v[i] |= b.v[i];
  return a;
}
// All bits set where they are equal, none elsewhere.
inline ints equal(ints a, ints b) noexcept {
  for (int i = 0; i < 8; ++i) a.v[i] = a.v[i] == b.v[i] ? -1 : 0;
  return a;
}
// Shifts bring in zeros.
inline ints shift_left(ints a, int n) noexcept {
  for (std::int32_t& v : a.v) v = static_cast<std::int32_t>(static_cast<std::uint32_t>(v) << n);
  return a;
}
inline ints shift_right(ints a, int n) noexcept {
  for (std::int32_t& v : a.v) v = static_cast<std::int32_t>(static_cast<std::uint32_t>(v) >> n);
  return a;
}
// The lower bytes of all words times 3: the upper bytes of the products of both, in turn. The products remain.
inline bytes next_digits(words& even, words& odd) noexcept {
  bytes r;
  for (int i = 0; i < 16; ++i) {
    even.v[i] = static_cast<std::int16_t>((even.v[i] & 255) * 3);
    odd.v[i] = static_cast<std::int16_t>((odd.v[i] & 255) * 3);
    r.v[2 * i] = static_cast<std::uint8_t>(even.v[i] >> 8);
    r.v[2 * i + 1] = static_cast<std::uint8_t>(odd.v[i] >> 8);
  }
  return r;
}
inline words shift_right(words a, int n) noexcept {
  for (std::int16_t& v : a.v) v = static_cast<std::int16_t>(static_cast<std::uint16_t>(v) >> n);
  return a;
}
inline words operator&(words a, words b) noexcept {
  for (int i = 0; i < 16; ++i) a.v[i] = static_cast<std::int16_t>(a.v[i] & b.v[i]);
  return a;
}
// Eight little-endian integers; eight words without sign; the odd ones of sixteen integers.
inline ints load_ints(const void* p) noexcept {
  ints r;
  for (int i = 0; i < 8; ++i) r.v[i] = static_cast<std::int32_t>(load(static_cast<const le32*>(p)[i]));
  return r;
}
inline ints widen_words(const void* p) noexcept {
  ints r;
  for (int i = 0; i < 8; ++i) r.v[i] = load(static_cast<const le16*>(p)[i]);
  return r;
}
inline ints odd_eighths(const void* p) noexcept {
  ints r;
  for (int i = 0; i < 8; ++i) r.v[i] = static_cast<std::int32_t>(load(static_cast<const le32*>(p)[2 * i + 1]));
  return r;
}
// The unsigned bytes at the addresses at(0) to at(7).
template <class At>
inline ints load_bytes_as_ints(At at) noexcept {
  ints r;
  for (int i = 0; i < 8; ++i) r.v[i] = *at(i);
  return r;
}
// Two bytes of a file as a word, in place.
inline words little_words(bytes a) noexcept { return load_little_words(a.v); }
// Integers that fit as words: in each half (of 16 bytes) those of a, then those of b.
inline words pack(ints a, ints b) noexcept {
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = static_cast<std::int16_t>((i % 8 < 4 ? a : b).v[i / 8 * 4 + i % 4]);
  return r;
}
// The lower words of both, in turn.
inline words even_and_odd(ints even, ints odd) noexcept {
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = static_cast<std::int16_t>((i % 2 == 0 ? even : odd).v[i / 2]);
  return r;
}
// Words from 0 to 255 as bytes, those of a first.
inline bytes narrow(words a, words b) noexcept {
  bytes r;
  for (int i = 0; i < 32; ++i) r.v[i] = static_cast<std::uint8_t>(i < 16 ? a.v[i] : b.v[i - 16]);
  return r;
}
// Words low + 256 * high, of the bytes 16h to 16h + 15.
inline words interleave(bytes low, bytes high, int h) noexcept {
  words r;
  for (int i = 0; i < 16; ++i) r.v[i] = static_cast<std::int16_t>(low.v[16 * h + i] | high.v[16 * h + i] << 8);
  return r;
}
// Within halves: bytes of a and b in turn, of their first eight or of their last ones; the same of two bytes each.
inline bytes interleave_bytes(bytes a, bytes b, int h) noexcept {
  bytes r;
  for (int i = 0; i < 32; ++i) r.v[i] = (i % 2 == 0 ? a : b).v[i / 16 * 16 + 8 * h + i % 16 / 2];
  return r;
}
inline bytes interleave_words(bytes a, bytes b, int h) noexcept {
  bytes r;
  for (int i = 0; i < 32; ++i) r.v[i] = (i / 2 % 2 == 0 ? a : b).v[i / 16 * 16 + 8 * h + i % 16 / 4 * 2 + i % 2];
  return r;
}
// The upper word of every integer in a machine's order of bytes.
inline ints upper_words(bytes a) noexcept {
  ints r = __builtin_bit_cast(ints, a);
  for (std::int32_t& v : r.v) v >>= 16;
  return r;
}
inline floats to_floats(ints a) noexcept {
  floats r;
  for (int i = 0; i < 8; ++i) r.v[i] = static_cast<float>(a.v[i]);
  return r;
}
// sum + term, in the order in which it is written and in the register of `sum`: what compilers make of a tile of sums
// otherwise does not fit in the registers.
inline void add_to(words& sum, words term) noexcept { sum = sum + term; }
inline void add_to(ints& sum, ints term) noexcept { sum = sum + term; }
// Numbers in binary16: half h of the words, or eight as they lie in a file; and in bfloat16. A NaN remains one.
inline floats halves_to_floats(words a, int h) noexcept {
  floats r;
  for (int i = 0; i < 8; ++i) r.v[i] = f16_to_f32(static_cast<std::uint16_t>(a.v[8 * h + i]));
  return r;
}
inline floats load_f16(const void* p) noexcept {
  floats r;
  for (int i = 0; i < 8; ++i) {
    le16 h;
    std::memcpy(&h, static_cast<const std::uint8_t*>(p) + 2 * i, 2);
    r.v[i] = f16_to_f32(h);
  }
  return r;
}
inline floats load_bf16(const void* p) noexcept {
  floats r;
  for (int i = 0; i < 8; ++i) {
    le16 h;
    std::memcpy(&h, static_cast<const std::uint8_t*>(p) + 2 * i, 2);
    r.v[i] = bf16_to_f32(load(h));
  }
  return r;
}
// The even elements of 16 numbers in bfloat16, then the odd ones.
inline void split_bf16(bytes a, floats& even, floats& odd) noexcept {
  for (int i = 0; i < 16; ++i) {
    le16 h;
    std::memcpy(&h, a.v + 2 * i, 2);
    (i % 2 == 0 ? even : odd).v[i / 2] = bf16_to_f32(load(h));
  }
}
// Of the sixteen elements of a and b the even ones, then the odd ones.
inline void split_pairs(floats& a, floats& b) noexcept {
  floats even, odd;
  for (int i = 0; i < 16; ++i) (i % 2 == 0 ? even : odd).v[i / 2] = i < 8 ? a.v[i] : b.v[i - 8];
  a = even, b = odd;
}
// Each word of half h twice.
inline bytes repeat_words(words a, int h) noexcept {
  bytes r;
  for (int i = 0; i < 16; ++i) std::memcpy(r.v + 2 * i, &a.v[8 * h + i / 2], 2);
  return r;
}
inline float half_to_float(std::uint16_t a) noexcept { return f16_to_f32(a); }
// table[index] for bytes 8q to 8q + 7, which are below 16.
inline floats lookup16(const float (&table)[16], bytes index, int q) noexcept {
  floats r;
  for (int i = 0; i < 8; ++i) r.v[i] = table[index.v[8 * q + i] & 15];
  return r;
}
// Eighth j of vector i becomes eighth i of vector j.
inline void transpose_eighths(bytes (&a)[8]) noexcept {
  bytes r[8];
  for (int i = 0; i < 8; ++i)
    for (int j = 0; j < 8; ++j) std::memcpy(r[j].v + 4 * i, a[i].v + 4 * j, 4);
  for (int i = 0; i < 8; ++i) a[i] = r[i];
}
inline bytes as_bytes(words a) noexcept { return __builtin_bit_cast(bytes, a); }
inline bytes as_bytes(floats a) noexcept { return __builtin_bit_cast(bytes, a); }
inline bytes as_bytes(ints a) noexcept { return __builtin_bit_cast(bytes, a); }
// The bytes of every integer, the lowest first on any machine.
inline bytes little_bytes(ints a) noexcept {
  bytes r;
  for (int i = 0; i < 32; ++i)
    r.v[i] = static_cast<std::uint8_t>(static_cast<std::uint32_t>(a.v[i / 4]) >> (i % 4 * 8));
  return r;
}
inline ints as_ints(bytes a) noexcept { return __builtin_bit_cast(ints, a); }
inline words as_words(ints a) noexcept { return __builtin_bit_cast(words, a); }
inline words as_words(bytes a) noexcept { return __builtin_bit_cast(words, a); }
inline floats as_floats(bytes a) noexcept { return __builtin_bit_cast(floats, a); }
// Asks for the cache line at p, which need not be readable.
inline void prefetch(const void* p) noexcept {
#ifdef BLOCQ_GNU
  __builtin_prefetch(p);
#else
  static_cast<void>(p);
#endif
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd::common

#endif
