// Probes: figures that say what makes numbers hard to round, and what they can spare. Which numbers these are, and how
// a model takes it when they are disturbed, is the caller's business.
//
//   outlier_meter           how far the largest columns and numbers stand out
//   add_noise, clip         two disturbances of equal energy
//   layer_change            block importance: how little of what goes through a layer leaves it as it was
//   rounded or pruned       what b bits a number lose, spent on b-bit integers or on b / 16 of the numbers in 16 bits:
//                           of normally distributed numbers in closed form, of others by measuring
#ifndef BLOCQ_CALIB_PROBE_HPP
#define BLOCQ_CALIB_PROBE_HPP

#include <blocq/calib/random.hpp>
#include <blocq/core/bits.hpp>
#include <blocq/core/error.hpp>
#include <blocq/core/view.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

namespace detail {

// Sums of powers of the distance from the mean. Two of them are added as in Pebay, "Formulas for robust, one-pass
// parallel computation of covariances and arbitrary-order statistical moments", 2008: with a mean far from 0 nothing
// cancels.
struct central_moments {
  double count = 0, mean = 0, second = 0, third = 0, fourth = 0;

  static central_moments of(std::span<const float> x) noexcept {
    central_moments m;
    m.count = static_cast<double>(x.size());
    for (const float v : x) m.mean += static_cast<double>(v) / m.count;
    for (const float v : x) {
      const double d = static_cast<double>(v) - m.mean, square = d * d;
      m.second += square;
      m.third += square * d;
      m.fourth += square * square;
    }
    return m;
  }
  void add(const central_moments& b) noexcept {
    if (b.count == 0) return;
    const double n = count + b.count, d = (b.mean - mean) / n, ab = count * b.count;
    fourth += b.fourth + d * d * d * d * ab * (count * count - ab + b.count * b.count) * n +
              6 * d * d * (count * count * b.second + b.count * b.count * second) +
              4 * d * (count * b.third - b.count * third);
    third += b.third + d * d * d * ab * (count - b.count) * n + 3 * d * (count * b.second - b.count * second);
    second += b.second + d * d * ab * n;
    mean += d * b.count;
    count = n;
  }
};

}  // namespace detail

// How far the largest of many numbers stand out, over all of them and column by column. 8 bytes a column.
class outlier_meter {
 public:
  explicit outlier_meter(std::size_t columns) : peaks_(columns) {}

  std::size_t columns() const noexcept { return peaks_.size(); }

  // Adds rows. errc::not_finite with the first row concerned, errc::size_mismatch; nothing has been added then.
  status add(matrix_view<const float> x) noexcept {
    if (x.cols != columns()) return {errc::size_mismatch, 0};
    for (std::size_t r = 0; r < x.rows; ++r)
      for (const float v : x.row(r))
        if (!is_finite(v)) return {errc::not_finite, r};
    for (std::size_t r = 0; r < x.rows; ++r) {
      const std::span<const float> row = x.row(r);
      moments_.add(detail::central_moments::of(row));
      for (std::size_t k = 0; k < row.size(); ++k)
        peaks_[k] = (std::max)(peaks_[k], static_cast<double>(std::fabs(row[k])));
    }
    return {};
  }
  // Adds what another has seen; errc::size_mismatch if it has another number of columns.
  status merge(const outlier_meter& other) noexcept {
    if (other.columns() != columns()) return {errc::size_mismatch, 0};
    moments_.add(other.moments_);
    for (std::size_t k = 0; k < peaks_.size(); ++k) peaks_[k] = (std::max)(peaks_[k], other.peaks_[k]);
    return {};
  }

  double count() const noexcept { return moments_.count; }
  double mean() const noexcept { return moments_.mean; }
  double deviation() const noexcept { return moments_.count > 0 ? std::sqrt(moments_.second / moments_.count) : 0.0; }
  // The mean fourth power of the distance from the mean, in units of the squared variance: 3 for a normal distribution,
  // more where a few numbers are far from the others. 0 if all are the same.
  double kurtosis() const noexcept {
    return moments_.second > 0 ? moments_.fourth * moments_.count / (moments_.second * moments_.second) : 0.0;
  }
  // The largest magnitude of all over the median of the largest magnitudes of the columns. 0 if that median is 0.
  double peak_ratio() const {
    if (peaks_.empty()) return 0.0;
    std::vector<double> sorted = peaks_;
    std::sort(sorted.begin(), sorted.end());
    const double median = (sorted[(sorted.size() - 1) / 2] + sorted[sorted.size() / 2]) / 2;
    return median > 0 ? sorted.back() / median : 0.0;
  }
  // How many of these numbers are further from the mean than so many standard deviations.
  std::size_t beyond(std::span<const float> x, double deviations) const noexcept {
    const double limit = deviations * deviation();
    std::size_t n = 0;
    for (const float v : x) n += std::fabs(static_cast<double>(v) - mean()) > limit;
    return n;
  }

