// The primitives in AVX2. Meanings: common.hpp. Instructions per vector of 32 bytes and where they go (Zen 3: FP0-FP3):
//
//   & | ^              vpand, vpor, vpxor         1 cycle, 4 a cycle
//   + -                vpaddb, vpsubb             1 cycle, 3 a cycle
//   field              vpsrlw, vpand              1 + 1 cycles; the shift 2 a cycle
//   lookup16           vpshufb                    1 cycle, 2 a cycle
//   split_nibbles      vbroadcasti128, vpsrlvd, vpand
//   to_floats          vpmovsxbd, vcvtdq2ps       from memory or a register half
//   dot4_to            vpdpbusd                   with VNNI, 4 cycles, 2 a cycle (Zen 4)
#ifndef BLOCQ_SIMD_PRIMITIVE_AVX2_HPP
#define BLOCQ_SIMD_PRIMITIVE_AVX2_HPP

#include <blocq/core/bits.hpp>

#ifdef __AVX2__

#include <immintrin.h>

#include <cstring>

namespace blocq::inline v0::inline BLOCQ_ISA::simd::avx2 {

struct bytes {
  __m256i v;
};
struct words {
  __m256i v;
};
struct ints {
  __m256i v;
};
struct floats {
  __m256 v;
};

template <class V>
BLOCQ_INLINE V as_written(V v) noexcept {
#ifdef BLOCQ_GNU
  __asm__("" : "+x"(v.v));
#endif
  return v;
}
BLOCQ_INLINE __m128i half(const void* p) noexcept { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
BLOCQ_INLINE __m128i quarter(const void* p) noexcept { return _mm_loadl_epi64(static_cast<const __m128i*>(p)); }

// Numbers from several addresses in a general register: vectors have too few ports for it, and stores of so few bytes
// and a load of all of them would wait for each other.
template <class Number, class At>
BLOCQ_INLINE long long side_by_side(At at) noexcept {
  std::uint64_t all = 0;
  for (int i = 8 / static_cast<int>(sizeof(Number)); --i >= 0;) {
    Number n;
    std::memcpy(&n, at(i), sizeof n);
    all = all << 8 * sizeof n | n;
  }
#ifdef BLOCQ_GNU
  __asm__("" : "+r"(all));
#endif
  return static_cast<long long>(all);
}

BLOCQ_INLINE bytes load_bytes(const void* p) noexcept { return {_mm256_loadu_si256(static_cast<const __m256i*>(p))}; }
BLOCQ_INLINE bytes fill_bytes(int b) noexcept { return {_mm256_set1_epi8(static_cast<char>(b))}; }
BLOCQ_INLINE bytes load_halves(const void* p) noexcept { return {_mm256_broadcastsi128_si256(half(p))}; }
// Broadcasts from memory and blends keep clear of the ports that shuffle.
BLOCQ_INLINE bytes load_quarters(const void* a, const void* b, const void* c, const void* d) noexcept {
  const auto all = [](const void* p) BLOCQ_INLINE_LAMBDA {
    long long e;
    std::memcpy(&e, p, 8);
    return _mm256_set1_epi64x(e);
  };
  return {_mm256_blend_epi32(_mm256_blend_epi32(all(a), all(b), 0x0c), _mm256_blend_epi32(all(c), all(d), 0xc0), 0xf0)};
}
template <class At>
BLOCQ_INLINE bytes load_eighths(At at) noexcept {
  const auto all = [&](int i) BLOCQ_INLINE_LAMBDA {
    int e;
    std::memcpy(&e, at(i), 4);
    return _mm256_set1_epi32(e);
  };
  const __m256i a = _mm256_blend_epi32(all(0), all(1), 0x02), b = _mm256_blend_epi32(all(2), all(3), 0x08);
  const __m256i c = _mm256_blend_epi32(all(4), all(5), 0x20), d = _mm256_blend_epi32(all(6), all(7), 0x80);
  return bytes{_mm256_blend_epi32(_mm256_blend_epi32(a, b, 0x0c), _mm256_blend_epi32(c, d, 0xc0), 0xf0)};
}
BLOCQ_INLINE bytes fill_eighths(const void* p) noexcept {
  int word;
  std::memcpy(&word, p, 4);
  return {_mm256_set1_epi32(word)};
}
BLOCQ_INLINE bytes load_two(const void* a, const void* b) noexcept {
  return {_mm256_inserti128_si256(_mm256_castsi128_si256(half(a)), half(b), 1)};
}
template <class At>
BLOCQ_INLINE void load_columns(At at, bytes* v) noexcept {
  const __m256i a = load_two(at(0), at(4)).v, b = load_two(at(1), at(5)).v;
  const __m256i c = load_two(at(2), at(6)).v, d = load_two(at(3), at(7)).v;
  const __m256i ab = _mm256_unpacklo_epi32(a, b), cd = _mm256_unpacklo_epi32(c, d);
  v[0] = {_mm256_unpacklo_epi64(ab, cd)};
  v[1] = {_mm256_unpackhi_epi64(ab, cd)};
  const __m256i ab2 = _mm256_unpackhi_epi32(a, b), cd2 = _mm256_unpackhi_epi32(c, d);
  v[2] = {_mm256_unpacklo_epi64(ab2, cd2)};
  v[3] = {_mm256_unpackhi_epi64(ab2, cd2)};
}
BLOCQ_INLINE bytes half_and_eighths(const void* a, const void* b) noexcept {
  int word;
  std::memcpy(&word, b, 4);
  return {_mm256_inserti128_si256(_mm256_castsi128_si256(half(a)), _mm_set1_epi32(word), 1)};
}
BLOCQ_INLINE bytes half_and_eighth(const void* a, const void* b) noexcept {
  int word;
  std::memcpy(&word, b, 4);
  return {_mm256_inserti128_si256(_mm256_castsi128_si256(half(a)), _mm_cvtsi32_si128(word), 1)};
}
BLOCQ_INLINE bytes fill_halves(int low, int high) noexcept {
  return {_mm256_inserti128_si256(_mm256_castsi128_si256(_mm_set1_epi8(static_cast<char>(low))),
                                  _mm_set1_epi8(static_cast<char>(high)), 1)};
}
BLOCQ_INLINE void store_bytes(void* p, bytes a) noexcept { _mm256_storeu_si256(static_cast<__m256i*>(p), a.v); }

BLOCQ_INLINE bytes operator&(bytes a, bytes b) noexcept { return {_mm256_and_si256(a.v, b.v)}; }
BLOCQ_INLINE bytes operator|(bytes a, bytes b) noexcept { return {_mm256_or_si256(a.v, b.v)}; }
BLOCQ_INLINE bytes operator^(bytes a, bytes b) noexcept { return {_mm256_xor_si256(a.v, b.v)}; }
BLOCQ_INLINE bytes operator+(bytes a, bytes b) noexcept { return {_mm256_add_epi8(a.v, b.v)}; }
BLOCQ_INLINE bytes operator-(bytes a, bytes b) noexcept { return {_mm256_sub_epi8(a.v, b.v)}; }

BLOCQ_INLINE bytes operator*(bytes a, bytes b) noexcept {
  const __m256i even = _mm256_mullo_epi16(a.v, b.v);
  const __m256i odd = _mm256_mullo_epi16(_mm256_srli_epi16(a.v, 8), _mm256_srli_epi16(b.v, 8));
  return {_mm256_or_si256(_mm256_and_si256(even, _mm256_set1_epi16(0xff)), _mm256_slli_epi16(odd, 8))};
}
BLOCQ_INLINE bytes carry_of_thrice(bytes a) noexcept {
  const __m256i one = _mm256_set1_epi8(1);
  const __m256i from_86 = _mm256_min_epu8(_mm256_subs_epu8(a.v, _mm256_set1_epi8(85)), one);
  const __m256i from_171 = _mm256_min_epu8(_mm256_subs_epu8(a.v, _mm256_set1_epi8(static_cast<char>(170))), one);
  return {_mm256_add_epi8(from_86, from_171)};
}

template <int Width>
BLOCQ_INLINE bytes field(bytes a, int shift) noexcept {
  return bytes{_mm256_and_si256(_mm256_srli_epi16(a.v, shift), _mm256_set1_epi8((1 << Width) - 1))};
}
template <int Width, int From, int To>
BLOCQ_INLINE bytes move_bits(bytes a) noexcept {
  const __m256i moved = To > From   ? _mm256_slli_epi16(a.v, To > From ? To - From : 0)
                        : To < From ? _mm256_srli_epi16(a.v, To < From ? From - To : 0)
                                    : a.v;
  return bytes{_mm256_and_si256(moved, _mm256_set1_epi8(static_cast<char>(((1u << Width) - 1u) << To)))};
}
BLOCQ_INLINE bytes shift_left(bytes a, int shift) noexcept {
  return {_mm256_and_si256(_mm256_slli_epi16(a.v, shift), _mm256_set1_epi8(static_cast<char>(0xff << shift)))};
}
BLOCQ_INLINE bytes split_nibbles(const void* p) noexcept {
  const __m256i both =
      _mm256_srlv_epi32(_mm256_broadcastsi128_si256(half(p)), _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4));
  return {_mm256_and_si256(both, _mm256_set1_epi8(15))};
}
template <bool HighFirst = false>
BLOCQ_INLINE bytes spread_nibbles(const void* p) noexcept {
  const __m256i wide = _mm256_cvtepu8_epi16(half(p));  // 0h l: put h above l, or l above h
  const __m256i both = HighFirst ? _mm256_or_si256(_mm256_srli_epi16(wide, 4), _mm256_slli_epi16(wide, 8))
                                 : _mm256_or_si256(wide, _mm256_slli_epi16(wide, 4));
  return bytes{_mm256_and_si256(both, _mm256_set1_epi8(15))};
}
BLOCQ_INLINE bytes spread_pairs(const void* p) noexcept {
  const __m256i wide = _mm256_cvtepu8_epi32(quarter(p));  // each byte at the bottom of four
  const __m256i two = _mm256_or_si256(wide, _mm256_slli_epi32(wide, 12));
  const __m256i four = _mm256_or_si256(two, _mm256_slli_epi32(two, 6));
  return {_mm256_and_si256(four, _mm256_set1_epi8(3))};
}
// `set` in the bytes of `each` that have their bit of `bit`, the only one that they may have.
BLOCQ_INLINE bytes set_bytes(__m256i each, __m256i bit, int set) noexcept {
  const __m256i value = _mm256_set1_epi8(static_cast<char>(set));
  return {set == 1 ? _mm256_min_epu8(each, value) : _mm256_and_si256(_mm256_cmpeq_epi8(each, bit), value)};
}
BLOCQ_INLINE bytes spread_bits(const void* p, int set) noexcept {
  int word;
  std::memcpy(&word, p, 4);
  const __m256i source = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
  return set_bytes(_mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(word), source), bit), bit, set);
}
template <int First>
BLOCQ_INLINE bytes spread_bits_of_eighths(bytes a, int set) noexcept {
  const __m256i source = _mm256_broadcastsi128_si256(
      _mm_add_epi8(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c), _mm_set1_epi8(First / 8)));
  const __m256i bit = _mm256_set1_epi32(First % 8 == 0 ? 0x08040201 : static_cast<int>(0x80402010u));
  return set_bytes(_mm256_and_si256(_mm256_shuffle_epi8(a.v, source), bit), bit, set);
}
template <int From>
BLOCQ_INLINE bytes spread_bits_of_quarters(bytes a, int set) noexcept {
  constexpr long long first = From * 0x0101010101010101, second = first + 0x0808080808080808;
  const __m256i source = _mm256_setr_epi64x(first, second, first, second);
  const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
  return set_bytes(_mm256_and_si256(_mm256_shuffle_epi8(a.v, source), bit), bit, set);
}
BLOCQ_INLINE bytes spread_bits_of_two(const void* a, const void* b, int h, int set) noexcept {
  int low, high;
  std::memcpy(&low, a, 4);
  std::memcpy(&high, b, 4);
  const __m256i both = _mm256_blend_epi32(_mm256_set1_epi32(low), _mm256_set1_epi32(high), 0xf0);
  const __m256i source = _mm256_setr_epi64x(0, 0x0101010101010101, 0, 0x0101010101010101);
  const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
  const __m256i word = h == 0 ? source : _mm256_add_epi8(source, _mm256_set1_epi8(2));
  const __m256i each = _mm256_and_si256(_mm256_shuffle_epi8(both, word), bit);
  return {_mm256_and_si256(_mm256_cmpeq_epi8(each, bit), _mm256_set1_epi8(static_cast<char>(set)))};
}
BLOCQ_INLINE bytes spread_sixes(const void* p) noexcept {
  // Of three bytes with four fields: two words, bytes 0 1 with fields 0 1, bytes 1 2 with fields 2 3. A multiplication
  // brings both pairs to the same place.
  const auto* b = static_cast<const std::uint8_t*>(p);
  const __m256i all = _mm256_inserti128_si256(_mm256_castsi128_si256(half(b)), half(b + 8), 1);
  const __m256i pairs = _mm256_setr_epi8(0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11,  //
                                         4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11, 12, 13, 14, 14, 15);
  const __m256i x = _mm256_mullo_epi16(_mm256_shuffle_epi8(all, pairs), _mm256_set1_epi32(0x00010010));
  return {_mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(x, 4), _mm256_set1_epi16(0x3f)),
                          _mm256_and_si256(_mm256_srli_epi16(x, 2), _mm256_set1_epi16(0x3f00)))};
}
BLOCQ_INLINE bytes swap_middle_quarters(bytes a) noexcept { return {_mm256_permute4x64_epi64(a.v, 0xd8)}; }
BLOCQ_INLINE bytes lookup16(bytes table, bytes index) noexcept { return {_mm256_shuffle_epi8(table.v, index.v)}; }
BLOCQ_INLINE std::uint32_t upper_bits(bytes a) noexcept {
  return static_cast<std::uint32_t>(_mm256_movemask_epi8(a.v));
}
BLOCQ_INLINE bytes count_bits(bytes a) noexcept {
  const bytes counts{
      _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4)};
  return lookup16(counts, field<4>(a, 0)) + lookup16(counts, field<4>(a, 4));
}
BLOCQ_INLINE bytes equal(bytes a, bytes b) noexcept { return {_mm256_cmpeq_epi8(a.v, b.v)}; }
BLOCQ_INLINE bytes lesser(bytes a, bytes b) noexcept { return {_mm256_min_epi8(a.v, b.v)}; }
BLOCQ_INLINE bytes negate_by_bits(bytes a, const void* p) noexcept {
  const __m256i source = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
  // A bit makes the sum negative; without it the sum is positive.
  const __m256i rest = _mm256_set1_epi64x(0x01406070787c7e7f);
  const __m256i each = _mm256_and_si256(_mm256_shuffle_epi8(fill_eighths(p).v, source), bit);
  return {_mm256_sign_epi8(a.v, _mm256_add_epi8(each, rest))};
}
BLOCQ_INLINE bytes negate_where(bytes a, bytes mask) noexcept { return (a ^ mask) - mask; }

