// Dot products of two rows: blocks with blocks of their operand format, and blocks with floats. The kernel of a format
// is in kernel/: superblocks.hpp or points.hpp if it has 256 elements in a block and pairs with q8_k, blocks.hpp if it
// pairs with q8_0 or q8_1, floats.hpp for floats, mx.hpp for two MX formats.
#ifndef BLOCQ_OP_DOT_HPP
#define BLOCQ_OP_DOT_HPP

#include <blocq/core/view.hpp>
#include <blocq/op/kernel/blocks.hpp>
#include <blocq/op/kernel/floats.hpp>
#include <blocq/op/kernel/mx.hpp>
#include <blocq/op/kernel/points.hpp>
#include <blocq/op/kernel/superblocks.hpp>

#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// The operand of the integer kernels: integer_operand_t, or q8_k for itself.
template <class B>
using row_operand_t = std::conditional_t<integer_format<B>, integer_operand_t<B>, operand_t<B>>;

// The same rows as the library's own structs.
template <class B>
BLOCQ_INLINE matrix_view<const wire_t<B>> wire_view(matrix_view<const B> m) noexcept {
  return {reinterpret_cast<const wire_t<B>*>(m.data), m.rows, m.cols, m.stride};
}

}  // namespace detail

// The dot product of a row of blocks with a row of its operand format (integer_operand_t; q8_k for itself). The
// integers are exact; a float step scales them once per block (32 elements, or 256 for the formats whose operand is
// q8_k), and the scaled sums are added in sixteen lanes. Or with a row of floats, which nothing is rounded to; or, of
// two OCP MX formats with blocks of one size, as MX v1.0 defines it: the sum over the blocks of the scales' product
// times the sum of the elements' products. Precondition: both rows have the same number of elements.
template <class W, class X>
requires requires(const W& w, const X& x) { std::span(w), std::span(x); }
float dot(const W& weights, const X& activations) noexcept {
  const std::span w(weights);
  const std::span x(activations);
  using B = std::remove_cv_t<typename decltype(w)::element_type>;
  using A = std::remove_cv_t<typename decltype(x)::element_type>;
  static_assert(weight_format<B>, "dot(weights, activations): weights is a range of blocks or floats");
  const auto* blocks = reinterpret_cast<const wire_t<B>*>(w.data());
  if constexpr (std::is_same_v<A, float>) {
    BLOCQ_ASSERT(x.size() == w.size() * block_size<B>);
    return detail::dot_blocks(blocks, x.data(), w.size());
  } else {
    static_assert(
        detail::both_mx<B, A> || std::is_same_v<wire_t<A>, detail::row_operand_t<wire_t<B>>>,
        "dot(weights, activations): activations are floats or blocks of integer_operand_t<the weights' format>");
    BLOCQ_ASSERT(x.size() * block_size<A> == w.size() * block_size<B>);
    return detail::dot_blocks(blocks, reinterpret_cast<const wire_t<A>*>(x.data()), w.size());
  }
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
