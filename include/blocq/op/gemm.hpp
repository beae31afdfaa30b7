// Matrix products Y = X * W^T with the weights as they lie in the file: nothing is repacked beforehand.
//
// Formats of small integers are multiplied in integers (tile.hpp), with X quantized to 8 bits; all others in floats
// (float_tile.hpp), without any rounding of X. A few rows of X are multiplied by dot's kernels. Every element of Y is a
// function of its row of X and its row of W, and of whether there are more rows of X than few_columns, so any split of
// W into ranges of rows gives the same numbers.
#ifndef BLOCQ_OP_GEMM_HPP
#define BLOCQ_OP_GEMM_HPP

#include <blocq/core/fp_environment.hpp>
#include <blocq/core/view.hpp>
#include <blocq/op/activations.hpp>
#include <blocq/op/dot.hpp>
#include <blocq/op/float_tile.hpp>
#include <blocq/op/tile.hpp>

#include <cstddef>
#include <cstring>
#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// Rows in groups of `Least` to `Most`, of sizes that differ by at most one: f(first, integral_constant<size>).
template <std::size_t Most, std::size_t Least = 1, class F>
BLOCQ_INLINE void for_groups(std::size_t rows, F&& f) noexcept {
  const std::size_t groups = (rows + Most - 1) / Most;
  for (std::size_t g = 0, first = 0; g < groups; ++g) {
    const std::size_t size = rows / groups + (g < rows % groups ? 1 : 0);
    repeat<Most - Least + 1>([&](auto i) {
      if (size == i + Least) f(first, std::integral_constant<std::size_t, i + Least>{});
    });
    first += size;
  }
}

// Scratch is handed out in pieces that begin at cache lines.
struct scratch_pieces {
  std::byte* next;

  explicit scratch_pieces(std::byte* p) noexcept : next(p + (64 - reinterpret_cast<std::uintptr_t>(p) % 64) % 64) {}
  static constexpr std::size_t rounded(std::size_t bytes) noexcept { return (bytes + 63) / 64 * 64; }
  template <class T>
  T* take(std::size_t count) noexcept {
    auto* const p = reinterpret_cast<T*>(next);
    next += rounded(count * sizeof(T));
    return p;
  }
};

// ---- integers ----

// Panels of a slab that are multiplied with one part of X after the other, so that X is read less often.
inline constexpr std::size_t panels_at_once = 64 / panel_rows, tile_columns = wide::columns;

template <integer_format B>
constexpr std::size_t packed_dwords(std::size_t n, std::size_t k) noexcept {
  return (k + 255) / 256 * packed_x<kernel_for<B>>::size * n;
}

// 16-bit sums hold all products with -127 .. 127; where -128 could make one of them 2^15, rows of X that have it are
// multiplied by dot instead: with any instruction set, so that all give the same numbers.
template <class B>
inline constexpr bool minus_128_may_wrap =
    !full_bytes<B> && -values_of<B>.lowest * 128 * 2 * static_cast<int>(depth_of_pairs<B>) > 32767;

template <class A>
bool has_minus_128(std::span<const A> row) noexcept {
  bool found = false;
  for (const A& block : row)
    for (const std::int8_t q : block.qs) found |= q == -128;
  return found;
}

// The rows of X: floats, which are quantized, or blocks.
template <class A>
struct operand_rows {
  matrix_view<const float> floats;
  matrix_view<const A> blocks;

  std::span<const A> get(std::size_t n, A* buffer) const noexcept {
    if (blocks.data != nullptr) return blocks.row(n);
    const std::size_t count = floats.cols / block_size<A>;
    encode_activations(floats.row(n).data(), count, buffer);
    return {buffer, count};
  }
};

// expand(m, slab, chunks, panel, next) fills a panel with rows m to m + panel_rows - 1 of the weights, and says in
// `next` where the slab after it lies, if there is one; multiply_row(i) is for a row of X that has a -128.
template <integer_format B, class Expand, class MultiplyRow>
void multiply_panels(std::size_t k, const operand_rows<integer_operand_t<B>>& x, matrix_view<float> y,
                     std::byte* scratch, Expand&& expand_panel, MultiplyRow&& multiply_row) noexcept {
  using A = integer_operand_t<B>;
  constexpr kernel K = kernel_for<B>;
  constexpr std::size_t per_column = packed_x<K>::size;
  const std::size_t n = y.rows, chunks = (k + 31) / 32, slabs = (chunks + slab_chunks - 1) / slab_chunks;
  scratch_pieces pieces(scratch);
  auto* const panels = pieces.take<panel<K>>(panels_at_once);
  auto* const sums = pieces.take<float>(n * panel_rows * panels_at_once);
  auto* const packed = pieces.take<std::uint32_t>(packed_dwords<B>(n, k));
  A* const operand = pieces.take<A>(blocks_for<A>(k));

  for_groups<tile_columns>(n, [&](std::size_t first, auto T) {
    for (std::size_t j = 0; j < T; ++j) {
      const auto blocks = x.get(first + j, operand);
      for (std::size_t c = 0; c < chunks; ++c)
        pack_chunk<B>(blocks[c * 32 / block_size<A>], c * 32 % block_size<A> / 32, c % slab_chunks, j, T,
                      packed + (c / slab_chunks * n + first) * per_column);
    }
  });

  row_bytes next[panels_at_once];
  for (std::size_t m = 0; m < y.cols; m += panel_rows * panels_at_once) {
    const std::size_t left = (y.cols - m + panel_rows - 1) / panel_rows;
    const std::size_t count = left < panels_at_once ? left : panels_at_once;
    std::memset(sums, 0, n * panel_rows * count * sizeof(float));
    for (std::size_t slab = 0; slab < slabs; ++slab) {
      const std::size_t c = slab * slab_chunks, some = chunks - c < slab_chunks ? chunks - c : slab_chunks;
      for (std::size_t p = 0; p < count; ++p) {
        expand_panel(m + p * panel_rows, slab, some, panels[p], next[p]);
        if (slab + 1 == slabs) next[p].bytes = 0;
      }
      for_groups<tile_columns>(n, [&](std::size_t first, auto T) {
        for (std::size_t p = 0; p < count; ++p) {
          multiply<K, T>(panels[p], packed + (slab * n + first) * per_column, some, sums + (p * n + first) * panel_rows,
                         next[p]);
          next[p].bytes = 0;
        }
      });
    }
    for (std::size_t p = 0; p < count; ++p) {
      const std::size_t at = m + p * panel_rows, rows = y.cols - at < panel_rows ? y.cols - at : panel_rows;
      for (std::size_t i = 0; i < n; ++i)
        std::memcpy(&y.row(i)[at], sums + (p * n + i) * panel_rows, rows * sizeof(float));
    }
  }
  if constexpr (minus_128_may_wrap<B>)
    for (std::size_t i = 0; i < n; ++i) {
      const auto blocks = x.get(i, operand);
      if (has_minus_128(blocks)) multiply_row(i, blocks);
    }
}

template <class B, class... Bs>
concept one_of = (std::is_same_v<B, Bs> || ...);

// Columns that are multiplied row by row, straight from the blocks: with no more of them, filling panels takes longer
// than it saves, longest where codes are looked up or are digits, and where they hardly have to be unpacked. One
// number for all vectors, because the sums of the two ways are not added in the same order.
template <class B>
inline constexpr std::size_t few_columns = 2;
template <one_of<iq2_xxs, iq2_xs, iq2_s, iq3_xxs, iq3_s, iq4_nl, tq1_0, tq2_0, q4_0, q4_1, q8_0, q2_0> B>
inline constexpr std::size_t few_columns<B> = 4;

template <integer_format B>
void multiply_few(matrix_view<const B> weights, std::size_t k, const operand_rows<integer_operand_t<B>>& x,
                  matrix_view<float> y, std::byte* scratch) noexcept {
  using A = integer_operand_t<B>;
  constexpr std::size_t most = few_columns<B>;
  scratch_pieces pieces(scratch);
  auto* const room = pieces.take<prepared_row<B, A>>(most);
  A* const operand = pieces.take<A>(most * blocks_for<A>(k));
  for_groups<most>(y.rows, [&](std::size_t first, auto T) {
    const A* rows[most];
    for (std::size_t t = 0; t < T; ++t) rows[t] = x.get(first + t, operand + t * blocks_for<A>(k)).data();
    multiply_rows<decltype(T)::value>(
        weights, [&](std::size_t t) { return rows[t]; }, room, y.row_range(first, first + T));
  });
}

