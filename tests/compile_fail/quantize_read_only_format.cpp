// must say: quantize(src, dst): the format of dst can be read but not written
#include <blocq/blocq.hpp>

#include <vector>

int main() {
  const std::vector<float> row(256);
#ifdef BAD
  std::vector<blocq::iq1_s> blocks(1);
#else
  std::vector<blocq::q8_0> blocks(8);
#endif
  return blocq::quantize(row, blocks) ? 0 : 1;
}
