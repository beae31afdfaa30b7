#include <blocq/blocq.hpp>
#include <blocq/gguf/all.hpp>

int main() {
  float row[32], back[32];
  for (int i = 0; i < 32; ++i) row[i] = static_cast<float>(i - 16);
  blocq::q8_0 block[1];
  if (!blocq::quantize(row, block) || !blocq::dequantize(block, back)) return 1;
  for (int i = 0; i < 32; ++i)
    if (back[i] - row[i] > 0.1f || row[i] - back[i] > 0.1f) return 1;
  return 0;
}
