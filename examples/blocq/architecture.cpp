#include "architecture.hpp"

#include "command.hpp"
#include "terminal.hpp"

#include <charconv>
#include <cmath>
#include <numbers>

namespace {

using nlohmann::json;

struct known_architecture {
  const char* published;
  const char* gguf;
  bool interleaves;  // rows of queries and keys
  bool key_norms;    // norms of queries and keys
  bool biases;       // of queries, keys and values
};
constexpr known_architecture known[] = {{"LlamaForCausalLM", "llama", true, false, false},
                                        {"MistralForCausalLM", "llama", true, false, false},
                                        {"Qwen2ForCausalLM", "qwen2", false, false, true},
                                        {"Qwen3ForCausalLM", "qwen3", false, true, false}};

[[noreturn]] void refuse(const std::string& what) { throw failure("config.json: " + what); }

std::uint32_t count(const json& config, const char* key, std::optional<std::uint32_t> otherwise = {}) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) {
    if (otherwise) return *otherwise;
    refuse(std::string("'") + key + "' is not there");
  }
  if (!found->is_number_unsigned() || *found == 0u || *found > 0xffffffffu)
    refuse(std::string("'") + key + "' is not a number from 1 on");
  return found->get<std::uint32_t>();
}

float number(const json& object, const char* key, std::optional<float> otherwise = {}) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) {
    if (otherwise) return *otherwise;
    refuse(std::string("'") + key + "' is not there");
  }
  if (!found->is_number()) refuse(std::string("'") + key + "' is not a number");
  return found->get<float>();
}

std::string text(const json& object, const char* key, const std::string& otherwise = {}) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

}  // namespace

architecture::architecture(const json& config) {
  if (!config.is_object()) refuse("it is not an object");
  const auto names = config.find("architectures");
  const std::string published =
      names != config.end() && names->is_array() && !names->empty() && names->front().is_string()
          ? names->front().get<std::string>()
          : std::string();
  std::string all;
  for (const auto& k : known) {
    all += (all.empty() ? "" : ", ") + std::string(k.published);
    if (published != k.published) continue;
    name_ = k.gguf;
    interleaves_ = k.interleaves;
    key_norms_ = k.key_norms;
    biases_ = k.biases;
  }
  if (name_ == nullptr)
    refuse(published.empty() ? "'architectures' names none"
                             : "the architecture '" + printable(published, 64) + "' is not known; these are: " + all);
  layers_ = count(config, "num_hidden_layers");
  width_ = count(config, "hidden_size");
  hidden_ = count(config, "intermediate_size");
  heads_ = count(config, "num_attention_heads");
  kv_heads_ = count(config, "num_key_value_heads", heads_);
  context_ = count(config, "max_position_embeddings");
  vocabulary_ = count(config, "vocab_size");
  epsilon_ = number(config, "rms_norm_eps");
  explicit_head_width_ = config.contains("head_dim") && !config["head_dim"].is_null();
  if (!explicit_head_width_ && width_ % heads_ != 0) refuse("'hidden_size' is not a multiple of 'num_attention_heads'");
  head_width_ = count(config, "head_dim", width_ / heads_);
  if (head_width_ % 2 != 0 || head_width_ > 65536 || heads_ % kv_heads_ != 0)
    refuse("heads of a shape that is not known");
  if (const std::string act = text(config, "hidden_act", "silu"); act != "silu")
    refuse("'hidden_act' is '" + printable(act, 64) + "', and GGUF's architecture has silu only");
  read_rope(config);

  const auto window = config.find("sliding_window");
  if (window != config.end() && window->is_number() && config.value("use_sliding_window", true))
    notes_.push_back("attention looks back " + window->dump() +
                     " tokens; GGUF's architecture cannot say so, and longer texts are read differently");
}

// "rope_parameters" of newer configurations, or "rope_theta" and "rope_scaling".
void architecture::read_rope(const json& config) {
  json rope = config.value("rope_parameters", json());
  if (rope.is_null()) rope = config.value("rope_scaling", json());
  if (rope.is_null()) rope = json::object();
  if (!rope.is_object()) refuse("the settings of rotary positions are not an object");
  rope_base_ = number(rope, "rope_theta", number(config, "rope_theta", 10000.0f));
  if (number(rope, "partial_rotary_factor", number(config, "partial_rotary_factor", 1.0f)) != 1.0f)
    refuse("only a part of each head rotates");
  const std::string type = text(rope, "rope_type", text(rope, "type", "default"));
  if (type == "default") return;
  if (type == "linear" || type == "yarn") {
    for (const char* key : {"attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"})
      if (rope.contains(key) && !rope[key].is_null())
        refuse(std::string("'") + key + "' of rotary positions is not known");
    scaling_ = {type, number(rope, "factor"),
                type == "yarn" ? count(rope, "original_max_position_embeddings", context_) : 0};
  } else if (type == "llama3") {
    // A factor for each pair: 1 for short waves, `factor` for long ones, between them a mean.
    const float factor = number(rope, "factor"), low = number(rope, "low_freq_factor"),
                high = number(rope, "high_freq_factor");
    const auto context = static_cast<double>(count(rope, "original_max_position_embeddings"));
    for (std::uint32_t i = 0; i < head_width_; i += 2) {
      const double frequency = 1.0 / std::pow(static_cast<double>(rope_base_), static_cast<double>(i) / head_width_);
      const double wave = 2 * std::numbers::pi / frequency;
      const double smooth = (context / wave - low) / (high - low);
      rope_factors_.push_back(wave < context / high  ? 1.0f
                              : wave > context / low ? factor
                                                     : static_cast<float>(1 / ((1 - smooth) / factor + smooth)));
    }
  } else {
    refuse("rotary positions of the type '" + printable(type, 64) + "' are not known");
  }
}

