// must say: dot(weights, activations): activations are floats or blocks of integer_operand_t
#include <blocq/blocq.hpp>

#include <vector>

#ifdef BAD
using number = double;
#else
using number = float;
#endif

int main() {
  const std::vector<blocq::q4_0> w(1);
  const std::vector<number> x(32);
  return blocq::dot(w, x) != 0.0f;
}
