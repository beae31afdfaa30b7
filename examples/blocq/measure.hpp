// How far numbers are from those that they stand for.
#ifndef BLOCQ_EXAMPLES_MEASURE_HPP
#define BLOCQ_EXAMPLES_MEASURE_HPP

#include "model.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

struct error_sums {
  double signal = 0;   // sum of squares of the exact numbers
  double noise = 0;    // sum of squares of the differences
  double largest = 0;  // largest difference

  error_sums& operator+=(const error_sums& other) {
    signal += other.signal;
    noise += other.noise;
    largest = std::isnan(other.largest) ? other.largest : std::max(largest, other.largest);
    return *this;
  }
  double relative_rmse() const { return noise == 0 ? 0 : std::sqrt(noise / signal); }
  // Infinite if there is no noise, whatever the signal.
  double snr_db() const {
    return noise == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(signal / noise);
  }
  bool is_finite() const { return std::isfinite(relative_rmse()) && std::isfinite(largest); }
};

inline error_sums measure(std::span<const float> exact, std::span<const float> approximate) {
  error_sums sums;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double x = static_cast<double>(exact[i]), difference = x - static_cast<double>(approximate[i]);
    sums.signal += x * x;
    sums.noise += difference * difference;
    sums.largest = std::max(sums.largest, std::abs(difference));
  }
  if (std::isnan(sums.noise)) sums.largest = sums.noise;
  return sums;
}

// The same for two tensors of equal shape; the sums do not depend on the number of threads.
class progress;
error_sums compare_tensors(const model::tensor& a, const model::tensor& b, unsigned threads, progress& bar);

#endif
