// KVQuant: keys and values of one attention head in 2, 3 or 4 bits by tables of levels that lie where the numbers are.
// Hooper et al., "KVQuant: Towards 10 Million Context Length LLM Inference with KV Cache Quantization", 2024.
// Not here: softmax and which heads share a cache.
//
//   key    x = offset[d] + scale[d] * level[code]     of a channel, from a sample of tokens
//   value  x = offset[t] + scale[t] * level[code]     of a token, both binary16
//
// - Keys are kept as they are before positions are encoded, because a channel has a range of its own only there; what
//   encodes positions is given to the cache, which applies it to what it has decoded.
// - Levels are the centroids of all numbers of the sample, mapped to [-1, 1] (NUQ).
// - Of each key and each value the few numbers that lose most are corrected by what the codes miss, in binary16
//   (dense and sparse; the paper fixes thresholds for keys, here a row has as many as another, so that memory is
//   bounded).
// - The first tokens of a text, which attention falls back on, stay in binary16.
//
// Statistics are given (fit_kvquant makes them, of a calibration text), or are those of a text's own first tokens,
// which are in binary16 until there are enough.
#ifndef BLOCQ_KV_KVQUANT_HPP
#define BLOCQ_KV_KVQUANT_HPP

#include <blocq/core/error.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/kv/half.hpp>
#include <blocq/simd/vec.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace blocq::inline v0 {

