// Keys and values of one attention head, a row of blocks for every token, of one format or one each: q8_0, q4_0, f16,
// mxfp8_e4m3 ... or plain floats. The same calls as kivi.hpp.
#ifndef BLOCQ_KV_ROWS_HPP
#define BLOCQ_KV_ROWS_HPP

#include <blocq/core/view.hpp>
#include <blocq/op/gemv.hpp>
#include <blocq/op/quantize.hpp>

#include <algorithm>
#include <initializer_list>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::kv {

// A growing row of keys and one of values, `width` numbers each. K of the keys, V of the values: a format that can be
// encoded, or float.
template <class K, class V = K>
class rows {
  template <class B>
  static constexpr bool plain = std::is_same_v<B, float>;
  static_assert((plain<K> || encodable_format<K>)&&(plain<V> || encodable_format<V>),
                "kv::rows<K, V>: either is float or a format that quantize() writes");

 public:
  // errc::ragged if a row is not whole blocks, or empty.
  static result<rows> create(std::size_t width) {
    for (const std::size_t n : {per_block<K>(), per_block<V>()})
      if (width == 0 || width % n != 0)
        return error(errc::ragged) << "a width of " << width << " channels is not whole blocks of " << n;
    return rows(width);
  }

  std::size_t size() const noexcept { return size_; }
  std::size_t width() const noexcept { return width_; }
  // What the tokens take in memory.
  std::size_t bytes() const noexcept { return size_ * (row_blocks<K>() * sizeof(K) + row_blocks<V>() * sizeof(V)); }

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
    keys_.resize(end * row_blocks<K>());
    values_.resize(end * row_blocks<V>());
    size_ = end;
    const status a = encode(keys, first, keys_), b = encode(values, first, values_);
    return !a && (b || a.at <= b.at) ? a : b;
  }

  // out[t] = q . key t, for all tokens. q: floats, or blocks of integer_operand_t<K>.
  // Preconditions: q has width() numbers, out has size().
  template <class Q>
  void scores(const Q& q, std::span<float> out) const noexcept {
    BLOCQ_ASSERT(out.size() == size_);
    const std::span x(q);
    if constexpr (!std::is_same_v<std::remove_cv_t<typename decltype(x)::element_type>, float>) {
      gemv(matrix_view<const K>{keys_.data(), size_, row_blocks<K>(), row_blocks<K>()}, x, out);
    } else {
      // Heads are narrower than what gemv takes at a time.
      namespace vec = simd::native;
      const fp_environment modes;
      for (std::size_t t = 0; t < size_; ++t) {
        vec::floats sum[4] = {};
        float rest = 0.0f, buffer[step<K>];
        for (std::size_t d = 0; d < width_; d += step<K>) {
          const std::size_t count = (std::min)(step<K>, width_ - d);
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
    for (std::size_t d = 0; d < width_; d += step<V>) {
      const std::size_t count = (std::min)(step<V>, width_ - d);
      float sum[step<V>] = {}, buffer[step<V>];
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

  template <class B>
  static constexpr std::size_t per_block() noexcept {
    if constexpr (plain<B>)
      return 1;
    else
      return block_size<B>;
  }
  template <class B>
  static constexpr std::size_t step = per_block<B>() > 128 ? per_block<B>() : 128;  // numbers at a time, whole blocks
  template <class B>
  std::size_t row_blocks() const noexcept {
    return width_ / per_block<B>();
  }

  // Tokens to where they belong, from `first` on. An error is at a token.
  template <class B>
  status encode(std::span<const float> x, std::size_t first, std::vector<B>& to) const noexcept {
    const std::span blocks = std::span(to).subspan(first * row_blocks<B>());
    if constexpr (plain<B>) {
      std::copy(x.begin(), x.end(), blocks.begin());
      return {};
    } else {
      const status s = quantize(x, blocks);
      return {s.code, s ? 0 : first + s.at / row_blocks<B>()};
    }
  }
  template <class B>
  void decode(const std::vector<B>& from, std::size_t t, std::span<float> out) const noexcept {
    BLOCQ_ASSERT(t < size_ && out.size() == width_);
    const std::span row = std::span(from).subspan(t * row_blocks<B>(), row_blocks<B>());
    if constexpr (plain<B>)
      std::copy(row.begin(), row.end(), out.begin());
    else
      static_cast<void>(dequantize(row, out));
  }
  // `count` numbers, whole blocks: where they are, or decoded in the buffer.
  template <class B>
  static const float* numbers(const std::vector<B>& from, std::size_t at, std::size_t count, float* buffer) noexcept {
    if constexpr (plain<B>) {
      return &from[at];
    } else {
      blocq::detail::dequantize_blocks(reinterpret_cast<const wire_t<B>*>(&from[at / per_block<B>()]),
                                       count / per_block<B>(), buffer);
      return buffer;
    }
  }

  std::size_t width_, size_ = 0;
  std::vector<K> keys_;  // a row for every token; more after an append that found no memory
  std::vector<V> values_;
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::kv

#endif
