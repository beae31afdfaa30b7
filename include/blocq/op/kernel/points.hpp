// Formats with tables of points, times q8_k, where registers hold tables of bytes: 64 indices at a time, those of two
// blocks with points of eight elements or of one with points of four.
//
// Byte i of a vector belongs to index i. What an index stands for is looked up as two bytes of fields, the points'
// packed codes, and signs come as bytes as well. Element e of all 64 points, a plane, is then one lookup: of its field,
// which stays where it lies in the byte, and its sign, in a table of signed levels. No bit is moved but for the
// uppermost field. The levels are made unsigned by a bias, and four of them, neighbours in the plane, are multiplied
// and added up at once. Activations are brought into planes beforehand.
#ifndef BLOCQ_OP_KERNEL_POINTS_HPP
#define BLOCQ_OP_KERNEL_POINTS_HPP

#include <blocq/core/bits.hpp>
#include <blocq/op/kernel/superblocks.hpp>

#ifdef BLOCQ_HAS_TABLES

#include <type_traits>
#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

template <class B>
concept points_format = superblock_format<B> && requires {
  format_traits<B>::grid;
};

// ---- where elements lie ----

// Element e of a point: in which of the two bytes, at which bit, and which bit of signs[byte] is its sign. Of points of
// eight these are the lower and the upper four signs from bit 0 on; of points of four, both are the four signs from bit
// 1 on. A field never lies where its sign does.
struct element_place {
  int byte, field, sign;
};
template <int Dimensions>
constexpr element_place place_of(int e) noexcept {
  constexpr int fields[4] = {2, 4, 0, 6};
  if constexpr (Dimensions == 8)
    return {e / 4, fields[e % 4], e % 4};
  else
    return {e % 2, e < 2 ? 3 : 0, e + 1};
}
template <int Dimensions>
inline constexpr int field_width = Dimensions == 8 ? 2 : 3;
// The element in field f of a byte.
template <int Dimensions>
constexpr int element_at(int byte, int f) noexcept {
  int e = 0;
  while (place_of<Dimensions>(e).byte != byte || place_of<Dimensions>(e).field != field_width<Dimensions> * f) ++e;
  return e;
}

template <std::size_t N>
struct alignas(64) byte_table {
  std::uint8_t entry[N];
};
// f(i) in byte i.
template <class F>
constexpr byte_table<64> each_byte(F f) noexcept {
  byte_table<64> t{};
  for (int i = 0; i < 64; ++i) t.entry[i] = static_cast<std::uint8_t>(f(i));
  return t;
}
BLOCQ_INLINE quad::bytes load(const byte_table<64>& t) noexcept { return quad::load_bytes(t.entry); }

// The points of a table, one of the two bytes of each.
template <auto& Grid, int Dimensions, int Byte>
inline constexpr auto point_bytes = [] {
  constexpr std::size_t entries = sizeof Grid / sizeof Grid[0];
  byte_table<entries> t{};
  for (int e = 0; e < Dimensions; ++e) {
    constexpr int width = field_width<Dimensions>;
    const element_place at = place_of<Dimensions>(e);
    if (at.byte != Byte) continue;
    for (std::size_t i = 0; i < entries; ++i)
      t.entry[i] = static_cast<std::uint8_t>(t.entry[i] | (Grid[i] >> (width * e) & ((1 << width) - 1)) << at.field);
  }
  return t;
}();

// The uppermost field of a byte is looked up two bits further down.
constexpr int looked_up_at(int field) noexcept { return field == 6 ? 4 : field; }
// What a field and a sign stand for, made unsigned. Every other bit of the index is ignored.
template <auto& Levels, bool Shifted, int Bias, int Width, int Field, int Sign>
inline constexpr auto level_bytes = each_byte([](int i) {
  const int level = Levels[i >> Field & ((1 << Width) - 1)], sign = (i >> Sign & 1) != 0 ? -1 : 1;
  return Bias + (Shifted ? 8 * level + sign : sign * level);
});

// ---- what 64 indices are ----

// Bits 0 to 7 of the indices, and the others as flags; their signs, or shifts; 2 s + 1 for each dword of sums.
template <class B>
struct unit_codes {
  static constexpr std::size_t upper_bits = trailing_zeros(element_t<B>::entries / 128);

  quad::bytes index;
  quad::flags upper[upper_bits];
  quad::bytes signs[2];
  quad::ints scale[format_traits<B>::group_size == 16 ? 2 : 1];
};