struct kvquant_options {
  int key_bits = 3, value_bits = 3;  // of a code: 2, 3 or 4
  double outliers = 0.01;            // part of the numbers of a row that are corrected, rounded up
  bool moments = true;               // spread the levels so that the variance of the sample is kept (Q-Norm)
  std::size_t kept = 4;              // first tokens, in binary16
  std::size_t sample = 124;          // tokens behind them whose statistics are taken, where none are given
};

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA::kv {

// What a cache has to know about its numbers.
struct kvquant_tables {
  struct range {
    float offset, scale;
  };
  struct levels {
    std::vector<float> values, bounds;  // of 2^bits codes, and between them; both ascend
  };
  std::vector<range> channels;  // of keys
  levels key_levels, value_levels;
};

namespace detail {

// A number of a sample, as a part of its range.
struct normalized {
  float x, scale;
  double weight;
};

// The 2^bits centroids of numbers, by at most 50 of Lloyd's iterations from their quantiles; one that nothing is near
// to stays where it is. There is at least one; if none has a weight they are alike.
inline kvquant_tables::levels nuq_levels(std::vector<normalized> sample, int bits, bool moments) {
  const std::size_t k = std::size_t{1} << bits, n = sample.size();
  std::sort(sample.begin(), sample.end(), [](const auto& a, const auto& b) { return a.x < b.x; });
  if (std::all_of(sample.begin(), sample.end(), [](const auto& s) { return s.weight == 0; }))
    for (normalized& s : sample) s.weight = 1;
  std::vector<double> weights(n + 1), sums(n + 1);
  double squares = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double x = static_cast<double>(sample[i].x), wx = sample[i].weight * x;
    weights[i + 1] = weights[i] + sample[i].weight;
    sums[i + 1] = sums[i] + wx;
    squares += wx * x;
  }
  std::vector<double> levels(k);
  for (std::size_t c = 0; c < k; ++c) {
    const double wanted = weights[n] * (static_cast<double>(c) + 0.5) / static_cast<double>(k);
    const auto at = std::upper_bound(weights.begin() + 1, weights.end(), wanted) - weights.begin();
    levels[c] = static_cast<double>(sample[(std::min)(static_cast<std::size_t>(at), n) - 1].x);
  }
  double mean = 0, square = 0;  // of the levels, as often as they are taken
  bool moved = true;
  for (int iteration = 0; moved && iteration < 50; ++iteration) {
    moved = false;
    mean = square = 0;
    std::size_t first = 0;
    for (std::size_t c = 0; c < k; ++c) {
      const double end = c + 1 < k ? 0.5 * (levels[c] + levels[c + 1]) : 0;
      const auto last = c + 1 < k ? static_cast<std::size_t>(std::upper_bound(sample.begin(), sample.end(), end,
                                                                              [](double e, const auto& s) {
                                                                                return e < static_cast<double>(s.x);
                                                                              }) -
                                                             sample.begin())
                                  : n;
      const double weight = weights[last] - weights[first];
      const double centroid = weight > 0 ? (sums[last] - sums[first]) / weight : levels[c];
      moved = moved || centroid != levels[c];
      levels[c] = centroid;
      mean += weight * centroid;
      square += weight * centroid * centroid;
      first = last;
    }
  }
  std::sort(levels.begin(), levels.end());
  kvquant_tables::levels out;
  for (std::size_t c = 0; c + 1 < k; ++c) out.bounds.push_back(static_cast<float>(0.5 * (levels[c] + levels[c + 1])));
  if (moments) {
    const double total = weights[n], m1 = sums[n] / total, m2 = mean / total;
    const double v1 = squares / total - m1 * m1, v2 = square / total - m2 * m2;
    if (v1 > 0 && v2 > 0)
      for (double& l : levels) l = m1 + (l - m2) * std::sqrt(v1 / v2);
  }
  out.values.assign(levels.begin(), levels.end());
  return out;
}

// The same of rows of `width` numbers, without those that a row leaves to corrections.
inline kvquant_tables::levels nuq_levels(const std::vector<normalized>& rows, std::size_t width, int bits, bool moments,
                                         std::size_t left_out) {
  kvquant_tables::levels found = nuq_levels(rows, bits, moments);
  std::vector<float> missed(width);
  std::vector<normalized> sample;
  for (int round = 0; left_out > 0 && round < 3; ++round) {
    sample.clear();
    for (std::size_t at = 0; at < rows.size(); at += width) {
      for (std::size_t d = 0; d < width; ++d) {
        const normalized& n = rows[at + d];
        const auto code = std::lower_bound(found.bounds.begin(), found.bounds.end(), n.x) - found.bounds.begin();
        missed[d] = std::fabs(n.x - found.values[static_cast<std::size_t>(code)]) * n.scale;
      }
      for (std::size_t i = 0; i < left_out; ++i) *std::max_element(missed.begin(), missed.end()) = -1.0f;
      for (std::size_t d = 0; d < width; ++d)
        if (missed[d] >= 0.0f) sample.push_back(rows[at + d]);
    }
    if (sample.empty()) break;
    found = nuq_levels(sample, bits, moments);
  }
  return found;
}

// The middle and half the width of numbers, without `left_out` of them, those that are furthest from the median. Sorts
// them.
inline kvquant_tables::range range_of(std::span<float> x, std::size_t left_out) noexcept {
  std::sort(x.begin(), x.end());
  const float median = x[x.size() / 2];
  for (; left_out > 0 && x.size() > 1; --left_out)
    x = median - x.front() > x.back() - median ? x.subspan(1) : x.first(x.size() - 1);
  return {0.5f * x.front() + 0.5f * x.back(), 0.5f * x.back() - 0.5f * x.front()};
}

inline std::size_t outliers_of(std::size_t width, double share) noexcept {
  return static_cast<std::size_t>(std::ceil(share * static_cast<double>(width) - 1e-9));
}

// Codes of 2, 3 or 4 bits and their levels: signed bytes times a unit, whose error is a hundredth of that of a code. 32
// codes lie together: nibbles, or pairs of bits and behind them, of codes of three, the third ones.
struct level_table {
  int bits = 0;
  float unit = 0;
  std::uint8_t entries[16] = {};
  float bounds[15] = {};

  void set(const kvquant_tables::levels& levels) noexcept {
    const float peak = (std::max)(std::fabs(levels.values.front()), std::fabs(levels.values.back()));
    unit = peak / 127.0f;
    const float inverse = unit > 0 ? 1.0f / unit : 0.0f;
    std::size_t i = 0;
    for (std::uint8_t& entry : entries)  // so that a compiler sees where they end
      if (i < levels.values.size())
        entry = static_cast<std::uint8_t>(static_cast<int>(std::nearbyint(levels.values[i++] * inverse)));
    std::copy(levels.bounds.begin(), levels.bounds.end(), bounds);
  }
  float level(int code) const noexcept { return static_cast<float>(static_cast<std::int8_t>(entries[code])) * unit; }
  int code(float y) const noexcept {
    int c = 0;
    for (int i = 0; i + 1 < 1 << bits; ++i) c += y > bounds[i];
    return c;
  }

  // Of a row of codes, and of the 32 codes that element d is among.
  std::size_t row_bytes(std::size_t width) const noexcept { return (width + 31) / 32 * group_bytes(); }
  std::size_t group_at(std::size_t d) const noexcept { return d / 32 * group_bytes(); }
  // Code d of a row.
  int get(const std::uint8_t* row, std::size_t d) const noexcept {
    const std::uint8_t* const group = row + group_at(d);
    const std::size_t i = d % 32;
    if (bits == 4) return get_field(group[i / 2], static_cast<int>(i % 2 * 4), 4);
    return get_field(group[i / 4], static_cast<int>(i % 4 * 2), 2) |
           (bits == 3 ? get_field(group[8 + i / 8], static_cast<int>(i % 8), 1) << 2 : 0);
  }
  // The same, in bytes that were all 0.
  void put(std::uint8_t* row, std::size_t d, int code) const noexcept {
    std::uint8_t* const group = row + group_at(d);
    const std::size_t i = d % 32;
    const auto add = [group](std::size_t byte, std::size_t shift, int field) {
      group[byte] = static_cast<std::uint8_t>(group[byte] | field << shift);
    };
    if (bits == 4) return add(i / 2, i % 2 * 4, code);
    add(i / 4, i % 4 * 2, code & 3);
    if (bits == 3) add(8 + i / 8, i % 8, code >> 2);
  }
  // The levels of the 32 codes of a group, without the unit.
  BLOCQ_INLINE vec::bytes load(const std::uint8_t* group) const noexcept {
    vec::bytes c = bits == 4 ? vec::spread_nibbles(group) : vec::spread_pairs(group);
    if (bits == 3) c = c | vec::spread_bits(group + 8, 4);
    return vec::lookup16(vec::load_halves(entries), c);
  }

 private:
  std::size_t group_bytes() const noexcept { return 4 * static_cast<std::size_t>(bits); }
};

struct outlier {
  std::uint16_t channel;
  le16 missed;  // by the code
};
struct half_range {
  std::uint16_t offset, scale;
};

inline result<void> check(std::size_t width, const kvquant_options& o) noexcept {
  if (width == 0 || width > 65536) return error(errc::ragged) << "a width of " << width << " is not from 1 to 65536";
  for (const int bits : {o.key_bits, o.value_bits})
    if (bits < 2 || bits > 4) return error(errc::bad_value) << "codes of " << bits << " bits: there are 2, 3 and 4";
  if (!(o.outliers >= 0 && o.outliers < 0.5))
    return error(errc::bad_value) << "the part of outliers is not from 0 to less than a half";
  if (o.sample < 2) return error(errc::bad_value) << "statistics of " << o.sample << " tokens: two are the least";
  if (o.sample > PTRDIFF_MAX / 8 / width || o.kept > PTRDIFF_MAX / 8 / width)
    return error(errc::too_large) << "that many tokens of " << width << " channels are more than memory can hold";
  return {};
}

}  // namespace detail

