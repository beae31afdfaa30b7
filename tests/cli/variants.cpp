// The model of the demo in the forms of the llama family: what changes its results, one thing at a time. The names are
// those in figures.txt, which has what llama.cpp makes of each.
#include "variants.hpp"

#include <blocq/core/bits.hpp>
#include <blocq/gguf/all.hpp>
#include <blocq/gguf/file.hpp>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>

namespace {

namespace gguf = blocq::gguf;
using dims = std::vector<std::uint64_t>;
using bytes = std::vector<std::byte>;

constexpr std::uint64_t width = 256, layers = 2, heads = 4, kv_heads = 2, head = 64, hidden = 512;
constexpr int f32 = 0, f16 = 1;

[[noreturn]] void fail(const std::string& what) {
  std::cerr << "helper: " << what << '\n';
  std::exit(1);
}

bytes image(const std::vector<float>& values) {
  bytes out(4 * values.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    for (std::size_t k = 0; k < 4; ++k) out[4 * i + k] = static_cast<std::byte>(blocq::to_bits(values[i]) >> (8 * k));
  return out;
}
// From `first` to `last` in equal steps; without `last` all the same.
std::vector<float> ramp(std::size_t n, float first, float last) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i)
    x[i] = first + (last - first) * static_cast<float>(i) / static_cast<float>(n > 1 ? n - 1 : 1);
  return x;
}
// Without an order: the multiples of the golden ratio, of mean `middle` and within `reach` of it.
std::vector<float> scattered(std::size_t n, float middle, float reach) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double part = static_cast<double>(i + 1) * 0.6180339887498949;
    x[i] = middle + reach * static_cast<float>(2 * (part - static_cast<double>(static_cast<std::size_t>(part))) - 1);
  }
  return x;
}

class variant {
 public:
  variant(const gguf::reader& story, std::string path) : path_(std::move(path)), story_(story) {
    for (const auto& t : story.tensors())
      tensors_.push_back({std::string(t.name), t.type, {t.dims, t.dims + t.n_dims}, {t.data.begin(), t.data.end()}});
  }
  variant(const variant&) = delete;
  ~variant() {
    gguf::writer out;
    for (const auto& [key, value] : story_.metadata()) {
      std::string name(key);
      if (name.starts_with("llama.")) name = architecture_ + name.substr(5);
      if (name == "general.architecture")
        out.add(name, architecture_);
      else if (!set_.contains(name))
        out.add(name, value);
    }
    for (const auto& [name, add] : set_) add(out, name);
    for (const tensor& t : tensors_) out.add_tensor(t.name, t.type, t.shape);
    std::ofstream stream(path_, std::ios::binary);
    auto sink = [&](const void* data, std::size_t size) {
      return bool(stream.write(static_cast<const char*>(data), static_cast<std::streamsize>(size)));
    };
    bool good = bool(out.begin(sink));
    for (std::size_t i = 0; i < tensors_.size(); ++i) good = good && out.write(i, tensors_[i].data);
    if (!good || !out.finish() || !stream.flush()) fail(path_ + " cannot be written");
  }

