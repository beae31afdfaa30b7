// The SIMD lane: as many independent problems at once as a register has floats, each rounded exactly as `lane` rounds
// one (core/lane.hpp). native_lane is the widest lane type of this translation unit, native_pair the fastest for long
// searches: two registers. They are made of `lane` where there is no xsimd.
//
// Most asm statements are empty barriers, as in core/lane.hpp. Some operations are written as instructions: division
// and square root, because with -ffast-math compilers replace them by approximations; maximum and minimum, because the
// instructions mean exactly max_of and min_of and compilers do not rely on that; comparisons, because of NaNs.
//
// Registers are vectors of the compiler: in a build without optimization their operators are instructions, where an
// operator of an xsimd batch is a chain of five calls. What is left to xsimd is rare in a search. Operands are
// references and copies are written out, because in such a build a struct is copied in pieces of eight bytes, and a
// processor has to wait before it can load what was stored so as one register.
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

// The constraints of a register and of a mask; and the instruction to = name(a, b) on registers, where `to` is either.
#if defined(__AVX512F__)
#define BLOCQ_LANE_REGISTER "v"
#define BLOCQ_LANE_MASK "k"
#elif defined(__SSE2__)
#define BLOCQ_LANE_REGISTER "x"
#define BLOCQ_LANE_MASK "x"
#else
#define BLOCQ_LANE_REGISTER "w"
#define BLOCQ_LANE_MASK "w"
#endif
#if defined(__AVX__)
#define BLOCQ_LANE_INSTRUCTION(name, constraint, to, a, b) \
  __asm__("v" name " {%2, %1, %0|%0, %1, %2}" : "=" constraint(to) : BLOCQ_LANE_REGISTER(a), BLOCQ_LANE_REGISTER(b))
#elif defined(__SSE2__)
#define BLOCQ_LANE_INSTRUCTION(name, constraint, to, a, b) \
  to = simd::as<decltype(to)>(a);                          \
  __asm__(name " {%1, %0|%0, %1}" : "+x"(to) : "x"(b))
#else
#define BLOCQ_LANE_INSTRUCTION(name, constraint, to, a, b) \
  __asm__(name " %0.4s, %1.4s, %2.4s" : "=w"(to) : "w"(a), "w"(b))
#endif

namespace blocq::inline v0::inline BLOCQ_ISA {

#if BLOCQ_HAS_XSIMD

namespace simd {
template <class T>
struct register_of {  // as wide as xsimd's widest batch
  typedef T type __attribute__((vector_size(sizeof(float) * xsimd::batch<float>::size)));
};
template <class T>
using register_t = typename register_of<T>::type;

// The same bits as another vector.
template <class To, class From>
BLOCQ_INLINE To as(From v) noexcept {
  return reinterpret_cast<To>(v);
}
template <class T>
BLOCQ_INLINE register_t<T> load_register(const T* p) noexcept {
  register_t<T> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
BLOCQ_INLINE void store_register(T* p, register_t<T> v) noexcept {
  __builtin_memcpy(p, &v, sizeof v);
}
}  // namespace simd

struct batch_mask {
#if defined(__AVX512F__)
  using bits = __mmask16;
#else
  using bits = simd::register_t<std::int32_t>;  // 0 and -1
#endif

  bits v;

  BLOCQ_INLINE batch_mask(const batch_mask& m) noexcept : v(m.v) {}
  BLOCQ_INLINE batch_mask& operator=(const batch_mask& m) noexcept {
    v = m.v;
    return *this;
  }
  BLOCQ_INLINE explicit batch_mask(bool m) noexcept : v(m ? bits(~bits{}) : bits{}) {}
  BLOCQ_INLINE explicit batch_mask(bits m) noexcept : v(m) {}
  friend BLOCQ_INLINE batch_mask operator&(const batch_mask& a, const batch_mask& b) noexcept {
    return batch_mask(bits(a.v & b.v));
  }
  friend BLOCQ_INLINE batch_mask operator|(const batch_mask& a, const batch_mask& b) noexcept {
    return batch_mask(bits(a.v | b.v));
  }
  BLOCQ_INLINE batch_mask operator~() const noexcept { return batch_mask(bits(~v)); }
  BLOCQ_INLINE xsimd::batch_bool<float> to_xsimd() const noexcept {
    using to = xsimd::batch_bool<float>::register_type;
#if defined(__AVX512F__)
    return to(v);
#else
    return simd::as<to>(v);
#endif
  }
};

struct batch_lane {
  using batch = xsimd::batch<float>;
  using floats = simd::register_t<float>;
  using ints = simd::register_t<std::int32_t>;
  using words = simd::register_t<std::uint32_t>;  // which wrap
  using mask = batch_mask;
  static constexpr std::size_t size = batch::size;

