// The elements of the MX formats in registers: codes to integers, where 9 bits hold all of a type's numbers in units of
// the smallest, and codes to floats.
#ifndef BLOCQ_CODEC_MINIFLOAT_HPP
#define BLOCQ_CODEC_MINIFLOAT_HPP

#include <blocq/elem/fixed_point.hpp>
#include <blocq/elem/minifloat.hpp>
#include <blocq/simd/quad.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {
namespace vec = simd::native;
namespace quad = simd::quad;

// The difference of neighbouring numbers next to zero, a power of two, of which all others are multiples.
template <class Element>
inline constexpr float unit_of = Element{1}.to_float();

template <class Element>
inline constexpr bool has_integers = false;
template <int FractionBits>
inline constexpr bool has_integers<fixed_point8<FractionBits>> = true;
template <int ExponentBits, int MantissaBits>
inline constexpr bool has_integers<minifloat<ExponentBits, MantissaBits, specials::none>> =
    ExponentBits <= 3 && minifloat<ExponentBits, MantissaBits, specials::none>::bits <= 6;

template <class Element>
constexpr int integer_of(int code) noexcept {
  return static_cast<int>(Element{static_cast<std::uint8_t>(code)}.to_float() / unit_of<Element>);
}

template <class Element>
struct integer_table {
  std::int8_t entry[32] = {};

  constexpr integer_table() noexcept {
    for (int c = 0; c < 32; ++c) entry[c] = static_cast<std::int8_t>(integer_of<Element>(c % (1 << Element::bits)));
  }
};
template <class Element>
inline constexpr integer_table<Element> integers{};

// 32 codes as signed bytes in units of unit_of.
template <class Element>
BLOCQ_INLINE vec::bytes element_values(vec::bytes codes) noexcept {
  if constexpr (Element::bits == 8) {
    return codes;
  } else if constexpr (Element::bits == 4) {
    return vec::lookup16(vec::load_halves(integers<Element>.entry), codes);
  } else {
    static_assert(integer_of<Element>(31) < 128, "its numbers need words");
    const auto is_set = [&](int bit) { return vec::equal(codes & vec::fill_bytes(bit), vec::fill_bytes(bit)); };
    const vec::bytes low = vec::lookup16(vec::load_halves(integers<Element>.entry), codes);
    const vec::bytes high = vec::lookup16(vec::load_halves(integers<Element>.entry + 16), codes);
    return vec::negate_where(low ^ ((low ^ high) & is_set(16)), is_set(32));
  }
}

// 32 codes as signed words, every other one: significand times the power of two that the exponent stands for.
template <class Element>
BLOCQ_INLINE void element_words(vec::bytes codes, vec::words& even, vec::words& odd) noexcept {
  static_assert(Element::bits == 6 && Element::mantissa_bits == 2);
  static constexpr std::uint8_t leading[16] = {0, 4, 4, 4, 4, 4, 4, 4}, power[16] = {1, 1, 2, 4, 8, 16, 32, 64};
  const vec::bytes exponent = vec::field<3>(codes, 2), sign = vec::fill_bytes(32);
  const vec::bytes significand = (codes & vec::fill_bytes(3)) | vec::lookup16(vec::load_halves(leading), exponent);
  const vec::bytes signed_one = vec::negate_where(significand, vec::equal(codes & sign, sign));
  const vec::bytes factor = vec::lookup16(vec::load_halves(power), exponent);
  even = vec::widen_even(signed_one) * vec::widen_even(factor);
  odd = vec::widen_odd(signed_one) * vec::widen_odd(factor);
}

// The numbers of 32 codes, times 2^(bias - 15): a binary16 has the same fields, and more bits for each. A NaN remains
// one.
template <class Element>
BLOCQ_INLINE void small_floats(vec::bytes codes, quad::floats (&y)[2]) noexcept {
  constexpr int magnitude_bits = Element::bits - 1;
  [[maybe_unused]] const vec::bytes all = vec::fill_bytes(Element::magnitude_code), nan = vec::equal(codes & all, all);
  for (int h = 0; h < 2; ++h) {
    vec::words half;
    if constexpr (Element::bits == 8) {  // the sign comes along when a byte is widened
      constexpr int up = 10 - Element::mantissa_bits, fields = 0x8000 | 0x7f << up;
      half = (vec::widen_half(codes, h) * vec::fill_words(1 << up)) & vec::fill_words(fields);
    } else {
      const vec::words w = vec::widen_codes(codes, h);
      half = vec::move_field<magnitude_bits, 1, 15>(w) |
             vec::move_field<0, magnitude_bits, 10 - Element::mantissa_bits>(w);
    }
    if constexpr (Element::nan_code == Element::magnitude_code) half = half | vec::widen_half(nan, h);
    y[h] = quad::halves_to_floats(half);
  }
}

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
