// A linear layer over a tensor of a GGUF file.
#ifndef LLAMA_MATRIX_HPP
#define LLAMA_MATRIX_HPP

#include <blocq/gguf/reader.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llama {

// The weights of one linear layer, in whatever type the file has them: all that this engine asks of blocq. The kernels
// are instantiated in matrix.cpp and nowhere else.
class matrix {
 public:
  matrix() = default;
  // Throws std::runtime_error if the file lacks such a tensor.
  matrix(const blocq::gguf::reader& file, const std::string& name, std::size_t rows, std::size_t columns);

  std::string_view name() const { return tensor_->name; }  // of the tensor
  std::size_t rows() const { return tensor_->rows(); }
  std::size_t columns() const { return tensor_->row_elements(); }

  // Y = X * W^T for n rows of X.
  void multiply(std::span<const float> x, std::size_t n, std::span<float> y, std::vector<std::byte>& scratch) const;
  // Row r as floats.
  void row(std::size_t r, std::span<float> out) const;

 private:
  const blocq::gguf::tensor_info* tensor_ = nullptr;
};

}  // namespace llama

#endif