  floats v;

  batch_lane() = default;
  BLOCQ_INLINE batch_lane(const batch_lane& x) noexcept : v(x.v) {}
  BLOCQ_INLINE batch_lane& operator=(const batch_lane& x) noexcept {
    v = x.v;
    return *this;
  }
  BLOCQ_INLINE batch_lane(float x) noexcept : v(x - floats{}) {}
  BLOCQ_INLINE explicit batch_lane(floats x) noexcept : v(x) {}

  // Hides from the compiler how a register came about.
  static BLOCQ_INLINE batch_lane opaque(floats x) noexcept {
    __asm__("" : "+" BLOCQ_LANE_REGISTER(x));
    return batch_lane(x);
  }
  static BLOCQ_INLINE batch_lane opaque(words x) noexcept { return opaque(simd::as<floats>(x)); }
  BLOCQ_INLINE words bits() const noexcept { return simd::as<words>(v); }

  friend BLOCQ_INLINE batch_lane operator/(const batch_lane& a, const batch_lane& b) noexcept {
    floats r;
#if defined(__SSE2__)
    BLOCQ_LANE_INSTRUCTION("divps", BLOCQ_LANE_REGISTER, r, a.v, b.v);
#else
    BLOCQ_LANE_INSTRUCTION("fdiv", BLOCQ_LANE_REGISTER, r, a.v, b.v);
#endif
    return batch_lane(r);
  }
  friend BLOCQ_INLINE batch_lane sqrt(const batch_lane& a) noexcept {
    floats r;
#if defined(__AVX__)
    __asm__("vsqrtps {%1, %0|%0, %1}" : "=" BLOCQ_LANE_REGISTER(r) : BLOCQ_LANE_REGISTER(a.v));
#elif defined(__SSE2__)
    __asm__("sqrtps {%1, %0|%0, %1}" : "=x"(r) : "x"(a.v));
#else
    __asm__("fsqrt %0.4s, %1.4s" : "=w"(r) : "w"(a.v));
#endif
    return batch_lane(r);
  }
  friend BLOCQ_INLINE batch_lane operator+(const batch_lane& a, const batch_lane& b) noexcept {
    return opaque(a.v + b.v);
  }
  friend BLOCQ_INLINE batch_lane operator-(const batch_lane& a, const batch_lane& b) noexcept {
    return opaque(a.v - b.v);
  }
  friend BLOCQ_INLINE batch_lane operator*(const batch_lane& a, const batch_lane& b) noexcept {
    return opaque(a.v * b.v);
  }
  BLOCQ_INLINE batch_lane operator-() const noexcept { return opaque(bits() ^ 0x80000000u); }
  BLOCQ_INLINE batch_lane& operator+=(const batch_lane& b) noexcept { return *this = *this + b; }
  BLOCQ_INLINE batch_lane& operator-=(const batch_lane& b) noexcept { return *this = *this - b; }