BLOCQ_INLINE bool any(bytes mask) noexcept { return _mm256_testz_si256(mask.v, mask.v) == 0; }
BLOCQ_INLINE bytes spread_bytes(const void* p) noexcept {
  const __m256i source = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  return {_mm256_shuffle_epi8(fill_eighths(p).v, source)};
}

BLOCQ_INLINE floats to_floats(bytes a, int q) noexcept {
  const __m128i h = q < 2 ? _mm256_castsi256_si128(a.v) : _mm256_extracti128_si256(a.v, 1);
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q % 2 == 0 ? h : _mm_unpackhi_epi64(h, h)))};
}

BLOCQ_INLINE floats load_floats(const float* p) noexcept { return {_mm256_loadu_ps(p)}; }
BLOCQ_INLINE void store_floats(float* p, floats a) noexcept { _mm256_storeu_ps(p, a.v); }
BLOCQ_INLINE floats fill_floats(float x) noexcept { return {_mm256_set1_ps(x)}; }
BLOCQ_INLINE floats operator*(floats a, floats b) noexcept { return {_mm256_mul_ps(a.v, b.v)}; }
BLOCQ_INLINE floats operator+(floats a, floats b) noexcept { return {_mm256_add_ps(a.v, b.v)}; }
BLOCQ_INLINE floats operator-(floats a, floats b) noexcept { return {_mm256_sub_ps(a.v, b.v)}; }

