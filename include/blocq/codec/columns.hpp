// Eight rows at once: a vector holds four neighbouring elements of each row, which is what products of matrices meet.
//
// Planes are transposed as they lie, before their fields are taken apart, because a byte has bits of up to eight
// elements. All other formats are read row by row, and the bytes that come of it are transposed.
#ifndef BLOCQ_CODEC_COLUMNS_HPP
#define BLOCQ_CODEC_COLUMNS_HPP

#include <blocq/codec/points.hpp>

#include <cstddef>
#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// One plane of a block's place in eight rows.
template <class B, class Plane>
struct plane_columns {
  static constexpr int dwords = static_cast<int>(sizeof(std::declval<const B&>().*Plane::member) / 4);
  static constexpr bool single_bits = Plane::width == 1 && Plane::stride == 1;
  static_assert(dwords == 1 || dwords % 4 == 0);

  vec::bytes dword[static_cast<std::size_t>(dwords)];

  BLOCQ_INLINE explicit plane_columns(const B* const (&rows)[8]) noexcept {
    const auto at = [&](int row, int i) BLOCQ_INLINE_LAMBDA { return rows[row]->*Plane::member + 4 * i; };
    if constexpr (dwords == 1)
      dword[0] = vec::load_eighths([&](int row) BLOCQ_INLINE_LAMBDA { return at(row, 0); });
    else
      for (int i = 0; i < dwords; i += 4)
        vec::load_columns([&](int row) BLOCQ_INLINE_LAMBDA { return at(row, i); }, dword + i);
  }
  // The bits of elements Element to Element + 3, in place.
  template <int Element>
  BLOCQ_INLINE vec::bytes bits() const noexcept {
    if constexpr (single_bits) {
      return vec::spread_bits_of_eighths<Element % 32>(dword[Element / 32], 1 << Plane::lowest);
    } else {
      constexpr int run = Element / Plane::stride,
                    byte = run / Plane::per_byte * Plane::stride + Element % Plane::stride;
      const vec::bytes field = vec::field<Plane::width>(dword[byte / 4], run % Plane::per_byte * Plane::width);
      return Plane::lowest == 0 ? field : vec::shift_left(field, Plane::lowest);
    }
  }
};

template <class Planes>
inline constexpr bool in_columns = false;
template <auto... Member, int... Width, int... Stride, int... Lowest>
inline constexpr bool in_columns<planes<plane<Member, Width, Stride, Lowest>...>> =
    ((Stride % 4 == 0 || (Width == 1 && Stride == 1)) && ...);

template <class B, class Planes>
struct planes_columns;
template <class B, class... Planes>
struct planes_columns<B, planes<Planes...>> : plane_columns<B, Planes>... {
  BLOCQ_INLINE explicit planes_columns(const B* const (&rows)[8]) noexcept : plane_columns<B, Planes>(rows)... {}
  template <int Element>
  BLOCQ_INLINE vec::bytes codes() const noexcept {
    vec::bytes all = vec::fill_bytes(0);
    ((all = all | plane_columns<B, Planes>::template bits<Element>()), ...);
    return all;
  }
};

template <class B>
inline constexpr int chunks_of = static_cast<int>(block_size<B>) / 32;

// A block's place in eight rows. each_chunk calls f(c, codes) for its chunks: elements 4i to 4i + 3 in vector i, as
// unsigned codes from values_of<B>.lowest on; as values if they need all eight bits; as they are stored if they do not
// fit in bytes.
template <class B>
struct column_reader {
  const B* const (&rows)[8];

