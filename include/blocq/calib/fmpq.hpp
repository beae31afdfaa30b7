// 4-bit weights for inputs of 4 bits, and of 8 where a block of them has an extreme channel: channels are put in the
// order of their largest inputs first, so that few blocks have any. Liu et al., "COMET: Towards Practical W4A4KV4 LLMs
// Serving" (FMPQ), 2024. What counts as extreme, and the order, are this library's: the paper's are not published.
#ifndef BLOCQ_CALIB_FMPQ_HPP
#define BLOCQ_CALIB_FMPQ_HPP

#include <blocq/calib/clusters.hpp>
#include <blocq/calib/gram.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/packed/mixed_blocks.hpp>

#include <numeric>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

struct fmpq_options {
  std::size_t block = 128;  // columns; a multiple of 32
  double threshold = 8;     // times the median of the channels' largest inputs: above, a block has 8 bits; 0: all have
  bool permute = true;      // false: columns stay where they are
};

// Ranges of weights are narrowed where that lowers the squared error, weighed by the inputs' mean squares. Memory: the
// result. Work: 11 roundings of each weight.
//   errc::bad_value      blocks, or a threshold, that cannot be
//   errc::size_mismatch  the inputs are of another number of columns, or there is no weight
//   errc::not_finite, errc::scale_range  naming the row
inline result<packed::mixed_blocks> fmpq(matrix_view<const float> w, const gram& inputs,
                                         const fmpq_options& options = {}) {
  const fp_environment modes;
  const std::size_t rows = w.rows, cols = w.cols, block = options.block;
  if (block == 0 || block % 32 != 0)
    return error(errc::bad_value) << "blocks of " << block << " columns are no multiple of 32";
  if (!(options.threshold >= 0.0)) return error(errc::bad_value) << "the threshold is not a number from 0 on";
  if (rows == 0 || cols == 0) return detail::no_weights();
  if (inputs.columns() != cols)
    return error(errc::size_mismatch) << "the weights have " << cols << " columns, the inputs " << inputs.columns();
  if (const auto ok = detail::check_halves(w); !ok) return ok.error();

  const std::vector<float> peaks = inputs.peaks(), squares = inputs.mean_squares();
  std::vector<float> sorted = peaks;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(cols / 2), sorted.end());
  const double limit = options.threshold * static_cast<double>(sorted[cols / 2]);
  std::vector<std::uint32_t> order(cols);
  std::iota(order.begin(), order.end(), 0u);
  if (options.permute)
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return peaks[a] > peaks[b]; });

  const std::size_t blocks = (cols + block - 1) / block;
  std::vector<std::uint8_t> wide(blocks, options.threshold == 0.0 ? std::uint8_t{1} : std::uint8_t{0});
  for (std::size_t k = 0; k < cols; ++k)
    if (static_cast<double>(peaks[order[k]]) > limit) wide[k / block] = 1;

  packed::code_rows codes(rows, cols, 4);
  std::vector<std::uint16_t> scales;
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t first = 0; first < cols; first += block) {
      const std::size_t last = (std::min)(first + block, cols);
      const auto weight = [&](std::size_t k) { return static_cast<double>(w.row(r)[order[k]]); };
      const auto code = [&](std::size_t k, double unit) {
        return unit > 0.0 ? (std::clamp)(std::nearbyint(weight(k) / unit), -8.0, 7.0) : 0.0;
      };
      double peak = 0.0, least = -1.0;
      for (std::size_t k = first; k < last; ++k) peak = (std::max)(peak, std::fabs(weight(k)));
      std::uint16_t scale = 0;
      for (int i = 0; i <= 10; ++i) {
        const std::uint16_t half = f32_to_f16(static_cast<float>((1.0 - 0.04 * i) * peak / 7.0));
        const double unit = static_cast<double>(f16_to_f32(half));
        double error = 0.0;
        for (std::size_t k = first; k < last; ++k) {
          const double e = weight(k) - unit * code(k, unit);
          error += static_cast<double>(squares[order[k]]) * e * e;
        }
        if (least < 0.0 || error < least) least = error, scale = half;
      }
      for (std::size_t k = first; k < last; ++k)
        codes.set(r, k, 8 + static_cast<int>(code(k, static_cast<double>(f16_to_f32(scale)))));
      scales.push_back(scale);
    }
  if (std::is_sorted(order.begin(), order.end())) order.clear();
  return packed::mixed_blocks(std::move(codes), block, std::move(scales), std::move(wide), std::move(order));
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
