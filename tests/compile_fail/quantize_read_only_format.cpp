// must say: quantize(src, dst): the format of dst can be read but not written
#include <blocq/blocq.hpp>

#include <vector>

struct mine {
  unsigned char bytes[4];
};
template <>
struct blocq::format_traits<mine> {
  static constexpr const char* name = "mine";
  static constexpr std::size_t block_size = 32;
  using element = blocq::binary;
};

int main() {
  const std::vector<float> row(256);
#ifdef BAD
  std::vector<mine> blocks(8);
#else
  std::vector<blocq::q8_0> blocks(8);
#endif
  return blocq::quantize(row, blocks) ? 0 : 1;
}
