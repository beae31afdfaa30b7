// The primitives in AVX-512. Meanings: common.hpp, of 64 bytes instead of 32; quad.hpp. Instructions per vector (Zen 5;
// Ice Lake):
//
//   maddubs, madd2     vpmaddubsw, vpmaddwd       3 cycles, 2 a cycle; 5, 1 a cycle
//   dot4_to            vpdpbusd                   4 cycles, 2 a cycle; 5, 1 a cycle
//   ints *             vpmulld                    3 cycles, 2 a cycle; 10, every second cycle
//   fill_eighths       an operand in memory, broadcast
//   load_lanes         a load and three broadcasts under a mask: no shuffle, and few of them cross a line
//   meet, fours        vpunpck, vpackssdw         1 cycle, 4 a cycle; 1 a cycle
//   spread_words       vpermw                     2 a cycle; 1 a cycle
//   lookup_bytes       vpermb, vpermi2b           2 a cycle; 1 a cycle, every second cycle
//   count_bits         vpopcntb, with BITALG      3 cycles, 2 a cycle; 3, 1 a cycle
//   map_bits, take_fields   vgf2p8affineqb, vpmultishiftqb   2 a cycle; 1 a cycle
#ifndef BLOCQ_SIMD_PRIMITIVE_AVX512_HPP
#define BLOCQ_SIMD_PRIMITIVE_AVX512_HPP

#include <blocq/core/bits.hpp>

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)

#define BLOCQ_HAS_AVX512 1

#include <blocq/simd/primitive/avx2.hpp>

// Where an intrinsic names a register that is undefined on purpose, g++ 12 warns of it. Its form with a mask of ones is
// the same instruction without such a register.
#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA::simd::avx512 {

struct bytes {
  __m512i v;
};
struct words {
  __m512i v;
};
struct ints {
  __m512i v;
};
struct floats {
  __m512 v;
};

template <class V>
BLOCQ_INLINE V as_written(V v) noexcept {
#ifdef BLOCQ_GNU
  __asm__("" : "+v"(v.v));
#endif
  return v;
}

BLOCQ_INLINE __m128i lane(const void* p) noexcept { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }

BLOCQ_INLINE __m512i widen_zero(__m256i low) noexcept {
  return _mm512_maskz_inserti64x4(0xff, _mm512_setzero_si512(), low, 0);
}

