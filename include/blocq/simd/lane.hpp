// The SIMD lane: as many independent problems at once as a register has floats, each rounded exactly as `lane` rounds
// one (core/lane.hpp). native_lane is the widest lane type of this translation unit, native_pair the fastest for long
// searches: two registers. They are made of `lane` where there is no xsimd.
//
// Most asm statements are empty barriers, as in core/lane.hpp. Some operations are written as instructions: division
// and square root, because with -ffast-math compilers replace them by approximations; maximum and minimum, because the
// instructions mean exactly max_of and min_of and compilers do not rely on that.
#ifndef BLOCQ_SIMD_LANE_HPP
#define BLOCQ_SIMD_LANE_HPP

#include <blocq/core/bits.hpp>
#include <blocq/core/lane_pair.hpp>
#include <blocq/simd/transpose.hpp>
#include <blocq/simd/xsimd.hpp>

#include <cstring>
#include <type_traits>

// The conversion intrinsics of g++ 12 for AVX-512 start from a register that is undefined on purpose, and it warns
// about that wherever they end up.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

// The constraint of a register, and the instruction a = name(a, b) on registers.
#if defined(__AVX512F__)
#define BLOCQ_LANE_REGISTER "v"
#elif defined(__SSE2__)
#define BLOCQ_LANE_REGISTER "x"
#else
#define BLOCQ_LANE_REGISTER "w"
#endif
#if defined(__AVX__)
#define BLOCQ_LANE_INSTRUCTION(name, a, b)    \
  __asm__("v" name " {%2, %1, %0|%0, %1, %2}" \
          : "=" BLOCQ_LANE_REGISTER(a)        \
          : BLOCQ_LANE_REGISTER(a), BLOCQ_LANE_REGISTER(b))
#elif defined(__SSE2__)
#define BLOCQ_LANE_INSTRUCTION(name, a, b) __asm__(name " {%1, %0|%0, %1}" : "+x"(a) : "x"(b))
#endif

namespace blocq::inline v0::inline BLOCQ_ISA {

#if BLOCQ_HAS_XSIMD

struct batch_lane {
  using batch = xsimd::batch<float>;
  using ints = xsimd::batch<std::int32_t>;
  using mask = xsimd::batch_bool<float>;
  static constexpr std::size_t size = batch::size;

  batch v;

  batch_lane() = default;
  BLOCQ_INLINE batch_lane(float x) noexcept : v(x) {}
  BLOCQ_INLINE explicit batch_lane(batch x) noexcept : v(x) {}

  // Hides from the compiler how a register came about.
  static BLOCQ_INLINE batch_lane opaque(batch x) noexcept {
    __asm__("" : "+" BLOCQ_LANE_REGISTER(x.data));
    return batch_lane(x);
  }
  static BLOCQ_INLINE mask opaque(mask m) noexcept {
#if defined(__AVX512F__)
    __asm__("" : "+k"(m.data));
#else
    __asm__("" : "+" BLOCQ_LANE_REGISTER(m.data));
#endif
    return m;
  }

  friend BLOCQ_INLINE batch_lane operator/(batch_lane a, batch_lane b) noexcept {
#if defined(__SSE2__)
    BLOCQ_LANE_INSTRUCTION("divps", a.v.data, b.v.data);
    return a;
#elif defined(__aarch64__)  // xsimd 8 estimates a reciprocal
    __asm__("fdiv %0.4s, %0.4s, %1.4s" : "+w"(a.v.data) : "w"(b.v.data));
    return a;
#else
    return opaque(a.v / b.v);
#endif
  }
  friend BLOCQ_INLINE batch_lane sqrt(batch_lane a) noexcept {
#if defined(__AVX__)
    __asm__("vsqrtps {%1, %0|%0, %1}" : "=" BLOCQ_LANE_REGISTER(a.v.data) : BLOCQ_LANE_REGISTER(a.v.data));
    return a;
#elif defined(__SSE2__)
    __asm__("sqrtps %0, %0" : "+x"(a.v.data));
    return a;
#elif defined(__aarch64__)
    __asm__("fsqrt %0.4s, %0.4s" : "+w"(a.v.data));
    return a;
#else
    return opaque(xsimd::sqrt(a.v));
#endif
  }
  friend BLOCQ_INLINE batch_lane operator+(batch_lane a, batch_lane b) noexcept { return opaque(a.v + b.v); }
  friend BLOCQ_INLINE batch_lane operator-(batch_lane a, batch_lane b) noexcept { return opaque(a.v - b.v); }
  friend BLOCQ_INLINE batch_lane operator*(batch_lane a, batch_lane b) noexcept { return opaque(a.v * b.v); }
  BLOCQ_INLINE batch_lane operator-() const noexcept {
    return opaque(simd::bit_cast<float>(simd::bit_cast<std::int32_t>(v) ^ ints(INT32_MIN)));
  }
  BLOCQ_INLINE batch_lane& operator+=(batch_lane b) noexcept { return *this = *this + b; }
  BLOCQ_INLINE batch_lane& operator-=(batch_lane b) noexcept { return *this = *this - b; }