template <integer_format B>
void multiply_integers(matrix_view<const B> weights, std::size_t k, const operand_rows<integer_operand_t<B>>& x,
                       matrix_view<float> y, std::byte* scratch) noexcept {
  if (y.rows <= few_columns<B>) return multiply_few(weights, k, x, y, scratch);
  constexpr std::size_t blocks_per_slab = slab_chunks * 32 / block_size<B>;
  multiply_panels<B>(
      k, x, y, scratch,
      [&](std::size_t m, std::size_t slab, std::size_t chunks, panel<kernel_for<B>>& to, row_bytes& next) {
        const B* rows[panel_rows];
        for (std::size_t r = 0; r < panel_rows; ++r) {
          rows[r] = weights.row(m + r < weights.rows ? m + r : weights.rows - 1).data();
          next.at[r] = reinterpret_cast<const std::byte*>(rows[r] + (slab + 1) * blocks_per_slab);
        }
        next.bytes = blocks_per_slab * sizeof(B);
        expand<B>(rows, slab * slab_chunks, chunks, to);
      },
      [&](std::size_t i, std::span<const integer_operand_t<B>> blocks) {
        multiply_row(weights, blocks.data(), y.row(i).data());
      });
}

// ---- floats ----

// Up to float_columns_of_x rows of X, in groups of Least to Most. Direct: of blocks of one element, 16-bit floats or
// floats, which are read on their way into the products rather than from a panel.
template <bool Direct, std::size_t Least, std::size_t Most, class B, class X>
void multiply_float_panels(matrix_view<const B> weights, matrix_view<const X> x, matrix_view<float> y,
                           std::byte* scratch) noexcept {
  constexpr std::size_t slab = float_columns<B>, step = multiplied_as<X>::step;
  constexpr std::size_t vectors_of_rows = tile_vectors<Most>, tile_rows = vectors_of_rows * rows_of_vector;
  // With few rows of X there is little to gain from rows of weights that share them, and the next slab is near.
  const std::size_t rows_of_slab = x.rows <= few_columns_of_x ? float_panel_rows : float_rows;
  scratch_pieces pieces(scratch);
  auto* const panel = pieces.take<X>(float_panel_rows * slab);
  auto* const sums = pieces.take<float>(x.rows * float_rows * 8);
  auto* const x_rest = pieces.take<X>(x.rows * step);
  const std::size_t rest = x.cols % step, whole = x.cols - rest;
  for (std::size_t i = 0; i < x.rows * step; ++i) x_rest[i] = i % step < rest ? x.row(i / step)[whole + i % step] : X{};
  const auto sums_of = [&](std::size_t tile, std::size_t n) { return sums + (tile * x.rows + n) * tile_rows * 8; };

  for (std::size_t m = 0; m < weights.rows; m += rows_of_slab) {
    const std::size_t left = weights.rows - m, rows = left < rows_of_slab ? left : rows_of_slab;
    const auto row = [&](std::size_t r) { return weights.row(m + (r < rows ? r : rows - 1)).data(); };
    std::memset(sums, 0, x.rows * rows_of_slab * 8 * sizeof(float));
    for (std::size_t k = 0; k < x.cols; k += slab) {
      const std::size_t columns = x.cols - k < slab ? x.cols - k : slab, vectors = columns / step * step;
      const std::size_t from = Direct ? vectors : 0;  // what lies in the panel
      for (std::size_t first = 0; first < rows; first += float_panel_rows) {
        const std::size_t end = rows - first < float_panel_rows ? rows : first + float_panel_rows;
        if (from < columns)
          for (std::size_t r = 0; r < float_panel_rows; ++r)
            fill_panel_row(row(first + r), k + from, columns - from, panel_row<X>(panel, r, slab));
        const auto add = [&](auto&& tile, const X* xs, std::size_t x_stride, std::size_t some) {
          for_groups<Most, Least>(x.rows, [&](std::size_t j, auto T) {
            for (std::size_t r = first; r < end; r += tile_rows)
              multiply_tile<vectors_of_rows, T>(tile(r), xs + j * x_stride, x_stride, some, sums_of(r / tile_rows, j));
          });
        };
        const auto in_panel = [&](std::size_t column) {
          return [=](std::size_t r) {
            return panel_tile<X>{panel + (r - first) * slab + (column - from) * rows_of_vector, slab};
          };
        };
        const auto direct = [&](std::size_t r) {
          direct_tile<B, X, tile_rows> tile;
          for (std::size_t i = 0; i < tile_rows; ++i) tile.row[i] = row(r + i) + k;
          return tile;
        };
        if constexpr (Direct)
          add(direct, x.data + k, x.stride, vectors);
        else
          add(in_panel(0), x.data + k, x.stride, vectors);
        if (vectors != columns) add(in_panel(vectors), x_rest, step, step);
      }
    }
    for (std::size_t n = 0; n < x.rows; ++n)
      for (std::size_t r = 0; r < rows; ++r)
        y.row(n)[m + r] = vec::sum(vec::load_floats(sums_of(r / tile_rows, n) + r % tile_rows * 8));
  }
}

template <class B, class X>
void multiply_floats(matrix_view<const B> weights, matrix_view<const X> x, matrix_view<float> y,
                     std::byte* scratch) noexcept {
  constexpr bool rounded = !std::is_same_v<X, float>;
  if constexpr (!rounded)
    if (x.rows <= few_columns<B>) {
      auto* const room = scratch_pieces(scratch).take<prepared_row<B, float>>(few_columns<B>);
      return for_groups<few_columns<B>>(x.rows, [&](std::size_t, auto T) {
        multiply_rows<decltype(T)::value>(
            weights, [&](std::size_t t) { return x.row(t).data(); }, room, y);
      });
    }
  for (std::size_t n = 0; n < x.rows; n += float_columns_of_x) {
    const std::size_t end = x.rows - n < float_columns_of_x ? x.rows : n + float_columns_of_x;
    const auto multiply = [&]<bool Direct, std::size_t Least, std::size_t Most>() {
      multiply_float_panels<Direct, Least, Most>(weights, x.row_range(n, end), y.row_range(n, end), scratch);
    };
    constexpr bool direct = block_size<B> == 1;
    constexpr std::size_t some = tile_columns_of_x;
    if constexpr (!direct || rounded || rows_of_vector == 1) multiply.template operator()<direct, 1, some>();
    // Rows of weights that share a vector take long to bring together: once for all columns, or for a panel.
    else if (end - n <= some)
      multiply.template operator()<true, 1, some>();
    else if (end - n <= few_columns_of_x)
      multiply.template operator()<true, some + 1, few_columns_of_x>();
    else
      multiply.template operator()<false, some - 1, some>();
  }
}

}  // namespace detail

// Bytes of scratch that gemm needs for n rows of X of k elements, or for fewer of them. Any alignment.
template <class B>
constexpr std::size_t gemm_scratch(std::size_t n, std::size_t k) noexcept {
  using namespace detail;
  using W = wire_t<B>;
  const auto piece = [](std::size_t bytes) { return scratch_pieces::rounded(bytes); };
  if constexpr (integer_format<W>) {
    using A = integer_operand_t<W>;
    const std::size_t operand = piece(blocks_for<A>(k) * sizeof(A));
    const std::size_t few =
        64 + piece(few_columns<W> * sizeof(prepared_row<W, A>)) + piece(few_columns<W> * blocks_for<A>(k) * sizeof(A));
    const std::size_t panels = 64 + piece(panels_at_once * sizeof(panel<kernel_for<W>>)) +
                               piece(n * panel_rows * panels_at_once * 4) + piece(packed_dwords<W>(n, k) * 4) + operand;
    return n <= few_columns<W> || panels < few ? few : panels;
  } else {
    if (n <= few_columns<W>) return 64 + piece(few_columns<W> * sizeof(prepared_row<W, float>));
    const std::size_t some = n < float_columns_of_x ? n : float_columns_of_x;
    const std::size_t panels =
        64 + piece(float_panel_rows * float_columns<W> * 4) + piece(some * float_rows * 32) + piece(some * 32);
    const std::size_t few = gemm_scratch<W>(few_columns<W>, k);
    return panels < few ? few : panels;
  }
}

// Y = X * W^T: Y[n][m] is the dot product of row n of X and row m of W. Formats of small integers quantize the rows of
// X first: to their operand format, MX formats to q8_0; the others (floats of 16 and 32 bits, MXFP8, NF4) multiply the
// floats as they are. Integers are exact as in dot; up to two rows of X, four with IQ2, IQ3, IQ4_NL and TQ, with the
// same operand give dot's results, which those of more rows differ from by the order of the float sums. Preconditions:
// x.cols == weights.cols * block_size<B> (weights.cols counts blocks), y has x.rows rows and weights.rows columns,
// scratch has gemm_scratch<B>(x.rows, x.cols) bytes.
template <class B>
void gemm(matrix_view<const B> weights, matrix_view<const float> x, matrix_view<float> y,
          std::span<std::byte> scratch) noexcept {
  BLOCQ_ASSERT(x.cols == weights.cols * block_size<B> && y.rows == x.rows && y.cols == weights.rows);
  BLOCQ_ASSERT(scratch.size() >= gemm_scratch<B>(x.rows, x.cols));
  const fp_environment modes;
  if constexpr (integer_format<wire_t<B>>) {
    detail::multiply_integers(detail::wire_view(weights), x.cols, {x, {}}, y, scratch.data());
  } else {
    detail::multiply_floats(detail::wire_view(weights), x, y, scratch.data());
  }
}

// The same with rows of X that have been quantized already; x.cols counts operand blocks.
template <class B>
requires integer_format<wire_t<B>>
void gemm(matrix_view<const B> weights, matrix_view<const integer_operand_t<wire_t<B>>> x, matrix_view<float> y,
          std::span<std::byte> scratch) noexcept {
  using A = integer_operand_t<wire_t<B>>;
  const std::size_t k = x.cols * block_size<A>;
  BLOCQ_ASSERT(k == weights.cols * block_size<B> && y.rows == x.rows && y.cols == weights.rows);
  BLOCQ_ASSERT(scratch.size() >= gemm_scratch<B>(x.rows, k));
  const fp_environment modes;
  detail::multiply_integers(detail::wire_view(weights), k, {{}, x}, y, scratch.data());
}

// The same with weights and rows of X in bfloat16, X in half the bytes: Y is the sums of the products of pairs of
// columns, the odd one first, each rounded once. An instruction for such pairs (AVX512-BF16) is used where it is
// enabled, which takes subnormal operands and sums for zeros; elsewhere they are kept.
template <class B, class X>
requires(std::is_same_v<wire_t<B>, bf16>&& std::is_same_v<wire_t<X>, bf16>) void gemm(
    matrix_view<const B> weights, matrix_view<const X> x, matrix_view<float> y, std::span<std::byte> scratch) noexcept {
  BLOCQ_ASSERT(x.cols == weights.cols && y.rows == x.rows && y.cols == weights.rows);
  BLOCQ_ASSERT(scratch.size() >= gemm_scratch<B>(x.rows, x.cols));
  const fp_environment modes;
  detail::multiply_floats(detail::wire_view(weights), detail::wire_view(x), y, scratch.data());
}
template <class B, class... Rest>
requires(!std::is_const_v<B>) void gemm(matrix_view<B> weights, Rest&&... rest) {
  gemm(matrix_view<const B>(weights), static_cast<Rest&&>(rest)...);
}
template <class B, class X>
void gemm(matrix_view<B>, matrix_view<X>, matrix_view<float>) {
  static_assert(std::is_void_v<B>,
                "gemm(weights, x, y, scratch): scratch is gemm_scratch<B>(n, k) bytes of the caller's");
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
