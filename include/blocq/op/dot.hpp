// Dot products of two rows: blocks with blocks of their operand format, and blocks with floats.
//
// The kernels take 256 elements at a time, a unit: a super-block, or as many smaller blocks. What a unit needs of the
// activations is prepared once, and used for as many rows of weights as gemv takes at the same time. Every row has sums
// of its own and adds to them in the same order whatever the other rows are.
#ifndef BLOCQ_OP_DOT_HPP
#define BLOCQ_OP_DOT_HPP

#include <blocq/codec/points.hpp>
#include <blocq/codec/superblock.hpp>
#include <blocq/core/view.hpp>
#include <blocq/op/dequantize.hpp>

#include <array>
#include <cstring>
#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// Formats with float steps, against q8_0 or q8_1.
template <class B>
concept float_step_format = std::is_same_v<integer_operand_t<B>, q8_0> || std::is_same_v<integer_operand_t<B>, q8_1>;

// How a chunk's integers are multiplied with signed bytes x:
//   codes       unsigned value - lowest, times x, minus -lowest times x
//   magnitudes  full bytes without -128: |x| is unsigned, and no value loses its sign's inverse
//   wide        full bytes: |w| is unsigned, x takes its sign; in 16 bits if there is an x of -128
//   biased      full bytes where there is an instruction for four products: value + bias, times x, minus bias times x
enum class product { codes, magnitudes, wide, biased };
template <class B>
inline constexpr product product_of = !full_bytes<B>                   ? product::codes
                                      : vec::has_dot4 && !nine_bits<B> ? product::biased
                                      : values_of<B>.lowest > -128     ? product::magnitudes
                                                                       : product::wide;

BLOCQ_INLINE vec::ints wide_products(vec::bytes w, vec::bytes x) noexcept {
  return vec::madd2(vec::widen_half(w, 0), vec::widen_half(x, 0)) +
         vec::madd2(vec::widen_half(w, 1), vec::widen_half(x, 1));
}
BLOCQ_INLINE vec::ints sum_pairs(vec::words pairs) noexcept { return vec::madd2(pairs, vec::fill_words(1)); }

// Sums of two products each, for codes without what their offset adds.
template <class B>
BLOCQ_INLINE vec::words pair_products(const chunk_reader<B>& w, int c, const std::int8_t* x) noexcept {
  if constexpr (product_of<B> == product::codes) {
    return vec::maddubs(w.codes(c), vec::load_bytes(x));
  } else {
    const vec::bytes xs = vec::load_bytes(x);
    return vec::maddss(xs, w.values(c));
  }
}

// Sums of four products of full bytes each; biased ones without what their bias adds.
template <class B>
BLOCQ_INLINE vec::ints four_products(vec::bytes w, vec::bytes x) noexcept {
  if constexpr (product_of<B> == product::biased) {
    vec::ints sum = vec::fill_ints(0);
    vec::dot4_to(sum, w ^ vec::fill_bytes(vec::dot4_bias), x);
    return sum;
  } else {
    return sum_pairs(product_of<B> == product::wide ? vec::maddss(w, x) : vec::maddss(x, w));
  }
}

// True if 16 bits hold the sum of `Products` codes times activations.
template <class B, int Products>
inline constexpr bool fits_words = (values_of<B>.highest - values_of<B>.lowest) * 128 * Products <= 32767;

// Vectors of sums, each of one block of 32 or, paired, of one in each half, to one sum for each of the eight blocks of
// a unit, in their order: two numbers in 16 bits or one in 32.
template <class V>
BLOCQ_INLINE V sum_blocks(const V (&v)[4]) noexcept {
  return vec::add_neighbours<4>(vec::add_neighbours<8>(v[0], v[1]), vec::add_neighbours<8>(v[2], v[3]));
}
template <class V>
BLOCQ_INLINE V sum_blocks(const V (&v)[8]) noexcept {
  return vec::add_neighbours<16>(sum_blocks({v[0], v[1], v[2], v[3]}), sum_blocks({v[4], v[5], v[6], v[7]}));
}

// The sums of a unit's groups: of eight blocks of 32, or of sixteen groups of 16 in the order of `group_order`.
template <class B>
inline constexpr std::size_t sum_vectors = step_group<B> == 16 ? 2 : 1;
template <class B>
struct group_sums {
  vec::ints v[sum_vectors<B>];
};

// The chunks that are multiplied as a pair: the two of a block of 64, or blocks of 32 four apart.
template <class B>
constexpr std::array<std::size_t, 2> chunks_of_pair(std::size_t p) noexcept {
  if (block_size<B> == 64) return {2 * p, 2 * p + 1};
  return {p, p + 4};
}
// What four chunks, two after two, give to their groups of 16 in the order of the sums.
BLOCQ_INLINE vec::floats group_order(const float* d) noexcept {
  const float eight[8] = {d[0], d[0], d[2], d[2], d[1], d[1], d[3], d[3]};
  return vec::load_floats(eight);
}

// From vectors of pairs of products; from four vectors for paired formats, whose words have four products each. Sums
// are widened as late as 16 bits allow.
template <class B>
BLOCQ_INLINE group_sums<B> sum_groups(const vec::words (&v)[4]) noexcept {
  if constexpr (step_group<B> == 16)
    return {{sum_pairs(vec::add_neighbours<4>(v[0], v[1])), sum_pairs(vec::add_neighbours<4>(v[2], v[3]))}};
  else if constexpr (fits_words<B, 16>)
    return {{sum_pairs(sum_blocks(v))}};
  else
    return {{vec::add_neighbours<4>(sum_pairs(vec::add_neighbours<8>(v[0], v[1])),
                                    sum_pairs(vec::add_neighbours<8>(v[2], v[3])))}};
}
template <class B>
BLOCQ_INLINE group_sums<B> sum_groups(const vec::words (&v)[8]) noexcept {
  if constexpr (fits_words<B, 16>)
    return {{sum_pairs(sum_blocks(v))}};
  else if constexpr (fits_words<B, 8>)
    return {{vec::add_neighbours<16>(sum_pairs(sum_blocks({v[0], v[1], v[2], v[3]})),
                                     sum_pairs(sum_blocks({v[4], v[5], v[6], v[7]})))}};
  else
    return {{sum_blocks({sum_pairs(v[0]), sum_pairs(v[1]), sum_pairs(v[2]), sum_pairs(v[3]), sum_pairs(v[4]),
                         sum_pairs(v[5]), sum_pairs(v[6]), sum_pairs(v[7])})}};
}

template <class B, std::size_t N>
BLOCQ_INLINE group_sums<B> sum_groups(const vec::ints (&v)[N]) noexcept {
  return {{sum_blocks(v)}};
}

// The operand of the kernels below: integer_operand_t, or q8_k for itself.
template <class B>
using row_operand_t = std::conditional_t<integer_format<B>, integer_operand_t<B>, operand_t<B>>;

// How many blocks of format A a unit has.
template <class A>
inline constexpr int unit_blocks = 256 / static_cast<int>(block_size<A>);

// 256 activations.
template <class B>
struct operand_unit;

template <class B>
requires(superblock_format<B> || std::is_same_v<B, q8_k>) struct operand_unit<B> {
  const q8_k& block;

  BLOCQ_INLINE explicit operand_unit(const q8_k* x) noexcept : block(*x) {}
};

template <float_step_format B>
struct operand_unit<B> {
  using A = integer_operand_t<B>;
  static constexpr int offset = product_of<B> == product::codes    ? -values_of<B>.lowest
                                : product_of<B> == product::biased ? vec::dot4_bias
                                                                   : 0;
  static constexpr std::size_t vectors = paired_format<B> ? 4 : 8;

  const A* blocks;
  vec::floats d[sum_vectors<B>], s;
  group_sums<B> minus;  // offset times the activations
  bool wide = false;    // there is a -128 where product::wide cannot do without 16 bits
  vec::bytes pairs[8];  // of blocks p and p + 4, or of chunks 2p and 2p + 1, as in a chunk_pair

