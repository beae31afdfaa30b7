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

// Which rows of a published matrix are those of a tensor: gates and their partners may lie in one.
enum class row_share { all, even, odd, first_half, second_half };

// A tensor's place in a GGUF file. Attention heads whose halves rotate together lie in it with the two interleaved: of
// each of `heads` heads, row 2 i + j is row j * (rows of a head / 2) + i of the published one. 0: rows as they are.
// What is said of rows is meant of the elements of a bias.
struct gguf_place {
  std::string name;
  std::size_t heads = 0;
  row_share rows = row_share::all;
  std::optional<std::uint32_t> matrix = {};  // its number in a stack of matrices that are published one by one
  bool transposed = false;                   // published as plain numbers with a row for each input
};

using tensor_shapes = std::map<std::string, std::vector<std::uint64_t>>;

class architecture {
 public:
  virtual ~architecture() = default;

  // What becomes of a published tensor; nothing if it follows from the configuration and is not kept. Throws failure if
  // the name is not known.
  virtual std::vector<gguf_place> places_of(std::string_view tensor) const = 0;

  // Throws failure unless every tensor that the architecture asks for is there, by its name in GGUF, and all have the
  // shapes that follow from the configuration.
  virtual void check(const tensor_shapes& tensors) const = 0;

  // general.architecture and the keys of the architecture.
  virtual void add_metadata(blocq::gguf::writer& out) const = 0;

  // general.architecture.
  virtual std::string_view name() const = 0;
  // Factors by which the frequencies of a head's pairs are divided ("rope_freqs.weight"); none for most models.
  const std::vector<float>& rope_factors() const { return rope_factors_; }
  // Tokens; 0 if the configuration does not say.
  std::size_t vocabulary() const { return vocabulary_; }
  // Whether a model without a tokenizer is of use.
  virtual bool needs_tokenizer() const { return true; }
  // What the user should know: differences that GGUF cannot express.
  const std::vector<std::string>& notes() const { return notes_; }

 protected:
  std::size_t vocabulary_ = 0;
  std::vector<float> rope_factors_;
  std::vector<std::string> notes_;
};

// One of those whose tensors and settings are known.
class known_architecture final : public architecture {
 public:
  // From the root of config.json. Throws failure for one that is not known, or has what GGUF cannot say of it.
  explicit known_architecture(const nlohmann::json& config);
  // Whether the configuration names one.
  static bool names_one(const nlohmann::json& config);

  std::vector<gguf_place> places_of(std::string_view tensor) const override;
  void check(const tensor_shapes& tensors) const override;
  void add_metadata(blocq::gguf::writer& out) const override;
  std::string_view name() const override { return name_; }

  // The published name of every tensor that a file may have, by its place; of stacks of experts none.
  std::map<std::string, gguf_place> published_names() const;

 private:
  enum class stacks : unsigned char { none, qwen, gpt_oss };
  struct family;
  // A matrix or, without rows, a vector; a stack of them if it has a number. Each may have a bias.
  struct layer_part {
    const char* published;  // "{}" stands for the number of an expert
    const char* gguf;
    std::uint64_t columns, rows, matrices = 0;
    std::uint32_t heads = 0;
    bool bias = false;  // it must
    row_share share = row_share::all;
    bool bare = false;  // published without ".weight", its bias with "_bias"
    bool transposed = false;
  };
  static const family* find(const nlohmann::json& config, std::string& published);
  std::vector<layer_part> parts() const;
  void add_experts(std::vector<layer_part>& all) const;
  void read_rope(const nlohmann::json& config);
  void note_truncation();
  void read_experts(const nlohmann::json& config);
  void read_window(const nlohmann::json& config);

  const char* name_ = nullptr;
  bool interleaves_ = false, key_norms_ = false, biases_ = false;
  stacks experts_ = stacks::none;
  std::uint32_t layers_ = 0, width_ = 0, hidden_ = 0, heads_ = 0, kv_heads_ = 0, head_width_ = 0, context_ = 0;
  std::uint32_t expert_count_ = 0, experts_used_ = 0, expert_hidden_ = 0, window_ = 0;
  float epsilon_ = 0, rope_base_ = 10000;
  bool explicit_head_width_ = false;
  struct {
    std::string type;
    float factor = 0;
    std::uint32_t original_context = 0;
    std::optional<float> beta_fast = {}, beta_slow = {};
    std::optional<bool> truncates = {};
  } scaling_;
};

#endif
