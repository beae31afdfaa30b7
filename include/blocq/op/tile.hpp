// Products of some rows of weights with a few rows of activations in integers: what gemm is made of.
//
// A slab of 256 columns of the weights is expanded to a panel in which a vector holds the next few elements of eight
// rows. The panel stays in the nearest cache while the rows of X, packed side by side, pass over it. A dword holds
//
//   four codes   of values of up to 7 bits: byte products in 16-bit sums, which one multiplication by the group's
//                integer scale, or by one, widens to 32 bits. A sum starts at minus the offset of the codes times the
//                activations, so unsigned codes cost nothing: 16-bit arithmetic wraps, and the true sum fits.
//   two words    of values of 8 or 9 bits, elements 0 and 2 of four, then 1 and 3
//
// Where there is an instruction for four products in 32 bits, a dword holds four codes of up to 8 bits. Where there is
// one for eight, with two rows and two columns at once, two dwords of a row lie side by side (simd/squares.hpp).
//
// A kernel is a function of the integers of a format, not of the format.
#ifndef BLOCQ_OP_TILE_HPP
#define BLOCQ_OP_TILE_HPP

#include <blocq/codec/columns.hpp>
#include <blocq/codec/floats.hpp>
#include <blocq/simd/squares.hpp>
#include <blocq/simd/wide.hpp>

#include <cstddef>
#include <cstring>
#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

namespace wide = simd::wide;

inline constexpr std::size_t panel_rows = wide::rows, slab_chunks = 8;

// How products of bytes are summed up: codes in 16 bits, the same four or eight at a time in 32 bits, or as words.
enum class summing { pairs, fours, eights, words };

struct kernel {
  summing how;
  std::size_t span;     // dwords that share a scale
  std::size_t depth;    // dwords that are summed in 16 bits, or without a scale in 32
  bool corrections;     // the sums start at what `packed_x` says instead of 0
  bool integer_scales;  // within a slab; otherwise each is a float
  bool offset;          // groups, or chunks, have a minimum

  constexpr bool words() const noexcept { return how == summing::words; }
  constexpr bool ints() const noexcept { return how == summing::fours || how == summing::eights; }
  constexpr std::size_t steps() const noexcept { return words() ? 16 : 8; }  // dwords of a chunk
  constexpr std::size_t groups() const noexcept { return steps() / span; }
};

// What a panel's bytes stand for, less the bytes.
template <integer_format B>
inline constexpr int panel_lowest = full_bytes<B> ? -vec::dot4_bias : values_of<B>.lowest;

// Codes that a column_reader gave as those bytes.
template <integer_format B>
BLOCQ_INLINE vec::bytes panel_codes(vec::bytes v) noexcept {
  return full_bytes<B> ? v ^ vec::fill_bytes(vec::dot4_bias) : v;
}

template <integer_format B>
inline constexpr std::size_t group_size = step_group<B> < 32 ? static_cast<std::size_t>(step_group<B>) : 32;

// Dwords of codes whose products with -127 .. 127 are summed in 16 bits.
template <integer_format B>
inline constexpr std::size_t depth_of_pairs = [] {
  constexpr value_range r = values_of<B>;
  constexpr int magnitude = r.highest > -r.lowest ? r.highest : -r.lowest;
  std::size_t depth = group_size<B> / 4;
  while (static_cast<int>(depth) * magnitude * 127 * 2 > 32767) depth /= 2;
  return depth;
}();

template <integer_format B>
inline constexpr kernel kernel_for = [] {
  constexpr bool fours = wide::has_dot4 && !nine_bits<B>, words = !fours && full_bytes<B>;
  constexpr std::size_t span = words ? group_size<B> / 2 : group_size<B> / 4;
  return kernel{fours   ? (simd::has_squares ? summing::eights : summing::fours)
                : words ? summing::words
                        : summing::pairs,
                span,
                fours || words ? span : depth_of_pairs<B>,
                !words && panel_lowest<B> != 0,
                superblock_format<B> && !full_bytes<B>,
                has_offset<B>};
}();

