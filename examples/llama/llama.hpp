// A llama-architecture transformer over the tensors of a GGUF file, small enough to read in one sitting: what it
// needs from blocq is in matrix.cpp and cache.cpp, everything else is ordinary code. Weights stay where they are in the
// file.
#ifndef LLAMA_LLAMA_HPP
#define LLAMA_LLAMA_HPP

#include "cache.hpp"
#include "matrix.hpp"

#include <blocq/gguf/reader.hpp>

#include <cmath>
#include <cstddef>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace llama {

struct shape {
  std::size_t width, layers, heads, kv_heads, head_width, hidden, vocabulary, context;
  float rope_base, epsilon;
};

class model {
 public:
  // `file` must outlive the model. Throws std::runtime_error if it is not a llama model that this code can run.
  explicit model(const blocq::gguf::reader& file) {
    if (file.get<std::string_view>("general.architecture").value_or("") != "llama")
      throw std::runtime_error("the file is not a model of the architecture 'llama'");
    const auto count = [&](const char* key) {
      const auto value = file.get<std::uint32_t>(std::string("llama.") + key);
      if (!value || *value == 0 || *value > 1u << 24)
        throw std::runtime_error(std::string("the model's metadata lack a usable 'llama.") + key + "'");
      return static_cast<std::size_t>(*value);
    };
    s_.width = count("embedding_length");
    s_.layers = count("block_count");
    s_.heads = count("attention.head_count");
    s_.kv_heads = file.find("llama.attention.head_count_kv") != nullptr ? count("attention.head_count_kv") : s_.heads;
    s_.hidden = count("feed_forward_length");
    s_.context = count("context_length");
    s_.rope_base = file.get<float>("llama.rope.freq_base").value_or(10000.0f);
    s_.epsilon = file.get<float>("llama.attention.layer_norm_rms_epsilon").value_or(1e-5f);
    s_.head_width = s_.width / s_.heads;
    const auto* embedding = file.find_tensor("token_embd.weight");
    if (s_.width % s_.heads != 0 || s_.heads % s_.kv_heads != 0 || s_.head_width % 2 != 0 || embedding == nullptr ||
        file.get<std::uint32_t>("llama.rope.dimension_count").value_or(static_cast<std::uint32_t>(s_.head_width)) !=
            s_.head_width)
      throw std::runtime_error("the model's heads are of a kind that this code does not know");
    s_.vocabulary = embedding->rows();

    const std::size_t kv_width = s_.kv_heads * s_.head_width;
    embedding_ = {file, "token_embd.weight", s_.vocabulary, s_.width};
    output_ = file.find_tensor("output.weight") != nullptr ? matrix(file, "output.weight", s_.vocabulary, s_.width)
                                                           : embedding_;
    output_norm_ = vector(file, "output_norm.weight", s_.width);
    for (std::size_t l = 0; l < s_.layers; ++l) {
      const std::string block = "blk." + std::to_string(l) + '.';
      layers_.push_back({vector(file, block + "attn_norm.weight", s_.width),
                         vector(file, block + "ffn_norm.weight", s_.width),
                         {file, block + "attn_q.weight", s_.width, s_.width},
                         {file, block + "attn_k.weight", kv_width, s_.width},
                         {file, block + "attn_v.weight", kv_width, s_.width},
                         {file, block + "attn_output.weight", s_.width, s_.width},
                         {file, block + "ffn_gate.weight", s_.hidden, s_.width},
                         {file, block + "ffn_up.weight", s_.hidden, s_.width},
                         {file, block + "ffn_down.weight", s_.width, s_.hidden}});
    }
  }

  const llama::shape& shape() const { return s_; }
  std::string_view output_name() const { return output_.name(); }

 private:
  friend class session;
  struct layer {
    std::vector<float> attention_norm, feed_norm;
    matrix q, k, v, o, gate, up, down;
  };
  static std::vector<float> vector(const blocq::gguf::reader& file, const std::string& name, std::size_t size) {
    std::vector<float> v(size);
    matrix(file, name, 1, size).row(0, v);
    return v;
  }

  llama::shape s_{};
  matrix embedding_, output_;
  std::vector<float> output_norm_;
  std::vector<layer> layers_;
};

// One text being read or written: the keys and values of its tokens so far, and the memory of a step. Sessions of one
// model are independent, so each may have a thread of its own.
class session {
 public:
  // `tokens`: the longest text. `kind`: how keys and values are remembered, see cache.hpp.
  session(const model& m, std::size_t tokens, std::string_view kind = "f32") : m_(m), capacity_(tokens) {
    const llama::shape& s = m.s_;
    for (std::size_t i = 0; i < s.layers * s.kv_heads; ++i) caches_.emplace_back(kind, s.head_width);
  }

  void clear() {
    size_ = 0;
    for (cache& c : caches_) c.clear();
  }

  // Is shown every linear layer with what goes into it, n rows of layer.columns(), before each product.
  using observer = std::function<void(const matrix& layer, std::span<const float> x, std::size_t n)>;
  void observe(observer f) { observer_ = std::move(f); }

  // Appends tokens and gives the logits of those from `first` on, a row of shape().vocabulary each.
  std::span<const float> append(std::span<const int> tokens, std::size_t first) {
    embed(tokens);
    for (std::size_t l = 0; l < m_.s_.layers; ++l) layer(l);
    return finish(first);
  }

