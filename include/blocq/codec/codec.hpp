// Blocks in registers. A codec turns 32 consecutive elements of a block, a chunk, into 32 signed bytes, and the block's
// scales into one step for each group of elements:
//
//   element = step * value                (formats with a minimum: step * value + offset)
//
// `chunk_values` and `group_step` are all that an operation needs to know of a format. Both follow from the format's
// planes, element and scale accessors; only the formats with tables of points and base-3 digits say more.
#ifndef BLOCQ_CODEC_CODEC_HPP
#define BLOCQ_CODEC_CODEC_HPP

#include <blocq/codec/minifloat.hpp>
#include <blocq/format/all.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// The bits of one plane for chunk c, in place.
template <auto Member, int Width, int Stride, int Lowest, class B>
BLOCQ_INLINE vec::bytes plane_bits(plane<Member, Width, Stride, Lowest>, const B& b, int c) noexcept {
  using p = plane<Member, Width, Stride, Lowest>;
  const std::uint8_t* bytes = b.*Member;
  if constexpr (Stride % 32 == 0) {
    const unsigned at = 32u * static_cast<unsigned>(c), run = at / Stride, start = at % Stride;
    const vec::bytes bits = vec::field<Width>(vec::load_bytes(bytes + run / p::per_byte * Stride + start),
                                              static_cast<int>(run % p::per_byte * Width));
    return Lowest == 0 ? bits : vec::shift_left(bits, Lowest);
  } else if constexpr (Width == 1) {
    static_assert(Stride == 1, "planes of single bits are consecutive or in runs of 32");
    return vec::spread_bits(bytes + 4 * c, 1 << Lowest);
  } else {
    static_assert(Lowest == 0, "no format has its upper bits in such a plane");
    if constexpr (Width == 4 && Stride == 16) return vec::split_nibbles(bytes + 16 * c);
    if constexpr (Width == 4 && Stride == 8) return vec::swap_middle_quarters(vec::split_nibbles(bytes + 16 * c));
    if constexpr (Width == 2 && Stride == 1) return vec::spread_pairs(bytes + 8 * c);
  }
}
template <auto Member, int Width, class B>
BLOCQ_INLINE vec::bytes plane_bits(dense<Member, Width>, const B& b, int c) noexcept {
  const std::uint8_t* bytes = b.*Member + 4 * Width * c;
  if constexpr (Width == 4) return vec::spread_nibbles(bytes);
  if constexpr (Width == 6) return vec::spread_sixes(bytes);
  if constexpr (Width == 8) return vec::load_bytes(bytes);
}
template <auto Member, class B>
BLOCQ_INLINE vec::bytes plane_bits(impl::high_nibble_first<Member>, const B& b, int c) noexcept {
  return vec::spread_nibbles<true>(b.*Member + 16 * c);
}

template <class B, class... Planes>
BLOCQ_INLINE vec::bytes plane_codes(planes<Planes...>, const B& b, int c) noexcept {
  vec::bytes codes = vec::fill_bytes(0);
  ((codes = codes | plane_bits(Planes{}, b, c)), ...);
  return codes;
}
template <class B>
BLOCQ_INLINE vec::bytes plane_codes(const B& b, int c) noexcept {
  return plane_codes(typename format_traits<B>::codes{}, b, c);
}

// The integers that codes stand for.
template <class B>
BLOCQ_INLINE vec::bytes code_values(vec::bytes codes) noexcept {
  using element = element_t<B>;
  if constexpr (has_integers<element>)
    return element_values<element>(codes);
  else if constexpr (requires { element::values; })
    return vec::lookup16(vec::load_halves(element::values), codes);
  else if constexpr (element::value(0) == 0)
    return codes;
  else if constexpr (element::value(1) - element::value(0) == 2)
    return codes + codes + vec::fill_bytes(element::value(0));
  else
    return codes + vec::fill_bytes(element::value(0));
}

// The points of a grid as integers in 8 or 4 bytes. Those that a format shifts by one to either side are counted from
// the lowest one, and unsigned: the shift says what has to be added for the values.
template <class B>
struct point_table {
  static constexpr int dimensions = element_t<B>::dimensions, bits = dimensions == 8 ? 2 : 3;
  static constexpr bool shifted = requires(const B& b) { get_shift(b, 0); };
  static constexpr int factor = shifted ? 8 : 1, lowest = shifted ? -8 : 0;
  std::int8_t entry[element_t<B>::entries][static_cast<std::size_t>(dimensions)] = {};