// Statistics of keys, before positions are encoded, and values, rows of `width` numbers each. Of a channel's keys half
// the part of outliers is left out of its range; levels are fitted to what corrections leave. A weight for each number
// (the paper takes squares of the loss's gradients) says how much an error of it matters, over and above its size;
// without them all are alike.
// errc::size_mismatch unless keys and values, and weights if there are any, are as many and whole rows, two at least;
// errc::not_finite; errc::bad_value for weights below 0; create()'s errors for width and options.
// std::bad_alloc: it takes some 50 bytes for each number of the keys.
inline result<kvquant_tables> fit_kvquant(std::size_t width, std::span<const float> keys, std::span<const float> values,
                                          const kvquant_options& o = {}, std::span<const float> key_weights = {},
                                          std::span<const float> value_weights = {}) {
  if (const auto checked = detail::check(width, o); !checked) return checked.error();
  const std::size_t tokens = keys.size() / width;
  if (keys.size() != values.size() || keys.size() % width != 0 || tokens < 2)
    return error(errc::size_mismatch) << keys.size() << " numbers of keys and " << values.size()
                                      << " of values are not as many rows of " << width << ", two at least";
  for (const auto weights : {key_weights, value_weights}) {
    if (!weights.empty() && weights.size() != keys.size())
      return error(errc::size_mismatch) << weights.size() << " weights for " << keys.size() << " numbers";
    for (const float w : weights)
      if (!is_finite(w) || w < 0.0f) return error(errc::bad_value) << "a weight is not a number from 0 on";
  }
  for (const auto numbers : {keys, values})
    for (std::size_t i = 0; i < numbers.size(); ++i)
      if (!is_finite(numbers[i]))
        return error(errc::not_finite) << message(errc::not_finite) << ": token " << i / width;

  const fp_environment modes;
  kvquant_tables tables;
  const std::size_t left_out = detail::outliers_of(width, o.outliers);
  std::vector<float> line((std::max)(tokens, width));
  std::vector<detail::normalized> sample(keys.size());
  const auto normalize = [&](std::size_t at, float x, kvquant_tables::range r, std::span<const float> weights) {
    const double scale = static_cast<double>(r.scale), weight = weights.empty() ? 1 : static_cast<double>(weights[at]);
    sample[at] = {r.scale > 0.0f ? (x - r.offset) / r.scale : 0.0f, r.scale, weight * scale * scale};
  };
  for (std::size_t d = 0; d < width; ++d) {
    for (std::size_t t = 0; t < tokens; ++t) line[t] = keys[t * width + d];
    auto r = detail::range_of(std::span(line).first(tokens),
                              static_cast<std::size_t>(o.outliers / 2 * static_cast<double>(tokens)));
    // A channel that did not move may do so later, a little.
    r.scale = (std::max)({r.scale, std::fabs(r.offset) * 0x1p-6f, 0x1p-14f});
    tables.channels.push_back(r);
    for (std::size_t at = d; at < keys.size(); at += width) normalize(at, keys[at], r, key_weights);
  }
  tables.key_levels = detail::nuq_levels(sample, width, o.key_bits, o.moments, left_out);
  for (std::size_t at = 0; at < values.size(); at += width) {
    std::copy_n(&values[at], width, line.begin());
    const auto r = detail::range_of(std::span(line).first(width), left_out);
    for (std::size_t d = 0; d < width; ++d) normalize(at + d, values[at + d], r, value_weights);
  }
  tables.value_levels = detail::nuq_levels(sample, width, o.value_bits, o.moments, left_out);
  return tables;
}

// For keys that carry no position, or carry it already.
struct no_positions {
  void operator()(std::size_t, std::span<float>) const noexcept {}
};

// A growing row of keys and one of values, `width` numbers each. `Positions` encodes the position of token t in its
// key: a callable positions(t, key), which does not throw.
template <class Positions = no_positions>
class kvquant {
 public:
  // errc::ragged if the width is 0 or beyond 65536; errc::bad_value for options, or tables, that are not as they should
  // be; errc::size_mismatch for tables of another width or other bits.
  static result<kvquant> create(std::size_t width, const kvquant_options& options = {}, Positions positions = {},
                                std::optional<kvquant_tables> tables = {}) {
    if (const auto checked = detail::check(width, options); !checked) return checked.error();
    if (tables) {
      if (tables->channels.size() != width)
        return error(errc::size_mismatch)
               << "statistics of " << tables->channels.size() << " channels for a width of " << width;
      for (const auto& [levels, bits] :
           {std::pair(&tables->key_levels, options.key_bits), std::pair(&tables->value_levels, options.value_bits)}) {
        if (levels->values.size() != std::size_t{1} << bits || levels->bounds.size() + 1 != levels->values.size())
          return error(errc::size_mismatch) << levels->values.size() << " levels and " << levels->bounds.size()
                                            << " bounds for codes of " << bits << " bits";
        for (const auto* of : {&levels->values, &levels->bounds})
          for (std::size_t i = 0; i < of->size(); ++i)
            if (!is_finite((*of)[i]) || std::fabs((*of)[i]) > 16.0f || (i > 0 && (*of)[i] < (*of)[i - 1]))
              return error(errc::bad_value) << "the levels of codes do not ascend from -16 to 16 at most";
      }
      for (const auto& r : tables->channels)
        if (!is_finite(r.offset) || std::fabs(r.offset) > 65504.0f || !is_finite(r.scale) || r.scale < 0x1p-24f ||
            r.scale > 65504.0f)
          return error(errc::bad_value) << "the range of a channel is not within that of binary16";
    }
    kvquant cache(width, options, std::move(positions));
    if (tables) cache.take(*tables);
    cache.given_ = cache.fitted_;
    return cache;
  }

