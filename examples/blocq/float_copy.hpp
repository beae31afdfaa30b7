// A model's tensors as floats in memory, where they can be changed: a GGUF file that is on no disk.
#ifndef BLOCQ_EXAMPLES_FLOAT_COPY_HPP
#define BLOCQ_EXAMPLES_FLOAT_COPY_HPP

#include "model.hpp"

#include <span>
#include <string_view>
#include <vector>

class float_copy {
 public:
  // Takes the scales of weights in. Throws failure.
  explicit float_copy(const model& source);

  const blocq::gguf::split_set& set() const { return set_; }
  // Null if there is none.
  const blocq::gguf::tensor_info* find(std::string_view name) const { return reader_.find_tensor(name); }

  std::vector<float> get(const blocq::gguf::tensor_info& t) const;
  void set(const blocq::gguf::tensor_info& t, std::span<const float> values);

 private:
  std::vector<std::byte> bytes_;
  blocq::gguf::reader reader_;
  blocq::gguf::split_set set_;
};

#endif
