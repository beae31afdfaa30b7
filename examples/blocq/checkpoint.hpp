// A published checkpoint on disk: a safetensors file, or a folder with one or several of them and their config.json.
#ifndef BLOCQ_EXAMPLES_CHECKPOINT_HPP
#define BLOCQ_EXAMPLES_CHECKPOINT_HPP

#include <blocq/checkpoint/recognize.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

// Whether a path is to be read as one rather than as a GGUF file: a folder, a .safetensors file or an index of them.
bool is_checkpoint(const std::string& path);

class checkpoint_files {
 public:
  // Maps all files. Throws failure with the file and the reason.
  explicit checkpoint_files(const std::string& path);
  ~checkpoint_files();

  const std::vector<std::filesystem::path>& files() const { return files_; }
  std::uint64_t bytes() const;
  const blocq::safetensors::tensor_set& tensors() const;
  const std::filesystem::path& file_of(const blocq::safetensors::tensor_info& tensor) const;

  // The weights, or why they are not understood.
  const blocq::result<blocq::checkpoint::weights>& weights() const;

  // A JSON file beside them; nothing if it is not there. Throws failure if it is not JSON.
  std::optional<nlohmann::json> read_json(const char* name) const;
  const std::filesystem::path& folder() const { return folder_; }

  // Gives the memory of a part of the files back to the system; it can be read again.
  void release(std::span<const std::byte> part) const;

 private:
  struct storage;
  std::filesystem::path folder_;
  std::vector<std::filesystem::path> files_;
  std::unique_ptr<storage> storage_;
};

// "fp8 e4m3, a f32 scale for 128 x 128", "bf16"
std::string layout_text(const blocq::checkpoint::weight& w);
// As GGUF has it, the length of a row first: "256 x 512", "64 x 128 x 8" for a stack of eight.
std::string shape_text(const blocq::checkpoint::weight& w);
// Of the codes and of everything that belongs to them.
std::uint64_t bytes_of(const blocq::checkpoint::weight& w);

struct inspect_options;
int inspect_checkpoint(const inspect_options& o);

#endif
