// Clusters of numbers: Lloyd's iteration in one dimension, on the values that half precision has. However many weights
// there are, no more than 65,536 different ones remain, and sorted ones are assigned by the middles between centroids:
// an iteration costs a search for each centroid, not a comparison for each weight. The idea of counting equal weights
// is that of Cho, Alizadeh-Vahid, Adya, Rastegari, "eDKM: An Efficient and Accurate Train-time Weight Clustering for
// Large Language Models", 2023; on these values the result is that of the iteration over all weights.
#ifndef BLOCQ_CALIB_CLUSTERS_HPP
#define BLOCQ_CALIB_CLUSTERS_HPP

#include <blocq/core/bits.hpp>
#include <blocq/core/error.hpp>
#include <blocq/core/view.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

// Different numbers, ascending, with the sums of weight, and of weight * number, up to each of them.
class weighted_values {
 public:
  // Rows [first, last) of w as binary16; `importance` is a weight for each column, or empty: 1. Weights of 0 leave the
  // numbers in, so that clusters are made of them where nothing else is.
  // Preconditions: no number is beyond binary16, importance has w.cols finite numbers that are not below 0.
  weighted_values(matrix_view<const float> w, std::size_t first, std::size_t last, std::span<const float> importance) {
    std::vector<double> weights(65536);
    std::vector<bool> present(65536);
    for (std::size_t r = first; r < last; ++r) {
      const std::span<const float> row = w.row(r);
      for (std::size_t k = 0; k < row.size(); ++k) {
        const std::uint16_t half = f32_to_f16(row[k]);
        const std::size_t at = (half & 0x8000u) != 0 ? 0xffffu - half : half | 0x8000u;  // ascends with the number
        weights[at] += importance.empty() ? 1.0 : static_cast<double>(importance[k]);
        present[at] = true;
      }
    }
    for (std::size_t at = 0; at < present.size(); ++at)
      if (present[at])
        push(static_cast<double>(f16_to_f32(static_cast<std::uint16_t>(at < 0x8000u ? 0xffffu - at : at & 0x7fffu))),
             weights[at]);
  }

  std::span<const double> numbers() const noexcept { return numbers_; }
  // Of numbers [first, last).
  double weight(std::size_t first, std::size_t last) const noexcept { return weights_[last] - weights_[first]; }
  double moment(std::size_t first, std::size_t last) const noexcept { return moments_[last] - moments_[first]; }

  // k numbers, ascending, as close together as the cube root of the density asks for: where a quantizer of many levels
  // has its least error (Panter and Dite, 1951).
  std::vector<double> spread(std::size_t k) const {
    constexpr std::size_t bins = 256;
    const double low = numbers_.front(), span = numbers_.back() - low;
    double cubes[bins + 1] = {};
    std::size_t at = 0;
    for (std::size_t b = 0; b < bins; ++b) {
      const std::size_t first = at;
      const double end = low + span * static_cast<double>(b + 1) / bins;
      while (at < numbers_.size() && (numbers_[at] <= end || b + 1 == bins)) ++at;
      cubes[b + 1] = cubes[b] + std::cbrt((std::max)(weight(first, at), 0.0));
    }
    std::vector<double> out(k, low);
    std::size_t b = 0;
    for (std::size_t i = 0; i < k; ++i) {
      const double wanted = cubes[bins] * (static_cast<double>(i) + 0.5) / static_cast<double>(k);
      while (b + 1 < bins && cubes[b + 1] < wanted) ++b;
      const double width = cubes[b + 1] - cubes[b], part = width > 0 ? (wanted - cubes[b]) / width : 0.5;
      out[i] = low + span * (static_cast<double>(b) + part) / bins;
    }
    return out;
  }

  // Lloyd's iteration from these centroids, ascending, until none moves or so many times; a centroid that nothing is
  // near to stays where it is. A number in the middle of two belongs to the lower one.
  void cluster(std::span<double> centroids, int iterations) const {
    for (bool moved = true; moved && iterations > 0; --iterations) {
      moved = false;
      std::size_t first = 0;
      for (std::size_t c = 0; c < centroids.size(); ++c) {
        const bool is_last = c + 1 == centroids.size();
        const std::size_t last = is_last ? numbers_.size() : end_of(centroids[c], centroids[c + 1]);
        const double sum = weight(first, last), mean = sum > 0 ? moment(first, last) / sum : centroids[c];
        moved = moved || mean != centroids[c];
        centroids[c] = mean;  // the boundary above it has been found already
        first = last;
      }
    }
  }

 private:
  std::size_t end_of(double low, double high) const noexcept {
    return static_cast<std::size_t>(std::upper_bound(numbers_.begin(), numbers_.end(), 0.5 * (low + high)) -
                                    numbers_.begin());
  }
  void push(double number, double weight) {
    numbers_.push_back(number);
    weights_.push_back(weights_.back() + weight);
    moments_.push_back(moments_.back() + weight * number);
  }

  std::vector<double> numbers_ = {}, weights_ = {0.0}, moments_ = {0.0};
};

namespace detail {

// Which of a table's numbers, ascending, is nearest; the lower one of two.
class nearest_entry {
 public:
  explicit nearest_entry(std::span<const float> table) {
    for (std::size_t i = 1; i < table.size(); ++i) middles_.push_back(0.5f * table[i - 1] + 0.5f * table[i]);
  }
  int operator()(float x) const noexcept {
    return static_cast<int>(std::lower_bound(middles_.begin(), middles_.end(), x) - middles_.begin());
  }

 private:
  std::vector<float> middles_;
};

// errc::not_finite, errc::scale_range with the row that binary16 cannot hold.
inline result<void> check_halves(matrix_view<const float> w) {
  for (std::size_t r = 0; r < w.rows; ++r)
    for (const float v : w.row(r)) {
      if (!is_finite(v)) return error(errc::not_finite) << message(errc::not_finite) << ": row " << r;
      if ((f32_to_f16(v) & 0x7fffu) >= 0x7c00u)
        return error(errc::scale_range) << "row " << r << " has a number that is too large for half precision";
    }
  return {};
}
inline result<void> check_importance(std::span<const float> importance, std::size_t cols) {
  if (!importance.empty() && importance.size() != cols)
    return error(errc::size_mismatch) << "there is not one weight for each column";
  for (const float v : importance)
    if (!is_finite(v) || v < 0.0f) return error(errc::bad_value) << "a weight of a column is not a number from 0 on";
  return {};
}
inline error no_weights() noexcept { return error(errc::size_mismatch) << "the matrix has no weights"; }

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
