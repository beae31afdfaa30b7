// must say: quantize(src, dst): src is a contiguous range of float
#include <blocq/blocq.hpp>

#include <vector>

#ifdef BAD
using number = double;
#else
using number = float;
#endif

int main() {
  const std::vector<number> row(32);
  std::vector<blocq::q8_0> blocks(1);
  return blocq::quantize(row, blocks) ? 0 : 1;
}