  constexpr point_table() noexcept {
    for (int i = 0; i < element_t<B>::entries; ++i)
      for (int j = 0; j < dimensions; ++j) {
        const int field = (format_traits<B>::grid[i] >> (bits * j)) & ((1 << bits) - 1);
        entry[i][j] = static_cast<std::int8_t>(factor * format_traits<B>::levels[field] - lowest);
      }
  }
};
template <class B>
inline constexpr point_table<B> points{};

// A shift up and one down, and what points are counted from.
inline constexpr std::int8_t shifts[2][8] = {{-7, -7, -7, -7, -7, -7, -7, -7}, {-9, -9, -9, -9, -9, -9, -9, -9}};

template <class B>
BLOCQ_INLINE vec::bytes point_values(const B& b, int c) noexcept {
  vec::bytes v;
  if constexpr (element_t<B>::dimensions == 8) {
    const auto* table = points<B>.entry;
    v = vec::load_quarters(table + get_index(b, 4 * c), table + get_index(b, 4 * c + 1),
                           table + get_index(b, 4 * c + 2), table + get_index(b, 4 * c + 3));
  } else {
    v = vec::load_eighths([&](int i) BLOCQ_INLINE_LAMBDA { return points<B>.entry + get_index(b, 8 * c + i); });
  }
  if constexpr (requires { get_signs(b, c); }) {
    le32 signs;
    for (int k = 0; k < 4; ++k) signs.bytes[k] = static_cast<std::uint8_t>(get_signs(b, 4 * c + k));
    return vec::negate_where(v, vec::spread_bits(&signs, 255));
  } else {
    const auto shift = [&](int k) { return shifts + (get_shift(b, 4 * c + k) ? 1 : 0); };
    return v + vec::load_quarters(shift(0), shift(1), shift(2), shift(3));
  }
}

// Base-3 digits, 0 to 2: chunk c < 5 is digit c of the first 32 bytes, the others are halves and eighths of a chunk.
BLOCQ_INLINE vec::bytes digits(const tq1_0& b, int c) noexcept {
  static constexpr std::uint8_t powers[4] = {1, 3, 9, 27};
  static constexpr std::uint8_t last[32] = {81, 81, 81, 81, 81, 81, 81, 81, 81, 81, 81, 81, 81, 81, 81, 81,
                                            1,  1,  1,  1,  3,  3,  3,  3,  9,  9,  9,  9,  27, 27, 27, 27};
  if (c < 5) {  // added up, so that chunks that are read one after the other share their sums
    vec::bytes multiple = vec::load_bytes(b.qs);
    for (int i = 0; i < c; ++i) multiple = multiple + multiple + multiple;
    return vec::carry_of_thrice(multiple);
  }
  if (c < 7)
    return vec::carry_of_thrice(vec::load_halves(b.qs + 32) *
                                vec::fill_halves(powers[2 * (c - 5)], powers[2 * (c - 5) + 1]));
  return vec::carry_of_thrice(vec::half_and_eighths(b.qs + 32, b.qh) * vec::load_bytes(last));
}
BLOCQ_INLINE vec::bytes digit_values(const tq1_0& b, int c) noexcept { return digits(b, c) - vec::fill_bytes(1); }

}  // namespace detail

namespace detail {
struct half_ue4m3_table {
  float value[256] = {};
  constexpr half_ue4m3_table() noexcept {
    for (unsigned i = 0; i < 256; ++i) value[i] = impl::half_ue4m3(static_cast<std::uint8_t>(i));
  }
};
inline constexpr half_ue4m3_table half_ue4m3_values{};

template <class B>
concept has_points = requires {
  format_traits<B>::grid;
};
template <class B>
concept has_code_planes = requires(const B& b) {
  typename format_traits<B>::codes;
  { b.d } -> std::same_as<const le16&>;
};
template <class B>
concept has_signed_bytes = requires(const B& b) {
  { b.qs[0] } -> std::same_as<const std::int8_t&>;
};
template <class B>
inline constexpr bool is_chunked = std::is_same_v<B, tq1_0> || std::is_same_v<B, mxfp4> || std::is_same_v<B, nvfp4> ||
                                   has_points<B> || has_code_planes<B> || has_signed_bytes<B>;
template <class Element, std::size_t N>
inline constexpr bool is_chunked<mx_block<Element, N>> = has_integers<Element>;
}  // namespace detail

