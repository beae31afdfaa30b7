// What GGUF calls the parts of a published model: names of tensors, order of rows, metadata.
#ifndef BLOCQ_EXAMPLES_ARCHITECTURE_HPP
#define BLOCQ_EXAMPLES_ARCHITECTURE_HPP

#include <blocq/gguf/writer.hpp>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// A tensor's place in a GGUF file. Attention heads whose halves rotate together lie in it with the two interleaved: of
// each of `heads` heads, row 2 i + j is row j * (rows of a head / 2) + i of the published one. 0: rows as they are.
struct gguf_place {
  std::string name;
  std::size_t heads = 0;
};

class architecture {
 public:
  // From the root of config.json. Throws failure for one that is not known, or has what GGUF cannot say of it.
  explicit architecture(const nlohmann::json& config);

  // Nothing for a tensor that follows from the configuration and is not kept. Throws failure if the name is not known.
  std::optional<gguf_place> place_of(std::string_view tensor) const;

  // The published name of every tensor that a file may have, by its place.
  std::map<std::string, gguf_place> published_names() const;

  // Throws failure unless every tensor that the architecture asks for is there, by its name in GGUF, and all have the
  // shapes that follow from the configuration.
  void check(const std::map<std::string, std::vector<std::uint64_t>>& tensors) const;

  // general.architecture and the keys of the architecture.
  void add_metadata(blocq::gguf::writer& out) const;

  // Factors by which the frequencies of a head's pairs are divided ("rope_freqs.weight"); none for most models.
  const std::vector<float>& rope_factors() const { return rope_factors_; }

  std::size_t vocabulary() const { return vocabulary_; }
  // What the user should know: differences that GGUF cannot express.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  // A matrix or, without rows, a vector; both may have a bias.
  struct layer_part {
    const char* published;
    const char* gguf;
    std::uint64_t columns, rows;
    std::uint32_t heads = 0;
    bool bias = false;  // it must
  };
  std::vector<layer_part> parts() const;
  void read_rope(const nlohmann::json& config);

  const char* name_ = nullptr;
  bool interleaves_ = false, key_norms_ = false, biases_ = false;
  std::uint32_t layers_ = 0, width_ = 0, hidden_ = 0, heads_ = 0, kv_heads_ = 0, head_width_ = 0, context_ = 0;
  std::size_t vocabulary_ = 0;
  float epsilon_ = 0, rope_base_ = 10000;
  bool explicit_head_width_ = false;
  struct {
    std::string type;
    float factor = 0;
    std::uint32_t original_context = 0;
  } scaling_;
  std::vector<float> rope_factors_;
  std::vector<std::string> notes_;
};

#endif
