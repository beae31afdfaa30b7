// Matrix products Y = X * W^T with the weights as they lie in the file: nothing is repacked beforehand.
//
// Sixteen rows of W at a time are expanded, a slab of 256 columns after the other, to a panel in which a vector holds
// the next few elements of eight rows. The panel stays in the nearest cache while all rows of X pass over it. What a
// dword of the panel holds, and so which kernel runs, follows from the integers of the format:
//
//   four codes     values of up to 7 bits: byte products in 16-bit sums, which one multiplication by the group's
//                  integer scale, or by one, widens to 32 bits. A sum starts at minus the offset of the codes times
//                  the activations, so unsigned codes cost nothing: 16-bit arithmetic wraps, and the true sum fits.
//   two words      values of 8 bits
//   one float      everything else
//
// Rows of X are packed once per call, four side by side. Every element of Y is a function of its row of X and its row
// of W alone, so any split of W into ranges of rows gives the same numbers.
#ifndef BLOCQ_OP_GEMM_HPP
#define BLOCQ_OP_GEMM_HPP

#include <blocq/codec/floats.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/core/view.hpp>
#include <blocq/encode/all.hpp>
#include <blocq/op/dot.hpp>

#include <cstddef>
#include <cstring>
#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

inline constexpr std::size_t panel_rows = 16, tile_rows = 4, slab_chunks = 8;

enum class panel_kind { bytes, words, floats };

// How a format is multiplied.
template <class B>
struct gemm_plan {
  static constexpr bool chunked = chunked_format<B> && !std::is_same_v<B, q8_k> && !float_chunks<B>;
  static constexpr panel_kind kind = [] {
    if constexpr (!chunked)
      return panel_kind::floats;
    else
      return full_bytes<B> ? panel_kind::words : panel_kind::bytes;
  }();
  // Dwords of a panel, for one row, per chunk of 32 elements.
  static constexpr std::size_t steps = kind == panel_kind::bytes ? 8 : kind == panel_kind::words ? 16 : 32;
  // Groups are scaled by integers within a slab, or by a float each.
  static constexpr bool integer_scales = kind == panel_kind::bytes && superblock_format<B>;
  // Elements of a chunk that share a scale, in dwords of the panel.
  static constexpr std::size_t span = [] {
    if constexpr (kind == panel_kind::floats)
      return steps;
    else
      return (step_group<B> < 32 ? static_cast<std::size_t>(step_group<B>) : 32) * steps / 32;
  }();
  static constexpr std::size_t groups = steps / span;  // per chunk
  static constexpr int offset = [] {
    if constexpr (kind == panel_kind::bytes)
      return -values_of<B>.lowest;
    else
      return 0;
  }();
  // How many steps a 16-bit sum takes before it must be widened; the sums that must fit are those of the values.
  static constexpr std::size_t depth = [] {
    if constexpr (kind == panel_kind::bytes) {
      constexpr value_range r = values_of<B>;
      constexpr int magnitude = r.highest > -r.lowest ? r.highest : -r.lowest;
      int d = static_cast<int>(span);
      while (d * magnitude * 127 * 2 > 32767) d /= 2;
      return static_cast<std::size_t>(d);
    } else {
      return span;
    }
  }();
  static constexpr bool float_offset = kind != panel_kind::floats && has_offset<B> && !integer_scales;
  static constexpr bool integer_offset = integer_scales && has_offset<B>;
};

// Four rows of X, packed: dword s of row j is number 4 s + j, and so are the others.
struct packed_tile {
  const std::uint32_t* steps;        // gemm_plan::steps per chunk
  const std::uint32_t* corrections;  // two words, per `depth` steps: minus offset * (sum of x) of each word's elements
  const std::uint32_t* sums;         // per chunk: two words, sums of 16 elements; or a float, scale * sum of 32
  const float* scales;               // per chunk; of the slab's first chunk if scales are integers
};

