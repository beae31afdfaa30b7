// Fills the table of a family of formats: included by one source for each, which blocq_add_kernels compiles once for
// each instruction set.
#ifndef FAMILY_HPP
#define FAMILY_HPP

#include "kernels.hpp"

#include <blocq/blocq.hpp>

#include <type_traits>

namespace {

template <class B>
struct operand_of {
  using type = float;
  static constexpr std::size_t size = 1;
};
template <blocq::integer_format B>
struct operand_of<B> {
  using type = blocq::integer_operand_t<B>;
  static constexpr std::size_t size = blocq::block_size<type>;
};

template <class B>
void quantize_row(const float* x, std::size_t k, void* to) {
  using A = typename operand_of<B>::type;
  blocq::quantize_activations(std::span(x, k), std::span(static_cast<A*>(to), k / blocq::block_size<A>));
}

// W is a format or, interleaved, eight rows of one. A single row of X goes straight through the weights.
template <class B, class W>
void multiply(const product& p) {
  using A = typename operand_of<B>::type;
  constexpr std::size_t rows_in_row = sizeof(W) / sizeof(B);
  const std::size_t operands = p.blocks * blocq::block_size<B> / operand_of<B>::size;
  const blocq::matrix_view<const W> w{static_cast<const W*>(p.w), (p.rows + rows_in_row - 1) / rows_in_row, p.blocks,
                                      p.w_stride / sizeof(W)};
  const auto* const x = static_cast<const A*>(p.x);
  if (p.n == 1)
    blocq::gemv(w, std::span(x, operands), std::span(p.y, p.rows));
  else
    blocq::gemm(w, blocq::matrix_view<const A>{x, p.n, operands, p.x_stride / sizeof(A)},
                blocq::matrix_view<float>{p.y, p.n, p.rows, p.y_stride}, p.scratch);
}

template <class B>
blocq::matrix_view<B> whole(B* blocks, std::size_t rows, std::size_t cols) {
  return {blocks, rows, cols, cols};
}
template <class B>
void interleave_rows(const void* from, std::size_t rows, std::size_t cols, void* to) {
  blocq::interleave(whole(static_cast<const B*>(from), rows, cols),
                    std::span(static_cast<blocq::interleaved<B>*>(to), blocq::interleaved_blocks(rows, cols)));
}
template <class B>
void deinterleave_rows(const void* from, std::size_t rows, std::size_t cols, void* to) {
  blocq::deinterleave(std::span(static_cast<const blocq::interleaved<B>*>(from), blocq::interleaved_blocks(rows, cols)),
                      whole(static_cast<B*>(to), rows, cols));
}

template <class B>
constexpr kernel kernel_of() {
  using operand = operand_of<B>;
  kernel k{blocq::format_traits<B>::gguf_id,
           blocq::format_traits<B>::name,
           blocq::block_size<B>,
           sizeof(B),
           operand::size,
           sizeof(typename operand::type),
           nullptr,
           multiply<B, B>,
           blocq::gemm_scratch<B>,
           nullptr,
           nullptr,
           nullptr};
  if constexpr (blocq::integer_format<B>) k.quantize = quantize_row<B>;
  if constexpr (blocq::interleavable<B>) {
    k.interleave = interleave_rows<B>;
    k.deinterleave = deinterleave_rows<B>;
    k.multiply_interleaved = multiply<B, blocq::interleaved<B>>;
  }
  return k;
}

// x86 without SSE4 has no kernels worth the name: ggml keeps its own there.
template <class... Formats>
std::span<const kernel> kernels_of(blocq::type_list<Formats...>) {
#if defined(__x86_64__) && !defined(__SSE4_1__)
  return {};
#else
  static constexpr kernel table[] = {kernel_of<Formats>()...};
  return table;
#endif
}

}  // namespace

#define BLOCQ_KERNEL_FAMILY(name, ...)                                                    \
  template <>                                                                             \
  const kernel_family<family::name>&                                                      \
  blocq::dispatch::kernels<kernel_family<family::name>, BLOCQ_DISPATCH_ARCH>() noexcept { \
    static const kernel_family<family::name> table{kernels_of(__VA_ARGS__{})};            \
    return table;                                                                         \
  }

#endif
