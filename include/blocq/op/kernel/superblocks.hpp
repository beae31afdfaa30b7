// Blocks of 256 elements with integer scales of their groups, times q8_k: integers all the way to one sum for each
// block, four blocks at a time.
//
// 256 codes come out of the planes as four vectors, in their order. Two vectors give one of sums of four products in 16
// bits, which is multiplied with the scales of its groups. Digits in base 3 have no scales, and come out in five
// vectors, one for each place.
#ifndef BLOCQ_OP_KERNEL_SUPERBLOCKS_HPP
#define BLOCQ_OP_KERNEL_SUPERBLOCKS_HPP

#include <blocq/codec/points.hpp>
#include <blocq/op/kernel/product.hpp>
#include <blocq/op/kernel/row.hpp>

#include <type_traits>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// ---- codes ----

// Adds the bits of a plane to the codes of a block, `First` of its kind or not. What lies in memory is read once.
template <bool First, class B, auto Member, int Width, int Stride, int Lowest>
BLOCQ_INLINE void add_plane(plane<Member, Width, Stride, Lowest>, const B& b, quad::bytes (&codes)[4]) noexcept {
  constexpr int per_byte = 8 / Width;
  static_assert(Stride == 64 || Stride == 32 || (Stride == 16 && Width == 4));
  const std::uint8_t* const bytes = b.*Member;
  simd::unroll<4>([&]<int V>() BLOCQ_INLINE_LAMBDA {
    quad::bytes some;
    if constexpr (Stride == 64)
      some = quad::template move_bits<Width, V % per_byte * Width, Lowest>(
          quad::as_written(quad::load_bytes(bytes + V / per_byte * 64)));
    else if constexpr (Stride == 32)
      some = quad::template load_fields<Width, 2 * V % per_byte * Width, Lowest>(bytes + 2 * V / per_byte * 32);
    else
      some = quad::split_nibbles(bytes + 32 * V, bytes + 32 * V + 16);
    codes[V] = First ? some : codes[V] | some;
  });
}
template <class B, class First, class... Others>
BLOCQ_INLINE void read_planes(planes<First, Others...>, const B& b, quad::bytes (&codes)[4]) noexcept {
  add_plane<true>(First{}, b, codes);
  (add_plane<false>(Others{}, b, codes), ...);
}

// ---- scales of four blocks ----

// The bytes of q4_k's and q5_k's scales, of one block in each lane: eight scales, then eight
// minima in the order 0, 4, 1, 5, 2, 6, 3, 7.
BLOCQ_INLINE quad::bytes six_bit_scales(quad::bytes header) noexcept {
  // Where the lower bits of each lie, those of the last four minima in the upper half; and bits 4 and 5.
  static constexpr std::uint8_t lower[16] = {4, 5, 6, 7, 12, 13, 14, 15, 8, 12, 9, 13, 10, 14, 11, 15};
  static constexpr std::uint8_t upper[16] = {4, 5, 6, 7, 4, 5, 6, 7, 8, 8, 9, 9, 10, 10, 11, 11};
  static constexpr std::uint8_t low[16] = {63, 63, 63, 63, 15, 15, 15, 15, 63, 0, 63, 0, 63, 0, 63, 0};
  static constexpr std::uint8_t last[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 0, 15, 0, 15, 0, 15};
  static constexpr std::uint8_t high[16] = {0, 0, 0, 0, 48, 48, 48, 48, 0, 48, 0, 48, 0, 48, 0, 48};
  const quad::bytes from = quad::lookup16(header, quad::fill_lanes(lower));
  const quad::bytes more = quad::lookup16(header, quad::fill_lanes(upper));
  return (from & quad::fill_lanes(low)) | (quad::template move_bits<4, 4, 0>(from) & quad::fill_lanes(last)) |
         (quad::template move_bits<2, 6, 4>(more) & quad::fill_lanes(high));
}

template <class B>
concept six_bit_format = std::is_same_v<B, q4_k> || std::is_same_v<B, q5_k>;

// Shifts of points, of which there is one for each 32: less 8, which is what points are counted from.
BLOCQ_INLINE vec::words shifts_of(const iq1_s& b) noexcept {
  const vec::ints down = vec::shift_right(vec::widen_words(b.qh), 15);
  return vec::fill_words(-7) - repeat_low_words(down + down);
}

// The scales of block S, each in the words of the lanes whose elements they belong to: those of vectors V and V + 1 in
// four words each, or those of V in eight. And the minima of all blocks, eight in a lane: of groups of 32, or of the
// first eight of 16, then of the others.
template <class B>
struct unit_scales {
  static constexpr std::size_t minima = has_offset<B> ? (step_group<B> == 16 ? 2 : 1) : 0;
  vec::words scale[4], less_bias[4];  // times what is added to codes to make them values
  quad::words min[minima == 0 ? 1 : minima];

  BLOCQ_INLINE explicit unit_scales(const B* const (&w)[4]) noexcept {
    for (std::size_t s = 0; s < 4; ++s) {
      if constexpr (std::is_same_v<B, q2_k>)
        scale[s] = vec::widen_bytes(w[s]->scales) & vec::fill_words(15);
      else if constexpr (!std::is_same_v<B, q8_k>)
        scale[s] = group_scales(*w[s]).scale;
      if constexpr (std::is_same_v<B, iq1_s>)
        less_bias[s] = scale[s] * shifts_of(*w[s]);
      else if constexpr (!std::is_same_v<B, q8_k>)
        less_bias[s] = scale[s] * vec::fill_words(-bias_of<B>);
    }
    if constexpr (std::is_same_v<B, q2_k>) {
      const quad::bytes four =
          quad::template move_bits<4, 4, 0>(quad::load_lanes(w[0]->scales, w[1]->scales, w[2]->scales, w[3]->scales));
      for (int h = 0; h < 2; ++h) min[h] = quad::widen_quarters(four, h);
    }
  }
  template <int S, int V, int Next>
  BLOCQ_INLINE quad::words spread() const noexcept {
    constexpr int v = 4 * V, next = 4 * Next;
    return quad::template spread_words<v, next, v + 1, next + 1, v + 2, next + 2, v + 3, next + 3>(scale[S]);
  }
};
template <six_bit_format B>
struct unit_scales<B> {
  static constexpr std::size_t minima = 1;
  quad::words scale, min[1];

  BLOCQ_INLINE explicit unit_scales(const B* const (&w)[4]) noexcept {
    const quad::bytes all = six_bit_scales(quad::load_lanes(w[0], w[1], w[2], w[3]));
    scale = quad::widen_quarters(all, 0);
    min[0] = quad::widen_quarters(all, 1);
  }
  template <int S, int V, int Next>
  BLOCQ_INLINE quad::words spread() const noexcept {
    constexpr int v = 2 * V, next = 2 * Next;
    return quad::template spread_lane<S, v, next, v, next, v + 1, next + 1, v + 1, next + 1>(scale);
  }
};

// ---- the kernel ----

template <class B>
requires(superblock_format<B> || std::is_same_v<B, q8_k>) struct row_kernel<B, q8_k> {
  static constexpr std::size_t step = 4;
  static constexpr product how = product_of<B>;
  static constexpr bool scaled = requires(const B& b) { get_scale(b, 0); };
  static constexpr int magnitude =
      values_of<B>.highest > -values_of<B>.lowest ? values_of<B>.highest : -values_of<B>.lowest;
  // Whether a sum of four begins at what their bias makes of it: where words hold the sum of four values, not of codes,
  // and where other machines have no bias, that all add the same floats.
  static constexpr bool from_values = quad::has_dot4 && bias_of<B> != 0 &&
                                      (how == product::biased || (!fits_words<B, 4> && magnitude * 128 * 4 <= 32767));
  static constexpr bool in_fours = how == product::codes && (from_values || fits_words<B, 4>);
  // What remains to be subtracted: the bias times the activations and their scales.
  static constexpr bool corrected = bias_of<B> != 0 && !from_values;
  static constexpr bool in_digits = std::is_same_v<B, tq1_0>;
  static constexpr int vectors = in_digits ? 5 : 4;
  static constexpr auto vector_count = static_cast<std::size_t>(vectors);
  using code_vectors = quad::bytes[vector_count];
  static constexpr bool in_place = halves_in_place && !in_digits;
  static constexpr std::size_t minima = unit_scales<B>::minima;

  static BLOCQ_INLINE vec::words less_bias() noexcept { return vec::fill_words(-bias_of<B>); }

  template <reading How>
  struct operand {
    static constexpr bool copied = How == reading::copied;

    const q8_k* blocks;
    quad_bytes copy[copied ? step : 1][vector_count];
    quad::ints first[step][from_values ? vector_count : 1];  // what sums begin with
    vec::words bsums[corrected ? step : 1];
    quad::words min_sums[minima == 0 ? 1 : minima];  // what the minima are multiplied by, a block in a lane
    quad::floats d, minus_d;                         // of four blocks in each lane; of one block in each lane

    // The activations that vector v of block s is multiplied with.
    static BLOCQ_INLINE quad::bytes read(const q8_k& x, int v) noexcept {
      if constexpr (in_digits) {
        static constexpr std::int8_t none[4] = {};
        return quad::load_tapered(x.qs + 32 * v, x.qs + 160 + 16 * v, v < 4 ? x.qs + 240 + 4 * v : none);
      }
      return quad::load_bytes(x.qs + 64 * v);
    }
    BLOCQ_INLINE quad::bytes q(std::size_t s, int v) const noexcept {
      if constexpr (copied)
        return copy[s][v].load();
      else
        return read(blocks[s], v);
    }

    BLOCQ_INLINE void load(const q8_k* x) noexcept {
      blocks = x;
      for (std::size_t s = 0; s < step; ++s) {
        for (int v = 0; v < vectors; ++v) {
          if constexpr (copied) copy[s][v].store(read(x[s], v));
          if constexpr (from_values) {
            quad::ints sum = quad::fill_ints(0);
            quad::dot4_to(sum, quad::fill_bytes(bias_of<B>), q(s, v));
            first[s][v] = quad::fill_ints(0) - sum;
          }
        }
        if constexpr (corrected) bsums[s] = vec::load_little_words(x[s].bsums);
        if constexpr (corrected && !scaled) first[s][0] = quad::widen_zero(vec::madd2(less_bias(), bsums[s]));
      }
      d = quad::fill_four(block_scale(x[0]), block_scale(x[1]), block_scale(x[2]), block_scale(x[3])) *
          quad::fill_floats(group_unit<B>);
      if constexpr (minima != 0) {
        minus_d = quad::spread_lanes(quad::fill_floats(0.0f) - d);
        for (std::size_t h = 0; h < minima; ++h) {
          const auto eight = [x](std::size_t from) BLOCQ_INLINE_LAMBDA {
            return quad::little_words(
                quad::load_lanes(&x[0].bsums[from], &x[1].bsums[from], &x[2].bsums[from], &x[3].bsums[from]));
          };
          min_sums[h] = minima == 2 ? eight(8 * h) : quad::even_and_odd(sum_pairs(eight(0)), sum_pairs(eight(8)));
        }
      }
    }
  };

  struct sums {
    quad::floats products = no_sum(), offsets = products;

    BLOCQ_INLINE float total() const noexcept { return quad::sum(minima == 0 ? products : products + offsets); }
  };

  static BLOCQ_INLINE void read(const B& b, code_vectors& codes) noexcept {
    if constexpr (requires { typename format_traits<B>::codes; }) {
      read_planes(typename format_traits<B>::codes{}, b, codes);
      for (quad::bytes& v : codes) v = offset_codes<B>(v);
    } else if constexpr (in_digits) {  // vector n: digit n of all bytes
      quad::words even = quad::little_words(quad::load_tapered(b.qs, b.qs + 32, b.qh)),
                  odd = quad::shift_right(even, 8);
      for (quad::bytes& v : codes) v = quad::next_digits(even, odd);
    } else if constexpr (std::is_same_v<B, q8_k>) {
      for (int v = 0; v < vectors; ++v) codes[v] = offset_values<B>(quad::load_bytes(b.qs + 64 * v));
    } else {
      const chunk_reader<B> chunks(b);
      simd::unroll<vectors>([&]<int V>() BLOCQ_INLINE_LAMBDA {
        if constexpr (std::is_same_v<B, iq1_s>)
          codes[V] = quad::join(chunks.points(2 * V), chunks.points(2 * V + 1));
        else
          codes[V] = quad::join(chunks.codes(2 * V), chunks.codes(2 * V + 1));
      });
    }
  }

  // Where words hold the sums of products with all of the codes of a lane, blocks meet before sums are widened.
  static constexpr bool in_words = !scaled && !quad::has_dot4 && how == product::codes;
  static_assert(!in_words || fits_words<B, 16 * vectors>);
  using block_sums = std::conditional_t<in_words, quad::words, quad::ints>;

  template <int S, class Operand>
  static BLOCQ_INLINE quad::words multiply_in_words(const code_vectors& codes, const Operand& x) noexcept {
    quad::words sum = quad::maddubs(codes[0], x.q(S, 0));
    for (int v = 1; v < vectors; ++v) sum = sum + quad::maddubs(codes[v], x.q(S, v));
    return sum - quad::widen_zero(x.bsums[S] * vec::fill_words(bias_of<B>));
  }
  // The products of block S of a unit, times their scales.
  template <int S, class Operand>
  static BLOCQ_INLINE quad::ints multiply(const code_vectors& codes, const unit_scales<B>& scales,
                                          const Operand& x) noexcept {
    const auto q = [&](int v) BLOCQ_INLINE_LAMBDA { return x.q(S, v); };
    quad::ints sum = quad::fill_ints(0);
    if constexpr (corrected)
      sum = scaled ? quad::widen_zero(vec::madd2(scales.less_bias[S], x.bsums[S])) : x.first[S][0];
    const auto add_fours = [&](quad::ints& to, int v) BLOCQ_INLINE_LAMBDA { quad::dot4_to(to, codes[v], q(v)); };
    const auto fours_of = [&](int v) BLOCQ_INLINE_LAMBDA {
      quad::ints four = from_values ? x.first[S][v] : quad::fill_ints(0);
      add_fours(four, v);
      return four;
    };
    if constexpr (!scaled && quad::has_dot4) {
      if constexpr (from_values) sum = (x.first[S][0] + x.first[S][1]) + (x.first[S][2] + x.first[S][3]);
      for (int v = 0; v < vectors; ++v) add_fours(sum, v);
    } else if constexpr (in_fours) {
      simd::unroll<vectors / 2>([&]<int P>() BLOCQ_INLINE_LAMBDA {
        constexpr int v = 2 * P;
        quad::words products;
        if constexpr (quad::has_dot4)
          products = quad::fours(fours_of(v), fours_of(v + 1));
        else
          products = quad::fours(quad::maddubs(codes[v], q(v)), quad::maddubs(codes[v + 1], q(v + 1)));
        quad::madd2_to(sum, products, scales.template spread<S, v, v + 1>());
      });
    } else if constexpr (quad::has_dot4) {
      simd::unroll<vectors>([&]<int V>() BLOCQ_INLINE_LAMBDA {
        sum = sum + fours_of(V) * quad::upper_words(quad::as_bytes(scales.template spread<S, V, V>()));
      });
    } else {
      simd::unroll<vectors>([&]<int V>() BLOCQ_INLINE_LAMBDA {
        if constexpr (how == product::wide) {
          quad::ints bias = quad::fill_ints(0);
          quad::dot4_to(bias, quad::fill_bytes(quad::dot4_bias), q(V));
          quad::dot4_to(sum, codes[V] ^ quad::fill_bytes(quad::dot4_bias), q(V));
          sum = sum - bias;
        } else {
          const quad::words products =
              how == product::codes ? quad::maddubs(codes[V], q(V)) : quad::maddss(q(V), codes[V]);
          quad::madd2_to(sum, products, scales.template spread<S, V, V>());
        }
      });
    }
    return sum;
  }

  static BLOCQ_INLINE quad::floats block_scales(const B* const (&w)[step]) noexcept {
    if constexpr (requires(const B& b) {
                    { b.d } -> std::same_as<const le16&>;
                  }) {
      return quad::load_four_halves(w[0]->d, w[1]->d, w[2]->d, w[3]->d);
    } else {
      return quad::fill_four(block_scale(*w[0]), block_scale(*w[1]), block_scale(*w[2]), block_scale(*w[3]));
    }
  }

  template <std::size_t T, class Operand>
  static BLOCQ_INLINE void add(const B* w, const Operand* const (&x)[T], sums (&sum)[T]) noexcept {
    const B* const at[step] = {w, w + 1, w + 2, w + 3};
    const unit_scales<B> scales(at);
    block_sums products[T][step];
    simd::unroll<static_cast<int>(step)>([&]<int S>() BLOCQ_INLINE_LAMBDA {
      code_vectors codes;
      read(w[S], codes);
      for (std::size_t t = 0; t < T; ++t) {
        if constexpr (in_words)
          products[t][S] = multiply_in_words<S>(codes, *x[t]);
        else
          products[t][S] = multiply<S>(codes, scales, *x[t]);
      }
    });
    const quad::floats d = block_scales(at);
    for (std::size_t t = 0; t < T; ++t) {
      const auto met = quad::meet(products[t][0], products[t][1], products[t][2], products[t][3]);
      quad::ints four;
      if constexpr (in_words)
        four = sum_pairs(met);
      else
        four = met;
      sum[t].products = quad::fma(quad::to_floats(four), d * x[t]->d, sum[t].products);
    }
    if constexpr (minima != 0) {
      const quad::floats dmin = quad::spread_lanes(quad::load_four_halves(w[0].dmin, w[1].dmin, w[2].dmin, w[3].dmin));
      for (std::size_t t = 0; t < T; ++t) {
        quad::ints offsets = quad::madd2(scales.min[0], x[t]->min_sums[0]);
        if constexpr (minima == 2) quad::madd2_to(offsets, scales.min[1], x[t]->min_sums[1]);
        sum[t].offsets = quad::fma(quad::to_floats(offsets), dmin * x[t]->minus_d, sum[t].offsets);
      }
    }
  }
};

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
