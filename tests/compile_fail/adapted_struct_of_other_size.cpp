// must say: an adapted struct must have the bytes of the wire struct it names
#include <blocq/blocq.hpp>

#include <array>

struct engine_block {
  std::uint16_t scale;
#ifdef BAD
  std::uint8_t codes[14];
#else
  std::uint8_t codes[16];
#endif
};

template <>
struct blocq::format_traits<engine_block> : blocq::format_traits<blocq::q4_0> {
  using wire = blocq::q4_0;
};

int main() {
  const std::array<engine_block, 1> blocks{};
  std::array<float, 32> row{};
  return blocq::dequantize(blocks, row) ? 0 : 1;
}
