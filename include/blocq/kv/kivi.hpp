// KIVI: keys and values of one attention head in 2 or 4 bits. Channels of keys differ much in size and keep it over
// time, so that a key's codes share a scale along the tokens of a channel; of a value they share it along the channels
// of a token, because attention picks single tokens. The latest tokens stay in binary16.
// Not here: softmax, position encoding (keys come in as they are compared) and which heads share a cache.
//
//   x = scale * code + low       scale = (highest - lowest) / (2^Bits - 1) and low = lowest of a group, both binary16
//
//                 tokens ->                                        tokens ->
//   channels    +--------+--------+----------+       channels    +-+-+-+-+-+-+-+-------------+
//       |   d0  | group  | group  |          |           |       | | | | | | | |             |
//       v       +--------+--------+ window,  |           v       +-+-+-+-+-+-+-+ window,     |
//           d1  | group  | group  | 0 to     |                   | | | | | | | | the last    |
//               +--------+--------+ W - 1    |                   +-+-+-+-+-+-+-+ W tokens    |
//           d2  | group  | group  | tokens   |                   | | | | | | | |             |
//               +--------+--------+----------+                   +-+-+-+-+-+-+-+-------------+
//                         keys                                            values
//
// As the paper has it: W keys are quantized at once as soon as there are W of them, a value when W younger ones follow.
// Where all of a group are equal the reference divides by zero; here the scale is 0 and the group is exact.
#ifndef BLOCQ_KV_KIVI_HPP
#define BLOCQ_KV_KIVI_HPP

#include <blocq/core/error.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/kv/half.hpp>
#include <blocq/simd/vec.hpp>

#include <algorithm>
#include <span>
#include <vector>

