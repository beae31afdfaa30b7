// Products of sixteen rows of weights with a few rows of activations in integers: what gemm is made of.
//
// A slab of 256 columns of the weights is expanded to a panel in which a vector holds the next few elements of eight
// rows. The panel stays in the nearest cache while the rows of X, packed side by side, pass over it. A dword holds
//
//   four codes   of values of up to 7 bits: byte products in 16-bit sums, which one multiplication by the group's
//                integer scale, or by one, widens to 32 bits. A sum starts at minus the offset of the codes times the
//                activations, so unsigned codes cost nothing: 16-bit arithmetic wraps, and the true sum fits.
//   two words    of values of 8 or 9 bits
//
// A kernel is a function of the integers of a format, not of the format.
#ifndef BLOCQ_OP_TILE_HPP
#define BLOCQ_OP_TILE_HPP

#include <blocq/codec/floats.hpp>
#include <blocq/codec/points.hpp>
#include <blocq/codec/superblock.hpp>

#include <cstddef>
#include <cstring>
#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

inline constexpr std::size_t panel_rows = 16, slab_chunks = 8;

// The operand of the integer kernel of B; void if its numbers are no small integers. MX blocks meet activations of the
// same precision as those of other formats.
template <class B>
struct integer_operand {
  using type = void;
};
template <chunked_format B>
requires(!std::is_same_v<B, q8_k>) struct integer_operand<B> {
  using type = std::conditional_t<float_chunks<B>, q8_0, operand_t<B>>;
};
template <class B>
using integer_operand_t = typename integer_operand<B>::type;
template <class B>
concept integer_format = !std::is_void_v<integer_operand_t<B>>;

struct kernel {
  bool words;           // a dword of the panel is two words, not four codes
  std::size_t span;     // dwords that share a scale
  std::size_t depth;    // dwords that are summed in 16 bits
  bool corrections;     // the sums start at what `packed_x` says instead of 0
  bool integer_scales;  // within a slab; otherwise each is a float
  bool offset;          // groups, or chunks, have a minimum

  constexpr std::size_t steps() const noexcept { return words ? 16 : 8; }  // dwords of a chunk
  constexpr std::size_t groups() const noexcept { return steps() / span; }
};

template <integer_format B>
inline constexpr kernel kernel_for = [] {
  constexpr value_range r = values_of<B>;
  constexpr int magnitude = r.highest > -r.lowest ? r.highest : -r.lowest;
  constexpr std::size_t group = step_group<B> < 32 ? static_cast<std::size_t>(step_group<B>) : 32;
  kernel k{full_bytes<B>, full_bytes<B> ? group / 2 : group / 4,  0,
           false,         superblock_format<B> && !full_bytes<B>, has_offset<B>};
  k.depth = k.span;
  if (!k.words) {
    k.corrections = r.lowest != 0;
    while (static_cast<int>(k.depth) * magnitude * 127 * 2 > 32767) k.depth /= 2;
  }
  return k;
}();

// Rows of X, packed for a slab: T rows side by side, dword s of row j at T s + j; first the numbers themselves, then
template <kernel K>
struct packed_x {
  static constexpr std::size_t corrections = slab_chunks * K.steps();  // two words for each `depth` dwords
  static constexpr std::size_t sums =                                  // for each chunk: two words, sums of 16; or
      corrections + (K.corrections ? slab_chunks * K.steps() / K.depth : 0);  // a float, scale * sum of 32
  static constexpr std::size_t scales = sums + (K.offset ? slab_chunks : 0);  // a float for each chunk, or one
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
    if constexpr (K.words)
      dword = two_words(q[2 * s], q[2 * s + 1]);
    else
      std::memcpy(&dword, q + 4 * s, 4);
    put(c * K.steps() + s, dword);
  }
  if constexpr (K.corrections)
    for (std::size_t u = 0; u < K.steps() / K.depth; ++u) {
      int low = 0, high = 0;
      for (const std::int8_t* p = q + u * K.depth * 4; p < q + (u + 1) * K.depth * 4; p += 4)
        low += p[0] + p[1], high += p[2] + p[3];
      put(layout::corrections + c * (K.steps() / K.depth) + u,
          two_words(values_of<B>.lowest * low, values_of<B>.lowest * high));
    }
  if constexpr (K.offset && K.integer_scales)
    put(layout::sums + c, two_words(load(x.bsums[2 * chunk]), load(x.bsums[2 * chunk + 1])));
  else if constexpr (K.offset)
    put(layout::sums + c, to_bits(f16_to_f32(x.s)));
  if (!K.integer_scales || c == 0) put(layout::scales + c, to_bits(block_scale(x)));
}

// A slab of sixteen rows of weights.
template <kernel K>
struct panel {
  std::uint32_t steps[slab_chunks * K.steps()][panel_rows];
  std::uint32_t scales[slab_chunks * K.groups()][panel_rows];  // a word twice, or a float
  std::uint32_t mins[K.offset ? slab_chunks : 1][panel_rows];  // two words, or a float
  float scale[panel_rows], min_scale[panel_rows];              // of the slab, with integer scales
};

