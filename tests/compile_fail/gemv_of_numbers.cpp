// must say: gemv(weights, x, y): weights is a matrix_view of blocks
#include <blocq/blocq.hpp>

#ifdef BAD
using block = double;
#else
using block = blocq::q4_0;
#endif

void product(blocq::matrix_view<const block> w, std::span<const float> x, std::span<float> y) { blocq::gemv(w, x, y); }
