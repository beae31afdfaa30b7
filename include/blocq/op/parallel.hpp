// Encoding, and products of matrices, by the caller's threads: rows in parts, one call of the executor for all of them.
#ifndef BLOCQ_OP_PARALLEL_HPP
#define BLOCQ_OP_PARALLEL_HPP

#include <blocq/op/gemm.hpp>
#include <blocq/op/gemv.hpp>
#include <blocq/op/interleave.hpp>
#include <blocq/op/quantize.hpp>

#include <atomic>
#include <cstddef>
#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {
// The first row of part i of n, as evenly as they go: a multiple of `together`, or the end. (gemm has panels of 16.)
BLOCQ_INLINE std::size_t first_row(std::size_t rows, std::size_t i, std::size_t n, std::size_t together = 16) noexcept {
  const std::size_t panels = (rows + together - 1) / together;
  const std::size_t row = (panels / n * i + (panels % n * i) / n) * together;
  return row < rows ? row : rows;
}
// Rows [first, last) of the weights, which may lie eight in a row.
template <class B>
BLOCQ_INLINE matrix_view<const B> rows_of(matrix_view<const B> weights, std::size_t first, std::size_t last) noexcept {
  constexpr std::size_t n = rows_in_row<B>;
  return weights.row_range(first / n, (last + n - 1) / n);
}
// No parts are one: systems that do not know how many threads they have say 0.
BLOCQ_INLINE constexpr std::size_t at_least_one(std::size_t parts) noexcept { return parts != 0 ? parts : 1; }
}  // namespace detail

// An executor runs f(0) to f(n - 1), in any order and on any threads, and returns when all of them have:
//   auto run = [&](std::size_t n, auto&& f) { pool.parallel_for(n, f); };
// Every byte of the result is the one that the call without an executor gives, whatever `parts` is. Weights may be
// interleaved.
template <class B, class X, class Executor>
void gemv(matrix_view<const B> weights, const X& x, std::span<float> y, std::size_t parts, Executor&& run) {
  parts = detail::at_least_one(parts);
  run(parts, [&](std::size_t i) {
    const std::size_t first = detail::first_row(y.size(), i, parts), last = detail::first_row(y.size(), i + 1, parts);
    gemv(detail::rows_of(weights, first, last), x, y.subspan(first, last - first));
  });
}

// x is quantized once; scratch holds what gemv needs without an executor.
template <class B, class Executor>
void gemv(matrix_view<const B> weights, std::span<const float> x, std::span<float> y, std::span<std::byte> scratch,
          std::size_t parts, Executor&& run) {
  BLOCQ_ASSERT(scratch.size() >= gemv_scratch<B>(x.size()));
  if constexpr (integer_format<wire_t<B>>) {
    using A = integer_operand_t<wire_t<B>>;
    const std::span<A> operand(reinterpret_cast<A*>(scratch.data()), blocks_for<A>(x.size()));
    quantize_activations(x, operand);
    gemv(weights, operand, y, parts, run);
  } else {
    gemv(weights, x, y, parts, run);
  }
}

// Refuses and reports what the call without an executor does (op/quantize.hpp).
template <class Blocks, class Executor>
status quantize(std::span<const float> src, Blocks&& dst, const quantize_options& options, std::size_t parts,
                Executor&& run) {
  const std::span blocks(dst);
  using B = typename decltype(blocks)::element_type;
  constexpr std::size_t size = block_size<B>;
  const std::size_t row = options.importance.empty() ? size : options.importance.size(), rows = src.size() / row;
  if (src.size() % size != 0 || src.size() % row != 0) return {errc::ragged, 0};
  if (const status refused = quantize(src.first(0), blocks.first(0), options); !refused) return refused;
  if (src.size() / size != blocks.size()) return {errc::size_mismatch, 0};
  if (!src.empty() && detail::requires_importance<B> && options.importance.empty()) return {errc::missing, 0};

  parts = detail::at_least_one(parts);
  const std::size_t none = blocks.size();
  std::atomic<std::size_t> reported = none;
  run(parts, [&](std::size_t i) {
    const std::size_t first = detail::first_row(rows, i, parts, 1) * row,
                      count = detail::first_row(rows, i + 1, parts, 1) * row - first;
    const status s = quantize(src.subspan(first, count), blocks.subspan(first / size, count / size), options);
    if (s) return;
    const std::size_t at = first / size + s.at;
    std::size_t before = reported.load();
    while (at < before && !reported.compare_exchange_weak(before, at)) {
    }
  });
  const std::size_t at = reported.load();
  if (at == none) return {};
  const status s = detail::check_blocks(src.data() + at * size, reinterpret_cast<wire_t<B>*>(&blocks[at]), 1);
  return {s.code, at};
}

// Bytes of scratch that gemm needs for n rows of X of k elements in so many parts.
template <class B>
constexpr std::size_t gemm_scratch(std::size_t n, std::size_t k, std::size_t parts) noexcept {
  return gemm_scratch<B>(n, k) * detail::at_least_one(parts);
}

// X is a matrix of floats or of operand blocks. scratch has gemm_scratch<B>(n, k, parts) bytes.
template <class B, class X, class Executor>
void gemm(matrix_view<const B> weights, matrix_view<X> x, matrix_view<float> y, std::span<std::byte> scratch,
          std::size_t parts, Executor&& run) {
  parts = detail::at_least_one(parts);
  run(parts, [&](std::size_t i) {
    const std::size_t first = detail::first_row(y.cols, i, parts), last = detail::first_row(y.cols, i + 1, parts);
    gemm(detail::rows_of(weights, first, last), x, matrix_view<float>{y.data + first, y.rows, last - first, y.stride},
         scratch.subspan(scratch.size() / parts * i, scratch.size() / parts));
  });
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
