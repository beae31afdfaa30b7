// A published checkpoint as the GGUF model that it becomes: names, shapes, metadata, and rows of every tensor.
#ifndef BLOCQ_EXAMPLES_PUBLISHED_HPP
#define BLOCQ_EXAMPLES_PUBLISHED_HPP

#include "architecture.hpp"
#include "catalog.hpp"
#include "checkpoint.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Rows of a matrix of a weight as blocks of one type, without a loss.
using exact_rows = blocq::result<void> (*)(const blocq::checkpoint::weight& w, std::uint64_t matrix,
                                           std::uint64_t first, std::uint64_t last, std::byte* out);

// A tensor of a GGUF file that is made of weights: each of its matrices is one, or some rows of one.
class published_tensor {
 public:
  const std::string& name() const { return name_; }
  const std::vector<std::uint64_t>& dims() const { return dims_; }
  // The type that holds it as it is; f32 if no type of GGUF does.
  const format_entry& format() const { return *format_; }
  bool is_exact() const { return holds_plain_ || exact_ != nullptr; }
  bool is_matrix() const { return dims_.size() > 1; }
  // "nvfp4, a factor for all", "bf16"
  std::string layout() const { return layout_text(*parts_.front().source); }

  // Elements from number `first` on, as the codes and scales mean them; of several threads at once. Throws failure with
  // file and tensor if they are no numbers.
  void read(std::size_t first, std::span<float> out) const;
  // Rows [first, last) in format().
  void read_rows(std::uint64_t first, std::uint64_t last, std::byte* out) const;
  // Gives the memory of rows [first, last) back to the system, or that of whole matrices with their last row; it can be
  // read again.
  void release(std::uint64_t first, std::uint64_t last) const;

 private:
  friend class published_model;
  // Matrix `matrix` of a weight.
  struct part {
    const blocq::checkpoint::weight* source = nullptr;
    std::uint64_t matrix = 0;
  };
  [[noreturn]] void refuse(const part& p, const std::string& what) const;
  std::uint64_t row_length() const { return dims_.front(); }
  std::uint64_t rows() const;
  std::uint64_t part_height() const { return rows() / parts_.size(); }
  const part& part_of(std::uint64_t row) const { return parts_[row / part_height()]; }
  std::uint64_t chosen(std::uint64_t height, std::uint64_t r) const;
  std::uint64_t source_row(std::uint64_t row) const;
  bool chooses_rows() const;
  bool is_contiguous() const;
  std::uint64_t element_of(const part& p, std::uint64_t row, std::uint64_t column) const;
  void set_shape();
  bool is_unscaled() const;
  bool holds(exact_rows type, const format_entry& format) const;
  void choose_type(bool look, std::string_view architecture);

  const checkpoint_files* files_ = nullptr;
  std::string name_;
  std::vector<std::uint64_t> dims_;
  gguf_place place_;
  // A vector for each output, or one for each matrix of a stack: what is said of rows is meant of its elements.
  bool is_bias_ = false;
  std::vector<part> parts_;
  const format_entry* format_ = nullptr;
  exact_rows exact_ = nullptr;
  bool holds_plain_ = false;  // the plain numbers
  bool copies_ = false;       // the bytes as they are
};

class published_model {
 public:
  // `whole`: everything that a GGUF file of it has. Without, only the numbers are wanted: nothing but its tensors has
  // to be there or known, and types are those of plain tensors or f32. Names of an architecture that is not known are
  // kept, unless the file `map` gives others (see mapped_architecture). `pre`: see add_tokenizer. Throws failure with
  // file and tensor.
  published_model(const std::string& path, bool whole, const std::string& pre, const std::string& map);

  const checkpoint_files& files() const { return files_; }
  // A GGUF file without its data, whose tensors are tensors() and, after them, numbers().
  std::span<const std::byte> header() const { return header_; }
  const std::deque<published_tensor>& tensors() const { return tensors_; }
  // Tensors of a few floats that belong to others, in the bytes of a file.
  struct number_tensor {
    std::string name;
    std::vector<std::byte> image;
  };
  const std::vector<number_tensor>& numbers() const { return numbers_; }

  // What the user should know: what GGUF cannot express, what is left out.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  void choose_architecture(const nlohmann::json& config, const std::string& path, const std::string& map);
  void add(const blocq::checkpoint::weight& w);
  void place(published_tensor& t, const blocq::checkpoint::weight& w);
  void finish_stacks();
  void note_kept_names();
  void add_numbers(const std::string& name, std::span<const float> numbers);
  void add_scales(const published_tensor& t);
  void check() const;
  void write_header(const nlohmann::json& config, const std::string& pre);

  checkpoint_files files_;
  bool whole_;
  std::unique_ptr<const architecture> architecture_;
  std::deque<published_tensor> tensors_;
  std::map<std::string, published_tensor*> by_name_;
  std::vector<number_tensor> numbers_;
  std::set<const blocq::safetensors::tensor_info*> kept_scales_;  // of activations
  std::vector<std::string> notes_;
  std::vector<std::byte> header_;
};

#endif
