// Fixed-point codes: an integer in two's complement with a binary point in it. The element of OCP MXINT8.
#ifndef BLOCQ_ELEM_FIXED_POINT_HPP
#define BLOCQ_ELEM_FIXED_POINT_HPP

#include <blocq/elem/minifloat.hpp>

namespace blocq::inline v0 {

// Eight bits that stand for code / 2^FractionBits. The most negative code is decoded but never produced, so that the
// range is symmetric. Rounding is to nearest, ties to even; what lies beyond the range becomes its end, NaN becomes 0.
template <int FractionBits>
struct fixed_point8 {
  static_assert(FractionBits >= 0 && FractionBits < 8, "fixed_point8<FractionBits>: 0 to 7 bits after the point");
  static constexpr int bits = 8;
  static constexpr int mantissa_bits = FractionBits;  // after the leading one of a number in the highest octave
  static constexpr int emax = 6 - FractionBits;       // floor(log2(highest number))
  static constexpr std::uint32_t max_code = 127;

  std::uint8_t code;

  BLOCQ_INLINE constexpr float to_float() const noexcept {
    constexpr float step = from_bits(static_cast<std::uint32_t>(127 - FractionBits) << 23);
    return static_cast<float>(static_cast<std::int8_t>(code)) * step;
  }
  BLOCQ_INLINE static constexpr fixed_point8 from_float(float x) noexcept {
    const std::uint32_t magnitude = to_bits(x) & 0x7fffffffu;
    const int exponent = static_cast<int>(magnitude >> 23);
    const int down = 150 - FractionBits - exponent;  // the significand's shift; above the range for a large number
    const std::uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
    const std::uint32_t rounded = impl::shift_to_even(significand, static_cast<std::uint32_t>(down > 25   ? 25
                                                                                              : down < 17 ? 17
                                                                                                          : down));
    const int q = magnitude > 0x7f800000u ? 0 : down < 17 || rounded > 127u ? 127 : static_cast<int>(rounded);
    return {static_cast<std::uint8_t>(to_bits(x) >> 31 != 0 ? -q : q)};
  }
};

using fixed8_6 = fixed_point8<6>;  // -2 to 127/64 in steps of 1/64

}  // namespace blocq::inline v0

#endif
