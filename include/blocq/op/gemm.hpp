// Matrix products Y = X * W^T with the weights as they lie in the file: nothing is repacked beforehand.
//
// Formats of small integers are multiplied in integers (tile.hpp), with X quantized to 8 bits; all others in floats,
// without any rounding of X: products of vectors along the rows, the weights decoded a slab at a time or, the 16-bit
// floats, in the kernel. One or two rows of X are multiplied by dot's kernels. Every element of Y is a function of its
// row of X and its row of W, and of whether there are more than two rows of X, so any split of W into ranges of rows
// gives the same numbers.
#ifndef BLOCQ_OP_GEMM_HPP
#define BLOCQ_OP_GEMM_HPP

#include <blocq/core/fp_environment.hpp>
#include <blocq/core/view.hpp>
#include <blocq/op/activations.hpp>
#include <blocq/op/dot.hpp>
#include <blocq/op/tile.hpp>

#include <cstddef>
#include <cstring>
#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// Rows are taken in groups of up to `Most`, of sizes that differ by at most one: f(first, integral_constant<size>).
template <std::size_t Most, class F>
BLOCQ_INLINE void for_groups(std::size_t rows, F&& f) noexcept {
  const std::size_t groups = (rows + Most - 1) / Most;
  for (std::size_t g = 0, first = 0; g < groups; ++g) {
    const std::size_t size = rows / groups + (g < rows % groups ? 1 : 0);
    repeat<Most>([&](auto i) {
      if (size == i + 1) f(first, std::integral_constant<std::size_t, i + 1>{});
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

// Columns that are multiplied row by row, straight from the blocks: with no more of them, filling panels takes longer
// than it saves. One number for all vectors, because the sums of the two ways are not added in the same order.
inline constexpr std::size_t few_columns = 2;

template <integer_format B>
void multiply_few(matrix_view<const B> weights, std::size_t k, const operand_rows<integer_operand_t<B>>& x,
                  matrix_view<float> y, std::byte* scratch) noexcept {
  using A = integer_operand_t<B>;
  scratch_pieces pieces(scratch);
  auto* const room = pieces.take<prepared_row<B, A>>(few_columns);
  A* const operand = pieces.take<A>(few_columns * blocks_for<A>(k));
  for_groups<few_columns>(y.rows, [&](std::size_t first, auto T) {
    const A* rows[few_columns];
    for (std::size_t t = 0; t < T; ++t) rows[t] = x.get(first + t, operand + t * blocks_for<A>(k)).data();
    multiply_rows<decltype(T)::value>(
        weights, [&](std::size_t t) { return rows[t]; }, room, y.row_range(first, first + T));
  });
}

template <integer_format B>
void multiply_integers(matrix_view<const B> weights, std::size_t k, const operand_rows<integer_operand_t<B>>& x,
                       matrix_view<float> y, std::byte* scratch) noexcept {
  if (y.rows <= few_columns) return multiply_few(weights, k, x, y, scratch);
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

inline constexpr std::size_t float_rows = 24;

// Adds R rows of weights times T rows of X, eight columns in eight lanes, to sums[8 (24 j + r)].
template <std::size_t R, std::size_t T, class W>
BLOCQ_NOINLINE void multiply_floats(const W* w, std::size_t w_stride, const float* x, std::size_t x_stride,
                                    std::size_t columns, float* sums) noexcept {
  const auto each = [](auto&& f) BLOCQ_INLINE_LAMBDA {
    repeat<T>([&](auto j) BLOCQ_INLINE_LAMBDA { repeat<R>([&](auto r) BLOCQ_INLINE_LAMBDA { f(r, j); }); });
  };
  vec::floats total[R][T];
  each([&](auto r, auto j) BLOCQ_INLINE_LAMBDA { total[r][j] = vec::load_floats(sums + 8 * (float_rows * j + r)); });
  for (std::size_t k = 0; k < columns; k += 8) {
    // Written, or compilers would read them from memory again for each of the products.
    vec::floats a[R];
    repeat<R>([&](auto r) BLOCQ_INLINE_LAMBDA { a[r] = vec::as_written(load_eight(w + r * w_stride + k)); });
    repeat<T>([&](auto j) BLOCQ_INLINE_LAMBDA {
      const vec::floats b = vec::as_written(vec::load_floats(x + j * x_stride + k));
      repeat<R>([&](auto r) BLOCQ_INLINE_LAMBDA { total[r][j] = vec::fma(a[r], b, total[r][j]); });
    });
  }
  each([&](auto r, auto j) BLOCQ_INLINE_LAMBDA { vec::store_floats(sums + 8 * (float_rows * j + r), total[r][j]); });
}

// Columns of a slab: whole blocks, in vectors.
template <class B>
inline constexpr std::size_t float_columns = [] {
  constexpr std::size_t unit = block_size<B> % 8 == 0 ? block_size<B> : 8 * block_size<B>;
  return (256 + unit - 1) / unit * unit;
}();

// Columns [first, first + columns) of a row, which begin a block and end a block or the row.
template <class B>
void decode_columns(const B* row, std::size_t first, std::size_t columns, float* y) noexcept {
  if constexpr (float_chunks<B> && block_size<B> % 32 == 0) {
    for (std::size_t i = 0; i < columns; i += 32) {
      quad::floats v[2];
      chunk_floats(row, (first + i) / 32, v);
      for (std::size_t h = 0; h < 2; ++h) quad::store_floats(y + i + 16 * h, v[h]);
    }
  } else {
    for (std::size_t i = 0; i < columns; i += block_size<B>) decode(row[(first + i) / block_size<B>], y + i);
  }
}

template <class B>
void multiply_floats(matrix_view<const B> weights, matrix_view<const float> x, matrix_view<float> y,
                     std::byte* scratch) noexcept {
  constexpr bool direct = std::is_same_v<B, f16> || std::is_same_v<B, bf16>;
  constexpr std::size_t slab = float_columns<B>;
  scratch_pieces pieces(scratch);
  auto* const decoded = pieces.take<float>(float_rows * slab);
  auto* const sums = pieces.take<float>(x.rows * float_rows * 8);
  auto* const x_rest = pieces.take<float>(x.rows * 8);
  const std::size_t rest = x.cols % 8, whole = x.cols - rest;
  for (std::size_t i = 0; i < x.rows * 8; ++i) x_rest[i] = i % 8 < rest ? x.row(i / 8)[whole + i % 8] : 0.0f;

  for (std::size_t m = 0; m < weights.rows; m += float_rows) {
    const std::size_t rows = weights.rows - m < float_rows ? weights.rows - m : float_rows;
    const auto add = [&](const auto* w, std::size_t w_stride, const float* xs, std::size_t x_stride,
                         std::size_t columns) {
      for_groups<4>(x.rows, [&](std::size_t j, auto T) {
        for_groups<3>(rows, [&](std::size_t r, auto R) {
          multiply_floats<R, T>(w + r * w_stride, w_stride, xs + j * x_stride, x_stride, columns,
                                sums + (j * float_rows + r) * 8);
        });
      });
    };
    std::memset(sums, 0, x.rows * float_rows * 8 * sizeof(float));
    for (std::size_t k = 0; k < x.cols; k += slab) {
      const std::size_t columns = x.cols - k < slab ? x.cols - k : slab, vectors = columns / 8 * 8;
      const std::size_t from = direct ? vectors : 0;
      for (std::size_t r = 0; r < rows; ++r)
        decode_columns(weights.row(m + r).data(), k + from, columns - from, decoded + r * slab + from);
      if constexpr (direct)
        add(weights.row(m).data() + k, weights.stride, x.data + k, x.stride, vectors);
      else
        add(decoded, slab, x.data + k, x.stride, vectors);
      if (vectors == columns) continue;
      for (std::size_t r = 0; r < rows; ++r)
        std::memset(decoded + r * slab + columns, 0, (vectors + 8 - columns) * sizeof(float));
      add(decoded + vectors, slab, x_rest, 8, 8);
    }
    for (std::size_t n = 0; n < x.rows; ++n)
      for (std::size_t r = 0; r < rows; ++r)
        y.row(n)[m + r] = vec::sum(vec::load_floats(sums + (n * float_rows + r) * 8));
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
        64 + piece(few_columns * sizeof(prepared_row<W, A>)) + piece(few_columns * blocks_for<A>(k) * sizeof(A));
    const std::size_t panels = 64 + piece(panels_at_once * sizeof(panel<kernel_for<W>>)) +
                               piece(n * panel_rows * panels_at_once * 4) + piece(packed_dwords<W>(n, k) * 4) + operand;
    return n <= few_columns || panels < few ? few : panels;
  } else {
    return 64 + piece(float_rows * float_columns<W> * 4) + piece(n * float_rows * 32) + piece(n * 32);
  }
}

// Y = X * W^T: Y[n][m] is the dot product of row n of X and row m of W. Formats of small integers quantize the rows of
// X first: to their operand format, MX formats to q8_0; the others (16-bit floats, MXFP8, NF4) multiply the floats as
// they are. Integers are exact as in dot; with the same operand the result of more than two rows differs from dot's by
// the order of the float sums. Preconditions: x.cols == weights.cols * block_size<B> (weights.cols counts blocks), y
// has x.rows rows and weights.rows columns, scratch has gemm_scratch<B>(x.rows, x.cols) bytes.
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