 private:
  detail::central_moments moments_ = {};
  std::vector<double> peaks_;
};

// Adds normally distributed noise to w, of `share` times the energy (sum of squares) of w. The same for the same seed.
// Gong et al., "What makes quantization for large language models hard? An empirical study from the lens of
// perturbation", 2024, compare disturbances of equal energy. Precondition: w is finite.
inline void add_noise(std::span<float> w, double share, std::uint64_t seed) noexcept {
  const auto each = [&](auto&& use) {
    detail::random_numbers next(seed);
    const auto uniform = [&] { return next.uniform() + 0x1p-54; };  // never 0
    for (std::size_t i = 0; i < w.size(); i += 2) {                 // Box-Muller
      const double radius = std::sqrt(-2.0 * std::log(uniform())), angle = 6.283185307179586 * uniform();
      use(w[i], radius * std::cos(angle));
      if (i + 1 < w.size()) use(w[i + 1], radius * std::sin(angle));
    }
  };
  double energy = 0, noise = 0;
  each([&](float x, double n) {
    energy += static_cast<double>(x) * static_cast<double>(x);
    noise += n * n;
  });
  if (noise == 0) return;
  const double unit = std::sqrt(share * energy / noise);
  each([&](float& x, double n) { x = static_cast<float>(static_cast<double>(x) + unit * n); });
}

// Clamps w to [-c, c] with the c that takes `share` times the energy of w, the sum of (|w| - c)^2 over those that are
// clamped, and gives c. Preconditions: w is finite, 0 <= share <= 1.
inline double clip(std::span<float> w, double share) noexcept {
  double energy = 0, high = 0;
  for (const float v : w) {
    energy += static_cast<double>(v) * static_cast<double>(v);
    high = (std::max)(high, static_cast<double>(std::fabs(v)));
  }
  double low = 0;
  for (int i = 0; i < 60; ++i) {
    const double c = (low + high) / 2;
    double taken = 0;
    for (const float v : w) {
      const double d = static_cast<double>(std::fabs(v)) - c;
      taken += d > 0 ? d * d : 0.0;
    }
    (taken > share * energy ? low : high) = c;
  }
  const auto limit = static_cast<float>(high);
  for (float& v : w) v = (std::min)((std::max)(v, -limit), limit);
  return high;
}

// The block importance of a layer, 1 - the mean cosine of what a token's state is before and after it: Men et al.,
// "ShortGPT: Layers in large language models are more redundant than you expect", 2024. Near 0 the layer hardly turns
// what goes through it.
class layer_change {
 public:
  // A row for each token; one that is 0 on either side has no direction and does not count.
  // Precondition: both have the same shape.
  void add(matrix_view<const float> before, matrix_view<const float> after) noexcept {
    BLOCQ_ASSERT(before.rows == after.rows && before.cols == after.cols);
    for (std::size_t r = 0; r < before.rows; ++r) {
      double aa = 0, ab = 0, bb = 0;
      for (std::size_t k = 0; k < before.cols; ++k) {
        const double a = static_cast<double>(before.row(r)[k]), b = static_cast<double>(after.row(r)[k]);
        aa += a * a;
        ab += a * b;
        bb += b * b;
      }
      if (aa == 0 || bb == 0) continue;
      cosines_ += ab / (std::sqrt(aa) * std::sqrt(bb));
      ++count_;
    }
  }
  void merge(const layer_change& other) noexcept {
    cosines_ += other.cosines_;
    count_ += other.count_;
  }
  // 0 where no token counted.
  double importance() const noexcept { return count_ == 0 ? 0.0 : 1.0 - cosines_ / static_cast<double>(count_); }

 private:
  double cosines_ = 0;
  std::size_t count_ = 0;
};

// Rounded or pruned: Kuzmin et al., "Pruning vs quantization: which is better?", 2023. Integers of b bits, from
// -2^(b-1) to 2^(b-1) - 1, in units of one step; against the b / 16 of the numbers that are largest, in 16 bits, which
// count as exact, as where they are counts as free. Errors are mean squares.

// Of N(0, 1) with all but the `kept` largest part at 0: the integral of x^2 below the t with Phi(t) = 1 - kept / 2.
// Precondition: 0 <= kept <= 1.
inline double normal_pruning_error(double kept) noexcept {
  double low = 0, high = 40;
  for (int i = 0; i < 100; ++i) {
    const double t = (low + high) / 2;
    (std::erfc(t * 0.7071067811865476) > kept ? low : high) = t;
  }
  return 1 - kept - 2 * high * 0.3989422804014327 * std::exp(-high * high / 2);
}