// Rows of X, packed for a slab: T rows side by side, dword s of row j at T s + j, or two dwords of a row after those of
// the row before, as in the panel; first the numbers themselves, then
template <kernel K>
struct packed_x {
  static constexpr std::size_t corrections = slab_chunks * K.steps();  // two words, or an integer, for each `depth`
  static constexpr std::size_t bsums =                                 // for each chunk: two words, sums of 16; or
      corrections + (K.corrections ? slab_chunks * K.steps() / K.depth : 0);   // a float, scale * sum of 32
  static constexpr std::size_t scales = bsums + (K.offset ? slab_chunks : 0);  // a float for each chunk, or one
  static constexpr std::size_t size = scales + (K.integer_scales ? 1 : slab_chunks);
};

// Two words that are neighbours in memory.
BLOCQ_INLINE std::uint32_t two_words(int low, int high) noexcept {
  const std::int16_t words[2] = {static_cast<std::int16_t>(low), static_cast<std::int16_t>(high)};
  return __builtin_bit_cast(std::uint32_t, words);
}

// Packs chunk c of a slab for row j of T.
template <integer_format B>
void pack_chunk(const integer_operand_t<B>& x, std::size_t chunk, std::size_t c, std::size_t j, std::size_t T,
                std::uint32_t* packed) noexcept {
  constexpr kernel K = kernel_for<B>;
  using layout = packed_x<K>;
  const std::int8_t* const q = x.qs + chunk * 32;
  const auto put = [&](std::size_t at, std::uint32_t dword) { packed[at * T + j] = dword; };
  for (std::size_t s = 0; s < K.steps(); ++s) {
    std::uint32_t dword;
    if constexpr (K.words())
      dword = two_words(q[s / 2 * 4 + s % 2], q[s / 2 * 4 + s % 2 + 2]);
    else
      std::memcpy(&dword, q + 4 * s, 4);
    if constexpr (K.how == summing::eights)
      packed[(c * K.steps() + s - s % 2) * T + 2 * j + s % 2] = dword;
    else
      put(c * K.steps() + s, dword);
  }
  if constexpr (K.corrections)
    for (std::size_t u = 0; u < K.steps() / K.depth; ++u) {
      int low = 0, high = 0;
      for (const std::int8_t* p = q + u * K.depth * 4; p < q + (u + 1) * K.depth * 4; p += 4)
        low += p[0] + p[1], high += p[2] + p[3];
      low *= panel_lowest<B>, high *= panel_lowest<B>;
      put(layout::corrections + c * (K.steps() / K.depth) + u,
          K.ints() ? static_cast<std::uint32_t>(low + high) : two_words(low, high));
    }
  if constexpr (K.offset && K.integer_scales)
    put(layout::bsums + c, two_words(load(x.bsums[2 * chunk]), load(x.bsums[2 * chunk + 1])));
  else if constexpr (K.offset)
    put(layout::bsums + c, to_bits(f16_to_f32(x.s)));
  if (!K.integer_scales || c == 0) put(layout::scales + c, to_bits(block_scale(x)));
}

// A slab of a panel's rows of weights.
template <kernel K>
struct panel {
  std::uint32_t steps[slab_chunks * K.steps()][panel_rows];
  std::uint32_t scales[slab_chunks * K.groups()][panel_rows];  // a word twice, or a float
  std::uint32_t mins[K.offset ? slab_chunks : 1][panel_rows];  // two words, or a float
  float scale[panel_rows], min_scale[panel_rows];              // of the slab, with integer scales
};

// Two dwords, one after the other, of eight rows of a panel.
template <kernel K>
BLOCQ_INLINE void store_steps(vec::bytes first, vec::bytes second, std::uint32_t (*to)[panel_rows],
                              std::size_t half) noexcept {
  if constexpr (K.how == summing::eights) {
    simd::store_side_by_side(to[half / 8], first, second);
  } else {
    vec::store_bytes(&to[0][half], first);
    vec::store_bytes(&to[1][half], second);
  }
}

BLOCQ_INLINE void store_transposed(vec::bytes (&v)[8], std::uint32_t (*to)[panel_rows], std::size_t row) noexcept {
  vec::transpose_eighths(v);
  for (std::size_t i = 0; i < 8; ++i) vec::store_bytes(&to[i][row], v[i]);
}

