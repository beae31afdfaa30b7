// Matrix times vector, with the weights as they lie in the file.
#ifndef BLOCQ_OP_GEMV_HPP
#define BLOCQ_OP_GEMV_HPP

#include <blocq/core/fp_environment.hpp>
#include <blocq/core/view.hpp>
#include <blocq/op/dot.hpp>

#include <cstddef>
#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {
// Some rows at a time, one of each part of the matrix: streams of memory that the processor can tell apart.
template <class B, class X>
void multiply_rows(matrix_view<const B> weights, const X* x, std::span<float> y) noexcept {
  constexpr std::size_t near_bytes = std::size_t{1} << 20, distance = 2048;
  const std::size_t part = weights.rows / rows_at_once, rest = part * rows_at_once;
  row_group<B, rows_at_once> group{
      {}, {}, rows_at_once, weights.rows * weights.stride * sizeof(B) > near_bytes ? distance : 0};
  const auto set = [&](std::size_t r, std::size_t m) {
    group.row[r] = weights.row(m).data();
    group.y[r] = &y[m];
  };
  for (std::size_t m = 0; m < part; ++m) {
    for (std::size_t r = 0; r < rows_at_once; ++r) set(r, r * part + m);
    dot_rows(group, x, weights.cols);
  }
  group.rows = weights.rows - rest;
  for (std::size_t r = 0; r < group.rows; ++r) set(r, rest + r);
  dot_rows(group, x, weights.cols);
}
}  // namespace detail

// y = W * x for one row of floats or of operand blocks: y[m] is dot(weights.row(m), x), the same number whatever range
// of rows it is computed in.
// Preconditions: x has weights.cols * block_size<B> elements, y has weights.rows.
template <class B, class X>
void gemv(matrix_view<const B> weights, const X& x, std::span<float> y) noexcept {
  BLOCQ_ASSERT(y.size() == weights.rows);
  const fp_environment modes;
  const std::span row(x);
  using A = std::remove_cv_t<typename decltype(row)::element_type>;
  const auto w = detail::wire_view(weights);
  if constexpr (std::is_same_v<A, float>) {
    BLOCQ_ASSERT(row.size() == weights.cols * block_size<B>);
    detail::multiply_rows(w, row.data(), y);
  } else {
    static_assert(std::is_same_v<wire_t<A>, detail::row_operand_t<wire_t<B>>>,
                  "gemv(weights, x, y): x is floats or blocks of integer_operand_t<the weights' format>");
    BLOCQ_ASSERT(row.size() * block_size<A> == weights.cols * block_size<B>);
    detail::multiply_rows(w, reinterpret_cast<const wire_t<A>*>(row.data()), y);
  }
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