// The formats that group_step serves, and chunk_values unless their values do not fit in bytes (mxfp6_e3m2).
template <class B>
concept chunked_format = block_format<B> &&(block_size<B> % 32 == 0) && (detail::is_chunked<B>);

// What blocks of B are multiplied with in integers: operand_t, but q8_0 for the MX formats of small integers, whose
// activations then have as many bits as those of other formats. void if the numbers of B are no small integers.
template <class B>
struct integer_operand {
  using type = void;
};
template <chunked_format B>
requires(!std::is_same_v<B, q8_k>) struct integer_operand<B> {
  using type = std::conditional_t<detail::has_integers<element_t<B>>, q8_0, operand_t<B>>;
};
template <class B>
using integer_operand_t = typename integer_operand<B>::type;
template <class B>
concept integer_format = !std::is_void_v<integer_operand_t<B>>;

// Elements that share a step.
template <class B>
inline constexpr int step_group = [] {
  if constexpr (std::is_same_v<B, nvfp4>)
    return 16;
  else if constexpr (requires { format_traits<B>::group_size; })
    return static_cast<int>(format_traits<B>::group_size);
  else
    return static_cast<int>(block_size<B>);
}();

// Elements 32 c to 32 c + 31 of the block as signed bytes, in units of their group's step.
template <class B>
BLOCQ_INLINE detail::vec::bytes chunk_values(const B& b, int c) noexcept {
  if constexpr (std::is_same_v<B, tq1_0>)
    return detail::digit_values(b, c);
  else if constexpr (requires { format_traits<B>::grid; })
    return detail::point_values(b, c);
  else if constexpr (requires { typename format_traits<B>::codes; })
    return detail::code_values<B>(detail::plane_codes(b, c));
  else
    return detail::vec::load_bytes(b.qs + 32 * c);
}

// The scale of the whole block, and what its offsets are multiples of: a minimum's scale, or the offset itself.
template <class B>
BLOCQ_INLINE float block_scale(const B& b) noexcept {
  if constexpr (std::is_same_v<B, iq1_m>)
    return detail::vec::half_to_float(get_d(b));
  else if constexpr (detail::has_integers<element_t<B>>)
    return float8_e8m0fnu{b.scale}.to_float() * detail::unit_of<element_t<B>>;
  else if constexpr (std::is_same_v<B, mxfp4>)
    return impl::half_e8m0(b.e);
  else if constexpr (std::is_same_v<B, nvfp4>)
    return 1.0f;
  else if constexpr (std::is_same_v<B, q8_k>)
    return from_bits(load(b.d));
  else
    return detail::vec::half_to_float(load(b.d));
}
template <class B>
BLOCQ_INLINE float block_offset(const B& b) noexcept {
  if constexpr (requires { b.dmin; })
    return detail::vec::half_to_float(load(b.dmin));
  else if constexpr (requires { b.m; })
    return detail::vec::half_to_float(load(b.m));
  else
    return 0.0f;
}
template <class B>
inline constexpr bool has_offset = requires(const B& b) {
  b.dmin;
}
|| requires(const B& b) { b.m; };

// The step of group g, and its offset where the format has one.
struct step_offset {
  float step, offset;
};
template <class B>
BLOCQ_INLINE step_offset group_step(const B& b, float d, float dmin, int g) noexcept {
  if constexpr (requires { format_traits<B>::grid; })
    return {d * format_traits<B>::unit * static_cast<float>(2 * get_scale(b, g) + 1), 0.0f};
  else if constexpr (std::is_same_v<B, nvfp4>)
    return {detail::half_ue4m3_values.value[b.d[g]], 0.0f};
  else if constexpr (requires { get_scale(b, g).min; })
    return {d * static_cast<float>(get_scale(b, g).scale), -(dmin * static_cast<float>(get_scale(b, g).min))};
  else if constexpr (requires { get_scale(b, g); })
    return {d * static_cast<float>(get_scale(b, g)), 0.0f};
  else
    return {d, dmin};
}