  BLOCQ_INLINE explicit column_reader(const B* const (&blocks)[8]) noexcept : rows(blocks) {}
  BLOCQ_INLINE const void* bytes_at(int row, int i) const noexcept {
    if constexpr (requires { rows[row]->qs; })
      return rows[row]->qs + i;
    else
      return rows[row]->codes + i;
  }
  template <class F>
  BLOCQ_INLINE void each_chunk(F f) const noexcept {
    for (int c = 0; c < chunks_of<B>; ++c) {
      vec::bytes v[8];
      if constexpr (full_bytes<B> && !nine_bits<B>) {
        for (int i = 0; i < 8; i += 4)
          vec::load_columns([&](int r) BLOCQ_INLINE_LAMBDA { return bytes_at(r, 32 * c + 4 * i); }, v + i);
      } else {
        for (int r = 0; r < 8; ++r) {
          if constexpr (full_bytes<B>)
            v[r] = plane_codes(*rows[r], c);
          else
            v[r] = chunk_codes(*rows[r], c);
        }
        vec::transpose_eighths(v);
      }
      f(c, v);
    }
  }
};

// Points of four: a row's chunks one after the other. Points of eight, half as many: all rows at once, chunk by chunk.
template <class B>
requires requires { format_traits<B>::grid; }
struct column_reader<B> {
  const B* const (&rows)[8];

  BLOCQ_INLINE explicit column_reader(const B* const (&blocks)[8]) noexcept : rows(blocks) {}
  template <class F>
  BLOCQ_INLINE void each_chunk(F f) const noexcept {
    if constexpr (element_t<B>::dimensions == 4) {
      vec::bytes v[8][8];
      for (std::size_t r = 0; r < 8; ++r) {
        const chunk_reader<B> chunks(*rows[r]);
        simd::unroll<8>([&]<int C>() BLOCQ_INLINE_LAMBDA { v[C][r] = chunks.codes(C); });
      }
      for (int c = 0; c < 8; ++c) {
        vec::transpose_eighths(v[c]);
        f(c, v[c]);
      }
    } else {
      using reader = chunk_reader<B, true>;
      const reader chunks[8] = {reader(*rows[0]), reader(*rows[1]), reader(*rows[2]), reader(*rows[3]),
                                reader(*rows[4]), reader(*rows[5]), reader(*rows[6]), reader(*rows[7])};
      for (int c = 0; c < 8; ++c) {
        vec::bytes v[8];
        for (int r = 0; r < 8; ++r) v[r] = chunks[r].codes(c);
        vec::transpose_eighths(v);
        f(c, v);
      }
    }
  }
};

template <class B>
requires in_columns<typename format_traits<B>::codes>
struct column_reader<B> {
  planes_columns<B, typename format_traits<B>::codes> planes;

  BLOCQ_INLINE explicit column_reader(const B* const (&blocks)[8]) noexcept : planes(blocks) {}
  template <class F>
  BLOCQ_INLINE void each_chunk(F f) const noexcept {
    simd::unroll<chunks_of<B>>([&]<int C>() BLOCQ_INLINE_LAMBDA {
      vec::bytes v[8];
      simd::unroll<8>([&]<int P>()
                          BLOCQ_INLINE_LAMBDA { v[P] = offset_codes<B>(planes.template codes<32 * C + 4 * P>()); });
      f(C, v);
    });
  }
};

// Bytes that a column_reader gave to words: the even ones, then the odd ones.
template <class B>
BLOCQ_INLINE void column_words(vec::bytes v, vec::words& even, vec::words& odd) noexcept {
  if constexpr (nine_bits<B>) {
    element_words<float6_e3m2fn>(v, even, odd);
  } else {
    even = vec::widen_even(v);
    odd = vec::widen_odd(v);
  }
}

// The scales of blocks that have one each, and their offsets, of eight rows.
template <class B>
BLOCQ_INLINE vec::floats column_scales(const B* const (&rows)[8]) noexcept {
  if constexpr (std::is_same_v<B, mxfp4>) {
    return half_e8m0s(vec::load_bytes_as_ints([&](int r) BLOCQ_INLINE_LAMBDA { return &rows[r]->e; }));
  } else if constexpr (has_integers<element_t<B>>) {
    return e8m0s(vec::load_bytes_as_ints([&](int r) BLOCQ_INLINE_LAMBDA { return &rows[r]->scale; })) *
           vec::fill_floats(unit_of<element_t<B>>);
  } else if constexpr (
      requires { rows[0]->d; } && !requires { rows[0]->d[0]; }) {
    return vec::load_halves_as_floats([&](int r) BLOCQ_INLINE_LAMBDA { return &rows[r]->d; });
  } else {
    float d[8];
    for (int r = 0; r < 8; ++r) d[r] = block_scale(*rows[r]);
    return vec::load_floats(d);
  }
}