BLOCQ_INLINE bytes load_bytes(const void* p) noexcept { return {_mm512_loadu_si512(p)}; }
BLOCQ_INLINE void store_bytes(void* p, bytes a) noexcept { _mm512_storeu_si512(p, a.v); }
BLOCQ_INLINE bytes load_halves(const void* a, const void* b) noexcept {
  const __m512i low = _mm512_castsi256_si512(_mm256_loadu_si256(static_cast<const __m256i*>(a)));
  return {_mm512_maskz_inserti64x4(0xff, low, _mm256_loadu_si256(static_cast<const __m256i*>(b)), 1)};
}
BLOCQ_INLINE bytes load_lanes(const void* a, const void* b, const void* c, const void* d) noexcept {
  __m512i v = _mm512_castsi128_si512(lane(a));
  v = _mm512_mask_broadcast_i32x4(v, 0x00f0, lane(b));
  v = _mm512_mask_broadcast_i32x4(v, 0x0f00, lane(c));
  return {_mm512_mask_broadcast_i32x4(v, 0xf000, lane(d))};
}
template <int Size>
BLOCQ_INLINE bytes load_every_other(const void* a, const void* b, const void* c, const void* d, int i) noexcept {
  static_assert(Size == 8 || Size == 16);
  const __m512i even =
      Size == 8 ? _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14) : _mm512_setr_epi64(0, 1, 4, 5, 8, 9, 12, 13);
  const __m512i from = _mm512_add_epi64(even, _mm512_set1_epi64(Size / 8 * i));
  return bytes{_mm512_permutex2var_epi64(load_halves(a, b).v, from, load_halves(c, d).v)};
}
BLOCQ_INLINE bytes fill_lanes(const void* p) noexcept { return {_mm512_maskz_broadcast_i32x4(0xffff, lane(p))}; }
BLOCQ_INLINE bytes fill_bytes(int b) noexcept { return {_mm512_set1_epi8(static_cast<char>(b))}; }
BLOCQ_INLINE bytes operator&(bytes a, bytes b) noexcept { return {_mm512_and_si512(a.v, b.v)}; }
BLOCQ_INLINE bytes operator|(bytes a, bytes b) noexcept { return {_mm512_or_si512(a.v, b.v)}; }
BLOCQ_INLINE bytes operator^(bytes a, bytes b) noexcept { return {_mm512_xor_si512(a.v, b.v)}; }
BLOCQ_INLINE bytes operator+(bytes a, bytes b) noexcept { return {_mm512_add_epi8(a.v, b.v)}; }
// A qword twice in each lane.
BLOCQ_INLINE __m512i set_lanes(const std::uint64_t (&q)[4]) noexcept {
  const auto n = [&](int i) BLOCQ_INLINE_LAMBDA { return static_cast<long long>(q[i]); };
  return _mm512_setr_epi64(n(0), n(0), n(1), n(1), n(2), n(2), n(3), n(3));
}
// g++ 12 counts shifts of words in an int, others in an unsigned.
struct shift_count {
  int n;
  BLOCQ_INLINE operator int() const noexcept { return n; }
  BLOCQ_INLINE operator unsigned() const noexcept { return static_cast<unsigned>(n); }
};
// move_bits, from another bit in each lane.
template <int Width, int To, int... From>
BLOCQ_INLINE bytes move_bits_of_lanes(bytes a) noexcept {
#ifdef __GFNI__
  // Output bit i is the parity of what byte 7 - i of the matrix takes of the input.
  constexpr auto of_lane = [](int from) {
    std::uint64_t m = 0;
    for (int i = 0; i < Width; ++i) m |= std::uint64_t{1} << (8 * (7 - To - i) + from + i);
    return m;
  };
  constexpr std::uint64_t m[4] = {of_lane(From)...};
  return bytes{_mm512_gf2p8affine_epi64_epi8(a.v, set_lanes(m), 0)};
#else
  constexpr std::uint64_t rotation[4] = {((To - From) & 31) * std::uint64_t{0x100000001}...};
  return bytes{_mm512_and_si512(_mm512_maskz_rolv_epi32(0xffff, a.v, set_lanes(rotation)),
                                _mm512_set1_epi8(static_cast<char>(((1u << Width) - 1u) << To)))};
#endif
}
template <int Width, int From, int To>
BLOCQ_INLINE bytes move_bits(bytes a) noexcept {
#ifdef __GFNI__
  if constexpr (From != To) return move_bits_of_lanes<Width, To, From, From, From, From>(a);
#endif
  const __m512i moved = To > From   ? _mm512_slli_epi16(a.v, static_cast<unsigned>(To > From ? To - From : 0))
                        : To < From ? _mm512_srli_epi16(a.v, static_cast<unsigned>(To < From ? From - To : 0))
                                    : a.v;
  return bytes{_mm512_and_si512(moved, _mm512_set1_epi8(static_cast<char>(((1u << Width) - 1u) << To)))};
}
template <int Width, int From, int To>
BLOCQ_INLINE bytes load_fields(const void* p) noexcept {
  const __m256i all = _mm256_loadu_si256(static_cast<const __m256i*>(p));
  return move_bits_of_lanes<Width, To, From, From, From + Width, From + Width>(
      bytes{_mm512_maskz_broadcast_i64x4(0xff, all)});
}
BLOCQ_INLINE bytes split_nibbles(const void* a, const void* b) noexcept {
  return move_bits_of_lanes<4, 0, 0, 4, 0, 4>(bytes{_mm512_mask_broadcast_i32x4(fill_lanes(a).v, 0xff00, lane(b))});
}
BLOCQ_INLINE bytes lookup16(bytes table, bytes index) noexcept { return {_mm512_shuffle_epi8(table.v, index.v)}; }
BLOCQ_INLINE bytes count_bits(bytes a) noexcept {
#ifdef __AVX512BITALG__
  return {_mm512_popcnt_epi8(a.v)};
#else
  const bytes counts{
      _mm512_maskz_broadcast_i32x4(0xffff, _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4))};
  return lookup16(counts, move_bits<4, 0, 0>(a)) + lookup16(counts, move_bits<4, 4, 0>(a));
#endif
}
template <int From, int N>
BLOCQ_INLINE bytes join_planes(const bytes* planes) noexcept {
  constexpr long long first = From * 0x0101010101010101;
  const __m512i source = _mm512_maskz_broadcast_i32x4(0xffff, _mm_set_epi64x(first + 0x0808080808080808, first));
  const __m512i bit = _mm512_set1_epi64(static_cast<long long>(0x8040201008040201ull));
#ifdef __GFNI__
  // Qwords as matrices: of byte 7 - i are made bits i.
  __m512i rows = _mm512_setzero_si512();
  for (int i = 0; i < N; ++i) rows = _mm512_mask_shuffle_epi8(rows, 0x8080808080808080u >> i, planes[i].v, source);
  return {_mm512_gf2p8affine_epi64_epi8(bit, rows, 0)};
#else
  __m512i codes = _mm512_setzero_si512();
  for (int i = 0; i < N; ++i) {
    const __mmask64 set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(planes[i].v, source), bit);
    codes = _mm512_mask_add_epi8(codes, set, codes, _mm512_set1_epi8(static_cast<char>(1 << i)));
  }
  return {codes};
