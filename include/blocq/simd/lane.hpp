// The SIMD lane: as many independent problems at once as a register has floats, each rounded exactly as `lane` rounds
// one (core/lane.hpp). native_lane is the widest lane type of this translation unit; `lane` where there is no xsimd.
//
// Most asm statements are empty barriers, as in core/lane.hpp. Division and square root are written as instructions,
// because with -ffast-math compilers replace them by approximations.
#ifndef BLOCQ_SIMD_LANE_HPP
#define BLOCQ_SIMD_LANE_HPP

#include <blocq/core/lane.hpp>
#include <blocq/simd/xsimd.hpp>

// The conversion intrinsics of g++ 12 for AVX-512 start from a register that is undefined on purpose, and it warns
// about that wherever they end up.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
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
#if defined(__AVX512F__)
    __asm__("" : "+v"(x.data));
#elif defined(__SSE2__)
    __asm__("" : "+x"(x.data));
#else
    __asm__("" : "+w"(x.data));
#endif
    return batch_lane(x);
  }
  static BLOCQ_INLINE mask opaque(mask m) noexcept {
#if defined(__AVX512F__)
    __asm__("" : "+k"(m.data));
#elif defined(__SSE2__)
    __asm__("" : "+x"(m.data));
#else
    __asm__("" : "+w"(m.data));
#endif
    return m;
  }

  friend BLOCQ_INLINE batch_lane operator/(batch_lane a, batch_lane b) noexcept {
#if defined(__AVX512F__)
    __asm__("vdivps %2, %1, %0" : "=v"(a.v.data) : "v"(a.v.data), "v"(b.v.data));
    return a;
#elif defined(__AVX__)
    __asm__("vdivps %2, %1, %0" : "=x"(a.v.data) : "x"(a.v.data), "x"(b.v.data));
    return a;
#elif defined(__SSE2__)
    __asm__("divps %1, %0" : "+x"(a.v.data) : "x"(b.v.data));
    return a;
#else
    return opaque(a.v / b.v);
#endif
  }
  friend BLOCQ_INLINE batch_lane sqrt(batch_lane a) noexcept {
#if defined(__AVX512F__)
    __asm__("vsqrtps %1, %0" : "=v"(a.v.data) : "v"(a.v.data));
    return a;
#elif defined(__AVX__)
    __asm__("vsqrtps %1, %0" : "=x"(a.v.data) : "x"(a.v.data));
    return a;
#elif defined(__SSE2__)
    __asm__("sqrtps %0, %0" : "+x"(a.v.data));
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

  friend BLOCQ_INLINE batch_lane nearest_int(batch_lane x) noexcept {
    const ints bits = simd::bit_cast<std::int32_t>((x + batch_lane(12582912.0f)).v);
    return opaque(xsimd::to_float((bits & ints(0x7fffff)) - ints(0x400000)));
  }

  // Integer part of x as a 32-bit integer; 0 where it does not fit, which has the low byte of INT32_MIN.
  static BLOCQ_INLINE ints truncated(batch_lane x) noexcept {
    return xsimd::to_int(select(abs(x) < batch_lane(2147483648.0f), x, batch_lane(0.0f)).v);
  }
  friend BLOCQ_INLINE batch_lane to_i8(batch_lane x) noexcept {
    const ints low = truncated(x) & ints(0xff);
    return opaque(xsimd::to_float((low ^ ints(0x80)) - ints(0x80)));
  }
  friend BLOCQ_INLINE batch_lane to_u8(batch_lane x) noexcept {
    return opaque(xsimd::to_float(truncated(x) & ints(0xff)));
  }
  friend BLOCQ_INLINE batch_lane round_half_away(batch_lane x) noexcept {
    const batch_lane magnitude = abs(x), whole = opaque(xsimd::to_float(truncated(x)));
    const batch_lane up = select(magnitude - abs(whole) >= batch_lane(0.5f), batch_lane(1.0f), batch_lane(0.0f));
    const batch_lane rounded = abs(whole) + up;
    const ints sign = simd::bit_cast<std::int32_t>(x.v) & ints(INT32_MIN);
    const batch_lane result = opaque(simd::bit_cast<float>(simd::bit_cast<std::int32_t>(rounded.v) | sign));
    return select(magnitude < batch_lane(8388608.0f), result, x);  // from 2^23 on x is an integer
  }

  friend BLOCQ_INLINE batch_lane select(mask m, batch_lane a, batch_lane b) noexcept {
    return batch_lane(xsimd::select(m, a.v, b.v));
  }
};

BLOCQ_INLINE bool any(batch_lane::mask m) noexcept { return xsimd::any(m); }
BLOCQ_INLINE bool all(batch_lane::mask m) noexcept { return xsimd::all(m); }

// Lane i holds p[i * stride]; lanes from `count` on repeat the last one and are not stored.
BLOCQ_INLINE void gather(batch_lane& to, const float* p, std::size_t stride, std::size_t count) noexcept {
  float lanes[batch_lane::size];
  for (std::size_t i = 0; i < batch_lane::size; ++i) lanes[i] = p[(i < count ? i : count - 1) * stride];
  to.v = batch_lane::batch::load_unaligned(lanes);
}
BLOCQ_INLINE void scatter(batch_lane from, float* p, std::size_t stride, std::size_t count) noexcept {
  float lanes[batch_lane::size];
  from.v.store_unaligned(lanes);
  for (std::size_t i = 0; i < batch_lane::size && i < count; ++i) p[i * stride] = lanes[i];
}

using native_lane = batch_lane;
#else
using native_lane = lane;
#endif

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#if BLOCQ_HAS_XSIMD
namespace blocq::inline v0 {
template <>
struct lane_traits<batch_lane> {
  static constexpr std::size_t size = batch_lane::size;
  using mask = batch_lane::mask;
};
}  // namespace blocq::inline v0
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif
