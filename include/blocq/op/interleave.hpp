// Weights in another order, for products with few columns: eight rows of blocks side by side.
//
// A block of eight rows has the bytes of eight blocks, in units of four (of two or one for a scale that has no more):
// unit i of row 0, unit i of row 1, and so on. A vector then holds four neighbouring bytes of each of eight rows, as
// they are multiplied with four activations that are the same for all rows, and what eight rows add up to needs no sums
// across a vector.
//
//   q4_0      row 0          row 1          ...  row 7
//   0         | d          | d          |     | d          |
//   16        | qs 0  to 3 | qs 0  to 3 |     | qs 0  to 3 |
//   48        | qs 4  to 7 | qs 4  to 7 |     | qs 4  to 7 |
//   80, 112   ...
//
// Fields of single elements in a row (the high bits of q5_0, all of q1_0 and q2_0, OCP's MXFP4) are brought within four
// bytes into the order of the others: elements 0 to 3 in the lowest bits of bytes 0 to 3, then 4 to 7.
//
// What does not fit in the caches is read in four streams by turns, a quarter of the matrix apart, as rows of blocks
// are; then neither order is much ahead of the other.
//
// This is an order for memory, not for files. It has all bytes of the blocks, and deinterleave gives them back.
#ifndef BLOCQ_OP_INTERLEAVE_HPP
#define BLOCQ_OP_INTERLEAVE_HPP

#include <blocq/core/fp_environment.hpp>
#include <blocq/core/view.hpp>
#include <blocq/op/gemm.hpp>

#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>

namespace blocq::inline v0 {

// One block of each of eight rows.
template <class B>
struct interleaved {
  std::uint8_t bytes[8 * sizeof(B)];
};

// How many of them a matrix of `rows` rows of `cols` blocks takes: what is missing of the last eight rows is zeros.
BLOCQ_INLINE constexpr std::size_t interleaved_blocks(std::size_t rows, std::size_t cols) noexcept {
  return (rows + 7) / 8 * cols;
}

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// ---- the order of the bytes ----

// A plane as it lies here.
template <class Plane>
struct lane_plane;
template <auto Member, int Width, int Stride, int Lowest>
struct lane_plane<plane<Member, Width, Stride, Lowest>> {
  static constexpr auto member = Member;
  static constexpr bool moved = Stride == 1 && Width < 8;
  static constexpr int width = Width, stride = Stride == 1 ? 4 : Stride, lowest = Lowest, per_byte = 8 / Width;
};
template <auto Member, int Width>
struct lane_plane<dense<Member, Width>> : lane_plane<plane<Member, Width, 1>> {};

template <class Planes>
inline constexpr bool in_lanes = false;
template <auto... Member, int... Width, int... Stride, int... Lowest>
inline constexpr bool in_lanes<planes<plane<Member, Width, Stride, Lowest>...>> = ((Stride % 4 == 0 || Stride == 1) &&
                                                                                   ...);
template <auto Member, int Width>
inline constexpr bool in_lanes<planes<dense<Member, Width>>> = Width == 4 || Width == 8;

template <class B>
inline constexpr bool has_lanes = std::is_same_v<B, q8_0>;
template <class B>
requires requires { typename format_traits<B>::codes; }
inline constexpr bool has_lanes<B> = in_lanes<typename format_traits<B>::codes>;

// Fields of single elements in a row, within four bytes, to their places; or Back.
template <int Width, bool Back>
BLOCQ_INLINE constexpr std::uint32_t move_elements(std::uint32_t from) noexcept {
  std::uint32_t to = 0;
  for (unsigned e = 0; e < 32 / Width; ++e) {
    const unsigned in_row = e * Width, in_lane = e % 4 * 8 + e / 4 * Width;
    to |= (from >> (Back ? in_lane : in_row) & ((1u << Width) - 1u)) << (Back ? in_row : in_lane);
  }
  return to;
}
template <bool Back, class B, class... Planes>
void move_elements(B& b, planes<Planes...>) noexcept {
  const auto move = [&]<class Plane>(Plane) {
    if constexpr (Plane::moved)
      for (std::size_t i = 0; i < sizeof(b.*Plane::member); i += 4) {
        le32 four;
        std::memcpy(&four, b.*Plane::member + i, 4);
        store(four, move_elements<Plane::width, Back>(load(four)));
        std::memcpy(b.*Plane::member + i, &four, 4);
      }
  };
  (move(lane_plane<Planes>{}), ...);
}
template <bool Back, class B>
void move_elements(B& b) noexcept {
  if constexpr (requires { typename format_traits<B>::codes; })
    move_elements<Back>(b, typename format_traits<B>::codes{});
}

// f(offset, unit) for all units of a block.
template <class B, class F>
void for_each_unit(const B& b, F&& f) noexcept {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&b);
  for (std::size_t at = 0, unit; at < sizeof(B); at += unit) {
    unit = 4;
    const auto check = [&](const auto& field) {
      if (sizeof field < 4 && bytes + at == reinterpret_cast<const std::uint8_t*>(&field)) unit = sizeof field;
    };
    if constexpr (requires { b.d; }) check(b.d);
    if constexpr (requires { b.m; }) check(b.m);
    if constexpr (requires { b.dmin; }) check(b.dmin);
    if constexpr (requires { b.e; }) check(b.e);
    if constexpr (requires { b.scale; }) check(b.scale);
    if constexpr (requires { b.scales_h; }) check(b.scales_h);
    if constexpr (std::is_same_v<B, nvfp4>)
      for (const std::uint8_t& d : b.d) check(d);
    f(at, unit);
  }
}

template <class B>
void put_row(B b, std::size_t r, interleaved<B>& to) noexcept {
  move_elements<false>(b);
  for_each_unit(b, [&](std::size_t at, std::size_t unit) {
    std::memcpy(to.bytes + 8 * at + r * unit, reinterpret_cast<const std::uint8_t*>(&b) + at, unit);
  });
}
template <class B>
B get_row(const interleaved<B>& from, std::size_t r) noexcept {
  B b{};
  for_each_unit(b, [&](std::size_t at, std::size_t unit) {
    std::memcpy(reinterpret_cast<std::uint8_t*>(&b) + at, from.bytes + 8 * at + r * unit, unit);
  });
  move_elements<true>(b);
  return b;
}

// ---- eight rows in registers ----

// Eight bytes as integers; sixteen are read.
BLOCQ_INLINE vec::ints eight_bytes(const std::uint8_t* p) noexcept {
  return vec::as_ints(vec::repeat_words(vec::widen_codes(vec::load_halves(p), 0), 0)) & vec::fill_ints(255);
}

template <class B>
struct lanes {
  const interleaved<B>& block;

  BLOCQ_INLINE const B& row() const noexcept { return reinterpret_cast<const B&>(block); }
  // Where a field of row() lies, of all rows.
  template <class Field>
  BLOCQ_INLINE const std::uint8_t* at(const Field& field) const noexcept {
    return block.bytes + 8 * (reinterpret_cast<const std::uint8_t*>(&field) - block.bytes);
  }

  template <class Plane>
  BLOCQ_INLINE vec::bytes bits(Plane, int element) const noexcept {
    constexpr int width = Plane::width, stride = Plane::stride;
    [[maybe_unused]] constexpr int mask = ((1 << width) - 1) << Plane::lowest;
    const int run = element / stride, byte = run / Plane::per_byte * stride + element % stride;
    [[maybe_unused]] const int shift = run % Plane::per_byte * width, left = Plane::lowest - shift;
    const vec::bytes all = vec::load_bytes(at(row().*Plane::member) + 8 * byte);
    if constexpr (width == 8) {
      return all;
    } else if constexpr (Plane::lowest == 0) {
      return vec::field<width>(all, shift);
    } else {
      const vec::ints from = vec::as_ints(all);
      return vec::as_bytes(left > 0 ? vec::shift_left(from, left) : vec::shift_right(from, -left)) &
             vec::fill_bytes(mask);
    }
  }
  template <class First, class... Others>
  BLOCQ_INLINE vec::bytes stored(planes<First, Others...>, int element) const noexcept {
    vec::bytes all = bits(lane_plane<First>{}, element);
    ((all = all | bits(lane_plane<Others>{}, element)), ...);
    return all;
  }
  // Elements `element` to element + 3, as a column_reader gives them.
  BLOCQ_INLINE vec::bytes codes(int element) const noexcept {
    if constexpr (std::is_same_v<B, q8_0>)
      return vec::load_bytes(at(row().qs) + 8 * element);
    else if constexpr (full_bytes<B> && has_integers<element_t<B>>)
      return element_values<element_t<B>>(stored(typename format_traits<B>::codes{}, element));
    else
      return offset_codes<B>(stored(typename format_traits<B>::codes{}, element));
  }

  BLOCQ_INLINE vec::floats scale() const noexcept {
    if constexpr (std::is_same_v<B, mxfp4>)
      return half_e8m0s(eight_bytes(at(row().e)));
    else if constexpr (requires(const B& b) { b.scale; })
      return e8m0s(eight_bytes(at(row().scale))) * vec::fill_floats(unit_of<element_t<B>>);
    else
      return vec::load_f16(at(row().d)) * vec::fill_floats(group_unit<B>);
  }
  // The four of nvfp4.
  BLOCQ_INLINE void scales(vec::floats (&d)[4]) const noexcept {
    const vec::bytes codes = vec::load_bytes(at(row().d)), no_number = codes & vec::equal(codes, vec::fill_bytes(0x7f));
    const vec::bytes numbers = (codes ^ no_number) & vec::fill_bytes(0x7f);
    for (int g = 0; g < 4; ++g) d[g] = half_e4m3s(vec::widen_codes(numbers, g / 2), g % 2);
  }
  BLOCQ_INLINE vec::floats offset() const noexcept {
    if constexpr (requires(const B& b) { b.m; })
      return vec::load_f16(at(row().m));
    else
      return vec::load_f16(at(row().dmin));
  }

  // The integer scales of a super-block's groups.
  BLOCQ_INLINE group_columns groups() const noexcept {
    group_columns g;
    if constexpr (groups_in_columns<B>) {
      vec::bytes v[4];
      for (int i = 0; i < 4; ++i) v[i] = vec::load_bytes(at(row().scales) + 32 * i - 8 * bytes_before_scales<B>);
      g = unpack_groups<B>(v);
    } else if constexpr (std::is_same_v<B, iq4_xs>) {  // even groups, then odd ones
      const auto every = [](std::int32_t mask) BLOCQ_INLINE_LAMBDA { return vec::fill_ints(mask); };
      const vec::ints pairs = vec::widen_words(at(row().scales_h)),
                      bytes = (pairs | vec::shift_left(pairs, 8)) & every(0x00ff00ff);
      const vec::bytes high = vec::little_bytes((bytes | vec::shift_left(bytes, 4)) & every(0x0f0f0f0f)),
                       low = vec::load_bytes(at(row().scales_l));
      for (int odd = 0; odd < 2; ++odd)
        g.scale[odd] =
            (vec::field<4>(low, 4 * odd) | vec::shift_left(vec::field<2>(high, 2 * odd), 4)) - vec::fill_bytes(32);
    }
    return g;
  }
  // That of a group, twice.
  BLOCQ_INLINE static vec::words scale_of([[maybe_unused]] const group_columns& g, std::size_t group) noexcept {
    constexpr bool by_parity = std::is_same_v<B, iq4_xs>;
    if constexpr (!groups_in_columns<B> && !by_parity) return vec::fill_words(1);
    const vec::bytes four = g.scale[by_parity ? group % 2 : group / 4];
    const std::size_t i = by_parity ? group / 2 : group % 4;
    return i == 0   ? vec::widen_two<0, 0>(four)
           : i == 1 ? vec::widen_two<1, 1>(four)
           : i == 2 ? vec::widen_two<2, 2>(four)
                    : vec::widen_two<3, 3>(four);
  }
  // The minima of the groups of a chunk, in two words.
  BLOCQ_INLINE static vec::words minima_of(const group_columns& g, std::size_t chunk) noexcept {
    if constexpr (step_group<B> == 16)
      return chunk % 2 == 0 ? vec::widen_two<0, 1>(g.min[chunk / 2]) : vec::widen_two<2, 3>(g.min[chunk / 2]);
    const std::size_t i = chunk % 4;
    const vec::bytes four = g.min[chunk / 4];
    return i == 0   ? vec::widen_two<0, 0>(four)
           : i == 1 ? vec::widen_two<1, 1>(four)
           : i == 2 ? vec::widen_two<2, 2>(four)
                    : vec::widen_two<3, 3>(four);
  }
};

// f(0) to f(N - 1), for indices that make up shifts: where these are instructions for constants only, one after the
// other; elsewhere a loop.
template <std::size_t N, class F>
BLOCQ_INLINE void each_index(F&& f) noexcept {
#ifdef __AVX2__
  repeat<N>(f);
#else
  for (std::size_t i = 0; i < N; ++i) f(i);
#endif
}

// ---- products ----

// How eight rows are multiplied: codes with bytes of activations in 16-bit sums that start at what the codes' offset
// makes of them, as in tile.hpp; values that need all eight bits one product of two at a time.
template <integer_format B>
struct lane_kernel {
  static constexpr int lowest = full_bytes<B> ? 0 : values_of<B>.lowest;
  static constexpr int group = step_group<B> < 32 ? step_group<B> : 32;
  static constexpr int span = group / 4;  // dwords that share a scale
  static constexpr int depth = [] {       // dwords that are summed in 16 bits
    const int magnitude = values_of<B>.highest > -lowest ? values_of<B>.highest : -lowest;
    int d = full_bytes<B> ? 1 : span;
    while (!full_bytes<B> && d * magnitude * 127 * 2 > 32767) d /= 2;
    return d;
  }();
  static constexpr bool integer_scales = superblock_format<B>;
  // -128 among the activations would make 2^15 of a sum, or has no negative.
  static constexpr bool fears_minus_128 = full_bytes<B> || -lowest * 128 * 2 * depth > 32767;
};

// 256 activations of each of T rows.
template <integer_format B, std::size_t T>
struct lane_operand {
  using K = lane_kernel<B>;
  std::uint32_t steps[64][T];                                        // four activations
  std::uint32_t corrections[K::lowest == 0 ? 1 : 64 / K::depth][T];  // two words
  std::uint32_t sums[has_offset<B> ? 8 : 1][T];                      // of a chunk: of 16 in two words, or scale * sum
  float scales[K::integer_scales ? 1 : 8][T];
};

// Row j of T: `chunks` chunks. True if there is a -128.
template <integer_format B, std::size_t T>
bool pack_lanes(const integer_operand_t<B>* x, std::size_t chunks, std::size_t j, lane_operand<B, T>& to) noexcept {
  using A = integer_operand_t<B>;
  using K = lane_kernel<B>;
  constexpr std::size_t per_block = block_size<A> / 32;
  vec::bytes products[8], lowest = vec::fill_bytes(0);
  for (std::size_t c = 0; c < 8; ++c) {
    if (c >= chunks) {
      products[c] = vec::fill_bytes(0);
      continue;
    }
    const A& block = x[c / per_block];
    const std::int8_t* const q = block.qs + c % per_block * 32;
    const vec::bytes v = vec::load_bytes(q);
    lowest = lowest | vec::equal(v, vec::fill_bytes(-128));
    products[c] = vec::as_bytes(vec::maddubs(vec::fill_bytes(-K::lowest), v));
    if constexpr (T == 1)
      vec::store_bytes(to.steps[8 * c], v);
    else
      for (std::size_t s = 0; s < 8; ++s) std::memcpy(&to.steps[8 * c + s][j], q + 4 * s, 4);
    if (!K::integer_scales || c == 0) to.scales[c][j] = block_scale(block);
    if constexpr (has_offset<B> && K::integer_scales)
      to.sums[c][j] = two_words(load(block.bsums[2 * c]), load(block.bsums[2 * c + 1]));
    else if constexpr (has_offset<B>)
      to.sums[c][j] = to_bits(vec::half_to_float(load(block.s)));
  }
  if constexpr (K::lowest != 0) {
    vec::transpose_eighths(products);
    for (int u = 0; u < 8 / K::depth; ++u) {
      vec::words sum = vec::fill_words(0);
      for (int i = 0; i < K::depth; ++i) sum = sum - vec::as_words(products[u * K::depth + i]);
      std::uint32_t all[8];
      vec::store_bytes(all, vec::as_bytes(sum));
      for (std::size_t c = 0; c < 8; ++c) to.corrections[c * (8 / K::depth) + static_cast<std::size_t>(u)][j] = all[c];
    }
  }
  return vec::any(lowest);
}

// Adds the products of eight rows of weights with T rows of X to sums[j][r]. Memory is asked for if it is far.
template <class B, std::size_t T>
BLOCQ_NOINLINE void multiply_lanes(const interleaved<B>* w, const lane_operand<B, T>* x, std::size_t chunks,
                                   bool is_far, float (*sums)[8]) noexcept {
  using K = lane_kernel<B>;
  constexpr std::size_t distance = 2048;  // bytes
  constexpr std::size_t per_block = block_size<B> / 32, groups = 32 / K::group;
  const auto each = [](auto&& f) BLOCQ_INLINE_LAMBDA { repeat<T>(f); };
  const auto dword = [](const std::uint32_t& at) BLOCQ_INLINE_LAMBDA { return vec::fill_eighths(&at); };
  vec::floats total[T];
  each([&](auto j) BLOCQ_INLINE_LAMBDA { total[j] = vec::load_floats(sums[j]); });
  const auto multiply = [&](vec::bytes v, const std::uint32_t(&xs)[T], auto&& put) BLOCQ_INLINE_LAMBDA {
    each([&](auto j) BLOCQ_INLINE_LAMBDA {
      const vec::bytes xj = dword(xs[j]);
      put(j, full_bytes<B> ? vec::maddss(v, xj) : vec::maddubs(v, xj));
    });
  };
  // Adds the products of depth dwords from dword `first` of a block on, which begins at chunk c of a slab.
  const auto add_unit = [&](const lanes<B>& block, std::size_t c, std::size_t first, vec::words factor,
                            vec::ints(&whole)[T]) BLOCQ_INLINE_LAMBDA {
    const auto codes = [&](std::size_t step) BLOCQ_INLINE_LAMBDA { return block.codes(static_cast<int>(4 * step)); };
    vec::words part[T];
    if constexpr (K::lowest == 0) {
      multiply(codes(first), x->steps[8 * c + first],
               [&](auto j, vec::words product) BLOCQ_INLINE_LAMBDA { part[j] = product; });
    } else {
      each([&](auto j)
               BLOCQ_INLINE_LAMBDA { part[j] = vec::as_words(dword(x->corrections[(8 * c + first) / K::depth][j])); });
    }
    each_index<K::depth>([&](std::size_t step) BLOCQ_INLINE_LAMBDA {
      if (step > 0 || K::lowest != 0)
        multiply(codes(first + step), x->steps[8 * c + first + step],
                 [&](auto j, vec::words product) BLOCQ_INLINE_LAMBDA { vec::add_to(part[j], product); });
    });
    each([&](auto j) BLOCQ_INLINE_LAMBDA { vec::add_to(whole[j], vec::madd2(part[j], factor)); });
  };
  const auto add_group = [&](const lanes<B>& block, std::size_t c, std::size_t group, vec::words factor,
                             vec::ints(&whole)[T]) BLOCQ_INLINE_LAMBDA {
    each_index<K::span / K::depth>([&](std::size_t unit) BLOCQ_INLINE_LAMBDA {
      add_unit(block, c, group * K::span + unit * K::depth, factor, whole);
    });
  };
  const auto next_block = [&]() BLOCQ_INLINE_LAMBDA {
    if (is_far)
      for (std::size_t line = 0; line < sizeof *w; line += 64) vec::prefetch(w->bytes + distance + line);
    return lanes<B>{*w++};
  };
  const auto clear = [&](vec::ints(&whole)[T]) BLOCQ_INLINE_LAMBDA {
    each([&](auto j) BLOCQ_INLINE_LAMBDA { whole[j] = vec::fill_ints(0); });
  };
  for (std::size_t slab = 0; slab < chunks; slab += 8, ++x) {
    if constexpr (K::integer_scales) {
      const lanes<B> block = next_block();
      const group_columns scales = block.groups();
      vec::ints whole[T];
      clear(whole);
      each_index<256 / K::group>([&](std::size_t group) BLOCQ_INLINE_LAMBDA {
        add_group(block, 0, group, lanes<B>::scale_of(scales, group), whole);
      });
      const vec::floats d = block.scale();
      each([&](auto j) BLOCQ_INLINE_LAMBDA {
        total[j] = vec::fma(vec::to_floats(whole[j]), d * vec::fill_floats(x->scales[0][j]), total[j]);
      });
      if constexpr (has_offset<B>) {
        clear(whole);
        each_index<8>([&](std::size_t c) BLOCQ_INLINE_LAMBDA {
          const vec::words minima = lanes<B>::minima_of(scales, c);
          each([&](auto j) BLOCQ_INLINE_LAMBDA {
            vec::add_to(whole[j], vec::madd2(minima, vec::as_words(dword(x->sums[c][j]))));
          });
        });
        const vec::floats m = block.offset();
        each([&](auto j) BLOCQ_INLINE_LAMBDA {
          total[j] = total[j] - vec::to_floats(whole[j]) * (m * vec::fill_floats(x->scales[0][j]));
        });
      }
    } else {
      const std::size_t some = chunks - slab < 8 ? chunks - slab : 8;
      for (std::size_t c = 0; c < some; c += per_block) {
        const lanes<B> block = next_block();
        vec::floats d[4];
        if constexpr (std::is_same_v<B, nvfp4>)
          block.scales(d);
        else
          d[0] = block.scale();
        each_index<per_block>([&](std::size_t chunk) BLOCQ_INLINE_LAMBDA {
          vec::floats products[T];
          each([&](auto j) BLOCQ_INLINE_LAMBDA { products[j] = vec::fill_floats(0.0f); });
          each_index<groups>([&](std::size_t half) BLOCQ_INLINE_LAMBDA {
            const std::size_t group = chunk * groups + half;
            vec::ints whole[T];
            clear(whole);
            add_group(block, c, group, vec::fill_words(1), whole);
            each([&](auto j) BLOCQ_INLINE_LAMBDA {
              const vec::floats sum = vec::to_floats(whole[j]);
              products[j] = groups == 1 ? sum : half == 0 ? sum * d[group] : vec::fma(sum, d[group], products[j]);
            });
          });
          each([&](auto j) BLOCQ_INLINE_LAMBDA {  // the activations' scale first, as in tile.hpp
            const vec::floats dx = vec::fill_floats(x->scales[c + chunk][j]);
            total[j] = groups == 1 ? vec::fma(products[j] * dx, d[0], total[j]) : vec::fma(products[j], dx, total[j]);
          });
        });
        if constexpr (has_offset<B>) {
          const vec::floats m = block.offset();
          each([&](auto j)
                   BLOCQ_INLINE_LAMBDA { total[j] = vec::fma(m, vec::as_floats(dword(x->sums[c][j])), total[j]); });
        }
      }
    }
  }
  each([&](auto j) BLOCQ_INLINE_LAMBDA { vec::store_floats(sums[j], total[j]); });
}

// The rows of X, in blocks: the operand's own, or floats that are quantized into `buffer`. Blocks from `first` on.
template <class A>
const A* operand_blocks(const operand_rows<A>& x, std::size_t j, std::size_t first, std::size_t count,
                        A* buffer) noexcept {
  if (x.blocks.data != nullptr) return &x.blocks.row(j)[first];
  encode_activations(&x.floats.row(j)[first * block_size<A>], count, buffer);
  return buffer;
}

