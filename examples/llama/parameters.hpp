// What a model's metadata say about its computation. A key that is not understood is refused, by name: ignoring it
// would give other figures than the model's without a word.
#ifndef LLAMA_PARAMETERS_HPP
#define LLAMA_PARAMETERS_HPP

#include "matrix.hpp"

#include <blocq/gguf/reader.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace llama {

// What divides the frequencies of the rotation: nothing, rope_freqs.weight, or rope_factors_short.weight and
// rope_factors_long.weight according to how long a text may become.
enum class rope_factors { none, one, by_length };

// How the members of the family differ.
struct architecture {
  const char* name;
  bool rotates_halves;    // element i of a head turns with element i + n / 2 rather than with its neighbour
  bool normalizes_heads;  // queries and keys, each head by itself
  bool joins_gate;        // ffn_up has the rows of the gate before its own
  rope_factors factors;
};
inline constexpr architecture architectures[] = {{"llama", false, false, false, rope_factors::one},
                                                 {"mistral3", false, false, false, rope_factors::one},
                                                 {"qwen2", true, false, false, rope_factors::none},
                                                 {"qwen3", true, true, false, rope_factors::none},
                                                 {"phi3", true, false, true, rope_factors::by_length}};

struct shape {
  std::size_t width, layers, heads, kv_heads, head_width, hidden, vocabulary, context;
  std::size_t sliding_window;  // tokens that attention reaches back; 0: all
  float epsilon;
};

// Rotary position encoding and what stretches it.
struct rope_parameters {
  std::size_t width = 0;  // elements of a head that are rotated, from the first on
  double base = 10000;    // frequency i is base^(-2 i / width)
  double factor = 1;      // positions are divided by it
  double magnitude = 1;   // what is rotated is multiplied by it
  bool yarn = false;      // divide only those of low frequencies
  rope_factors factors = rope_factors::none;
  std::size_t original_context = 0;  // the context before it was stretched
};

// The metadata of one architecture, remembering what was asked for.
class metadata {
 public:
  explicit metadata(const blocq::gguf::reader& file) : file_(file) {
    const auto name = file.get<std::string_view>("general.architecture").value_or("");
    const auto found =
        std::find_if(std::begin(architectures), std::end(architectures), [&](const auto& a) { return name == a.name; });
    if (found == std::end(architectures)) {
      std::string known;
      for (const auto& a : architectures) known += std::string(known.empty() ? "" : ", ") + a.name;
      throw std::runtime_error("'general.architecture' is not one that this engine runs (" + known + ")");
    }
    architecture_ = found;
  }

  const llama::architecture& architecture() const { return *architecture_; }

  // Nothing if the key is not there; an error if its value is of another kind.
  template <class T>
  std::optional<T> get(const std::string& key) {
    const blocq::gguf::value* const v = find(key);
    if (v == nullptr) return {};
    if (const auto x = v->get<T>()) return *x;
    throw std::runtime_error("'" + full(key) + "' is not a value of the kind that it should be");
  }
  std::optional<double> number(const std::string& key) {
    const blocq::gguf::value* const v = find(key);
    if (v == nullptr) return {};
    if (const auto x = v->get<double>(); x && std::isfinite(*x)) return *x;
    if (const auto x = v->get<std::int64_t>()) return static_cast<double>(*x);
    throw std::runtime_error("'" + full(key) + "' is not a number");
  }
  // A count above zero, which may be an array that has the same for every layer.
  std::size_t count(const std::string& key) {
    std::uint32_t all = 0;
    bool usable = true;
    if (const blocq::gguf::value* const v = find(key))
      for (const blocq::gguf::value each : *v) {
        const std::uint32_t n = each.get<std::uint32_t>().value_or(0);
        usable = usable && n <= 1u << 24 && (all == 0 || n == all) && n != 0;
        all = n;
      }
    if (all == 0 || !usable) throw std::runtime_error("the model's metadata lack a usable '" + full(key) + "'");
    return all;
  }
  std::size_t count(const std::string& key, std::size_t otherwise) {
    return find(key) != nullptr ? count(key) : otherwise;
  }
  // A key that is understood as long as it says this.
  void expect(const std::string& key, double neutral) {
    const blocq::gguf::value* const v = find(key);
    if (v == nullptr) return;
    const auto flag = v->get<bool>();
    if ((flag ? static_cast<double>(*flag) : *number(key)) != neutral)
      throw std::runtime_error("'" + full(key) + "' asks for what this engine does not do");
  }
  void ignore(const std::string& key) { find(key); }

