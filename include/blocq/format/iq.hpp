// The GGUF IQ formats: elements are looked up in tables of points (tables/iq_grids.hpp), eight or four at a time, and
// signed; iq4_nl and iq4_xs look up single elements in a table of 16.
// Layouts and decoders only; the encoders are in encode/.
//
// Runs of 8 elements are numbered k = 0 .. 31, table indices i = 0 .. 31 (points of 8) or 0 .. 63 (points of 4).
// Signs are 8 bits for a run: bit j set means that element j is negative. Where only 7 are stored, the eighth makes the
// number of negative elements even.
#ifndef BLOCQ_FORMAT_IQ_HPP
#define BLOCQ_FORMAT_IQ_HPP

#include <blocq/elem/codebook.hpp>
#include <blocq/elem/grid.hpp>
#include <blocq/format/decode.hpp>
#include <blocq/format/q_k.hpp>
#include <blocq/format/q_legacy.hpp>
#include <blocq/format/tables/iq_grids.hpp>

namespace blocq::inline v0 {

//   0    2                34             50
//   | d  | qs             | qh           |     8 groups of 32: y = d * (2 * s + 1) * (point +- 1/8)
struct iq1_s {
  le16 d;
  std::uint8_t qs[32];  // low bits of index i
  le16 qh[8];           // group g: [ shift is -1/8 | s, 3 bits | high 3 bits of index 4g + 3 | ... | of index 4g ]
};
static_assert(sizeof(iq1_s) == 50);

//   0                32             48        56
//   | qs             | qh           | scales  |     16 groups of 16: y = d * (2 * s + 1) * (point +- 1/8)
struct iq1_m {
  std::uint8_t qs[32];  // low bits of index i
  std::uint8_t qh[16];  // nibble i: [ shift is -1/8 | high 3 bits of index i ]
  le16 scales[4];       // word w: [ bits 4w to 4w + 3 of d | s of group 4w + 3 | ... | s of group 4w ], s of 3 bits
};
static_assert(sizeof(iq1_m) == 56);

//   0    2                    66
//   | d  | groups             |     8 groups of 32: y = d * (2 * s + 1) / 8 * (+- point)
struct iq2_xxs {
  le16 d;
  struct group {
    std::uint8_t index[4];
    le32 signs_scale;  // [ s, 4 bits | 7 signs of run 3 | ... | 7 signs of run 0 ]
  } groups[8];
};
static_assert(sizeof(iq2_xxs) == 66);

//   0    2                66        74
//   | d  | qs             | scales  |     16 groups of 16: y = d * (2 * s + 1) / 8 * (+- point)
struct iq2_xs {
  le16 d;
  le16 qs[32];             // [ 7 signs | index, 9 bits ]
  std::uint8_t scales[8];  // nibble g: s of group g
};
static_assert(sizeof(iq2_xs) == 74);

//   0    2        34       66   74        82
//   | d  | qs     | signs  | qh | scales  |     16 groups of 16: y = d * (2 * s + 1) / 8 * (+- point)
struct iq2_s {
  le16 d;
  std::uint8_t qs[32];  // low bits of index i
  std::uint8_t signs[32];
  std::uint8_t qh[8];      // the two bits from 2i: high bits of index i
  std::uint8_t scales[8];  // as in iq2_xs
};
static_assert(sizeof(iq2_s) == 82);

//   0    2              66             98
//   | d  | qs           | signs_scale  |     8 groups of 32: y = d * (2 * s + 1) / 4 * (+- point)
struct iq3_xxs {
  le16 d;
  std::uint8_t qs[64];  // index i
  le32 signs_scale[8];  // as in iq2_xxs
};
static_assert(sizeof(iq3_xxs) == 98);

//   0    2              66   74       106       110
//   | d  | qs           | qh | signs  | scales  |     8 groups of 32: y = d * (2 * s + 1) * (+- point)
struct iq3_s {
  le16 d;
  std::uint8_t qs[64];  // low bits of index i
  std::uint8_t qh[8];   // bit i: high bit of index i
  std::uint8_t signs[32];
  std::uint8_t scales[4];  // nibble g: s of group g
};
static_assert(sizeof(iq3_s) == 110);

//   0    2                18
//   | d  | qs             |     32 elements, y = d * table[q]
struct iq4_nl {
  le16 d;
  std::uint8_t qs[16];  // byte j: element j in the low, element j + 16 in the high nibble
};
static_assert(sizeof(iq4_nl) == 18);

//   0    2          4          8                136
//   | d  | scales_h | scales_l | qs             |     8 groups of 32: y = d * (s - 32) * table[q]
struct iq4_xs {
  le16 d;
  le16 scales_h;             // the two bits from 2g: bits 4 and 5 of s of group g
  std::uint8_t scales_l[4];  // nibble g: bits 0 to 3
  std::uint8_t qs[128];      // each group as in iq4_nl
};
static_assert(sizeof(iq4_xs) == 136);

namespace impl {
inline constexpr std::int8_t iq1_levels[] = {-1, 0, 1, 0};  // no table holds the fourth value of two bits
inline constexpr std::int8_t iq2_levels[] = {8, 25, 43, 0};
inline constexpr std::int8_t iq3_xxs_levels[] = {4, 12, 20, 28, 36, 44, 52, 62};
inline constexpr std::int8_t iq3_s_levels[] = {1, 3, 5, 7, 9, 11, 13, 15};
}  // namespace impl

// Beyond the usual members: group_size, the elements that share a scale code s; grid and levels, the table and what the
// fields of its packed points stand for; and unit, with y = d * (2 * s + 1) * unit * an integer of the element's range.
template <>
struct format_traits<iq1_s> : impl::gguf_traits<19, 256, grid_point<8, 2048, -9, 9>, q8_k, true> {
  static constexpr const char* name = "iq1_s";
  static constexpr bool importance_required = true;
  static constexpr int group_size = 32;
  static constexpr float unit = 0.125f;
  static constexpr auto& grid = iq1_grid;
  static constexpr auto& levels = impl::iq1_levels;
};
template <>
struct format_traits<iq1_m> : impl::gguf_traits<29, 256, grid_point<8, 2048, -9, 9>, q8_k, true> {
  static constexpr const char* name = "iq1_m";
  static constexpr int group_size = 16;
  static constexpr float unit = 0.125f;
  static constexpr auto& grid = iq1_grid;
  static constexpr auto& levels = impl::iq1_levels;
};
template <>
struct format_traits<iq2_xxs> : impl::gguf_traits<16, 256, grid_point<8, 256, -43, 43>, q8_k, true> {
  static constexpr const char* name = "iq2_xxs";
  static constexpr bool importance_required = true;
  static constexpr int group_size = 32;
  static constexpr float unit = 0.125f;
  static constexpr auto& grid = iq2_xxs_grid;
  static constexpr auto& levels = impl::iq2_levels;
};
template <>
struct format_traits<iq2_xs> : impl::gguf_traits<17, 256, grid_point<8, 512, -43, 43>, q8_k, true> {
  static constexpr const char* name = "iq2_xs";
  static constexpr bool importance_required = true;
  static constexpr int group_size = 16;
  static constexpr float unit = 0.125f;
  static constexpr auto& grid = iq2_xs_grid;
  static constexpr auto& levels = impl::iq2_levels;
};
template <>
struct format_traits<iq2_s> : impl::gguf_traits<22, 256, grid_point<8, 1024, -43, 43>, q8_k, true> {
  static constexpr const char* name = "iq2_s";
  static constexpr int group_size = 16;
  static constexpr float unit = 0.125f;
  static constexpr auto& grid = iq2_s_grid;
  static constexpr auto& levels = impl::iq2_levels;
};
template <>
struct format_traits<iq3_xxs> : impl::gguf_traits<18, 256, grid_point<4, 256, -62, 62>, q8_k, true> {
  static constexpr const char* name = "iq3_xxs";
  static constexpr int group_size = 32;
  static constexpr float unit = 0.25f;
  static constexpr auto& grid = iq3_xxs_grid;
  static constexpr auto& levels = impl::iq3_xxs_levels;
};
template <>
struct format_traits<iq3_s> : impl::gguf_traits<21, 256, grid_point<4, 512, -15, 15>, q8_k, true> {
  static constexpr const char* name = "iq3_s";
  static constexpr int group_size = 32;
  static constexpr float unit = 1.0f;
  static constexpr auto& grid = iq3_s_grid;
  static constexpr auto& levels = impl::iq3_s_levels;
};
template <>
struct format_traits<iq4_nl> : impl::gguf_traits<20, 32, iq4_nl_code, q8_0, true> {
  static constexpr const char* name = "iq4_nl";
  using codes = planes<plane<&iq4_nl::qs, 4, 16>>;
};
template <>
struct format_traits<iq4_xs> : impl::gguf_traits<23, 256, iq4_nl_code, q8_k, true> {
  static constexpr const char* name = "iq4_xs";
  static constexpr int group_size = 32;
  using codes = planes<plane<&iq4_xs::qs, 4, 16>>;
};

namespace impl {
// 7 signs and the eighth that follows from them.
BLOCQ_INLINE constexpr int even_signs(int seven) noexcept {
  const int folded = seven ^ (seven >> 4);
  return seven | ((0x6996 >> (folded & 15)) & 1) << 7;
}
}  // namespace impl

// Setters overwrite the bits that they are named for and no others.

// The scale code s of group g.
BLOCQ_INLINE constexpr int get_scale(const iq1_s& b, int g) noexcept { return get_field(b.qh[g], 12, 3); }
BLOCQ_INLINE constexpr void set_scale(iq1_s& b, int g, int s) noexcept { set_field(b.qh[g], 12, 3, s); }
BLOCQ_INLINE constexpr int get_scale(const iq1_m& b, int g) noexcept {
  return get_field(b.scales[g / 4], g % 4 * 3, 3);
}
BLOCQ_INLINE constexpr void set_scale(iq1_m& b, int g, int s) noexcept { set_field(b.scales[g / 4], g % 4 * 3, 3, s); }
BLOCQ_INLINE constexpr int get_scale(const iq2_xxs& b, int g) noexcept {
  return get_field(b.groups[g].signs_scale, 28, 4);
}
BLOCQ_INLINE constexpr void set_scale(iq2_xxs& b, int g, int s) noexcept {
  set_field(b.groups[g].signs_scale, 28, 4, s);
}
BLOCQ_INLINE constexpr int get_scale(const iq2_xs& b, int g) noexcept {
  return get_field(b.scales[g / 2], g % 2 * 4, 4);
}
BLOCQ_INLINE constexpr void set_scale(iq2_xs& b, int g, int s) noexcept { set_field(b.scales[g / 2], g % 2 * 4, 4, s); }
BLOCQ_INLINE constexpr int get_scale(const iq2_s& b, int g) noexcept {
  return get_field(b.scales[g / 2], g % 2 * 4, 4);
}
BLOCQ_INLINE constexpr void set_scale(iq2_s& b, int g, int s) noexcept { set_field(b.scales[g / 2], g % 2 * 4, 4, s); }
BLOCQ_INLINE constexpr int get_scale(const iq3_xxs& b, int g) noexcept { return get_field(b.signs_scale[g], 28, 4); }
BLOCQ_INLINE constexpr void set_scale(iq3_xxs& b, int g, int s) noexcept { set_field(b.signs_scale[g], 28, 4, s); }
BLOCQ_INLINE constexpr int get_scale(const iq3_s& b, int g) noexcept {
  return get_field(b.scales[g / 2], g % 2 * 4, 4);
}
BLOCQ_INLINE constexpr void set_scale(iq3_s& b, int g, int s) noexcept { set_field(b.scales[g / 2], g % 2 * 4, 4, s); }

// iq4_xs: the scale of group g itself, -32 to 31.
BLOCQ_INLINE constexpr int get_scale(const iq4_xs& b, int g) noexcept {
  return (get_field(b.scales_l[g / 2], g % 2 * 4, 4) | get_field(b.scales_h, 2 * g, 2) << 4) - 32;
}
BLOCQ_INLINE constexpr void set_scale(iq4_xs& b, int g, int s) noexcept {
  set_field(b.scales_l[g / 2], g % 2 * 4, 4, s + 32);
  set_field(b.scales_h, 2 * g, 2, (s + 32) >> 4);
}

// The table index i.
BLOCQ_INLINE constexpr int get_index(const iq1_s& b, int i) noexcept {
  return b.qs[i] | get_field(b.qh[i / 4], i % 4 * 3, 3) << 8;
}
BLOCQ_INLINE constexpr void set_index(iq1_s& b, int i, int index) noexcept {
  b.qs[i] = static_cast<std::uint8_t>(index);
  set_field(b.qh[i / 4], i % 4 * 3, 3, index >> 8);
}
BLOCQ_INLINE constexpr int get_index(const iq1_m& b, int i) noexcept {
  return b.qs[i] | get_field(b.qh[i / 2], i % 2 * 4, 3) << 8;
}
BLOCQ_INLINE constexpr void set_index(iq1_m& b, int i, int index) noexcept {
  b.qs[i] = static_cast<std::uint8_t>(index);
  set_field(b.qh[i / 2], i % 2 * 4, 3, index >> 8);
}
BLOCQ_INLINE constexpr int get_index(const iq2_xxs& b, int i) noexcept { return b.groups[i / 4].index[i % 4]; }
BLOCQ_INLINE constexpr void set_index(iq2_xxs& b, int i, int index) noexcept {
  b.groups[i / 4].index[i % 4] = static_cast<std::uint8_t>(index);
}
BLOCQ_INLINE constexpr int get_index(const iq2_xs& b, int i) noexcept { return get_field(b.qs[i], 0, 9); }
BLOCQ_INLINE constexpr void set_index(iq2_xs& b, int i, int index) noexcept { set_field(b.qs[i], 0, 9, index); }
BLOCQ_INLINE constexpr int get_index(const iq2_s& b, int i) noexcept {
  return b.qs[i] | get_field(b.qh[i / 4], i % 4 * 2, 2) << 8;
}
BLOCQ_INLINE constexpr void set_index(iq2_s& b, int i, int index) noexcept {
  b.qs[i] = static_cast<std::uint8_t>(index);
  set_field(b.qh[i / 4], i % 4 * 2, 2, index >> 8);
}
BLOCQ_INLINE constexpr int get_index(const iq3_xxs& b, int i) noexcept { return b.qs[i]; }
BLOCQ_INLINE constexpr void set_index(iq3_xxs& b, int i, int index) noexcept {
  b.qs[i] = static_cast<std::uint8_t>(index);
}
BLOCQ_INLINE constexpr int get_index(const iq3_s& b, int i) noexcept {
  return b.qs[i] | get_field(b.qh[i / 8], i % 8, 1) << 8;
}
BLOCQ_INLINE constexpr void set_index(iq3_s& b, int i, int index) noexcept {
  b.qs[i] = static_cast<std::uint8_t>(index);
  set_field(b.qh[i / 8], i % 8, 1, index >> 8);
}

// The signs of run k. Where 7 are stored, the setter takes an even number of them.
BLOCQ_INLINE constexpr int get_signs(const iq2_xxs& b, int k) noexcept {
  return impl::even_signs(get_field(b.groups[k / 4].signs_scale, k % 4 * 7, 7));
}
BLOCQ_INLINE constexpr void set_signs(iq2_xxs& b, int k, int signs) noexcept {
  set_field(b.groups[k / 4].signs_scale, k % 4 * 7, 7, signs);
}
BLOCQ_INLINE constexpr int get_signs(const iq2_xs& b, int k) noexcept {
  return impl::even_signs(get_field(b.qs[k], 9, 7));
}
BLOCQ_INLINE constexpr void set_signs(iq2_xs& b, int k, int signs) noexcept { set_field(b.qs[k], 9, 7, signs); }
BLOCQ_INLINE constexpr int get_signs(const iq2_s& b, int k) noexcept { return b.signs[k]; }
BLOCQ_INLINE constexpr void set_signs(iq2_s& b, int k, int signs) noexcept {
  b.signs[k] = static_cast<std::uint8_t>(signs);
}
BLOCQ_INLINE constexpr int get_signs(const iq3_xxs& b, int k) noexcept {
  return impl::even_signs(get_field(b.signs_scale[k / 4], k % 4 * 7, 7));
}
BLOCQ_INLINE constexpr void set_signs(iq3_xxs& b, int k, int signs) noexcept {
  set_field(b.signs_scale[k / 4], k % 4 * 7, 7, signs);
}
BLOCQ_INLINE constexpr int get_signs(const iq3_s& b, int k) noexcept { return b.signs[k]; }
BLOCQ_INLINE constexpr void set_signs(iq3_s& b, int k, int signs) noexcept {
  b.signs[k] = static_cast<std::uint8_t>(signs);
}

// True if run k is shifted by -1/8, false for +1/8. iq1_s has one shift for the four runs of a group.
BLOCQ_INLINE constexpr bool get_shift(const iq1_s& b, int k) noexcept { return get_field(b.qh[k / 4], 15, 1) != 0; }
BLOCQ_INLINE constexpr void set_shift(iq1_s& b, int k, bool negative) noexcept {
  set_field(b.qh[k / 4], 15, 1, negative);
}
BLOCQ_INLINE constexpr bool get_shift(const iq1_m& b, int k) noexcept {
  return get_field(b.qh[k / 2], k % 2 * 4 + 3, 1) != 0;
}
BLOCQ_INLINE constexpr void set_shift(iq1_m& b, int k, bool negative) noexcept {
  set_field(b.qh[k / 2], k % 2 * 4 + 3, 1, negative);
}

// The super-block scale of iq1_m as binary16 bits, a nibble in each of four words.
BLOCQ_INLINE constexpr std::uint16_t get_d(const iq1_m& b) noexcept {
  int d = 0;
  for (int w = 0; w < 4; ++w) d |= get_field(b.scales[w], 12, 4) << (4 * w);
  return static_cast<std::uint16_t>(d);
}
BLOCQ_INLINE constexpr void set_d(iq1_m& b, std::uint16_t d) noexcept {
  for (int w = 0; w < 4; ++w) set_field(b.scales[w], 12, 4, d >> (4 * w));
}
// The eight integers of run k, in units of the format.
template <class B>
BLOCQ_INLINE constexpr void get_run(const B& b, int k, std::int8_t* v) noexcept {
  using traits = format_traits<B>;
  constexpr int dimensions = element_t<B>::dimensions, bits = dimensions == 8 ? 2 : 3;
  for (int i = 0; i < 8; i += dimensions) {
    const int packed = traits::grid[get_index(b, (8 * k + i) / dimensions)];
    for (int j = 0; j < dimensions; ++j) v[i + j] = traits::levels[(packed >> (bits * j)) & ((1 << bits) - 1)];
  }
  if constexpr (requires { get_signs(b, k); }) {
    const int signs = get_signs(b, k);
    for (int j = 0; j < 8; ++j) v[j] = static_cast<std::int8_t>(((signs >> j) & 1) != 0 ? -v[j] : v[j]);
  } else {
    const int shift = get_shift(b, k) ? -1 : 1;
    for (int j = 0; j < 8; ++j) v[j] = static_cast<std::int8_t>(8 * v[j] + shift);
  }
}

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {
template <class B>
constexpr void decode_runs(const B& b, float d, float* y) noexcept {
  for (int k = 0; k < 32; ++k) {
    std::int8_t v[8];
    get_run(b, k, v);
    const int scale = 2 * get_scale(b, 8 * k / format_traits<B>::group_size) + 1;
    const float step = d * format_traits<B>::unit * static_cast<float>(scale);
    for (int j = 0; j < 8; ++j) y[8 * k + j] = step * static_cast<float>(v[j]);
  }
}
}  // namespace detail

constexpr void decode(const iq1_s& b, float* y) noexcept { detail::decode_runs(b, f16_to_f32(b.d), y); }
constexpr void decode(const iq1_m& b, float* y) noexcept { detail::decode_runs(b, f16_to_f32(get_d(b)), y); }
constexpr void decode(const iq2_xxs& b, float* y) noexcept { detail::decode_runs(b, f16_to_f32(b.d), y); }
constexpr void decode(const iq2_xs& b, float* y) noexcept { detail::decode_runs(b, f16_to_f32(b.d), y); }
constexpr void decode(const iq2_s& b, float* y) noexcept { detail::decode_runs(b, f16_to_f32(b.d), y); }
constexpr void decode(const iq3_xxs& b, float* y) noexcept { detail::decode_runs(b, f16_to_f32(b.d), y); }
constexpr void decode(const iq3_s& b, float* y) noexcept { detail::decode_runs(b, f16_to_f32(b.d), y); }
constexpr void decode(const iq4_nl& b, float* y) noexcept { detail::decode_scaled(b, y); }
constexpr void decode(const iq4_xs& b, float* y) noexcept { detail::decode_groups_scaled(b, y); }

constexpr bool is_valid(const iq1_m& b) noexcept { return is_finite(f16_to_f32(get_d(b))); }

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