BLOCQ_INLINE void store_transposed(vec::bytes (&v)[8], std::uint32_t (*to)[panel_rows], std::size_t row) noexcept {
  vec::transpose_eighths(v);
  for (std::size_t i = 0; i < 8; ++i) vec::store_bytes(&to[i][row], v[i]);
}

template <class B>
struct eight_readers {
  chunk_reader<B> of[8];
};

// Chunks [first, first + chunks) of sixteen rows; a row may be given several times.
template <integer_format B>
void expand(const B* const (&rows)[panel_rows], std::size_t first, std::size_t chunks,
            panel<kernel_for<B>>& to) noexcept {
  constexpr kernel K = kernel_for<B>;
  constexpr std::size_t per_block = block_size<B> / 32;
  for (std::size_t half = 0; half < panel_rows; half += 8) {
    for (std::size_t c = 0; c < chunks;) {
      const std::size_t block = (first + c) / per_block;
      const auto readers = [&]<std::size_t... r>(std::index_sequence<r...>) BLOCQ_INLINE_LAMBDA {
        return eight_readers<B>{chunk_reader<B>(rows[half + r][block])...};
      }
      (std::make_index_sequence<8>{});
      for (std::size_t i = (first + c) % per_block; i < per_block && c < chunks; ++i, ++c) {
        const auto chunk = static_cast<int>(i);
        if constexpr (K.words) {
          vec::bytes v[2][8];
          for (std::size_t r = 0; r < 8; ++r) {
            vec::words w[2];
            chunk_words(rows[half + r][block], chunk, w);
            for (std::size_t h = 0; h < 2; ++h) v[h][r] = vec::as_bytes(w[h]);
          }
          for (std::size_t h = 0; h < 2; ++h) store_transposed(v[h], &to.steps[c * 16 + h * 8], half);
        } else {
          vec::bytes v[8];
          for (std::size_t r = 0; r < 8; ++r) v[r] = readers.of[r].codes(chunk);
          store_transposed(v, &to.steps[c * 8], half);
        }
        if constexpr (!K.integer_scales)
          for (std::size_t r = half; r < half + 8; ++r) {
            const B& b = rows[r][block];
            const float d = block_scale(b), m = block_offset(b);
            for (std::size_t g = 0; g < K.groups(); ++g)
              to.scales[c * K.groups() + g][r] =
                  to_bits(group_step(b, d, m, (32 * chunk + static_cast<int>(g) * 16) / step_group<B>).step);
            if constexpr (K.offset) to.mins[c][r] = to_bits(m);
          }
      }
    }
    if constexpr (K.integer_scales) {
      vec::bytes scales[2][8], mins[8];
      for (std::size_t r = 0; r < 8; ++r) {
        const B& b = rows[half + r][first / per_block];
        const scale_words s = group_scales(b);
        for (std::size_t g = 0; g < K.groups(); ++g)
          scales[g][r] = K.groups() == 1 ? vec::as_bytes(s.scale) : vec::repeat_words(s.scale, static_cast<int>(g));
        mins[r] = vec::as_bytes(s.min);
        to.scale[half + r] = superblock_scale(b);
        to.min_scale[half + r] = block_offset(b);
      }
      for (std::size_t g = 0; g < K.groups(); ++g) store_transposed(scales[g], &to.scales[8 * g], half);
      if constexpr (K.offset) store_transposed(mins, to.mins, half);
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

// Adds a slab's products to sums[16 j + r]: sixteen rows of W times T rows of X.
template <kernel K, std::size_t T>
BLOCQ_NOINLINE void multiply(const panel<K>& w, const std::uint32_t* x, std::size_t chunks, float* sums) noexcept {
  const auto at = [](const std::uint32_t* p) BLOCQ_INLINE_LAMBDA { return vec::load_bytes(p); };
  const auto floats_at = [](const std::uint32_t* p) BLOCQ_INLINE_LAMBDA { return vec::as_floats(vec::load_bytes(p)); };
  const auto each = [](auto&& f) BLOCQ_INLINE_LAMBDA {
    repeat<T>([&](auto j) BLOCQ_INLINE_LAMBDA { repeat<2>([&](auto h) BLOCQ_INLINE_LAMBDA { f(h, j); }); });
  };
  vec::ints whole[2][T];
  vec::floats first[2][T];  // of two groups of a chunk, without the activations' scale
  each([&](auto h, auto j) BLOCQ_INLINE_LAMBDA {
    whole[h][j] = vec::fill_ints(0);
    first[h][j] = vec::fill_floats(0.0f);
  });
  for (std::size_t g = 0; g < chunks * K.groups(); ++g) {
    for (std::size_t unit = g * (K.span / K.depth); unit < (g + 1) * (K.span / K.depth); ++unit) {
      const std::uint32_t(*step)[panel_rows] = &w.steps[unit * K.depth];
      const std::uint32_t* xs = x + unit * K.depth * T;
      if constexpr (K.words) {
        for (std::size_t s = 0; s < K.depth; ++s, ++step, xs += T) {
          const vec::words w0 = vec::as_words(at(&step[0][0])), w1 = vec::as_words(at(&step[0][8]));
          repeat<T>([&](auto j) BLOCQ_INLINE_LAMBDA {
            const vec::words xj = vec::as_words(vec::fill_eighths(xs + j));
            vec::add_to(whole[0][j], vec::madd2(w0, xj));
            vec::add_to(whole[1][j], vec::madd2(w1, xj));
          });
        }
      } else {
        vec::words part[2][T];
        repeat<T>([&](auto j) BLOCQ_INLINE_LAMBDA {
          part[0][j] = part[1][j] =
              K.corrections ? vec::as_words(vec::fill_eighths(x + (packed_x<K>::corrections + unit) * T + j))
                            : vec::fill_words(0);
        });
        for (std::size_t s = 0; s < K.depth; ++s, ++step, xs += T) {
          const vec::bytes w0 = at(&step[0][0]), w1 = at(&step[0][8]);
          repeat<T>([&](auto j) BLOCQ_INLINE_LAMBDA {
            const vec::bytes xj = vec::fill_eighths(xs + j);
            vec::add_to(part[0][j], vec::maddubs(w0, xj));
            vec::add_to(part[1][j], vec::maddubs(w1, xj));
          });
        }
        const vec::words factor[2] = {K.integer_scales ? vec::as_words(at(&w.scales[g][0])) : vec::fill_words(1),
                                      K.integer_scales ? vec::as_words(at(&w.scales[g][8])) : vec::fill_words(1)};
        each([&](auto h, auto j) BLOCQ_INLINE_LAMBDA { vec::add_to(whole[h][j], vec::madd2(part[h][j], factor[h])); });
      }
    }
    if constexpr (!K.integer_scales) {
      const std::size_t c = g / K.groups();
      each([&](auto h, auto j) BLOCQ_INLINE_LAMBDA {
        const vec::floats products = vec::to_floats(whole[h][j]), scale = floats_at(&w.scales[g][8 * h]);
        whole[h][j] = vec::fill_ints(0);
        if (K.groups() == 2 && g % 2 == 0) {
          first[h][j] = products * scale;
          return;
        }
        float* const sum = sums + 16 * j + 8 * h;
        const vec::floats dx = vec::as_floats(vec::fill_eighths(x + (packed_x<K>::scales + c) * T + j));
        vec::floats total = vec::load_floats(sum);
        if constexpr (K.groups() == 2)
          total = vec::fma(vec::fma(products, scale, first[h][j]), dx, total);
        else  // the activations' scale first: it is never near the ends of a float's range, the weights' may be
          total = vec::fma(products * dx, scale, total);
        if constexpr (K.offset)
          total = vec::fma(floats_at(&w.mins[c][8 * h]),
                           vec::as_floats(vec::fill_eighths(x + (packed_x<K>::sums + c) * T + j)), total);
        vec::store_floats(sum, total);
      });
    }
  }
  if constexpr (K.integer_scales) {
    each([&](auto h, auto j) BLOCQ_INLINE_LAMBDA {
      const vec::floats dx = vec::as_floats(vec::fill_eighths(x + packed_x<K>::scales * T + j));
      const vec::floats total = vec::load_floats(sums + 16 * j + 8 * h);
      vec::store_floats(sums + 16 * j + 8 * h,
                        vec::fma(vec::to_floats(whole[h][j]), vec::load_floats(&w.scale[8 * h]) * dx, total));
    });
    if constexpr (K.offset) {
      each([&](auto h, auto j) BLOCQ_INLINE_LAMBDA { whole[h][j] = vec::fill_ints(0); });
      for (std::size_t c = 0; c < chunks; ++c) {
        const vec::words m0 = vec::as_words(at(&w.mins[c][0])), m1 = vec::as_words(at(&w.mins[c][8]));
        repeat<T>([&](auto j) BLOCQ_INLINE_LAMBDA {
          const vec::words xj = vec::as_words(vec::fill_eighths(x + (packed_x<K>::sums + c) * T + j));
          whole[0][j] = whole[0][j] + vec::madd2(m0, xj);
          whole[1][j] = whole[1][j] + vec::madd2(m1, xj);
        });
      }
      each([&](auto h, auto j) BLOCQ_INLINE_LAMBDA {
        const vec::floats dx = vec::as_floats(vec::fill_eighths(x + packed_x<K>::scales * T + j));
        const vec::floats total = vec::load_floats(sums + 16 * j + 8 * h);
        vec::store_floats(sums + 16 * j + 8 * h,
                          total - vec::to_floats(whole[h][j]) * (vec::load_floats(&w.min_scale[8 * h]) * dx));
      });
    }
  }
}

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
