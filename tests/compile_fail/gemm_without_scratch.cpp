// must say: gemm(weights, x, y, scratch): scratch is gemm_scratch<B>(n, k) bytes of the caller's
#include <blocq/blocq.hpp>

void product(blocq::matrix_view<blocq::q4_k> w, blocq::matrix_view<const float> x, blocq::matrix_view<float> y,
             [[maybe_unused]] std::span<std::byte> scratch) {
#ifdef BAD
  blocq::gemm(w, x, y);
#else
  blocq::gemm(w, x, y, scratch);
#endif
}
