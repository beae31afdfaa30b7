// Importance weights: how strongly each column of a matrix is excited by real inputs (the mean square of the
// activations that it is multiplied with). Read from either form of llama.cpp's imatrix files.
#ifndef BLOCQ_EXAMPLES_IMPORTANCE_HPP
#define BLOCQ_EXAMPLES_IMPORTANCE_HPP

#include <blocq/gguf/tensor.hpp>

#include <map>
#include <span>
#include <string>
#include <vector>

class importance_table {
 public:
  // Throws failure with the path and the reason. The form is told from the first bytes.
  //   GGUF      tensors NAME.in_sum2 [columns, matrices] and NAME.counts [1, matrices]: sums of squares and their
  //   number legacy    int32 entries; each: int32 length, name, int32 calls, int32 n, float[n] (mean square times
  //   calls)
  explicit importance_table(const std::string& path);

  // The weights for matrix number `matrix` of a tensor, one per column; empty if the file says nothing about it.
  std::span<const float> find(const blocq::gguf::tensor_info& tensor, std::size_t matrix) const;

  bool contains(const blocq::gguf::tensor_info& tensor) const { return entries_.contains(tensor.name); }

  // Throws failure if the file has weights for the tensor, but of another number.
  void check(const blocq::gguf::tensor_info& tensor) const;

 private:
  void read_gguf(const std::string& path);
  void read_legacy(const std::string& path);

  std::string path_;
  std::map<std::string, std::vector<float>, std::less<>> entries_;
};

#endif