  friend BLOCQ_INLINE mask operator<(const batch_lane& a, const batch_lane& b) noexcept {
    mask::bits m;
#if defined(__SSE2__)
    BLOCQ_LANE_INSTRUCTION("cmpltps", BLOCQ_LANE_MASK, m, a.v, b.v);
#else
    BLOCQ_LANE_INSTRUCTION("fcmgt", BLOCQ_LANE_MASK, m, b.v, a.v);
#endif
    return mask(m);
  }
  friend BLOCQ_INLINE mask operator<=(const batch_lane& a, const batch_lane& b) noexcept {
    mask::bits m;
#if defined(__SSE2__)
    BLOCQ_LANE_INSTRUCTION("cmpleps", BLOCQ_LANE_MASK, m, a.v, b.v);
#else
    BLOCQ_LANE_INSTRUCTION("fcmge", BLOCQ_LANE_MASK, m, b.v, a.v);
#endif
    return mask(m);
  }
  friend BLOCQ_INLINE mask operator==(const batch_lane& a, const batch_lane& b) noexcept {
    mask::bits m;
#if defined(__SSE2__)
    BLOCQ_LANE_INSTRUCTION("cmpeqps", BLOCQ_LANE_MASK, m, a.v, b.v);
#else
    BLOCQ_LANE_INSTRUCTION("fcmeq", BLOCQ_LANE_MASK, m, a.v, b.v);
#endif
    return mask(m);
  }
  friend BLOCQ_INLINE mask operator>(const batch_lane& a, const batch_lane& b) noexcept { return b < a; }
  friend BLOCQ_INLINE mask operator>=(const batch_lane& a, const batch_lane& b) noexcept { return b <= a; }
  friend BLOCQ_INLINE mask operator!=(const batch_lane& a, const batch_lane& b) noexcept { return ~(a == b); }

  friend BLOCQ_INLINE batch_lane abs(const batch_lane& a) noexcept { return opaque(a.bits() & 0x7fffffffu); }

#if defined(__SSE2__)
  // With a NaN, and with zeros of different signs, the instructions give the second operand, as the model does.
  friend BLOCQ_INLINE batch_lane max_of(const batch_lane& a, const batch_lane& b) noexcept {
    floats r;
    BLOCQ_LANE_INSTRUCTION("maxps", BLOCQ_LANE_REGISTER, r, a.v, b.v);
    return batch_lane(r);
  }
  friend BLOCQ_INLINE batch_lane min_of(const batch_lane& a, const batch_lane& b) noexcept {
    floats r;
    BLOCQ_LANE_INSTRUCTION("minps", BLOCQ_LANE_REGISTER, r, a.v, b.v);
    return batch_lane(r);
  }
#endif

  // The low 23 bits as a number between 2^23 and 2^24.
  friend BLOCQ_INLINE batch_lane nearest_int(const batch_lane& x) noexcept {
    const batch_lane magic = 12582912.0f;
    return batch_lane(simd::as<floats>(((x + magic).bits() & 0x7fffffu) | 0x4b000000u)) - magic;
  }

  friend BLOCQ_INLINE batch_lane rounded(const batch_lane& x) noexcept {
#if defined(__SSE4_1__)
    floats r;
#if defined(__AVX512F__)
    __asm__("vrndscaleps {$0, %1, %0|%0, %1, 0}" : "=v"(r) : "v"(x.v));
#elif defined(__AVX__)
    __asm__("vroundps {$0, %1, %0|%0, %1, 0}" : "=x"(r) : "x"(x.v));
#else
    __asm__("roundps {$0, %1, %0|%0, %1, 0}" : "=x"(r) : "x"(x.v));
#endif
    return batch_lane(r);
#else
    return (x + batch_lane(12582912.0f)) - batch_lane(12582912.0f);
#endif
  }

#if defined(__AVX2__) || (defined(__SSE4_1__) && !defined(__AVX__))
  // By integer instructions, for which processors have more units: positive floats order as their bits do, negative
  // ones the other way round, and as unsigned integers they lie above the positive ones.
  friend BLOCQ_INLINE batch_lane at_most(const batch_lane& x, float highest) noexcept {
    const batch_lane bound = highest;
    floats r;
    BLOCQ_LANE_INSTRUCTION("pminsd", BLOCQ_LANE_REGISTER, r, x.v, bound.v);
    return batch_lane(r);
  }
  friend BLOCQ_INLINE batch_lane at_least(const batch_lane& x, float lowest) noexcept {
    const batch_lane bound = from_bits(to_bits(lowest) | 0x80000000u);
    floats r;
    BLOCQ_LANE_INSTRUCTION("pminud", BLOCQ_LANE_REGISTER, r, x.v, bound.v);
    return batch_lane(r);
  }
#endif