  friend BLOCQ_INLINE mask operator<(batch_lane a, batch_lane b) noexcept { return opaque(a.v < b.v); }
  friend BLOCQ_INLINE mask operator<=(batch_lane a, batch_lane b) noexcept { return opaque(a.v <= b.v); }
  friend BLOCQ_INLINE mask operator==(batch_lane a, batch_lane b) noexcept { return opaque(a.v == b.v); }
  friend BLOCQ_INLINE mask operator>(batch_lane a, batch_lane b) noexcept { return opaque(b.v < a.v); }
  friend BLOCQ_INLINE mask operator>=(batch_lane a, batch_lane b) noexcept { return opaque(b.v <= a.v); }
  friend BLOCQ_INLINE mask operator!=(batch_lane a, batch_lane b) noexcept { return ~(a == b); }

  friend BLOCQ_INLINE batch_lane abs(batch_lane a) noexcept {
    return opaque(simd::bit_cast<float>(simd::bit_cast<std::int32_t>(a.v) & ints(INT32_MAX)));
  }

#if defined(__SSE2__)
  // With a NaN, and with zeros of different signs, the instructions give the second operand, as the model does.
  friend BLOCQ_INLINE batch_lane max_of(batch_lane a, batch_lane b) noexcept {
    BLOCQ_LANE_INSTRUCTION("maxps", a.v.data, b.v.data);
    return a;
  }
  friend BLOCQ_INLINE batch_lane min_of(batch_lane a, batch_lane b) noexcept {
    BLOCQ_LANE_INSTRUCTION("minps", a.v.data, b.v.data);
    return a;
  }
#endif

  // The low 23 bits as a number between 2^23 and 2^24.
  friend BLOCQ_INLINE batch_lane nearest_int(batch_lane x) noexcept {
    const batch_lane magic = 12582912.0f;
    const ints bits = simd::bit_cast<std::int32_t>((x + magic).v);
    return batch_lane(simd::bit_cast<float>((bits & ints(0x7fffff)) | ints(0x4b000000))) - magic;
  }

  friend BLOCQ_INLINE batch_lane rounded(batch_lane x) noexcept {
#if defined(__SSE4_1__)
    return opaque(xsimd::nearbyint(x.v));
#else
    return (x + batch_lane(12582912.0f)) - batch_lane(12582912.0f);
#endif
  }

#if defined(__AVX2__) || (defined(__SSE4_1__) && !defined(__AVX__))
  // By integer instructions, for which processors have more units: positive floats order as their bits do, negative
  // ones the other way round, and as unsigned integers they lie above the positive ones.
  friend BLOCQ_INLINE batch_lane at_most(batch_lane x, float highest) noexcept {
    const ints bound = simd::bit_cast<std::int32_t>(batch(highest));
    return opaque(simd::bit_cast<float>((xsimd::min)(simd::bit_cast<std::int32_t>(x.v), bound)));
  }
  friend BLOCQ_INLINE batch_lane at_least(batch_lane x, float lowest) noexcept {
    const xsimd::batch<std::uint32_t> bound(to_bits(lowest) | 0x80000000u);
    return opaque(simd::bit_cast<float>((xsimd::min)(simd::bit_cast<std::uint32_t>(x.v), bound)));
  }
#endif