namespace blocq::inline v0 {

struct kivi_options {
  std::size_t group = 32;    // codes that share a scale: a multiple of 32
  std::size_t window = 128;  // latest tokens in binary16: a multiple of group, not 0
};

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA::kv {

namespace detail {
// 32 codes of Bits bits each, lowest first.
template <int Bits>
BLOCQ_INLINE vec::bytes load_codes(const std::uint8_t* p) noexcept {
  if constexpr (Bits == 2)
    return vec::spread_pairs(p);
  else
    return vec::spread_nibbles(p);
}

struct half_line {
  std::uint16_t scale, low;
};

// Quantizes `count` numbers in binary16, `stride` apart, to codes that begin at `out`, whose bytes are all 0.
template <int Bits>
half_line quantize_line(const le16* x, std::size_t count, std::size_t stride, std::uint8_t* out) noexcept {
  constexpr int top = (1 << Bits) - 1;
  float lowest = f16_to_f32(x[0]), highest = lowest;
  for (std::size_t i = 1; i < count; ++i) {
    const float v = f16_to_f32(x[i * stride]);
    lowest = v < lowest ? v : lowest;
    highest = v > highest ? v : highest;
  }
  const half_line line{finite_half((highest - lowest) / static_cast<float>(top)), f32_to_f16(lowest)};
  const float scale = f16_to_f32(line.scale), inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
  for (std::size_t i = 0; i < count; ++i) {
    const int code = static_cast<int>((f16_to_f32(x[i * stride]) - lowest) * inverse + 0.5f);
    const std::size_t bit = i * Bits;
    out[bit / 8] = static_cast<std::uint8_t>(out[bit / 8] | (code < top ? code : top) << bit % 8);
  }
  return line;
}
}  // namespace detail

// A growing row of keys and one of values, `width` numbers each.
template <int Bits>
class kivi {
  static_assert(Bits == 2 || Bits == 4, "kivi<Bits>: 2 or 4");

 public:
  // errc::bad_value if the options are not as they should be, errc::ragged if width is no multiple of 8, or 0,
  // errc::too_large if no memory could hold the window.
  static result<kivi> create(std::size_t width, const kivi_options& options = {}) {
    if (options.group == 0 || options.group % 32 != 0)
      return error(errc::bad_value) << "a group of " << options.group << " codes is not a multiple of 32";
    if (options.window == 0 || options.window % options.group != 0)
      return error(errc::bad_value) << "a window of " << options.window << " tokens is not whole groups of "
                                    << options.group;
    if (width == 0 || width % 8 != 0)
      return error(errc::ragged) << "a width of " << width << " channels is not a multiple of 8";
    if (width > PTRDIFF_MAX / sizeof(le16) / options.window)
      return error(errc::too_large) << "a window of " << options.window << " tokens of " << width
                                    << " channels is more than memory can hold";
    return kivi(width, options);
  }

  std::size_t size() const noexcept { return size_; }
  std::size_t width() const noexcept { return width_; }
  // Tokens whose keys, or values, are codes by now; the others are in the window.
  std::size_t quantized_keys() const noexcept { return quantized_keys(size_); }
  std::size_t quantized_values() const noexcept { return quantized_values(size_); }
  // What the tokens take in memory, the windows at their full size included.
  std::size_t bytes() const noexcept {
    return (key_lines(size_) + value_lines(size_)) * (line_bytes() + sizeof(detail::half_line)) +
           sizeof(le16) * (recent_keys_.size() + recent_values_.size());
  }

  void clear() noexcept {
    size_ = 0;
    key_codes_.clear();
    value_codes_.clear();
    key_lines_.clear();
    value_lines_.clear();
  }

  // Appends tokens: as many rows of `width` numbers in `keys` as in `values`. It makes no difference whether they come
  // at once or one by one. A NaN counts as 0, what binary16 cannot hold as the largest number that it can. Where there
  // is no memory for them (std::bad_alloc) the cache is as before.
  // Precondition: both are of the same size, a multiple of width.
  void append(std::span<const float> keys, std::span<const float> values) {
    BLOCQ_ASSERT(keys.size() == values.size() && keys.size() % width_ == 0);
    const fp_environment modes;
    const std::size_t end = size_ + keys.size() / width_;
    key_lines_.resize(key_lines(end));
    key_codes_.resize(key_lines(end) * line_bytes());
    value_lines_.resize(value_lines(end));
    value_codes_.resize(value_lines(end) * line_bytes());
    for (std::size_t at = 0; at < keys.size(); at += width_, ++size_) {
      le16* const key = &recent_keys_[size_ % window_ * width_];
      le16* const value = &recent_values_[size_ % window_ * width_];
      if (size_ >= window_) quantize_value(size_ - window_);  // the oldest gives its place to the newest
      for (std::size_t d = 0; d < width_; ++d) {
        store(key[d], detail::finite_half(keys[at + d]));
        store(value[d], detail::finite_half(values[at + d]));
      }
      if (size_ % window_ == window_ - 1) quantize_keys(size_ + 1 - window_);
    }
  }

  // out[t] = q . key t, for all tokens.
  // Preconditions: q has width() numbers, out has size().
  void scores(std::span<const float> q, std::span<float> out) const noexcept {
    namespace vec = detail::vec;
    BLOCQ_ASSERT(q.size() == width_ && out.size() == size_);
    const fp_environment modes;
    const std::size_t groups = quantized_keys() / group_;
    for (std::size_t g = 0; g < groups; ++g) {
      const detail::half_line* const lines = &key_lines_[g * width_];
      float low = 0.0f;
      for (std::size_t d = 0; d < width_; ++d) low += q[d] * vec::half_to_float(lines[d].low);
      for (std::size_t run = 0; run < group_; run += 32) {
        vec::floats sum[4];
        for (vec::floats& part : sum) part = vec::fill_floats(low);
        const std::uint8_t* codes = &key_codes_[g * width_ * line_bytes() + run * Bits / 8];
        for (std::size_t d = 0; d < width_; ++d, codes += line_bytes())
          add_codes(codes, q[d] * vec::half_to_float(lines[d].scale), sum);
        for (std::size_t i = 0; i < 4; ++i) vec::store_floats(&out[g * group_ + run + 8 * i], sum[i]);
      }
    }
    for (std::size_t t = groups * group_; t < size_; ++t)
      out[t] = detail::dot_halves(q.data(), &recent_keys_[t % window_ * width_], width_);
  }

  // out = sum of p[t] * value t, over all tokens.
  // Preconditions: p has size() numbers, out has width().
  void mix(std::span<const float> p, std::span<float> out) const noexcept {
    namespace vec = detail::vec;
    BLOCQ_ASSERT(p.size() == size_ && out.size() == width_);
    const fp_environment modes;
    const std::size_t codes = quantized_values(), groups = value_groups();
    for (std::size_t d = 0; d < width_; d += 32) {
      const std::size_t parts = (std::min<std::size_t>)(4, (width_ - d) / 8), g = d / group_;
      vec::floats sum[4] = {};
      float low = 0.0f;
      for (std::size_t t = 0; t < codes; ++t) {
        const detail::half_line line = value_lines_[t * groups + g];
        low += p[t] * vec::half_to_float(line.low);
        add_codes(&value_codes_[t * groups * line_bytes() + d * Bits / 8], p[t] * vec::half_to_float(line.scale), sum);
      }
      for (vec::floats& part : sum) part = part + vec::fill_floats(low);
      for (std::size_t t = codes; t < size_; ++t) {
        const vec::floats weight = vec::fill_floats(p[t]);
        for (std::size_t i = 0; i < parts; ++i)
          sum[i] = vec::fma(weight, vec::load_f16(&recent_values_[t % window_ * width_ + d + 8 * i]), sum[i]);
      }
      for (std::size_t i = 0; i < parts; ++i) vec::store_floats(&out[d + 8 * i], sum[i]);
    }
  }

  // Token t as it is remembered. Precondition: out has width() numbers.
  void key(std::size_t t, std::span<float> out) const noexcept {
    BLOCQ_ASSERT(t < size_ && out.size() == width_);
    const std::size_t g = t / group_;
    for (std::size_t d = 0; d < width_; ++d)
      out[d] = t < quantized_keys()
                   ? number(key_lines_[g * width_ + d], &key_codes_[(g * width_ + d) * line_bytes()], t % group_)
                   : f16_to_f32(recent_keys_[t % window_ * width_ + d]);
  }
  void value(std::size_t t, std::span<float> out) const noexcept {
    BLOCQ_ASSERT(t < size_ && out.size() == width_);
    const std::size_t first = t * value_groups();
    for (std::size_t d = 0; d < width_; ++d)
      out[d] = t < quantized_values() ? number(value_lines_[first + d / group_], &value_codes_[first * line_bytes()], d)
                                      : f16_to_f32(recent_values_[t % window_ * width_ + d]);
  }

 private:
  kivi(std::size_t width, const kivi_options& o)
      : width_(width),
        group_(o.group),
        window_(o.window),
        recent_keys_(width * o.window),
        recent_values_(width * o.window) {}

  std::size_t line_bytes() const noexcept { return group_ * Bits / 8; }
  std::size_t value_groups() const noexcept { return (width_ + group_ - 1) / group_; }
  // The same for a cache of `tokens`, and lines of codes.
  std::size_t quantized_keys(std::size_t tokens) const noexcept { return tokens - tokens % window_; }
  std::size_t quantized_values(std::size_t tokens) const noexcept { return tokens > window_ ? tokens - window_ : 0; }
  std::size_t key_lines(std::size_t tokens) const noexcept { return quantized_keys(tokens) / group_ * width_; }
  std::size_t value_lines(std::size_t tokens) const noexcept { return quantized_values(tokens) * value_groups(); }

  // Adds 32 codes times a factor.
  BLOCQ_INLINE static void add_codes(const std::uint8_t* codes, float factor, detail::vec::floats (&sum)[4]) noexcept {
    const detail::vec::bytes values = detail::load_codes<Bits>(codes);
    for (int i = 0; i < 4; ++i)
      sum[i] = detail::vec::fma(detail::vec::to_floats(values, i), detail::vec::fill_floats(factor), sum[i]);
  }
  static float number(detail::half_line line, const std::uint8_t* codes, std::size_t i) noexcept {
    const int code = get_field(codes[i * Bits / 8], static_cast<int>(i * Bits % 8), Bits);
    return f16_to_f32(line.scale) * static_cast<float>(code) + f16_to_f32(line.low);
  }

  // The keys of the window, whose first token is `first`.
  void quantize_keys(std::size_t first) noexcept {
    std::size_t line = key_lines(first);
    for (std::size_t t = 0; t < window_; t += group_)
      for (std::size_t d = 0; d < width_; ++d, ++line)
        key_lines_[line] = detail::quantize_line<Bits>(&recent_keys_[t * width_ + d], group_, width_,
                                                       &key_codes_[line * line_bytes()]);
  }
  // The value of token t, the oldest in the window.
  void quantize_value(std::size_t t) noexcept {
    const le16* const value = &recent_values_[t % window_ * width_];
    std::size_t line = t * value_groups();
    for (std::size_t d = 0; d < width_; d += group_, ++line)
      value_lines_[line] =
          detail::quantize_line<Bits>(value + d, (std::min)(group_, width_ - d), 1, &value_codes_[line * line_bytes()]);
  }

  std::size_t width_, group_, window_, size_ = 0;
  // Lines of line_bytes() each, [group of tokens][channel] and [token][group of channels]; after an append that found
  // no memory there may be further ones, all zeros.
  std::vector<std::uint8_t> key_codes_, value_codes_;
  std::vector<detail::half_line> key_lines_, value_lines_;
  std::vector<le16> recent_keys_, recent_values_;  // token t in row t % window_
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::kv

#endif
