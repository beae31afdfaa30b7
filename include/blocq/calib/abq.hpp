// Bit balance: integers of b bits with one level more than b bits have, so that there are as many on both sides of 0.
// Of two bits, {-2, -1, 0, 1, 2}, which ABQ-LLM writes W2*. The ranges of groups are narrowed where that helps, by a
// search over a grid instead of training. Zeng, Liu, Xie, Liu, Peng, Liu, Wang, "ABQ-LLM: Arbitrary-Bit Quantized
// Inference Acceleration for Large Language Models", 2024.
#ifndef BLOCQ_CALIB_ABQ_HPP
#define BLOCQ_CALIB_ABQ_HPP

#include <blocq/calib/clusters.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/packed/plane_groups.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

struct abq_options {
  int bits = 2;             // 1 to 8; balanced: to 7, and each weight takes a plane more
  bool balanced = true;     // 2^bits + 1 levels rather than 2^bits
  std::size_t group = 128;  // columns; a multiple of 128, or 0: a scale for each row
  int input_bits = 8;       // 2 to 8: what the product rounds its inputs to
};

// Data-free but for `importance`, a weight for each column (the mean squares of the inputs) or empty. Memory: the
// result. Work: 11 roundings of each weight.
//   errc::bad_value      bits, groups or input bits that cannot be; importance that is below 0 or no number
//   errc::size_mismatch  importance has another length, or there is no weight
//   errc::not_finite, errc::scale_range  naming the row
inline result<packed::plane_groups> abq(matrix_view<const float> w, const abq_options& options = {},
                                        std::span<const float> importance = {}) {
  const fp_environment modes;
  const int planes = options.bits + (options.balanced ? 1 : 0);
  if (options.bits < 1 || planes > 8)
    return error(errc::bad_value) << "there are 1 to " << (options.balanced ? 7 : 8) << " bits, not " << options.bits;
  if (options.input_bits < 2 || options.input_bits > 8)
    return error(errc::bad_value) << "inputs have 2 to 8 bits, not " << options.input_bits;
  if (w.rows == 0 || w.cols == 0) return detail::no_weights();
  const std::size_t group = options.group == 0 ? w.cols : options.group;
  if (!packed::plane_groups::is_group(group, w.cols))
    return error(errc::bad_value) << "groups of " << group << " columns are no multiple of 128";
  if (const auto ok = detail::check_importance(importance, w.cols); !ok) return ok.error();
  if (const auto ok = detail::check_halves(w); !ok) return ok.error();

  const double top = std::ldexp(1.0, options.bits) - (options.balanced ? 0.0 : 1.0);
  packed::plane_rows codes(w.rows, w.cols, planes);
  std::vector<std::uint16_t> scales;
  std::vector<std::uint8_t> zeros;
  for (std::size_t r = 0; r < w.rows; ++r)
    for (std::size_t first = 0; first < w.cols; first += group) {
      const std::size_t last = (std::min)(first + group, w.cols);
      const std::span<const float> row = w.row(r);
      double low = 0.0, high = 0.0, least = -1.0;
      for (std::size_t k = first; k < last; ++k) {
        low = (std::min)(low, static_cast<double>(row[k]));
        high = (std::max)(high, static_cast<double>(row[k]));
      }
      std::uint16_t scale = 0;
      double zero = 0.0;
      const auto code = [&](std::size_t k, double unit, double z) {
        const double q = unit > 0.0 ? std::nearbyint(static_cast<double>(row[k]) / unit) + z : z;
        return (std::clamp)(q, 0.0, top);
      };
      for (int i = 0; i <= 10; ++i) {
        const std::uint16_t half = f32_to_f16(static_cast<float>((1.0 - 0.05 * i) * (high - low) / top));
        const double unit = static_cast<double>(f16_to_f32(half));
        if ((half & 0x7c00u) == 0x7c00u)
          return error(errc::scale_range) << "row " << r << " has a range that is too wide for half precision";
        const double z = unit > 0.0 ? (std::clamp)(std::nearbyint((0.05 * i - 1.0) * low / unit), 0.0, top) : 0.0;
        double error = 0.0;
        for (std::size_t k = first; k < last; ++k) {
          const double e = static_cast<double>(row[k]) - unit * (code(k, unit, z) - z);
          error += (importance.empty() ? 1.0 : static_cast<double>(importance[k])) * e * e;
        }
        if (least < 0.0 || error < least) least = error, scale = half, zero = z;
      }
      for (std::size_t k = first; k < last; ++k)
        codes.set(r, k, static_cast<int>(code(k, static_cast<double>(f16_to_f32(scale)), zero)));
      scales.push_back(scale);
      zeros.push_back(static_cast<std::uint8_t>(zero));
    }
  return packed::plane_groups(std::move(codes), group, std::move(scales), std::move(zeros), options.input_bits);
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
