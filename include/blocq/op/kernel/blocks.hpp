// Blocks with a float for a step times q8_0 or q8_1: 512 elements at a time, sixteen chunks of 32.
//
// Formats that keep two elements 16 or 8 apart in one byte are read four chunks at a time, one in each lane: chunks j,
// 4 + j, 8 + j and 12 + j, their low nibbles and their high ones. All others are read two chunks at a time, one in each
// half: chunks r and 4 + r, then 8 + r and 12 + r. In both orders the sums of sixteen chunks come out of the tree of
// additions as they follow each other in the row, and meet their sixteen steps.
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

// Elements j and j + stride of a chunk in one byte: stride 16 or 8, else 0.
template <class Planes>
inline constexpr int split_stride = 0;
template <auto Member, int Stride, class... Others>
inline constexpr int split_stride<planes<plane<Member, 4, Stride>, Others...>> = Stride <= 16 ? Stride : 0;
template <class B>
inline constexpr int stride_of = 0;
template <class B>
requires requires { typename format_traits<B>::codes; }
inline constexpr int stride_of<B> = split_stride<typename format_traits<B>::codes>;

template <auto Member, int Width, int Stride, int Lowest, class B>
BLOCQ_INLINE void add_plane(plane<Member, Width, Stride, Lowest>, const B* const (&block)[4], std::size_t in_block,
                            quad::bytes (&codes)[2]) noexcept {
  const auto at = [&](std::size_t l) BLOCQ_INLINE_LAMBDA { return block[l]->*Member + in_block * 32 / 8 * Width; };
  if constexpr (Width == 4) {
    const quad::bytes both = quad::as_written(quad::load_lanes(at(0), at(1), at(2), at(3)));
    codes[0] = quad::template move_bits<4, 0, 0>(both);
    codes[1] = quad::template move_bits<4, 4, 0>(both);
  } else {
    static_assert(Width == 1 && Stride == 1);
    for (int h = 0; h < 2; ++h) codes[h] = codes[h] | quad::spread_bits(at(0), at(1), at(2), at(3), h, 1 << Lowest);
  }
}
template <class B, class... Planes>
BLOCQ_INLINE void add_planes(planes<Planes...>, const B* const (&block)[4], std::size_t in_block,
                             quad::bytes (&codes)[2]) noexcept {
  (add_plane(Planes{}, block, in_block, codes), ...);
}

// ---- the kernel ----

template <float_step_format B>
struct row_kernel<B, integer_operand_t<B>> {
  using A = integer_operand_t<B>;
  static constexpr std::size_t step = 512 / block_size<B>, per_block = block_size<B> / 32;
  static constexpr bool lanes = stride_of<B> != 0;                       // four chunks in each vector of sums, else two
  static constexpr std::size_t vectors = lanes ? 4 : 8;                  // of sums
  static constexpr std::size_t codes_each = lanes ? 2 : 1;               // vectors of codes to each
  static constexpr std::size_t groups = step_group<B> == 16 ? 2 : 1;     // in a chunk
  static constexpr bool doubled = std::is_same_v<element_t<B>, binary>;  // a code is half of what it is multiplied as
  static constexpr product how = product_of<B>;
  static constexpr bool in_place = halves_in_place && !lanes;

  // The vectors of codes whose products are added up in one vector.
  struct code_vectors {
    quad::bytes v[codes_each];
  };
  // Sixteen sums of groups; of two in a chunk, those of chunks 4 l and 4 l + 1 in lane l, then of 4 l + 2 and 4 l + 3.
  struct group_sums {
    quad::ints v[groups];
  };

  template <bool InPlace>
  struct operand {
    const A* blocks;
    quad_bytes copy[InPlace ? 1 : vectors * codes_each];
    quad::ints minus[groups];  // bias times the activations
    quad::floats d[groups], s;
    bool has_minus_128;

    // The activations that vector i of the codes of sums v is multiplied with.
    static BLOCQ_INLINE quad::bytes read(const A* x, std::size_t v, std::size_t i) noexcept {
      const auto qs = [x](std::size_t chunk) BLOCQ_INLINE_LAMBDA { return x[chunk].qs; };
      if constexpr (stride_of<B> == 16) {
        return quad::load_lanes(qs(v) + 16 * i, qs(4 + v) + 16 * i, qs(8 + v) + 16 * i, qs(12 + v) + 16 * i);
      } else if constexpr (stride_of<B> == 8) {
        const auto two = [&](std::size_t a, std::size_t b) BLOCQ_INLINE_LAMBDA {
          return vec::load_quarters(qs(a) + 8 * i, qs(a) + 16 + 8 * i, qs(b) + 8 * i, qs(b) + 16 + 8 * i);
        };
        return quad::join(two(v, 4 + v), two(8 + v, 12 + v));
      } else {
        return quad::load_halves(qs(v + v / 4 * 4), qs(v + v / 4 * 4 + 4));
      }
    }
    BLOCQ_INLINE quad::bytes q(std::size_t v, std::size_t i) const noexcept {
      if constexpr (InPlace)
        return read(blocks, v, i);
      else
        return copy[codes_each * v + i].load();
    }

