// must say: gemv(weights, x, y): x is floats or blocks of integer_operand_t
#include <blocq/blocq.hpp>

#include <vector>

#ifdef BAD
using operand = blocq::q8_0;
#else
using operand = blocq::integer_operand_t<blocq::q4_k>;
#endif

void product(blocq::matrix_view<const blocq::q4_k> w, const std::vector<operand>& x, std::span<float> y) {
  blocq::gemv(w, x, y);
}