  // append in steps. Between them state() is what the next layer gets, a row for each token; a layer that is run again
  // on the same state gives the same, as long as these are the first tokens of a text.
  void embed(std::span<const int> tokens) {
    const llama::shape& s = m_.s_;
    const std::size_t n = tokens.size();
    if (size_ + n > capacity_) throw std::runtime_error("the text is longer than the session");
    x_.resize(n * s.width);
    for (std::size_t t = 0; t < n; ++t) {
      if (tokens[t] < 0 || static_cast<std::size_t>(tokens[t]) >= s.vocabulary)
        throw std::runtime_error("a token is not in the model's vocabulary");
      m_.embedding_.row(static_cast<std::size_t>(tokens[t]), std::span(x_).subspan(t * s.width, s.width));
    }
  }
  std::vector<float>& state() { return x_; }
  void layer(std::size_t l) {
    const std::size_t n = x_.size() / m_.s_.width;
    attention(m_.layers_[l], std::span(caches_).subspan(l * m_.s_.kv_heads, m_.s_.kv_heads), n);
    feed_forward(m_.layers_[l], n);
  }
  std::span<const float> finish(std::size_t first) {
    const std::size_t n = x_.size() / m_.s_.width;
    size_ += n;
    normalize(std::span(x_).subspan(first * m_.s_.width), m_.output_norm_, h_);
    logits_.resize((n - first) * m_.s_.vocabulary);
    multiply(m_.output_, h_, n - first, logits_);
    return logits_;
  }

 private:
  void multiply(const matrix& w, std::span<const float> x, std::size_t n, std::span<float> y) {
    if (observer_) observer_(w, x, n);
    w.multiply(x, n, y, scratch_);
  }
  // RMSNorm of every row of x.
  void normalize(std::span<const float> x, std::span<const float> gain, std::vector<float>& out) const {
    const std::size_t width = gain.size();
    out.resize(x.size());
    for (std::size_t t = 0; t < x.size(); t += width) {
      double sum = 0;
      for (std::size_t i = 0; i < width; ++i) sum += static_cast<double>(x[t + i]) * static_cast<double>(x[t + i]);
      const float scale = 1.0f / std::sqrt(static_cast<float>(sum / static_cast<double>(width)) + m_.s_.epsilon);
      for (std::size_t i = 0; i < width; ++i) out[t + i] = x[t + i] * scale * gain[i];
    }
  }
  static void softmax(std::span<float> x, float factor) {
    float greatest = -INFINITY, sum = 0;
    for (float& v : x) greatest = std::fmax(greatest, v *= factor);
    for (float& v : x) sum += v = std::exp(v - greatest);
    for (float& v : x) v /= sum;
  }
  // Turns neighbouring pairs of every head by an angle that grows with the position.
  void rotate(std::span<float> heads, std::size_t position) const {
    const std::size_t width = m_.s_.head_width;
    for (std::size_t i = 0; i < heads.size(); i += 2) {
      const float power = static_cast<float>(i % width) / static_cast<float>(width);
      const float angle = static_cast<float>(position) * std::pow(m_.s_.rope_base, -power);
      const float c = std::cos(angle), s = std::sin(angle), a = heads[i], b = heads[i + 1];
      heads[i] = a * c - b * s;
      heads[i + 1] = a * s + b * c;
    }
  }

  void attention(const model::layer& layer, std::span<cache> caches, std::size_t n) {
    const llama::shape& s = m_.s_;
    const std::size_t kv_width = s.kv_heads * s.head_width, shared = s.heads / s.kv_heads;
    normalize(x_, layer.attention_norm, h_);
    q_.resize(n * s.width);
    k_.resize(n * kv_width);
    v_.resize(n * kv_width);
    multiply(layer.q, h_, n, q_);
    multiply(layer.k, h_, n, k_);
    multiply(layer.v, h_, n, v_);
    h_.resize(n * s.width);
    if (size_ == 0)
      for (cache& c : caches) c.clear();  // the layer may be run again
    for (std::size_t t = 0; t < n; ++t) {
      rotate(std::span(q_).subspan(t * s.width, s.width), size_ + t);
      rotate(std::span(k_).subspan(t * kv_width, kv_width), size_ + t);
      scores_.resize(size_ + t + 1);
      for (std::size_t head = 0; head < s.heads; ++head) {
        cache& c = caches[head / shared];
        const std::size_t from = t * kv_width + head / shared * s.head_width, to = t * s.width + head * s.head_width;
        if (head % shared == 0)
          c.append(std::span(k_).subspan(from, s.head_width), std::span(v_).subspan(from, s.head_width));
        c.scores(std::span(q_).subspan(to, s.head_width), scores_);
        softmax(scores_, 1.0f / std::sqrt(static_cast<float>(s.head_width)));
        c.mix(scores_, std::span(h_).subspan(to, s.head_width));
      }
    }
    q_.resize(n * s.width);
    multiply(layer.o, h_, n, q_);
    for (std::size_t i = 0; i < x_.size(); ++i) x_[i] += q_[i];
  }

  // SwiGLU.
  void feed_forward(const model::layer& layer, std::size_t n) {
    normalize(x_, layer.feed_norm, h_);
    gate_.resize(n * m_.s_.hidden);
    up_.resize(n * m_.s_.hidden);
    multiply(layer.gate, h_, n, gate_);
    multiply(layer.up, h_, n, up_);
    for (std::size_t i = 0; i < gate_.size(); ++i) gate_[i] *= up_[i] / (1.0f + std::exp(-gate_[i]));
    multiply(layer.down, gate_, n, h_);
    for (std::size_t i = 0; i < x_.size(); ++i) x_[i] += h_[i];
  }

  const model& m_;
  std::size_t capacity_, size_ = 0;
  std::vector<cache> caches_;  // of each layer, one for every head of keys and values
  std::vector<float> x_, h_, q_, k_, v_, gate_, up_, scores_, logits_;
  std::vector<std::byte> scratch_;
  observer observer_;
};

}  // namespace llama

#endif
