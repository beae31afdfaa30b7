// must say: gemv(weights, x, y): x is blocks of integer_operand_t<the weights' format>
#include <blocq/blocq.hpp>

#include <vector>

#ifdef BAD
using number = float;
#else
using number = blocq::integer_operand_t<blocq::q4_0>;
#endif

void product(blocq::matrix_view<const blocq::interleaved<blocq::q4_0>> w, const std::vector<number>& x,
             std::span<float> y) {
  blocq::gemv(w, x, y);
}
