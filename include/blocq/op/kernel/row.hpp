// Rows of weights times a row of activations: how both are walked through. What is multiplied is a kernel's matter, of
// which there is one for each class of formats:
//
//   blocks.hpp        blocks with a float for a step, 512 elements at a time
//   superblocks.hpp   blocks of 256 elements with integer scales, four at a time
//   points.hpp        those of them with tables of points, where registers hold such tables
//   floats.hpp        any format, with activations that are floats
//
// A kernel is row_kernel<B, X>. A unit is `step` blocks of B. The activations of a unit are prepared once, in the order
// in which the weights' codes come out of registers, for all rows and columns that are multiplied with them. Every row
// has sums of its own, in 16 lanes of which the order is that of the elements and the same with all vectors, and adds
// to them in the same order whatever the other rows are.
#ifndef BLOCQ_OP_KERNEL_ROW_HPP
#define BLOCQ_OP_KERNEL_ROW_HPP

#include <blocq/codec/codec.hpp>
#include <blocq/core/view.hpp>
#include <blocq/simd/quad.hpp>

#include <cstddef>
#include <cstring>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// The products of rows of B with rows of X:
//   step         blocks of B in a unit
//   operand<How>   what a unit of X is multiplied as; load(const X*) reads a whole unit, which remains where it is and,
//                  if it is `copied`, is stored in the order of the weights' codes
//   in_place     whether rows that have been prepared for many others are read in place
//   sums         of a row; total()
//   add(w, x, sums)   adds the products of a unit of weights with T units of X to their sums
template <class B, class X>
struct row_kernel;

// How activations are read: from a copy or where they are, for as many rows as are to come, or for one row only.
enum class reading { copied, in_place, once };

// Blocks that are multiplied before their sums are added to those of others: a row of activations is prepared in pieces
// of a size that fits on a stack and in a first-level cache.
template <class B, class X>
inline constexpr std::size_t piece_blocks = [] {
  constexpr std::size_t unit = row_kernel<B, X>::step * block_size<B>;
  return (8192 + unit - 1) / unit * row_kernel<B, X>::step;
}();

// Whether activations that lie in parts of 32 bytes are read where they are: with registers of 64 bytes the parts of
// one are better brought together beforehand, for as many rows as are to come.
#ifdef BLOCQ_HAS_AVX512
inline constexpr bool halves_in_place = false;
#else
inline constexpr bool halves_in_place = true;
#endif

// What a sum begins with. Compilers are not to know that it is zero: g++ would clear all sums at once, with an
// instruction for long strings that takes a tenth of the time of a row of 4096 elements.
BLOCQ_INLINE quad::floats no_sum() noexcept { return quad::as_written(quad::fill_floats(0.0f)); }

// The last blocks of a row, then zeros.
template <class B, std::size_t N>
BLOCQ_INLINE void fill_up(B (&to)[N], const B* from, std::size_t blocks) noexcept {
  std::memset(static_cast<void*>(to), 0, sizeof to);
  std::memcpy(static_cast<void*>(to), from, blocks * sizeof(B));
}

// A piece of a row of X.
template <class B, class X>
struct prepared_row {
  using K = row_kernel<B, X>;
  using operand = typename K::template operand<K::in_place ? reading::in_place : reading::copied>;
  static constexpr std::size_t units = piece_blocks<B, X> / K::step, x_step = K::step * block_size<B> / block_size<X>;

  operand unit[units];
  X rest[x_step];

  // Blocks [0, blocks), at most piece_blocks; the last unit is filled up with zeros.
  BLOCQ_NOINLINE void prepare(const X* x, std::size_t blocks) noexcept {
    for (std::size_t i = 0; i * K::step < blocks; ++i, x += x_step) {
      const std::size_t left = blocks - i * K::step;
      if (left < K::step) fill_up(rest, x, left * x_step / K::step);
      unit[i].load(left < K::step ? rest : x);
    }
  }
};

// Rows that are multiplied at the same time: streams of memory that the processor can tell apart.
inline constexpr std::size_t most_streams = 4;
template <class B>
struct row_streams {
  const B* row[most_streams];
  std::size_t rows;
};

// The products of some rows with T rows of X, over blocks [0, blocks): totals[r][t].
template <std::size_t T, class B, class X>
BLOCQ_NOINLINE void multiply_streams(const row_streams<B>& w, const prepared_row<B, X>* x, std::size_t blocks,
                                     float (&totals)[most_streams][T]) noexcept {
  using K = row_kernel<B, X>;
  constexpr std::size_t distance = 2048;  // bytes, from which memory is asked for
  typename K::sums sums[most_streams][T];
  B rest[K::step];
  for (std::size_t i = 0; i * K::step < blocks; ++i) {
    const std::size_t left = blocks - i * K::step;
    const typename prepared_row<B, X>::operand* xs[T];
    for (std::size_t t = 0; t < T; ++t) xs[t] = &x[t].unit[i];
    for (std::size_t r = 0; r < w.rows; ++r) {
      const B* unit = w.row[r] + i * K::step;
      for (std::size_t line = 0; line < K::step * sizeof(B); line += 64)
        vec::prefetch(reinterpret_cast<const char*>(unit) + distance + line);
      if (left < K::step) {
        fill_up(rest, unit, left);
        unit = rest;
      }
      K::template add<T>(simd::opaque(unit), xs, sums[r]);
    }
  }
  for (std::size_t r = 0; r < w.rows; ++r)
    for (std::size_t t = 0; t < T; ++t) totals[r][t] = sums[r][t].total();
}

// y[t][m] = the product of row m of the weights with row t of X, x(t). `room` has T prepared rows.
template <std::size_t T, class B, class X, class RowOfX>
void multiply_rows(matrix_view<const B> weights, RowOfX&& x, prepared_row<B, X>* room, matrix_view<float> y) noexcept {
  constexpr std::size_t piece = piece_blocks<B, X>;
  const std::size_t part = weights.rows / most_streams;
  for (std::size_t first = 0; first == 0 || first < weights.cols; first += piece) {
    const std::size_t blocks = weights.cols - first < piece ? weights.cols - first : piece;
    for (std::size_t t = 0; t < T; ++t) room[t].prepare(x(t) + first * block_size<B> / block_size<X>, blocks);
    const auto run = [&](std::size_t m, std::size_t rows, std::size_t apart) {
      row_streams<B> streams{{}, rows};
      for (std::size_t r = 0; r < rows; ++r) streams.row[r] = weights.row(m + r * apart).data() + first;
      float totals[most_streams][T];
      multiply_streams<T>(streams, room, blocks, totals);
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t t = 0; t < T; ++t) {
          float& to = y.row(t)[m + r * apart];
          to = first == 0 ? totals[r][t] : to + totals[r][t];
        }
    };
    for (std::size_t m = 0; m < part; ++m) run(m, most_streams, part);
    if (const std::size_t done = part * most_streams; done < weights.rows) run(done, weights.rows - done, 1);
  }
}

// One row of X.
template <class B, class X>
BLOCQ_NOINLINE void multiply_row(matrix_view<const B> weights, const X* x, float* y) noexcept {
  prepared_row<B, X> room;
  multiply_rows<1>(
      weights, [x](std::size_t) { return x; }, &room, matrix_view<float>{y, 1, weights.rows, weights.rows});
}

// Rows of which one is multiplied: unit by unit, and nothing is prepared for others.
template <class B, class X>
BLOCQ_NOINLINE float dot_blocks(const B* w, const X* x, std::size_t blocks) noexcept {
  using K = row_kernel<B, X>;
  constexpr std::size_t piece = piece_blocks<B, X>, x_step = prepared_row<B, X>::x_step;
  typename K::sums sums[1];
  float total = 0.0f;
  B rest[K::step];
  X rest_x[x_step];
  for (std::size_t i = 0; i < blocks; i += K::step, x += x_step) {
    const std::size_t left = blocks - i;
    if (left < K::step) {
      fill_up(rest, w + i, left);
      fill_up(rest_x, x, left * x_step / K::step);
    }
    using operand = typename K::template operand<reading::once>;
    operand unit;
    unit.load(simd::opaque(left < K::step ? rest_x : x));
    const operand* const xs[1] = {&unit};
    K::template add<1>(simd::opaque(left < K::step ? rest : w + i), xs, sums);
    if (left <= K::step || (i + K::step) % piece == 0) {
      total = i < piece ? sums[0].total() : total + sums[0].total();
      sums[0] = {};
    }
  }
  return total;
}

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
