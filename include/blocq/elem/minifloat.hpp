// Small binary floats: one template for every sign/exponent/mantissa split, and the names of those that formats use.
// One number at a time, in integer arithmetic on the bits; blocks and their scales are in format/.
//
//   bit   B-1        M+E-1 .. M   M-1 .. 0      B = Signed + E + M, stored in the low bits of one or two bytes
//        [ sign ]  [ exponent ] [ mantissa ]    bias 2^(E-1) - 1; exponent 0 holds the subnormal numbers
//
// float8_e8m0fnu is the scale of OCP MX: with no mantissa there is no zero, and code 0 is 2^-127. Halfway between two
// powers of two it takes the higher one, as all libraries do: its significand is always 1, which is odd.
//
// Policy where a type has no code for what it is given (`overflow` chooses for magnitudes above the highest number
// after rounding; an infinity is such a magnitude):
//   overflow::saturate  the highest number, with the sign. The default.
//   overflow::special   the infinity of the type, else its NaN, else (e2m1, e2m3, e3m2) the highest number.
//   NaN                 the quiet NaN of its sign; a type without one gets +0, which adds nothing to a sum.
//   negative numbers in an unsigned type: the lowest number, or under overflow::special the NaN.
#ifndef BLOCQ_ELEM_MINIFLOAT_HPP
#define BLOCQ_ELEM_MINIFLOAT_HPP

#include <blocq/core/bits.hpp>

#include <limits>
#include <type_traits>

namespace blocq::inline v0 {

// What the highest codes of a minifloat stand for.
enum class specials : unsigned char {
  ieee,  // exponent all ones: infinity (mantissa 0) and NaNs
  nan,   // exponent and mantissa all ones: NaN; no infinity
  none,  // numbers like all others
};

enum class overflow : unsigned char { saturate, special };

namespace impl {
// x / 2^shift to the nearest integer, ties to even; 1 <= shift < 32 and no carry beyond bit 31.
BLOCQ_INLINE constexpr std::uint32_t shift_to_even(std::uint32_t x, std::uint32_t shift) noexcept {
  return (x + (1u << (shift - 1u)) - 1u + (x >> shift & 1u)) >> shift;
}
}  // namespace impl

template <int ExponentBits, int MantissaBits, specials Specials, bool Signed = true>
struct minifloat {
  static constexpr int exponent_bits = ExponentBits;
  static constexpr int mantissa_bits = MantissaBits;
  static constexpr bool is_signed = Signed;
  static constexpr int bits = (Signed ? 1 : 0) + ExponentBits + MantissaBits;
  static constexpr int bias = (1 << (ExponentBits - 1)) - 1;
  static_assert(bits <= 8 || bits == 16, "minifloat: at most 8 bits, or one of the two 16-bit floats of core/bits.hpp");
  static_assert(ExponentBits >= 2 && (MantissaBits >= 1 || (ExponentBits == 8 && !Signed && Specials == specials::nan)),
                "minifloat: two or more exponent bits, and a mantissa in all but the scale type e8m0");

  using storage = std::conditional_t<(bits > 8), std::uint16_t, std::uint8_t>;

  static constexpr std::uint32_t sign_code = Signed ? 1u << (bits - 1) : 0u;
  static constexpr std::uint32_t magnitude_code = (1u << (ExponentBits + MantissaBits)) - 1u;
  static constexpr std::uint32_t infinity_code = magnitude_code >> MantissaBits << MantissaBits;  // specials::ieee only
  static constexpr std::uint32_t nan_code = Specials == specials::ieee  ? infinity_code | 1u << (MantissaBits - 1)
                                            : Specials == specials::nan ? magnitude_code
                                                                        : 0u;
  static constexpr std::uint32_t max_code = Specials == specials::ieee  ? infinity_code - 1u
                                            : Specials == specials::nan ? magnitude_code - 1u
                                                                        : magnitude_code;

  static constexpr int emax = static_cast<int>(max_code >> MantissaBits) - bias;  // floor(log2(highest number))

