// Bytes, fields and the two 16-bit floats, in integer arithmetic only: nothing here depends on the rounding mode,
// on flush-to-zero, on the byte order of the host or on a compiler flag.
#ifndef BLOCQ_CORE_BITS_HPP
#define BLOCQ_CORE_BITS_HPP

#include <blocq/core/config.hpp>

#ifndef BLOCQ_GNU
#include <bit>
#endif
#include <cstddef>
#include <cstdint>

namespace blocq::inline v0 {

// A little-endian integer as it lies in a file: no alignment, no padding, any host.
template <class U>
struct little {
  std::uint8_t bytes[sizeof(U)];
};
using le16 = little<std::uint16_t>;
using le32 = little<std::uint32_t>;
static_assert(sizeof(le16) == 2 && alignof(le16) == 1 && sizeof(le32) == 4 && alignof(le32) == 1);

// On little-endian hosts one instruction, which compilers do not make of the loop by themselves. (store has no such
// form: g++ 12 fails in its vectorizer.)
template <class U>
BLOCQ_INLINE constexpr U load(const little<U>& field) noexcept {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  U value = 0;
  for (std::size_t i = 0; i < sizeof(U); ++i)
    value = static_cast<U>(value | static_cast<U>(static_cast<U>(field.bytes[i]) << (8 * i)));
  return value;
#else
  return __builtin_bit_cast(U, field);
#endif
}

template <class U>
BLOCQ_INLINE constexpr void store(little<U>& field, U value) noexcept {
  for (std::size_t i = 0; i < sizeof(U); ++i) field.bytes[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

// The `width` bits of a byte or word from bit `from` on; set_field leaves the others alone.
BLOCQ_INLINE constexpr int get_field(std::uint8_t byte, int from, int width) noexcept {
  return (byte >> from) & ((1 << width) - 1);
}
template <class U>
BLOCQ_INLINE constexpr int get_field(const little<U>& word, int from, int width) noexcept {
  return static_cast<int>((load(word) >> from) & ((U{1} << width) - 1));
}
BLOCQ_INLINE constexpr void set_field(std::uint8_t& byte, int from, int width, int value) noexcept {
  const int mask = ((1 << width) - 1) << from;
  byte = static_cast<std::uint8_t>((byte & ~mask) | ((value << from) & mask));
}
template <class U>
BLOCQ_INLINE constexpr void set_field(little<U>& word, int from, int width, int value) noexcept {
  const U mask = static_cast<U>(((U{1} << width) - 1) << from);
  store(word,
        static_cast<U>((load(word) & static_cast<U>(~mask)) | (static_cast<U>(static_cast<U>(value) << from) & mask)));
}

// The bit pattern of a float and back. The builtin rather than std::bit_cast, which is a function that an unoptimized
// build emits once for all translation units, whatever their instruction set.
BLOCQ_INLINE constexpr std::uint32_t to_bits(float x) noexcept { return __builtin_bit_cast(std::uint32_t, x); }
BLOCQ_INLINE constexpr float from_bits(std::uint32_t bits) noexcept { return __builtin_bit_cast(float, bits); }

// The counts of <bit>, from the builtins for the same reason: what an unoptimized build emits of std::countr_zero holds
// the instruction of the newest instruction set, and the linker keeps one of them. Precondition of the first: x != 0.
#ifdef BLOCQ_GNU
BLOCQ_INLINE constexpr int trailing_zeros(std::uint32_t x) noexcept { return __builtin_ctz(x); }
BLOCQ_INLINE constexpr int bit_width(std::uint32_t x) noexcept { return x == 0 ? 0 : 32 - __builtin_clz(x); }
BLOCQ_INLINE constexpr int count_ones(std::uint64_t x) noexcept { return __builtin_popcountll(x); }
#else
BLOCQ_INLINE constexpr int trailing_zeros(std::uint32_t x) noexcept { return std::countr_zero(x); }
BLOCQ_INLINE constexpr int bit_width(std::uint32_t x) noexcept { return static_cast<int>(std::bit_width(x)); }
BLOCQ_INLINE constexpr int count_ones(std::uint64_t x) noexcept { return std::popcount(x); }
#endif

// Tests on the bit pattern, so that they hold under -ffast-math too.
BLOCQ_INLINE constexpr bool is_finite(float x) noexcept { return (to_bits(x) & 0x7f800000u) != 0x7f800000u; }
BLOCQ_INLINE constexpr bool is_nan(float x) noexcept { return (to_bits(x) & 0x7fffffffu) > 0x7f800000u; }

inline constexpr std::uint32_t quiet_nan_bits = 0x7fc00000u;

// IEEE binary16 to binary32: exact; a NaN keeps its sign and payload.
BLOCQ_INLINE constexpr float f16_to_f32(std::uint16_t h) noexcept {
  const std::uint32_t sign = (h & 0x8000u) << 16;
  const std::uint32_t exponent = (h >> 10) & 0x1fu;
  const std::uint32_t mantissa = h & 0x3ffu;
  if (exponent == 0x1f) return from_bits(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0) return from_bits(sign | ((exponent + 112) << 23) | (mantissa << 13));
  if (mantissa == 0) return from_bits(sign);
  std::uint32_t shift = 1;  // brings the leading one to bit 10
  while (((mantissa << shift) & 0x400u) == 0) ++shift;
  return from_bits(sign | ((113 - shift) << 23) | ((mantissa << (13 + shift)) & 0x7fffffu));
}

BLOCQ_INLINE constexpr float f16_to_f32(const le16& h) noexcept { return f16_to_f32(load(h)); }

// binary32 to IEEE binary16: nearest, ties to even; subnormals kept, |x| >= 65520 becomes infinity, a NaN becomes
// the quiet NaN of its sign.
BLOCQ_INLINE constexpr std::uint16_t f32_to_f16(float x) noexcept {
  const std::uint32_t bits = to_bits(x);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (magnitude >= 0x38800000u) {  // normal: re-bias, then round at bit 13
    const std::uint32_t rebased = magnitude - 0x38000000u;
    return static_cast<std::uint16_t>(sign | ((rebased + 0xfffu + ((rebased >> 13) & 1u)) >> 13));
  }
  const std::uint32_t exponent = magnitude >> 23;
  if (exponent < 102) return static_cast<std::uint16_t>(sign);  // below half of the smallest subnormal
  const std::uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
  const std::uint32_t shift = 126 - exponent;  // 14 .. 24
  const std::uint32_t kept = significand >> shift;
  const std::uint32_t rest = significand & ((1u << shift) - 1u);
  const std::uint32_t half = 1u << (shift - 1);
  return static_cast<std::uint16_t>(sign | (kept + ((rest > half || (rest == half && (kept & 1u))) ? 1u : 0u)));
}

// bfloat16 is the upper half of binary32.
BLOCQ_INLINE constexpr float bf16_to_f32(std::uint16_t b) noexcept {
  return from_bits(static_cast<std::uint32_t>(b) << 16);
}

// Nearest, ties to even; a NaN is made quiet and keeps its upper payload, an overflow becomes infinity.
BLOCQ_INLINE constexpr std::uint16_t f32_to_bf16(float x) noexcept {
  const std::uint32_t bits = to_bits(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace blocq::inline v0

#endif
