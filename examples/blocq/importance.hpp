// Importance: of columns of a model's matrices, from a file or from a text; which tensors have weights, and which.
#ifndef BLOCQ_EXAMPLES_IMPORTANCE_HPP
#define BLOCQ_EXAMPLES_IMPORTANCE_HPP

#include "model.hpp"

#include <blocq/calib/imatrix.hpp>

#include <map>
#include <span>
#include <string>
#include <vector>

namespace llama {
class model;
}

class importance_file {
 public:
  // Either form of llama.cpp's imatrix files; no column weighs less than `least` times its matrix's mean. Throws
  // failure with the path and the reason.
  explicit importance_file(const std::string& path, double least = 0);
  // What was measured just now, on no disk: its path is empty.
  explicit importance_file(blocq::calib::importance_table table, double least = 0)
      : least_(least), table_(std::move(table)) {}

  const std::string& path() const { return path_; }
  const blocq::calib::importance_table& table() const { return table_; }

  // Makes the weights for a tensor ready; false if the file says nothing about it. Throws failure if it has weights for
  // it, but of another number.
  bool prepare(const blocq::gguf::tensor_info& tensor);

  // The weights for matrix number `matrix` of a tensor, one per column; empty if there are none or it was not prepared.
  std::span<const float> find(const blocq::gguf::tensor_info& tensor, std::size_t matrix) const;

 private:
  std::string path_;
  double least_;
  blocq::calib::importance_table table_;
  std::map<std::string, std::vector<float>, std::less<>> weights_;
};

// What a text sends into each matrix of a llama model, cut up as in windows.hpp; `output`: also into the last one. Does
// not depend on the number of threads. Throws failure, or not_finite.
blocq::calib::importance_table measure_importance(const model& file, const std::string& text, std::size_t context,
                                                  std::size_t windows, bool output, unsigned threads);
// The same of a text that is cut up: windows of equal size.
blocq::calib::importance_table measure_importance(const llama::model& m, std::span<const std::vector<int>> windows,
                                                  bool output, unsigned threads);

#endif
