// A linear layer over tensors of a GGUF file.
#ifndef LLAMA_MATRIX_HPP
#define LLAMA_MATRIX_HPP

#include "packed_weight.hpp"

#include <blocq/gguf/scale.hpp>
#include <blocq/gguf/split.hpp>

#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llama {

struct product;

// A file's text for a message: in quotes, in printable ASCII and of bounded length.
std::string quoted(std::string_view text);

// The tensors of a model, remembering which were asked for.
class tensors {
 public:
  explicit tensors(const blocq::gguf::split_set& file) : file_(file) {}

  // Null if there is none.
  const blocq::gguf::tensor_info* find(const std::string& name);
  // The packed matrix of this name (blocq/packed/gguf.hpp), if there is one. Throws std::runtime_error if its parts are
  // not in order.
  std::optional<packed_weight> find_packed(const std::string& name);
  // Whether there is a matrix of this name, packed or not; and how many rows it has.
  bool has(const std::string& name) const { return rows_of(name) != 0; }
  std::size_t rows_of(const std::string& name) const;
  // The scale of a weight, and what may be beside it.
  blocq::gguf::weight_scale scale_of(const blocq::gguf::tensor_info& weight);
  // To be called last: throws std::runtime_error for a tensor that nobody asked for, which may change results.
  void finish() const;

 private:
  const blocq::gguf::split_set& file_;
  std::set<std::string_view> used_;
};

// y = scale * W * x + bias, with W in whatever type the file has it, packed or blocks or both together: all that this
// engine asks of blocq.
class matrix {
 public:
  matrix() = default;
  // "NAME.weight", with "NAME.scale" and "NAME.bias" where they are there. Throws std::runtime_error if the file lacks
  // the weight, or if one of them is of another shape.
  matrix(tensors& file, const std::string& name, std::size_t rows, std::size_t columns);

  std::string_view name() const { return name_; }  // of the tensor
  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }

  // n rows of x to n rows of y.
  void multiply(std::span<const float> x, std::size_t n, std::span<float> y, std::vector<std::byte>& scratch) const;
  // Row r of scale * W as floats.
  void row(std::size_t r, std::span<float> out) const;

 private:
  void add_packed(std::span<const float> x, std::size_t n, std::span<float> y, std::vector<std::byte>& scratch) const;

  std::string name_;
  std::size_t rows_ = 0, columns_ = 0;
  std::optional<packed_weight> packed_;
  const blocq::gguf::tensor_info* weight_ = nullptr;  // null: it is packed and nothing else
  const product* product_ = nullptr;
  float scale_ = 1;
  std::vector<float> bias_;
  std::vector<float> floats_;  // of a weight in f32 that this machine cannot read where it lies
};

// The floats of a tensor that is a vector.
std::vector<float> read_vector(tensors& file, const std::string& name, std::size_t size);

}  // namespace llama

#endif