// A row of X that has a -128, with one row of weights after the other.
template <class B>
void multiply_row_by_row(matrix_view<const interleaved<B>> weights, const operand_rows<integer_operand_t<B>>& x,
                         std::size_t j, std::span<float> y) noexcept {
  using A = integer_operand_t<B>;
  constexpr std::size_t unit = 256 / block_size<B>;
  for (std::size_t m = 0; m < y.size(); ++m) {
    y[m] = 0.0f;
    for (std::size_t i = 0; i < weights.cols; i += unit) {
      const std::size_t count = weights.cols - i < unit ? weights.cols - i : unit;
      B row[unit];
      A buffer[256 / block_size<A>];
      for (std::size_t b = 0; b < count; ++b) row[b] = get_row(weights.row(m / 8)[i + b], m % 8);
      const std::size_t first = i * block_size<B> / block_size<A>;
      y[m] += dot_blocks(row, operand_blocks(x, j, first, count * block_size<B> / block_size<A>, buffer), count);
    }
  }
}

// Super-blocks of all rows of X together that are multiplied at a time, which bounds the memory that they take; and
// rows of X that are multiplied without a panel, which four products in one instruction make better for three.
inline constexpr std::size_t piece_slabs = 64, lane_columns = wide::has_dot4 ? 2 : 4;

// T rows of X from `row` on.
template <class B, std::size_t T>
void multiply_piecewise(matrix_view<const interleaved<B>> weights, const operand_rows<integer_operand_t<B>>& x,
                        std::size_t row, matrix_view<float> y) noexcept {
  using A = integer_operand_t<B>;
  constexpr std::size_t slabs = piece_slabs / T, piece = slabs * 256;
  const std::size_t k = weights.cols * block_size<B>;
  constexpr std::size_t near_bytes = std::size_t{1} << 20;
  const bool is_far = weights.rows * weights.stride * sizeof(interleaved<B>) > near_bytes;
  // From memory, four streams are read by turns.
  const std::size_t unit = is_far ? 1 : slabs, part = weights.rows / most_streams;
  lane_operand<B, T> packed[slabs];
  A buffer[piece / block_size<A>];
  bool minus_128[T] = {};
  for (std::size_t j = 0; j < T; ++j)
    for (std::size_t m = 0; m < y.cols; ++m) y.row(row + j)[m] = 0.0f;
  for (std::size_t at = 0; at < k; at += piece) {
    const std::size_t columns = k - at < piece ? k - at : piece;
    for (std::size_t j = 0; j < T; ++j) {
      const A* const blocks = operand_blocks(x, row + j, at / block_size<A>, columns / block_size<A>, buffer);
      for (std::size_t i = 0; i < columns; i += 256)
        minus_128[j] |= pack_lanes<B, T>(blocks + i / block_size<A>, (columns - i) / 32, j, packed[i / 256]);
    }
    // Rows of the view from g on, `apart` from each other.
    const auto run = [&](std::size_t g, std::size_t rows, std::size_t apart) {
      float sums[most_streams][T][8];
      const auto each_sums = [&](auto&& f) {
        for (std::size_t r = 0; r < rows; ++r)
          for (std::size_t j = 0; j < T; ++j) {
            const std::size_t m = 8 * (g + r * apart), count = y.cols - m < 8 ? y.cols - m : 8;
            f(sums[r][j], &y.row(row + j)[m], count * sizeof(float));
          }
      };
      each_sums([](float* sum, const float* of_y, std::size_t bytes) { std::memcpy(sum, of_y, bytes); });
      for (std::size_t i = 0; i < columns; i += 256 * unit) {
        const std::size_t some = columns - i < 256 * unit ? columns - i : 256 * unit;
        for (std::size_t r = 0; r < rows; ++r)
          multiply_lanes<B, T>(&weights.row(g + r * apart)[(at + i) / block_size<B>], packed + i / 256, some / 32,
                               is_far, sums[r]);
      }
      each_sums([](const float* sum, float* of_y, std::size_t bytes) { std::memcpy(of_y, sum, bytes); });
    };
    for (std::size_t g = 0; g < part; ++g) run(g, most_streams, part);
    for (std::size_t g = part * most_streams; g < weights.rows; ++g) run(g, 1, 1);
  }
  if constexpr (lane_kernel<B>::fears_minus_128)
    for (std::size_t j = 0; j < T; ++j)
      if (minus_128[j]) multiply_row_by_row(weights, x, row + j, y.row(row + j));
}

