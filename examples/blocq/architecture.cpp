#include "architecture.hpp"

#include "command.hpp"
#include "terminal.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

namespace {

using nlohmann::json;

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

struct known_architecture::family {
  const char* published;
  const char* gguf;
  bool interleaves;  // rows of queries and keys
  bool key_norms;    // norms of queries and keys
  bool biases;       // of queries, keys and values
  stacks experts;
};

// The one that the configuration names, or null; what it names in `published`.
const known_architecture::family* known_architecture::find(const json& config, std::string& published) {
  static constexpr family families[] = {{"LlamaForCausalLM", "llama", true, false, false, stacks::none},
                                        {"MistralForCausalLM", "llama", true, false, false, stacks::none},
                                        {"Qwen2ForCausalLM", "qwen2", false, false, true, stacks::none},
                                        {"Qwen3ForCausalLM", "qwen3", false, true, false, stacks::none},
                                        {"Qwen3MoeForCausalLM", "qwen3moe", false, true, false, stacks::qwen},
                                        {"GptOssForCausalLM", "gpt-oss", false, false, true, stacks::gpt_oss}};
  if (!config.is_object()) return nullptr;
  const auto names = config.find("architectures");
  if (names != config.end() && names->is_array() && !names->empty() && names->front().is_string())
    published = names->front().get<std::string>();
  for (const family& f : families)
    if (published == f.published) return &f;
  return nullptr;
}

bool known_architecture::names_one(const json& config) {
  std::string published;
  return find(config, published) != nullptr;
}

known_architecture::known_architecture(const json& config) {
  if (!config.is_object()) refuse("it is not an object");
  std::string published;
  const family* const f = find(config, published);
  if (f == nullptr)
    refuse(published.empty() ? "'architectures' names none"
                             : "the architecture '" + printable(published, 64) + "' is not known");
  name_ = f->gguf;
  interleaves_ = f->interleaves;
  key_norms_ = f->key_norms;
  biases_ = f->biases;
  experts_ = f->experts;
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
  read_experts(config);
  read_window(config);
}

void known_architecture::read_experts(const json& config) {
  if (experts_ == stacks::none) return;
  expert_count_ = count(config, config.contains("num_local_experts") ? "num_local_experts" : "num_experts");
  experts_used_ = count(config, "num_experts_per_tok");
  if (experts_used_ > expert_count_) refuse("'num_experts_per_tok' is more than there are");
  expert_hidden_ = experts_ == stacks::qwen ? count(config, "moe_intermediate_size") : hidden_;
  if (experts_ == stacks::qwen) {
    if (count(config, "decoder_sparse_step", 1) != 1 || !config.value("mlp_only_layers", json::array()).empty())
      refuse("some layers have no experts, and GGUF's architecture has them in all");
    if (!config.value("norm_topk_prob", false))
      refuse("'norm_topk_prob' is false, and GGUF's architecture divides by the sum of the chosen experts' weights");
  } else if (number(config, "swiglu_limit", 7.0f) != 7.0f) {
    refuse("'swiglu_limit' is not 7, which GGUF's architecture has");
  }
}

void known_architecture::read_window(const json& config) {
  if (experts_ == stacks::gpt_oss) {
    window_ = count(config, "sliding_window");
    const auto types = config.find("layer_types");
    if (types == config.end() || types->is_null()) return;
    bool alternates = types->is_array() && types->size() == layers_;
    for (std::size_t i = 0; alternates && i < layers_; ++i)
      alternates = (*types)[i] == (i % 2 == 0 ? "sliding_attention" : "full_attention");
    if (!alternates) refuse("'layer_types' do not alternate from a sliding window on, as GGUF's architecture has them");
    return;
  }
  const auto window = config.find("sliding_window");
  if (window != config.end() && window->is_number() && config.value("use_sliding_window", true))
    notes_.push_back("attention looks back " + window->dump() +
                     " tokens; GGUF's architecture cannot say so, and longer texts are read differently");
}

// "rope_parameters" of newer configurations, or "rope_theta" and "rope_scaling".
void known_architecture::read_rope(const json& config) {
  json rope = config.value("rope_parameters", json());
  if (rope.is_null()) rope = config.value("rope_scaling", json());
  if (rope.is_null()) rope = json::object();
  if (!rope.is_object()) refuse("the settings of rotary positions are not an object");
  rope_base_ = number(rope, "rope_theta", number(config, "rope_theta", 10000.0f));
  if (number(rope, "partial_rotary_factor", number(config, "partial_rotary_factor", 1.0f)) != 1.0f)
    refuse("only a part of each head rotates");
  const std::string type = text(rope, "rope_type", text(rope, "type", "default"));
  if (type == "default") return;
  const auto has = [&](const char* key) { return rope.contains(key) && !rope[key].is_null(); };
  if (type == "linear" || type == "yarn") {
    const float factor = number(rope, "factor");
    for (const char* key : {"mscale", "mscale_all_dim"})
      if (has(key)) refuse(std::string("'") + key + "' of rotary positions is not known");
    if (has("attention_factor") &&
        std::abs(number(rope, "attention_factor") - (0.1f * std::log(std::max(factor, 1.0f)) + 1)) > 1e-5f)
      refuse("'attention_factor' of rotary positions is not the one that follows from their factor");
    scaling_ = {type, factor, type == "yarn" ? count(rope, "original_max_position_embeddings", context_) : 0};
    if (type == "linear") return;
    if (has("beta_fast")) scaling_.beta_fast = number(rope, "beta_fast");
    if (has("beta_slow")) scaling_.beta_slow = number(rope, "beta_slow");
    if (!has("truncate")) return;
    scaling_.truncates = rope["truncate"] != json(false);
    if (!*scaling_.truncates) note_truncation();
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

// From which pair of a head on waves are stretched, and from which on wholly, are fractions that llama.cpp rounds.
void known_architecture::note_truncation() {
  const double context = scaling_.original_context, width = head_width_;
  for (const double turns : {scaling_.beta_fast.value_or(32), scaling_.beta_slow.value_or(1)}) {
    const double pair =
        width * std::log(context / (turns * 2 * std::numbers::pi)) / (2 * std::log(static_cast<double>(rope_base_)));
    if (pair <= 0 || pair == std::floor(pair)) continue;
    notes_.push_back(
        "rotary positions are stretched between fractions of pairs ('truncate' is false), which llama.cpp "
        "rounds: its numbers differ from those of the published model");
    return;
  }
}

namespace {

// Whether a name is a pattern with a number in the place of "{}".
bool matches(std::string_view pattern, std::string_view name, std::uint32_t& n) {
  const std::size_t at = pattern.find("{}");
  if (at == pattern.npos) return pattern == name;
  if (name.size() < pattern.size() - 1 || name.substr(0, at) != pattern.substr(0, at)) return false;
  const char* const first = name.data() + at;
  const auto [end, problem] = std::from_chars(first, name.data() + name.size(), n);
  return problem == std::errc() && (*first != '0' || end == first + 1) &&
         name.substr(static_cast<std::size_t>(end - name.data())) == pattern.substr(at + 2);
}

}  // namespace

std::vector<gguf_place> known_architecture::places_of(std::string_view tensor) const {
  const auto unknown = [&]() -> failure {
    return failure("tensor '" + printable(tensor, 128) + "' is not known in the architecture " + name_);
  };
  if (tensor == "model.embed_tokens.weight") return {{"token_embd.weight"}};
  if (tensor == "model.norm.weight") return {{"output_norm.weight"}};
  if (tensor == "lm_head.weight") return {{"output.weight"}};
  constexpr std::string_view prefix = "model.layers.";
  if (!tensor.starts_with(prefix)) throw unknown();
  std::uint32_t layer = 0;
  const char* const end = tensor.data() + tensor.size();
  const auto [digits_end, problem] = std::from_chars(tensor.data() + prefix.size(), end, layer);
  if (problem != std::errc() || digits_end == end || *digits_end != '.' || layer >= layers_) throw unknown();
  const std::string_view part(digits_end + 1, static_cast<std::size_t>(end - digits_end - 1));
  const std::string block = "blk." + std::to_string(layer) + ".";
  if (part == "self_attn.rotary_emb.inv_freq") return {};

  std::vector<gguf_place> places;
  for (const auto& p : parts())
    for (const char* kind : {".weight", ".bias"}) {
      const bool weight = kind == std::string_view(".weight");
      std::uint32_t n = 0;
      if (!matches(std::string(p.published) + kind, part, n) &&
          !(p.bare && part == std::string(p.published) + (weight ? "" : "_bias")))
        continue;
      const bool numbered = std::string_view(p.published).find("{}") != std::string_view::npos;
      if (numbered && n >= p.matrices) throw unknown();
      places.push_back({block + p.gguf + kind, p.heads, p.share, numbered ? std::optional(n) : std::nullopt,
                        p.transposed && weight});
    }
  if (places.empty()) throw unknown();
  return places;
}

std::map<std::string, gguf_place> known_architecture::published_names() const {
  std::map<std::string, gguf_place> names = {{"token_embd.weight", {"model.embed_tokens.weight"}},
                                             {"output_norm.weight", {"model.norm.weight"}},
                                             {"output.weight", {"lm_head.weight"}}};
  for (std::uint32_t layer = 0; layer < layers_; ++layer)
    for (const auto& p : parts())
      for (const char* kind : {".weight", ".bias"})
        if (p.matrices == 0)
          names["blk." + std::to_string(layer) + "." + p.gguf + kind] = {
              "model.layers." + std::to_string(layer) + "." + p.published + (p.bare ? "" : kind), p.heads};
  return names;
}

// Of one layer.
std::vector<known_architecture::layer_part> known_architecture::parts() const {
  const std::uint64_t q = std::uint64_t{heads_} * head_width_, kv = std::uint64_t{kv_heads_} * head_width_;
  const std::uint32_t pairs = interleaves_ ? heads_ : 0, kv_pairs = interleaves_ ? kv_heads_ : 0;
  const bool gpt_oss = experts_ == stacks::gpt_oss;
  std::vector<layer_part> all = {
      {.published = "self_attn.q_proj",
       .gguf = "attn_q",
       .columns = width_,
       .rows = q,
       .heads = pairs,
       .bias = biases_},
      {.published = "self_attn.k_proj",
       .gguf = "attn_k",
       .columns = width_,
       .rows = kv,
       .heads = kv_pairs,
       .bias = biases_},
      {.published = "self_attn.v_proj", .gguf = "attn_v", .columns = width_, .rows = kv, .bias = biases_},
      {.published = "self_attn.o_proj", .gguf = "attn_output", .columns = q, .rows = width_, .bias = gpt_oss},
      {.published = "input_layernorm", .gguf = "attn_norm", .columns = width_, .rows = 0},
      {.published = "post_attention_layernorm",
       .gguf = gpt_oss ? "post_attention_norm" : "ffn_norm",
       .columns = width_,
       .rows = 0}};
  if (experts_ == stacks::none)
    all.insert(all.end(), {{.published = "mlp.gate_proj", .gguf = "ffn_gate", .columns = width_, .rows = hidden_},
                           {.published = "mlp.up_proj", .gguf = "ffn_up", .columns = width_, .rows = hidden_},
                           {.published = "mlp.down_proj", .gguf = "ffn_down", .columns = hidden_, .rows = width_}});
  else
    add_experts(all);
  if (key_norms_)
    all.insert(all.end(),
               {{.published = "self_attn.q_norm", .gguf = "attn_q_norm", .columns = head_width_, .rows = 0},
                {.published = "self_attn.k_norm", .gguf = "attn_k_norm", .columns = head_width_, .rows = 0}});
  if (gpt_oss)
    all.push_back({.published = "self_attn.sinks", .gguf = "attn_sinks", .columns = heads_, .rows = 0, .bare = true});
  return all;
}

// Matrices of experts, one by one or stacked, gates and ups alone or in one.
void known_architecture::add_experts(std::vector<layer_part>& all) const {
  const bool gpt_oss = experts_ == stacks::gpt_oss;
  const auto add = [&](const char* published, const char* gguf, bool down, row_share share) {
    all.push_back({.published = published,
                   .gguf = gguf,
                   .columns = down ? expert_hidden_ : width_,
                   .rows = down ? width_ : expert_hidden_,
                   .matrices = expert_count_,
                   .bias = gpt_oss,
                   .share = share,
                   .bare = std::string_view(published).find("{}") == std::string_view::npos,
                   .transposed = gpt_oss});
  };
  all.push_back({.published = gpt_oss ? "mlp.router" : "mlp.gate",
                 .gguf = "ffn_gate_inp",
                 .columns = width_,
                 .rows = expert_count_,
                 .bias = gpt_oss});
  add("mlp.experts.gate_up_proj", "ffn_gate_exps", false, gpt_oss ? row_share::even : row_share::first_half);
  add("mlp.experts.gate_up_proj", "ffn_up_exps", false, gpt_oss ? row_share::odd : row_share::second_half);
  add("mlp.experts.down_proj", "ffn_down_exps", true, row_share::all);
  if (gpt_oss) return;
  add("mlp.experts.{}.gate_proj", "ffn_gate_exps", false, row_share::all);
  add("mlp.experts.{}.up_proj", "ffn_up_exps", false, row_share::all);
  add("mlp.experts.{}.down_proj", "ffn_down_exps", true, row_share::all);
}

void known_architecture::check(const tensor_shapes& tensors) const {
  const auto check_one = [&](const std::string& name, std::vector<std::uint64_t> dims, bool required) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      if (required) throw failure("the checkpoint has no tensor for " + name);
      return;
    }
    while (!dims.empty() && dims.back() == 0) dims.pop_back();
    if (found->second == dims) return;
    std::string shape;
    for (const auto d : dims) shape += (shape.empty() ? "" : " x ") + std::to_string(d);
    throw failure("the tensor for " + name + " has not the shape that follows from config.json: " + shape);
  };
  check_one("token_embd.weight", {width_, vocabulary_}, true);
  check_one("output_norm.weight", {width_}, true);
  check_one("output.weight", {width_, vocabulary_}, false);
  for (std::uint32_t layer = 0; layer < layers_; ++layer)
    for (const auto& p : parts()) {
      const std::string name = "blk." + std::to_string(layer) + "." + p.gguf;
      check_one(name + ".weight", {p.columns, p.rows, p.matrices}, true);
      check_one(name + ".bias", {p.rows, p.matrices}, p.bias);
    }
}

void known_architecture::add_metadata(blocq::gguf::writer& out) const {
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
  if (expert_count_ != 0) {
    add("expert_count", expert_count_);
    add("expert_used_count", experts_used_);
    add("expert_feed_forward_length", expert_hidden_);
  }
  if (window_ != 0) add("attention.sliding_window", window_);
  if (!scaling_.type.empty()) {
    add("rope.scaling.type", std::string_view(scaling_.type));
    add("rope.scaling.factor", scaling_.factor);
    if (scaling_.original_context != 0) add("rope.scaling.original_context_length", scaling_.original_context);
    if (scaling_.beta_fast) add("rope.scaling.yarn_beta_fast", *scaling_.beta_fast);
    if (scaling_.beta_slow) add("rope.scaling.yarn_beta_slow", *scaling_.beta_slow);
    if (scaling_.truncates) add("rope.scaling.yarn_truncate", *scaling_.truncates);
  }
}