  std::size_t size() const noexcept { return size_; }
  std::size_t width() const noexcept { return width_; }
  // Tokens that are codes by now: all but the first ones.
  std::size_t quantized() const noexcept { return fitted_ && size_ > options_.kept ? size_ - options_.kept : 0; }
  // What the tokens take in memory, statistics included.
  std::size_t bytes() const noexcept {
    const std::size_t coded = 2 * outliers_ * sizeof(detail::outlier) + sizeof(detail::half_range) +
                              key_levels_.row_bytes(width_) + value_levels_.row_bytes(width_);
    return (size_ - quantized()) * 2 * width_ * sizeof(le16) + quantized() * coded +
           (fitted_ ? 2 * padded() * sizeof(float) : 0);
  }

  void clear() noexcept {
    size_ = 0;
    fitted_ = given_;
    exact_.clear();
    key_codes_.clear();
    value_codes_.clear();
    key_outliers_.clear();
    value_outliers_.clear();
    value_ranges_.clear();
  }

  // Appends tokens: as many rows of `width` numbers in `keys`, without their positions, as in `values`. It makes no
  // difference whether they come at once or one by one. A NaN counts as 0, what binary16 cannot hold as the largest
  // number that it can. Where there is no memory for them (std::bad_alloc) the cache is as before.
  // Precondition: both are of the same size, a multiple of width.
  void append(std::span<const float> keys, std::span<const float> values) {
    BLOCQ_ASSERT(keys.size() == values.size() && keys.size() % width_ == 0);
    const fp_environment modes;
    const std::size_t end = size_ + keys.size() / width_, limit = options_.kept + (fitted_ ? 0 : options_.sample);
    const bool fits = !fitted_ && end >= limit;
    const std::size_t codes = (fitted_ || fits) && end > options_.kept ? end - options_.kept : 0;
    std::vector<float> row(2 * width_), missed(width_);
    exact_.resize((std::min)(end, limit) * 2 * width_);
    key_codes_.resize(codes * key_levels_.row_bytes(width_));
    value_codes_.resize(codes * value_levels_.row_bytes(width_));
    key_outliers_.resize(codes * outliers_);
    value_outliers_.resize(codes * outliers_);
    value_ranges_.resize(codes);
    kvquant_tables tables;
    std::vector<le16> kept;
    if (fits) {
      tables = fit(keys, values, limit);
      kept.resize(options_.kept * 2 * width_);
    }
    // Nothing is allocated from here on.
    for (std::size_t at = 0; at < keys.size(); at += width_, ++size_) {
      for (std::size_t d = 0; d < width_; ++d) {
        row[d] = halved(keys[at + d]);
        row[width_ + d] = halved(values[at + d]);
      }
      if (size_ >= limit) {
        encode(size_ - options_.kept, row, missed);
        continue;
      }
      for (std::size_t i = 0; i < row.size(); ++i) store(exact_[size_ * row.size() + i], f32_to_f16(row[i]));
      if (!fits || size_ + 1 < limit) continue;
      take(tables);
      for (std::size_t t = options_.kept; t < limit; ++t) {
        for (std::size_t i = 0; i < row.size(); ++i) row[i] = f16_to_f32(exact_[t * row.size() + i]);
        encode(t - options_.kept, row, missed);
      }
      std::copy_n(exact_.begin(), kept.size(), kept.begin());
      exact_.swap(kept);
    }
  }

  // out[t] = q . key t with its position, for all tokens. Allocates two rows of floats (std::bad_alloc).
  // Preconditions: q has width() numbers, out has size().
  void scores(std::span<const float> q, std::span<float> out) const {
    namespace vec = detail::vec;
    BLOCQ_ASSERT(q.size() == width_ && out.size() == size_);
    const fp_environment modes;
    std::vector<float> query(padded()), row(padded());
    std::copy(q.begin(), q.end(), query.begin());
    for (std::size_t t = 0; t < size_; ++t) {
      decode_key(t, row.data());
      positions_(t, std::span(row).first(width_));
      vec::floats sum = vec::fill_floats(0.0f);
      for (std::size_t d = 0; d < padded(); d += 8)
        sum = vec::fma(vec::load_floats(&query[d]), vec::load_floats(&row[d]), sum);
      out[t] = vec::sum(sum);
    }
  }