// The float scales of the chunks of one block in eight rows, and its offsets.
template <integer_format B>
BLOCQ_INLINE void store_scales(const B* const (&blocks)[8], std::size_t c, std::size_t half,
                               panel<kernel_for<B>>& to) noexcept {
  constexpr kernel K = kernel_for<B>;
  constexpr std::size_t groups = K.groups() * block_size<B> / 32;
  const auto put = [&](std::uint32_t(&at)[panel_rows], vec::floats v)
                       BLOCQ_INLINE_LAMBDA { vec::store_bytes(&at[half], vec::as_bytes(v)); };
  if constexpr (std::is_same_v<B, nvfp4>) {
    vec::floats d[4];
    column_scales(blocks, d);
    for (std::size_t g = 0; g < 4; ++g) put(to.scales[c * 2 + g], d[g]);
  } else if constexpr (superblock_format<B>) {
    for (std::size_t r = 0; r < 8; ++r) {
      const float d = block_scale(*blocks[r]);
      for (std::size_t g = 0; g < groups; ++g)
        to.scales[c * K.groups() + g][half + r] =
            to_bits(group_step(*blocks[r], d, 0.0f, static_cast<int>(32 * g / K.groups()) / step_group<B>).step);
    }
  } else {
    const vec::floats d = column_scales(blocks);
    for (std::size_t g = 0; g < groups; ++g) put(to.scales[c * K.groups() + g], d);
  }
  if constexpr (K.offset)
    put(to.mins[c], vec::load_halves_as_floats([&](int r) BLOCQ_INLINE_LAMBDA { return &blocks[r]->m; }));
}

// The integer scales of a super-block in eight rows, and its minima.
template <integer_format B>
BLOCQ_INLINE void store_group_scales(const B* const (&blocks)[8], std::size_t half, panel<kernel_for<B>>& to) noexcept {
  constexpr kernel K = kernel_for<B>;
  vec::store_floats(&to.scale[half], column_scales(blocks) * vec::fill_floats(group_unit<B>));
  if constexpr (K.offset)
    vec::store_floats(&to.min_scale[half],
                      vec::load_halves_as_floats([&](int r) BLOCQ_INLINE_LAMBDA { return &blocks[r]->dmin; }));
  if constexpr (groups_in_columns<B>) {
    const group_columns groups = column_groups(blocks);
    simd::unroll<8 * static_cast<int>(K.groups())>([&]<int G>() BLOCQ_INLINE_LAMBDA {
      vec::store_bytes(&to.scales[G][half], vec::as_bytes(vec::widen_two<G % 4, G % 4>(groups.scale[G / 4])));
    });
    if constexpr (K.offset)
      simd::unroll<8>([&]<int C>() BLOCQ_INLINE_LAMBDA {
        constexpr int two = K.groups() == 2, g = C * (1 + two);
        vec::store_bytes(&to.mins[C][half], vec::as_bytes(vec::widen_two<g % 4, g % 4 + two>(groups.min[g / 4])));
      });
  } else {
    static_assert(!K.offset);
    vec::bytes scales[K.groups()][8];
    for (std::size_t r = 0; r < 8; ++r) {
      const vec::words s = group_scales(*blocks[r]).scale;
      for (std::size_t g = 0; g < K.groups(); ++g)
        scales[g][r] = K.groups() == 1 ? vec::as_bytes(s) : vec::repeat_words(s, static_cast<int>(g));
    }
    for (std::size_t g = 0; g < K.groups(); ++g) store_transposed(scales[g], &to.scales[8 * g], half);
  }
}

// Chunks [first, first + chunks) of a panel's rows; a row may be given several times.
template <integer_format B>
void expand(const B* const (&rows)[panel_rows], std::size_t first, std::size_t chunks,
            panel<kernel_for<B>>& to) noexcept {
  constexpr kernel K = kernel_for<B>;
  constexpr int per_block = static_cast<int>(block_size<B>) / 32;
  for (std::size_t half = 0; half < panel_rows; half += 8) {
    for (std::size_t c = 0; c < chunks; c += per_block) {
      const B* blocks[8];
      for (std::size_t r = 0; r < 8; ++r) blocks[r] = rows[half + r] + (first + c) / per_block;
      const column_reader<B> columns(blocks);
      columns.each_chunk([&](int chunk, const vec::bytes(&v)[8]) BLOCQ_INLINE_LAMBDA {
        auto* const steps = &to.steps[(c + static_cast<std::size_t>(chunk)) * K.steps()];
        if constexpr (K.words()) {
          for (std::size_t i = 0; i < 8; ++i) {
            vec::words even, odd;
            column_words<B>(v[i], even, odd);
            store_steps<K>(vec::as_bytes(even), vec::as_bytes(odd), steps + 2 * i, half);
          }
        } else {
          const auto codes = [&](std::size_t i) BLOCQ_INLINE_LAMBDA { return panel_codes<B>(v[i]); };
          for (std::size_t i = 0; i < 8; i += 2) store_steps<K>(codes(i), codes(i + 1), steps + i, half);
        }
      });
      if constexpr (!K.integer_scales) store_scales<B>(blocks, c, half, to);
    }
    if constexpr (K.integer_scales) {
      const B* blocks[8];
      for (std::size_t r = 0; r < 8; ++r) blocks[r] = rows[half + r] + first / per_block;
      store_group_scales<B>(blocks, half, to);
    }
  }
}