  storage code;

  // Exact. A NaN becomes the quiet NaN 0x7fc00000 whatever its sign and payload; the 16-bit types keep both.
  BLOCQ_INLINE constexpr float to_float() const noexcept {
    if constexpr (bits == 16) {
      return mantissa_bits == 10 ? f16_to_f32(code) : bf16_to_f32(code);
    } else {
      const std::uint32_t magnitude = code & magnitude_code;
      const std::uint32_t sign = (code & sign_code) << (32 - bits);
      if constexpr (mantissa_bits == 0)
        return from_bits(magnitude == nan_code ? quiet_nan_bits : magnitude == 0 ? 0x00400000u : magnitude << 23);
      constexpr float step =
          from_bits(static_cast<std::uint32_t>(128 - bias - mantissa_bits) << 23);  // of subnormal numbers
      const std::uint32_t subnormal = to_bits(static_cast<float>(static_cast<int>(magnitude)) * step);
      const std::uint32_t normal = (static_cast<std::uint32_t>(127 - bias) << 23) + (magnitude << (23 - mantissa_bits));
      const std::uint32_t number = sign | (magnitude >> mantissa_bits == 0 ? subnormal : normal);
      const bool infinite = Specials == specials::ieee && magnitude == infinity_code;
      return from_bits(magnitude <= max_code ? number : infinite ? sign | 0x7f800000u : quiet_nan_bits);
    }
  }

  // Nearest, ties to even, in e8m0 upwards; see the policies above. Without a branch, so that a loop over it can be
  // vectorized.
  template <overflow Mode = overflow::saturate>
  BLOCQ_INLINE static constexpr minifloat from_float(float x) noexcept {
    if constexpr (bits == 16) {
      const std::uint16_t rounded = mantissa_bits == 10 ? f32_to_f16(x) : f32_to_bf16(x);
      const bool infinite = Mode == overflow::saturate && (rounded & magnitude_code) == infinity_code;
      return {static_cast<storage>(rounded - (infinite ? 1 : 0))};
    } else {
      constexpr bool clamp = Mode == overflow::saturate || Specials == specials::none;
      constexpr std::uint32_t above = clamp ? max_code : Specials == specials::ieee ? infinity_code : nan_code;
      constexpr std::uint32_t below = clamp ? 0u : nan_code;  // of an unsigned type
      const std::uint32_t pattern = to_bits(x);
      const std::uint32_t magnitude = pattern & 0x7fffffffu;
      const bool nan = magnitude > 0x7f800000u;
      std::uint32_t result = round_magnitude(magnitude);
      result = result > max_code ? above : result;
      result = !Signed && pattern > 0x80000000u ? below : result;
      result = nan ? nan_code : result;
      const std::uint32_t sign = nan && Specials == specials::none ? 0u : pattern >> (32 - bits) & sign_code;
      return {static_cast<storage>(result | sign)};
    }
  }

 private:
  // The code that the magnitude of a binary32 rounds to, if this type had as many exponents as it takes.
  BLOCQ_INLINE static constexpr std::uint32_t round_magnitude(std::uint32_t magnitude) noexcept {
    if constexpr (mantissa_bits == 0) {
      if (magnitude < 0x00800000u) return magnitude >= 0x00600000u ? 1u : 0u;
      return (magnitude + 0x00400000u) >> 23;
    } else {
      const int exponent = static_cast<int>(magnitude >> 23) - (128 - bias);  // 0 is that of the smallest normal number
      const int up = exponent > 0 ? exponent : 0;
      const int down = exponent >= 0 ? 0 : exponent > -(mantissa_bits + 2) ? -exponent : mantissa_bits + 2;
      const std::uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
      const std::uint32_t shift = static_cast<std::uint32_t>(23 - mantissa_bits + down);
      return (static_cast<std::uint32_t>(up) << mantissa_bits) + impl::shift_to_even(significand, shift);
    }
  }
};

using float4_e2m1fn = minifloat<2, 1, specials::none>;
using float6_e2m3fn = minifloat<2, 3, specials::none>;
using float6_e3m2fn = minifloat<3, 2, specials::none>;
using float8_e4m3fn = minifloat<4, 3, specials::nan>;
using float8_e5m2 = minifloat<5, 2, specials::ieee>;
using float8_e8m0fnu = minifloat<8, 0, specials::nan, false>;
using float8_ue4m3 = minifloat<4, 3, specials::none, false>;  // 7 bits, all of them numbers: scales of GGUF's nvfp4
using float8_ue5m3 = minifloat<5, 3, specials::nan, false>;   // group scales of AutoRound's nvfp4-e5m3
using float16 = minifloat<5, 10, specials::ieee>;
using bfloat16 = minifloat<8, 7, specials::ieee>;

}  // namespace blocq::inline v0