  // Integer part of x as a 32-bit integer. Where it does not fit, the low byte is that of INT32_MIN.
  static BLOCQ_INLINE ints truncated(batch_lane x) noexcept {
#if defined(__SSE2__)
    return xsimd::to_int(x.v);  // gives INT32_MIN
#else
    return xsimd::to_int(select(abs(x) < batch_lane(2147483648.0f), x, batch_lane(0.0f)).v);
#endif
  }
  friend BLOCQ_INLINE batch_lane to_i8(batch_lane x) noexcept {
    return opaque(xsimd::to_float((truncated(x) << 24) >> 24));
  }
  friend BLOCQ_INLINE batch_lane to_u8(batch_lane x) noexcept {
    return opaque(xsimd::to_float(truncated(x) & ints(0xff)));
  }
  // Half a unit less than one half is added to the magnitude: then what was below a half stays below the integer, and
  // a half reaches it by the rounding of the sum.
  friend BLOCQ_INLINE batch_lane round_half_away(batch_lane x) noexcept {
    const ints sign = simd::bit_cast<std::int32_t>(x.v) & ints(INT32_MIN);
    const batch_lane moved = abs(x) + batch_lane(0.49999997f), whole = opaque(xsimd::to_float(truncated(moved)));
    const batch_lane result = select(moved < batch_lane(8388608.0f), whole, moved);  // from 2^23 on it is an integer
    return opaque(simd::bit_cast<float>(simd::bit_cast<std::int32_t>(result.v) | sign));
  }

  friend BLOCQ_INLINE batch_lane select(mask m, batch_lane a, batch_lane b) noexcept {
    return batch_lane(xsimd::select(m, a.v, b.v));
  }
};

struct batch_packed;

}  // namespace blocq::inline v0::inline BLOCQ_ISA

template <>
struct blocq::lane_traits<blocq::batch_lane> {
  static constexpr std::size_t size = batch_lane::size;
  using mask = batch_lane::mask;
  using packed = batch_packed;
};

namespace blocq::inline v0::inline BLOCQ_ISA {

BLOCQ_INLINE bool any(batch_lane::mask m) noexcept { return xsimd::any(m); }
BLOCQ_INLINE bool all(batch_lane::mask m) noexcept { return xsimd::all(m); }

// Lane i holds p[i * stride]; lanes from `count` on repeat the last one and are not stored.
BLOCQ_INLINE void gather(batch_lane& to, const float* p, std::size_t stride, std::size_t count) noexcept {
  if (stride == 1 && count == batch_lane::size) {
    to.v = batch_lane::batch::load_unaligned(p);
    return;
  }
  float lanes[batch_lane::size];
  for (std::size_t i = 0; i < batch_lane::size; ++i) lanes[i] = p[(i < count - 1 ? i : count - 1) * stride];
  to.v = batch_lane::batch::load_unaligned(lanes);
}
BLOCQ_INLINE void scatter(batch_lane from, float* p, std::size_t stride, std::size_t count) noexcept {
  if (stride == 1 && count == batch_lane::size) {
    from.v.store_unaligned(p);
    return;
  }
  float lanes[batch_lane::size];
  from.v.store_unaligned(lanes);
  for (std::size_t i = 0; i < batch_lane::size && i < count; ++i) p[i * stride] = lanes[i];
}

// A tile goes through registers, a square of them at a time.
template <std::size_t N>
requires(N % batch_lane::size == 0) BLOCQ_INLINE
    void gather(batch_lane (&to)[N], const float* p, std::size_t stride, std::size_t count) noexcept {
  constexpr std::size_t width = batch_lane::size;
  for (std::size_t j = 0; j < N; j += width) {
    decltype(batch_lane::batch::data) rows[width];
    for (std::size_t i = 0; i < width; ++i)
      rows[i] = batch_lane::batch::load_unaligned(p + (i < count - 1 ? i : count - 1) * stride + j).data;
    simd::transpose(rows);
    for (std::size_t i = 0; i < width; ++i) to[j + i].v = batch_lane::batch(rows[i]);
  }
}
template <std::size_t N>
requires(N % batch_lane::size == 0) BLOCQ_INLINE
    void scatter(const batch_lane (&from)[N], float* p, std::size_t stride, std::size_t count) noexcept {
  constexpr std::size_t width = batch_lane::size;
  for (std::size_t j = 0; j < N; j += width) {
    decltype(batch_lane::batch::data) rows[width];
    for (std::size_t i = 0; i < width; ++i) rows[i] = from[j + i].v.data;
    simd::transpose(rows);
    for (std::size_t i = 0; i < width && i < count; ++i) batch_lane::batch(rows[i]).store_unaligned(p + i * stride + j);
  }
}

// Bytes are packed into the 32 bits of their lane, four at a time, and these are moved as above. Every number here is
// an integer below 2^16, so however the compiler groups the operations they are exact.
template <std::size_t N, class Byte>
requires(N % 4 == 0 && sizeof(Byte) == 1) BLOCQ_INLINE
    void scatter(const batch_lane (&from)[N], Byte* p, std::size_t stride, std::size_t count) noexcept {
  constexpr std::size_t width = batch_lane::size;
  constexpr bool is_signed = std::is_signed_v<Byte>;  // these are moved up by 128, which is flipping their highest bit
  const auto pair = [](batch_lane low, batch_lane high) {
    return xsimd::to_int(high.v * 256.0f + (is_signed ? low.v + 32896.0f : low.v));
  };
  for (std::size_t start = 0; start < N; start += 4 * width) {
    decltype(batch_lane::batch::data) rows[width];
    for (std::size_t i = 0; i < width; ++i) {
      const std::size_t j = start + 4 * i;
      if (j < N) {
        batch_lane::ints bytes = pair(from[j], from[j + 1]) | (pair(from[j + 2], from[j + 3]) << 16);
        if (is_signed) bytes ^= batch_lane::ints(static_cast<std::int32_t>(0x80808080));
        rows[i] = simd::bit_cast<float>(bytes).data;
      } else {
        rows[i] = batch_lane::batch(0.0f).data;
      }
    }
    simd::transpose(rows);
    constexpr std::size_t whole = 4 * width, last = N % whole;
    for (std::size_t i = 0; i < width && i < count; ++i)
      std::memcpy(p + i * stride + start, &rows[i], start + whole <= N ? whole : last);
  }
}

struct batch_packed {
  using ints = batch_lane::ints;
  using mask = xsimd::batch_bool<std::int32_t>;

