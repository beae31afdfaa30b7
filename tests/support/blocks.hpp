// Blocks of a format as a value: what kernels.hpp and encoders.hpp have in common.
#ifndef BLOCQ_TESTS_BLOCKS_HPP
#define BLOCQ_TESTS_BLOCKS_HPP

#include <random_blocks.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace test {

struct block_type {
  std::string_view name;
  std::size_t elements, bytes;  // of a block
  void (*random)(std::size_t count, random_bytes&, void* blocks);
  void (*decode)(const void* blocks, std::size_t count, float* y);

  std::vector<std::byte> random_blocks(std::size_t count, random_bytes& next) const {
    std::vector<std::byte> blocks(count * bytes);
    random(count, next, blocks.data());
    return blocks;
  }
  std::vector<double> decoded(const void* blocks, std::size_t count) const {
    std::vector<float> y(count * elements);
    decode(blocks, count, y.data());
    return {y.begin(), y.end()};
  }
};

template <class B>
std::span<const B> row(const void* blocks, std::size_t count) {
  return {static_cast<const B*>(blocks), count};
}

template <class B>
void fill_in(block_type& t) {
  t.name = blocq::format_traits<B>::name;
  t.elements = blocq::block_size<B>;
  t.bytes = sizeof(B);
  t.random = [](std::size_t count, random_bytes& next, void* to) {
    std::generate_n(static_cast<B*>(to), count, [&] { return random_number_block<B>(next); });
  };
  t.decode = [](const void* blocks, std::size_t count, float* y) {
    for (const B& b : row<B>(blocks, count)) decode(b, std::exchange(y, y + blocq::block_size<B>));
  };
}
template <>
inline void fill_in<float>(block_type& t) {
  t.name = "f32";
  t.elements = 1;
  t.bytes = sizeof(float);
  t.random = [](std::size_t count, random_bytes& next, void* to) {
    std::generate_n(static_cast<float*>(to), count, [&] { return next.uniform(); });
  };
  t.decode = [](const void* numbers, std::size_t count, float* y) { std::memcpy(y, numbers, count * sizeof(float)); };
}

}  // namespace test

#endif
