// Power companding: levels at powers of whole numbers, close together at 0 where most weights are. Yvinec, Dapogny,
// Cord, Bailly, "PowerQuant: Automorphism Search for Non-Uniform Quantization", 2023; the exponent is searched there
// for the least reconstruction error, as here. (NUPES, by the same authors, goes on to train.)
//
//   weight = scale of its row * sign(q) (|q| / L)^(1 / a), q from -L to L = 2^(bits - 1) - 1
#ifndef BLOCQ_CALIB_POWER_HPP
#define BLOCQ_CALIB_POWER_HPP

#include <blocq/calib/clusters.hpp>
#include <blocq/packed/palette.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

struct power_options {
  int bits = 4;           // 2 to 8
  double exponent = 0.0;  // a; 0: searched
};

struct power_result {
  packed::palette matrix;
  double exponent;
};

namespace detail {

// The levels of exponent a, ascending, from -1 to 1; then the code that stands for nothing, as the last one again.
inline std::vector<float> power_levels(int bits, double a) {
  const int top = (1 << (bits - 1)) - 1;
  std::vector<float> levels;
  for (int q = -top; q <= top; ++q) {
    const double magnitude = std::pow(static_cast<double>(q < 0 ? -q : q) / top, 1.0 / a);
    levels.push_back(f16_to_f32(f32_to_f16(static_cast<float>(q < 0 ? -magnitude : magnitude))));
  }
  levels.push_back(levels.back());
  return levels;
}

// Magnitudes relative to the largest of their row, counted in bins; each counts as much as its row's square.
class power_error {
 public:
  explicit power_error(matrix_view<const float> w) {
    for (std::size_t r = 0; r < w.rows; ++r) {
      float peak = 0.0f;
      for (const float v : w.row(r)) peak = (std::max)(peak, std::fabs(v));
      if (!(peak > 0.0f)) continue;
      const double square = static_cast<double>(peak) * static_cast<double>(peak);
      for (const float v : w.row(r))
        weights_[static_cast<std::size_t>(std::fabs(v) / peak * static_cast<float>(bins - 1) + 0.5f)] += square;
    }
  }
  // The squared error of the levels of exponent a.
  double operator()(int bits, double a) const {
    const std::vector<float> levels = power_levels(bits, a);
    const nearest_entry nearest(levels);
    double sum = 0.0;
    for (std::size_t b = 0; b < bins; ++b) {
      if (weights_[b] == 0.0) continue;
      const double x = static_cast<double>(b) / (bins - 1);
      const double e = x - static_cast<double>(levels[static_cast<std::size_t>(nearest(static_cast<float>(x)))]);
      sum += weights_[b] * e * e;
    }
    return sum;
  }

 private:
  static constexpr std::size_t bins = 16384;
  std::vector<double> weights_ = std::vector<double>(bins);
};

}  // namespace detail

// Each weight becomes the nearest level of its row. Data-free. Memory: 128 KB, and the result.
//   errc::bad_value      bits, or an exponent that is not from 0.05 to 1
//   errc::size_mismatch  there is no weight
//   errc::not_finite, errc::scale_range  naming the row
inline result<power_result> make_power(matrix_view<const float> w, const power_options& options = {}) {
  if (options.bits < 2 || options.bits > 8)
    return error(errc::bad_value) << "levels of a power have 2 to 8 bits, not " << options.bits;
  double a = options.exponent;
  if (!(a == 0.0 || (a >= 0.05 && a <= 1.0))) return error(errc::bad_value) << "the exponent is not from 0.05 to 1";
  if (w.rows == 0 || w.cols == 0) return detail::no_weights();
  if (const auto ok = detail::check_halves(w); !ok) return ok.error();
  if (a == 0.0) {
    // The error has one valley up to ripples: the best of a grid, then its surroundings by golden sections.
    const detail::power_error error_of(w);
    double least = error_of(options.bits, 1.0);
    a = 1.0;
    for (int i = 2; i < 20; ++i)
      if (const double e = error_of(options.bits, 0.05 * i); e < least) least = e, a = 0.05 * i;
    const double ratio = 0.5 * (std::sqrt(5.0) - 1.0);
    double low = (std::max)(a - 0.05, 0.05), high = (std::min)(a + 0.05, 1.0);
    double left = high - ratio * (high - low), right = low + ratio * (high - low);
    double of_left = error_of(options.bits, left), of_right = error_of(options.bits, right);
    while (high - low > 1e-3) {
      if (of_left < of_right) {
        high = right, right = left, of_right = of_left;
        left = high - ratio * (high - low), of_left = error_of(options.bits, left);
      } else {
        low = left, left = right, of_left = of_right;
        right = low + ratio * (high - low), of_right = error_of(options.bits, right);
      }
    }
    if ((std::min)(of_left, of_right) < least) a = of_left < of_right ? left : right;
  }
  const std::vector<float> levels = detail::power_levels(options.bits, a);
  const detail::nearest_entry nearest(std::span<const float>(levels).first(levels.size() - 1));
  packed::code_rows codes(w.rows, w.cols, options.bits);
  std::vector<std::uint16_t> codebook, scales;
  for (const float level : levels) codebook.push_back(f32_to_f16(level));
  for (std::size_t r = 0; r < w.rows; ++r) {
    float peak = 0.0f;
    for (const float v : w.row(r)) peak = (std::max)(peak, std::fabs(v));
    scales.push_back(f32_to_f16(peak));
    const float scale = f16_to_f32(scales.back());
    for (std::size_t k = 0; k < w.cols; ++k) codes.set(r, k, nearest(scale > 0.0f ? w.row(r)[k] / scale : 0.0f));
  }
  return power_result{packed::palette(std::move(codes), w.rows, std::move(codebook), std::move(scales)), a};
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