  // To be called last: refuses what nobody asked for. Of names outside the architecture's those of tokenizers and of
  // files are somebody else's; a text under any other is a note.
  void finish() const {
    for (const auto& [key, value] : file_.metadata()) {
      const auto starts = [&key = key](std::string_view with) { return key.starts_with(with); };
      if (seen_.contains(key) || starts("general.") || starts("tokenizer.") || starts("split.") || starts("quantize."))
        continue;
      if (!starts(full("")) && !starts("prism.") && value.type() == blocq::gguf::value_type::string) continue;
      throw std::runtime_error(quoted(key) + " is not a key that this engine knows, and may change results");
    }
  }

  // A key with the architecture in front.
  std::string full(const std::string& key) const { return std::string(architecture_->name) + '.' + key; }

 private:
  const blocq::gguf::value* find(const std::string& key) { return file_.find(*seen_.insert(full(key)).first); }

  const blocq::gguf::reader& file_;
  const llama::architecture* architecture_;
  std::set<std::string, std::less<>> seen_;
};

inline shape read_shape(metadata& from) {
  shape s{};
  s.width = from.count("embedding_length");
  s.layers = from.count("block_count");
  s.heads = from.count("attention.head_count");
  s.kv_heads = from.count("attention.head_count_kv", s.heads);
  s.hidden = from.count("feed_forward_length");
  s.context = from.count("context_length");
  s.sliding_window = static_cast<std::size_t>(from.get<std::uint32_t>("attention.sliding_window").value_or(0));
  s.epsilon = static_cast<float>(from.number("attention.layer_norm_rms_epsilon").value_or(1e-5));
  s.head_width = from.count("attention.key_length", s.width / s.heads);
  if (from.count("attention.value_length", s.head_width) != s.head_width)
    throw std::runtime_error("'" + from.full("attention.value_length") + "' is not the width of keys, as it is here");
  if (s.head_width == 0 || s.heads % s.kv_heads != 0)
    throw std::runtime_error("'" + from.full("attention.head_count") + "' heads cannot be shared out");

  for (const char* key :
       {"expert_count", "expert_used_count", "attn_logit_softcapping", "final_logit_softcapping", "attention.scale",
        "attention.clamp_kqv", "attention.max_alibi_bias", "logit_scale", "residual_scale", "embedding_scale"})
    from.expect(key, 0);
  from.expect("attention.causal", 1);
  for (const char* key : {"vocab_size", "tensor_data_layout", "attention.layer_norm_epsilon"}) from.ignore(key);
  return s;
}

inline rope_parameters read_rope(metadata& from, const shape& s) {
  rope_parameters r;
  r.width = from.count("rope.dimension_count", s.head_width);
  r.base = from.number("rope.freq_base").value_or(10000);
  r.original_context = from.count("rope.scaling.original_context_length", s.context);
  r.magnitude = from.number("rope.scaling.attn_factor").value_or(1);
  // Older files have the factor under another name; 0 stands for none.
  const double older = from.number("rope.scale_linear").value_or(0),
               factor = from.number("rope.scaling.factor").value_or(older);
  const auto type = from.get<std::string_view>("rope.scaling.type").value_or("linear");
  if (type != "none" && type != "linear" && type != "yarn" && type != "longrope")
    throw std::runtime_error("'" + from.full("rope.scaling.type") + "' is " + quoted(type) +
                             ", which this engine does not know");
  if (type != "none" && factor != 0) r.factor = factor;
  r.factors = from.architecture().factors;
  if (r.factors != rope_factors::none && type == "longrope") r.factors = rope_factors::by_length;
  r.yarn = type == "yarn";
  // Attention is sharpened where more tokens compete for it.
  if (r.yarn && r.factor > 1) r.magnitude *= 0.1 * std::log(r.factor) + 1;
  from.expect("rope.scaling.yarn_ext_factor", 1);
  from.expect("rope.scaling.yarn_attn_factor", 1);
  from.expect("rope.scaling.yarn_beta_fast", 32);
  from.expect("rope.scaling.yarn_beta_slow", 1);
  from.expect("rope.scaling.yarn_log_multiplier", 0);
  from.ignore("rope.scaling.finetuned");
  if (r.width > s.head_width || r.width % 2 != 0)
    throw std::runtime_error("'" + from.full("rope.dimension_count") + "' is not an even part of a head");
  if (!(r.base > 0) || !(r.factor > 0))
    throw std::runtime_error("'" + from.full("rope.freq_base") + "' or the factor of rope scaling is not above zero");
  return r;
}

}  // namespace llama

#endif