  BLOCQ_INLINE explicit operand_unit(const A* x) noexcept : blocks(x) {
    const vec::floats scales = vec::load_halves_as_floats<sizeof(A)>(&x->d);
    if constexpr (step_group<B> == 16) {
      float two[8];
      vec::store_floats(two, scales);
      for (std::size_t v = 0; v < 2; ++v) d[v] = group_order(two + 4 * v);
    } else {
      d[0] = scales;
    }
    if constexpr (has_offset<B>) s = vec::load_halves_as_floats<sizeof(A)>(&x->s);
    std::conditional_t<product_of<B> == product::biased, vec::ints, vec::words> sums[vectors] = {};
    const auto add = [&](std::size_t v, vec::bytes xs) BLOCQ_INLINE_LAMBDA {
      if constexpr (product_of<B> == product::biased)
        vec::dot4_to(sums[v], vec::fill_bytes(offset), xs);
      else
        sums[v] = sums[v] + vec::maddubs(vec::fill_bytes(offset), xs);
    };
    if constexpr (paired_format<B>) {
      for (std::size_t p = 0; p < 4; ++p) {
        const auto [first, second] = chunks_of_pair<B>(p);
        for (std::size_t h = 0; h < 2; ++h) {
          pairs[2 * p + h] = load_half_pair<B>(x[first].qs, x[second].qs, static_cast<int>(h));
          add(p, pairs[2 * p + h]);
        }
      }
    } else {
      vec::bytes lowest = vec::fill_bytes(0);
      for (std::size_t c = 0; c < 8; ++c) {
        const vec::bytes xs = vec::load_bytes(x[c].qs);
        add(c, xs);
        if constexpr (product_of<B> == product::wide) lowest = lowest | vec::equal(xs, vec::fill_bytes(-128));
      }
      wide = vec::any(lowest);
    }
    if constexpr (offset != 0) minus = sum_groups<B>(sums);
  }
};

// Adds the products of a unit to a row's sums, which are added to each other in the end.
struct row_sums {
  vec::floats even = vec::fill_floats(0.0f), odd = even;

  BLOCQ_INLINE float total() const noexcept { return vec::sum(even + odd); }
};

// Integers all the way, two floats per block.
template <superblock_format B, std::size_t R>
BLOCQ_INLINE void add_units(const B* const (&blocks)[R], const operand_unit<B>& unit, row_sums* sum) noexcept {
  constexpr bool scaled = requires { get_scale(*blocks[0], 0); };
  const q8_k& x = unit.block;
  const float dx = from_bits(load(x.d));
  for (std::size_t r = 0; r < R; ++r) {
    const B& w = *blocks[r];
    const chunk_reader<B> chunks(w);
    const scale_words words = chunks.scales();
    vec::ints products = vec::fill_ints(0);
    if constexpr (scaled && fits_words<B, 8>) {
      vec::words pairs[8];
      simd::unroll<8>([&]<int C>() BLOCQ_INLINE_LAMBDA { pairs[C] = pair_products(chunks, C, x.qs + 32 * C); });
      for (int h = 0; h < 2; ++h) {
        const vec::words sums = sum_blocks({pairs[4 * h], pairs[4 * h + 1], pairs[4 * h + 2], pairs[4 * h + 3]});
        products = products + vec::madd2(sums, step_group<B> == 16 ? vec::even_and_odd_twice(words.scale, h)
                                                                   : vec::repeat_half(words.scale, h));
      }
    } else if constexpr (scaled) {
      std::int16_t scale[16];
      vec::store_words(scale, words.scale);
      simd::unroll<8>([&]<int C>() BLOCQ_INLINE_LAMBDA {
        const vec::words factor =
            step_group<B> == 16 ? vec::fill_two(scale + 2 * C) : vec::as_words(vec::fill_eighths(scale + 2 * C));
        products = products + vec::madd2(pair_products(chunks, C, x.qs + 32 * C), factor);
      });
    } else {
      static_assert((values_of<B>.highest - values_of<B>.lowest) * 128 * 2 * 8 < 32768);
      vec::words pairs = vec::fill_words(0);
      simd::unroll<8>([&]<int C>() BLOCQ_INLINE_LAMBDA { pairs = pairs + pair_products(chunks, C, x.qs + 32 * C); });
      products = sum_pairs(pairs);
    }
    if constexpr (has_offset<B>) {
      const vec::ints mins = vec::madd2(words.min, vec::load_little_words(x.bsums));
      sum[r].odd = vec::fma(vec::to_floats(mins), vec::fill_floats(-(block_offset(w) * dx)), sum[r].odd);
    } else if constexpr (product_of<B> == product::codes && values_of<B>.lowest != 0) {
      products = products - vec::madd2(words.min, vec::load_little_words(x.bsums));
    }
    sum[r].even = vec::fma(vec::to_floats(products), vec::fill_floats(superblock_scale(w) * dx), sum[r].even);
  }
}

