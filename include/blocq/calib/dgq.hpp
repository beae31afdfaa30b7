// Dual grained quantization: 4-bit codes in groups, whose steps are whole multiples of the step of an 8-bit grid of the
// row. A group's scale and zero are searched first, then the grid of the row; extreme inputs are divided down
// beforehand and their columns multiplied. Zhang, Fei, Wu, He, Lou, Zhou, "Dual Grained Quantization: Efficient
// Fine-Grained Quantization for LLM", 2023.
#ifndef BLOCQ_CALIB_DGQ_HPP
#define BLOCQ_CALIB_DGQ_HPP

#include <blocq/calib/clusters.hpp>
#include <blocq/calib/gram.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/packed/dual_groups.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

struct dgq_options {
  std::size_t group = 128;  // columns; a multiple of 32
  double smoothed = 0.005;  // the part of the inputs, of the largest, that is divided down to the next; 0: none
};

// Errors are those of a group's share of the output, as the second moments of the inputs have it. Memory: 4 bytes for
// each weight, and the second moments twice. Work per row and column: 100 group multiplications.
//   errc::bad_value      groups, or a part, that cannot be
//   errc::ragged         columns that are no multiple of 32
//   errc::size_mismatch  the inputs are of another number of columns, or there is no weight
//   errc::not_finite, errc::scale_range  naming the row
inline result<packed::dual_groups> dgq(matrix_view<const float> w, const gram& inputs,
                                       const dgq_options& options = {}) {
  const fp_environment modes;
  const std::size_t rows = w.rows, cols = w.cols, group = options.group;
  if (group == 0 || group % 32 != 0)
    return error(errc::bad_value) << "groups of " << group << " columns are no multiple of 32";
  if (!(options.smoothed >= 0.0 && options.smoothed < 1.0))
    return error(errc::bad_value) << "the part that is smoothed is not from 0 to 1";
  if (rows == 0 || cols == 0) return detail::no_weights();
  if (cols % 32 != 0) return error(errc::ragged) << cols << " columns are no multiple of 32";
  if (inputs.columns() != cols)
    return error(errc::size_mismatch) << "the weights have " << cols << " columns, the inputs " << inputs.columns();
  if (const auto ok = detail::check_halves(w); !ok) return ok.error();

  // Inputs above the quantile come down to it.
  const std::vector<float> peaks = inputs.peaks();
  std::vector<float> sorted = peaks, divisors(cols, 1.0f);
  std::sort(sorted.begin(), sorted.end());
  const auto above = static_cast<std::size_t>(std::ceil(options.smoothed * static_cast<double>(cols)));
  const float baseline = sorted[cols - 1 - (std::min)(above, cols - 1)];
  for (std::size_t k = 0; k < cols; ++k)
    if (baseline > 0.0f && peaks[k] > baseline) divisors[k] = peaks[k] / baseline;
  gram moments = inputs;
  moments.divide_columns(divisors);

  const std::size_t groups = (cols + group - 1) / group;
  packed::code_rows codes(rows, cols, 4);
  std::vector<std::uint8_t> zeros(rows * groups), steps(rows * groups);
  std::vector<float> scales(rows), row(cols), e(group);
  struct fit {
    double scale = 1.0;
    int zero = 0;
  };
  std::vector<fit> fits(groups);
  for (std::size_t r = 0; r < rows; ++r) {
    float peak = 0.0f;
    for (std::size_t k = 0; k < cols; ++k) {
      row[k] = w.row(r)[k] * divisors[k];
      if (!is_finite(row[k])) return error(errc::scale_range) << message(errc::scale_range) << ": row " << r;
      peak = (std::max)(peak, std::fabs(row[k]));
    }
    const auto width = [&](std::size_t g) { return (std::min)(group, cols - g * group); };
    // The error of group g with these steps and this range of codes.
    const auto error_of = [&](std::size_t g, double scale, int zero, int lowest, int highest) {
      for (std::size_t i = 0; i < width(g); ++i) {
        const double x = static_cast<double>(row[g * group + i]);
        const double q = (std::clamp)(std::nearbyint(x / scale) + zero, 1.0 * lowest, 1.0 * highest);
        e[i] = static_cast<float>(x - scale * (q - zero));
      }
      return moments.error(std::span<const float>(e).first(width(g)), g * group);
    };
    // Each group by itself: how far its range is narrowed.
    for (std::size_t g = 0; g < groups; ++g) {
      double low = 0.0, high = 0.0, least = -1.0;
      for (std::size_t i = 0; i < width(g); ++i) {
        low = (std::min)(low, static_cast<double>(row[g * group + i]));
        high = (std::max)(high, static_cast<double>(row[g * group + i]));
      }
      fits[g] = {};
      if (!(high - low > 0.0)) continue;
      for (int i = 0; i < 20; ++i) {
        const double scale = (1.02 - 0.011 * (i + 1)) * (high - low) / 15.0;
        const int zero = static_cast<int>((std::clamp)(std::nearbyint(-low / scale), 0.0, 15.0));
        const double error = error_of(g, scale, zero, 0, 15);
        if (least < 0.0 || error < least) least = error, fits[g] = {scale, zero};
      }
    }
    // The row's grid, with the groups' steps as its multiples.
    double least = -1.0;
    const auto step_of = [&](std::size_t g, double scale) {
      return static_cast<int>((std::clamp)(std::nearbyint(fits[g].scale / scale), 1.0, 127.0));
    };
    for (int i = 0; i < 80 && peak > 0.0f; ++i) {
      const float scale = static_cast<float>((1.02 - 0.01025 * (i + 1)) * static_cast<double>(peak) / 127.0);
      if (!(scale > 0.0f)) continue;
      double error = 0.0;
      for (std::size_t g = 0; g < groups && (least < 0.0 || error < least); ++g) {
        const int step = step_of(g, static_cast<double>(scale)), zero = fits[g].zero;
        error += error_of(g, static_cast<double>(scale) * step, zero, packed::dual_groups::lowest_code(step, zero),
                          packed::dual_groups::highest_code(step, zero));
      }
      if (least < 0.0 || error < least) least = error, scales[r] = scale;
    }
    for (std::size_t g = 0; g < groups; ++g) {
      const int zero = fits[g].zero, step = scales[r] > 0.0f ? step_of(g, static_cast<double>(scales[r])) : 1;
      zeros[r * groups + g] = static_cast<std::uint8_t>(zero);
      steps[r * groups + g] = static_cast<std::uint8_t>(step);
      for (std::size_t i = 0; i < width(g); ++i) {
        const double x = static_cast<double>(row[g * group + i]), unit = static_cast<double>(scales[r]) * step;
        const double q = unit > 0.0 ? std::nearbyint(x / unit) + zero : zero;
        codes.set(r, g * group + i,
                  static_cast<int>((std::clamp)(q, 1.0 * packed::dual_groups::lowest_code(step, zero),
                                                1.0 * packed::dual_groups::highest_code(step, zero))));
      }
    }
  }
  if (std::all_of(divisors.begin(), divisors.end(), [](float d) { return d == 1.0f; })) divisors.clear();
  return packed::dual_groups(std::move(codes), group, std::move(zeros), std::move(steps), std::move(scales),
                             std::move(divisors));
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
