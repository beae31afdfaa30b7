// What is compiled once for each instruction set: the products of one format, behind plain functions.
#ifndef KERNELS_HPP
#define KERNELS_HPP

#include <blocq/dispatch/dispatch.hpp>

#include <cstddef>
#include <span>

// Y = X * W^T for `rows` rows of W of `blocks` blocks and n rows of X. Strides of W and X are in bytes, those of Y in
// floats. X is in the operand format.
struct product {
  const void* w;
  std::size_t rows, blocks, w_stride;
  const void* x;
  std::size_t n, x_stride;
  float* y;
  std::size_t y_stride;
  std::span<std::byte> scratch;
};

struct kernel {
  int type;  // GGUF's and ggml's number of the format
  const char* name;
  std::size_t block_size, block_bytes;      // elements and bytes of a block of weights
  std::size_t operand_size, operand_bytes;  // and of the rows of X
  // A row of k floats to the operand format; null where that is floats.
  void (*quantize)(const float* x, std::size_t k, void* to);
  void (*multiply)(const product&);
  std::size_t (*scratch)(std::size_t n, std::size_t k);

  // Eight rows side by side (blocq/op/interleave.hpp); null for the formats that have no such order. A product's W is
  // then rows of eight rows, and its stride that of eight.
  void (*interleave)(const void* from, std::size_t rows, std::size_t blocks, void* to);
  void (*deinterleave)(const void* from, std::size_t rows, std::size_t blocks, void* to);
  void (*multiply_interleaved)(const product&);
};

// The formats are compiled in a few families, each a source of its own.
enum class family { legacy, k, iq, other };

template <family>
struct kernel_family {
  std::span<const kernel> kernels;
};

// The kernels of all formats for the best instruction set that runs here and is at most `limit`.
struct kernel_table {
  const kernel* of_type[64] = {};
  blocq::dispatch::arch chosen = blocq::dispatch::arch::baseline;

  explicit kernel_table(blocq::dispatch::arch limit) noexcept;
  const kernel* find(int type) const noexcept { return type >= 0 && type < 64 ? of_type[type] : nullptr; }
};

#endif
