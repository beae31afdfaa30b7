#include <blocq/blocq.hpp>
#include <cstdio>
#include <vector>

int main() {
  std::vector<float> row(1024, 0.25f), back(row.size());
  std::vector<blocq::q4_k> blocks(blocq::blocks_for<blocq::q4_k>(row.size()));
  if (const auto s = blocq::quantize(row, blocks); !s) return std::puts(s.message()), 1;
  if (const auto s = blocq::dequantize(blocks, back); !s) return std::puts(s.message()), 1;
  std::printf("%zu bytes, first value %g\n", blocks.size() * sizeof blocks[0], static_cast<double>(back[0]));
}
