// The GGUF formats with one scale, or a scale and a minimum, for the whole block.
// Layouts and decoders only; the encoders are in encode/.
#ifndef BLOCQ_FORMAT_Q_LEGACY_HPP
#define BLOCQ_FORMAT_Q_LEGACY_HPP

#include <blocq/elem/grid.hpp>
#include <blocq/elem/integer.hpp>
#include <blocq/format/decode.hpp>

namespace blocq::inline v0 {

// In all of them d, m and s are binary16.

//   0    2                18
//   | d  | qs             |     y = d * (q - 8)
struct q4_0 {
  le16 d;
  std::uint8_t qs[16];  // byte j: element j in the low, element j + 16 in the high nibble
};
static_assert(sizeof(q4_0) == 18);

//   0    2    4                20
//   | d  | m  | qs             |     y = d * q + m
struct q4_1 {
  le16 d;
  le16 m;
  std::uint8_t qs[16];  // as in q4_0
};
static_assert(sizeof(q4_1) == 20);

//   0    2    6                22
//   | d  | qh | qs             |     y = d * (q - 16)
struct q5_0 {
  le16 d;
  std::uint8_t qh[4];   // bit 4 of element i: bit i % 8 of byte i / 8
  std::uint8_t qs[16];  // bits 0 to 3, as in q4_0
};
static_assert(sizeof(q5_0) == 22);

//   0    2    4    8                24
//   | d  | m  | qh | qs             |     y = d * q + m
struct q5_1 {
  le16 d;
  le16 m;
  std::uint8_t qh[4];   // as in q5_0
  std::uint8_t qs[16];  // as in q4_0
};
static_assert(sizeof(q5_1) == 24);

//   0    2                         34
//   | d  | qs                      |     y = d * q
struct q8_0 {
  le16 d;
  std::int8_t qs[32];
};
static_assert(sizeof(q8_0) == 34);

//   0    2    4                         36
//   | d  | s  | qs                      |     y = d * q; s = d * (sum of q), what a dot partner's minimum is times
struct q8_1 {
  le16 d;
  le16 s;
  std::int8_t qs[32];
};
static_assert(sizeof(q8_1) == 36);

//   0    2                18
//   | d  | qs             |     128 elements, y = bit ? d : -d
struct q1_0 {
  le16 d;
  std::uint8_t qs[16];  // element i: bit i % 8 of byte i / 8
};
static_assert(sizeof(q1_0) == 18);

//   0    2                18
//   | d  | qs             |     64 elements, y = d * (q - 1)
struct q2_0 {
  le16 d;
  std::uint8_t qs[16];  // element i: two bits from bit 2 * (i % 4) of byte i / 4
};
static_assert(sizeof(q2_0) == 18);

template <>
struct format_traits<q4_0> : impl::gguf_traits<2, 32, packed_int<4, 8>, q8_0, true> {
  static constexpr const char* name = "q4_0";
  using codes = planes<plane<&q4_0::qs, 4, 16>>;
};
template <>
struct format_traits<q4_1> : impl::gguf_traits<3, 32, packed_int<4, 0>, q8_1, true> {
  static constexpr const char* name = "q4_1";
  using codes = planes<plane<&q4_1::qs, 4, 16>>;
};
template <>
struct format_traits<q5_0> : impl::gguf_traits<6, 32, packed_int<5, 16>, q8_0, true> {
  static constexpr const char* name = "q5_0";
  using codes = planes<plane<&q5_0::qs, 4, 16>, plane<&q5_0::qh, 1, 1, 4>>;
};
template <>
struct format_traits<q5_1> : impl::gguf_traits<7, 32, packed_int<5, 0>, q8_1, true> {
  static constexpr const char* name = "q5_1";
  using codes = planes<plane<&q5_1::qs, 4, 16>, plane<&q5_1::qh, 1, 1, 4>>;
};
template <>
struct format_traits<q8_0> : impl::gguf_traits<8, 32, packed_int<8, 0>, q8_0, false> {
  static constexpr const char* name = "q8_0";
};
template <>
struct format_traits<q8_1> : impl::gguf_traits<9, 32, packed_int<8, 0>, q8_1, false> {
  static constexpr const char* name = "q8_1";
};
template <>
struct format_traits<q1_0> : impl::gguf_traits<41, 128, binary, q8_0, false> {
  static constexpr const char* name = "q1_0";
  using codes = planes<plane<&q1_0::qs, 1, 1>>;
};
template <>
struct format_traits<q2_0> : impl::gguf_traits<42, 64, packed_int<2, 1>, q8_0, false> {
  static constexpr const char* name = "q2_0";
  using codes = planes<plane<&q2_0::qs, 2, 1>>;
};

// The codes of q8_0 are its bytes, so it has no planes.
BLOCQ_INLINE constexpr void get_codes(const q8_0& b, std::uint8_t* codes) noexcept {
  for (int i = 0; i < 32; ++i) codes[i] = static_cast<std::uint8_t>(b.qs[i]);
}
BLOCQ_INLINE constexpr void set_codes(q8_0& b, const std::uint8_t* codes) noexcept {
  for (int i = 0; i < 32; ++i) b.qs[i] = static_cast<std::int8_t>(codes[i]);
}

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

constexpr void decode(const q4_0& b, float* y) noexcept { detail::decode_scaled(b, y); }
constexpr void decode(const q4_1& b, float* y) noexcept { detail::decode_affine(b, y); }
constexpr void decode(const q5_0& b, float* y) noexcept { detail::decode_scaled(b, y); }
constexpr void decode(const q5_1& b, float* y) noexcept { detail::decode_affine(b, y); }
constexpr void decode(const q8_0& b, float* y) noexcept { detail::decode_bytes(b.qs, f16_to_f32(b.d), y); }
constexpr void decode(const q8_1& b, float* y) noexcept { detail::decode_bytes(b.qs, f16_to_f32(b.d), y); }
constexpr void decode(const q1_0& b, float* y) noexcept { detail::decode_scaled(b, y); }
constexpr void decode(const q2_0& b, float* y) noexcept { detail::decode_scaled(b, y); }

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
