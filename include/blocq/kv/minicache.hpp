// MiniCache: keys and values of one attention head in two neighbouring layers as one row of binary16 for both. Liu et
// al., "MiniCache: KV Cache Compression in Depth Dimension for Large Language Models", 2024. Deep layers have keys, and
// values, of nearly the same direction: of each token one between the two is kept, and the two lengths.
//
//   e = sin((1 - t) a) / sin a * u / |u| + sin(t a) / sin a * l / |l|     a the angle between them: |e| = 1
//   u ~ |u| e    l ~ |l| e
//
// Tokens whose directions differ most are kept as they are: those whose angle is in the upper `retained` part of the
// range of angles so far. Not here: softmax, position encoding and which layers share a cache.
#ifndef BLOCQ_KV_MINICACHE_HPP
#define BLOCQ_KV_MINICACHE_HPP

#include <blocq/core/error.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/kv/half.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

namespace blocq::inline v0 {

struct minicache_options {
  double from_upper =
      0.6;                 // t: where between the directions of the upper (0) and the lower layer (1) the common one is
  double retained = 0.05;  // part of the range of angles whose tokens are not merged: from 0 to 1
};

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA::kv {

namespace detail {

// Rows of two layers, merged or as they came.
class merged_rows {
 public:
  explicit merged_rows(std::size_t width) noexcept : width_(width) {}

  std::size_t size() const noexcept { return tokens_.size(); }
  std::size_t retained() const noexcept { return rows_.size() / width_ - tokens_.size(); }
  std::size_t bytes() const noexcept { return rows_.size() * sizeof(le16) + tokens_.size() * sizeof(token); }
  void clear() noexcept {
    tokens_.clear();
    rows_.clear();
    narrowest_ = 4;
    widest_ = -1;
  }

  // Makes room for so many more tokens, whatever they are (std::bad_alloc).
  void reserve(std::size_t more) {
    const auto grow = [](auto& v, std::size_t n) {
      if (n > v.capacity()) v.reserve((std::max)(n, 2 * v.capacity()));
    };
    grow(tokens_, tokens_.size() + more);
    grow(rows_, rows_.size() + 2 * more * width_);
  }
  // Appends a token for which there is room: its rows in the lower and in the upper layer.
  void push(const le16* lower, const le16* upper, const minicache_options& o) noexcept {
    double ll = 0, uu = 0, lu = 0;
    for (std::size_t d = 0; d < width_; ++d) {
      const double a = static_cast<double>(f16_to_f32(lower[d])), b = static_cast<double>(f16_to_f32(upper[d]));
      ll += a * a;
      uu += b * b;
      lu += a * b;
    }
    const double l = std::sqrt(ll), u = std::sqrt(uu);
    // One that has no direction takes the other's.
    const double angle = l > 0 && u > 0 ? std::acos((std::max)(-1.0, (std::min)(1.0, lu / (l * u)))) : 0.0;
    narrowest_ = (std::min)(narrowest_, angle);
    widest_ = (std::max)(widest_, angle);
    const std::uint64_t next = rows_.size() / width_;
    const bool opposite = angle > 3.1;  // there is no way between them
    if (opposite || (angle > 1e-3 && angle > widest_ - o.retained * (widest_ - narrowest_))) {
      tokens_.push_back({{1, 1}, 2 * next + 1});
      rows_.insert(rows_.end(), lower, lower + width_);
      rows_.insert(rows_.end(), upper, upper + width_);
      return;
    }
    tokens_.push_back({{static_cast<float>(l), static_cast<float>(u)}, 2 * next});
    // Between directions that are nearly the same a straight line is as good as an arc.
    const double t = l > 0 && u > 0 ? o.from_upper : l > 0 ? 1.0 : 0.0, arc = std::sin(angle);
    double a = arc > 1e-3 ? std::sin(t * angle) / arc : t, b = arc > 1e-3 ? std::sin((1 - t) * angle) / arc : 1 - t;
    a = l > 0 ? a / l : 0;
    b = u > 0 ? b / u : 0;
    for (std::size_t d = 0; d < width_; ++d) {
      const double e = a * static_cast<double>(f16_to_f32(lower[d])) + b * static_cast<double>(f16_to_f32(upper[d]));
      le16 half;
      store(half, finite_half(static_cast<float>(e)));
      rows_.push_back(half);
    }
  }

  // Of a token in layer 0, the lower one, or 1: what its row is to be multiplied by, and the row.
  float length(std::size_t t, int layer) const noexcept { return tokens_[t].lengths[layer]; }
  const le16* row(std::size_t t, int layer) const noexcept {
    const std::uint64_t place = tokens_[t].place;
    return &rows_[static_cast<std::size_t>(place / 2 + (layer == 1 ? place % 2 : 0)) * width_];
  }

 private:
  struct token {
    float lengths[2];
    std::uint64_t place;  // twice the number of its row, and 1 if a second one follows, that of the upper layer
  };

  std::size_t width_;
  double narrowest_ = 4, widest_ = -1;  // angles so far
  std::vector<token> tokens_;
  std::vector<le16> rows_;
};

}  // namespace detail

// Growing rows of keys and values of two layers, `width` numbers each. Layer 0 is the lower one, 1 the upper; a token
// is merged when both have it.
class minicache {
 public:
  // errc::ragged if the width is 0, errc::bad_value if the options are not as they should be.
  static result<minicache> create(std::size_t width, const minicache_options& o = {}) {
    if (width == 0) return error(errc::ragged) << "a width of no channels";
    if (!(o.from_upper >= 0 && o.from_upper <= 1) || !(o.retained >= 0 && o.retained <= 1))
      return error(errc::bad_value) << "where directions are merged, and the part that is not, are from 0 to 1";
    return minicache(width, o);
  }

  std::size_t width() const noexcept { return width_; }
  std::size_t size(int layer) const noexcept { return merged() + waiting(layer); }
  // Tokens that both layers have, and how many rows of keys and of values are kept as they were.
  std::size_t merged() const noexcept { return parts_[0].rows.size(); }
  std::size_t retained() const noexcept { return parts_[0].rows.retained() + parts_[1].rows.retained(); }
  // What the tokens of both layers take in memory.
  std::size_t bytes() const noexcept {
    std::size_t sum = 0;
    for (const part& p : parts_) sum += p.rows.bytes() + sizeof(le16) * (p.waiting[0].size() + p.waiting[1].size());
    return sum;
  }

  // Forgets a layer's tokens. Those of the other one wait, as they are remembered, for new ones to be merged with; that
  // takes memory (std::bad_alloc; nothing is forgotten then).
  void clear(int layer) {
    const int other = 1 - layer;
    if (merged() != 0 && waiting(other) + merged() != 0) {
      std::array<std::vector<le16>, 2> kept;
      for (std::size_t i = 0; i < 2; ++i) {
        part& p = parts_[i];
        for (std::size_t t = 0; t < merged(); ++t)
          for (std::size_t d = 0; d < width_; ++d) {
            le16 half;
            store(half, detail::finite_half(p.rows.length(t, other) * f16_to_f32(p.rows.row(t, other)[d])));
            kept[i].push_back(half);
          }
        kept[i].insert(kept[i].end(), p.waiting[index(other)].begin(), p.waiting[index(other)].end());
      }
      for (std::size_t i = 0; i < 2; ++i) {
        parts_[i].waiting[index(other)].swap(kept[i]);
        parts_[i].rows.clear();
      }
    }
    for (part& p : parts_) p.waiting[index(layer)].clear();
  }
  void clear() noexcept {
    for (part& p : parts_) {
      p.rows.clear();
      for (auto& w : p.waiting) w.clear();
    }
  }

  // Appends tokens to a layer: as many rows of `width` numbers in `keys` as in `values`. It makes no difference whether
  // they come at once or one by one. A NaN counts as 0, what binary16 cannot hold as the largest number that it can.
  // Where there is no memory for them (std::bad_alloc) the cache is as before.
  // Precondition: both are of the same size, a multiple of width.
  void append(int layer, std::span<const float> keys, std::span<const float> values) {
    BLOCQ_ASSERT(keys.size() == values.size() && keys.size() % width_ == 0);
    const fp_environment modes;
    const std::size_t count = (std::min)(waiting(layer) + keys.size() / width_, waiting(1 - layer));
    for (part& p : parts_) {
      auto& w = p.waiting[index(layer)];
      if (const std::size_t n = w.size() + keys.size(); n > w.capacity()) w.reserve((std::max)(n, 2 * w.capacity()));
      p.rows.reserve(count);
    }
    // Nothing is allocated from here on.
    for (std::size_t i = 0; i < 2; ++i) {
      part& p = parts_[i];
      for (const float x : i == 0 ? keys : values) {
        le16 half;
        store(half, detail::finite_half(x));
        p.waiting[index(layer)].push_back(half);
      }
      for (std::size_t t = 0; t < count; ++t)
        p.rows.push(&p.waiting[0][t * width_], &p.waiting[1][t * width_], options_);
      for (auto& w : p.waiting) w.erase(w.begin(), w.begin() + static_cast<std::ptrdiff_t>(count * width_));
    }
  }

  // out[t] = q . key t of a layer, for all its tokens.
  // Preconditions: q has width() numbers, out has size(layer).
  void scores(int layer, std::span<const float> q, std::span<float> out) const noexcept {
    BLOCQ_ASSERT(q.size() == width_ && out.size() == size(layer));
    const fp_environment modes;
    for (std::size_t t = 0; t < out.size(); ++t) {
      const scaled_row k = row(0, layer, t);
      out[t] = k.factor * detail::dot_halves(q.data(), k.numbers, width_);
    }
  }

  // out = sum of p[t] * value t of a layer, over all its tokens.
  // Preconditions: p has size(layer) numbers, out has width().
  void mix(int layer, std::span<const float> p, std::span<float> out) const noexcept {
    BLOCQ_ASSERT(p.size() == size(layer) && out.size() == width_);
    const fp_environment modes;
    std::fill(out.begin(), out.end(), 0.0f);
    for (std::size_t t = 0; t < p.size(); ++t) {
      const scaled_row v = row(1, layer, t);
      detail::add_halves(p[t] * v.factor, v.numbers, out);
    }
  }

  // Token t of a layer as it is remembered. Precondition: out has width() numbers.
  void key(int layer, std::size_t t, std::span<float> out) const noexcept { decode(row(0, layer, t), out); }
  void value(int layer, std::size_t t, std::span<float> out) const noexcept { decode(row(1, layer, t), out); }

 private:
  struct part {
    explicit part(std::size_t width) noexcept : rows(width) {}
    detail::merged_rows rows;
    std::array<std::vector<le16>, 2> waiting;  // of each layer the rows that the other one lacks
  };
  struct scaled_row {
    float factor;
    const le16* numbers;
  };

  minicache(std::size_t width, const minicache_options& o)
      : width_(width), options_(o), parts_{part(width), part(width)} {}

  static std::size_t index(int layer) noexcept { return static_cast<std::size_t>(layer); }
  std::size_t waiting(int layer) const noexcept { return parts_[0].waiting[index(layer)].size() / width_; }
  scaled_row row(std::size_t which, int layer, std::size_t t) const noexcept {
    const part& p = parts_[which];
    if (t < merged()) return {p.rows.length(t, layer), p.rows.row(t, layer)};
    return {1.0f, &p.waiting[index(layer)][(t - merged()) * width_]};
  }
  void decode(scaled_row r, std::span<float> out) const noexcept {
    BLOCQ_ASSERT(out.size() == width_);
    for (std::size_t d = 0; d < width_; ++d) out[d] = r.factor * f16_to_f32(r.numbers[d]);
  }

  std::size_t width_;
  minicache_options options_;
  std::array<part, 2> parts_;  // keys, values
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::kv

#endif