template <int ExponentBits, int MantissaBits, blocq::specials Specials, bool Signed>
class std::numeric_limits<blocq::minifloat<ExponentBits, MantissaBits, Specials, Signed>> {
  using T = blocq::minifloat<ExponentBits, MantissaBits, Specials, Signed>;
  BLOCQ_INLINE static constexpr T number(std::uint32_t code) noexcept {
    return {static_cast<typename T::storage>(code)};
  }
  BLOCQ_INLINE static constexpr int decades(float limit) noexcept {
    int n = 0;
    for (double x = static_cast<double>(limit); x >= 10; x /= 10) ++n;
    return n;
  }

 public:
  static constexpr bool is_specialized = true;
  static constexpr bool is_signed = Signed;
  static constexpr bool is_integer = false;
  static constexpr bool is_exact = false;
  static constexpr bool is_bounded = true;
  static constexpr bool is_modulo = false;
  static constexpr bool is_iec559 = T::bits == 16 && ExponentBits == 5;
  static constexpr bool has_infinity = Specials == blocq::specials::ieee;
  static constexpr bool has_quiet_NaN = Specials != blocq::specials::none;
  static constexpr bool has_signaling_NaN = false;
  static constexpr float_denorm_style has_denorm = MantissaBits == 0 ? denorm_absent : denorm_present;
  static constexpr bool has_denorm_loss = false;
  static constexpr bool traps = false;
  static constexpr bool tinyness_before = false;
  static constexpr float_round_style round_style = round_to_nearest;
  static constexpr int radix = 2;
  static constexpr int digits = MantissaBits + 1;
  static constexpr int digits10 = MantissaBits * 30103 / 100000;
  static constexpr int max_digits10 = 2 + digits * 30103 / 100000;
  static constexpr int min_exponent = (MantissaBits == 0 ? 1 : 2) - T::bias;
  static constexpr int max_exponent = T::emax + 1;
  static constexpr int min_exponent10 = (min_exponent - 1) * 30103 / 100000;
  static constexpr int max_exponent10 = decades(number(T::max_code).to_float());

  BLOCQ_INLINE static constexpr T(min)() noexcept { return number(MantissaBits == 0 ? 0u : 1u << MantissaBits); }
  BLOCQ_INLINE static constexpr T(max)() noexcept { return number(T::max_code); }
  BLOCQ_INLINE static constexpr T lowest() noexcept { return number(Signed ? T::sign_code | T::max_code : 0u); }
  BLOCQ_INLINE static constexpr T denorm_min() noexcept { return number(MantissaBits == 0 ? 0u : 1u); }
  BLOCQ_INLINE static constexpr T epsilon() noexcept {
    return T::from_float(blocq::from_bits(static_cast<std::uint32_t>(127 - MantissaBits) << 23));
  }
  BLOCQ_INLINE static constexpr T round_error() noexcept { return T::from_float(0.5f); }
  BLOCQ_INLINE static constexpr T infinity() noexcept { return number(has_infinity ? T::infinity_code : 0u); }
  BLOCQ_INLINE static constexpr T quiet_NaN() noexcept { return number(T::nan_code); }
  BLOCQ_INLINE static constexpr T signaling_NaN() noexcept { return number(0u); }
};

#endif
