// What numbers a weight may become: the one thing that all calibration methods ask of a format. The methods decide
// which value each weight is rounded from; a rounding decides what to.
//
// A rounding cuts every row into runs of columns that share scales. `fit` fixes the scales of a run to the weights it
// holds at that moment; from then on `round` maps single values to the nearest one that those scales can express, and
// `store` writes the codes where the format has them. Two models are here:
//
//   integers{.bits = 3, .group = 64}   integer groups with a float scale and a zero point; no wire format
//   onto<q4_k>{}                       blocks of any format whose codes stand for one element each
#ifndef BLOCQ_CALIB_ROUNDING_HPP
#define BLOCQ_CALIB_ROUNDING_HPP

#include <blocq/core/error.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/core/view.hpp>
#include <blocq/op/quantize.hpp>
#include <blocq/packed/integer_matrix.hpp>

#include <algorithm>
#include <concepts>
#include <span>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

//   std::size_t width(columns)         columns in a run; 0 if rows of that length cannot be cut
//   status fit(w, importance, runs)    w: runs.size() runs of one width, one after the other; importance: a weight for
//                                      each column of a run, or empty. errc::not_finite, errc::scale_range with the run
//   float run::round(i, w, code)       the value nearest to w for element i of the run, and its code
//   storage make_storage(rows, columns), store(storage, row, number of the run in its row, run, codes of the run)
template <class R>
concept rounding = requires(const R& r, const typename R::run& fitted, typename R::storage& to, std::size_t n,
                            std::span<const float> w, std::span<typename R::run> runs, std::uint8_t& code) {
  { r.width(n) } -> std::same_as<std::size_t>;
  { r.fit(w, w, runs) } -> std::same_as<status>;
  { fitted.round(n, 1.0f, code) } -> std::same_as<float>;
  { r.make_storage(n, n) } -> std::same_as<typename R::storage>;
  r.store(to, n, n, fitted, &code);
};

using packed::integer_matrix;

// Codes of `bits` bits, 2 to 8.
//   asymmetric  from the smallest to the largest weight, 0 always included; the zero point is an integer
//   symmetric   up to the largest magnitude in both directions; the lowest code is not used
// A group of zeros has scale 1.
struct integers {
  int bits = 4;
  std::size_t group = 128;  // columns that share a scale; 0: the whole row
  bool symmetric = false;
  float fixed_scale = 0.0f, fixed_zero = 0.0f;  // fixed_scale > 0: these for every group, as `over` sets them

  struct run {
    float scale = 1.0f, zero = 0.0f;
    float lowest = 0.0f, highest = 0.0f;  // codes

    float round(std::size_t, float w, std::uint8_t& code) const noexcept {
      const float shifted = (lane(w) / lane(scale)).v;
      // Clamped before it is rounded too: lanes round up to 2^22.
      const float clamped = (std::min)((std::max)(shifted, lowest - zero - 1.0f), highest - zero + 1.0f);
      const float q = (std::min)((std::max)(nearest_int(lane(clamped)).v + zero, lowest), highest);
      code = static_cast<std::uint8_t>(static_cast<int>(q));
      return (lane(scale) * lane(q - zero)).v;
    }
  };
  using storage = integer_matrix;

  std::size_t width(std::size_t columns) const noexcept {
    const std::size_t run_width = group == 0 ? columns : group;
    return run_width != 0 && columns % run_width == 0 ? run_width : 0;
  }

  status fit(std::span<const float> w, std::span<const float>, std::span<run> runs) const noexcept {
    BLOCQ_ASSERT(bits >= 2 && bits <= 8 && !runs.empty() && w.size() % runs.size() == 0);
    const std::size_t n = w.size() / runs.size();
    for (std::size_t i = 0; i < runs.size(); ++i) {
      float low = 0.0f, high = 0.0f;
      for (const float v : w.subspan(i * n, n)) {
        if (!is_finite(v)) return {errc::not_finite, i};
        low = (std::min)(low, v);
        high = (std::max)(high, v);
      }
      runs[i] = fixed_scale > 0.0f ? with(fixed_scale, fixed_zero) : range(low, high);
      if (!is_finite(runs[i].scale)) return {errc::scale_range, i};
    }
    return {};
  }