// Fields of Width bits, from bit First of their qword on.
template <int Width, int First = 0>
BLOCQ_INLINE quad::bytes spread_fields(quad::bytes qwords) noexcept {
  static constexpr auto offset = each_byte([](int i) { return (i % 8 * Width + First) & 63; });
  return quad::take_fields(load(offset), qwords);
}
// 2 s + 1 in each dword, for scales of Width bits; that of dword j begins at bit Offset(j) + More.
template <int Width, int (*Offset)(int) noexcept, int More = 0>
BLOCQ_INLINE quad::ints spread_scales(quad::bytes qwords) noexcept {
  static constexpr auto offset = each_byte([](int i) { return (Offset(i / 4) + More - 1) & 63; });
  return quad::odd_ints<Width>(quad::as_ints(quad::take_fields(load(offset), qwords)));
}
// The scales of 16 groups in each of two blocks: those of the first half of every lane's runs, then of the second.
template <int Width, int (*Offset)(int) noexcept>
BLOCQ_INLINE void read_scales_of_16(const void* a, const void* b, quad::ints (&scale)[2]) noexcept {
  const quad::bytes both = quad::fill_half_qwords(a, b);
  scale[0] = spread_scales<Width, Offset>(both);
  scale[1] = spread_scales<Width, Offset, 16>(both);
}
constexpr int nibble_of_16(int dword) noexcept { return dword / 4 % 2 * 32 + dword % 4 * 4; }
constexpr int three_bits_of_16(int dword) noexcept { return dword / 4 % 2 * 32 + dword % 4 * 3; }
constexpr int nibble_of_32(int dword) noexcept { return dword / 2 * 4; }

// Bits 7 and more of indices: bit 7 of the lower bytes, then those of the upper ones from bit 0 on.
template <class B, int... Bit>
BLOCQ_INLINE void flag_upper(unit_codes<B>& u, [[maybe_unused]] quad::bytes upper,
                             std::integer_sequence<int, Bit...>) noexcept {
  u.upper[0] = quad::flag_bytes<7>(u.index);
  ((u.upper[1 + Bit] = quad::flag_bytes<Bit>(upper)), ...);
}
template <class B>
BLOCQ_INLINE void flag_upper(unit_codes<B>& u, quad::bytes upper) noexcept {
  flag_upper(u, upper, std::make_integer_sequence<int, static_cast<int>(unit_codes<B>::upper_bits) - 1>{});
}
// The upper four of the signs whose seven lie from bit First on.
template <int First>
BLOCQ_INLINE quad::bytes upper_signs(quad::bytes sevens) noexcept {
  return quad::map_bits<16 << First, 32 << First, 64 << First, 127 << First, 0, 0, 0, 0>(sevens);
}

