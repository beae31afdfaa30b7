// The kernels that run.sh looks into.
#include <blocq/op/dequantize.hpp>
#include <blocq/op/dot.hpp>
#include <blocq/op/tile.hpp>

using namespace blocq;

float dot_q4_k(const q4_k* w, const q8_k* x, std::size_t n) { return detail::dot_blocks(w, x, n); }
float dot_iq4_xs(const iq4_xs* w, const q8_k* x, std::size_t n) { return detail::dot_blocks(w, x, n); }
float dot_q8_0(const q8_0* w, const q8_0* x, std::size_t n) { return detail::dot_blocks(w, x, n); }
void gemm_q4_k(const detail::panel<detail::kernel_for<q4_k>>& w, const std::uint32_t* x, std::size_t chunks,
               float* sums) {
  detail::multiply<detail::kernel_for<q4_k>, 4>(w, x, chunks, sums, detail::row_bytes{});
}