#endif
}
BLOCQ_INLINE bytes spread_bits(const void* a, const void* b, const void* c, const void* d, int h, int set) noexcept {
  const auto all = [](const void* p) BLOCQ_INLINE_LAMBDA {
    int word;
    std::memcpy(&word, p, 4);
    return _mm_set1_epi32(word);
  };
  __m512i v = _mm512_castsi128_si512(all(a));
  v = _mm512_mask_broadcastd_epi32(v, 0x00f0, all(b));
  v = _mm512_mask_broadcastd_epi32(v, 0x0f00, all(c));
  v = _mm512_mask_broadcastd_epi32(v, 0xf000, all(d));
  const __m512i source = _mm512_maskz_broadcast_i32x4(0xffff, _mm_set_epi64x(0x0101010101010101, 0));
  const __m512i bit = _mm512_set1_epi64(static_cast<long long>(0x8040201008040201ull));
  const __m512i from = h == 0 ? source : _mm512_add_epi8(source, _mm512_set1_epi8(2));
#ifdef __GFNI__
  // Bytes of one bit each, times a matrix of which one row is what they are taken from.
  const int row = 7 - trailing_zeros(static_cast<std::uint32_t>(set));
  return {_mm512_gf2p8affine_epi64_epi8(bit, _mm512_maskz_shuffle_epi8(0x0101010101010101u << row, v, from), 0)};
#else
  const __mmask64 is_set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(v, from), bit);
  return {_mm512_maskz_mov_epi8(is_set, _mm512_set1_epi8(static_cast<char>(set)))};
