// Vectors of 16 bytes in the language extension of g++ and clang++, in which + - * & | ^ << >> == and conversions are
// the machine's instructions: what halves.hpp and the few functions that have to name instructions (sse2.hpp,
// ssse3.hpp, neon64.hpp, wasm.hpp) are made of.
#ifndef BLOCQ_SIMD_PRIMITIVE_VECTOR16_HPP
#define BLOCQ_SIMD_PRIMITIVE_VECTOR16_HPP

#include <blocq/core/bits.hpp>

#include <cstring>

namespace blocq::inline v0::inline BLOCQ_ISA::simd::halves {

template <class T>
struct vector16 {
  typedef T type __attribute__((vector_size(16)));
};
using u8x16 = vector16<std::uint8_t>::type;
using i8x16 = vector16<std::int8_t>::type;
using u16x8 = vector16<std::uint16_t>::type;
using i16x8 = vector16<std::int16_t>::type;
using u32x4 = vector16<std::uint32_t>::type;
using i32x4 = vector16<std::int32_t>::type;
using u64x2 = vector16<std::uint64_t>::type;
using f32x4 = vector16<float>::type;

template <class V>
BLOCQ_INLINE V load_as(const void* p) noexcept {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
// The same bits as another vector of 16 bytes.
template <class To, class From>
BLOCQ_INLINE To as(From v) noexcept {
  return reinterpret_cast<To>(v);
}

BLOCQ_INLINE u8x16 fill_u8(unsigned b) noexcept { return static_cast<std::uint8_t>(b) - u8x16{}; }
BLOCQ_INLINE u16x8 fill_u16(unsigned w) noexcept { return static_cast<std::uint16_t>(w) - u16x8{}; }
BLOCQ_INLINE u32x4 fill_u32(std::uint32_t x) noexcept { return x - u32x4{}; }
BLOCQ_INLINE f32x4 fill_f32(float x) noexcept { return f32x4{x, x, x, x}; }

// Integers wrap; signed ones of the language may not leave their range, those of vectors neither.
BLOCQ_INLINE i16x8 plus(i16x8 a, i16x8 b) noexcept { return as<i16x8>(as<u16x8>(a) + as<u16x8>(b)); }
BLOCQ_INLINE i32x4 plus(i32x4 a, i32x4 b) noexcept { return as<i32x4>(as<u32x4>(a) + as<u32x4>(b)); }
BLOCQ_INLINE f32x4 plus(f32x4 a, f32x4 b) noexcept { return a + b; }
BLOCQ_INLINE i16x8 minus(i16x8 a, i16x8 b) noexcept { return as<i16x8>(as<u16x8>(a) - as<u16x8>(b)); }
BLOCQ_INLINE i32x4 minus(i32x4 a, i32x4 b) noexcept { return as<i32x4>(as<u32x4>(a) - as<u32x4>(b)); }
BLOCQ_INLINE i16x8 times(i16x8 a, i16x8 b) noexcept { return as<i16x8>(as<u16x8>(a) * as<u16x8>(b)); }
BLOCQ_INLINE i32x4 times(i32x4 a, i32x4 b) noexcept { return as<i32x4>(as<u32x4>(a) * as<u32x4>(b)); }

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd::halves

#endif
