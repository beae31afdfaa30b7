// must say: -Werror=unused-result | -Werror,-Wunused-result
#include <blocq/blocq.hpp>

#include <array>

int main() {
  const std::array<float, 32> row{};
  std::array<blocq::q8_0, 1> blocks{};
#ifdef BAD
  blocq::quantize(row, blocks);
#else
  return blocq::quantize(row, blocks) ? 0 : 1;
#endif
}