  // out = sum of p[t] * value t, over all tokens.
  // Preconditions: p has size() numbers, out has width().
  void mix(std::span<const float> p, std::span<float> out) const noexcept {
    namespace vec = detail::vec;
    BLOCQ_ASSERT(p.size() == size_ && out.size() == width_);
    const fp_environment modes;
    const std::size_t codes = quantized(), exact = size_ - codes;
    const std::span<const float> weights = p.last(codes);
    for (std::size_t d = 0; d < width_; d += 32) {
      const std::size_t count = (std::min<std::size_t>)(32, width_ - d);
      vec::floats sum[4] = {};
      float low = 0.0f, buffer[32];
      for (std::size_t i = 0; i < codes; ++i) {
        const detail::half_range r = value_ranges_[i];
        low += weights[i] * vec::half_to_float(r.offset);
        const vec::bytes levels = value_levels_.load(value_row(i) + value_levels_.group_at(d));
        const vec::floats factor = vec::fill_floats(weights[i] * vec::half_to_float(r.scale) * value_levels_.unit);
        for (int j = 0; j < 4; ++j) sum[j] = vec::fma(vec::to_floats(levels, j), factor, sum[j]);
      }
      for (std::size_t j = 0; j < 4; ++j) vec::store_floats(&buffer[8 * j], sum[j] + vec::fill_floats(low));
      for (std::size_t t = 0; t < exact; ++t)
        for (std::size_t i = 0; i < count; ++i) buffer[i] += p[t] * f16_to_f32(exact_[(2 * t + 1) * width_ + d + i]);
      std::copy_n(buffer, count, &out[d]);
    }
    for (std::size_t i = 0; i < codes; ++i)
      for (const detail::outlier& o : outliers(value_outliers_, i)) out[o.channel] += weights[i] * f16_to_f32(o.missed);
  }

  // Token t as it is remembered, its key without a position. Precondition: out has width() numbers.
  void key(std::size_t t, std::span<float> out) const {
    BLOCQ_ASSERT(t < size_ && out.size() == width_);
    std::vector<float> row(padded());
    decode_key(t, row.data());
    std::copy_n(row.begin(), width_, out.begin());
  }
  void value(std::size_t t, std::span<float> out) const noexcept {
    BLOCQ_ASSERT(t < size_ && out.size() == width_);
    const std::size_t exact = size_ - quantized(), i = t - exact;
    for (std::size_t d = 0; d < width_; ++d)
      out[d] = t < exact
                   ? f16_to_f32(exact_[(2 * t + 1) * width_ + d])
                   : f16_to_f32(value_ranges_[i].offset) +
                         f16_to_f32(value_ranges_[i].scale) * value_levels_.level(value_levels_.get(value_row(i), d));
    if (t >= exact)
      for (const detail::outlier& o : outliers(value_outliers_, i)) out[o.channel] += f16_to_f32(o.missed);
  }

 private:
  kvquant(std::size_t width, const kvquant_options& o, Positions positions)
      : width_(width),
        options_(o),
        positions_(std::move(positions)),
        outliers_(detail::outliers_of(width, o.outliers)),
        key_scales_(padded()),
        key_offsets_(padded()) {
    key_levels_.bits = o.key_bits;
    value_levels_.bits = o.value_bits;
  }

  static float halved(float x) noexcept { return f16_to_f32(detail::finite_half(x)); }
  std::size_t padded() const noexcept { return (width_ + 31) / 32 * 32; }
  const std::uint8_t* value_row(std::size_t row) const noexcept {
    return &value_codes_[row * value_levels_.row_bytes(width_)];
  }
  std::span<const detail::outlier> outliers(const std::vector<detail::outlier>& of, std::size_t row) const noexcept {
    return std::span(of).subspan(row * outliers_, outliers_);
  }

  // Statistics of tokens [kept, limit), some of which are about to come.
  kvquant_tables fit(std::span<const float> keys, std::span<const float> values, std::size_t limit) const {
    std::vector<float> k, v;
    for (std::size_t t = options_.kept; t < limit; ++t)
      for (std::size_t d = 0; d < width_; ++d) {
        const bool here = t < size_;
        k.push_back(here ? f16_to_f32(exact_[2 * t * width_ + d]) : halved(keys[(t - size_) * width_ + d]));
        v.push_back(here ? f16_to_f32(exact_[(2 * t + 1) * width_ + d]) : halved(values[(t - size_) * width_ + d]));
      }
    return *fit_kvquant(width_, k, v, options_);
  }
  void take(const kvquant_tables& tables) noexcept {
    for (std::size_t d = 0; d < width_; ++d) {
      key_offsets_[d] = tables.channels[d].offset;
      key_scales_[d] = tables.channels[d].scale;
    }
    key_levels_.set(tables.key_levels);
    value_levels_.set(tables.value_levels);
    fitted_ = true;
  }

