// A GGUF model on disk, in one file or in a split set, or a published checkpoint as the one that it becomes, with its
// tensors readable as floats.
#ifndef BLOCQ_EXAMPLES_MODEL_HPP
#define BLOCQ_EXAMPLES_MODEL_HPP

#include "../llama/packed_weight.hpp"
#include "catalog.hpp"
#include "published.hpp"

#include <blocq/gguf/reader.hpp>
#include <blocq/gguf/scale.hpp>
#include <blocq/gguf/split.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

// What may be wanted of a published checkpoint (see published_model).
enum class checkpoints { refused, numbers, whole };

class model {
 public:
  // A tensor and what belongs to it in tensors of their own. Wherever weights are numbers it is the scaled ones that
  // are meant.
  struct tensor : blocq::gguf::tensor_info {
    blocq::gguf::weight_scale scale;
    const blocq::gguf::tensor_info* scales = nullptr;  // the weight that this is the scale or the input scale of
    const published_tensor* published = nullptr;       // what it is made of; it has no data and no scale then
    const packed_weight* packed = nullptr;             // the same of packed matrices (packed/gguf.hpp), whose type is
    const tensor* beside = nullptr;                    // F32; and the tensor of its name that is added to it

    // What it takes in the file.
    std::uint64_t stored_bytes() const {
      return packed == nullptr ? bytes() : packed->bytes() + (beside == nullptr ? 0 : beside->bytes());
    }
  };

  struct options {
    // Accept a big-endian file, whose tensors then have no data.
    bool any_byte_order = false;
    checkpoints checkpoint = checkpoints::refused;
    // Of a whole checkpoint, see published_model.
    std::string pre = {}, architecture_map = {};
  };
  // Maps the file, and the rest of its set if it is part of a split one. Throws failure with the path and the reason.
  // Tensors of types that are not known have data and no format.
  explicit model(const std::string& path, const options& o);
  explicit model(const std::string& path) : model(path, options()) {}
  model(model&&) noexcept;
  ~model();

  const std::vector<std::filesystem::path>& files() const { return files_; }
  std::uint64_t file_bytes() const;
  // Of the first file; the keys of a split set ("split.*") are left out.
  const std::vector<blocq::gguf::key_value>& metadata() const { return metadata_; }
  const std::vector<tensor>& tensors() const { return tensors_; }
  const blocq::gguf::split_set& set() const;
  const blocq::gguf::reader& reader() const { return set().first(); }
  const tensor* find(std::string_view name) const;
  // The number in files() of the one that holds tensors()[index].
  std::size_t file_of(std::size_t index) const;
  // Gives the memory of elements [first, last) of a tensor, which are whole blocks, back to the system; it can be read
  // again.
  void release(const tensor& t, std::size_t first, std::size_t last) const;
  // Whether some tensors are packed: set() has no data then, and stored() has what is in the file.
  bool is_packed() const;
  const blocq::gguf::split_set& stored() const;
  // What the user should know about a published checkpoint.
  const std::vector<std::string>& notes() const;

 private:
  struct storage;
  void open_published(const std::string& path, const options& o);
  void open_packed(const std::string& path);

  std::vector<std::filesystem::path> files_;
  std::unique_ptr<storage> storage_;
  std::vector<blocq::gguf::key_value> metadata_;
  std::vector<tensor> tensors_;
};

// The format of a tensor, or null for integers and doubles, which are nobody's weights, and for types that are not
// known.
const format_entry* format_of(const blocq::gguf::tensor_info& tensor);

// What gets quantized: weights, as gguf::is_weight has them, of a type that is somebody's.
bool is_weight_matrix(const model& m, const blocq::gguf::tensor_info& tensor);

// The path of a shard: a name that gguf::format_split_name writes.
std::string shard_path(const blocq::gguf::split_name& name);

// out.size() elements from number `first` on as floats, times their scale. Both numbers are whole blocks. The tensor is
// of a known format.
void read_elements(const model::tensor& tensor, std::size_t first, std::span<float> out);

// Throws failure if the tensor is of a type that is not known, so that its numbers cannot be had.
void require_known(const blocq::gguf::tensor_info& tensor);

// Rows [first, last) of a tensor as its bytes are.
void read_rows(const model::tensor& tensor, std::uint64_t first, std::uint64_t last, std::byte* out);

// "q4_k", "type 139 (iq4_k)" or "type 200"; of a published tensor its layout.
std::string type_text(const model::tensor& tensor);
std::string type_text(const blocq::gguf::tensor_info& tensor);

// Floats as they are in a file.
std::vector<std::byte> image_of(std::span<const float> values);

// "256 x 512"
std::string shape_text(const blocq::gguf::tensor_info& tensor);

#endif