BLOCQ_INLINE void read_unit(const iq2_xxs* w, unit_codes<iq2_xxs>& u) noexcept {
  static constexpr std::int32_t even[16] = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
  static constexpr auto sevens_at = each_byte([](int i) { return i % 8 / 4 * 32 + i % 4 * 7; });
  const quad::bytes a = quad::as_written(quad::load_bytes(w[0].groups));
  const quad::bytes b = quad::as_written(quad::load_bytes(w[1].groups));
  const quad::bytes at = quad::load_bytes(even);
  const quad::bytes words = quad::lookup_dwords(a, b, at | quad::as_bytes(quad::fill_ints(1)));
  u.index = quad::lookup_dwords(a, b, at);
  flag_upper(u, u.index);
  u.signs[0] = quad::take_fields(load(sevens_at), words);
  u.signs[1] = upper_signs<0>(u.signs[0]);
  u.scale[0] = quad::odd_ints<4>(quad::shift_right_logical<27>(quad::as_ints(words)));
}
BLOCQ_INLINE void read_unit(const iq2_xs* w, unit_codes<iq2_xs>& u) noexcept {
  static constexpr auto even = each_byte([](int i) { return 2 * i; }), odd = each_byte([](int i) { return 2 * i + 1; });
  const quad::bytes a = quad::as_written(quad::load_bytes(w[0].qs));
  const quad::bytes b = quad::as_written(quad::load_bytes(w[1].qs));
  const quad::bytes upper = quad::lookup_bytes(a, b, load(odd));
  u.index = quad::lookup_bytes(a, b, load(even));
  flag_upper(u, upper);
  u.signs[0] = quad::move_bits<4, 1, 0>(upper);
  u.signs[1] = upper_signs<1>(upper);
  read_scales_of_16<4, nibble_of_16>(w[0].scales, w[1].scales, u.scale);
}
BLOCQ_INLINE void read_unit(const iq2_s* w, unit_codes<iq2_s>& u) noexcept {
  u.index = quad::load_halves(w[0].qs, w[1].qs);
  flag_upper(u, spread_fields<2>(quad::load_qwords_of_words(w[0].qh, w[1].qh)));
  u.signs[0] = quad::load_halves(w[0].signs, w[1].signs);
  u.signs[1] = quad::move_bits<4, 4, 0>(u.signs[0]);
  read_scales_of_16<4, nibble_of_16>(w[0].scales, w[1].scales, u.scale);
}
BLOCQ_INLINE void read_unit(const iq3_xxs* w, unit_codes<iq3_xxs>& u) noexcept {
  static constexpr auto sevens_at = each_byte([](int i) { return i % 8 / 2 * 7; });
  const quad::bytes words = quad::widen_dwords(vec::load_bytes(w->signs_scale));
  const quad::bytes sevens = quad::take_fields(load(sevens_at), words);
  const quad::bytes lower = quad::map_bits<0, 1, 2, 4, 8, 0, 0, 0>(sevens);
  const quad::bytes upper = quad::map_bits<0, 16, 32, 64, 127, 0, 0, 0>(sevens);
  u.index = quad::load_bytes(w->qs);
  flag_upper(u, u.index);
  u.signs[0] = u.signs[1] = quad::select_bits(quad::as_bytes(quad::fill_words(0xff)), lower, upper);
  u.scale[0] = quad::odd_ints<4>(quad::shift_right_logical<27>(quad::twice_even(quad::as_ints(words))));
}
BLOCQ_INLINE void read_unit(const iq3_s* w, unit_codes<iq3_s>& u) noexcept {
  u.index = quad::load_bytes(w->qs);
  u.upper[0] = quad::flag_bytes<7>(u.index);
  u.upper[1] = quad::load_flags(w->qh);
  u.signs[0] = u.signs[1] = spread_fields<4, -1>(quad::widen_dwords(vec::load_bytes(w->signs)));
  u.scale[0] = spread_scales<4, nibble_of_32>(quad::fill_eighths(w->scales));
}
BLOCQ_INLINE void read_unit(const iq1_s* w, unit_codes<iq1_s>& u) noexcept {
  static constexpr auto threes_at = each_byte([](int i) { return i % 8 / 4 * 32 + i % 4 * 3; });
  const quad::ints words = quad::load_ints_of_words(w[0].qh, w[1].qh);
  u.index = quad::load_halves(w[0].qs, w[1].qs);
  flag_upper(u, quad::take_fields(load(threes_at), quad::as_bytes(words)));
  u.signs[0] = u.signs[1] = quad::spread_bit<15>(words);
  u.scale[0] = quad::odd_ints<3>(quad::shift_right_logical<11>(words));
}
BLOCQ_INLINE void read_unit(const iq1_m* w, unit_codes<iq1_m>& u) noexcept {
  const quad::bytes nibbles = spread_fields<4>(quad::widen_dwords(vec::load_two(w[0].qh, w[1].qh)));
  u.index = quad::load_halves(w[0].qs, w[1].qs);
  flag_upper(u, nibbles);
  u.signs[0] = u.signs[1] = quad::map_bits<8, 8, 8, 8, 8, 8, 8, 8>(nibbles);
  read_scales_of_16<3, three_bits_of_16>(w[0].scales, w[1].scales, u.scale);
}

BLOCQ_INLINE std::uint16_t scale_bits(const auto& b) noexcept {
  if constexpr (requires { b.d; })
    return blocq::load(b.d);
  else
    return get_d(b);
}

// ---- the kernel ----

template <points_format B>
struct row_kernel<B, q8_k> {
  static constexpr int dimensions = element_t<B>::dimensions;
  static constexpr std::size_t step = dimensions == 8 ? 2 : 1;
  static constexpr int fields = dimensions / 2;  // in a byte
  // Four neighbours of a plane lie in one group of 32. Where groups have 16 elements, both bytes of two points do.
  static constexpr bool interleaved = format_traits<B>::group_size == 16;
  static constexpr int parts = interleaved ? 2 : 1;  // of sums, with scales of their own

  static constexpr bool in_place = false;
  // Runs are shifted by one or minus one instead of having signs.
  static constexpr bool shifted = requires(const B& b) { get_shift(b, 0); };

  template <reading>
  struct operand {
    quad::bytes q[2][std::size_t{fields}];
    quad::ints first[std::size_t{parts}];  // the bias times the activations, to be subtracted
    quad::floats d;