  // Queries and keys are rotated in halves rather than in pairs by all but llama and mistral3: with their rows in that
  // order it is the same model.
  variant& as(const std::string& architecture) {
    architecture_ = architecture;
    if (architecture == "llama" || architecture == "mistral3") return *this;
    for (tensor& t : tensors_)
      if (t.name.ends_with("attn_q.weight") || t.name.ends_with("attn_k.weight"))
        rows(t, t.shape[1], [](std::uint64_t r) {
          const std::uint64_t in_head = r % head;
          return r - in_head + 2 * (in_head % (head / 2)) + in_head / (head / 2);
        });
    return *this;
  }
  // A key, of the architecture if its name has no dot in front.
  template <class T>
  variant& key(const std::string& name, const T& value) {
    set_[name.starts_with('.') ? architecture_ + name : name] = [value](gguf::writer& out, const std::string& full) {
      out.add(full, value);
    };
    return *this;
  }
  variant& array(const std::string& name, const std::vector<std::uint32_t>& values) {
    set_[architecture_ + name] = [values](gguf::writer& out, const std::string& full) {
      out.add_array(full, std::span<const std::uint32_t>(values));
    };
    return *this;
  }
  variant& tensor_of(const std::string& name, const std::vector<float>& values) {
    tensors_.push_back({name, f32, {values.size()}, image(values)});
    return *this;
  }
  // A vector in every layer.
  variant& each(const std::string& name, const std::vector<float>& values) {
    for (std::uint64_t l = 0; l < layers; ++l) tensor_of("blk." + std::to_string(l) + '.' + name, values);
    return *this;
  }
  variant& qkv_biases() {
    return each("attn_q.bias", scattered(heads * head, 0, 0.5f))
        .each("attn_k.bias", scattered(kv_heads * head, 0.1f, 0.4f))
        .each("attn_v.bias", scattered(kv_heads * head, 0, 0.1f));
  }
  // One matrix in place of several: their rows one after the other.
  variant& join(const std::vector<std::string>& parts, const std::string& whole) {
    for (std::uint64_t l = 0; l < layers; ++l) {
      const std::string block = "blk." + std::to_string(l) + '.';
      tensor all{block + whole, f16, {width, 0}, {}};
      for (const std::string& part : parts) {
        const auto found = find(block + part);
        all.shape[1] += found->shape[1];
        all.data.insert(all.data.end(), found->data.begin(), found->data.end());
        tensors_.erase(found);
      }
      tensors_.push_back(std::move(all));
    }
    return *this;
  }
  // The first half of every head alone.
  variant& narrow() {
    for (tensor& t : tensors_) {
      if (t.name.find("attn_") == std::string::npos || t.name.find("norm") != std::string::npos) continue;
      const auto half = [](std::uint64_t r) { return r / (head / 2) * head + r % (head / 2); };
      if (!t.name.ends_with("attn_output.weight")) {
        rows(t, t.shape[1] / 2, half);
        continue;
      }
      bytes columns;
      for (std::uint64_t r = 0; r < t.shape[1]; ++r)
        for (std::uint64_t c = 0; c < t.shape[0] / 2; ++c) {
          const std::byte* from = &t.data[2 * (r * t.shape[0] + half(c))];
          columns.insert(columns.end(), from, from + 2);
        }
      t.shape[0] /= 2;
      t.data = std::move(columns);
    }
    const std::uint32_t half = head / 2;
    return key(".attention.key_length", half).key(".attention.value_length", half).key(".rope.dimension_count", half);
  }
  variant& drop(const std::string& name) {
    tensors_.erase(find(name));
    return *this;
  }

 private:
  struct tensor {
    std::string name;
    int type;
    dims shape;
    bytes data;
  };
  std::vector<tensor>::iterator find(const std::string& name) {
    for (auto t = tensors_.begin(); t != tensors_.end(); ++t)
      if (t->name == name) return t;
    fail("there is no " + name);
  }
  // `count` rows of f16, row r being what was row which(r).
  template <class F>
  static void rows(tensor& t, std::uint64_t count, const F& which) {
    bytes out;
    const std::size_t size = 2 * t.shape[0];
    for (std::uint64_t r = 0; r < count; ++r)
      out.insert(out.end(), &t.data[which(r) * size], &t.data[which(r) * size] + size);
    t.shape[1] = count;
    t.data = std::move(out);
  }

  std::string path_, architecture_ = "llama";
  const gguf::reader& story_;
  std::map<std::string, std::function<void(gguf::writer&, const std::string&)>> set_;
  std::vector<tensor> tensors_;
};

}  // namespace

