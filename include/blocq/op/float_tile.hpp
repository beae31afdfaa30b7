// Products of some rows of weights with a few rows of X in floats: products of vectors along the rows, the weights
// decoded a slab at a time or, those of one element a block, on their way. Eight columns are summed up in eight lanes,
// or eight pairs of columns where both operands are bfloat16s, whatever the size of a vector.
#ifndef BLOCQ_OP_FLOAT_TILE_HPP
#define BLOCQ_OP_FLOAT_TILE_HPP

#include <blocq/op/activations.hpp>
#include <blocq/op/tile.hpp>

#include <cstddef>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

namespace one = simd::one;

// What the operands are multiplied as. A step is the columns of a row that a vector holds.
template <class X>
struct multiplied_as;
template <>
struct multiplied_as<float> {
  static constexpr std::size_t step = 8;
  static BLOCQ_INLINE one::floats load(const float* p) noexcept { return one::load_floats(p); }
  static BLOCQ_INLINE one::floats fill(const float* p) noexcept { return wide::fill_eight_floats(p); }
  static BLOCQ_INLINE one::floats add(one::floats sum, one::floats a, one::floats b) noexcept {
    return one::fma(a, b, sum);
  }
};
template <>
struct multiplied_as<bf16> {
  static constexpr std::size_t step = 16;
  static BLOCQ_INLINE one::bytes load(const bf16* p) noexcept { return one::load_bytes(p); }
  static BLOCQ_INLINE one::bytes fill(const bf16* p) noexcept { return wide::fill_32_bytes(p); }
  static BLOCQ_INLINE one::floats add(one::floats sum, one::bytes a, one::bytes b) noexcept {
    return wide::add_bf16_products(sum, a, b);
  }
};

// A vector holds a step of `rows_of_vector` rows of weights. `tile_vectors` of them times a tile's rows of X are summed
// up in registers. A panel is a slab of rows of weights that stays in the nearest cache while up to
// `float_columns_of_x` rows of X pass over it, which with their sums stay in the next one for `float_rows` rows of
// weights.
inline constexpr std::size_t rows_of_vector = sizeof(one::floats) / (8 * sizeof(float));
inline constexpr std::size_t float_panel_rows = rows_of_vector == 1 ? 24 : 12,
                             slab_columns = rows_of_vector == 1 ? 256 : 512;
inline constexpr std::size_t tile_columns_of_x = 4, float_rows = 48, float_columns_of_x = 128;
inline constexpr std::size_t few_columns_of_x = 2 * tile_columns_of_x;
template <std::size_t T>
inline constexpr std::size_t tile_vectors = rows_of_vector == 1 || T > tile_columns_of_x ? 3 : 6;
static_assert(float_rows % float_panel_rows == 0 && float_panel_rows % (6 * rows_of_vector) == 0);

// Columns of a slab: whole blocks, in vectors.
template <class B>
inline constexpr std::size_t float_columns = [] {
  constexpr std::size_t unit = block_size<B> % 8 == 0 ? block_size<B> : 8 * block_size<B>;
  return (slab_columns + unit - 1) / unit * unit;
}();

// Where the steps of a row of a panel lie: those of `rows_of_vector` rows side by side.
template <class X>
struct panel_row {
  X* first;

  panel_row(X* panel, std::size_t row, std::size_t slab) noexcept
      : first(panel + row / rows_of_vector * (slab * rows_of_vector) + row % rows_of_vector * multiplied_as<X>::step) {}
  BLOCQ_INLINE X* at(std::size_t column) const noexcept { return first + column * rows_of_vector; }
};

// Columns [first, first + columns) of a row, which begin a block and end a block or the row, then zeros to a whole
// vector.
template <class B>
void fill_panel_row(const B* row, std::size_t first, std::size_t columns, panel_row<float> to) noexcept {
  constexpr bool chunks = float_chunks<B>;
  std::size_t done = 0;
  if constexpr (chunks)
    for (; done + 32 <= columns; done += 32) {
      quad::floats v[2];
      chunk_floats(row, (first + done) / 32, v);
      for (std::size_t h = 0; h < 2; ++h) quad::store_halves(to.at(done + 16 * h), to.at(done + 16 * h + 8), v[h]);
    }
  if (done == columns) return;
  float rest[chunks ? 32 : float_columns<B>];
  for (std::size_t i = done; i < columns; i += block_size<B>)
    if constexpr (block_format<B>)
      decode(row[(first + i) / block_size<B>], rest + (i - done));
    else
      rest[i - done] = row[first + i];
  for (std::size_t i = columns; i % 8 != 0; ++i) rest[i - done] = 0.0f;
  for (std::size_t i = done; i < columns; i += 8) vec::store_floats(to.at(i), vec::load_floats(rest + (i - done)));
}

// Of bfloat16s a panel has the last columns of a row, less than a step.
inline void fill_panel_row(const bf16* row, std::size_t first, std::size_t columns, panel_row<bf16> to) noexcept {
  bf16 rest[multiplied_as<bf16>::step] = {};
  std::memcpy(rest, row + first, columns * sizeof(bf16));
  std::memcpy(to.at(0), rest, sizeof rest);
}

// A step of a tile's rows: of a panel,
template <class X>
struct panel_tile {
  const X* first;
  std::size_t slab;

  BLOCQ_INLINE auto load(std::size_t vector, std::size_t k) const noexcept {
    return multiplied_as<X>::load(first + (vector * slab + k) * rows_of_vector);
  }
  BLOCQ_INLINE void ask(std::size_t) const noexcept {}
};
BLOCQ_INLINE quad::floats load_eight_of_two(const float* a, const float* b) noexcept {
  return quad::as_floats(quad::load_halves(a, b));
}
BLOCQ_INLINE quad::floats load_eight_of_two(const f16* a, const f16* b) noexcept { return quad::load_f16_halves(a, b); }
BLOCQ_INLINE quad::floats load_eight_of_two(const bf16* a, const bf16* b) noexcept {
  return quad::load_bf16_halves(a, b);
}
// or of rows as they lie in the file, which are asked for a few lines before they are multiplied.
template <class B, class X, std::size_t Rows>
struct direct_tile {
  static constexpr std::size_t line = 64, lines_ahead = 8;
  const B* row[Rows];

  BLOCQ_INLINE auto load(std::size_t vector, std::size_t k) const noexcept {
    constexpr bool as_they_are = std::is_same_v<X, bf16>;
    if constexpr (rows_of_vector == 1 && as_they_are)
      return one::load_bytes(row[vector] + k);
    else if constexpr (rows_of_vector == 1)
      return load_eight(row[vector] + k);
    else if constexpr (as_they_are)
      return quad::load_halves(row[2 * vector] + k, row[2 * vector + 1] + k);
    else
      return load_eight_of_two(row[2 * vector] + k, row[2 * vector + 1] + k);
  }
  BLOCQ_INLINE void ask(std::size_t k) const noexcept {
    if (k * sizeof(B) % line != 0) return;
    for (const B* const p : row) vec::prefetch(reinterpret_cast<const char*>(p + k) + line * lines_ahead);
  }
};

// Adds the products of R vectors of a tile's rows with T rows of X to sums[8 (rows j + r)]: a step in eight lanes.
template <std::size_t R, std::size_t T, class Tile, class X>
BLOCQ_NOINLINE void multiply_tile(const Tile& w, const X* x, std::size_t x_stride, std::size_t columns,
                                  float* sums) noexcept {
  using as = multiplied_as<X>;
  constexpr std::size_t lanes = 8 * rows_of_vector;
  const auto each = [](auto&& f) BLOCQ_INLINE_LAMBDA {
    repeat<T>([&](auto j) BLOCQ_INLINE_LAMBDA { repeat<R>([&](auto r) BLOCQ_INLINE_LAMBDA { f(r, j); }); });
  };
  one::floats total[R][T];
  each([&](auto r, auto j) BLOCQ_INLINE_LAMBDA { total[r][j] = one::load_floats(sums + lanes * (R * j + r)); });
  for (std::size_t k = 0; k < columns; k += as::step) {
    w.ask(k);
    // Written, or compilers would read them from memory again for each of the products.
    decltype(as::fill(x)) a[R];
    repeat<R>([&](auto r) BLOCQ_INLINE_LAMBDA { a[r] = one::as_written(w.load(r, k)); });
    repeat<T>([&](auto j) BLOCQ_INLINE_LAMBDA {
      const auto b = one::as_written(as::fill(x + j * x_stride + k));
      repeat<R>([&](auto r) BLOCQ_INLINE_LAMBDA { total[r][j] = as::add(total[r][j], a[r], b); });
    });
  }
  each([&](auto r, auto j) BLOCQ_INLINE_LAMBDA { one::store_floats(sums + lanes * (R * j + r), total[r][j]); });
}

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