  ints v;

  batch_packed() = default;
  BLOCQ_INLINE explicit batch_packed(std::int32_t x) noexcept : v(x) {}
  BLOCQ_INLINE explicit batch_packed(ints x) noexcept : v(x) {}
  BLOCQ_INLINE explicit batch_packed(batch_lane x) noexcept : v(xsimd::to_int(x.v)) {}
  BLOCQ_INLINE explicit operator batch_lane() const noexcept { return batch_lane(xsimd::to_float(v)); }

  friend BLOCQ_INLINE batch_packed operator+(batch_packed a, batch_packed b) noexcept {
    return batch_packed(a.v + b.v);
  }
  friend BLOCQ_INLINE batch_packed operator-(batch_packed a, batch_packed b) noexcept {
    return batch_packed(a.v - b.v);
  }
  friend BLOCQ_INLINE batch_packed operator&(batch_packed a, batch_packed b) noexcept {
    return batch_packed(a.v & b.v);
  }
  friend BLOCQ_INLINE batch_packed operator|(batch_packed a, batch_packed b) noexcept {
    return batch_packed(a.v | b.v);
  }
  BLOCQ_INLINE batch_packed operator<<(int n) const noexcept { return batch_packed(v << n); }
  BLOCQ_INLINE batch_packed operator>>(int n) const noexcept { return batch_packed(v >> n); }
  friend BLOCQ_INLINE mask operator>(batch_packed a, batch_packed b) noexcept { return a.v > b.v; }
  friend BLOCQ_INLINE batch_packed max_of(batch_packed a, batch_packed b) noexcept {
    return batch_packed((xsimd::max)(a.v, b.v));
  }
  friend BLOCQ_INLINE batch_packed min_of(batch_packed a, batch_packed b) noexcept {
    return batch_packed((xsimd::min)(a.v, b.v));
  }
};

BLOCQ_INLINE batch_packed bits_of(batch_lane x) noexcept { return batch_packed(simd::bit_cast<std::int32_t>(x.v)); }
BLOCQ_INLINE batch_lane float_of(batch_packed bits) noexcept {
  return batch_lane::opaque(simd::bit_cast<float>(bits.v));
}
BLOCQ_INLINE batch_packed add_one(batch_packed x, batch_packed::mask where) noexcept {
#if defined(__AVX512F__)
  return batch_packed(batch_lane::ints(_mm512_mask_add_epi32(x.v.data, where.data, x.v.data, _mm512_set1_epi32(1))));
#elif defined(__SSE2__)  // a mask is a register of integers 0 and -1
  return x - batch_packed(batch_lane::ints(where.data));
#else
  return batch_packed(xsimd::select(where, x.v + 1, x.v));
#endif
}
BLOCQ_INLINE batch_packed keep(batch_packed x, batch_packed::mask where) noexcept {
#if defined(__AVX512F__)
  return batch_packed(batch_lane::ints(_mm512_maskz_mov_epi32(where.data, x.v.data)));
#elif defined(__SSE2__)
  return x & batch_packed(batch_lane::ints(where.data));
#else
  return batch_packed(xsimd::select(where, x.v, batch_lane::ints(0)));
#endif
}
BLOCQ_INLINE std::int32_t maximum(batch_packed x) noexcept {
#if defined(__AVX512F__)
  return _mm512_reduce_max_epi32(x.v.data);
#elif defined(__AVX2__)
  __m128i most = _mm_max_epi32(_mm256_castsi256_si128(x.v.data), _mm256_extracti128_si256(x.v.data, 1));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(most, _mm_shuffle_epi32(most, 0xb1)));
#else
  std::int32_t lanes[batch_lane::size];
  x.v.store_unaligned(lanes);
  std::int32_t most = lanes[0];
  for (const std::int32_t lane : lanes) most = lane > most ? lane : most;
  return most;
#endif
}

