// LLM.int8: weights in 8 bits with a scale per row, activations in 8 bits with a scale per token, and the few columns
// whose inputs are extreme in half precision on the side, since they would cost all others their bits. Dettmers, Lewis,
// Belkada, Zettlemoyer, "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale", 2022.
//
//   codes     [rows, columns]   I8; 0 in the columns that are outliers
//   scales    [rows]            F32: weight = scale of its row * code
//   outliers  [outliers]        I32, columns, ascending; or none
//   kept      [rows, outliers]  F16: their weights
#ifndef BLOCQ_PACKED_LLM_INT8_HPP
#define BLOCQ_PACKED_LLM_INT8_HPP

#include <blocq/core/lane.hpp>
#include <blocq/packed/matrix.hpp>

#include <algorithm>
#include <cmath>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

class int8_matrix {
 public:
  static constexpr const char* scheme = "llm_int8";
  static constexpr bool rounds_inputs = true;

  std::vector<std::int8_t> codes = {};
  std::vector<float> scales = {};
  std::vector<std::uint32_t> outliers = {};
  std::vector<std::uint16_t> kept = {};

  //   at  columns, ascending
  //   errc::bad_value   outliers that are not ascending columns of w
  //   errc::too_large   so many columns that a sum of products could leave 32 bits
  //   errc::not_finite  naming the row
  static result<int8_matrix> quantize(matrix_view<const float> w, std::span<const std::uint32_t> at) {
    for (std::size_t i = 0; i < at.size(); ++i)
      if (at[i] >= w.cols || (i > 0 && at[i] <= at[i - 1]))
        return error(errc::bad_value) << "outlier number " << i << " is not one of " << w.cols << " ascending columns";
    if (w.cols > most_columns) return error(errc::too_large) << w.cols << " columns are too many for int8";
    const fp_environment modes;
    int8_matrix m;
    m.cols_ = w.cols;
    m.codes.resize(w.rows * w.cols);
    m.scales.resize(w.rows);
    m.outliers.assign(at.begin(), at.end());
    m.kept.resize(w.rows * at.size());
    for (std::size_t n = 0; n < w.rows; ++n) {
      const std::span<const float> row = w.row(n);
      for (const float v : row)
        if (!is_finite(v)) return error(errc::not_finite) << message(errc::not_finite) << ": row " << n;
      m.scales[n] = m.round(row, m.codes.data() + n * w.cols);
      for (std::size_t i = 0; i < at.size(); ++i) m.kept[n * at.size() + i] = f32_to_f16(row[at[i]]);
    }
    return m;
  }
  static result<int8_matrix> from_parts(const part_set& set) {
    part_reader in(set, scheme);
    const std::size_t rows = in.rows();
    int8_matrix m;
    m.cols_ = in.number("columns", 1, most_columns);
    m.codes = in.take<std::int8_t>("codes", part_type::i8, rows, m.cols_);
    m.scales = in.take<float>("scales", part_type::f32, 1, rows);
    m.outliers = in.take_list<std::uint32_t>("outliers", part_type::i32);
    m.kept = in.take<std::uint16_t>("kept", part_type::f16, rows, m.outliers.size());
    in.require_finite("scales", m.scales);
    in.require_finite("kept", m.kept);
    in.require_below("outliers", m.outliers, m.cols_);
    in.require_ascending("outliers", m.outliers);
    for (const std::int8_t code : m.codes) in.require(code != -128, "codes", "have one below -127");
    return in.finish(std::move(m));
  }
  part_set parts() const noexcept {
    part_set set(scheme, rows(), cols());
    set.add("codes", part_type::i8, rows(), codes).add("scales", part_type::f32, 1, scales);
    return set.add("outliers", part_type::i32, 1, outliers).add("kept", part_type::f16, rows(), kept);
  }

  std::size_t rows() const noexcept { return scales.size(); }
  std::size_t cols() const noexcept { return cols_; }

  void dequantize_row(std::size_t r, std::span<float> y) const noexcept {
    BLOCQ_ASSERT(r < rows() && y.size() == cols_);
    for (std::size_t k = 0; k < cols_; ++k) y[k] = scales[r] * static_cast<float>(codes[r * cols_ + k]);
    for (std::size_t i = 0; i < outliers.size(); ++i) y[outliers[i]] += f16_to_f32(kept[r * outliers.size() + i]);
  }

  // The token's scale is that of its largest input outside the outlier columns; products of bytes are summed in 32
  // bits, those of the outlier columns in float. Precondition: x is finite.
  std::size_t scratch() const noexcept { return cols_; }
  void gemv(std::span<const float> x, std::span<float> y, std::span<float> space,
            std::size_t first = 0) const noexcept {
    BLOCQ_ASSERT(x.size() == cols_ && first + y.size() <= rows() && space.size() >= scratch());
    const fp_environment modes;
    const float scale = round(x, space.data());
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t r = first + i;
      std::int32_t sum = 0;
      for (std::size_t k = 0; k < cols_; ++k) sum += codes[r * cols_ + k] * static_cast<std::int32_t>(space[k]);
      float outlying = 0.0f;
      for (std::size_t o = 0; o < outliers.size(); ++o)
        outlying += f16_to_f32(kept[r * outliers.size() + o]) * x[outliers[o]];
      y[i] = static_cast<float>(sum) * (scale * scales[r]) + outlying;
    }
  }

 private:
  static constexpr std::size_t most_columns = 0x7fffffffu / (127 * 127);

  // The nearest multiples of peak / 127, ties to even, 0 in the outlier columns; the scale. A subnormal scale has few
  // bits and may be much less than peak / 127: what is beyond 127 times it becomes that.
  template <class Code>
  float round(std::span<const float> x, Code* to) const noexcept {
    float peak = 0.0f;
    const auto each = [&](auto&& f) {
      std::size_t next = 0;
      for (std::size_t k = 0; k < x.size(); ++k) {
        const bool apart = next < outliers.size() && outliers[next] == k;
        next += apart;
        f(k, apart);
      }
    };
    each([&](std::size_t k, bool apart) {
      if (!apart && std::fabs(x[k]) > peak) peak = std::fabs(x[k]);
    });
    const lane scale = lane(peak) / lane(127.0f);
    each([&](std::size_t k, bool apart) {
      to[k] = apart || !(scale.v > 0.0f)
                  ? Code{0}
                  : static_cast<Code>((std::clamp)(nearest_int(lane(x[k]) / scale).v, -127.0f, 127.0f));
    });
    return scale.v;
  }

  std::size_t cols_ = 0;
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
