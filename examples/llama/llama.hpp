// A llama-architecture transformer over the tensors of a GGUF file, small enough to read in one sitting: what it
// needs from blocq is in matrix.cpp and cache.cpp, everything else is ordinary code. Weights stay where they are in the
// file.
#ifndef LLAMA_LLAMA_HPP
#define LLAMA_LLAMA_HPP

#include "cache.hpp"
#include "matrix.hpp"
#include "parameters.hpp"
#include "rope.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llama {

class model {
 public:
  // `file` must outlive the model. Throws std::runtime_error, with the key or the tensor, if it is not a model that
  // this code runs as it is meant: architectures lists the kinds.
  explicit model(const blocq::gguf::split_set& file) {
    metadata about(file.first());
    tensors from(file);
    s_ = read_shape(about);
    rope_ = read_rope(about, s_);
    about.finish();
    kind_ = about.architecture();
    s_.vocabulary = from.rows_of("token_embd.weight");
    if (s_.vocabulary == 0) throw std::runtime_error("the model lacks the tensor 'token_embd.weight'");

    embedding_ = {from, "token_embd", s_.vocabulary, s_.width};
    output_ = from.has("output.weight") ? matrix(from, "output", s_.vocabulary, s_.width) : embedding_;
    output_norm_ = read_vector(from, "output_norm.weight", s_.width);
    read_divisors(from);
    for (std::size_t l = 0; l < s_.layers; ++l) layers_.push_back(read_layer(from, "blk." + std::to_string(l) + '.'));
    from.finish();
  }

  const llama::shape& shape() const { return s_; }
  std::string_view output_name() const { return output_.name(); }

 private:
  friend class session;
  struct layer {
    std::vector<float> attention_norm, feed_norm, q_norm, k_norm;
    std::vector<matrix> qkv;  // three, or all of them in one
    matrix o;
    std::vector<matrix> feed;  // gate and up, or both in one
    matrix down;
  };

  layer read_layer(tensors& from, const std::string& block) const {
    const std::size_t q_width = s_.heads * s_.head_width, kv_width = s_.kv_heads * s_.head_width;
    layer l;
    l.attention_norm = read_vector(from, block + "attn_norm.weight", s_.width);
    l.feed_norm = read_vector(from, block + "ffn_norm.weight", s_.width);
    if (kind_.normalizes_heads) {
      l.q_norm = read_vector(from, block + "attn_q_norm.weight", s_.head_width);
      l.k_norm = read_vector(from, block + "attn_k_norm.weight", s_.head_width);
    }
    if (from.has(block + "attn_qkv.weight"))
      l.qkv = {{from, block + "attn_qkv", q_width + 2 * kv_width, s_.width}};
    else
      l.qkv = {{from, block + "attn_q", q_width, s_.width},
               {from, block + "attn_k", kv_width, s_.width},
               {from, block + "attn_v", kv_width, s_.width}};
    l.o = {from, block + "attn_output", s_.width, q_width};
    if (kind_.joins_gate)
      l.feed = {{from, block + "ffn_up", 2 * s_.hidden, s_.width}};
    else
      l.feed = {{from, block + "ffn_gate", s_.hidden, s_.width}, {from, block + "ffn_up", s_.hidden, s_.width}};
    l.down = {from, block + "ffn_down", s_.width, s_.hidden};
    return l;
  }
  void read_divisors(tensors& from) {
    const auto read = [&](const char* name) {
      return from.find(name) != nullptr ? read_vector(from, name, rope_.width / 2) : std::vector<float>();
    };
    if (rope_.factors == rope_factors::one) short_divisors_ = long_divisors_ = read("rope_freqs.weight");
    if (rope_.factors != rope_factors::by_length) return;
    short_divisors_ = read("rope_factors_short.weight");
    long_divisors_ = read("rope_factors_long.weight");
  }

  llama::shape s_{};
  rope_parameters rope_;
  architecture kind_{};
  matrix embedding_, output_;
  std::vector<float> output_norm_, short_divisors_, long_divisors_;
  std::vector<layer> layers_;
};

// One text being read or written: the keys and values of its tokens so far, and the memory of a step. Sessions of one
// model are independent, so each may have a thread of its own.
class session {
 public:
  // `tokens`: the longest text. `kinds`: how keys and values are remembered, see cache.hpp.
  session(const model& m, std::size_t tokens, const cache_kinds& kinds = {})
      : m_(m),
        capacity_(tokens),
        rope_(m.rope_, m.kind_.rotates_halves,
              tokens > m.rope_.original_context ? m.long_divisors_ : m.short_divisors_) {
    const llama::shape& s = m.s_;
    if (s.sliding_window != 0 && tokens > s.sliding_window)
      throw std::runtime_error("'" + std::string(m.kind_.name) + ".attention.sliding_window' is " +
                               std::to_string(s.sliding_window) +
                               " tokens, and this engine does not run texts that are longer");
    bare_keys_ = cache::takes_bare_keys(kinds.keys);
    const position_encoder positions = bare_keys_ ? positions_of_heads() : position_encoder();
    caches_ = cache::make(kinds, s.layers, s.kv_heads, s.head_width, positions);
  }

  void clear() {
    size_ = 0;
    for (cache& c : caches_) c.clear();
  }

  // What a number of keys and values takes on average, now.
  double cache_bits() const {
    double bytes = 0, numbers = 0;
    for (const cache& c : caches_) {
      bytes += static_cast<double>(c.bytes());
      numbers += static_cast<double>(2 * c.size() * m_.s_.head_width);
    }
    return 8 * bytes / numbers;
  }

