// must say: convert(src, dst): the format of dst requires importance
#include <blocq/blocq.hpp>

#include <vector>

#ifdef BAD
using target = blocq::iq2_xxs;
#else
using target = blocq::q2_k;
#endif

int main() {
  const std::vector<blocq::q4_k> from(1);
  std::vector<target> to(1);
  return blocq::convert(from, to) ? 0 : 1;
}
