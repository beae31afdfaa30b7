// SmoothQuant: where activations are quantized too, a few of their columns are so large that the others lose all
// precision. Each column is divided by a factor and the weights multiplied by it, so that both sides carry a part of
// the difficulty. Xiao, Lin, Seznec, Wu, Demouth, Han, "SmoothQuant: Accurate and Efficient Post-Training Quantization
// for Large Language Models", 2022.
#ifndef BLOCQ_CALIB_SMOOTH_HPP
#define BLOCQ_CALIB_SMOOTH_HPP

#include <blocq/core/error.hpp>
#include <blocq/core/view.hpp>

#include <cmath>
#include <span>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

// scale[k] = input_peaks[k]^alpha / weight_peaks[k]^(1 - alpha), at least 1e-5: what column k of the inputs is to be
// divided by and column k of the weights multiplied with (multiply_columns in gram.hpp). Peaks are largest magnitudes,
// those of the weights over all matrices that share the input. A column whose inputs or weights are all zero keeps the
// scale 1: no other value would do anything for it.
//   alpha  0.5 for most models; up to 0.85 where the inputs are the harder side
//   errc::size_mismatch  a matrix has another number of columns than there are peaks
inline result<std::vector<float>> smooth_scale(std::span<const float> input_peaks,
                                               std::span<const matrix_view<const float>> consumers,
                                               double alpha = 0.5) {
  const std::size_t columns = input_peaks.size();
  std::vector<float> weight_peaks(columns), scale(columns);
  for (const matrix_view<const float>& w : consumers) {
    if (w.cols != columns)
      return error(errc::size_mismatch) << "the weights have " << w.cols << " columns, the inputs " << columns;
    for (std::size_t n = 0; n < w.rows; ++n)
      for (std::size_t k = 0; k < columns; ++k)
        if (const float magnitude = std::fabs(w.row(n)[k]); magnitude > weight_peaks[k]) weight_peaks[k] = magnitude;
  }
  for (std::size_t k = 0; k < columns; ++k) {
    const double x = static_cast<double>(input_peaks[k]), w = static_cast<double>(weight_peaks[k]);
    const double s = x > 0.0 && w > 0.0 ? std::pow(x, alpha) / std::pow(w, 1.0 - alpha) : 1.0;
    scale[k] = static_cast<float>(s > 1e-5 ? s : 1e-5);
  }
  return scale;
}
inline result<std::vector<float>> smooth_scale(std::span<const float> input_peaks, matrix_view<const float> w,
                                               double alpha = 0.5) {
  return smooth_scale(input_peaks, std::span(&w, 1), alpha);
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
