// must say: convert(src, dst): dst is a mutable range of blocks
#include <blocq/blocq.hpp>

#include <vector>

int main() {
  const std::vector<blocq::q4_0> from(8);
#ifdef BAD
  const std::vector<blocq::q8_0> to(8);
#else
  std::vector<blocq::q8_0> to(8);
#endif
  return blocq::convert(from, to) ? 0 : 1;
}