void write_variants(const std::string& story_path, const std::string& dir) {
  const auto map = gguf::mapped_file::open(story_path.c_str());
  if (!map) fail(map.message());
  const auto story = gguf::reader::parse(map->bytes());
  if (!story) fail(story.message());
  const auto make = [&](const std::string& name) { return variant(*story, dir + '/' + name + ".gguf"); };
  const auto joined = [&](variant&& v) -> variant& {
    return v.join({"attn_q.weight", "attn_k.weight", "attn_v.weight"}, "attn_qkv.weight");
  };
  const auto phi3 = [&](variant&& v) -> variant& {
    return joined(std::move(v.as("phi3"))).join({"ffn_gate.weight", "ffn_up.weight"}, "ffn_up.weight");
  };
  const auto factors = [](variant& v) {
    v.tensor_of("rope_factors_long.weight", ramp(head / 2, 1, 8));
    v.tensor_of("rope_factors_short.weight", ramp(head / 2, 1, 1.5f));
  };
  const auto yarn = [](variant&& v, float factor) -> variant& {
    return v.key(".rope.scaling.type", "yarn")
        .key(".rope.scaling.factor", factor)
        .key(".rope.scaling.original_context_length", std::uint32_t{64});
  };

  make("plain");
  make("linear").key(".rope.scaling.type", "linear").key(".rope.scaling.factor", 2.0f);
  make("linear_unnamed").key(".rope.scaling.factor", 2.0f);
  make("linear_older").key(".rope.scale_linear", 2.0f);
  make("scaling_none").key(".rope.scaling.type", "none").key(".rope.scaling.factor", 4.0f);
  yarn(make("yarn"), 4.0f);
  yarn(make("yarn_below_1"), 0.5f);
  yarn(make("yarn_attn_factor"), 4.0f).key(".rope.scaling.attn_factor", 1.5f);
  make("attn_factor").key(".rope.scaling.attn_factor", 1.5f);
  make("freq_base").key(".rope.freq_base", 500000.0f);
  make("epsilon").key(".attention.layer_norm_rms_epsilon", 0.01f);
  make("rope_freqs").tensor_of("rope_freqs.weight", ramp(head / 2, 1, 8));
  yarn(make("rope_freqs_yarn"), 2.0f).tensor_of("rope_freqs.weight", ramp(head / 2, 1, 8));
  factors(make("longrope")
              .key(".rope.scaling.type", "longrope")
              .key(".rope.scaling.original_context_length", std::uint32_t{128}));
  make("biases")
      .qkv_biases()
      .each("attn_output.bias", scattered(width, 0, 0.1f))
      .each("ffn_gate.bias", scattered(hidden, 0, 0.1f))
      .each("ffn_up.bias", scattered(hidden, 0, 0.1f))
      .each("ffn_down.bias", scattered(width, 0, 0.1f));
  make("narrow_heads").narrow();
  joined(make("joined_qkv"));
  joined(make("joined_qkv_bias")).each("attn_qkv.bias", scattered((heads + 2 * kv_heads) * head, 0, 0.2f));
  make("arrays").array(".attention.head_count_kv", {2, 2}).array(".feed_forward_length", {512, 512});
  make("without_experts").key(".expert_count", std::uint32_t{0}).key(".expert_used_count", std::uint32_t{0});
  make("without_bos").key("tokenizer.ggml.add_bos_token", false);
  {
    auto v = make("scales");
    for (const auto& [name, scale] : std::map<std::string, float>{{"attn_q", 1.5f},
                                                                  {"attn_k", 0.7f},
                                                                  {"attn_v", 0.9f},
                                                                  {"attn_output", 1.1f},
                                                                  {"ffn_gate", 1.2f},
                                                                  {"ffn_up", 0.8f},
                                                                  {"ffn_down", 1.3f}})
      v.each(name + ".scale", {scale}).each(name + ".input_scale", {0.25f});
  }
  make("scales_and_biases").qkv_biases().each("attn_q.scale", {1.5f}).each("attn_v.scale", {0.7f});
  make("mistral3").as("mistral3").qkv_biases();
  make("qwen2").as("qwen2");
  make("qwen2_biases").as("qwen2").qkv_biases();
  yarn(std::move(make("qwen2_yarn").as("qwen2")), 4.0f).qkv_biases();
  make("qwen3")
      .as("qwen3")
      .each("attn_q_norm.weight", scattered(head, 1.5f, 0.3f))
      .each("attn_k_norm.weight", scattered(head, 1.5f, 0.2f));
  make("qwen3_narrow")
      .as("qwen3")
      .narrow()
      .each("attn_q_norm.weight", scattered(head / 2, 1.5f, 0.3f))
      .each("attn_k_norm.weight", scattered(head / 2, 1.5f, 0.2f));
  phi3(make("phi3"));
  phi3(make("phi3_window")).key(".attention.sliding_window", std::uint32_t{300});
  phi3(make("phi3_part")).key(".rope.dimension_count", std::uint32_t{48});
  factors(phi3(make("phi3_long"))
              .key(".rope.scaling.original_context_length", std::uint32_t{128})
              .key(".rope.scaling.attn_factor", 1.19f));
  factors(phi3(make("phi3_short"))
              .key(".rope.scaling.original_context_length", std::uint32_t{256})
              .key(".rope.scaling.attn_factor", 1.1f));

  // What this engine does not do, and llama.cpp does, does not, or does otherwise than the model asks.
  make("no_window").key(".attention.sliding_window", std::uint32_t{64});
  make("no_softcap").key(".attn_logit_softcapping", 50.0f);
  make("no_final_softcap").key(".final_logit_softcapping", 30.0f);
  make("no_attention_scale").key(".attention.scale", 0.5f);
  make("no_logit_scale").key(".logit_scale", 0.5f);
  make("no_residual_scale").key(".residual_scale", 0.5f);
  make("no_embedding_scale").key(".embedding_scale", 12.0f);
  make("no_clamp").key(".attention.clamp_kqv", 8.0f);
  make("no_alibi").key(".attention.max_alibi_bias", 8.0f);
  make("no_causal").key(".attention.causal", false);
  make("no_experts_used").key(".expert_count", std::uint32_t{8});
  make("no_scaling_type").key(".rope.scaling.type", "dynamic").key(".rope.scaling.factor", 2.0f);
  yarn(make("no_yarn_beta"), 4.0f).key(".rope.scaling.yarn_beta_fast", 16.0f);
  yarn(make("no_yarn_log"), 4.0f).key(".rope.scaling.yarn_log_multiplier", 0.1f);
  make("no_such_key").key(".attention.something_new", std::uint32_t{1});
  make("no_hadamard")
      .key("prism.hadamard.version", std::uint32_t{1})
      .key("prism.hadamard.block_size", std::uint32_t{64});
  make("no_hadamard_text").key("prism.hadamard.transform", "normalized-sylvester-walsh-hadamard");
  make("no_number_type").key(".rope.freq_base", "10000");
  make("no_temperature").as("mistral3").key(".attention.temperature_scale", 0.1f);
  make("no_architecture").as("gemma2");
  make("no_sinks").each("attn_sinks.weight", ramp(heads, 0, 1));
  make("no_post_norm").each("post_attention_norm.weight", ramp(width, 1, 1));
  make("no_head_norms").each("attn_q_norm.weight", ramp(head, 1, 1));
  make("no_norm_bias").each("attn_norm.bias", ramp(width, 0, 0.1f));
  make("no_scale_vector").each("ffn_down.scale", ramp(width, 1, 2));
  make("no_freqs_in_qwen2").as("qwen2").tensor_of("rope_freqs.weight", ramp(head / 2, 1, 8));
  make("no_output_norm").drop("output_norm.weight");
}
