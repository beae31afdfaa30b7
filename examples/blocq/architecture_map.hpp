// Architectures that a file describes instead of the program.
#ifndef BLOCQ_EXAMPLES_ARCHITECTURE_MAP_HPP
#define BLOCQ_EXAMPLES_ARCHITECTURE_MAP_HPP

#include "architecture.hpp"

// Names and metadata as the file `map` gives them; docs/checkpoints.md says how it is written. What it does not name
// keeps its name, without a file everything does. The architecture is then the published one's "model_type".
class mapped_architecture final : public architecture {
 public:
  // From the root of config.json. Throws failure, naming the file and the entry, for a map that is not understood.
  mapped_architecture(const nlohmann::json& config, const std::string& map);

  std::vector<gguf_place> places_of(std::string_view tensor) const override;
  std::string_view name() const override { return name_; }
  void check(const tensor_shapes&) const override {}
  void add_metadata(blocq::gguf::writer& out) const override;
  bool needs_tokenizer() const override { return false; }

 private:
  struct rule {
    std::string pattern;
    std::vector<gguf_place> places;  // with the placeholders of the pattern in their names
    std::string stacked_by = {};     // the placeholder whose number is that of a matrix
  };
  [[noreturn]] void refuse(const std::string& entry, const std::string& what) const;
  void read_rule(const nlohmann::json& config, const std::string& pattern, const nlohmann::json& value);
  gguf_place read_place(const nlohmann::json& config, const std::string& pattern, const nlohmann::json& value) const;
  nlohmann::json from_config(const nlohmann::json& config, const std::string& entry, const nlohmann::json& value) const;

  std::string file_, name_;
  std::vector<rule> rules_;
  struct setting {
    std::string key, type;
    nlohmann::json value;
  };
  std::vector<setting> settings_;
};

#endif
