// How small integers are multiplied with signed bytes, which their range decides.
#ifndef BLOCQ_OP_KERNEL_PRODUCT_HPP
#define BLOCQ_OP_KERNEL_PRODUCT_HPP

#include <blocq/codec/codec.hpp>
#include <blocq/simd/quad.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// A vector in memory, which is written and read as a whole: what g++ makes of a member of two vectors is written in
// pieces of 16 bytes and waits for each of them when it is read.
struct quad_bytes {
  alignas(sizeof(quad::bytes)) std::uint8_t v[sizeof(quad::bytes)];

  BLOCQ_INLINE void store(quad::bytes a) noexcept { quad::store_bytes(v, a); }
  BLOCQ_INLINE quad::bytes load() const noexcept { return quad::load_bytes(v); }
};

// How a chunk's integers are multiplied with signed bytes x:
//   codes       unsigned value - lowest, times x, minus -lowest times x
//   magnitudes  full bytes without -128: |x| is unsigned, and no value loses its sign's inverse
//   wide        full bytes: |w| is unsigned, x takes its sign; in 16 bits if there is an x of -128
//   biased      full bytes where there is an instruction for four products: value + bias, times x, minus bias times x
//   split       values of nine bits where tables of bytes give both parts: value - lowest, 32 times upper + lower part
//   words       values of nine bits elsewhere
enum class product { codes, magnitudes, wide, biased, split, words };
#ifdef BLOCQ_HAS_TABLES
inline constexpr bool has_tables = true;
#else
inline constexpr bool has_tables = false;
#endif
template <class B>
inline constexpr product product_of = nine_bits<B>                 ? (has_tables ? product::split : product::words)
                                      : !full_bytes<B>             ? product::codes
                                      : quad::has_dot4             ? product::biased
                                      : values_of<B>.lowest > -128 ? product::magnitudes
                                                                   : product::wide;
// What codes are more than the values that they stand for.
template <class B>
inline constexpr int bias_of = product_of<B> == product::codes || product_of<B> == product::split ? -values_of<B>.lowest
                               : product_of<B> == product::biased                                 ? quad::dot4_bias
                                                                                                  : 0;

// True if 16 bits hold the sum of `Products` codes times activations.
template <class B, int Products>
inline constexpr bool fits_words = (values_of<B>.highest - values_of<B>.lowest) * 128 * Products <= 32767;

BLOCQ_INLINE quad::ints sum_pairs(quad::words pairs) noexcept { return quad::madd2(pairs, quad::fill_words(1)); }

// What codes stand for, and the bias.
template <class B>
struct offset_integer_table {
  std::uint8_t entry[16] = {};

  constexpr offset_integer_table() noexcept {
    for (int c = 0; c < 16; ++c) entry[c] = static_cast<std::uint8_t>(integer_of<element_t<B>>(c) + bias_of<B>);
  }
};
template <class B>
inline constexpr offset_integer_table<B> offset_integers{};

// Codes as they are stored to what is multiplied; or values.
template <class B>
BLOCQ_INLINE quad::bytes offset_codes(quad::bytes stored) noexcept {
  using element = element_t<B>;
  if constexpr (requires { element::values; })
    return quad::lookup16(quad::fill_lanes(value_tables<element, -bias_of<B>>.entry), stored);
  else if constexpr (has_integers<element>)
    return quad::lookup16(quad::fill_lanes(offset_integers<B>.entry), stored);
  else
    return stored;
}
template <class B>
BLOCQ_INLINE quad::bytes offset_values(quad::bytes values) noexcept {
  return product_of<B> == product::biased ? values ^ quad::fill_bytes(quad::dot4_bias) : values;
}

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
