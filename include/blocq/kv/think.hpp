// ThinK: keys of one attention head without the channels that matter least, in binary16. Xu et al., "ThinK: Thinner Key
// Cache by Query-Driven Pruning", 2024. What channel d adds to all scores is the matrix q_d k_d' of queries and keys,
// whose size is |q_d| |k_d|: the channels where that is least are left out.
// Not here: softmax, position encoding and which heads share a cache.
#ifndef BLOCQ_KV_THINK_HPP
#define BLOCQ_KV_THINK_HPP

#include <blocq/core/error.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/kv/half.hpp>

#include <algorithm>
#include <span>
#include <vector>

namespace blocq::inline v0 {

struct think_options {
  double dropped = 0.4;      // part of the channels that are left out, rounded down: from 0 to less than 1
  std::size_t window = 32;   // latest keys at least that stay whole
  std::size_t sample = 128;  // tokens after which channels are chosen: a multiple of the window, twice it at least
};

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA::kv {

// A growing row of keys and one of values, `width` numbers each.
class think {
 public:
  // errc::ragged if the width is 0, errc::bad_value if the options are not as they should be, errc::too_large if no
  // memory could hold the sample.
  static result<think> create(std::size_t width, const think_options& o = {}) {
    if (width == 0) return error(errc::ragged) << "a width of no channels";
    if (!(o.dropped >= 0 && o.dropped < 1))
      return error(errc::bad_value) << "the part of the channels to leave out is not from 0 to less than 1";
    if (o.window == 0 || o.sample % o.window != 0 || o.sample / o.window < 2)
      return error(errc::bad_value) << "a sample of " << o.sample << " tokens is not two or more windows of "
                                    << o.window;
    if (width > PTRDIFF_MAX / sizeof(le16) / o.sample)
      return error(errc::too_large) << o.sample << " tokens of " << width << " channels are more than memory can hold";
    return think(width, o);
  }

  std::size_t size() const noexcept { return size_; }
  std::size_t width() const noexcept { return width_; }
  // The channels that older keys have, ascending; none before they are chosen.
  std::span<const std::size_t> channels() const noexcept { return channels_; }
  // Tokens whose keys have only those.
  std::size_t pruned() const noexcept { return pruned(size_); }
  // What the tokens take in memory.
  std::size_t bytes() const noexcept {
    return sizeof(le16) * ((2 * size_ - pruned()) * width_ + pruned() * kept_) + sizeof(std::size_t) * channels_.size();
  }

  void clear() noexcept {
    size_ = 0;
    std::fill(query_energy_.begin(), query_energy_.end(), 0.0f);
    channels_.clear();
    thin_keys_.clear();
    keys_.clear();
    values_.clear();
  }

  // Appends tokens: as many rows of `width` numbers in `keys` as in `values`. Given the same queries in between, it
  // makes no difference whether they come at once or one by one. A NaN counts as 0, what binary16 cannot hold as the
  // largest number that it can. Where there is no memory for them (std::bad_alloc) the cache is as before.
  // Precondition: both are of the same size, a multiple of width.
  void append(std::span<const float> keys, std::span<const float> values) {
    BLOCQ_ASSERT(keys.size() == values.size() && keys.size() % width_ == 0);
    const fp_environment modes;
    const std::size_t end = size_ + keys.size() / width_, before = pruned(size_);
    keys_.resize((end - before) * width_);
    values_.resize(end * width_);
    thin_keys_.resize(pruned(end) * kept_);
    std::vector<std::size_t> order;
    std::vector<double> saliency;
    if (channels_.empty() && end >= sample_) {
      order.resize(width_);
      saliency.resize(width_);
    }
    // Nothing is allocated from here on.
    const auto put = [](std::span<const float> from, le16* to) {
      for (std::size_t i = 0; i < from.size(); ++i) store(to[i], detail::finite_half(from[i]));
    };
    put(keys, keys_.data() + (size_ - before) * width_);
    put(values, values_.data() + size_ * width_);
    size_ = end;
    if (!order.empty()) choose(std::move(order), saliency);
    if (pruned(end) == before) return;
    for (std::size_t t = before; t < pruned(end); ++t)
      for (std::size_t i = 0; i < kept_; ++i) thin_keys_[t * kept_ + i] = keys_[(t - before) * width_ + channels_[i]];
    keys_.erase(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>((pruned(end) - before) * width_));
  }

  // Takes a query into account when channels are chosen; without any, keys alone decide.
  // Precondition: q has width() numbers.
  void observe(std::span<const float> q) noexcept {
    BLOCQ_ASSERT(q.size() == width_);
    if (channels_.empty())
      for (std::size_t d = 0; d < width_; ++d) query_energy_[d] += q[d] * q[d];
  }

  // out[t] = q . key t, for all tokens. Allocates a row of floats (std::bad_alloc).
  // Preconditions: q has width() numbers, out has size().
  void scores(std::span<const float> q, std::span<float> out) const {
    BLOCQ_ASSERT(q.size() == width_ && out.size() == size_);
    const fp_environment modes;
    std::vector<float> thin;
    for (const std::size_t d : channels_) thin.push_back(q[d]);
    const std::size_t older = pruned();
    for (std::size_t t = 0; t < size_; ++t)
      out[t] = t < older ? detail::dot_halves(thin.data(), &thin_keys_[t * kept_], kept_)
                         : detail::dot_halves(q.data(), &keys_[(t - older) * width_], width_);
  }

  // out = sum of p[t] * value t, over all tokens.
  // Preconditions: p has size() numbers, out has width().
  void mix(std::span<const float> p, std::span<float> out) const noexcept {
    BLOCQ_ASSERT(p.size() == size_ && out.size() == width_);
    const fp_environment modes;
    std::fill(out.begin(), out.end(), 0.0f);
    for (std::size_t t = 0; t < size_; ++t) detail::add_halves(p[t], &values_[t * width_], out);
  }

  // Token t as it is remembered: 0 where its key has no channel. Precondition: out has width() numbers.
  void key(std::size_t t, std::span<float> out) const noexcept {
    BLOCQ_ASSERT(t < size_ && out.size() == width_);
    const std::size_t older = pruned();
    if (t >= older) {
      for (std::size_t d = 0; d < width_; ++d) out[d] = f16_to_f32(keys_[(t - older) * width_ + d]);
      return;
    }
    std::fill(out.begin(), out.end(), 0.0f);
    for (std::size_t i = 0; i < kept_; ++i) out[channels_[i]] = f16_to_f32(thin_keys_[t * kept_ + i]);
  }
  void value(std::size_t t, std::span<float> out) const noexcept {
    BLOCQ_ASSERT(t < size_ && out.size() == width_);
    for (std::size_t d = 0; d < width_; ++d) out[d] = f16_to_f32(values_[t * width_ + d]);
  }

 private:
  think(std::size_t width, const think_options& o)
      : width_(width),
        kept_(width - static_cast<std::size_t>(o.dropped * static_cast<double>(width))),
        window_(o.window),
        sample_(o.sample),
        query_energy_(width) {}

  // Of so many tokens: whole windows, all but the last one or two.
  std::size_t pruned(std::size_t tokens) const noexcept {
    return tokens < sample_ ? 0 : tokens / window_ * window_ - window_;
  }

  // By the tokens of the sample: `order` becomes the channels.
  void choose(std::vector<std::size_t> order, std::span<double> saliency) noexcept {
    const bool asked = std::any_of(query_energy_.begin(), query_energy_.end(), [](float e) { return e > 0.0f; });
    for (std::size_t d = 0; d < width_; ++d) {
      order[d] = d;
      for (std::size_t t = 0; t < sample_; ++t) {
        const double k = static_cast<double>(f16_to_f32(keys_[t * width_ + d]));
        saliency[d] += k * k;
      }
      if (asked) saliency[d] *= static_cast<double>(query_energy_[d]);
    }
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return saliency[a] != saliency[b] ? saliency[a] > saliency[b] : a < b;
    });
    order.resize(kept_);
    std::sort(order.begin(), order.end());
    channels_ = std::move(order);
  }

  std::size_t width_, kept_, window_, sample_, size_ = 0;
  std::vector<float> query_energy_;  // of each channel
  std::vector<std::size_t> channels_;
  // Rows of kept_, and of width_ numbers; after an append that found no memory there may be more.
  std::vector<le16> thin_keys_, keys_, values_;
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::kv

#endif
