// LLM.int8: weights in 8 bits with a scale per row, activations in 8 bits with a scale per token, and the few columns
// whose inputs are extreme in half precision on the side, since they would cost all others their bits. Dettmers, Lewis,
// Belkada, Zettlemoyer, "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale", 2022.
#ifndef BLOCQ_CALIB_LLM_INT8_HPP
#define BLOCQ_CALIB_LLM_INT8_HPP

#include <blocq/core/bits.hpp>
#include <blocq/core/error.hpp>
#include <blocq/core/lane.hpp>
#include <blocq/core/view.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

// The columns whose inputs reach beyond the threshold, ascending. 6 is the paper's, for inputs behind a norm.
inline std::vector<std::uint32_t> outlier_columns(std::span<const float> input_peaks, float threshold = 6.0f) {
  std::vector<std::uint32_t> out;
  for (std::size_t k = 0; k < input_peaks.size(); ++k)
    if (input_peaks[k] > threshold) out.push_back(static_cast<std::uint32_t>(k));
  return out;
}

struct int8_matrix {
  std::size_t rows = 0, columns = 0;
  std::vector<std::int8_t> codes = {};       // row after row; 0 in the columns that are outliers
  std::vector<float> scales = {};            // weight = scale of its row * code
  std::vector<std::uint32_t> outliers = {};  // columns, ascending
  std::vector<std::uint16_t> kept = {};      // their weights as binary16, row after row
};

namespace detail {

// The nearest multiples of peak / 127, ties to even; the scale. 0 for what `skip` names. A subnormal scale has few bits
// and may be much less than peak / 127: what is beyond 127 times it becomes that.
template <class Skip>
float to_int8(std::span<const float> x, Skip&& skip, std::int8_t* codes) noexcept {
  float peak = 0.0f;
  for (std::size_t k = 0; k < x.size(); ++k)
    if (!skip(k) && std::fabs(x[k]) > peak) peak = std::fabs(x[k]);
  const lane scale = lane(peak) / lane(127.0f);
  for (std::size_t k = 0; k < x.size(); ++k)
    codes[k] = skip(k) || !(scale.v > 0.0f)
                   ? std::int8_t{0}
                   : static_cast<std::int8_t>(std::clamp(nearest_int(lane(x[k]) / scale).v, -127.0f, 127.0f));
  return scale.v;
}

}  // namespace detail

//   outliers  columns, ascending
//   errc::bad_value   outliers that are not ascending columns of w
//   errc::too_large   so many columns that a sum of products could leave 32 bits
//   errc::not_finite  naming the row
inline result<int8_matrix> to_int8(matrix_view<const float> w, std::span<const std::uint32_t> outliers) {
  for (std::size_t i = 0; i < outliers.size(); ++i)
    if (outliers[i] >= w.cols || (i > 0 && outliers[i] <= outliers[i - 1]))
      return error(errc::bad_value) << "outlier number " << i << " is not one of " << w.cols << " ascending columns";
  if (w.cols > 0x7fffffffu / (127 * 127)) return error(errc::too_large) << w.cols << " columns are too many for int8";
  int8_matrix m{w.rows,
                w.cols,
                std::vector<std::int8_t>(w.rows * w.cols),
                std::vector<float>(w.rows),
                {outliers.begin(), outliers.end()},
                std::vector<std::uint16_t>(w.rows * outliers.size())};
  std::vector<bool> apart(w.cols);
  for (const std::uint32_t k : outliers) apart[k] = true;
  for (std::size_t n = 0; n < w.rows; ++n) {
    const std::span<const float> row = w.row(n);
    for (const float v : row)
      if (!is_finite(v)) return error(errc::not_finite) << message(errc::not_finite) << ": row " << n;
    m.scales[n] = detail::to_int8(
        row, [&](std::size_t k) { return apart[k]; }, m.codes.data() + n * w.cols);
    for (std::size_t i = 0; i < outliers.size(); ++i) m.kept[n * outliers.size() + i] = f32_to_f16(row[outliers[i]]);
  }
  return m;
}

// y = W x. The token's scale is that of its largest input outside the outlier columns; products of bytes are summed in
// 32 bits, those of the outlier columns in float.
// Preconditions: x.size() == columns, y.size() == rows, x is finite.
inline void gemv(const int8_matrix& w, std::span<const float> x, std::span<float> y) {
  BLOCQ_ASSERT(x.size() == w.columns && y.size() == w.rows);
  std::vector<bool> apart(w.columns);
  for (const std::uint32_t k : w.outliers) apart[k] = true;
  std::vector<std::int8_t> token(w.columns);
  const float scale = detail::to_int8(
      x, [&](std::size_t k) { return apart[k]; }, token.data());
  for (std::size_t n = 0; n < w.rows; ++n) {
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < w.columns; ++k) sum += w.codes[n * w.columns + k] * token[k];
    float outlying = 0.0f;
    for (std::size_t i = 0; i < w.outliers.size(); ++i)
      outlying += f16_to_f32(w.kept[n * w.outliers.size() + i]) * x[w.outliers[i]];
    y[n] = static_cast<float>(sum) * (scale * w.scales[n]) + outlying;
  }
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