// The same of nvfp4, which has four.
BLOCQ_INLINE void column_scales(const nvfp4* const (&rows)[8], vec::floats (&d)[4]) noexcept {
  const vec::bytes codes = vec::load_eighths([&](int r) BLOCQ_INLINE_LAMBDA { return rows[r]->d; });
  const vec::bytes no_number = codes & vec::equal(codes, vec::fill_bytes(0x7f));
  std::uint8_t numbers[32];
  vec::store_bytes(numbers, (codes ^ no_number) & vec::fill_bytes(0x7f));
  const vec::ints rows_of_four = vec::load_ints(numbers);
  vec::ints by_group[4];
  for (int g = 0; g < 4; ++g) by_group[g] = vec::shift_right(rows_of_four, 8 * g) & vec::fill_ints(0x7f);
  const vec::bytes in_order = vec::narrow(by_group);
  for (int g = 0; g < 4; ++g) d[g] = half_e4m3s(vec::widen_codes(in_order, g / 2), g % 2);
}

// The scales of the groups of a super-block in eight rows, and its minima: bytes, that of group g at byte g % 4 of
// every eighth of vector g / 4.
struct group_columns {
  vec::bytes scale[4], min[4];
};

template <class B>
inline constexpr bool groups_in_columns = std::is_same_v<B, q2_k> || std::is_same_v<B, q3_k> ||
                                          std::is_same_v<B, q4_k> || std::is_same_v<B, q5_k> || std::is_same_v<B, q6_k>;

// From the 16 bytes that end with a block's scales, in columns.
template <class B>
inline constexpr int bytes_before_scales = 16 - static_cast<int>(sizeof std::declval<B>().scales);
template <class B>
BLOCQ_INLINE group_columns unpack_groups(const vec::bytes (&v)[4]) noexcept {
  const auto upper = [](vec::bytes x, int shift)
                         BLOCQ_INLINE_LAMBDA { return vec::shift_left(vec::field<2>(x, shift), 4); };
  group_columns g;
  if constexpr (std::is_same_v<B, q6_k>) {
    for (int i = 0; i < 4; ++i) g.scale[i] = v[i];
  } else if constexpr (std::is_same_v<B, q2_k>) {
    for (int i = 0; i < 4; ++i) g.scale[i] = vec::field<4>(v[i], 0), g.min[i] = vec::field<4>(v[i], 4);
  } else if constexpr (std::is_same_v<B, q3_k>) {
    for (int i = 0; i < 4; ++i)
      g.scale[i] = (vec::field<4>(v[1 + i % 2], i / 2 * 4) | upper(v[3], 2 * i)) - vec::fill_bytes(32);
  } else {
    g.scale[0] = v[1] & vec::fill_bytes(63);
    g.min[0] = v[2] & vec::fill_bytes(63);
    g.scale[1] = vec::field<4>(v[3], 0) | upper(v[1], 6);
    g.min[1] = vec::field<4>(v[3], 4) | upper(v[2], 6);
  }
  return g;
}

template <class B>
requires groups_in_columns<B> BLOCQ_INLINE group_columns column_groups(const B* const (&rows)[8])
noexcept {
  vec::bytes v[4];
  vec::load_columns(
      [&](int r) BLOCQ_INLINE_LAMBDA {
        return reinterpret_cast<const std::uint8_t*>(rows[r]->scales) - bytes_before_scales<B>;
      },
      v);
  return unpack_groups<B>(v);
}

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