#endif
}
BLOCQ_INLINE bytes spread_bits_of_halves(const void* a, const void* b, int set) noexcept {
  std::uint32_t low, high;
  std::memcpy(&low, a, 4);
  std::memcpy(&high, b, 4);
  return {_mm512_maskz_mov_epi8(low | std::uint64_t{high} << 32, _mm512_set1_epi8(static_cast<char>(set)))};
}
BLOCQ_INLINE bytes load_tapered(const void* half, const void* lane_at, const void* dword) noexcept {
  int last;
  std::memcpy(&last, dword, 4);
  __m512i v = widen_zero(_mm256_loadu_si256(static_cast<const __m256i*>(half)));
  v = _mm512_mask_broadcast_i32x4(v, 0x0f00, lane(lane_at));
  return {_mm512_mask_broadcastd_epi32(v, 0x1000, _mm_cvtsi32_si128(last))};
}
BLOCQ_INLINE bytes fill_eighths(const void* p) noexcept {
  int word;
  std::memcpy(&word, p, 4);
  return {_mm512_set1_epi32(word)};
}
BLOCQ_INLINE words fill_words(int w) noexcept { return {_mm512_set1_epi16(static_cast<short>(w))}; }
BLOCQ_INLINE ints fill_ints(int x) noexcept { return {_mm512_set1_epi32(x)}; }
BLOCQ_INLINE floats load_floats(const float* p) noexcept { return {_mm512_loadu_ps(p)}; }
BLOCQ_INLINE floats fill_halves(const float* p) noexcept {
  return {_mm512_castpd_ps(_mm512_maskz_broadcast_f64x4(0xff, _mm256_castps_pd(_mm256_loadu_ps(p))))};
}
BLOCQ_INLINE void store_floats(float* p, floats a) noexcept { _mm512_storeu_ps(p, a.v); }
template <int H>
BLOCQ_INLINE avx2::floats half_of(floats a) noexcept {
  return {_mm256_castsi256_ps(_mm512_maskz_extracti64x4_epi64(0xff, _mm512_castps_si512(a.v), H))};
}
BLOCQ_INLINE void store_halves(float* low, float* high, floats a) noexcept {
  avx2::store_floats(low, half_of<0>(a));
  avx2::store_floats(high, half_of<1>(a));
}
BLOCQ_INLINE floats fill_floats(float x) noexcept { return {_mm512_set1_ps(x)}; }
BLOCQ_INLINE words operator+(words a, words b) noexcept { return {_mm512_add_epi16(a.v, b.v)}; }
BLOCQ_INLINE words operator-(words a, words b) noexcept { return {_mm512_sub_epi16(a.v, b.v)}; }
BLOCQ_INLINE words operator|(words a, words b) noexcept { return {_mm512_or_si512(a.v, b.v)}; }
BLOCQ_INLINE ints operator-(ints a, ints b) noexcept { return {_mm512_sub_epi32(a.v, b.v)}; }
BLOCQ_INLINE ints operator+(ints a, ints b) noexcept { return {_mm512_add_epi32(a.v, b.v)}; }
BLOCQ_INLINE ints operator*(ints a, ints b) noexcept { return {_mm512_mullo_epi32(a.v, b.v)}; }
BLOCQ_INLINE ints shift_left(ints a, int bits) noexcept {
  return {_mm512_maskz_slli_epi32(0xffff, a.v, static_cast<unsigned>(bits))};
}
BLOCQ_INLINE floats operator+(floats a, floats b) noexcept { return {_mm512_add_ps(a.v, b.v)}; }
BLOCQ_INLINE floats operator-(floats a, floats b) noexcept { return {_mm512_sub_ps(a.v, b.v)}; }
BLOCQ_INLINE floats operator*(floats a, floats b) noexcept { return {_mm512_mul_ps(a.v, b.v)}; }
BLOCQ_INLINE floats fma(floats a, floats b, floats c) noexcept { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
BLOCQ_INLINE floats twice(floats a, int h) noexcept {
  return {h == 0 ? _mm512_maskz_unpacklo_ps(0xffff, a.v, a.v) : _mm512_maskz_unpackhi_ps(0xffff, a.v, a.v)};
}
BLOCQ_INLINE words shift_right(words a, int n) noexcept { return {_mm512_srli_epi16(a.v, shift_count{n})}; }
BLOCQ_INLINE bytes next_digits(words& even, words& odd) noexcept {
  even.v = _mm512_maddubs_epi16(even.v, _mm512_set1_epi16(3));
  odd.v = _mm512_maddubs_epi16(odd.v, _mm512_set1_epi16(3));
  const __m512i lower = _mm512_set1_epi16(0xff);
  return {_mm512_ternarylogic_epi32(lower, _mm512_srli_epi16(even.v, 8), odd.v, 0xca)};
}
BLOCQ_INLINE void add_to(words& sum, words term) noexcept { sum.v = _mm512_add_epi16(sum.v, term.v); }
BLOCQ_INLINE void add_to(ints& sum, ints term) noexcept { sum.v = _mm512_add_epi32(sum.v, term.v); }
BLOCQ_INLINE words maddubs(bytes u, bytes s) noexcept { return {_mm512_maddubs_epi16(u.v, s.v)}; }
BLOCQ_INLINE words maddss(bytes a, bytes b) noexcept {
  const __m512i signed_b = _mm512_mask_sub_epi8(b.v, _mm512_movepi8_mask(a.v), _mm512_setzero_si512(), b.v);
  return {_mm512_maddubs_epi16(_mm512_abs_epi8(a.v), signed_b)};
}
BLOCQ_INLINE ints madd2(words a, words b) noexcept { return {_mm512_madd_epi16(a.v, b.v)}; }
inline constexpr int dot4_bias = 128;
BLOCQ_INLINE words widen_quarters(bytes a, int q) noexcept {
  const __m512i zero = _mm512_setzero_si512();
  return {q == 0 ? _mm512_unpacklo_epi8(a.v, zero) : _mm512_unpackhi_epi8(a.v, zero)};
}
BLOCQ_INLINE bytes interleave_bytes(bytes a, bytes b, int h) noexcept {
  return {h == 0 ? _mm512_unpacklo_epi8(a.v, b.v) : _mm512_unpackhi_epi8(a.v, b.v)};
}
BLOCQ_INLINE bytes interleave_words(bytes a, bytes b, int h) noexcept {
  return {h == 0 ? _mm512_unpacklo_epi16(a.v, b.v) : _mm512_unpackhi_epi16(a.v, b.v)};
}
BLOCQ_INLINE words little_words(bytes a) noexcept { return {a.v}; }
BLOCQ_INLINE words even_and_odd(ints even, ints odd) noexcept {
  return {_mm512_mask_blend_epi16(0xaaaaaaaa, even.v, _mm512_maskz_slli_epi32(0xffff, odd.v, 16))};
}
BLOCQ_INLINE void madd2_to(ints& sum, words a, words b) noexcept {
#ifdef __AVX512VNNI__
  sum.v = _mm512_dpwssd_epi32(sum.v, a.v, b.v);
#else
  sum = sum + madd2(a, b);
#endif
}
#ifdef __AVX512VNNI__
inline constexpr bool has_dot4 = true;
BLOCQ_INLINE void dot4_to(ints& sum, bytes biased, bytes s) noexcept {
#ifdef BLOCQ_GNU
  __m512i v = sum.v;
  __asm__("vpdpbusd {%2, %1, %0|%0, %1, %2}" : "+v"(v) : "v"(biased.v), "v"(s.v));
  sum.v = v;
#else
  sum.v = _mm512_dpbusd_epi32(sum.v, biased.v, s.v);
#endif
}
#else
inline constexpr bool has_dot4 = false;
BLOCQ_INLINE void dot4_to(ints& sum, bytes biased, bytes s) noexcept {
  const __m512i even = _mm512_and_si512(biased.v, _mm512_set1_epi16(0xff)), odd = _mm512_srli_epi16(biased.v, 8);
  const __m512i even_s = _mm512_srai_epi16(_mm512_slli_epi16(s.v, 8), 8), odd_s = _mm512_srai_epi16(s.v, 8);
  sum.v = _mm512_add_epi32(sum.v, _mm512_add_epi32(_mm512_madd_epi16(even, even_s), _mm512_madd_epi16(odd, odd_s)));
}
#endif
#ifdef BLOCQ_GNU  // these two intrinsics name a register that is undefined on purpose, of which g++ 12 warns
typedef std::int32_t ints_of_16 __attribute__((vector_size(64)));
BLOCQ_INLINE ints upper_words(bytes a) noexcept {
  return {reinterpret_cast<__m512i>(reinterpret_cast<ints_of_16>(a.v) >> 16)};
}
BLOCQ_INLINE floats to_floats(ints a) noexcept {
  return {__builtin_convertvector(reinterpret_cast<ints_of_16>(a.v), __m512)};
}
#else
BLOCQ_INLINE ints upper_words(bytes a) noexcept { return {_mm512_srai_epi32(a.v, 16)}; }
BLOCQ_INLINE floats to_floats(ints a) noexcept { return {_mm512_cvtepi32_ps(a.v)}; }
#endif
// 16 signed bytes of half h.
BLOCQ_INLINE __m128i lane(avx2::bytes a, int h) noexcept {
  return h == 0 ? _mm256_castsi256_si128(a.v) : _mm256_extracti128_si256(a.v, 1);
}
BLOCQ_INLINE floats to_floats(avx2::bytes a, int h) noexcept {
  return to_floats(ints{_mm512_maskz_cvtepi8_epi32(0xffff, lane(a, h))});
}
BLOCQ_INLINE floats lookup16(const float (&table)[16], avx2::bytes index, int h) noexcept {
  return {
      _mm512_maskz_permutexvar_ps(0xffff, _mm512_maskz_cvtepu8_epi32(0xffff, lane(index, h)), _mm512_loadu_ps(table))};
}
BLOCQ_INLINE bytes as_bytes(words a) noexcept { return {a.v}; }
BLOCQ_INLINE bytes as_bytes(ints a) noexcept { return {a.v}; }
BLOCQ_INLINE words as_words(bytes a) noexcept { return {a.v}; }
BLOCQ_INLINE ints as_ints(bytes a) noexcept { return {a.v}; }
BLOCQ_INLINE floats as_floats(bytes a) noexcept { return {_mm512_castsi512_ps(a.v)}; }

BLOCQ_INLINE bytes join(avx2::bytes low, avx2::bytes high) noexcept {
  return {_mm512_maskz_inserti64x4(0xff, _mm512_castsi256_si512(low.v), high.v, 1)};
}
BLOCQ_INLINE ints join(avx2::ints low, avx2::ints high) noexcept {
  return {_mm512_maskz_inserti64x4(0xff, _mm512_castsi256_si512(low.v), high.v, 1)};
}
BLOCQ_INLINE floats join(avx2::floats low, avx2::floats high) noexcept {
  return as_floats(join(avx2::as_bytes(low), avx2::as_bytes(high)));
}
BLOCQ_INLINE ints widen_zero(avx2::ints low) noexcept { return {widen_zero(low.v)}; }
BLOCQ_INLINE words widen_zero(avx2::words low) noexcept { return {widen_zero(low.v)}; }
BLOCQ_INLINE avx2::ints fold(ints a) noexcept {
  return avx2::ints{_mm512_castsi512_si256(a.v)} + avx2::ints{_mm512_maskz_extracti64x4_epi64(0xff, a.v, 1)};
}
BLOCQ_INLINE avx2::floats fold(floats a) noexcept { return half_of<0>(a) + half_of<1>(a); }
BLOCQ_INLINE float sum(floats a) noexcept { return avx2::sum(fold(a)); }

template <int Bytes, class V>
BLOCQ_INLINE V add_neighbours(V a, V b) noexcept {
  static_assert(Bytes == 4 || Bytes == 8);
  if constexpr (Bytes == 8)
    return V{_mm512_maskz_unpacklo_epi64(0xff, a.v, b.v)} + V{_mm512_maskz_unpackhi_epi64(0xff, a.v, b.v)};
  const __m512 x = _mm512_castsi512_ps(a.v), y = _mm512_castsi512_ps(b.v);
  return V{_mm512_castps_si512(_mm512_shuffle_ps(x, y, 0x88))} + V{_mm512_castps_si512(_mm512_shuffle_ps(x, y, 0xdd))};
}
template <class V>
BLOCQ_INLINE V meet(V a, V b, V c, V d) noexcept {
  return add_neighbours<4>(add_neighbours<8>(a, b), add_neighbours<8>(c, d));
}
template <class V>
BLOCQ_INLINE V meet_halves(V a, V b) noexcept {
  return V{_mm512_maskz_shuffle_i64x2(0xff, a.v, b.v, 0x88)} + V{_mm512_maskz_shuffle_i64x2(0xff, a.v, b.v, 0xdd)};
}
BLOCQ_INLINE words fours(words a, words b) noexcept { return add_neighbours<8>(a, b); }
BLOCQ_INLINE words fours(ints a, ints b) noexcept { return {_mm512_packs_epi32(a.v, b.v)}; }
template <int... From>
BLOCQ_INLINE words spread_words(words a) noexcept {
  static_assert(sizeof...(From) == 8);
  static constexpr auto index = [] {
    constexpr short from[8] = {From...};
    std::array<short, 32> to{};
    for (std::size_t i = 0; i < 32; ++i) to[i] = from[i / 4];
    return to;
  }();
  return words{_mm512_permutexvar_epi16(_mm512_loadu_si512(index.data()), a.v)};
}
template <int... From>
BLOCQ_INLINE words spread_words(avx2::words a) noexcept {
  return spread_words<From...>(words{_mm512_castsi256_si512(a.v)});
}
template <int Lane, int... From>
BLOCQ_INLINE words spread_lane(words a) noexcept {
  return spread_words<(8 * Lane + From)...>(a);
}

// Numbers of Size bytes at the beginning of sixteen blocks of Stride bytes, in one register: each load begins one
// number further before its blocks than the load before it, so that no two numbers come to the same place.
template <std::size_t Size, std::size_t Stride>
struct gathering {
  static constexpr std::size_t room = 64 / Size, stride = Stride / Size;
  static_assert(Stride % Size == 0 && stride >= 2);
  struct source {
    std::size_t offset;
    alignas(64) std::uint8_t mask[64];
  };
  std::size_t loads = 0, place[16] = {};
  source load[16] = {};

  constexpr gathering() noexcept {
    for (std::size_t i = 0; i < 16; ++loads) {
      const std::size_t fits = (room - 1 - loads) / stride + 1, first = i + fits <= 16 ? i : 16 - fits;
      source& from = load[loads];
      from.offset = first * Stride - loads * Size;
      for (const std::size_t end = first + fits; i < end; ++i) {
        place[i] = loads + (i - first) * stride;
        for (std::size_t b = 0; b < Size; ++b) from.mask[place[i] * Size + b] = 0xff;
      }
    }
  }
};
template <std::size_t Size, std::size_t Stride>
inline constexpr gathering<Size, Stride> gathering_of{};
template <std::size_t Size, std::size_t Stride>
BLOCQ_INLINE __m512i gather(const void* p) noexcept {
  constexpr auto& plan = gathering_of<Size, Stride>;
  __m512i all = _mm512_setzero_si512();
  [&]<std::size_t... Index>(std::index_sequence<Index...>) BLOCQ_INLINE_LAMBDA {
    ((all = _mm512_ternarylogic_epi32(all, _mm512_load_si512(plan.load[Index].mask),
                                      _mm512_loadu_si512(static_cast<const char*>(p) + plan.load[Index].offset), 0xf8)),
     ...);
  }
  (std::make_index_sequence<plan.loads>{});
  return all;
}
// Word j of number i to word 16 j + i.
template <std::size_t Size, std::size_t Stride>
BLOCQ_INLINE __m512i gather_words(const void* p) noexcept {
  static constexpr auto index = [] {
    std::array<short, 32> to{};
    for (std::size_t i = 0; i < 16; ++i)
      for (std::size_t j = 0; j < Size / 2; ++j)
        to[16 * j + i] = static_cast<short>(gathering_of<Size, Stride>.place[i] * (Size / 2) + j);
    return to;
  }();
  return _mm512_permutexvar_epi16(_mm512_loadu_si512(index.data()), gather<Size, Stride>(p));
}
BLOCQ_INLINE floats halves_to_floats(avx2::words a) noexcept { return {_mm512_maskz_cvtph_ps(0xffff, a.v)}; }
template <std::size_t Stride>
BLOCQ_INLINE floats load_halves_as_floats(const void* p) noexcept {
  if constexpr (gathering_of<2, Stride>.loads > 6) {  // most of which cross a line
    const auto four = [p](int from) BLOCQ_INLINE_LAMBDA {
      return avx2::side_by_side<std::uint16_t>([=](int i) BLOCQ_INLINE_LAMBDA {
        return static_cast<const char*>(p) + static_cast<std::size_t>(from + i) * Stride;
      });
    };
    return {_mm512_maskz_cvtph_ps(0xffff, _mm256_setr_epi64x(four(0), four(4), four(8), four(12)))};
  } else {
    const __m512i words = gather_words<2, Stride>(p);
    return {_mm512_maskz_cvtph_ps(0xffff, _mm512_maskz_extracti64x4_epi64(0xff, words, 0))};
  }
}
template <std::size_t Stride>
BLOCQ_INLINE void load_pairs_of_halves_as_floats(const void* p, floats& first, floats& second) noexcept {
  const __m512i words = gather_words<4, Stride>(p);
  first = {_mm512_maskz_cvtph_ps(0xffff, _mm512_maskz_extracti64x4_epi64(0xff, words, 0))};
  second = {_mm512_maskz_cvtph_ps(0xffff, _mm512_maskz_extracti64x4_epi64(0xff, words, 1))};
}
BLOCQ_INLINE floats fill_four(float a, float b, float c, float d) noexcept {
  return {_mm512_maskz_broadcast_f32x4(0xffff, _mm_setr_ps(a, b, c, d))};
}
BLOCQ_INLINE floats load_four_halves(const le16& a, const le16& b, const le16& c, const le16& d) noexcept {
  return {_mm512_maskz_broadcast_f32x4(0xffff, _mm256_castps256_ps128(avx2::load_four_halves(a, b, c, d).v))};
}
BLOCQ_INLINE floats spread_lanes(floats a) noexcept {
  const __m512i lane = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  return {_mm512_maskz_permutexvar_ps(0xffff, lane, a.v)};
}
BLOCQ_INLINE floats load_f16(const void* p) noexcept {
  return {_mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(static_cast<const __m256i*>(p)))};
}
// The even elements of 32 numbers in bfloat16, then the odd ones.
BLOCQ_INLINE void split_bf16(bytes a, floats& even, floats& odd) noexcept {
  even = {_mm512_castsi512_ps(_mm512_maskz_slli_epi32(0xffff, a.v, 16))};
  odd = {_mm512_castsi512_ps(_mm512_and_si512(a.v, _mm512_set1_epi32(static_cast<int>(0xffff0000u))))};
}
BLOCQ_INLINE void split_pairs(floats& a, floats& b) noexcept {
  const __m512i index = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512 even = _mm512_permutex2var_ps(a.v, index, b.v);
  b.v = _mm512_permutex2var_ps(a.v, _mm512_add_epi32(index, _mm512_set1_epi32(1)), b.v);
  a.v = even;
}
BLOCQ_INLINE floats upper_halves(__m256i words) noexcept {
  return {_mm512_castsi512_ps(_mm512_maskz_slli_epi32(0xffff, _mm512_maskz_cvtepu16_epi32(0xffff, words), 16))};
}
BLOCQ_INLINE floats load_bf16(const void* p) noexcept {
  return upper_halves(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
}
BLOCQ_INLINE floats load_f16_halves(const void* a, const void* b) noexcept {
  return halves_to_floats(avx2::words{avx2::load_two(a, b).v});
}
BLOCQ_INLINE floats load_bf16_halves(const void* a, const void* b) noexcept {
  return upper_halves(avx2::load_two(a, b).v);
}

#ifdef __AVX512BF16__
#define BLOCQ_HAS_BF16_PRODUCTS 1
// Products of neighbours in bfloat16, those with odd index added first, each sum rounded once; subnormal numbers are 0.
BLOCQ_INLINE floats add_bf16_products(floats sum, bytes a, bytes b) noexcept {
  return {_mm512_dpbf16_ps(sum.v, (__m512bh)a.v, (__m512bh)b.v)};
}
#endif

// ---- tables of bytes in registers ----

#if defined(__AVX512VBMI__) && defined(__AVX512VNNI__) && defined(__GFNI__)

#define BLOCQ_HAS_TABLES 1

// A bit for each byte.
struct flags {
  __mmask64 v;
};
// Bit `Bit` of every byte; or 64 bits from memory.
template <int Bit>
BLOCQ_INLINE flags flag_bytes(bytes a) noexcept {
  if constexpr (Bit == 7)
    return flags{_mm512_movepi8_mask(a.v)};
  else
    return flags{_mm512_test_epi8_mask(a.v, _mm512_set1_epi8(1 << Bit))};
}
BLOCQ_INLINE flags load_flags(const void* p) noexcept {
  std::uint64_t bits;
  std::memcpy(&bits, p, 8);
  return {bits};
}
// The bytes of b where there is a flag, those of a elsewhere.
BLOCQ_INLINE bytes blend_bytes(flags f, bytes a, bytes b) noexcept { return {_mm512_mask_blend_epi8(f.v, a.v, b.v)}; }
// The bits of a that the mask has, those of b that it has not.
BLOCQ_INLINE bytes select_bits(bytes mask, bytes a, bytes b) noexcept {
  return {_mm512_ternarylogic_epi32(mask.v, a.v, b.v, 0xca)};
}

// The entries of a table of 64 that bits 0 to 5 of the indices choose; the other bits are ignored.
BLOCQ_INLINE bytes lookup_bytes(bytes table, bytes index) noexcept {
  return {_mm512_maskz_permutexvar_epi8(~__mmask64{0}, index.v, table.v)};
}
// Of 128 entries, chosen by bits 0 to 6.
BLOCQ_INLINE bytes lookup_bytes(bytes low, bytes high, bytes index) noexcept {
  return {_mm512_permutex2var_epi8(low.v, index.v, high.v)};
}
// Of N entries; bit 7 + i of an index is a flag of upper[i]. A tree: no lookup waits for another one.
template <std::size_t N>
BLOCQ_INLINE bytes lookup_bytes(const std::uint8_t* table, bytes index, const flags* upper) noexcept {
  if constexpr (N == 128) {
    return lookup_bytes(load_bytes(table), load_bytes(table + 64), index);
  } else {
    const bytes low = lookup_bytes<N / 2>(table, index, upper);
    const bytes high = lookup_bytes<N / 2>(table + N / 2, index, upper);
    constexpr int bit = trailing_zeros(N / 256);
    return blend_bytes(upper[bit], low, high);
  }
}
// The same of dwords from a table of 32.
BLOCQ_INLINE bytes lookup_dwords(bytes low, bytes high, bytes index) noexcept {
  return {_mm512_permutex2var_epi32(low.v, index.v, high.v)};
}

// Bit i of a byte becomes the parity of those of its bits that Row[i] has.
template <std::uint8_t... Row>
BLOCQ_INLINE bytes map_bits(bytes a) noexcept {
  static_assert(sizeof...(Row) == 8);
  constexpr std::uint64_t matrix = [] {
    std::uint64_t m = 0;
    for (const std::uint8_t row : {Row...}) m = m << 8 | row;
    return m;
  }();
  return bytes{_mm512_gf2p8affine_epi64_epi8(a.v, _mm512_set1_epi64(static_cast<long long>(matrix)), 0)};
}
// Eight bits of the qword that a byte lies in, from bit offset % 64 on; after the last bit follows the first one.
BLOCQ_INLINE bytes take_fields(bytes offset, bytes qwords) noexcept {
  return {_mm512_maskz_multishift_epi64_epi8(~__mmask64{0}, offset.v, qwords.v)};
}
// Eight dwords, or two times four words, each to a qword; two times eight words, each to a dword.
BLOCQ_INLINE bytes widen_dwords(avx2::bytes a) noexcept { return {_mm512_maskz_cvtepu32_epi64(0xff, a.v)}; }
BLOCQ_INLINE bytes load_qwords_of_words(const void* a, const void* b) noexcept {
  const __m128i low = _mm_loadl_epi64(static_cast<const __m128i*>(a));
  return {_mm512_maskz_cvtepu16_epi64(0xff, _mm_unpacklo_epi64(low, _mm_loadl_epi64(static_cast<const __m128i*>(b))))};
}
BLOCQ_INLINE ints load_ints_of_words(const void* a, const void* b) noexcept {
  return {_mm512_maskz_cvtepu16_epi32(0xffff, _mm256_inserti128_si256(_mm256_castsi128_si256(lane(a)), lane(b), 1))};
}
// A qword from memory four times, then another one.
BLOCQ_INLINE bytes fill_half_qwords(const void* a, const void* b) noexcept {
  const __m128i low = _mm_loadl_epi64(static_cast<const __m128i*>(a));
  const __m128i high = _mm_loadl_epi64(static_cast<const __m128i*>(b));
  return {_mm512_mask_broadcastq_epi64(_mm512_maskz_broadcastq_epi64(0xff, low), 0xf0, high)};
}
// A number eight times, then another one; of binary16 as well.
BLOCQ_INLINE floats fill_half_floats(float a, float b) noexcept {
  return {_mm512_mask_broadcastss_ps(_mm512_set1_ps(a), 0xff00, _mm_set_ss(b))};
}
BLOCQ_INLINE floats fill_half_f16(std::uint16_t a, std::uint16_t b) noexcept {
  const __m256i words = _mm256_mask_set1_epi16(_mm256_set1_epi16(static_cast<short>(a)), 0xff00, static_cast<short>(b));
  return {_mm512_maskz_cvtph_ps(0xffff, words)};
}
// 32 codes of six bits each from two addresses; what bits 6 and 7 of the bytes are is not defined.
BLOCQ_INLINE bytes spread_sixes(const void* a, const void* b) noexcept {
  static constexpr auto from = [] {
    std::array<std::uint8_t, 64> to{};
    for (std::size_t i = 0; i < 64; ++i)
      to[i] = static_cast<std::uint8_t>(i / 16 % 2 * 4 + i / 8 % 2 * 6 + (i % 8 < 6 ? i % 8 : 5));
    return to;
  }();
  static constexpr auto offset = [] {
    std::array<std::uint8_t, 64> to{};
    for (std::size_t i = 0; i < 64; ++i) to[i] = static_cast<std::uint8_t>(i % 8 * 6);
    return to;
  }();
  const auto second = [](const void* p) BLOCQ_INLINE_LAMBDA { return static_cast<const std::uint8_t*>(p) + 8; };
  const bytes all = load_lanes(a, second(a), b, second(b));
  return take_fields(load_bytes(offset.data()), lookup16(all, load_bytes(from.data())));
}
// Dwords 0, 0, 2, 2, ...
BLOCQ_INLINE ints twice_even(ints a) noexcept { return {_mm512_maskz_shuffle_epi32(0xffff, a.v, _MM_PERM_CCAA)}; }
template <int Bits>
BLOCQ_INLINE ints shift_right_logical(ints a) noexcept {
  return ints{_mm512_maskz_srli_epi32(0xffff, a.v, Bits)};
}
// Bit `Bit` of every dword in all of its bits.
template <int Bit>
BLOCQ_INLINE bytes spread_bit(ints a) noexcept {
  return bytes{_mm512_maskz_srai_epi32(0xffff, _mm512_maskz_slli_epi32(0xffff, a.v, 31 - Bit), 31)};
}
// Dwords of an even number of Width bits above bit 0, made odd; what lies around these bits is ignored.
template <int Width>
BLOCQ_INLINE ints odd_ints(ints a) noexcept {
  return ints{_mm512_ternarylogic_epi32(a.v, _mm512_set1_epi32((2 << Width) - 2), _mm512_set1_epi32(1), 0xea)};
}
// interleave_bytes, of qwords.
BLOCQ_INLINE bytes interleave_qwords(bytes a, bytes b, int h) noexcept {
  return {h == 0 ? _mm512_maskz_unpacklo_epi64(0xff, a.v, b.v) : _mm512_maskz_unpackhi_epi64(0xff, a.v, b.v)};
}
// Lane i of vector j becomes lane j of vector i.
BLOCQ_INLINE void transpose_lanes(bytes& a, bytes& b, bytes& c, bytes& d) noexcept {
  const __m512i ab_even = _mm512_maskz_shuffle_i64x2(0xff, a.v, b.v, 0x88);
  const __m512i ab_odd = _mm512_maskz_shuffle_i64x2(0xff, a.v, b.v, 0xdd);
  const __m512i cd_even = _mm512_maskz_shuffle_i64x2(0xff, c.v, d.v, 0x88);
  const __m512i cd_odd = _mm512_maskz_shuffle_i64x2(0xff, c.v, d.v, 0xdd);
  a.v = _mm512_maskz_shuffle_i64x2(0xff, ab_even, cd_even, 0x88);
  b.v = _mm512_maskz_shuffle_i64x2(0xff, ab_odd, cd_odd, 0x88);
  c.v = _mm512_maskz_shuffle_i64x2(0xff, ab_even, cd_even, 0xdd);
  d.v = _mm512_maskz_shuffle_i64x2(0xff, ab_odd, cd_odd, 0xdd);
}

#endif

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd::avx512

#endif

#endif
