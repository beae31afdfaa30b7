// Compiled once for each architecture by blocq_add_kernels.
#include "kernels.hpp"

#include <blocq/blocq.hpp>
#include <blocq/dispatch/dispatch.hpp>

namespace {

void multiply(const void* weights, std::size_t m, std::size_t k, const float* x, float* y) {
  const std::size_t blocks = k / blocq::block_size<blocq::q4_k>;
  const blocq::matrix_view<const blocq::q4_k> w{static_cast<const blocq::q4_k*>(weights), m, blocks, blocks};
  blocq::gemv(w, std::span(x, k), std::span(y, m));
}

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

}  // namespace

template <>
const matvec_kernels& blocq::dispatch::kernels<matvec_kernels, BLOCQ_DISPATCH_ARCH>() noexcept {
  static constexpr matvec_kernels table{multiply, TEXT(BLOCQ_ISA)};
  return table;
}
