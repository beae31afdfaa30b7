// Matrix times vector, with the weights as they lie in the file.
#ifndef BLOCQ_OP_GEMV_HPP
#define BLOCQ_OP_GEMV_HPP

#include <blocq/core/fp_environment.hpp>
#include <blocq/core/view.hpp>
#include <blocq/op/dot.hpp>

#include <cstddef>
#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

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
    detail::multiply_row(w, row.data(), y.data());
  } else {
    static_assert(std::is_same_v<wire_t<A>, detail::row_operand_t<wire_t<B>>>,
                  "gemv(weights, x, y): x is floats or blocks of integer_operand_t<the weights' format>");
    BLOCQ_ASSERT(row.size() * block_size<A> == weights.cols * block_size<B>);
    detail::multiply_row(w, reinterpret_cast<const wire_t<A>*>(row.data()), y.data());
  }
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
