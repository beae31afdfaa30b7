// must say: quantize_activations(src, dst): dst is blocks of q8_0, q8_1 or q8_k
#include <blocq/blocq.hpp>

#include <vector>

#ifdef BAD
using target = blocq::q4_0;
#else
using target = blocq::q8_0;
#endif

int main() {
  const std::vector<float> x(32);
  std::vector<target> blocks(1);
  blocq::quantize_activations(x, blocks);
}
