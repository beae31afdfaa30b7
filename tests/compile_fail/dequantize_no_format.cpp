// must say: dequantize(src, dst): src is a range of blocks, a type with a blocq::format_traits
#include <blocq/blocq.hpp>

#include <vector>

#ifdef BAD
struct block {
  std::uint8_t bytes[18];
};
#else
using block = blocq::q4_0;
#endif

int main() {
  const std::vector<block> blocks(1);
  std::vector<float> row(32);
  return blocq::dequantize(blocks, row) ? 0 : 1;
}
