// Matrix times vector, with the weights as they lie in the file.
#ifndef BLOCQ_OP_GEMV_HPP
#define BLOCQ_OP_GEMV_HPP

#include <blocq/core/fp_environment.hpp>
#include <blocq/core/view.hpp>
#include <blocq/op/activations.hpp>
#include <blocq/op/dot.hpp>

#include <cstddef>
#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

// y = W * x for one row of operand blocks or of floats: y[m] is dot(weights.row(m), x), the same number whatever range
// of rows it is computed in. Floats are multiplied as they are, with nothing rounded. Formats of small integers
// (integer_format) are several times as fast with operand blocks, or with scratch, below.
// Preconditions: x has weights.cols * block_size<B> elements, y has weights.rows.
template <class B, class X>
void gemv(matrix_view<const B> weights, const X& x, std::span<float> y) noexcept {
  static_assert(weight_format<B>, "gemv(weights, x, y): weights is a matrix_view of blocks or floats");
  BLOCQ_ASSERT(y.size() == weights.rows);
  const fp_environment modes;
  const std::span row(x);
  using A = std::remove_cv_t<typename decltype(row)::element_type>;
  const auto w = detail::wire_view(weights);
  if constexpr (std::is_same_v<A, float>) {
    BLOCQ_ASSERT(row.size() == weights.cols * block_size<B>);
    detail::multiply_row(w, row.data(), y.data());
  } else {
    static_assert(integer_format<wire_t<B>> && std::is_same_v<wire_t<A>, detail::row_operand_t<wire_t<B>>>,
                  "gemv(weights, x, y): x is floats or blocks of integer_operand_t<the weights' format>");
    BLOCQ_ASSERT(row.size() * block_size<A> == weights.cols * block_size<B>);
    detail::multiply_row(w, reinterpret_cast<const wire_t<A>*>(row.data()), y.data());
  }
}
template <class B, class... Rest>
requires(!std::is_const_v<B>) void gemv(matrix_view<B> weights, Rest&&... rest) {
  gemv(matrix_view<const B>(weights), static_cast<Rest&&>(rest)...);
}

// Bytes of scratch that gemv needs for k floats. Any alignment.
template <class B>
constexpr std::size_t gemv_scratch(std::size_t k) noexcept {
  if constexpr (integer_format<wire_t<B>>)
    return blocks_for<integer_operand_t<wire_t<B>>>(k) * sizeof(integer_operand_t<wire_t<B>>);
  else
    return 0;
}

// The same as gemm does it: formats of small integers quantize x first, to integer_operand_t, and multiply integers.
// Further precondition: scratch has gemv_scratch<B>(x.size()) bytes.
template <class B>
void gemv(matrix_view<const B> weights, std::span<const float> x, std::span<float> y,
          std::span<std::byte> scratch) noexcept {
  BLOCQ_ASSERT(scratch.size() >= gemv_scratch<B>(x.size()));
  if constexpr (integer_format<wire_t<B>>) {
    using A = integer_operand_t<wire_t<B>>;
    static_assert(alignof(A) == 1);
    const std::span<A> operand(reinterpret_cast<A*>(scratch.data()), blocks_for<A>(x.size()));
    quantize_activations(x, operand);
    gemv(weights, operand, y);
  } else {
    gemv(weights, x, y);
  }
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
