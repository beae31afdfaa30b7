// The GGUF K formats: super-blocks of 256 elements in groups of 16 or 32. Each group has a small integer scale, and in
// three formats an integer minimum, in units of the super-block's binary16 d and dmin.
// Layouts and decoders only; the encoders are in encode/.
#ifndef BLOCQ_FORMAT_Q_K_HPP
#define BLOCQ_FORMAT_Q_K_HPP

#include <blocq/elem/integer.hpp>
#include <blocq/format/decode.hpp>

namespace blocq::inline v0 {

//   0         16                 80   82   84
//   | scales  | qs               | d  | dmin|     16 groups of 16: y = d * scale * q - dmin * min
struct q2_k {
  std::uint8_t scales[16];  // group g: scale in the low, minimum in the high nibble
  std::uint8_t qs[64];
  le16 d;
  le16 dmin;
};
static_assert(sizeof(q2_k) == 84);

//   0         32                 96        108  110
//   | hmask   | qs               | scales  | d  |     16 groups of 16: y = d * scale * (q - 4)
struct q3_k {
  std::uint8_t hmask[32];   // bit 2 of the codes
  std::uint8_t qs[64];      // bits 0 and 1
  std::uint8_t scales[12];  // scale + 32 in 6 bits, group g = 8h + r = 4c + s (h, r, c, s whole numbers):
                            // bits 0-3 in nibble h of byte r, bits 4-5 in field c of byte 8 + s
  le16 d;
};
static_assert(sizeof(q3_k) == 110);

//   0    2    4         16                           144
//   | d  |dmin| scales  | qs                         |     8 groups of 32: y = d * scale * q - dmin * min
struct q4_k {
  le16 d;
  le16 dmin;
  std::uint8_t scales[12];  // 6 bits each, j = 0 .. 3:
                            //   byte j        [ bits 4-5 of scale j + 4   | scale j   ]
                            //   byte j + 4    [ bits 4-5 of minimum j + 4 | minimum j ]
                            //   byte j + 8    [ bits 0-3 of minimum j + 4 | bits 0-3 of scale j + 4 ]
  std::uint8_t qs[128];
};
static_assert(sizeof(q4_k) == 144);

//   0    2    4         16       48                           176
//   | d  |dmin| scales  | qh     | qs                         |     8 groups of 32: y = d * scale * q - dmin * min
struct q5_k {
  le16 d;
  le16 dmin;
  std::uint8_t scales[12];  // as in q4_k
  std::uint8_t qh[32];      // bit 4 of the codes
  std::uint8_t qs[128];     // bits 0 to 3
};
static_assert(sizeof(q5_k) == 176);

//   0                            128            192       208  210
//   | ql                         | qh           | scales  | d  |     16 groups of 16: y = d * scale * (q - 32)
struct q6_k {
  std::uint8_t ql[128];  // bits 0 to 3 of the codes
  std::uint8_t qh[64];   // bits 4 and 5
  std::int8_t scales[16];
  le16 d;
};
static_assert(sizeof(q6_k) == 210);

//   0    4                                    260     292
//   | d  | qs                                 | bsums |     y = d * q
struct q8_k {
  le32 d;  // binary32
  std::int8_t qs[256];
  little<std::int16_t> bsums[16];  // sums of 16 consecutive q, what a dot partner's minimum is multiplied by
};
static_assert(sizeof(q8_k) == 292);

// Beyond the usual members: group_size, the elements that share an integer scale.
template <>
struct format_traits<q8_k> : impl::gguf_traits<15, 256, packed_int<8, 0>, q8_k, false> {
  static constexpr const char* name = "q8_k";
};
template <>
struct format_traits<q2_k> : impl::gguf_traits<10, 256, packed_int<2, 0>, q8_k, true> {
  static constexpr const char* name = "q2_k";
  static constexpr int group_size = 16;
  using codes = planes<plane<&q2_k::qs, 2, 32>>;
};
template <>
struct format_traits<q3_k> : impl::gguf_traits<11, 256, packed_int<3, 4>, q8_k, true> {
  static constexpr const char* name = "q3_k";
  static constexpr int group_size = 16;
  using codes = planes<plane<&q3_k::qs, 2, 32>, plane<&q3_k::hmask, 1, 32, 2>>;
};
template <>
struct format_traits<q4_k> : impl::gguf_traits<12, 256, packed_int<4, 0>, q8_k, true> {
  static constexpr const char* name = "q4_k";
  static constexpr int group_size = 32;
  using codes = planes<plane<&q4_k::qs, 4, 32>>;
};
template <>
struct format_traits<q5_k> : impl::gguf_traits<13, 256, packed_int<5, 0>, q8_k, true> {
  static constexpr const char* name = "q5_k";
  static constexpr int group_size = 32;
  using codes = planes<plane<&q5_k::qs, 4, 32>, plane<&q5_k::qh, 1, 32, 4>>;
};
template <>
struct format_traits<q6_k> : impl::gguf_traits<14, 256, packed_int<6, 32>, q8_k, true> {
  static constexpr const char* name = "q6_k";
  static constexpr int group_size = 16;
  using codes = planes<plane<&q6_k::ql, 4, 64>, plane<&q6_k::qh, 2, 32, 4>>;
};

// The scale and the minimum of a group, as integers.
struct scale_min {
  int scale;
  int min;
};

// get_scale and set_scale: the scale of group g, with its minimum where the format has one. Groups may be set in any
// order: a setter overwrites the bits of its group and no others.
BLOCQ_INLINE constexpr scale_min get_scale(const q2_k& b, int g) noexcept {
  return {get_field(b.scales[g], 0, 4), get_field(b.scales[g], 4, 4)};
}
BLOCQ_INLINE constexpr void set_scale(q2_k& b, int g, scale_min s) noexcept {
  set_field(b.scales[g], 0, 4, s.scale);
  set_field(b.scales[g], 4, 4, s.min);
}

BLOCQ_INLINE constexpr int get_scale(const q3_k& b, int g) noexcept {
  const int low = get_field(b.scales[g % 8], 4 * (g / 8), 4);
  const int high = get_field(b.scales[8 + g % 4], 2 * (g / 4), 2);
  return (low | high << 4) - 32;
}
BLOCQ_INLINE constexpr void set_scale(q3_k& b, int g, int s) noexcept {
  set_field(b.scales[g % 8], 4 * (g / 8), 4, s + 32);
  set_field(b.scales[8 + g % 4], 2 * (g / 4), 2, (s + 32) >> 4);
}

namespace impl {
BLOCQ_INLINE constexpr scale_min get_scale_6bit(const std::uint8_t (&p)[12], int g) noexcept {
  if (g < 4) return {get_field(p[g], 0, 6), get_field(p[g + 4], 0, 6)};
  return {get_field(p[g + 4], 0, 4) | get_field(p[g - 4], 6, 2) << 4, get_field(p[g + 4], 4, 4) | get_field(p[g], 6, 2)
                                                                                                      << 4};
}
BLOCQ_INLINE constexpr void set_scale_6bit(std::uint8_t (&p)[12], int g, scale_min s) noexcept {
  if (g < 4) {
    set_field(p[g], 0, 6, s.scale);
    set_field(p[g + 4], 0, 6, s.min);
  } else {
    set_field(p[g + 4], 0, 4, s.scale);
    set_field(p[g - 4], 6, 2, s.scale >> 4);
    set_field(p[g + 4], 4, 4, s.min);
    set_field(p[g], 6, 2, s.min >> 4);
  }
}
}  // namespace impl

BLOCQ_INLINE constexpr scale_min get_scale(const q4_k& b, int g) noexcept { return impl::get_scale_6bit(b.scales, g); }
BLOCQ_INLINE constexpr scale_min get_scale(const q5_k& b, int g) noexcept { return impl::get_scale_6bit(b.scales, g); }
BLOCQ_INLINE constexpr void set_scale(q4_k& b, int g, scale_min s) noexcept { impl::set_scale_6bit(b.scales, g, s); }
BLOCQ_INLINE constexpr void set_scale(q5_k& b, int g, scale_min s) noexcept { impl::set_scale_6bit(b.scales, g, s); }

BLOCQ_INLINE constexpr int get_scale(const q6_k& b, int g) noexcept { return b.scales[g]; }
BLOCQ_INLINE constexpr void set_scale(q6_k& b, int g, int s) noexcept { b.scales[g] = static_cast<std::int8_t>(s); }

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

constexpr void decode(const q2_k& b, float* y) noexcept { detail::decode_groups_affine(b, y); }
constexpr void decode(const q3_k& b, float* y) noexcept { detail::decode_groups_scaled(b, y); }
constexpr void decode(const q4_k& b, float* y) noexcept { detail::decode_groups_affine(b, y); }
constexpr void decode(const q5_k& b, float* y) noexcept { detail::decode_groups_affine(b, y); }
constexpr void decode(const q6_k& b, float* y) noexcept { detail::decode_groups_scaled(b, y); }
constexpr void decode(const q8_k& b, float* y) noexcept { detail::decode_bytes(b.qs, from_bits(load(b.d)), y); }

// |d| < 2^121, so that 128 * d is finite.
constexpr bool is_valid(const q8_k& b) noexcept { return (load(b.d) & 0x7fffffffu) < 248u << 23; }

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