template <class B>
struct tile_layout {
  std::size_t corrections, sums, scales, total;  // in dwords

  explicit constexpr tile_layout(std::size_t chunks) noexcept {
    using plan = gemm_plan<B>;
    corrections = chunks * plan::steps * tile_rows;
    sums = corrections + (plan::offset != 0 ? chunks * (plan::steps / plan::depth) * tile_rows : 0);
    scales = sums + (plan::integer_offset || plan::float_offset ? chunks * tile_rows : 0);
    total = scales + (plan::kind == panel_kind::floats ? 0 : chunks * tile_rows);
  }
  packed_tile at(const std::uint32_t* p, std::size_t chunk) const noexcept {
    using plan = gemm_plan<B>;
    return {p + chunk * plan::steps * tile_rows, p + corrections + chunk * (plan::steps / plan::depth) * tile_rows,
            p + sums + chunk * tile_rows, reinterpret_cast<const float*>(p) + scales + chunk * tile_rows};
  }
};

BLOCQ_INLINE std::uint32_t two_words(int low, int high) noexcept {
  return (static_cast<std::uint32_t>(low) & 0xffffu) | static_cast<std::uint32_t>(high) << 16;
}

// Packs row j of a tile. x is a row of operand blocks, or of floats for panels of floats.
template <class B, class X>
void pack_row(const X* x, std::size_t elements, std::size_t j, std::uint32_t* tile) noexcept {
  using plan = gemm_plan<B>;
  const std::size_t chunks = (elements + 31) / 32;
  const tile_layout<B> layout(chunks);
  if constexpr (plan::kind == panel_kind::floats) {
    for (std::size_t i = 0; i < chunks * 32; ++i) tile[i * tile_rows + j] = i < elements ? to_bits(x[i]) : 0;
  } else {
    constexpr std::size_t per_block = block_size<X> / 32;
    for (std::size_t c = 0; c < chunks; ++c) {
      const X& block = x[c / per_block];
      const std::int8_t* q = block.qs + c % per_block * 32;
      for (std::size_t s = 0; s < plan::steps; ++s) {
        std::uint32_t dword;
        if constexpr (plan::kind == panel_kind::bytes)
          std::memcpy(&dword, q + 4 * s, 4);
        else
          dword = two_words(q[2 * s], q[2 * s + 1]);
        tile[(c * plan::steps + s) * tile_rows + j] = dword;
      }
      if constexpr (plan::offset != 0)
        for (std::size_t u = 0; u < plan::steps / plan::depth; ++u) {
          int low = 0, high = 0;
          for (const std::int8_t* p = q + u * plan::depth * 4; p < q + (u + 1) * plan::depth * 4; p += 4)
            low += p[0] + p[1], high += p[2] + p[3];
          tile[layout.corrections + (c * (plan::steps / plan::depth) + u) * tile_rows + j] =
              two_words(-plan::offset * low, -plan::offset * high);
        }
      if constexpr (plan::integer_offset)
        tile[layout.sums + c * tile_rows + j] =
            two_words(load(block.bsums[c % per_block * 2]), load(block.bsums[c % per_block * 2 + 1]));
      if constexpr (plan::float_offset) tile[layout.sums + c * tile_rows + j] = to_bits(f16_to_f32(block.s));
      tile[layout.scales + c * tile_rows + j] = to_bits(block_scale(block));
    }
  }
}

// Sixteen rows of a slab.
template <class B>
struct panel {
  using plan = gemm_plan<B>;
  std::uint32_t steps[slab_chunks * plan::steps][panel_rows];
  std::uint32_t scales[slab_chunks * plan::groups][panel_rows];  // a word twice, or a float
  std::uint32_t mins[slab_chunks][panel_rows];                   // two words, or a float
  float scale[panel_rows], min_scale[panel_rows];                // of the slab, with integer scales