// The steps of a unit's groups.
template <float_step_format B>
BLOCQ_INLINE void load_steps(const B* w, vec::floats (&step)[sum_vectors<B>]) noexcept {
  constexpr int per_block = static_cast<int>(block_size<B>) / 32;
  if constexpr (std::is_same_v<B, nvfp4>) {
    const auto four = [w](int i) BLOCQ_INLINE_LAMBDA { return load_as<std::uint32_t>(w[i].d); };
    const auto two = [&](int i) BLOCQ_INLINE_LAMBDA {  // groups 0 and 1 of two blocks, then 2 and 3
      const std::uint32_t a = four(i), b = four(i + 1);
      return join((a & 0xffffu) | b << 16, a >> 16 | (b & 0xffff0000u));
    };
    const vec::words codes = vec::widen(two(0), two(2));
    for (int v = 0; v < 2; ++v) step[v] = half_ue4m3s(codes, v);
  } else if constexpr (std::is_same_v<B, mxfp4>) {
    step[0] = half_e8m0s(vec::load_bytes_as_ints([w](int i) BLOCQ_INLINE_LAMBDA { return &w[i].e; }));
  } else if constexpr (has_integers<element_t<B>>) {
    step[0] = e8m0s(vec::load_bytes_as_ints([w](int i) BLOCQ_INLINE_LAMBDA { return &w[i / per_block].scale; })) *
              vec::fill_floats(unit_of<element_t<B>>);
  } else if constexpr (per_block == 1) {
    step[0] = vec::load_halves_as_floats<sizeof(B)>(&w->d);
  } else if constexpr (per_block == 4) {
    step[0] = vec::fill_two(block_scale(w[0]), block_scale(w[1]));
  } else {
    step[0] = vec::load_halves_as_floats([w](int i) BLOCQ_INLINE_LAMBDA { return &w[i / per_block].d; });
  }
}

// The sums of a unit's products with R rows.
template <float_step_format B, std::size_t R>
BLOCQ_INLINE void multiply_unit(const B* const (&w)[R], const operand_unit<B>& unit,
                                group_sums<B> (&result)[R]) noexcept {
  constexpr int per_block = static_cast<int>(block_size<B>) / 32;
  constexpr std::size_t vectors = operand_unit<B>::vectors;
  constexpr bool doubled = std::is_same_v<element_t<B>, binary>;  // a code is half of what it is multiplied as
  if constexpr (product_of<B> == product::codes) {
    vec::words pairs[R][vectors];
    simd::unroll<static_cast<int>(vectors)>([&]<int P>() BLOCQ_INLINE_LAMBDA {
      if constexpr (paired_format<B>) {
        constexpr auto two = chunks_of_pair<B>(P);
        const vec::bytes x0 = unit.pairs[2 * P], x1 = unit.pairs[2 * P + 1];
        for (std::size_t r = 0; r < R; ++r) {
          const chunk_pair chunks = read_pair(w[r][two[0] * 32 / block_size<B>], w[r][two[1] * 32 / block_size<B>]);
          pairs[r][P] = vec::maddubs(chunks.first, x0) + vec::maddubs(chunks.second, x1);
        }
      } else if constexpr (doubled) {
        const vec::bytes xs = vec::load_bytes(unit.blocks[P].qs);
        for (std::size_t r = 0; r < R; ++r)
          pairs[r][P] = vec::maddubs(plane_codes(w[r][P / per_block], P % per_block), xs);
      } else {
        for (std::size_t r = 0; r < R; ++r)
          pairs[r][P] = pair_products(chunk_reader<B>(w[r][P / per_block]), P % per_block, unit.blocks[P].qs);
      }
    });
    for (std::size_t r = 0; r < R; ++r) {
      result[r] = sum_groups<B>(pairs[r]);
      if constexpr (doubled) result[r].v[0] = result[r].v[0] + result[r].v[0];
    }
  } else {
    static_assert(sum_vectors<B> == 1);
    vec::ints sums[R][vectors];
    simd::unroll<static_cast<int>(vectors)>([&]<int P>() BLOCQ_INLINE_LAMBDA {
      if constexpr (paired_format<B>) {
        constexpr auto two = chunks_of_pair<B>(P);
        const vec::bytes x0 = unit.pairs[2 * P], x1 = unit.pairs[2 * P + 1];
        for (std::size_t r = 0; r < R; ++r) {
          const chunk_pair chunks = read_pair(w[r][two[0]], w[r][two[1]]);
          sums[r][P] = four_products<B>(chunks.first, x0) + four_products<B>(chunks.second, x1);
        }
      } else if constexpr (nine_bits<B>) {
        const vec::bytes xs = vec::load_bytes(unit.blocks[P].qs);
        for (std::size_t r = 0; r < R; ++r) {
          vec::words even, odd;
          element_words<float6_e3m2fn>(plane_codes(w[r][P / per_block], P % per_block), even, odd);
          sums[r][P] = vec::madd2(even, vec::widen_even(xs)) + vec::madd2(odd, vec::widen_odd(xs));
        }
      } else {
        const vec::bytes xs = vec::load_bytes(unit.blocks[P].qs);
        for (std::size_t r = 0; r < R; ++r) {
          const vec::bytes values = chunk_reader<B>(w[r][P / per_block]).values(P % per_block);
          if (product_of<B> == product::wide && unit.wide)
            sums[r][P] = wide_products(values, xs);
          else
            sums[r][P] = four_products<B>(values, xs);
        }
      }
    });
    for (std::size_t r = 0; r < R; ++r) result[r] = sum_groups<B>(sums[r]);
  }
  if constexpr (operand_unit<B>::offset != 0)
    for (std::size_t r = 0; r < R; ++r)
      for (std::size_t v = 0; v < sum_vectors<B>; ++v) result[r].v[v] = result[r].v[v] - unit.minus.v[v];
}