  // Is shown every linear layer with what goes into it, n rows of layer.columns(), before each product.
  using observer = std::function<void(const matrix& layer, std::span<const float> x, std::size_t n)>;
  void observe(observer f) { observer_ = std::move(f); }
  // May change what goes into a layer, a copy of it for this product alone.
  using disturber = std::function<void(const matrix& layer, std::span<float> x, std::size_t n)>;
  void disturb(disturber f) { disturber_ = std::move(f); }

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
  // Of all tokens there may be: a cache asks for each of them with every query.
  position_encoder positions_of_heads() const {
    std::vector<std::vector<rope::turn>> turns(capacity_);
    for (std::size_t t = 0; t < capacity_; ++t) rope_.turns(t, turns[t]);
    const auto shared = std::make_shared<const std::vector<std::vector<rope::turn>>>(std::move(turns));
    return [rope = rope_, shared](std::size_t t, std::span<float> key) { rope.apply((*shared)[t], key, key.size()); };
  }
  void multiply(const matrix& w, std::span<const float> x, std::size_t n, std::span<float> y) {
    if (observer_) observer_(w, x, n);
    if (disturber_) {
      disturbed_.assign(x.begin(), x.end());
      disturber_(w, disturbed_, n);
      x = disturbed_;
    }
    w.multiply(x, n, y, scratch_);
  }
  void normalize(std::span<const float> x, std::span<const float> gain, std::vector<float>& out) const {
    out.resize(x.size());
    normalize(x, gain, std::span(out));
  }
  // RMSNorm of every row of x, a row being as long as the gain. `out` may be x.
  void normalize(std::span<const float> x, std::span<const float> gain, std::span<float> out) const {
    const std::size_t width = gain.size();
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
  // The products of layers that have one input, side by side in each row of `out`.
  void multiply_all(const std::vector<matrix>& layers, std::span<const float> x, std::size_t n,
                    std::vector<float>& out) {
    std::size_t width = 0, at = 0;
    for (const matrix& layer : layers) width += layer.rows();
    out.resize(n * width);
    for (const matrix& layer : layers) {
      const std::size_t rows = layer.rows();
      part_.resize(n * rows);
      multiply(layer, x, n, part_);
      for (std::size_t t = 0; t < n; ++t) std::copy_n(&part_[t * rows], rows, &out[t * width + at]);
      at += rows;
    }
  }

  void attention(const model::layer& layer, std::span<cache> caches, std::size_t n) {
    const llama::shape& s = m_.s_;
    const std::size_t q_width = s.heads * s.head_width, kv_width = s.kv_heads * s.head_width;
    const std::size_t shared = s.heads / s.kv_heads;
    normalize(x_, layer.attention_norm, h_);
    multiply_all(layer.qkv, h_, n, qkv_);
    h_.resize(n * q_width);
    if (size_ == 0)
      for (cache& c : caches) c.clear();  // the layer may be run again
    for (std::size_t t = 0; t < n; ++t) {
      const std::span row = std::span(qkv_).subspan(t * (q_width + 2 * kv_width), q_width + 2 * kv_width);
      const std::span q = row.first(q_width), k = row.subspan(q_width, kv_width), v = row.last(kv_width);
      if (!layer.q_norm.empty()) {
        normalize(q, layer.q_norm, q);
        normalize(k, layer.k_norm, k);
      }
      rope_.turns(size_ + t, turns_);
      rope_.apply(turns_, q, s.head_width);
      if (!bare_keys_) rope_.apply(turns_, k, s.head_width);
      scores_.resize(size_ + t + 1);
      for (std::size_t head = 0; head < s.heads; ++head) {
        cache& c = caches[head / shared];
        const std::size_t from = head / shared * s.head_width, to = head * s.head_width;
        if (head % shared == 0) c.append(k.subspan(from, s.head_width), v.subspan(from, s.head_width));
        c.scores(q.subspan(to, s.head_width), scores_);
        softmax(scores_, 1.0f / std::sqrt(static_cast<float>(s.head_width)));
        c.mix(scores_, std::span(h_).subspan(t * q_width + to, s.head_width));
      }
    }
    add(layer.o, h_, n);
  }

  // SwiGLU.
  void feed_forward(const model::layer& layer, std::size_t n) {
    const std::size_t hidden = m_.s_.hidden;
    normalize(x_, layer.feed_norm, h_);
    multiply_all(layer.feed, h_, n, feed_);
    h_.resize(n * hidden);
    for (std::size_t t = 0; t < n; ++t)
      for (std::size_t i = 0; i < hidden; ++i) {
        const float gate = feed_[2 * t * hidden + i], up = feed_[(2 * t + 1) * hidden + i];
        h_[t * hidden + i] = gate * up / (1.0f + std::exp(-gate));
      }
    add(layer.down, h_, n);
  }
  // Adds the product of a layer to the state.
  void add(const matrix& layer, std::span<const float> x, std::size_t n) {
    part_.resize(n * layer.rows());
    multiply(layer, x, n, part_);
    for (std::size_t i = 0; i < x_.size(); ++i) x_[i] += part_[i];
  }

  const model& m_;
  std::size_t capacity_, size_ = 0;
  rope rope_;
  bool bare_keys_ = false;
  std::vector<cache> caches_;  // of each layer, one for every head of keys and values
  std::vector<float> x_, h_, qkv_, feed_, part_, scores_, logits_;
  std::vector<rope::turn> turns_;
  std::vector<std::byte> scratch_;
  observer observer_;
  disturber disturber_;
  std::vector<float> disturbed_;
};

}  // namespace llama

#endif