  // Elements 32 first to 32 (first + chunks) of sixteen rows; a row may be given several times.
  void expand(const B* const (&rows)[panel_rows], std::size_t elements, std::size_t first,
              std::size_t chunks) noexcept {
    for (std::size_t half = 0; half < panel_rows; half += 8) {
      for (std::size_t c = 0; c < chunks; ++c) {
        if constexpr (plan::kind == panel_kind::floats) {
          float y[8][32];
          for (std::size_t r = 0; r < 8; ++r) decode_floats(rows[half + r], elements, (first + c) * 32, y[r]);
          for (std::size_t i = 0; i < 32; i += 8) {
            vec::bytes v[8];
            for (std::size_t r = 0; r < 8; ++r) v[r] = vec::as_bytes(vec::load_floats(y[r] + i));
            store_steps(v, c * 32 + i, half);
          }
        } else {
          constexpr std::size_t per_block = block_size<B> / 32;
          const std::size_t block = (first + c) / per_block;
          const int chunk = static_cast<int>((first + c) % per_block);
          vec::bytes v[8];
          if constexpr (plan::kind == panel_kind::bytes) {
            for (std::size_t r = 0; r < 8; ++r) v[r] = chunk_codes(rows[half + r][block], chunk);
            store_steps(v, c * 8, half);
          } else {
            for (int h = 0; h < 2; ++h) {
              for (std::size_t r = 0; r < 8; ++r)
                v[r] = vec::as_bytes(vec::widen_half(chunk_values(rows[half + r][block], chunk), h));
              store_steps(v, c * 16 + static_cast<std::size_t>(h) * 8, half);
            }
          }
        }
      }
    }
    if constexpr (plan::kind != panel_kind::floats)
      for (std::size_t r = 0; r < panel_rows; ++r) expand_scales(rows[r], r, first, chunks);
  }

 private:
  void store_steps(vec::bytes (&v)[8], std::size_t step, std::size_t half) noexcept {
    vec::transpose_eighths(v);
    for (std::size_t i = 0; i < 8; ++i) vec::store_bytes(&steps[step + i][half], v[i]);
  }
  // 32 elements from number `at` on; those beyond the row's end are zero.
  static void decode_floats(const B* row, std::size_t elements, std::size_t at, float* y) noexcept {
    if constexpr (block_size<B> >= 32) {
      float block[block_size<B>];
      decode(row[at / block_size<B>], block);
      std::memcpy(y, block + at % block_size<B>, 32 * sizeof(float));
    } else {
      for (std::size_t i = 0; i < 32; i += block_size<B>) {
        if (at + i < elements)
          decode(row[(at + i) / block_size<B>], y + i);
        else
          for (std::size_t k = 0; k < block_size<B>; ++k) y[i + k] = 0.0f;
      }
    }
  }
  void expand_scales(const B* row, std::size_t r, std::size_t first, std::size_t chunks) noexcept {
    constexpr std::size_t per_block = block_size<B> / 32;
    if constexpr (plan::integer_scales) {
      const B& b = row[first / per_block];
      const superblock_scales<B> s(b);
      for (std::size_t g = 0; g < chunks * plan::groups; ++g) {
        const int word = s.scale[g * (2 / plan::groups)];
        scales[g][r] = two_words(word, word);
      }
      if constexpr (plan::integer_offset)
        for (std::size_t c = 0; c < chunks; ++c) mins[c][r] = two_words(s.min[2 * c], s.min[2 * c + 1]);
      scale[r] = superblock_scale(b);
      min_scale[r] = block_offset(b);
    } else {
      for (std::size_t c = 0; c < chunks; ++c) {
        const B& b = row[(first + c) / per_block];
        const float d = block_scale(b), m = block_offset(b);
        for (std::size_t g = 0; g < plan::groups; ++g) {
          const std::size_t element = (first + c) % per_block * 32 + g * (32 / plan::groups);
          scales[c * plan::groups + g][r] =
              to_bits(group_step(b, d, m, static_cast<int>(element) / step_group<B>).step);
        }
        if constexpr (plan::float_offset) mins[c][r] = to_bits(m);
      }
    }
  }
};

// Adds a slab's products to sums[j][r]: sixteen rows of W times four rows of X.
template <class B>
void multiply(const panel<B>& w, packed_tile x, std::size_t chunks, float (&sums)[tile_rows][panel_rows]) noexcept {
  using plan = gemm_plan<B>;
  constexpr std::size_t T = tile_rows;
  const auto floats_at = [](const std::uint32_t* p) { return vec::as_floats(vec::load_bytes(p)); };
  vec::floats total[2][T];
  for (std::size_t h = 0; h < 2; ++h)
    for (std::size_t j = 0; j < T; ++j) total[h][j] = vec::load_floats(&sums[j][8 * h]);

  if constexpr (plan::kind == panel_kind::floats) {
    for (std::size_t s = 0; s < chunks * 32; ++s)
      for (std::size_t j = 0; j < T; ++j)
        for (std::size_t h = 0; h < 2; ++h)
          total[h][j] = vec::fma(floats_at(&w.steps[s][8 * h]), vec::as_floats(vec::fill_eighths(x.steps + s * T + j)),
                                 total[h][j]);
  } else {
    vec::ints whole[2][T];
    for (auto& half : whole)
      for (vec::ints& v : half) v = vec::fill_ints(0);
    for (std::size_t g = 0; g < chunks * plan::groups; ++g) {
      for (std::size_t u = 0; u < plan::span / plan::depth; ++u) {
        const std::size_t unit = g * (plan::span / plan::depth) + u;
        if constexpr (plan::kind == panel_kind::bytes) {
          vec::words part[2][T];
          for (std::size_t j = 0; j < T; ++j)
            part[0][j] = part[1][j] =
                plan::offset != 0 ? vec::as_words(vec::fill_eighths(x.corrections + unit * T + j)) : vec::fill_words(0);
          for (std::size_t s = unit * plan::depth; s < (unit + 1) * plan::depth; ++s) {
            const vec::bytes w0 = vec::load_bytes(&w.steps[s][0]), w1 = vec::load_bytes(&w.steps[s][8]);
            for (std::size_t j = 0; j < T; ++j) {
              const vec::bytes xs = vec::fill_eighths(x.steps + s * T + j);
              part[0][j] = part[0][j] + vec::maddubs(w0, xs);
              part[1][j] = part[1][j] + vec::maddubs(w1, xs);
            }
          }
          for (std::size_t h = 0; h < 2; ++h) {
            const vec::words factor =
                plan::integer_scales ? vec::as_words(vec::load_bytes(&w.scales[g][8 * h])) : vec::fill_words(1);
            for (std::size_t j = 0; j < T; ++j) whole[h][j] = whole[h][j] + vec::madd2(part[h][j], factor);
          }
        } else {
          for (std::size_t s = unit * plan::depth; s < (unit + 1) * plan::depth; ++s) {
            const vec::words w0 = vec::as_words(vec::load_bytes(&w.steps[s][0])),
                             w1 = vec::as_words(vec::load_bytes(&w.steps[s][8]));
            for (std::size_t j = 0; j < T; ++j) {
              const vec::words xs = vec::as_words(vec::fill_eighths(x.steps + s * T + j));
              whole[0][j] = whole[0][j] + vec::madd2(w0, xs);
              whole[1][j] = whole[1][j] + vec::madd2(w1, xs);
            }
          }
        }
      }
      if constexpr (!plan::integer_scales) {
        const std::size_t c = g / plan::groups;
        for (std::size_t j = 0; j < T; ++j) {
          const vec::floats dx = vec::fill_floats(x.scales[c * T + j]);
          for (std::size_t h = 0; h < 2; ++h) {
            total[h][j] = vec::fma(vec::to_floats(whole[h][j]), floats_at(&w.scales[g][8 * h]) * dx, total[h][j]);
            whole[h][j] = vec::fill_ints(0);
          }
        }
        if constexpr (plan::float_offset)
          for (std::size_t j = 0; j < T; ++j)
            for (std::size_t h = 0; h < 2; ++h)
              total[h][j] = vec::fma(floats_at(&w.mins[c][8 * h]),
                                     vec::as_floats(vec::fill_eighths(x.sums + c * T + j)), total[h][j]);
      }
    }
    if constexpr (plan::integer_scales) {
      for (std::size_t j = 0; j < T; ++j) {
        const vec::floats dx = vec::fill_floats(x.scales[j]);
        for (std::size_t h = 0; h < 2; ++h)
          total[h][j] = vec::fma(vec::to_floats(whole[h][j]), vec::load_floats(&w.scale[8 * h]) * dx, total[h][j]);
      }
      if constexpr (plan::integer_offset)
        for (std::size_t j = 0; j < T; ++j) {
          const vec::floats dx = vec::fill_floats(-x.scales[j]);
          for (std::size_t h = 0; h < 2; ++h) {
            vec::ints mins = vec::fill_ints(0);
            for (std::size_t c = 0; c < chunks; ++c)
              mins = mins + vec::madd2(vec::as_words(vec::load_bytes(&w.mins[c][8 * h])),
                                       vec::as_words(vec::fill_eighths(x.sums + c * T + j)));
            total[h][j] = vec::fma(vec::to_floats(mins), vec::load_floats(&w.min_scale[8 * h]) * dx, total[h][j]);
          }
        }
    }
  }
  for (std::size_t h = 0; h < 2; ++h)
    for (std::size_t j = 0; j < T; ++j) vec::store_floats(&sums[j][8 * h], total[h][j]);
}

}  // namespace detail

namespace detail {

// 16-bit sums hold all products with -127 .. 127; where -128 could make one of them 2^15, rows of X that have it are
// multiplied by dot instead.
template <class B>
inline constexpr bool minus_128_may_wrap = [] {
  if constexpr (gemm_plan<B>::kind == panel_kind::bytes)
    return -values_of<B>.lowest * 128 * 2 * static_cast<int>(gemm_plan<B>::depth) > 32767;
  else
    return false;
}();

template <class A>
bool has_minus_128(std::span<const A> row) noexcept {
  bool found = false;
  for (const A& block : row)
    for (const std::int8_t q : block.qs) found |= q == -128;
  return found;
}

// X is a matrix of floats or of operand blocks.
template <class B, class X>
void multiply_all(matrix_view<const B> weights, matrix_view<const X> x, std::size_t k, matrix_view<float> y,
                  std::byte* scratch) noexcept {
  constexpr bool quantizes = std::is_same_v<X, float> && gemm_plan<B>::kind != panel_kind::floats;
  const std::size_t chunks = (k + 31) / 32, tiles = (x.rows + tile_rows - 1) / tile_rows;
  const tile_layout<B> layout(chunks);
  using tile_sums = float[tile_rows][panel_rows];

  scratch += (64 - reinterpret_cast<std::uintptr_t>(scratch) % 64) % 64;
  auto* const shared = reinterpret_cast<panel<B>*>(scratch);
  auto* const sums = reinterpret_cast<tile_sums*>(scratch + sizeof(panel<B>));
  auto* const packed = reinterpret_cast<std::uint32_t*>(sums + tiles);
  std::memset(static_cast<void*>(packed), 0, tiles * layout.total * 4);
  for (std::size_t n = 0; n < x.rows; ++n) {
    std::uint32_t* const tile = packed + n / tile_rows * layout.total;
    if constexpr (quantizes) {
      auto* const operands = reinterpret_cast<operand_t<B>*>(packed + tiles * layout.total);
      encode(x.row(n).data(), k / block_size<operand_t<B>>, encode_context{}, operands);
      pack_row<B>(operands, k, n % tile_rows, tile);
    } else {
      pack_row<B>(x.row(n).data(), k, n % tile_rows, tile);
    }
  }

  for (std::size_t m = 0; m < weights.rows; m += panel_rows) {
    const B* rows[panel_rows];
    for (std::size_t r = 0; r < panel_rows; ++r)
      rows[r] = weights.row(m + r < weights.rows ? m + r : weights.rows - 1).data();
    std::memset(static_cast<void*>(sums), 0, tiles * sizeof(tile_sums));
    for (std::size_t c = 0; c < chunks; c += slab_chunks) {
      const std::size_t count = chunks - c < slab_chunks ? chunks - c : slab_chunks;
      shared->expand(rows, k, c, count);
      for (std::size_t t = 0; t < tiles; ++t)
        multiply<B>(*shared, layout.at(packed + t * layout.total, c), count, sums[t]);
    }
    for (std::size_t n = 0; n < x.rows; ++n)
      for (std::size_t r = 0; r < panel_rows && m + r < weights.rows; ++r)
        y.row(n)[m + r] = sums[n / tile_rows][n % tile_rows][r];
  }
}

}  // namespace detail