std::optional<gguf_place> architecture::place_of(std::string_view tensor) const {
  const auto unknown = [&]() -> failure {
    return failure("tensor '" + printable(tensor, 128) + "' is not known in the architecture " + name_);
  };
  if (tensor == "model.embed_tokens.weight") return gguf_place{"token_embd.weight"};
  if (tensor == "model.norm.weight") return gguf_place{"output_norm.weight"};
  if (tensor == "lm_head.weight") return gguf_place{"output.weight"};
  constexpr std::string_view prefix = "model.layers.";
  if (!tensor.starts_with(prefix)) throw unknown();
  std::uint32_t layer = 0;
  const char* const end = tensor.data() + tensor.size();
  const auto [digits_end, problem] = std::from_chars(tensor.data() + prefix.size(), end, layer);
  if (problem != std::errc() || digits_end == end || *digits_end != '.' || layer >= layers_) throw unknown();
  const std::string_view part(digits_end + 1, static_cast<std::size_t>(end - digits_end - 1));
  const std::string block = "blk." + std::to_string(layer) + ".";
  if (part == "self_attn.rotary_emb.inv_freq") return {};

  for (const auto& p : parts())
    for (const char* kind : {".weight", ".bias"})
      if (part == std::string(p.published) + kind) return gguf_place{block + p.gguf + kind, p.heads};
  throw unknown();
}

std::map<std::string, gguf_place> architecture::published_names() const {
  std::map<std::string, gguf_place> names = {{"token_embd.weight", {"model.embed_tokens.weight"}},
                                             {"output_norm.weight", {"model.norm.weight"}},
                                             {"output.weight", {"lm_head.weight"}}};
  for (std::uint32_t layer = 0; layer < layers_; ++layer)
    for (const auto& p : parts())
      for (const char* kind : {".weight", ".bias"})
        names["blk." + std::to_string(layer) + "." + p.gguf + kind] = {
            "model.layers." + std::to_string(layer) + "." + p.published + kind, p.heads};
  return names;
}

// Of one layer.
std::vector<architecture::layer_part> architecture::parts() const {
  const std::uint64_t q = std::uint64_t{heads_} * head_width_, kv = std::uint64_t{kv_heads_} * head_width_;
  std::vector<layer_part> all = {{"self_attn.q_proj", "attn_q", width_, q, interleaves_ ? heads_ : 0, biases_},
                                 {"self_attn.k_proj", "attn_k", width_, kv, interleaves_ ? kv_heads_ : 0, biases_},
                                 {"self_attn.v_proj", "attn_v", width_, kv, 0, biases_},
                                 {"self_attn.o_proj", "attn_output", q, width_},
                                 {"mlp.gate_proj", "ffn_gate", width_, hidden_},
                                 {"mlp.up_proj", "ffn_up", width_, hidden_},
                                 {"mlp.down_proj", "ffn_down", hidden_, width_},
                                 {"input_layernorm", "attn_norm", width_, 0},
                                 {"post_attention_layernorm", "ffn_norm", width_, 0}};
  if (key_norms_)
    all.insert(all.end(), {{"self_attn.q_norm", "attn_q_norm", head_width_, 0},
                           {"self_attn.k_norm", "attn_k_norm", head_width_, 0}});
  return all;
}

void architecture::check(const std::map<std::string, std::vector<std::uint64_t>>& tensors) const {
  const auto check_one = [&](const std::string& name, std::uint64_t columns, std::uint64_t rows, bool required) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      if (required) throw failure("the checkpoint has no tensor for " + name);
      return;
    }
    const std::vector<std::uint64_t> dims = rows == 0 ? std::vector{columns} : std::vector{columns, rows};
    if (found->second != dims)
      throw failure("the tensor for " + name + " has not the shape that follows from config.json: " +
                    std::to_string(columns) + (rows == 0 ? "" : " x " + std::to_string(rows)));
  };
  check_one("token_embd.weight", width_, vocabulary_, true);
  check_one("output_norm.weight", width_, 0, true);
  check_one("output.weight", width_, vocabulary_, false);
  for (std::uint32_t layer = 0; layer < layers_; ++layer)
    for (const auto& p : parts()) {
      const std::string name = "blk." + std::to_string(layer) + "." + p.gguf;
      check_one(name + ".weight", p.columns, p.rows, true);
      check_one(name + ".bias", p.rows, 0, p.bias);
    }
}

void architecture::add_metadata(blocq::gguf::writer& out) const {
  const std::string prefix = std::string(name_) + ".";
  const auto add = [&](const char* key, auto value) { out.add(prefix + key, value); };
  out.add("general.architecture", name_);
  add("block_count", layers_);
  add("context_length", context_);
  add("embedding_length", width_);
  add("feed_forward_length", hidden_);
  add("attention.head_count", heads_);
  add("attention.head_count_kv", kv_heads_);
  add("attention.layer_norm_rms_epsilon", epsilon_);
  add("rope.freq_base", rope_base_);
  if (explicit_head_width_) {
    add("attention.key_length", head_width_);
    add("attention.value_length", head_width_);
  }
  if (interleaves_) add("rope.dimension_count", head_width_);
  add("vocab_size", static_cast<std::uint32_t>(vocabulary_));
  if (!scaling_.type.empty()) {
    add("rope.scaling.type", std::string_view(scaling_.type));
    add("rope.scaling.factor", scaling_.factor);
    if (scaling_.original_context != 0) add("rope.scaling.original_context_length", scaling_.original_context);
  }
}