    BLOCQ_INLINE void load(const q8_k* x) noexcept {
      // 64 activations come apart into four lanes, of an element, or of field f of both bytes.
      static constexpr auto order = each_byte([](int i) {
        const int lane = i / 16, in_lane = i % 16;
        if constexpr (dimensions == 4) return in_lane * 4 + element_at<4>(lane / fields, lane % fields);
        const int byte = interleaved ? in_lane % 2 : in_lane / 8, run = interleaved ? in_lane / 2 : in_lane % 8;
        return run * 8 + element_at<8>(byte, lane);
      });
      constexpr int loads = dimensions == 4 ? 4 : 8;
      quad::bytes v[std::size_t{loads}];
      for (int i = 0; i < loads; ++i)
        v[i] = quad::lookup_bytes(quad::load_bytes(x[i / 4].qs + i % 4 * 64), detail::load(order));
      if constexpr (dimensions == 4) {
        quad::transpose_lanes(v[0], v[1], v[2], v[3]);
        for (int i = 0; i < loads; ++i) q[i / fields][i % fields] = v[i];
      } else {
        for (int h = 0; h < 2; ++h) {
          for (int i = 0; i < 4; ++i)
            q[h][i] = interleaved ? v[2 * i + h] : quad::interleave_qwords(v[2 * i], v[2 * i + 1], h);
          quad::transpose_lanes(q[h][0], q[h][1], q[h][2], q[h][3]);
        }
      }
      simd::unroll<parts>([&]<int P>() BLOCQ_INLINE_LAMBDA {
        quad::ints sum = quad::fill_ints(0);
        simd::unroll<2 * fields / parts>([&]<int Step>() BLOCQ_INLINE_LAMBDA {
          quad::dot4_to(sum, quad::fill_bytes(bias_of<B>), q[P + Step / fields][Step % fields]);
        });
        first[P] = quad::fill_ints(0) - sum;
      });
      d = quad::fill_half_floats(block_scale(x[0]), block_scale(x[step - 1])) * quad::fill_floats(group_unit<B>);
    }
  };

  struct sums {
    quad::floats products = quad::fill_floats(0.0f);

    BLOCQ_INLINE float total() const noexcept { return quad::sum(products); }
  };

  // Element by element, of byte h of the points: levels of field F.
  template <int H, int F>
  static BLOCQ_INLINE quad::bytes levels(const quad::bytes (&codes)[2], const quad::bytes (&signs)[2]) noexcept {
    constexpr int width = field_width<dimensions>;
    constexpr element_place at = place_of<dimensions>(element_at<dimensions>(H, F));
    constexpr int field = looked_up_at(at.field);
    const quad::bytes mask = quad::fill_bytes(((1 << width) - 1) << field);
    const quad::bytes code =
        field == at.field ? codes[H] : quad::as_bytes(quad::shift_right_logical<2>(quad::as_ints(codes[H])));
    constexpr auto& table = level_bytes<format_traits<B>::levels, shifted, bias_of<B>, width, field, at.sign>;
    return quad::lookup_bytes(detail::load(table), quad::select_bits(mask, code, signs[H]));
  }

  template <std::size_t T, class Operand>
  static BLOCQ_INLINE void add(const B* w, const Operand* const (&x)[T], sums (&sum)[T]) noexcept {
    using traits = format_traits<B>;
    constexpr std::size_t entries = element_t<B>::entries;
    unit_codes<B> u;
    read_unit(w, u);
    quad::bytes codes[2] = {
        quad::lookup_bytes<entries>(point_bytes<traits::grid, dimensions, 0>.entry, u.index, u.upper),
        quad::lookup_bytes<entries>(point_bytes<traits::grid, dimensions, 1>.entry, u.index, u.upper)};
    if constexpr (interleaved) {
      const quad::bytes code[2] = {codes[0], codes[1]}, sign[2] = {u.signs[0], u.signs[1]};
      for (int h = 0; h < 2; ++h) {
        codes[h] = quad::interleave_bytes(code[0], code[1], h);
        u.signs[h] = quad::interleave_bytes(sign[0], sign[1], h);
      }
    }
    quad::ints products[T][std::size_t{parts}];
    for (std::size_t t = 0; t < T; ++t)
      for (int p = 0; p < parts; ++p) products[t][p] = x[t]->first[p];
    simd::unroll<2>([&]<int H>() BLOCQ_INLINE_LAMBDA {
      simd::unroll<fields>([&]<int F>() BLOCQ_INLINE_LAMBDA {
        const quad::bytes v = levels<H, F>(codes, u.signs);
        for (std::size_t t = 0; t < T; ++t) quad::dot4_to(products[t][interleaved ? H : 0], v, x[t]->q[H][F]);
      });
    });
    const quad::floats d = quad::fill_half_f16(scale_bits(w[0]), scale_bits(w[step - 1]));
    for (std::size_t t = 0; t < T; ++t) {
      quad::ints all = products[t][0] * u.scale[0];
      if constexpr (interleaved) all = all + products[t][1] * u.scale[1];
      sum[t].products = quad::fma(quad::to_floats(all), d * x[t]->d, sum[t].products);
    }
  }
};

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif

#endif