template <std::size_t Count, class F>
BLOCQ_INLINE void repeat(F&& f) noexcept {
  [&]<std::size_t... i>(std::index_sequence<i...>) BLOCQ_INLINE_LAMBDA {
    (f(std::integral_constant<std::size_t, i>{}), ...);
  }
  (std::make_index_sequence<Count>{});
}

// Bytes of a panel's rows that are asked for while others are multiplied, some lines at a time, because the processor
// waits for no more than a few dozen at once. None if bytes is 0.
struct row_bytes {
  const std::byte* at[panel_rows];
  std::size_t bytes = 0;

  BLOCQ_INLINE void prefetch(std::size_t row) const noexcept {
    if (bytes == 0) return;
    const auto* const first = at[row] - reinterpret_cast<std::uintptr_t>(at[row]) % 64;
    for (const auto* line = first; line < at[row] + bytes; line += 64) vec::prefetch(line);
  }
};

// Adds a slab's products to total[panel_rows j + r]: a panel's rows of W times T rows of X.
template <kernel K, std::size_t T>
BLOCQ_NOINLINE void multiply(const panel<K>& w, const std::uint32_t* x, std::size_t chunks, float* total,
                             const row_bytes& next) noexcept {
  const auto x_at = [x](std::size_t i, std::size_t j) BLOCQ_INLINE_LAMBDA { return wide::fill_dwords(x + i * T + j); };
  const auto each = [](auto&& f) BLOCQ_INLINE_LAMBDA { repeat<T>(f); };
  const auto add = [&](std::size_t j, auto term) BLOCQ_INLINE_LAMBDA {
    float* const sum = total + panel_rows * j;
    wide::store_floats(sum, term(wide::load_floats(sum)));
  };
  wide::ints whole[T];
  wide::floats first[T];  // of two groups of a chunk, without the activations' scale
  each([&](auto j) BLOCQ_INLINE_LAMBDA {
    whole[j] = wide::fill_ints(0);
    first[j] = wide::to_floats(whole[j]);
  });
  for (std::size_t g = 0; g < chunks * K.groups(); ++g) {
    constexpr std::size_t some = panel_rows / slab_chunks / K.groups();
    for (std::size_t row = g * some; row < (g + 1) * some; ++row) next.prefetch(row);
    const auto scale = [&]() BLOCQ_INLINE_LAMBDA { return wide::load_bytes(w.scales[g]); };
    for (std::size_t unit = g * (K.span / K.depth); unit < (g + 1) * (K.span / K.depth); ++unit) {
      const auto each_step = [&](auto&& f) BLOCQ_INLINE_LAMBDA {
        constexpr bool crowded = K.groups() == 2 && !K.integer_scales && wide::columns == 4;
        const std::size_t depth = crowded ? simd::opaque(K.depth) : K.depth;
        for (std::size_t s = 0; s < depth; ++s) {
          const wide::bytes step = wide::load_bytes(w.steps[unit * K.depth + s]);
          each([&](auto j) BLOCQ_INLINE_LAMBDA { f(j, step, x_at(unit * K.depth + s, j)); });
        }
      };
      const auto correction = [&](std::size_t j)
                                  BLOCQ_INLINE_LAMBDA { return x_at(packed_x<K>::corrections + unit, j); };
      if constexpr (K.how == summing::words) {
        each_step([&](auto j, wide::bytes a, wide::bytes b) BLOCQ_INLINE_LAMBDA {
          wide::add_to(whole[j], wide::madd2(wide::as_words(a), wide::as_words(b)));
        });
      } else if constexpr (K.ints()) {
        wide::ints part[T];
        if constexpr (K.how == summing::eights) {
          simd::squares<T> sums;
          if constexpr (K.corrections) sums.start(x + (packed_x<K>::corrections + unit) * T);
          repeat<K.depth / 2>([&](auto i) BLOCQ_INLINE_LAMBDA {
            const std::size_t s = unit * K.depth + 2 * i;
            sums.add(w.steps[s], x + s * T);
          });
          sums.store(part);
        } else {
          each([&](auto j) BLOCQ_INLINE_LAMBDA {
            part[j] = K.corrections ? wide::as_ints(correction(j)) : wide::fill_ints(0);
          });
          each_step([&](auto j, wide::bytes a, wide::bytes b) BLOCQ_INLINE_LAMBDA { wide::dot4_to(part[j], a, b); });
        }
        const wide::ints factor = wide::upper_words(scale());
        each([&](auto j) BLOCQ_INLINE_LAMBDA {
          if constexpr (K.integer_scales)
            wide::add_to(whole[j], part[j] * factor);
          else
            whole[j] = part[j];
        });
      } else {
        wide::words part[T];
        each([&](auto j) BLOCQ_INLINE_LAMBDA {
          part[j] = K.corrections ? wide::as_words(correction(j)) : wide::fill_words(0);
        });
        each_step([&](auto j, wide::bytes a, wide::bytes b)
                      BLOCQ_INLINE_LAMBDA { wide::add_to(part[j], wide::maddubs(a, b)); });
        const wide::words factor = K.integer_scales ? wide::as_words(scale()) : wide::fill_words(1);
        each([&](auto j) BLOCQ_INLINE_LAMBDA {
          if constexpr (!K.integer_scales && K.depth == K.span)
            whole[j] = wide::madd2(part[j], factor);
          else
            wide::add_to(whole[j], wide::madd2(part[j], factor));
        });
      }
    }
    if constexpr (!K.integer_scales) {
      const std::size_t c = g / K.groups();
      each([&](auto j) BLOCQ_INLINE_LAMBDA {
        const wide::floats products = wide::to_floats(whole[j]), step = wide::as_floats(scale());
        if constexpr (K.words() || K.depth != K.span) whole[j] = wide::fill_ints(0);
        if (K.groups() == 2 && g % 2 == 0) {
          first[j] = products * step;
          return;
        }
        add(j, [&](wide::floats sum) BLOCQ_INLINE_LAMBDA {
          const wide::floats dx = wide::as_floats(x_at(packed_x<K>::scales + c, j));
          if constexpr (K.groups() == 2)
            sum = wide::fma(wide::fma(products, step, first[j]), dx, sum);
          else  // the activations' scale first: it is never near the ends of a float's range, the weights' may be
            sum = wide::fma(products * dx, step, sum);
          if constexpr (K.offset)
            sum = wide::fma(wide::as_floats(wide::load_bytes(w.mins[c])),
                            wide::as_floats(x_at(packed_x<K>::bsums + c, j)), sum);
          return sum;
        });
      });
    }
  }
  if constexpr (K.integer_scales) {
    const auto dx = [&](std::size_t j) BLOCQ_INLINE_LAMBDA { return wide::as_floats(x_at(packed_x<K>::scales, j)); };
    each([&](auto j) BLOCQ_INLINE_LAMBDA {
      add(j, [&](wide::floats sum) BLOCQ_INLINE_LAMBDA {
        return wide::fma(wide::to_floats(whole[j]), wide::load_floats(w.scale) * dx(j), sum);
      });
    });
    if constexpr (K.offset) {
      each([&](auto j) BLOCQ_INLINE_LAMBDA { whole[j] = wide::fill_ints(0); });
      for (std::size_t c = 0; c < chunks; ++c) {
        const wide::words mins = wide::as_words(wide::load_bytes(w.mins[c]));
        each([&](auto j) BLOCQ_INLINE_LAMBDA {
          whole[j] = whole[j] + wide::madd2(mins, wide::as_words(x_at(packed_x<K>::bsums + c, j)));
        });
      }
      each([&](auto j) BLOCQ_INLINE_LAMBDA {
        add(j, [&](wide::floats sum) BLOCQ_INLINE_LAMBDA {
          return sum - wide::to_floats(whole[j]) * (wide::load_floats(w.min_scale) * dx(j));
        });
      });
    }
  }
}

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