// Eight of the rows of a panel, from row `half` on.
template <class B>
void expand_lanes(const interleaved<B>* w, std::size_t chunks, std::size_t half, panel<kernel_for<B>>& to) noexcept {
  constexpr kernel K = kernel_for<B>;
  constexpr std::size_t per_block = block_size<B> / 32, groups = K.groups();
  const auto put = [&](std::uint32_t(&at)[panel_rows], auto v)
                       BLOCQ_INLINE_LAMBDA { vec::store_bytes(&at[half], vec::as_bytes(v)); };
  for (std::size_t c = 0; c < chunks; c += per_block) {
    const lanes<B> block{*w++};
    each_index<K.steps() / 2 * per_block>([&](std::size_t i) BLOCQ_INLINE_LAMBDA {
      const auto codes = [&](std::size_t step) BLOCQ_INLINE_LAMBDA { return block.codes(static_cast<int>(4 * step)); };
      auto* const steps = &to.steps[c * K.steps() + 2 * i];
      if constexpr (K.words()) {
        const vec::bytes v = codes(i);
        store_steps<K>(vec::as_bytes(vec::widen_even(v)), vec::as_bytes(vec::widen_odd(v)), steps, half);
      } else {
        store_steps<K>(panel_codes<B>(codes(2 * i)), panel_codes<B>(codes(2 * i + 1)), steps, half);
      }
    });
    const group_columns scales = block.groups();
    if constexpr (K.integer_scales) {
      vec::store_floats(&to.scale[half], block.scale());
      each_index<8 * groups>([&](std::size_t group)
                                 BLOCQ_INLINE_LAMBDA { put(to.scales[group], lanes<B>::scale_of(scales, group)); });
      if constexpr (K.offset) {
        vec::store_floats(&to.min_scale[half], block.offset());
        each_index<8>([&](std::size_t chunk)
                          BLOCQ_INLINE_LAMBDA { put(to.mins[chunk], lanes<B>::minima_of(scales, chunk)); });
      }
    } else {
      vec::floats d[4];
      if constexpr (std::is_same_v<B, nvfp4>)
        block.scales(d);
      else
        d[0] = block.scale();
      each_index<groups * per_block>([&](std::size_t group) BLOCQ_INLINE_LAMBDA {
        if constexpr (superblock_format<B>)  // a scale is there twice, one of them is taken
          put(to.scales[c * groups + group],
              vec::to_floats(vec::madd2(lanes<B>::scale_of(scales, group), vec::as_words(vec::fill_ints(1)))) * d[0]);
        else
          put(to.scales[c * groups + group], d[std::is_same_v<B, nvfp4> ? group : 0]);
      });
      if constexpr (K.offset) put(to.mins[c], block.offset());
    }
  }
}

// What multiply_integers is for rows of blocks, for more columns than multiply_lanes takes at once.
template <class B>
void multiply_panels(matrix_view<const interleaved<B>> weights, const operand_rows<integer_operand_t<B>>& x,
                     matrix_view<float> y, std::byte* scratch) noexcept {
  constexpr std::size_t blocks_per_slab = slab_chunks * 32 / block_size<B>,
                        eighth = blocks_per_slab * sizeof(interleaved<B>) / 8;
  multiply_panels<B>(
      weights.cols * block_size<B>, x, y, scratch,
      [&](std::size_t m, std::size_t slab, std::size_t chunks, panel<kernel_for<B>>& to, row_bytes& next) {
        for (std::size_t half = 0; half < panel_rows; half += 8) {
          const std::size_t g = (m + half) / 8;
          const auto* const w = weights.row(g < weights.rows ? g : weights.rows - 1).data() + slab * blocks_per_slab;
          expand_lanes<B>(w, chunks, half, to);
          for (std::size_t r = 0; r < 8; ++r)
            next.at[half + r] = reinterpret_cast<const std::byte*>(w + blocks_per_slab) + r * eighth;
        }
        next.bytes = eighth;
      },
      [&](std::size_t i, auto) { multiply_row_by_row(weights, x, i, y.row(i)); });
}

template <class B>
void multiply_interleaved(matrix_view<const interleaved<B>> weights, const operand_rows<integer_operand_t<B>>& x,
                          matrix_view<float> y, std::byte* scratch) noexcept {
  if (y.rows > lane_columns) return multiply_panels(weights, x, y, scratch);
  repeat<lane_columns>([&](auto i) {
    if (y.rows == i + 1) multiply_piecewise<B, i + 1>(weights, x, 0, y);
  });
}

// Rows of weights in a row of a view.
template <class W>
inline constexpr std::size_t rows_in_row = 1;
template <class B>
inline constexpr std::size_t rows_in_row<interleaved<B>> = 8;

}  // namespace detail

// The formats that can be interleaved: codes of 1, 2, 4 or 8 bits in planes or in a row, and integers.
template <class B>
concept interleavable = integer_format<B> &&(256 % block_size<B> == 0) && (detail::has_lanes<B>);