  // Integer part of x as a 32-bit integer. Where it does not fit, the low byte is that of INT32_MIN.
  static BLOCQ_INLINE ints truncated(const batch_lane& x) noexcept {
#if defined(__SSE2__)
    return to_int(x);  // gives INT32_MIN
#else
    return to_int(select(abs(x) < batch_lane(2147483648.0f), x, batch_lane(0.0f)));
#endif
  }
  static BLOCQ_INLINE ints to_int(const batch_lane& x) noexcept {
    return simd::as<ints>(xsimd::to_int(batch(simd::as<batch::register_type>(x.v))).data);
  }
  static BLOCQ_INLINE floats to_float(ints x) noexcept { return __builtin_convertvector(x, floats); }

  friend BLOCQ_INLINE batch_lane to_i8(const batch_lane& x) noexcept {
    return opaque(to_float(simd::as<ints>(simd::as<words>(truncated(x)) << 24) >> 24));
  }
  friend BLOCQ_INLINE batch_lane to_u8(const batch_lane& x) noexcept { return opaque(to_float(truncated(x) & 0xff)); }
  // Half a unit less than one half is added to the magnitude: then what was below a half stays below the integer, and
  // a half reaches it by the rounding of the sum.
  friend BLOCQ_INLINE batch_lane round_half_away(const batch_lane& x) noexcept {
    const batch_lane moved = abs(x) + batch_lane(0.49999997f), whole = opaque(to_float(truncated(moved)));
    const batch_lane result = select(moved < batch_lane(8388608.0f), whole, moved);  // from 2^23 on it is an integer
    return opaque(result.bits() | (x.bits() & 0x80000000u));
  }

