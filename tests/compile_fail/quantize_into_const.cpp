// must say: quantize(src, dst): dst is a mutable range of blocks
#include <blocq/blocq.hpp>

#include <vector>

int main() {
  const std::vector<float> row(32);
#ifdef BAD
  const std::vector<blocq::q8_0> blocks(1);
#else
  std::vector<blocq::q8_0> blocks(1);
#endif
  return blocq::quantize(row, blocks) ? 0 : 1;
}