// Puts rows of blocks into `to`, which has interleaved_blocks(rows, cols) elements: block c of rows 8g to 8g + 7 at
// g * cols + c. Rows that the last eight lack are zeros.
template <class B>
void interleave(matrix_view<const B> weights, std::type_identity_t<std::span<interleaved<B>>> to) noexcept {
  static_assert(interleavable<B>,
                "interleave(weights, to): there is nothing to gain for formats of floats, of points and of digits");
  BLOCQ_ASSERT(to.size() == interleaved_blocks(weights.rows, weights.cols));
  for (std::size_t i = 0; i < to.size(); ++i)
    for (std::size_t r = 0; r < 8; ++r) {
      const std::size_t m = i / weights.cols * 8 + r;
      detail::put_row(m < weights.rows ? weights.row(m)[i % weights.cols] : B{}, r, to[i]);
    }
}

// The blocks as they were. Precondition: as for interleave.
template <class B>
void deinterleave(std::type_identity_t<std::span<const interleaved<B>>> from, matrix_view<B> weights) noexcept {
  BLOCQ_ASSERT(from.size() == interleaved_blocks(weights.rows, weights.cols));
  for (std::size_t m = 0; m < weights.rows; ++m)
    for (std::size_t c = 0; c < weights.cols; ++c)
      weights.row(m)[c] = detail::get_row(from[m / 8 * weights.cols + c], m % 8);
}

// y = W * x for one row of operand blocks. A row of the view is eight rows of W, of which the last may be more than y
// has room for. The integers are exact; float sums are added in an order that differs from that of gemv on the blocks,
// and is the same whatever range of rows it is computed in.
// Preconditions: x has weights.cols * block_size<B> elements, y.size() is from 8 * weights.rows - 7 to 8 *
// weights.rows.
template <class B, class X>
void gemv(matrix_view<const interleaved<B>> weights, const X& x, std::span<float> y) noexcept {
  const std::span row(x);
  using A = std::remove_cv_t<typename decltype(row)::element_type>;
  static_assert(interleavable<B> && std::is_same_v<wire_t<A>, integer_operand_t<B>>,
                "gemv(weights, x, y): x is blocks of integer_operand_t<the weights' format>");
  BLOCQ_ASSERT(row.size() * block_size<A> == weights.cols * block_size<B>);
  BLOCQ_ASSERT((y.size() + 7) / 8 == weights.rows);
  const fp_environment modes;
  const auto* const blocks = reinterpret_cast<const wire_t<A>*>(row.data());
  detail::multiply_piecewise<B, 1>(weights, {{}, {blocks, 1, row.size(), row.size()}}, 0,
                                   {y.data(), 1, y.size(), y.size()});
}

// As for gemm on the blocks.
template <class W>
requires(detail::rows_in_row<W> == 8) constexpr std::size_t gemm_scratch(std::size_t n, std::size_t k) noexcept {
  return []<class B>(const interleaved<B>*, std::size_t rows, std::size_t columns) {
    return gemm_scratch<B>(rows, columns);
  }(static_cast<const W*>(nullptr), n, k);
}

// Y = X * W^T, as gemm on the blocks: X of floats is quantized to the operand format. Rows of the view as above.
// Preconditions: x.cols == weights.cols * block_size<B>, y has x.rows rows and as many columns as W has rows, scratch
// has gemm_scratch<interleaved<B>>(x.rows, x.cols) bytes.
template <class B>
void gemm(matrix_view<const interleaved<B>> weights, matrix_view<const float> x, matrix_view<float> y,
          std::span<std::byte> scratch) noexcept {
  static_assert(interleavable<B>, "gemm(weights, x, y, scratch): weights are of a format that interleave takes");
  BLOCQ_ASSERT(x.cols == weights.cols * block_size<B> && y.rows == x.rows && (y.cols + 7) / 8 == weights.rows);
  BLOCQ_ASSERT(scratch.size() >= gemm_scratch<B>(x.rows, x.cols));
  const fp_environment modes;
  detail::multiply_interleaved(weights, {x, {}}, y, scratch.data());
}

// The same with rows of X that have been quantized already; x.cols counts operand blocks.
template <interleavable B>
void gemm(matrix_view<const interleaved<B>> weights, matrix_view<const integer_operand_t<B>> x, matrix_view<float> y,
          std::span<std::byte> scratch) noexcept {
  BLOCQ_ASSERT(x.cols * block_size<integer_operand_t<B>> == weights.cols * block_size<B>);
  BLOCQ_ASSERT(y.rows == x.rows && (y.cols + 7) / 8 == weights.rows);
  BLOCQ_ASSERT(scratch.size() >= gemm_scratch<B>(x.rows, weights.cols * block_size<B>));
  const fp_environment modes;
  detail::multiply_interleaved(weights, {{}, x}, y, scratch.data());
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