  // A row of codes and what the worst of them miss, of numbers with a range for each.
  template <class Range>
  void encode(std::size_t row, const float* x, const detail::level_table& levels, const Range& range,
              std::vector<std::uint8_t>& codes, std::vector<detail::outlier>& corrected,
              std::span<float> missed) noexcept {
    for (std::size_t d = 0; d < width_; ++d) {
      const auto [offset, scale] = range(d);
      const int code = levels.code(scale > 0.0f ? (x[d] - offset) / scale : 0.0f);
      levels.put(&codes[row * levels.row_bytes(width_)], d, code);
      missed[d] = x[d] - (offset + scale * levels.level(code));
    }
    for (std::size_t i = 0; i < outliers_; ++i) {
      const auto worst =
          std::max_element(missed.begin(), missed.end(), [](float a, float b) { return std::fabs(a) < std::fabs(b); });
      detail::outlier& o = corrected[row * outliers_ + i];
      o.channel = static_cast<std::uint16_t>(worst - missed.begin());
      store(o.missed, detail::finite_half(*worst));
      *worst = 0.0f;
    }
  }
  // A token: its key, then its value.
  void encode(std::size_t row, std::span<const float> token, std::span<float> scratch) noexcept {
    const auto channel = [&](std::size_t d) { return kvquant_tables::range{key_offsets_[d], key_scales_[d]}; };
    encode(row, token.data(), key_levels_, channel, key_codes_, key_outliers_, scratch);
    std::copy_n(&token[width_], width_, scratch.begin());
    const auto exact = detail::range_of(scratch, outliers_);
    detail::half_range& half = value_ranges_[row];
    half = {detail::finite_half(exact.offset), detail::finite_half(exact.scale)};
    const auto of_token = [&](std::size_t) {
      return kvquant_tables::range{f16_to_f32(half.offset), f16_to_f32(half.scale)};
    };
    encode(row, &token[width_], value_levels_, of_token, value_codes_, value_outliers_, scratch);
  }
  // Without a position; as many numbers as a row has when it is padded.
  void decode_key(std::size_t t, float* out) const noexcept {
    namespace vec = detail::vec;
    const std::size_t exact = size_ - quantized();
    if (t < exact) {
      for (std::size_t d = 0; d < width_; ++d) out[d] = f16_to_f32(exact_[2 * t * width_ + d]);
      return;
    }
    const std::uint8_t* const key_row = &key_codes_[(t - exact) * key_levels_.row_bytes(width_)];
    for (std::size_t d = 0; d < padded(); d += 32) {
      const vec::bytes levels = key_levels_.load(key_row + key_levels_.group_at(d));
      for (int i = 0; i < 4; ++i) {
        const std::size_t at = d + 8 * static_cast<std::size_t>(i);
        const vec::floats scale = vec::load_floats(&key_scales_[at]) * vec::fill_floats(key_levels_.unit);
        vec::store_floats(out + at, vec::fma(vec::to_floats(levels, i), scale, vec::load_floats(&key_offsets_[at])));
      }
    }
    for (const detail::outlier& o : outliers(key_outliers_, t - exact)) out[o.channel] += f16_to_f32(o.missed);
  }

  std::size_t width_, size_ = 0;
  kvquant_options options_;
  Positions positions_;
  bool given_ = false, fitted_ = false;  // statistics
  std::size_t outliers_;                 // of a row
  detail::level_table key_levels_, value_levels_;
  std::vector<float> key_scales_, key_offsets_;  // of channels, 0 in the padding
  std::vector<le16> exact_;                      // of tokens that are not codes: key, value, key, value ...
  // A row for each token behind the kept ones; after an append that found no memory there may be more, all zeros.
  std::vector<std::uint8_t> key_codes_, value_codes_;
  std::vector<detail::outlier> key_outliers_, value_outliers_;
  std::vector<detail::half_range> value_ranges_;
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::kv

#endif
