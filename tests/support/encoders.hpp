// Encoders of each format, compiled once for all tests of a program (encoders.cpp): tests that go through formats are
// ordinary functions of values.
#ifndef BLOCQ_TESTS_ENCODERS_HPP
#define BLOCQ_TESTS_ENCODERS_HPP

#include <blocks.hpp>
#include <blocq/op/quantize.hpp>

namespace test {

struct encoder : block_type {
  bool gguf, importance, requires_importance;
  blocq::status (*quantize)(std::span<const float> x, void* blocks, std::size_t count, const blocq::quantize_options&);
  blocq::status (*dequantize)(const void* blocks, std::size_t count, std::span<float> y);
  // Without what quantize() does around them: on lanes of one float, and on those of the instruction set.
  void (*encode_lane)(const float* x, std::size_t count, const blocq::encode_context&, void* blocks);
  void (*encode_native)(const float* x, std::size_t count, const blocq::encode_context&, void* blocks);
  void (*improve_lane)(const float* x, const float* w, void* block);  // null where there is nothing to improve

  std::vector<std::byte> blocks_of(std::size_t numbers) const {
    return std::vector<std::byte>(numbers / elements * bytes);
  }
};

// Those of formats.hpp that can be encoded, in its order.
std::span<const encoder> encoders();
const encoder& encoder_named(std::string_view name);

}  // namespace test

#endif