// Of N(0, 1) in integers of so many bits: over the cell [a, b] of a value c the integral of (x - c)^2 is
// (1 + c^2) (Phi(b) - Phi(a)) + (2 c - b) phi(b) - (2 c - a) phi(a). Preconditions: 2 <= bits <= 16, step > 0.
inline double normal_rounding_error(unsigned bits, double step) noexcept {
  const auto first = -(std::int64_t{1} << (bits - 1)), last = -first - 1;
  double error = 0, phi = 0, above = 1, phi_times_a = 0;  // at the lower end of a cell: density, 1 - Phi
  for (std::int64_t q = first; q <= last; ++q) {
    const double c = static_cast<double>(q) * step, b = c + step / 2;
    const double next_phi = q == last ? 0.0 : 0.3989422804014327 * std::exp(-b * b / 2);
    const double next_above = q == last ? 0.0 : 0.5 * std::erfc(b * 0.7071067811865476);
    const double next_times_b = q == last ? 0.0 : next_phi * b;
    error += (1 + c * c) * (above - next_above) + (2 * c * next_phi - next_times_b) - (2 * c * phi - phi_times_a);
    phi = next_phi, above = next_above, phi_times_a = next_times_b;
  }
  return error;
}

// Numbers in order, which makes both errors a matter of looking up sums. 20 bytes a number.
class sorted_numbers {
 public:
  // Precondition: x is finite and not empty.
  explicit sorted_numbers(std::vector<float> x) : x_(std::move(x)), sums_(x_.size() + 1), squares_(x_.size() + 1) {
    BLOCQ_ASSERT(!x_.empty());
    std::sort(x_.begin(), x_.end());
    for (std::size_t i = 0; i < x_.size(); ++i) {
      const double v = static_cast<double>(x_[i]);
      sums_[i + 1] = sums_[i] + v;
      squares_[i + 1] = squares_[i] + v * v;
    }
  }

  // The largest magnitude, and the mean square.
  double peak() const noexcept { return static_cast<double>((std::max)(std::fabs(x_.front()), std::fabs(x_.back()))); }
  double energy() const noexcept { return squares_.back() / static_cast<double>(x_.size()); }

  // Preconditions as above.
  double pruning_error(double kept) const noexcept {
    std::size_t first = 0, last = x_.size();
    const auto n = static_cast<double>(x_.size());
    for (auto left = static_cast<std::size_t>(kept * n + 0.5); left > 0; --left) {
      if (-x_[first] > x_[last - 1])
        ++first;
      else
        --last;
    }
    return (squares_[last] - squares_[first]) / n;
  }
  double rounding_error(unsigned bits, double step) const noexcept {
    const auto first = -(std::int64_t{1} << (bits - 1)), last = -first - 1;
    double error = 0;
    std::size_t begin = 0;
    for (std::int64_t q = first; q <= last; ++q) {
      const double c = static_cast<double>(q) * step, limit = c + step / 2;
      const auto at = static_cast<std::ptrdiff_t>(begin);
      const std::size_t end =
          q == last ? x_.size()
                    : static_cast<std::size_t>(std::lower_bound(x_.begin() + at, x_.end(), limit) - x_.begin());
      error += squares_[end] - squares_[begin] - 2 * c * (sums_[end] - sums_[begin]) +
               c * c * static_cast<double>(end - begin);
      begin = end;
    }
    return (std::max)(error, 0.0) / static_cast<double>(x_.size());
  }

 private:
  std::vector<float> x_;
  std::vector<double> sums_, squares_;  // of those before
};

// The step of the smallest error(step) for integers of so many bits and numbers up to `peak`: the best of steps between
// the one that reaches the peak and 1/4096 of it, eight to a factor of two, and then between its neighbours. 1 if the
// peak is 0. Preconditions as above.
template <class Error>
double best_step(unsigned bits, double peak, const Error& error) {
  if (peak == 0) return 1.0;
  const double ratio = std::exp2(0.125), largest = peak / static_cast<double>((std::int64_t{1} << (bits - 1)) - 1);
  double best = largest, least = error(largest), step = largest;
  for (int i = 0; i < 96; ++i) {
    step /= ratio;
    if (const double e = error(step); e < least) best = step, least = e;
  }
  double low = best / ratio, high = best * ratio;
  for (int i = 0; i < 40; ++i) {
    const double a = low + (high - low) / 3, b = high - (high - low) / 3;
    if (error(a) < error(b))
      high = b;
    else
      low = a;
  }
  return (low + high) / 2;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