template <float_step_format B, std::size_t R>
BLOCQ_INLINE void add_units(const B* const (&w)[R], const operand_unit<B>& unit, row_sums* sum) noexcept {
  group_sums<B> products[R];
  multiply_unit(w, unit, products);
  for (std::size_t r = 0; r < R; ++r) {
    vec::floats step[sum_vectors<B>];
    load_steps(w[r], step);
    sum[r].even = vec::fma(vec::to_floats(products[r].v[0]) * unit.d[0], step[0], sum[r].even);
    if constexpr (sum_vectors<B> == 2)
      sum[r].odd = vec::fma(vec::to_floats(products[r].v[1]) * unit.d[1], step[1], sum[r].odd);
    if constexpr (has_offset<B>)
      sum[r].odd = vec::fma(vec::load_halves_as_floats<sizeof(B)>(&w[r]->m), unit.s, sum[r].odd);
  }
}
// q8_k with itself.
template <std::size_t R>
BLOCQ_INLINE void add_units(const q8_k* const (&w)[R], const operand_unit<q8_k>& unit, row_sums* sum) noexcept {
  for (std::size_t r = 0; r < R; ++r) {
    vec::ints products = vec::fill_ints(0);
    for (int i = 0; i < 256; i += 32)
      products = products + wide_products(vec::load_bytes(w[r]->qs + i), vec::load_bytes(unit.block.qs + i));
    sum[r].even =
        vec::fma(vec::to_floats(products), vec::fill_floats(block_scale(*w[r]) * block_scale(unit.block)), sum[r].even);
  }
}

// Rows of weights that are multiplied at the same time, Most of them or fewer: what they have beyond their last whole
// unit is filled up with zeros. `ahead` bytes further on, their memory is asked for; 0 for rows that are near already.
inline constexpr std::size_t rows_at_once = 4;
template <class B, std::size_t Most>
struct row_group {
  const B* row[Most];
  float* y[Most];
  std::size_t rows;
  std::size_t ahead;

  BLOCQ_INLINE std::size_t count() const noexcept { return Most == 1 ? 1 : rows; }
};

// Rows are added `Together` at a time, so that what is loaded of the activations serves them all, then one by one.
template <std::size_t Together, class B, std::size_t Most, std::size_t Step, class Sums, class X, std::size_t XStep,
          class Prepare, class Add>
