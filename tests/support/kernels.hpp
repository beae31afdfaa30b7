// Products of each format, compiled once for all tests of a program (kernels.cpp): tests that go through formats are
// ordinary functions of values.
#ifndef BLOCQ_TESTS_KERNELS_HPP
#define BLOCQ_TESTS_KERNELS_HPP

#include <blocks.hpp>
#include <blocq/core/error.hpp>
#include <blocq/core/view.hpp>

#include <cstddef>
#include <span>
#include <string_view>

namespace test {

// Rows of blocks whose type is known elsewhere; cols and stride count blocks.
struct block_rows {
  const void* data = nullptr;
  std::size_t rows = 0, cols = 0, stride = 0;
};
using float_rows = blocq::matrix_view<const float>;
using results = blocq::matrix_view<float>;
using scratch_bytes = std::span<std::byte>;

struct operand_type : block_type {
  void (*encode)(const float* x, std::size_t count, void* blocks);       // as the reference does
  void (*quantize_activations)(std::span<const float> x, void* blocks);  // as the library does
  void (*lowest)(std::size_t count, void* blocks);                       // -64, whose codes are all -128
};

// Weights in one order, times floats or times blocks of the operand. What is not to be had is null.
struct products {
  std::size_t (*scratch)(std::size_t n, std::size_t k);  // of gemm
  void (*gemm_floats)(block_rows w, float_rows x, results y, scratch_bytes);
  void (*gemm)(block_rows w, block_rows x, results y, scratch_bytes);
  void (*gemv_floats)(block_rows w, const float* x, std::span<float> y);
  void (*gemv)(block_rows w, const void* x, std::span<float> y);
  float (*dot_floats)(const void* w, const float* x, std::size_t blocks);
  float (*dot)(const void* w, const void* x, std::size_t blocks);
};

struct weight_type : block_type {
  blocq::status (*dequantize)(const void* blocks, std::size_t count, std::span<float> y);
  void (*set_lowest)(void* blocks, std::size_t count);                           // codes of the lowest number
  void (*set_scale)(void* blocks, std::size_t count, std::uint8_t scale);        // the field's bits
  const operand_type* operand;                                                   // null if products are of floats
  double (*rounding_of_sums)(const void* w, const void* x, std::size_t blocks);  // random_blocks.hpp
  products direct, interleaved;
  // Rows to eight side by side, and back.
  void (*interleave)(block_rows w, void* to);
  void (*deinterleave)(const void* from, void* to, std::size_t rows, std::size_t cols, std::size_t stride);

  bool integers() const { return direct.gemm != nullptr; }
  bool interleavable() const { return interleave != nullptr; }
};

// Those of formats.hpp, in its order.
std::span<const weight_type> weight_types();
// One of them, or of the others that tests of products name; "f32" for floats.
const weight_type& weights_named(std::string_view name);

}  // namespace test

#endif
