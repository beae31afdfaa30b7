// Compiled once for each instruction set by blocq_add_kernels. Products are instantiated here and nowhere else.
#include "products.hpp"

#include <blocq/blocq.hpp>
#include <blocq/dispatch/dispatch.hpp>

namespace llama {

namespace {

template <class B>
void multiply(const std::byte* blocks, std::size_t rows, std::size_t columns, const float* x, std::size_t n, float* y,
              std::byte* scratch) {
  const std::size_t row = columns / blocq::block_size<B>;
  const blocq::matrix_view<const B> w{reinterpret_cast<const B*>(blocks), rows, row, row};
  if (n == 1)
    blocq::gemv(w, std::span(x, columns), std::span(y, rows), std::span(scratch, blocq::gemv_scratch<B>(columns)));
  else
    blocq::gemm(w, {x, n, columns, columns}, {y, n, rows, rows},
                std::span(scratch, blocq::gemm_scratch<B>(n, columns)));
}

template <class B>
std::size_t scratch_bytes(std::size_t n, std::size_t columns) {
  return n == 1 ? blocq::gemv_scratch<B>(columns) : blocq::gemm_scratch<B>(n, columns);
}

template <class B>
constexpr product product_of() {
  int type = -1;
  if constexpr (blocq::gguf_format<B>) type = blocq::format_traits<B>::gguf_id;
  return {blocq::format_traits<B>::name, type, multiply<B>, scratch_bytes<B>};
}

template <class List>
struct table_of;
template <class... Formats>
struct table_of<blocq::type_list<Formats...>> {
  static constexpr product products[] = {product_of<Formats>()...};
};

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

}  // namespace

}  // namespace llama

template <>
const llama::product_table& blocq::dispatch::kernels<llama::product_table, BLOCQ_DISPATCH_ARCH>() noexcept {
  static constexpr llama::product_table table{llama::table_of<blocq::all_formats>::products,
                                              {"f32", 0, llama::multiply<float>, llama::scratch_bytes<float>},
                                              TEXT(BLOCQ_ISA)};
  return table;
}