// Bytes of scratch that gemm needs for n rows of X of k elements. Any alignment.
template <class B>
constexpr std::size_t gemm_scratch(std::size_t n, std::size_t k) noexcept {
  const std::size_t tiles = (n + detail::tile_rows - 1) / detail::tile_rows;
  std::size_t bytes = 64 + sizeof(detail::panel<B>) + tiles * sizeof(float[detail::tile_rows][detail::panel_rows]) +
                      tiles * detail::tile_layout<B>((k + 31) / 32).total * 4;
  if constexpr (detail::gemm_plan<B>::kind != detail::panel_kind::floats)
    bytes += blocks_for<operand_t<B>>(k) * sizeof(operand_t<B>);
  return bytes;
}

// Y = X * W^T: Y[n][m] is the dot product of row n of X and row m of W. Rows of floats are quantized to the operand
// format of W first; formats without an integer kernel (floats, MXFP, NF4) multiply the floats as they are.
// Integers are exact as in dot; with the same operand the result differs from dot's by the order of the float sums.
// Preconditions: x.cols == weights.cols * block_size<B> (weights.cols counts blocks), y has x.rows rows and
// weights.rows columns, scratch has gemm_scratch<B>(x.rows, x.cols) bytes.
template <class B>
void gemm(matrix_view<const B> weights, matrix_view<const float> x, matrix_view<float> y,
          std::span<std::byte> scratch) noexcept {
  BLOCQ_ASSERT(x.cols == weights.cols * block_size<B> && y.rows == x.rows && y.cols == weights.rows);
  BLOCQ_ASSERT(scratch.size() >= gemm_scratch<B>(x.rows, x.cols));
  const fp_environment modes;
  detail::multiply_all(weights, x, x.cols, y, scratch.data());
}

// The same with rows of X that have been quantized already; x.cols counts operand blocks.
template <class B>
requires(detail::gemm_plan<B>::kind !=
         detail::panel_kind::floats) void gemm(matrix_view<const B> weights, matrix_view<const operand_t<B>> x,
                                               matrix_view<float> y, std::span<std::byte> scratch) noexcept {
  using A = operand_t<B>;
  const std::size_t k = x.cols * block_size<A>;
  BLOCQ_ASSERT(k == weights.cols * block_size<B> && y.rows == x.rows && y.cols == weights.rows);
  BLOCQ_ASSERT(scratch.size() >= gemm_scratch<B>(x.rows, k));
  const fp_environment modes;
  detail::multiply_all(weights, x, k, y, scratch.data());
  if constexpr (detail::minus_128_may_wrap<B>)
    for (std::size_t n = 0; n < x.rows; ++n)
      if (detail::has_minus_128(x.row(n)))
        for (std::size_t m = 0; m < weights.rows; ++m)
          y.row(n)[m] = detail::dot_blocks(weights.row(m).data(), x.row(n).data(), weights.cols);
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