BLOCQ_INLINE void for_each_unit(const row_group<B, Most>& w, const X* x, std::size_t blocks, Sums* sums,
                                B (&rest)[Step], X (&rest_x)[XStep], Prepare prepare, Add add) noexcept {
  for (std::size_t i = 0; i < blocks; i += Step, x += XStep) {
    const std::size_t left = blocks - i;
    const bool whole = left >= Step;
    if (!whole) {
      std::memset(rest_x, 0, sizeof rest_x);
      std::memcpy(rest_x, x, left * XStep / Step * sizeof(X));
    }
    const auto unit = prepare(whole ? x : rest_x);
    const auto row = [&](std::size_t r) BLOCQ_INLINE_LAMBDA {
      const B* const p = w.row[r] + i;
      if (w.ahead != 0)
        for (std::size_t line = 0; line < Step * sizeof(B); line += 64)
          vec::prefetch(reinterpret_cast<const char*>(p) + w.ahead + line);
      return p;
    };
    std::size_t r = 0;
    if constexpr (Together == 2 && Most > 1)
      for (; whole && r + 2 <= w.count(); r += 2) {
        const B* const two[2] = {row(r), row(r + 1)};
        add(two, unit, sums + r);
      }
    for (; r < w.count(); ++r) {
      const B* one[1] = {row(r)};
      if (!whole) {
        std::memset(rest, 0, sizeof rest);
        std::memcpy(rest, one[0], left * sizeof(B));
        one[0] = rest;
      }
      add(one, unit, sums + r);
    }
  }
  for (std::size_t r = 0; r < w.count(); ++r) *w.y[r] = sums[r].total();
}

template <class B, std::size_t Most>
BLOCQ_NOINLINE void dot_rows(const row_group<B, Most>& w, const row_operand_t<B>* x, std::size_t blocks) noexcept {
  using A = row_operand_t<B>;
  row_sums sums[Most];
  B rest[unit_blocks<B>];
  A rest_x[unit_blocks<A>];
  for_each_unit<float_step_format<B> ? 2 : 1>(
      w, x, blocks, sums, rest, rest_x, [](const A* p) BLOCQ_INLINE_LAMBDA { return operand_unit<B>(p); },
      [](const auto& p, const operand_unit<B>& unit, row_sums* sum) BLOCQ_INLINE_LAMBDA { add_units(p, unit, sum); });
}

struct float_sums {
  vec::floats part[4] = {};

  BLOCQ_INLINE float total() const noexcept { return vec::sum((part[0] + part[1]) + (part[2] + part[3])); }
};

// With floats: nothing is rounded but the products and sums.
template <class B, std::size_t Most>
BLOCQ_NOINLINE void dot_rows(const row_group<B, Most>& w, const float* x, std::size_t blocks) noexcept {
  constexpr bool whole_numbers = has_integers<element_t<B>> && chunked_format<B> && !nine_bits<B>;
  constexpr std::size_t least = float_chunks<B> || whole_numbers ? 256 : 32;
  constexpr std::size_t step = block_size<B> < least ? least / block_size<B> : 1, unit = step * block_size<B>;
  static_assert(unit % 8 == 0);
  float_sums sums[Most];
  B rest[step];
  float rest_x[unit];
  for_each_unit<sizeof(B) == 2 ? 2 : 1>(
      w, x, blocks, sums, rest, rest_x, [](const float* p) BLOCQ_INLINE_LAMBDA { return p; },
      [&]<std::size_t R>(const B* const(&p)[R], const float* xs, float_sums* total) BLOCQ_INLINE_LAMBDA {
        float_sums sum[R];
        for (std::size_t r = 0; r < R; ++r) sum[r] = total[r];
        const auto add = [&](std::size_t r, std::size_t k, vec::floats v) BLOCQ_INLINE_LAMBDA {
          vec::floats& part = sum[r].part[k / 8 % 4];
          part = vec::fma(v, vec::load_floats(xs + k), part);
        };
        if constexpr (whole_numbers) {
          constexpr std::size_t per_block = block_size<B> / 32;
          simd::unroll<unit / 32>([&]<int C>() BLOCQ_INLINE_LAMBDA {
            for (std::size_t r = 0; r < R; ++r) {
              const B& block = p[r][C / per_block];
              const vec::bytes values = chunk_values(block, C % per_block);
              const vec::floats d = vec::fill_floats(block_scale(block));
              for (int q = 0; q < 4; ++q)
                add(r, 32 * C + 8 * static_cast<std::size_t>(q), vec::to_floats(values, q) * d);
            }
          });
        } else if constexpr (float_chunks<B>) {
          simd::unroll<unit / 32>([&]<int C>() BLOCQ_INLINE_LAMBDA {
            vec::floats v[R][4];
            for (std::size_t r = 0; r < R; ++r) chunk_floats(p[r], C, v[r]);
            for (std::size_t q = 0; q < 4; ++q)
              for (std::size_t r = 0; r < R; ++r) add(r, 32 * C + 8 * q, v[r][q]);
          });
        } else {
          float v[unit];
          for (std::size_t r = 0; r < R; ++r) {
            dequantize_blocks(p[r], step, v);
            for (std::size_t k = 0; k < unit; k += 8) add(r, k, vec::load_floats(v + k));
          }
        }
        for (std::size_t r = 0; r < R; ++r) total[r] = sum[r];
      });
}