// The integers that a value can be; a code of two bits may be one more than a ternary digit.
struct value_range {
  int lowest, highest;
};
template <class B>
inline constexpr value_range values_of = [] {
  using element = element_t<B>;
  value_range r{0, 0};
  if constexpr (detail::has_integers<element>) {
    for (int c = 0; c < 1 << element::bits; ++c) {
      const int v = detail::integer_of<element>(c);
      r = {v < r.lowest ? v : r.lowest, v > r.highest ? v : r.highest};
    }
  } else if constexpr (requires { element::bits; }) {
    for (int c = 0; c < 1 << element::bits; ++c) {
      const int v = detail::code_value<B>(c);
      r = {v < r.lowest ? v : r.lowest, v > r.highest ? v : r.highest};
    }
  } else {
    r = {element::lowest, element::highest + (std::is_same_v<B, tq2_0> ? 1 : 0)};
  }
  return r;
}();

// True if values need all 8 bits; otherwise value - values_of<B>.lowest fits in 7 and meets signed bytes in maddubs.
template <class B>
inline constexpr bool full_bytes = values_of<B>.highest - values_of<B>.lowest > 127;

namespace detail {

// True if values do not even fit in bytes.
template <class B>
inline constexpr bool nine_bits = std::is_same_v<element_t<B>, float6_e3m2fn>;

// A table of the numbers that codes stand for, less `offset`.
template <class Element, int Offset>
struct value_table {
  std::int8_t entry[16] = {};
  constexpr value_table() noexcept {
    for (int i = 0; i < 16; ++i) entry[i] = static_cast<std::int8_t>(Element::values[i] - Offset);
  }
};
template <class Element, int Offset>
inline constexpr value_table<Element, Offset> value_tables{};

// Eight scales from their codes: of OCP MX (float8_e8m0fnu), of mxfp4 and of nvfp4 (impl::half_e8m0, impl::half_ue4m3).
BLOCQ_INLINE vec::floats e8m0s(vec::ints code) noexcept {
  const auto number = [](std::int32_t n) { return vec::fill_ints(n); };
  const vec::ints nan = vec::shift_left(code + number(1), 14) & number(0x400000);
  return vec::as_floats(vec::as_bytes(vec::larger(vec::shift_left(code, 23), number(0x400000)) | nan));
}
// Codes 0 and 1 are subnormal numbers, which are larger than what the others' rule makes of them.
BLOCQ_INLINE vec::floats half_e8m0s(vec::ints code) noexcept {
  const vec::ints one = vec::fill_ints(1);
  return vec::as_floats(vec::as_bytes(vec::larger(vec::shift_left(code - one, 23), vec::shift_left(code + one, 21))));
}
// Seven bits each, as binary16 in units of 2^7, where subnormal numbers cost nothing.
BLOCQ_INLINE vec::words e4m3_fields(vec::words number) noexcept { return vec::move_field<0, 7, 7>(number); }
BLOCQ_INLINE vec::words half_ue4m3_fields(vec::words code) noexcept {
  return e4m3_fields(code & (vec::fill_words(-1) - vec::equal(code, vec::fill_words(0x7f))));
}
BLOCQ_INLINE vec::floats half_e4m3s(vec::words number, int h) noexcept {
  return vec::halves_to_floats(e4m3_fields(number), h) * vec::fill_floats(0x1p7f);
}

// Codes as they are stored to what integer kernels multiply: value - values_of<B>.lowest, unsigned; values if they need
// all eight bits.
template <class B>
BLOCQ_INLINE vec::bytes offset_codes(vec::bytes stored) noexcept {
  using element = element_t<B>;
  if constexpr (requires { element::values; })
    return vec::lookup16(vec::load_halves(value_tables < element, full_bytes<B> ? 0 : values_of<B>.lowest >.entry),
                         stored);
  else if constexpr (has_integers<element>)
    return element_values<element>(stored) - vec::fill_bytes(values_of<B>.lowest);
  else if constexpr (std::is_same_v<element, binary>)
    return stored + stored;
  else
    return stored;
}

}  // namespace detail

// The chunk as unsigned bytes: value - values_of<B>.lowest.
template <class B>
BLOCQ_INLINE detail::vec::bytes chunk_codes(const B& b, int c) noexcept {
  static_assert(!full_bytes<B>);
  if constexpr (requires { typename format_traits<B>::codes; })
    return detail::offset_codes<B>(detail::plane_codes(b, c));
  else if constexpr (std::is_same_v<B, tq1_0>)
    return detail::digits(b, c);
  else
    return chunk_values(b, c) - detail::vec::fill_bytes(values_of<B>.lowest);
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
