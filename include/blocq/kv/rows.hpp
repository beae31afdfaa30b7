// Keys and values of one attention head, a row of blocks of format B for every token: q8_0, q4_0, f16, mxfp8_e4m3 ...
// or plain floats. The same calls as kivi.hpp.
#ifndef BLOCQ_KV_ROWS_HPP
#define BLOCQ_KV_ROWS_HPP

#include <blocq/core/view.hpp>
#include <blocq/op/gemv.hpp>
#include <blocq/op/quantize.hpp>

#include <algorithm>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::kv {

// A growing row of keys and one of values, `width` numbers each. B: a format that can be encoded, or float.
template <class B>
class rows {
  static constexpr bool plain = std::is_same_v<B, float>;
  static_assert(plain || encodable_format<B>, "kv::rows<B>: B is float or a format that quantize() writes");

 public:
  // errc::ragged if a row is not whole blocks, or empty.
  static result<rows> create(std::size_t width) {
    if (width == 0 || width % per_block() != 0)
      return error(errc::ragged) << "a width of " << width << " channels is not whole blocks of " << per_block();
    return rows(width);
  }

  std::size_t size() const noexcept { return size_; }
  std::size_t width() const noexcept { return width_; }
  // What the tokens take in memory.
  std::size_t bytes() const noexcept { return 2 * size_ * row_blocks() * sizeof(B); }

  void clear() noexcept {
    size_ = 0;
    keys_.clear();
    values_.clear();
  }

  // Appends tokens: as many rows of `width` numbers in `keys` as in `values`. The outcome is that of quantize(), `at`
  // the first token concerned; the tokens are appended in any case. Where there is no memory for them (std::bad_alloc)
  // the cache is as before.
  // Precondition: both are of the same size, a multiple of width.
  status append(std::span<const float> keys, std::span<const float> values) {
    BLOCQ_ASSERT(keys.size() == values.size() && keys.size() % width_ == 0);
    const std::size_t first = size_, end = size_ + keys.size() / width_;
    keys_.resize(end * row_blocks());
    values_.resize(end * row_blocks());
    size_ = end;
    const status a = encode(keys, first, keys_), b = encode(values, first, values_);
    const status& worst = !a && (b || a.at <= b.at) ? a : b;
    return {worst.code, worst ? 0 : first + worst.at / row_blocks()};
  }

  // out[t] = q . key t, for all tokens. q: floats, or blocks of integer_operand_t<B>.
  // Preconditions: q has width() numbers, out has size().
  template <class Q>
  void scores(const Q& q, std::span<float> out) const noexcept {
    BLOCQ_ASSERT(out.size() == size_);
    const std::span x(q);
    if constexpr (!std::is_same_v<std::remove_cv_t<typename decltype(x)::element_type>, float>) {
      gemv(matrix_view<const B>{keys_.data(), size_, row_blocks(), row_blocks()}, x, out);
    } else {
      // Heads are narrower than what gemv takes at a time.
      namespace vec = simd::native;
      const fp_environment modes;
      for (std::size_t t = 0; t < size_; ++t) {
        vec::floats sum[4] = {};
        float rest = 0.0f, buffer[step];
        for (std::size_t d = 0; d < width_; d += step) {
          const std::size_t count = (std::min)(step, width_ - d);
          const float* const key = numbers(keys_, t * width_ + d, count, buffer);
          std::size_t i = 0;
          for (; i + 32 <= count; i += 32)
            for (std::size_t j = 0; j < 4; ++j)
              sum[j] = vec::fma(vec::load_floats(&x[d + i + 8 * j]), vec::load_floats(key + i + 8 * j), sum[j]);
          for (; i + 8 <= count; i += 8)
            sum[0] = vec::fma(vec::load_floats(&x[d + i]), vec::load_floats(key + i), sum[0]);
          for (; i < count; ++i) rest += x[d + i] * key[i];
        }
        out[t] = vec::sum((sum[0] + sum[1]) + (sum[2] + sum[3])) + rest;
      }
    }
  }

  // out = sum of p[t] * value t, over all tokens.
  // Preconditions: p has size() numbers, out has width().
  void mix(std::span<const float> p, std::span<float> out) const noexcept {
    BLOCQ_ASSERT(p.size() == size_ && out.size() == width_);
    const fp_environment modes;
    for (std::size_t d = 0; d < width_; d += step) {
      const std::size_t count = (std::min)(step, width_ - d);
      float sum[step] = {}, buffer[step];
      for (std::size_t t = 0; t < size_; ++t) {
        const float* const value = numbers(values_, t * width_ + d, count, buffer);
        for (std::size_t i = 0; i < count; ++i) sum[i] += p[t] * value[i];
      }
      std::copy_n(sum, count, &out[d]);
    }
  }

  // Token t as it is remembered. Precondition: out has width() numbers.
  void key(std::size_t t, std::span<float> out) const noexcept { decode(keys_, t, out); }
  void value(std::size_t t, std::span<float> out) const noexcept { decode(values_, t, out); }

 private:
  explicit rows(std::size_t width) : width_(width) {}

  static constexpr std::size_t per_block() noexcept {
    if constexpr (plain)
      return 1;
    else
      return block_size<B>;
  }
  static constexpr std::size_t step = per_block() > 128 ? per_block() : 128;  // numbers at a time, whole blocks
  std::size_t row_blocks() const noexcept { return width_ / per_block(); }

  // Tokens to where they belong, from `first` on.
  status encode(std::span<const float> x, std::size_t first, std::vector<B>& to) const noexcept {
    const std::span blocks = std::span(to).subspan(first * row_blocks());
    if constexpr (plain) {
      std::copy(x.begin(), x.end(), blocks.begin());
      return {};
    } else {
      return quantize(x, blocks);
    }
  }
  void decode(const std::vector<B>& from, std::size_t t, std::span<float> out) const noexcept {
    BLOCQ_ASSERT(t < size_ && out.size() == width_);
    const std::span row = std::span(from).subspan(t * row_blocks(), row_blocks());
    if constexpr (plain)
      std::copy(row.begin(), row.end(), out.begin());
    else
      static_cast<void>(dequantize(row, out));
  }
  // `count` numbers, whole blocks: where they are, or decoded in the buffer.
  static const float* numbers(const std::vector<B>& from, std::size_t at, std::size_t count, float* buffer) noexcept {
    if constexpr (plain) {
      return &from[at];
    } else {
      blocq::detail::dequantize_blocks(reinterpret_cast<const wire_t<B>*>(&from[at / per_block()]), count / per_block(),
                                       buffer);
      return buffer;
    }
  }

  std::size_t width_, size_ = 0;
  std::vector<B> keys_, values_;  // a row for every token; more after an append that found no memory
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::kv

#endif