// One row. X: operand blocks of B or float.
template <class B, class X>
float dot_blocks(const B* w, const X* x, std::size_t blocks) noexcept {
  float y;
  dot_rows(row_group<B, 1>{{w}, {&y}, 1, 0}, x, blocks);
  return y;
}

template <class B, class A>
inline constexpr bool both_mx = false;
template <class E, class F, std::size_t N>
inline constexpr bool both_mx<mx_block<E, N>, mx_block<F, N>> = true;

// Two rows of OCP MX blocks: the products of a block's elements are summed up before the two scales multiply the sum,
// in two steps, because neither the product of the scales nor that of the sum with one of them need be in range.
template <class E, class F, std::size_t N>
float dot_blocks(const mx_block<E, N>* w, const mx_block<F, N>* x, std::size_t blocks) noexcept {
  constexpr std::uint8_t one = 127, not_a_number = 0xff;
  const auto power_of_two = [](int e) { return float8_e8m0fnu{static_cast<std::uint8_t>(e + one)}.to_float(); };
  float_sums sums;
  for (std::size_t i = 0; i < blocks; ++i) {
    const bool nan = w[i].scale == not_a_number || x[i].scale == not_a_number;
    const int exponent = w[i].scale + x[i].scale - 2 * one, half = exponent / 2;
    mx_block<E, N> a = w[i];
    mx_block<F, N> b = x[i];
    a.scale = nan ? not_a_number : one;
    b.scale = one;
    float u[N], v[N];
    dequantize_blocks(&a, 1, u);
    dequantize_blocks(&b, 1, v);
    vec::floats sum = vec::fill_floats(0.0f);
    for (std::size_t k = 0; k < N; k += 8) sum = vec::fma(vec::load_floats(u + k), vec::load_floats(v + k), sum);
    sum = vec::as_written(sum * vec::fill_floats(power_of_two(nan ? 0 : half)));
    sums.part[i % 4] = vec::fma(sum, vec::fill_floats(power_of_two(nan ? 0 : exponent - half)), sums.part[i % 4]);
  }
  return sums.total();
}

// The same rows as the library's own structs.
template <class B>
BLOCQ_INLINE matrix_view<const wire_t<B>> wire_view(matrix_view<const B> m) noexcept {
  return {reinterpret_cast<const wire_t<B>*>(m.data), m.rows, m.cols, m.stride};
}

}  // namespace detail

// The dot product of a row of blocks with a row of its operand format (integer_operand_t; q8_k for itself). The
// integers are exact; a float step scales them once per block (32 elements, or 256 for the formats whose operand is
// q8_k), and the scaled sums are added in sixteen lanes. Or with a row of floats, which nothing is rounded to; or, of
// two OCP MX formats with blocks of one size, as MX v1.0 defines it: the sum over the blocks of the scales' product
// times the sum of the elements' products. Precondition: both rows have the same number of elements.
template <class W, class X>
requires requires(const W& w, const X& x) { std::span(w), std::span(x); }
float dot(const W& weights, const X& activations) noexcept {
  const std::span w(weights);
  const std::span x(activations);
  using B = std::remove_cv_t<typename decltype(w)::element_type>;
  using A = std::remove_cv_t<typename decltype(x)::element_type>;
  static_assert(block_format<B>, "dot(weights, activations): weights is a range of blocks");
  constexpr bool mx = detail::both_mx<B, A>;
  static_assert(
      std::is_same_v<A, float> || mx || std::is_same_v<wire_t<A>, detail::row_operand_t<wire_t<B>>>,
      "dot(weights, activations): activations are floats or blocks of integer_operand_t<the weights' format>");
  const auto* blocks = reinterpret_cast<const wire_t<B>*>(w.data());
  if constexpr (std::is_same_v<A, float>) {
    BLOCQ_ASSERT(x.size() == w.size() * block_size<B>);
    return detail::dot_blocks(blocks, x.data(), w.size());
  } else {
    BLOCQ_ASSERT(x.size() * block_size<A> == w.size() * block_size<B>);
    return detail::dot_blocks(blocks, reinterpret_cast<const wire_t<A>*>(x.data()), w.size());
  }
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