    BLOCQ_INLINE void load(const A* x) noexcept {
      blocks = x;
      if constexpr (!InPlace)
        for (std::size_t v = 0; v < vectors; ++v)
          for (std::size_t i = 0; i < codes_each; ++i) copy[codes_each * v + i].store(read(x, v, i));
      if constexpr (groups == 1) {
        d[0] = quad::load_halves_as_floats<sizeof(A)>(&x->d);
      } else {
        const quad::floats scales = quad::load_halves_as_floats<sizeof(A)>(&x->d);
        for (std::size_t g = 0; g < groups; ++g) d[g] = quad::twice(scales, static_cast<int>(g));
      }
      if constexpr (has_offset<B>) s = quad::load_halves_as_floats<sizeof(A)>(&x->s);
      if constexpr (how == product::wide) {
        vec::bytes lowest = vec::fill_bytes(0);
        for (std::size_t c = 0; c < 16; ++c)
          lowest = lowest | vec::equal(vec::load_bytes(x[c].qs), vec::fill_bytes(-128));
        has_minus_128 = vec::any(lowest);
      }
      if constexpr (bias_of<B> != 0) {
        const group_sums all = multiply(
            [](auto) BLOCQ_INLINE_LAMBDA {
              code_vectors bias;
              for (quad::bytes& v : bias.v) v = quad::fill_bytes(bias_of<B>);
              return bias;
            },
            *this);
        for (std::size_t g = 0; g < groups; ++g) minus[g] = all.v[g];
      }
    }
  };

  struct sums {
    quad::floats part[2] = {quad::fill_floats(0.0f), quad::fill_floats(0.0f)};

    BLOCQ_INLINE float total() const noexcept { return quad::sum(part[0] + part[1]); }
  };

  // The sums of products of codes with a unit: codes(v) are those whose sums are vector v.
  template <class Codes, class Operand>
  static BLOCQ_INLINE group_sums multiply(Codes&& codes, const Operand& x) noexcept {
    constexpr bool in_words = how == product::codes && !quad::has_dot4;
    std::conditional_t<in_words, quad::words, quad::ints> sum[vectors];
    simd::unroll<static_cast<int>(vectors)>([&]<int Vector>() BLOCQ_INLINE_LAMBDA {
      constexpr std::size_t v = Vector;
      const code_vectors some = codes(std::integral_constant<std::size_t, v>{});
      simd::unroll<static_cast<int>(codes_each)>([&]<int Index>() BLOCQ_INLINE_LAMBDA {
        constexpr std::size_t i = Index;
        const quad::bytes w = some.v[i], xs = x.q(v, i);
        if constexpr (in_words) {
          sum[v] = i == 0 ? quad::maddubs(w, xs) : sum[v] + quad::maddubs(w, xs);
        } else if constexpr (quad::has_dot4) {
          if constexpr (i == 0) sum[v] = quad::fill_ints(0);
          quad::dot4_to(sum[v], w, xs);
        } else {
          quad::ints four;
          if (how == product::wide && x.has_minus_128) {
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
    if constexpr (lanes) {
      const B* blocks[4];
      for (std::size_t l = 0; l < 4; ++l) blocks[l] = w + (V + 4 * l) / per_block;
      quad::bytes stored[2];
      add_planes(typename format_traits<B>::codes{}, blocks, V % per_block, stored);
      for (std::size_t h = 0; h < 2; ++h) codes.v[h] = offset_codes<B>(stored[h]);
    } else {
      constexpr std::size_t c = V + V / 4 * 4;
      const auto chunk = [w](std::size_t i) BLOCQ_INLINE_LAMBDA {
        const B& b = w[i / per_block];
        const int in_block = static_cast<int>(i % per_block);
        if constexpr (doubled)
          return plane_codes(b, in_block);
        else if constexpr (full_bytes<B>)
          return chunk_values(b, in_block);
        else
          return chunk_codes(b, in_block);
      };
      if constexpr (std::is_same_v<B, q8_0>)
        codes.v[0] = quad::load_halves(w[c].qs, w[c + 4].qs);
      else
        codes.v[0] = quad::join(chunk(c), chunk(c + 4));
    }
    if constexpr (how == product::biased)
      for (quad::bytes& v : codes.v) v = v ^ quad::fill_bytes(quad::dot4_bias);
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
    load_steps(w, steps);
    if constexpr (has_offset<B>) offsets = quad::load_halves_as_floats<sizeof(B)>(&w->m);
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
        if constexpr (doubled) p = p + p;
        if constexpr (bias_of<B> != 0) p = p - x[t]->minus[g];
        sum[t].part[g] = quad::fma(quad::to_floats(p) * x[t]->d[g], steps[g], sum[t].part[g]);
      }
      if constexpr (has_offset<B>) sum[t].part[1] = quad::fma(offsets, x[t]->s, sum[t].part[1]);
    }
  }
};

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