  friend BLOCQ_INLINE batch_lane select(const mask& m, const batch_lane& a, const batch_lane& b) noexcept {
#if defined(__AVX512F__)
    return batch_lane(_mm512_mask_mov_ps(b.v, m.v, a.v));
#elif defined(__AVX__)
    return batch_lane(_mm256_blendv_ps(b.v, a.v, simd::as<floats>(m.v)));
#elif defined(__SSE4_1__)
    return batch_lane(_mm_blendv_ps(b.v, a.v, simd::as<floats>(m.v)));
#else
    return batch_lane(simd::as<floats>((m.v & simd::as<ints>(a.v)) | (~m.v & simd::as<ints>(b.v))));
#endif
  }
};

struct batch_packed;

}  // namespace blocq::inline v0::inline BLOCQ_ISA

template <>
struct blocq::lane_traits<blocq::batch_lane> {
  static constexpr std::size_t size = batch_lane::size;
  using mask = batch_mask;
  using packed = batch_packed;
};

namespace blocq::inline v0::inline BLOCQ_ISA {

BLOCQ_INLINE bool any(const batch_mask& m) noexcept { return xsimd::any(m.to_xsimd()); }
BLOCQ_INLINE bool all(const batch_mask& m) noexcept { return xsimd::all(m.to_xsimd()); }

// Lane i holds p[i * stride]; lanes from `count` on repeat the last one and are not stored.
BLOCQ_INLINE void gather(batch_lane& to, const float* p, std::size_t stride, std::size_t count) noexcept {
  if (stride == 1 && count == batch_lane::size) {
    to.v = simd::load_register(p);
    return;
  }
  float lanes[batch_lane::size];
  for (std::size_t i = 0; i < batch_lane::size; ++i) lanes[i] = p[(i < count - 1 ? i : count - 1) * stride];
  to.v = simd::load_register(lanes);
}
BLOCQ_INLINE void scatter(const batch_lane& from, float* p, std::size_t stride, std::size_t count) noexcept {
  if (stride == 1 && count == batch_lane::size) {
    simd::store_register(p, from.v);
    return;
  }
  float lanes[batch_lane::size];
  simd::store_register(lanes, from.v);
  for (std::size_t i = 0; i < batch_lane::size && i < count; ++i) p[i * stride] = lanes[i];
}

// A tile goes through registers, a square of them at a time.
template <std::size_t N>
requires(N % batch_lane::size == 0) BLOCQ_INLINE
    void gather(batch_lane (&to)[N], const float* p, std::size_t stride, std::size_t count) noexcept {
  constexpr std::size_t width = batch_lane::size;
  for (std::size_t j = 0; j < N; j += width) {
    batch_lane::floats rows[width];
    for (std::size_t i = 0; i < width; ++i)
      rows[i] = simd::load_register(p + (i < count - 1 ? i : count - 1) * stride + j);
    simd::transpose(rows);
    for (std::size_t i = 0; i < width; ++i) to[j + i].v = rows[i];
  }
}
template <std::size_t N>
requires(N % batch_lane::size == 0) BLOCQ_INLINE
    void scatter(const batch_lane (&from)[N], float* p, std::size_t stride, std::size_t count) noexcept {
  constexpr std::size_t width = batch_lane::size;
  for (std::size_t j = 0; j < N; j += width) {
    batch_lane::floats rows[width];
    for (std::size_t i = 0; i < width; ++i) rows[i] = from[j + i].v;
    simd::transpose(rows);
    for (std::size_t i = 0; i < width && i < count; ++i) simd::store_register(p + i * stride + j, rows[i]);
  }
}

// Bytes are packed into the 32 bits of their lane, four at a time, and these are moved as above. Every number here is
// an integer below 2^16, so however the compiler groups the operations they are exact.
template <std::size_t N, class Byte>
requires(N % 4 == 0 && sizeof(Byte) == 1) BLOCQ_INLINE
    void scatter(const batch_lane (&from)[N], Byte* p, std::size_t stride, std::size_t count) noexcept {
  constexpr std::size_t width = batch_lane::size;
  constexpr bool is_signed = std::is_signed_v<Byte>;  // these are moved up by 128, which is flipping their highest bit
  const auto pair = [](const batch_lane& low, const batch_lane& high) BLOCQ_INLINE_LAMBDA {
    return simd::as<batch_lane::words>(
        batch_lane::to_int(batch_lane(high.v * 256.0f + (is_signed ? low.v + 32896.0f : low.v))));
  };
  for (std::size_t start = 0; start < N; start += 4 * width) {
    batch_lane::words rows[width];
    for (std::size_t i = 0; i < width; ++i) {
      const std::size_t j = start + 4 * i;
      if (j < N) {
        rows[i] = pair(from[j], from[j + 1]) | (pair(from[j + 2], from[j + 3]) << 16);
        if (is_signed) rows[i] ^= 0x80808080u;
      } else {
        rows[i] = batch_lane::words{};
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
  using words = batch_lane::words;

  ints v;

  batch_packed() = default;
  BLOCQ_INLINE batch_packed(const batch_packed& x) noexcept : v(x.v) {}
  BLOCQ_INLINE batch_packed& operator=(const batch_packed& x) noexcept {
    v = x.v;
    return *this;
  }
  BLOCQ_INLINE explicit batch_packed(std::int32_t x) noexcept : v(x - ints{}) {}
  BLOCQ_INLINE explicit batch_packed(ints x) noexcept : v(x) {}
  BLOCQ_INLINE explicit batch_packed(words x) noexcept : v(simd::as<ints>(x)) {}
  BLOCQ_INLINE explicit batch_packed(const batch_lane& x) noexcept : v(batch_lane::to_int(x)) {}
  BLOCQ_INLINE explicit operator batch_lane() const noexcept { return batch_lane(batch_lane::to_float(v)); }
  BLOCQ_INLINE words bits() const noexcept { return simd::as<words>(v); }

  friend BLOCQ_INLINE batch_packed operator+(const batch_packed& a, const batch_packed& b) noexcept {
    return batch_packed(a.bits() + b.bits());
  }
  friend BLOCQ_INLINE batch_packed operator-(const batch_packed& a, const batch_packed& b) noexcept {
    return batch_packed(a.bits() - b.bits());
  }
  friend BLOCQ_INLINE batch_packed operator&(const batch_packed& a, const batch_packed& b) noexcept {
    return batch_packed(a.v & b.v);
  }
  friend BLOCQ_INLINE batch_packed operator|(const batch_packed& a, const batch_packed& b) noexcept {
    return batch_packed(a.v | b.v);
  }
  BLOCQ_INLINE batch_packed operator<<(int n) const noexcept { return batch_packed(bits() << n); }
  BLOCQ_INLINE batch_packed operator>>(int n) const noexcept { return batch_packed(v >> n); }
  friend BLOCQ_INLINE batch_mask operator>(const batch_packed& a, const batch_packed& b) noexcept {
#if defined(__AVX512F__)
    return batch_mask(_mm512_cmpgt_epi32_mask(simd::as<__m512i>(a.v), simd::as<__m512i>(b.v)));
#else
    return batch_mask(a.v > b.v);
#endif
  }
  friend BLOCQ_INLINE batch_packed max_of(const batch_packed& a, const batch_packed& b) noexcept {
    return batch_packed(a.v > b.v ? a.v : b.v);
  }
  friend BLOCQ_INLINE batch_packed min_of(const batch_packed& a, const batch_packed& b) noexcept {
    return batch_packed(a.v < b.v ? a.v : b.v);
  }
};

BLOCQ_INLINE batch_packed bits_of(const batch_lane& x) noexcept { return batch_packed(x.bits()); }
BLOCQ_INLINE batch_lane float_of(const batch_packed& bits) noexcept { return batch_lane::opaque(bits.bits()); }
BLOCQ_INLINE batch_packed add_one(const batch_packed& x, const batch_mask& where) noexcept {
#if defined(__AVX512F__)
  const auto v = simd::as<__m512i>(x.v);
  return batch_packed(simd::as<batch_lane::ints>(_mm512_mask_add_epi32(v, where.v, v, _mm512_set1_epi32(1))));
#else
  return x - batch_packed(where.v);
#endif
}
BLOCQ_INLINE batch_packed keep(const batch_packed& x, const batch_mask& where) noexcept {
#if defined(__AVX512F__)
  return batch_packed(simd::as<batch_lane::ints>(_mm512_maskz_mov_epi32(where.v, simd::as<__m512i>(x.v))));
#else
  return x & batch_packed(where.v);
#endif
}
BLOCQ_INLINE std::int32_t maximum(const batch_packed& x) noexcept {
#if defined(__AVX512F__)
  return _mm512_reduce_max_epi32(simd::as<__m512i>(x.v));
#elif defined(__AVX2__)
  const auto v = simd::as<__m256i>(x.v);
  __m128i most = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(most, _mm_shuffle_epi32(most, 0xb1)));
#else
  std::int32_t lanes[batch_lane::size];
  simd::store_register(lanes, x.v);
  std::int32_t most = lanes[0];
  for (const std::int32_t lane : lanes) most = lane > most ? lane : most;
  return most;
#endif
}

BLOCQ_INLINE void gather(batch_packed& to, const std::uint16_t* p) noexcept {
#if defined(__AVX512F__)
  to.v = simd::as<batch_lane::ints>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#elif defined(__AVX2__)
  to.v = simd::as<batch_lane::ints>(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#else
  std::int32_t lanes[batch_lane::size];
  for (std::size_t i = 0; i < batch_lane::size; ++i) lanes[i] = p[i];
  to.v = simd::load_register(lanes);
#endif
}

BLOCQ_INLINE void gather(batch_packed& to, const std::uint32_t* p) noexcept {
  to = batch_packed(simd::load_register(p));
}

template <int Shift, int Width>
BLOCQ_INLINE batch_lane lookup(const lookup_table<batch_lane, Width>& table, const batch_packed& p) noexcept {
  static_assert(Width == 2 || Width == 3);
#if defined(__AVX512F__)
  const __m512i fields = simd::as<__m512i>(p.v >> Shift);
  if constexpr (Width == 2)
    return batch_lane(_mm512_permutevar_ps(table.part[0].v, fields));
  else
    return batch_lane(_mm512_permutexvar_ps(fields, table.part[0].v));
#elif defined(__AVX2__)
  const __m256i fields = simd::as<__m256i>(p.v >> Shift);
  if constexpr (Width == 2)
    return batch_lane(_mm256_permutevar_ps(table.part[0].v, fields));
  else
    return batch_lane(_mm256_permutevar8x32_ps(table.part[0].v, fields));
#else
  constexpr std::size_t size = batch_lane::size, parts = lookup_table<batch_lane, Width>::parts;
  float entries[parts * size], lanes[size];
  std::int32_t fields[size];
  for (std::size_t i = 0; i < parts; ++i) simd::store_register(entries + i * size, table.part[i].v);
  simd::store_register(fields, p.v);
  for (std::size_t i = 0; i < size; ++i) lanes[i] = entries[(fields[i] >> Shift) & ((1 << Width) - 1)];
  return batch_lane(simd::load_register(lanes));
#endif
}

BLOCQ_INLINE void scatter(const batch_packed& from, std::uint32_t* p) noexcept { simd::store_register(p, from.bits()); }

template <std::size_t N, class Byte>
requires(sizeof(Byte) == 1) BLOCQ_INLINE void scatter_run(const batch_packed (&from)[N], Byte* p) noexcept {
#if defined(__AVX512F__)
  for (std::size_t j = 0; j < N; ++j)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 16 * j), _mm512_cvtepi32_epi8(simd::as<__m512i>(from[j].v)));
#elif defined(__AVX2__)
  using ints = batch_lane::ints;
  const auto bytes = [](ints i, ints j, ints k, ints l) BLOCQ_INLINE_LAMBDA {  // quarters of each in turn
    const __m256i a = simd::as<__m256i>(i), b = simd::as<__m256i>(j), c = simd::as<__m256i>(k),
                  d = simd::as<__m256i>(l);
    if constexpr (std::is_signed_v<Byte>)
      return _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    else
      return _mm256_packus_epi16(_mm256_packus_epi32(a, b), _mm256_packus_epi32(c, d));
  };
  for (std::size_t j = 0; j + 4 <= N; j += 4) {
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i all = bytes(from[j].v, from[j + 1].v, from[j + 2].v, from[j + 3].v);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8 * j), _mm256_permutevar8x32_epi32(all, order));
  }
  for (std::size_t j = N / 4 * 4; j < N; ++j) {
    const __m256i one = bytes(from[j].v, from[j].v, from[j].v, from[j].v);
    const __m128i eight = _mm_unpacklo_epi32(_mm256_castsi256_si128(one), _mm256_extracti128_si256(one, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p + 8 * j), eight);
  }
#else
  for (std::size_t j = 0; j < N; ++j) {
    std::int32_t lanes[batch_lane::size];
    simd::store_register(lanes, from[j].v);
    for (std::size_t i = 0; i < batch_lane::size; ++i) p[j * batch_lane::size + i] = static_cast<Byte>(lanes[i]);
  }
#endif
}

template <std::size_t N>
BLOCQ_INLINE void scatter_run(const batch_packed (&from)[N], std::uint16_t* p) noexcept {
  for (std::size_t j = 0; j < N; ++j, p += batch_lane::size) {
#if defined(__AVX512F__)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(simd::as<__m512i>(from[j].v)));
#elif defined(__AVX2__)
    const auto v = simd::as<__m256i>(from[j].v);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
#else
    std::int32_t lanes[batch_lane::size];
    simd::store_register(lanes, from[j].v);
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
BLOCQ_INLINE unsigned minimum_bits(const batch_lane& x) noexcept {
#if defined(__AVX512F__)
  const __m512 least = _mm512_set1_ps(_mm512_reduce_min_ps(x.v));
  return _mm512_cmp_ps_mask(x.v, least, _CMP_EQ_OQ);
#elif defined(__AVX__)
  batch_lane least = min_of(x, batch_lane(_mm256_permute2f128_ps(x.v, x.v, 1)));
  least = min_of(least, batch_lane(_mm256_permute_ps(least.v, 0x4e)));
  least = min_of(least, batch_lane(_mm256_permute_ps(least.v, 0xb1)));
  return static_cast<unsigned>(_mm256_movemask_ps(simd::as<batch_lane::floats>((x == least).v)));
#else
  float lanes[batch_lane::size];
  simd::store_register(lanes, x.v);
  float least = lanes[0];
  for (const float v : lanes) least = v < least ? v : least;
  unsigned bits = 0;
  for (std::size_t i = 0; i < batch_lane::size; ++i) bits |= static_cast<unsigned>(lanes[i] == least) << i;
  return bits;
#endif
}
}  // namespace detail

BLOCQ_INLINE std::size_t first_minimum(const batch_lane& value) noexcept {
  return static_cast<std::size_t>(trailing_zeros(detail::minimum_bits(value)));
}

BLOCQ_INLINE std::size_t position_of_minimum(const batch_lane& value, const batch_lane& position) noexcept {
  std::int32_t at[batch_lane::size];
  simd::store_register(at, batch_lane::to_int(position));
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
#undef BLOCQ_LANE_MASK
#undef BLOCQ_LANE_REGISTER

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif
