// Matrix times vector, with the weights as they lie in the file.
#ifndef BLOCQ_OP_GEMV_HPP
#define BLOCQ_OP_GEMV_HPP

#include <blocq/core/fp_environment.hpp>
#include <blocq/core/view.hpp>
#include <blocq/op/dot.hpp>

#include <cstddef>
#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

// y = W * x for one row of floats or of operand blocks, row after row through dot.
// Preconditions: x has weights.cols * block_size<B> elements, y has weights.rows.
template <class B, class X>
void gemv(matrix_view<const B> weights, const X& x, std::span<float> y) noexcept {
  BLOCQ_ASSERT(y.size() == weights.rows);
  const fp_environment modes;
  for (std::size_t m = 0; m < weights.rows; ++m) y[m] = dot(weights.row(m), x);
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
