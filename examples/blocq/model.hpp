// A GGUF model on disk, in one file or in a split set, with its tensors readable as floats.
#ifndef BLOCQ_EXAMPLES_MODEL_HPP
#define BLOCQ_EXAMPLES_MODEL_HPP

#include "catalog.hpp"

#include <blocq/gguf/reader.hpp>
#include <blocq/gguf/split.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

class model {
 public:
  // Maps the file, and the rest of its set if it is part of a split one. Throws failure with the path and the reason.
  // With `any_byte_order` a big-endian file is accepted, whose tensors then have no data.
  explicit model(const std::string& path, bool any_byte_order = false);
  model(model&&) noexcept;
  ~model();

  const std::vector<std::filesystem::path>& files() const { return files_; }
  std::uint64_t file_bytes() const;
  // Of the first file; the keys of a split set ("split.*") are left out.
  const std::vector<blocq::gguf::key_value>& metadata() const { return metadata_; }
  const std::vector<blocq::gguf::tensor_info>& tensors() const { return tensors_; }
  const blocq::gguf::reader& reader() const;
  const blocq::gguf::tensor_info* find(std::string_view tensor) const;
  // The number in files() of the one that holds tensors()[tensor].
  std::size_t file_of(std::size_t tensor) const;
  // Gives the memory of a part of a tensor back to the system; it can be read again.
  void release(std::span<const std::byte> part) const;

 private:
  struct storage;
  std::vector<std::filesystem::path> files_;
  std::unique_ptr<storage> storage_;
  std::vector<blocq::gguf::key_value> metadata_;
  std::vector<blocq::gguf::tensor_info> tensors_;
};

// The format of a tensor, or null for integers and doubles, which are nobody's weights.
const format_entry* format_of(const blocq::gguf::tensor_info& tensor);

// What gets quantized: weights, as gguf::is_weight has them, of a type that is somebody's.
bool is_weight_matrix(const model& m, const blocq::gguf::tensor_info& tensor);

// The path of a shard: a name that gguf::format_split_name writes.
std::string shard_path(const blocq::gguf::split_name& name);

// Rows [first, last) as floats; `out` has room for exactly those.
void read_rows(const blocq::gguf::tensor_info& tensor, std::size_t first, std::size_t last, std::span<float> out);

// "256 x 512"
std::string shape_text(const blocq::gguf::tensor_info& tensor);

#endif