BLOCQ_INLINE void gather(batch_packed& to, const std::uint16_t* p) noexcept {
#if defined(__AVX512F__)
  to.v = batch_lane::ints(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#elif defined(__AVX2__)
  to.v = batch_lane::ints(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#else
  std::int32_t lanes[batch_lane::size];
  for (std::size_t i = 0; i < batch_lane::size; ++i) lanes[i] = p[i];
  to.v = batch_lane::ints::load_unaligned(lanes);
#endif
}

BLOCQ_INLINE void gather(batch_packed& to, const std::uint32_t* p) noexcept {
  to.v = batch_lane::ints::load_unaligned(reinterpret_cast<const std::int32_t*>(p));
}

template <int Shift, int Width>
BLOCQ_INLINE batch_lane lookup(const lookup_table<batch_lane, Width>& table, batch_packed p) noexcept {
  static_assert(Width == 2 || Width == 3);
#if defined(__AVX512F__)
  const __m512i fields = _mm512_srli_epi32(p.v.data, Shift);
  if constexpr (Width == 2)
    return batch_lane(batch_lane::batch(_mm512_permutevar_ps(table.part[0].v.data, fields)));
  else
    return batch_lane(batch_lane::batch(_mm512_permutexvar_ps(fields, table.part[0].v.data)));
#elif defined(__AVX2__)
  const __m256i fields = _mm256_srli_epi32(p.v.data, Shift);
  if constexpr (Width == 2)
    return batch_lane(batch_lane::batch(_mm256_permutevar_ps(table.part[0].v.data, fields)));
  else
    return batch_lane(batch_lane::batch(_mm256_permutevar8x32_ps(table.part[0].v.data, fields)));
#else
  constexpr std::size_t size = batch_lane::size, parts = lookup_table<batch_lane, Width>::parts;
  float entries[parts * size], lanes[size];
  std::int32_t fields[size];
  for (std::size_t i = 0; i < parts; ++i) table.part[i].v.store_unaligned(entries + i * size);
  p.v.store_unaligned(fields);
  for (std::size_t i = 0; i < size; ++i) lanes[i] = entries[(fields[i] >> Shift) & ((1 << Width) - 1)];
  return batch_lane(batch_lane::batch::load_unaligned(lanes));
#endif
}

BLOCQ_INLINE void scatter(batch_packed from, std::uint32_t* p) noexcept {
  from.v.store_unaligned(reinterpret_cast<std::int32_t*>(p));
}

template <std::size_t N, class Byte>
requires(sizeof(Byte) == 1) BLOCQ_INLINE void scatter_run(const batch_packed (&from)[N], Byte* p) noexcept {
#if defined(__AVX512F__)
  for (std::size_t j = 0; j < N; ++j)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 16 * j), _mm512_cvtepi32_epi8(from[j].v.data));
#elif defined(__AVX2__)
  const auto bytes = [](__m256i a, __m256i b, __m256i c, __m256i d) {  // quarters of each in turn
    if constexpr (std::is_signed_v<Byte>)
      return _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    else
      return _mm256_packus_epi16(_mm256_packus_epi32(a, b), _mm256_packus_epi32(c, d));
  };
  for (std::size_t j = 0; j + 4 <= N; j += 4) {
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i all = bytes(from[j].v.data, from[j + 1].v.data, from[j + 2].v.data, from[j + 3].v.data);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8 * j), _mm256_permutevar8x32_epi32(all, order));
  }
  for (std::size_t j = N / 4 * 4; j < N; ++j) {
    const __m256i one = bytes(from[j].v.data, from[j].v.data, from[j].v.data, from[j].v.data);
    const __m128i eight = _mm_unpacklo_epi32(_mm256_castsi256_si128(one), _mm256_extracti128_si256(one, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p + 8 * j), eight);
  }
