// Products of matrices by the caller's threads: the rows of W in parts, one call of the executor for all of them.
#ifndef BLOCQ_OP_PARALLEL_HPP
#define BLOCQ_OP_PARALLEL_HPP

#include <blocq/op/gemm.hpp>
#include <blocq/op/gemv.hpp>

#include <cstddef>
#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {
// The first row of part i of n: whole panels of gemm, as evenly as they go.
BLOCQ_INLINE std::size_t first_row(std::size_t rows, std::size_t i, std::size_t n) noexcept {
  constexpr std::size_t together = 16;
  const std::size_t panels = (rows + together - 1) / together;
  const std::size_t row = (panels / n * i + (panels % n * i) / n) * together;
  return row < rows ? row : rows;
}
}  // namespace detail

// An executor runs f(0) to f(n - 1), in any order and on any threads, and returns when all of them have:
//   auto run = [&](std::size_t n, auto&& f) { pool.parallel_for(n, f); };
// Every number of y is the one that the call without an executor gives, whatever `parts` is.
template <class B, class X, class Executor>
void gemv(matrix_view<const B> weights, const X& x, std::span<float> y, std::size_t parts, Executor&& run) {
  run(parts, [&](std::size_t i) {
    const std::size_t first = detail::first_row(weights.rows, i, parts),
                      last = detail::first_row(weights.rows, i + 1, parts);
    gemv(weights.row_range(first, last), x, y.subspan(first, last - first));
  });
}

// X is a matrix of floats or of operand blocks. scratch holds what gemm needs, `parts` times.
template <class B, class X, class Executor>
void gemm(matrix_view<const B> weights, matrix_view<const X> x, matrix_view<float> y, std::span<std::byte> scratch,
          std::size_t parts, Executor&& run) {
  run(parts, [&](std::size_t i) {
    const std::size_t first = detail::first_row(weights.rows, i, parts),
                      last = detail::first_row(weights.rows, i + 1, parts);
    gemm(weights.row_range(first, last), x, matrix_view<float>{y.data + first, y.rows, last - first, y.stride},
         scratch.subspan(scratch.size() / parts * i, scratch.size() / parts));
  });
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