BLOCQ_INLINE floats quotient(floats a, floats b) noexcept {
#ifdef BLOCQ_GNU
  __asm__("vdivps {%1, %0, %0|%0, %0, %1}" : "+x"(a.v) : "x"(b.v));
  return a;
#else
  return {_mm256_div_ps(a.v, b.v)};
#endif
}
BLOCQ_INLINE floats fma(floats a, floats b, floats c) noexcept {
#ifdef __FMA__
  return {_mm256_fmadd_ps(a.v, b.v, c.v)};
#else
  return a * b + c;
#endif
}
BLOCQ_INLINE floats twice(floats a, int h) noexcept {
  return {h == 0 ? _mm256_unpacklo_ps(a.v, a.v) : _mm256_unpackhi_ps(a.v, a.v)};
}
template <int First>
BLOCQ_INLINE floats spread_two(floats a) noexcept {
  return floats{_mm256_permutevar_ps(
      a.v, _mm256_setr_epi32(First, First, First, First, First + 1, First + 1, First + 1, First + 1))};
}
BLOCQ_INLINE floats load_four_halves(const le16& a, const le16& b, const le16& c, const le16& d) noexcept {
#ifdef __F16C__
  const le16* const from[4] = {&a, &b, &c, &d};
  return {_mm256_cvtph_ps(
      _mm_set1_epi64x(side_by_side<std::uint16_t>([&](int i) BLOCQ_INLINE_LAMBDA { return from[i]; })))};
#else
  const __m128 four = _mm_setr_ps(f16_to_f32(a), f16_to_f32(b), f16_to_f32(c), f16_to_f32(d));
  return {_mm256_insertf128_ps(_mm256_castps128_ps256(four), four, 1)};
#endif
}
BLOCQ_INLINE floats fill_four(float a, float b, float c, float d) noexcept {
  return {_mm256_setr_ps(a, b, c, d, a, b, c, d)};
}
BLOCQ_INLINE floats fill_two(float low, float high) noexcept {
  return {_mm256_insertf128_ps(_mm256_castps128_ps256(_mm_set1_ps(low)), _mm_set1_ps(high), 1)};
}
BLOCQ_INLINE float sum(floats a) noexcept {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

template <class At>
BLOCQ_INLINE floats load_halves_as_floats(At at) noexcept {
#ifdef __F16C__
  const long long low = side_by_side<std::uint16_t>(at);
  const long long high = side_by_side<std::uint16_t>([&](int i) BLOCQ_INLINE_LAMBDA { return at(i + 4); });
  return floats{_mm256_cvtph_ps(_mm_set_epi64x(high, low))};
#else
  float f[8];
  for (int i = 0; i < 8; ++i) {
    le16 h;
    std::memcpy(&h, at(i), 2);
    f[i] = f16_to_f32(h);
  }
  return floats{_mm256_loadu_ps(f)};
#endif
}

BLOCQ_INLINE words load_words(const std::int16_t* p) noexcept {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
BLOCQ_INLINE words load_little_words(const void* p) noexcept { return {load_bytes(p).v}; }
BLOCQ_INLINE void store_words(std::int16_t* p, words a) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v);
}
BLOCQ_INLINE words widen(std::uint64_t low, std::uint64_t high) noexcept {
  return {_mm256_cvtepi8_epi16(_mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low)))};
}
BLOCQ_INLINE words widen_twice(std::uint64_t a) noexcept {
  const __m128i v = _mm_set_epi64x(0, static_cast<long long>(a));
  return {_mm256_cvtepi8_epi16(_mm_unpacklo_epi8(v, v))};
}
BLOCQ_INLINE words fill_words(int w) noexcept { return {_mm256_set1_epi16(static_cast<short>(w))}; }
BLOCQ_INLINE words fill_two(const std::int16_t* p) noexcept {
  const __m256i choose =
      _mm256_setr_epi64x(0x0100010001000100, 0x0100010001000100, 0x0302030203020302, 0x0302030203020302);
  return {_mm256_shuffle_epi8(fill_eighths(p).v, choose)};
}
template <int A, int B, int C, int D>
BLOCQ_INLINE words spread_words(words a) noexcept {
  constexpr auto four = [](int i, int first) { return 0x0100010001000100 + (first + i % 4 * 2) * 0x0101010101010101; };
  const __m256i quarters = _mm256_permute4x64_epi64(a.v, A / 4 | B / 4 << 2 | C / 4 << 4 | D / 4 << 6);
  return words{_mm256_shuffle_epi8(quarters, _mm256_setr_epi64x(four(A, 0), four(B, 8), four(C, 0), four(D, 8)))};
}
BLOCQ_INLINE words operator+(words a, words b) noexcept { return {_mm256_add_epi16(a.v, b.v)}; }
BLOCQ_INLINE words operator-(words a, words b) noexcept { return {_mm256_sub_epi16(a.v, b.v)}; }
BLOCQ_INLINE words operator*(words a, words b) noexcept { return {_mm256_mullo_epi16(a.v, b.v)}; }
BLOCQ_INLINE words operator|(words a, words b) noexcept { return {_mm256_or_si256(a.v, b.v)}; }
BLOCQ_INLINE words equal(words a, words b) noexcept { return {_mm256_cmpeq_epi16(a.v, b.v)}; }
template <int Low, int Width, int To>
BLOCQ_INLINE words move_field(words a) noexcept {
  const __m256i moved =
      To >= Low ? _mm256_slli_epi16(a.v, To >= Low ? To - Low : 0) : _mm256_srli_epi16(a.v, To >= Low ? 0 : Low - To);
  return words{_mm256_and_si256(moved, _mm256_set1_epi16(static_cast<short>(((1u << Width) - 1u) << To)))};
}
BLOCQ_INLINE words widen_bytes(const void* p) noexcept { return {_mm256_cvtepu8_epi16(half(p))}; }
BLOCQ_INLINE words widen_quarters(bytes a, int q) noexcept {
  const __m256i zero = _mm256_setzero_si256();
  return {q == 0 ? _mm256_unpacklo_epi8(a.v, zero) : _mm256_unpackhi_epi8(a.v, zero)};
}
BLOCQ_INLINE words widen_codes(bytes a, int h) noexcept {
  return {_mm256_cvtepu8_epi16(h == 0 ? _mm256_castsi256_si128(a.v) : _mm256_extracti128_si256(a.v, 1))};
}
BLOCQ_INLINE words maddubs(bytes u, bytes s) noexcept { return {_mm256_maddubs_epi16(u.v, s.v)}; }
BLOCQ_INLINE words maddss(bytes a, bytes b) noexcept {
  return {_mm256_maddubs_epi16(_mm256_abs_epi8(a.v), _mm256_sign_epi8(b.v, a.v))};
}
BLOCQ_INLINE words widen_half(bytes a, int h) noexcept {
  return {_mm256_cvtepi8_epi16(h == 0 ? _mm256_castsi256_si128(a.v) : _mm256_extracti128_si256(a.v, 1))};
}
BLOCQ_INLINE words widen_even(bytes a) noexcept { return {_mm256_srai_epi16(_mm256_slli_epi16(a.v, 8), 8)}; }
BLOCQ_INLINE words widen_odd(bytes a) noexcept { return {_mm256_srai_epi16(a.v, 8)}; }
template <int First, int Second>
BLOCQ_INLINE words widen_two(bytes a) noexcept {
  constexpr int both = 0x00800080 | First << 8 | Second << 24;  // to the upper bytes of two words
  const __m128i source = _mm_setr_epi32(both, both + 0x04000400, both + 0x08000800, both + 0x0c000c00);
  return words{_mm256_srai_epi16(_mm256_shuffle_epi8(a.v, _mm256_broadcastsi128_si256(source)), 8)};
}
BLOCQ_INLINE ints madd2(words a, words b) noexcept { return {_mm256_madd_epi16(a.v, b.v)}; }
inline constexpr int dot4_bias = 128;
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
inline constexpr bool has_dot4 = true;
BLOCQ_INLINE void dot4_to(ints& sum, bytes biased, bytes s) noexcept {
  sum.v = _mm256_dpbusd_epi32(sum.v, biased.v, s.v);
}
#elif defined(__AVXVNNI__)
inline constexpr bool has_dot4 = true;
BLOCQ_INLINE void dot4_to(ints& sum, bytes biased, bytes s) noexcept {
  sum.v = _mm256_dpbusd_avx_epi32(sum.v, biased.v, s.v);
}
#else
inline constexpr bool has_dot4 = false;
BLOCQ_INLINE void dot4_to(ints& sum, bytes biased, bytes s) noexcept {
  const __m256i even = _mm256_and_si256(biased.v, _mm256_set1_epi16(0xff)), odd = _mm256_srli_epi16(biased.v, 8);
  sum.v = _mm256_add_epi32(
      sum.v, _mm256_add_epi32(_mm256_madd_epi16(even, widen_even(s).v), _mm256_madd_epi16(odd, widen_odd(s).v)));
}
#endif
BLOCQ_INLINE ints fill_ints(std::int32_t x) noexcept { return {_mm256_set1_epi32(x)}; }
BLOCQ_INLINE ints operator+(ints a, ints b) noexcept { return {_mm256_add_epi32(a.v, b.v)}; }
BLOCQ_INLINE ints operator-(ints a, ints b) noexcept { return {_mm256_sub_epi32(a.v, b.v)}; }
BLOCQ_INLINE ints operator*(ints a, ints b) noexcept { return {_mm256_mullo_epi32(a.v, b.v)}; }
template <int Bytes, class V>
BLOCQ_INLINE V add_neighbours(V a, V b) noexcept {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  if constexpr (Bytes == 16)
    return V{_mm256_permute2x128_si256(a.v, b.v, 0x20)} + V{_mm256_permute2x128_si256(a.v, b.v, 0x31)};
  else if constexpr (Bytes == 8)
    return V{_mm256_unpacklo_epi64(a.v, b.v)} + V{_mm256_unpackhi_epi64(a.v, b.v)};
  const __m256 x = _mm256_castsi256_ps(a.v), y = _mm256_castsi256_ps(b.v);
  return V{_mm256_castps_si256(_mm256_shuffle_ps(x, y, 0x88))} + V{_mm256_castps_si256(_mm256_shuffle_ps(x, y, 0xdd))};
}
BLOCQ_INLINE void madd2_to(ints& sum, words a, words b) noexcept { sum = sum + madd2(a, b); }
BLOCQ_INLINE void store_ints(std::int32_t* p, ints a) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v);
}
BLOCQ_INLINE ints larger(ints a, ints b) noexcept { return {_mm256_max_epi32(a.v, b.v)}; }
BLOCQ_INLINE ints larger_unsigned(ints a, ints b) noexcept { return {_mm256_max_epu32(a.v, b.v)}; }
BLOCQ_INLINE std::int32_t largest(ints a) noexcept {
  const __m128i four = _mm_max_epi32(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1));
  const __m128i two = _mm_max_epi32(four, _mm_unpackhi_epi64(four, four));
  return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 1)));
}
BLOCQ_INLINE std::int32_t sum(ints a) noexcept {
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1));
  const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
}
BLOCQ_INLINE ints truncate(floats a) noexcept { return {_mm256_cvttps_epi32(a.v)}; }
BLOCQ_INLINE ints nearest(floats a) noexcept { return {_mm256_cvtps_epi32(a.v)}; }
BLOCQ_INLINE floats copy_sign(floats magnitude, floats sign) noexcept {
  return {_mm256_or_ps(magnitude.v, _mm256_and_ps(sign.v, _mm256_set1_ps(-0.0f)))};
}
BLOCQ_INLINE bytes narrow(const ints (&a)[4]) noexcept {
  const __m256i low = _mm256_packs_epi32(a[0].v, a[1].v), high = _mm256_packs_epi32(a[2].v, a[3].v);
  return {_mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))};
}
BLOCQ_INLINE std::uint16_t float_to_half(float x) noexcept {
#ifdef __F16C__
  if (is_nan(x)) return f32_to_f16(x);
  return static_cast<std::uint16_t>(_mm_cvtsi128_si32(_mm_cvtps_ph(_mm_set_ss(x), _MM_FROUND_TO_NEAREST_INT)));
#else
  return f32_to_f16(x);
#endif
}
BLOCQ_INLINE void store_halves(std::uint16_t (&to)[8], floats a) noexcept {
#ifdef __F16C__
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
#else
  float x[8];
  _mm256_storeu_ps(x, a.v);
  for (int i = 0; i < 8; ++i) to[i] = f32_to_f16(x[i]);
#endif
}
BLOCQ_INLINE ints operator&(ints a, ints b) noexcept { return {_mm256_and_si256(a.v, b.v)}; }
BLOCQ_INLINE ints operator|(ints a, ints b) noexcept { return {_mm256_or_si256(a.v, b.v)}; }
BLOCQ_INLINE ints equal(ints a, ints b) noexcept { return {_mm256_cmpeq_epi32(a.v, b.v)}; }
BLOCQ_INLINE ints shift_left(ints a, int n) noexcept { return {_mm256_slli_epi32(a.v, n)}; }
BLOCQ_INLINE ints shift_right(ints a, int n) noexcept { return {_mm256_srli_epi32(a.v, n)}; }
BLOCQ_INLINE ints load_ints(const void* p) noexcept { return {load_bytes(p).v}; }
BLOCQ_INLINE ints widen_words(const void* p) noexcept { return {_mm256_cvtepu16_epi32(half(p))}; }
template <class At>
BLOCQ_INLINE ints load_bytes_as_ints(At at) noexcept {
  return ints{_mm256_cvtepu8_epi32(_mm_set_epi64x(0, side_by_side<std::uint8_t>(at)))};
}
BLOCQ_INLINE ints odd_eighths(const void* p) noexcept {
  const __m256 a = _mm256_loadu_ps(static_cast<const float*>(p)), b = _mm256_loadu_ps(static_cast<const float*>(p) + 8);
  return {_mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd)), 0xd8)};
}
BLOCQ_INLINE bytes next_digits(words& even, words& odd) noexcept {
  even.v = _mm256_maddubs_epi16(even.v, _mm256_set1_epi16(3));
  odd.v = _mm256_maddubs_epi16(odd.v, _mm256_set1_epi16(3));
  const __m256i upper = _mm256_and_si256(odd.v, _mm256_set1_epi16(static_cast<short>(0xff00)));
  return {_mm256_or_si256(_mm256_srli_epi16(even.v, 8), upper)};
}
BLOCQ_INLINE words shift_right(words a, int n) noexcept { return {_mm256_srli_epi16(a.v, n)}; }
BLOCQ_INLINE words operator&(words a, words b) noexcept { return {_mm256_and_si256(a.v, b.v)}; }
BLOCQ_INLINE words little_words(bytes a) noexcept { return {a.v}; }
BLOCQ_INLINE words pack(ints a, ints b) noexcept { return {_mm256_packs_epi32(a.v, b.v)}; }
BLOCQ_INLINE words even_and_odd(ints even, ints odd) noexcept {
  return {_mm256_blend_epi16(even.v, _mm256_slli_epi32(odd.v, 16), 0xaa)};
}
BLOCQ_INLINE bytes narrow(words a, words b) noexcept {
  return {_mm256_permute4x64_epi64(_mm256_packus_epi16(a.v, b.v), 0xd8)};
}
BLOCQ_INLINE words interleave(bytes low, bytes high, int h) noexcept {
  const __m256i l = _mm256_permute4x64_epi64(low.v, 0xd8), u = _mm256_permute4x64_epi64(high.v, 0xd8);
  return {h == 0 ? _mm256_unpacklo_epi8(l, u) : _mm256_unpackhi_epi8(l, u)};
}
BLOCQ_INLINE bytes interleave_bytes(bytes a, bytes b, int h) noexcept {
  return {h == 0 ? _mm256_unpacklo_epi8(a.v, b.v) : _mm256_unpackhi_epi8(a.v, b.v)};
}
BLOCQ_INLINE bytes interleave_words(bytes a, bytes b, int h) noexcept {
  return {h == 0 ? _mm256_unpacklo_epi16(a.v, b.v) : _mm256_unpackhi_epi16(a.v, b.v)};
}
BLOCQ_INLINE ints upper_words(bytes a) noexcept { return {_mm256_srai_epi32(a.v, 16)}; }
BLOCQ_INLINE floats to_floats(ints a) noexcept { return {_mm256_cvtepi32_ps(a.v)}; }
BLOCQ_INLINE void add_to(words& sum, words term) noexcept {
#ifdef BLOCQ_GNU
  __m256i v = sum.v;
  __asm__("vpaddw {%1, %0, %0|%0, %0, %1}" : "+x"(v) : "x"(term.v));
  sum.v = v;
#else
  sum = sum + term;
#endif
}
BLOCQ_INLINE void add_to(ints& sum, ints term) noexcept {
#ifdef BLOCQ_GNU
  __m256i v = sum.v;
  __asm__("vpaddd {%1, %0, %0|%0, %0, %1}" : "+x"(v) : "x"(term.v));
  sum.v = v;
#else
  sum = sum + term;
#endif
}
BLOCQ_INLINE floats halves_to_floats(__m128i eight) noexcept {
#ifdef __F16C__
  return {_mm256_cvtph_ps(eight)};
#else
  const __m256i x = _mm256_cvtepi16_epi32(eight), infinite = _mm256_set1_epi32(0x0f800000);
  const __m256i shifted = _mm256_and_si256(_mm256_slli_epi32(x, 13), _mm256_set1_epi32(0x0fffe000));
  const __m256i exponent = _mm256_and_si256(shifted, infinite), bias = _mm256_set1_epi32(112 << 23);
  const __m256i again = _mm256_and_si256(_mm256_cmpeq_epi32(exponent, infinite), bias);
  const __m256i normal = _mm256_add_epi32(_mm256_add_epi32(shifted, bias), again);
  // A subnormal number is the fraction of 1 + fraction, scaled.
  const __m256i one = _mm256_set1_epi32(113 << 23);
  const __m256 tiny = _mm256_sub_ps(_mm256_castsi256_ps(_mm256_add_epi32(shifted, one)), _mm256_castsi256_ps(one));
  const __m256i is_tiny = _mm256_cmpeq_epi32(exponent, _mm256_setzero_si256());
  const __m256i magnitude = _mm256_blendv_epi8(normal, _mm256_castps_si256(tiny), is_tiny);
  const __m256i sign = _mm256_and_si256(x, _mm256_set1_epi32(static_cast<int>(0x80000000u)));
  return {_mm256_castsi256_ps(_mm256_or_si256(magnitude, sign))};
#endif
}
BLOCQ_INLINE floats halves_to_floats(words a, int h) noexcept {
  return halves_to_floats(h == 0 ? _mm256_castsi256_si128(a.v) : _mm256_extracti128_si256(a.v, 1));
}
BLOCQ_INLINE floats load_f16(const void* p) noexcept { return halves_to_floats(half(p)); }
BLOCQ_INLINE floats load_bf16(const void* p) noexcept {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half(p)), 16))};
}
BLOCQ_INLINE void split_bf16(bytes a, floats& even, floats& odd) noexcept {
  even = {_mm256_castsi256_ps(_mm256_slli_epi32(a.v, 16))};
  odd = {_mm256_castsi256_ps(_mm256_and_si256(a.v, _mm256_set1_epi32(static_cast<int>(0xffff0000u))))};
}
BLOCQ_INLINE void split_pairs(floats& a, floats& b) noexcept {
  const auto in_order = [](__m256 v) BLOCQ_INLINE_LAMBDA {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xd8));
  };
  const __m256 even = in_order(_mm256_shuffle_ps(a.v, b.v, 0x88)), odd = in_order(_mm256_shuffle_ps(a.v, b.v, 0xdd));
  a.v = even, b.v = odd;
}
BLOCQ_INLINE bytes repeat_words(words a, int h) noexcept {
  const __m256i x = _mm256_cvtepu16_epi32(h == 0 ? _mm256_castsi256_si128(a.v) : _mm256_extracti128_si256(a.v, 1));
  return {_mm256_or_si256(x, _mm256_slli_epi32(x, 16))};
}
BLOCQ_INLINE float half_to_float(std::uint16_t a) noexcept {
#ifdef __F16C__
  return _cvtsh_ss(a);
#else
  return f16_to_f32(a);
#endif
}
BLOCQ_INLINE floats lookup16(const float (&table)[16], bytes index, int q) noexcept {
  const __m128i h = q < 2 ? _mm256_castsi256_si128(index.v) : _mm256_extracti128_si256(index.v, 1);
  const __m256i i = _mm256_cvtepu8_epi32(q % 2 == 0 ? h : _mm_unpackhi_epi64(h, h));
  const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), i);
  const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), i);
  return {_mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)))};
}
BLOCQ_INLINE void transpose_eighths(bytes (&a)[8]) noexcept {
  __m256i b[8], c[8];
  for (int i = 0; i < 8; i += 2) {  // pairs of rows: columns 0 1 4 5, then 2 3 6 7
    b[i] = _mm256_unpacklo_epi32(a[i].v, a[i + 1].v);
    b[i + 1] = _mm256_unpackhi_epi32(a[i].v, a[i + 1].v);
  }
  for (int i = 0; i < 8; i += 4)  // four rows in each half, one column each
    for (int j = 0; j < 2; ++j) {
      c[i + 2 * j] = _mm256_unpacklo_epi64(b[i + j], b[i + j + 2]);
      c[i + 2 * j + 1] = _mm256_unpackhi_epi64(b[i + j], b[i + j + 2]);
    }
  for (int j = 0; j < 4; ++j) {
    a[j].v = _mm256_permute2x128_si256(c[j], c[j + 4], 0x20);
    a[j + 4].v = _mm256_permute2x128_si256(c[j], c[j + 4], 0x31);
  }
}
BLOCQ_INLINE bytes as_bytes(words a) noexcept { return {a.v}; }
BLOCQ_INLINE bytes as_bytes(floats a) noexcept { return {_mm256_castps_si256(a.v)}; }
BLOCQ_INLINE bytes as_bytes(ints a) noexcept { return {a.v}; }
BLOCQ_INLINE bytes little_bytes(ints a) noexcept { return as_bytes(a); }
BLOCQ_INLINE ints as_ints(bytes a) noexcept { return {a.v}; }
BLOCQ_INLINE words as_words(ints a) noexcept { return {a.v}; }
BLOCQ_INLINE words as_words(bytes a) noexcept { return {a.v}; }
BLOCQ_INLINE floats as_floats(bytes a) noexcept { return {_mm256_castsi256_ps(a.v)}; }
BLOCQ_INLINE void prefetch(const void* p) noexcept { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd::avx2

#endif  // __AVX2__

#endif