  storage make_storage(std::size_t rows, std::size_t columns) const {
    const std::size_t n = width(columns), groups = rows * (columns / n);
    return {bits,
            rows,
            columns,
            n,
            std::vector<std::uint8_t>(rows * columns),
            std::vector<float>(groups),
            std::vector<float>(groups)};
  }
  void store(storage& to, std::size_t row, std::size_t i, const run& fitted, const std::uint8_t* codes) const noexcept {
    const std::size_t g = row * (to.columns / to.group) + i;
    to.scales[g] = fitted.scale;
    to.zeros[g] = fitted.zero;
    std::copy_n(codes, to.group, to.codes.begin() + static_cast<std::ptrdiff_t>(g * to.group));
  }

  // The same with one scale for the whole matrix, fitted to it now.
  integers over(matrix_view<const float> w) const noexcept {
    float low = 0.0f, high = 0.0f;
    for (std::size_t r = 0; r < w.rows; ++r)
      for (const float v : w.row(r)) low = (std::min)(low, v), high = (std::max)(high, v);
    const run all = range(low, high);
    integers fixed = *this;
    fixed.fixed_scale = all.scale;
    fixed.fixed_zero = all.zero;
    return fixed;
  }

 private:
  run with(float scale, float zero) const noexcept {
    return {scale, zero, symmetric ? 1.0f : 0.0f, static_cast<float>((1 << bits) - 1)};
  }
  // low <= 0 <= high
  run range(float low, float high) const noexcept {
    const float steps = static_cast<float>((1 << bits) - 1), middle = static_cast<float>(1 << (bits - 1));
    if (symmetric) {
      const float scale = (lane((std::max)(-low, high)) / lane(middle - 1.0f)).v;
      return with(scale > 0.0f ? scale : 1.0f, middle);
    }
    const float scale = (lane(high) / lane(steps) - lane(low) / lane(steps)).v;  // the difference could overflow
    if (!(scale > 0.0f)) return with(1.0f, 0.0f);
    return with(scale, (std::min)(nearest_int(lane(-low) / lane(scale)).v, steps));
  }
};

// Formats whose codes stand for one element each, and that weights are stored in.
template <class B>
concept scalar_format = encodable_format<B> &&(blocq::detail::code_count<B> > 1) &&
                        (blocq::detail::code_count<B> <= 256) && requires(B b, std::uint8_t* codes) {
  requires std::is_same_v<B, q8_0> || std::is_same_v<B, tq1_0> || requires { typename format_traits<B>::codes; };
};

template <class B>
struct block_matrix {
  std::size_t rows = 0, columns = 0;  // columns counts elements
  std::vector<B> blocks = {};

  matrix_view<const B> view() const noexcept {
    const std::size_t n = columns / block_size<B>;
    return {blocks.data(), rows, n, n};
  }
};

namespace detail {

// What a code of B stands for, in units of its scale.
template <class B>
float element_value(int code) noexcept {
  using E = element_t<B>;
  if constexpr (requires { E::values; })
    return static_cast<float>(E::values[code]);
  else if constexpr (requires { E::value(code); })
    return static_cast<float>(E::value(code));
  else
    return E{static_cast<decltype(E::code)>(code)}.to_float();
}

// The codes in the order of what they stand for. Of several with the same value only the first is there; those that
// are no number, or that encoders avoid (-128, for which there is no 128), are not.
template <class B>
struct code_order {
  int count = 0;
  std::uint8_t code[blocq::detail::code_count<B>] = {};

  code_order() noexcept {
    for (int c = 0; c < blocq::detail::code_count<B>; ++c) {
      const float v = element_value<B>(c);
      if (!is_finite(v)) continue;
      if ((std::is_same_v<element_t<B>, packed_int<8, 0>> || std::is_same_v<element_t<B>, fixed8_6>)&&c == 128)
        continue;
      int at = 0;
      while (at < count && element_value<B>(code[at]) < v) ++at;
      if (at < count && element_value<B>(code[at]) == v) continue;
      for (int i = count++; i > at; --i) code[i] = code[i - 1];
      code[at] = static_cast<std::uint8_t>(c);
    }
  }
};

}  // namespace detail

// Blocks of B. The format's own encoder fixes the scales (with the importance that it is given where it takes any, and
// as options.quality says); every value is then rounded to the nearest one that the decoder can give.
template <scalar_format B>
struct onto {
  quality_level quality = quality_level::reference;

  static constexpr std::size_t size = block_size<B>;
  static constexpr std::size_t scale_group = [] {
    if constexpr (std::is_same_v<B, nvfp4>)
      return std::size_t{16};
    else if constexpr (requires { format_traits<B>::group_size; })
      return static_cast<std::size_t>(format_traits<B>::group_size);
    else
      return size;
  }();
  static constexpr std::size_t groups = size / scale_group;

  struct run {
    B block;
    int count = 0;
    bool falling[groups] = {};  // the scale is negative: levels are in the opposite order of codes
    float level[groups][blocq::detail::code_count<B>];
    std::uint8_t code_of[blocq::detail::code_count<B>];

    float round(std::size_t i, float w, std::uint8_t& code) const noexcept {
      const std::size_t g = i / scale_group;
      const float* const level_of = level[g];
      int at = 0;  // the highest level that is not above w, or the first
      for (int step = 128; step > 0; step /= 2)
        if (at + step < count && level_of[at + step] <= w) at += step;
      const auto code_at = [&](int k) { return code_of[falling[g] ? count - 1 - k : k]; };
      if (at + 1 < count) {
        const float under = w - level_of[at], over = level_of[at + 1] - w;
        if (over < under || (over == under && code_at(at + 1) % 2 == 0)) ++at;
      }
      code = code_at(at);
      return level_of[at];
    }
  };
  using storage = block_matrix<B>;

  std::size_t width(std::size_t columns) const noexcept { return columns % size == 0 ? size : 0; }

  status fit(std::span<const float> w, std::span<const float> importance, std::span<run> runs) const {
    BLOCQ_ASSERT(w.size() == runs.size() * size && (importance.empty() || importance.size() == size));
    const fp_environment modes;  // of decoders, too
    std::vector<B> blocks(runs.size());
    const status outcome = quantize(w, blocks, {.importance = importance, .quality = quality});
    for (std::size_t i = 0; i < runs.size(); ++i) set_levels(blocks[i], runs[i]);
    return outcome;
  }

  storage make_storage(std::size_t rows, std::size_t columns) const {
    return {rows, columns, std::vector<B>(rows * columns / size)};
  }
  void store(storage& to, std::size_t row, std::size_t i, const run& fitted, const std::uint8_t* codes) const noexcept {
    B& block = to.blocks[row * (to.columns / size) + i];
    block = fitted.block;
    set_codes(block, codes);
  }

 private:
  // The decoder says what each code means under the scales of the block: one group of elements shows as many codes at a
  // time as it has elements.
  static void set_levels(const B& block, run& to) noexcept {
    static const detail::code_order<B> order;
    to.block = block;
    to.count = order.count;
    std::copy_n(order.code, order.count, to.code_of);
    for (int first = 0; first < order.count; first += static_cast<int>(scale_group)) {
      std::uint8_t codes[size];
      float y[size];
      const int shown = (std::min)(order.count - first, static_cast<int>(scale_group));
      for (std::size_t i = 0; i < size; ++i)
        codes[i] = order.code[first + (std::min)(static_cast<int>(i % scale_group), shown - 1)];
      B ladder = block;
      set_codes(ladder, codes);
      decode(ladder, y);
      for (std::size_t g = 0; g < groups; ++g) std::copy_n(y + g * scale_group, shown, to.level[g] + first);
    }
    for (std::size_t g = 0; g < groups; ++g) {
      to.falling[g] = to.level[g][0] > to.level[g][to.count - 1];
      if (to.falling[g]) std::reverse(to.level[g], to.level[g] + to.count);
    }
  }
};

// A matrix after rounding: what a decoder gives, and what a file holds.
template <rounding R>
struct rounded {
  std::size_t rows = 0, columns = 0;
  std::vector<float> values = {};  // row after row
  typename R::storage stored = {};

  matrix_view<const float> view() const noexcept { return {values.data(), rows, columns, columns}; }
};

namespace detail {

inline error no_runs(std::size_t columns) noexcept {
  return error(errc::ragged) << "rows of " << columns << " columns cannot be cut into runs that share scales";
}
inline error no_fit(errc code, std::size_t row, std::size_t column) noexcept {
  return error(code) << message(code) << ": row " << row << ", columns from " << column;
}

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