#else
  for (std::size_t j = 0; j < N; ++j) {
    std::int32_t lanes[batch_lane::size];
    from[j].v.store_unaligned(lanes);
    for (std::size_t i = 0; i < batch_lane::size; ++i) p[j * batch_lane::size + i] = static_cast<Byte>(lanes[i]);
  }
#endif
}

template <std::size_t N>
BLOCQ_INLINE void scatter_run(const batch_packed (&from)[N], std::uint16_t* p) noexcept {
  for (std::size_t j = 0; j < N; ++j, p += batch_lane::size) {
#if defined(__AVX512F__)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(from[j].v.data));
#elif defined(__AVX2__)
    const __m256i v = from[j].v.data;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
#else
    std::int32_t lanes[batch_lane::size];
    from[j].v.store_unaligned(lanes);
    for (std::size_t i = 0; i < batch_lane::size; ++i) p[i] = static_cast<std::uint16_t>(lanes[i]);
#endif
  }
}

template <std::size_t N>
BLOCQ_INLINE void scatter_nibbles(const batch_packed (&from)[N], std::uint8_t* p) noexcept {
  constexpr std::size_t count = N * batch_lane::size;
  std::uint8_t codes[count];
  scatter_run(from, codes);
  std::size_t i = 0;
#if defined(__SSSE3__)
  for (; i + 16 <= count; i += 16) {
    const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i));
    const __m128i pairs = _mm_maddubs_epi16(sixteen, _mm_set1_epi16(0x1001));  // low + 16 * high
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p + i / 2), _mm_packus_epi16(pairs, pairs));
  }
#endif
  for (; i < count; i += 2) p[i / 2] = static_cast<std::uint8_t>(codes[i] | codes[i + 1] << 4);
}

namespace detail {
// Bit i is set where lane i has the smallest value.
BLOCQ_INLINE unsigned minimum_bits(batch_lane x) noexcept {
#if defined(__AVX512F__)
  const __m512 least = _mm512_set1_ps(_mm512_reduce_min_ps(x.v.data));
  return _mm512_cmp_ps_mask(x.v.data, least, _CMP_EQ_OQ);
#elif defined(__AVX__)
  batch_lane least = min_of(x, batch_lane(batch_lane::batch(_mm256_permute2f128_ps(x.v.data, x.v.data, 1))));
  least = min_of(least, batch_lane(batch_lane::batch(_mm256_permute_ps(least.v.data, 0x4e))));
  least = min_of(least, batch_lane(batch_lane::batch(_mm256_permute_ps(least.v.data, 0xb1))));
  return static_cast<unsigned>(_mm256_movemask_ps((x == least).data));
#else
  float lanes[batch_lane::size];
  x.v.store_unaligned(lanes);
  float least = lanes[0];
  for (const float v : lanes) least = v < least ? v : least;
  unsigned bits = 0;
  for (std::size_t i = 0; i < batch_lane::size; ++i) bits |= static_cast<unsigned>(lanes[i] == least) << i;
  return bits;
#endif
}
}  // namespace detail

BLOCQ_INLINE std::size_t first_minimum(batch_lane value) noexcept {
  return static_cast<std::size_t>(trailing_zeros(detail::minimum_bits(value)));
}

BLOCQ_INLINE std::size_t position_of_minimum(batch_lane value, batch_lane position) noexcept {
  std::int32_t at[batch_lane::size];
  xsimd::to_int(position.v).store_unaligned(at);
  const unsigned equal = detail::minimum_bits(value);
  std::int32_t first = at[trailing_zeros(equal)];
  for (unsigned rest = equal & (equal - 1); rest != 0; rest &= rest - 1) {
    const std::int32_t other = at[trailing_zeros(rest)];
    first = other < first ? other : first;
  }
  return static_cast<std::size_t>(first);
}

using native_lane = batch_lane;
#else
using native_lane = lane;
#endif
using native_pair = lane_pair<native_lane>;

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#undef BLOCQ_LANE_INSTRUCTION
#undef BLOCQ_LANE_REGISTER

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif
