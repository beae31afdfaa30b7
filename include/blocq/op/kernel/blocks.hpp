// Blocks with a float for a step times q8_0 or q8_1: 512 elements at a time, sixteen chunks of 32.
//
// Formats with two or four elements in a byte, at most 16 apart, are read four chunks at a time, one in each lane:
// chunks j, 4 + j, 8 + j and 12 + j, their first elements and their second ones. All others are read two chunks at a
// time, one in each half: chunks r and 4 + r, then 8 + r and 12 + r. In both orders the sums of sixteen chunks come out
// of the tree of additions as they follow each other in the row, and meet their sixteen steps.
#ifndef BLOCQ_OP_KERNEL_BLOCKS_HPP
#define BLOCQ_OP_KERNEL_BLOCKS_HPP

#include <blocq/codec/points.hpp>
#include <blocq/op/kernel/product.hpp>
#include <blocq/op/kernel/row.hpp>

#include <type_traits>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

template <class B>
concept float_step_format = std::is_same_v<integer_operand_t<B>, q8_0> || std::is_same_v<integer_operand_t<B>, q8_1>;

// ---- codes of four or two chunks ----

// Whether bytes are read four chunks at a time too: where a register has 16 of them, it then has the sums of a chunk.
#ifdef BLOCQ_HAS_HALVES_DOT4
template <class B>
inline constexpr bool in_16_bytes = std::is_same_v<B, q8_0>;
#else
template <class>
inline constexpr bool in_16_bytes = false;
#endif

// How formats of which a chunk of 32, or two, are in 16 bytes are read: elements j and j + stride of a chunk come out
// of byte j of two vectors. 0: they are none of these.
template <class Planes>
inline constexpr int lane_stride = 0;
template <auto Member, int Stride, class... Others>
inline constexpr int lane_stride<planes<plane<Member, 4, Stride>, Others...>> = Stride <= 16 ? Stride : 0;
template <auto Member>
inline constexpr int lane_stride<planes<dense<Member, 4>>> = 16;
template <auto Member>
inline constexpr int lane_stride<planes<plane<Member, 2, 1>>> = 16;
template <class B>
inline constexpr int stride_of = in_16_bytes<B> ? 16 : 0;
template <class B>
requires requires { typename format_traits<B>::codes; }
inline constexpr int stride_of<B> = lane_stride<typename format_traits<B>::codes>;

// 16 bytes of a member from the blocks that chunks c, 4 + c, 8 + c and 12 + c lie in, Bytes to a chunk.
template <auto Member, std::size_t Bytes, class B>
BLOCQ_INLINE quad::bytes load_chunks(const B* w, std::size_t c) noexcept {
  constexpr std::size_t per_block = block_size<B> / 32;
  const auto at = [&](std::size_t i)
                      BLOCQ_INLINE_LAMBDA { return w[i / per_block].*Member + i % per_block * Bytes / 16 * 16; };
  return quad::as_written(quad::load_lanes(at(c), at(c + 4), at(c + 8), at(c + 12)));
}
template <auto Member, int Width, int Stride, int Lowest, class B>
BLOCQ_INLINE void add_plane(plane<Member, Width, Stride, Lowest>, const B* w, std::size_t c,
                            quad::bytes (&codes)[2]) noexcept {
  if constexpr (Width == 4) {
    const quad::bytes both = load_chunks<Member, 16>(w, c);
    codes[0] = quad::template move_bits<4, 0, 0>(both);
    codes[1] = quad::template move_bits<4, 4, 0>(both);
  } else if constexpr (Width == 2) {
    const quad::bytes four = load_chunks<Member, 8>(w, c);
    const int h = static_cast<int>(c % 2);
    const quad::bytes even =
        quad::interleave_bytes(quad::template move_bits<2, 0, 0>(four), quad::template move_bits<2, 2, 0>(four), h);
    const quad::bytes odd =
        quad::interleave_bytes(quad::template move_bits<2, 4, 0>(four), quad::template move_bits<2, 6, 0>(four), h);
    for (int i = 0; i < 2; ++i) codes[i] = quad::interleave_words(even, odd, i);
  } else {
    static_assert(Width == 1 && Stride == 1 && block_size<B> == 32);
    const auto at = [&](std::size_t i) BLOCQ_INLINE_LAMBDA { return w[i].*Member; };
    for (int h = 0; h < 2; ++h)
      codes[h] = codes[h] | quad::spread_bits(at(c), at(c + 4), at(c + 8), at(c + 12), h, 1 << Lowest);
  }
}
template <auto Member, class B>
BLOCQ_INLINE void add_plane(dense<Member, 4>, const B* w, std::size_t c, quad::bytes (&codes)[2]) noexcept {
  const quad::bytes both = load_chunks<Member, 16>(w, c);
  const quad::bytes even = quad::template move_bits<4, 0, 0>(both), odd = quad::template move_bits<4, 4, 0>(both);
  for (int i = 0; i < 2; ++i) codes[i] = quad::interleave_bytes(even, odd, i);
}
template <class B, class... Planes>
BLOCQ_INLINE void add_planes(planes<Planes...>, const B* w, std::size_t c, quad::bytes (&codes)[2]) noexcept {
  (add_plane(Planes{}, w, c, codes), ...);
}

BLOCQ_INLINE const std::uint8_t* bits_of_chunk(const q1_0* w, std::size_t c) noexcept {
  return w[c / 4].qs + c % 4 * 4;
}

// Elements of six bits where tables of bytes have them all: value - lowest, or its two parts.
template <class B>
inline constexpr bool sixes_by_table = false;
#ifdef BLOCQ_HAS_TABLES
template <class Element, std::size_t N>
inline constexpr bool sixes_by_table<mx_block<Element, N>> = has_integers<Element>&& Element::bits == 6;

template <class B, int First, int Bits>
struct alignas(64) value_bits {
  std::uint8_t entry[64] = {};

  constexpr value_bits() noexcept {
    for (int c = 0; c < 64; ++c)
      entry[c] =
          static_cast<std::uint8_t>((integer_of<element_t<B>>(c) - values_of<B>.lowest) >> First & ((1 << Bits) - 1));
  }
};
template <class B, int First, int Bits>
inline constexpr value_bits<B, First, Bits> bits_of_values{};

// Of chunks c and c + 4.
template <class B, std::size_t Parts>
BLOCQ_INLINE void look_up_sixes(const B* w, std::size_t c, quad::bytes (&codes)[Parts]) noexcept {
  const auto at = [w](std::size_t i) BLOCQ_INLINE_LAMBDA {
    constexpr std::size_t per_block = block_size<B> / 32;
    return w[i / per_block].codes + i % per_block * 24;
  };
  const quad::bytes index = quad::spread_sixes(at(c), at(c + 4));
  const auto look_up = [&](const auto& table)
                           BLOCQ_INLINE_LAMBDA { return quad::lookup_bytes(quad::load_bytes(table.entry), index); };
  if constexpr (Parts == 1) {
    codes[0] = look_up(bits_of_values<B, 0, 8>);
  } else {
    codes[0] = look_up(bits_of_values<B, 5, 5>);
    codes[1] = look_up(bits_of_values<B, 0, 5>);
  }
}
#endif

// ---- the kernel ----

template <float_step_format B>
struct row_kernel<B, integer_operand_t<B>> {
  using A = integer_operand_t<B>;
  static constexpr std::size_t step = 512 / block_size<B>, per_block = block_size<B> / 32;
  static constexpr bool lanes = stride_of<B> != 0;       // four chunks in each vector of sums, else two
  static constexpr std::size_t vectors = lanes ? 4 : 8;  // of sums
  static constexpr product how = product_of<B>;
  static constexpr std::size_t x_each = lanes ? 2 : 1;  // vectors of activations to each
  static constexpr std::size_t codes_each = how == product::split ? 2 : x_each;
  static constexpr std::size_t groups = step_group<B> == 16 ? 2 : 1;  // in a chunk
  static constexpr bool in_place = halves_in_place && !lanes;
  static constexpr bool doubled = std::is_same_v<element_t<B>, binary> && !quad::has_dot4;  // codes are half of theirs
  static constexpr bool in_words = how == product::codes && !quad::has_dot4;
  using vector_sum = std::conditional_t<in_words, quad::words, quad::ints>;

  // The vectors of codes whose products are added up in one vector.
  struct code_vectors {
    quad::bytes v[codes_each];
  };
  // Sixteen sums of groups; of two in a chunk, those of chunks 4 l and 4 l + 1 in lane l, then of 4 l + 2 and 4 l + 3.
  struct group_sums {
    quad::ints v[groups];
  };

  template <reading How>
  struct operand {
    // Sums begin with what the bias makes of them where they serve one row, are few or are read in place. For one row
    // it is computed as it is needed: sixteen registers are too few to keep it.
    static constexpr bool copied = How == reading::copied, once = How == reading::once && in_words;
    static constexpr bool from_bias =
        bias_of<B> != 0 && (once || ((lanes || !copied) && (quad::has_dot4 || (in_words && !doubled && !copied))));
    static constexpr int bias = how == product::split ? bias_of<B> / 32 : bias_of<B>;  // of the first vector of codes

    const A* blocks;
    quad_bytes copy[copied ? vectors * x_each : 1];
    vector_sum first[from_bias && !once ? vectors : 1];  // what sums begin with; of words, what is subtracted from them
    quad::ints minus[groups];                            // or what is subtracted from them all
    quad::floats d[groups], s;
    bool has_minus_128;

    // Vector i of the activations that give sums v.
    static BLOCQ_INLINE quad::bytes read(const A* x, std::size_t v, std::size_t i) noexcept {
      const auto qs = [x](std::size_t chunk) BLOCQ_INLINE_LAMBDA { return x[chunk].qs; };
      if constexpr (lanes) {
        return quad::template load_every_other<stride_of<B>>(qs(v), qs(4 + v), qs(8 + v), qs(12 + v),
                                                             static_cast<int>(i));
      } else {
        return quad::load_halves(qs(v + v / 4 * 4), qs(v + v / 4 * 4 + 4));
      }
    }
    BLOCQ_INLINE quad::bytes q(std::size_t v, std::size_t i) const noexcept {
      if constexpr (copied)
        return copy[x_each * v + i].load();
      else
        return read(blocks, v, i);
    }
    BLOCQ_INLINE vector_sum make_first(std::size_t v) const noexcept {
      if constexpr (in_words) {
        quad::words sum = quad::maddubs(quad::fill_bytes(bias), q(v, 0));
        for (std::size_t i = 1; i < x_each; ++i) sum = sum + quad::maddubs(quad::fill_bytes(bias), q(v, i));
        return sum;
      } else {
        quad::ints sum = quad::fill_ints(0);
        for (std::size_t i = 0; i < x_each; ++i) quad::dot4_to(sum, quad::fill_bytes(bias), q(v, i));
        return quad::fill_ints(0) - sum;
      }
    }
    BLOCQ_INLINE vector_sum get_first(std::size_t v) const noexcept {
      if constexpr (once)
        return make_first(v);
      else
        return first[v];
    }

    BLOCQ_INLINE void load(const A* x) noexcept {
      blocks = x;
      if constexpr (copied)
        for (std::size_t v = 0; v < vectors; ++v)
          for (std::size_t i = 0; i < x_each; ++i) copy[x_each * v + i].store(read(x, v, i));
      if constexpr (has_offset<B>) {
        quad::template load_pairs_of_halves_as_floats<sizeof(A)>(&x->d, d[0], s);
      } else if constexpr (groups == 1) {
        d[0] = quad::load_halves_as_floats<sizeof(A)>(&x->d);
      } else {
        const quad::floats scales = quad::load_halves_as_floats<sizeof(A)>(&x->d);
        for (std::size_t g = 0; g < groups; ++g) d[g] = quad::twice(scales, static_cast<int>(g));
      }
      if constexpr (how == product::wide) {
        vec::bytes lowest = vec::fill_bytes(0);
        for (std::size_t c = 0; c < 16; ++c) lowest = vec::lesser(lowest, vec::load_bytes(x[c].qs));
        has_minus_128 = vec::any(vec::equal(lowest, vec::fill_bytes(-128)));
      }
      if constexpr (from_bias) {
        if constexpr (!once)
          for (std::size_t v = 0; v < vectors; ++v) first[v] = make_first(v);
      } else if constexpr (bias_of<B> != 0) {
        const group_sums all = multiply(
            [](auto) BLOCQ_INLINE_LAMBDA {
              code_vectors same;
              for (quad::bytes& v : same.v) v = quad::fill_bytes(bias);
              if constexpr (how == product::split) same.v[1] = quad::fill_bytes(0);
              return same;
            },
            *this);
        for (std::size_t g = 0; g < groups; ++g) minus[g] = all.v[g];
      }
    }
  };

  struct sums {
    quad::floats part[2] = {no_sum(), no_sum()};

    BLOCQ_INLINE float total() const noexcept { return quad::sum(part[0] + part[1]); }
  };

  // The sums of products of codes with a unit: codes(v) are those whose sums are vector v.
  template <class Codes, class Operand>
  static BLOCQ_INLINE group_sums multiply(Codes&& codes, const Operand& x) noexcept {
    if constexpr (how == product::wide)
      if (x.has_minus_128) return multiply_and_add_up<true>(codes, x);
    return multiply_and_add_up<false>(codes, x);
  }
  template <bool HasMinus128, class Codes, class Operand>
  static BLOCQ_INLINE group_sums multiply_and_add_up(Codes&& codes, const Operand& x) noexcept {
    static_assert(how != product::split || bias_of<B> % 32 == 0);
    vector_sum sum[vectors];
    simd::unroll<static_cast<int>(vectors)>([&]<int Vector>() BLOCQ_INLINE_LAMBDA {
      constexpr std::size_t v = Vector;
      const code_vectors some = codes(std::integral_constant<std::size_t, v>{});
      simd::unroll<static_cast<int>(codes_each)>([&]<int Index>() BLOCQ_INLINE_LAMBDA {
        constexpr std::size_t i = Index;
        const quad::bytes w = some.v[i], xs = x.q(v, i % x_each);
        if constexpr (in_words) {
          quad::words two = quad::maddubs(w, xs);
          if constexpr (i == 0 && Operand::from_bias) two = (doubled ? two + two : two) - x.get_first(v);
          sum[v] = i == 0 ? two : sum[v] + two;
        } else if constexpr (quad::has_dot4) {
          if constexpr (i == 0 && Operand::from_bias)
            sum[v] = x.get_first(v);
          else if constexpr (i == 0)
            sum[v] = quad::fill_ints(0);
          else if constexpr (how == product::split)
            sum[v] = quad::shift_left(sum[v], 5);
          quad::dot4_to(sum[v], w, xs);
        } else {
          quad::ints four;
          if constexpr (HasMinus128) {
            four = quad::fill_ints(0);
            quad::dot4_to(four, w ^ quad::fill_bytes(quad::dot4_bias), xs);
            quad::ints bias = quad::fill_ints(0);
            quad::dot4_to(bias, quad::fill_bytes(quad::dot4_bias), xs);
            four = four - bias;
          } else {
            four = sum_pairs(how == product::wide ? quad::maddss(w, xs) : quad::maddss(xs, w));
          }
          sum[v] = i == 0 ? four : sum[v] + four;
        }
      });
    });
    return add_up(sum);
  }

  // The tree of additions; words are widened as late as 16 bits allow.
  static BLOCQ_INLINE quad::ints widened(quad::words w) noexcept { return sum_pairs(w); }
  static BLOCQ_INLINE quad::ints widened(quad::ints i) noexcept { return i; }
  template <class V>
  static BLOCQ_INLINE group_sums add_up(const V (&v)[4]) noexcept {
    if constexpr (groups == 2) {
      return {{widened(quad::template add_neighbours<4>(v[0], v[1])),
               widened(quad::template add_neighbours<4>(v[2], v[3]))}};
    } else if constexpr (std::is_same_v<V, quad::ints> || fits_words<B, 16>) {
      return {{widened(quad::meet(v[0], v[1], v[2], v[3]))}};
    } else {
      return {{quad::template add_neighbours<4>(widened(quad::template add_neighbours<8>(v[0], v[1])),
                                                widened(quad::template add_neighbours<8>(v[2], v[3])))}};
    }
  }
  template <class V>
  static BLOCQ_INLINE group_sums add_up(const V (&v)[8]) noexcept {
    const auto four = [&](std::size_t i) BLOCQ_INLINE_LAMBDA {
      if constexpr (std::is_same_v<V, quad::ints> || fits_words<B, 8>)
        return quad::meet(v[i], v[i + 1], v[i + 2], v[i + 3]);
      else
        return quad::meet(widened(v[i]), widened(v[i + 1]), widened(v[i + 2]), widened(v[i + 3]));
    };
    if constexpr (std::is_same_v<V, quad::ints> || fits_words<B, 16>)
      return {{widened(quad::meet_halves(four(0), four(4)))}};
    else
      return {{quad::meet_halves(widened(four(0)), widened(four(4)))}};
  }

  template <std::size_t V>
  static BLOCQ_INLINE code_vectors read(const B* w) noexcept {
    code_vectors codes;
    if constexpr (in_16_bytes<B>) {
      for (std::size_t h = 0; h < 2; ++h) {
        const auto at = [&](std::size_t c) BLOCQ_INLINE_LAMBDA { return w[V + c].qs + 16 * h; };
        codes.v[h] = quad::load_lanes(at(0), at(4), at(8), at(12));
      }
    } else if constexpr (lanes) {
      quad::bytes stored[2];
      add_planes(typename format_traits<B>::codes{}, w, V, stored);
      for (std::size_t h = 0; h < 2; ++h) codes.v[h] = offset_codes<B>(stored[h]);
    } else {
      constexpr std::size_t c = V + V / 4 * 4;
      if constexpr (std::is_same_v<B, q1_0>) {
        codes.v[0] = quad::spread_bits_of_halves(bits_of_chunk(w, c), bits_of_chunk(w, c + 4), doubled ? 1 : 2);
      } else if constexpr (sixes_by_table<B>) {
        look_up_sixes(w, c, codes.v);
      } else {
        const auto chunk = [w](std::size_t i) BLOCQ_INLINE_LAMBDA {
          const B& b = w[i / per_block];
          const int in_block = static_cast<int>(i % per_block);
          if constexpr (full_bytes<B>)
            return chunk_values(b, in_block);
          else
            return chunk_codes(b, in_block);
        };
        codes.v[0] = offset_values<B>(quad::join(chunk(c), chunk(c + 4)));
      }
    }
    return codes;
  }

  // Values of nine bits, as words.
  template <class Operand>
  static BLOCQ_INLINE group_sums multiply_words(const B* w, const Operand& x) noexcept {
    quad::ints sum[vectors];
    const auto chunk = [&](std::size_t v, std::size_t h) BLOCQ_INLINE_LAMBDA {
      const std::size_t c = v + v / 4 * 4 + 4 * h;
      const vec::bytes xs = vec::load_bytes(x.blocks[c].qs);
      vec::words even, odd;
      element_words<element_t<B>>(plane_codes(w[c / per_block], static_cast<int>(c % per_block)), even, odd);
      return vec::madd2(even, vec::widen_even(xs)) + vec::madd2(odd, vec::widen_odd(xs));
    };
    for (std::size_t v = 0; v < vectors; ++v) sum[v] = quad::join(chunk(v, 0), chunk(v, 1));
    return add_up(sum);
  }

  // The steps of a unit's groups.
  static BLOCQ_INLINE void load_steps(const B* w, quad::floats (&to)[groups]) noexcept {
    const auto join_halves = [](auto&& half) BLOCQ_INLINE_LAMBDA { return quad::join(half(0), half(8)); };
    if constexpr (std::is_same_v<B, nvfp4>) {
      for (std::size_t g = 0; g < 2; ++g) {
        const auto two = [&](std::size_t i) BLOCQ_INLINE_LAMBDA {
          return join(load_as<std::uint32_t>(w[i + g].d), load_as<std::uint32_t>(w[i + 2 + g].d));
        };
        const vec::words code = vec::widen(two(0), two(4));
        to[g] = quad::halves_to_floats(half_ue4m3_fields(code)) * quad::fill_floats(0x1p7f);
      }
    } else if constexpr (std::is_same_v<B, mxfp4>) {
      to[0] = join_halves([w](int from) BLOCQ_INLINE_LAMBDA {
        return half_e8m0s(vec::load_bytes_as_ints([=](int i) BLOCQ_INLINE_LAMBDA { return &w[from + i].e; }));
      });
    } else if constexpr (has_integers<element_t<B>>) {
      to[0] =
          join_halves([w](int from) BLOCQ_INLINE_LAMBDA {
            constexpr int n = static_cast<int>(per_block);
            return e8m0s(vec::load_bytes_as_ints([=](int i) BLOCQ_INLINE_LAMBDA { return &w[(from + i) / n].scale; }));
          }) *
          quad::fill_floats(unit_of<element_t<B>>);
    } else if constexpr (per_block == 1) {
      to[0] = quad::load_halves_as_floats<sizeof(B)>(&w->d);
    } else {
      to[0] = join_halves([w](int from) BLOCQ_INLINE_LAMBDA {
        constexpr int n = static_cast<int>(per_block);
        if constexpr (n == 4)
          return vec::fill_two(block_scale(w[from / n]), block_scale(w[from / n + 1]));
        else
          return vec::load_halves_as_floats([=](int i) BLOCQ_INLINE_LAMBDA { return &w[(from + i) / n].d; });
      });
    }
  }

  template <std::size_t T, class Operand>
  static BLOCQ_INLINE void add(const B* w, const Operand* const (&x)[T], sums (&sum)[T]) noexcept {
    quad::floats steps[groups], offsets;
    if constexpr (has_offset<B>)
      quad::template load_pairs_of_halves_as_floats<sizeof(B)>(&w->d, steps[0], offsets);
    else
      load_steps(w, steps);
    group_sums products[T];
    if constexpr (how == product::words) {
      for (std::size_t t = 0; t < T; ++t) products[t] = multiply_words(w, *x[t]);
    } else if constexpr (T == 1) {
      products[0] = multiply(
          [w]<std::size_t V>(std::integral_constant<std::size_t, V>) BLOCQ_INLINE_LAMBDA { return read<V>(w); }, *x[0]);
    } else {
      code_vectors codes[vectors];
      simd::unroll<static_cast<int>(vectors)>([&]<int V>() BLOCQ_INLINE_LAMBDA { codes[V] = read<V>(w); });
      for (std::size_t t = 0; t < T; ++t)
        products[t] = multiply([&](auto v) BLOCQ_INLINE_LAMBDA { return codes[v]; }, *x[t]);
    }
    for (std::size_t t = 0; t < T; ++t) {
      for (std::size_t g = 0; g < groups; ++g) {
        quad::ints p = products[t].v[g];
        if constexpr (doubled && !Operand::from_bias) p = p + p;
        if constexpr (bias_of<B> != 0 && !Operand::from_bias) p = p - x[t]->minus[g];
        sum[t].part[g] = quad::fma(quad::to_floats(p) * x[t]->d[g], steps[g], sum[t].part[g]);
      }
      if constexpr (has_offset<B>) sum[t].part[1] = quad::fma(offsets, x[t]->s, sum[t].part[1]);
    }
  }
};

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
