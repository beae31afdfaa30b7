// Second moments of a layer's inputs, accumulated in double: all that GPTQ and AWQ ask of the calibration data. How
// wrong the layer's output becomes follows from them without the inputs: |(W - Q) x|^2 is, on average, the trace of
// (W - Q) G (W - Q)'.
#ifndef BLOCQ_CALIB_GRAM_HPP
#define BLOCQ_CALIB_GRAM_HPP

#include <blocq/core/bits.hpp>
#include <blocq/core/error.hpp>
#include <blocq/core/view.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

class gram {
 public:
  // 8 bytes for each element of the square; std::bad_alloc or std::length_error, as of a vector, if that is more than
  // memory can hold.
  explicit gram(std::size_t columns)
      : columns_(columns), products_(squared(columns)), magnitudes_(columns), largest_(columns) {}

  // Of inputs with a single 1, each column's once: those of a matrix whose rows are looked up count as much as one
  // another.
  static gram of_units(std::size_t columns) {
    gram g(columns);
    for (std::size_t k = 0; k < columns; ++k) g.products_[k * columns + k] = g.magnitudes_[k] = g.largest_[k] = 1.0;
    g.count_ = columns;
    return g;
  }

  std::size_t columns() const noexcept { return columns_; }
  std::size_t count() const noexcept { return count_; }

  // Adds inputs, a row of `columns` for each token. errc::not_finite with the first row concerned, errc::size_mismatch;
  // nothing has been added then. columns^2 / 2 multiplications per token.
  status add(matrix_view<const float> x) {
    if (x.cols != columns_) return {errc::size_mismatch, 0};
    for (std::size_t t = 0; t < x.rows; ++t)
      for (const float v : x.row(t))
        if (!is_finite(v)) return {errc::not_finite, t};
    // Tiles of products that stay in the cache for 64 tokens; each is loaded and stored once for four of them.
    constexpr std::size_t chunk = 64, tall = 32, wide = 256;
    std::vector<double> tokens(chunk * columns_);
    for (std::size_t first = 0; first < x.rows; first += chunk) {
      const std::size_t rows = (std::min)(chunk, x.rows - first), whole = (rows + 3) / 4 * 4;
      std::fill(tokens.begin(), tokens.end(), 0.0);
      for (std::size_t t = 0; t < rows; ++t)
        for (std::size_t k = 0; k < columns_; ++k) {
          const double v = tokens[t * columns_ + k] = static_cast<double>(x.row(first + t)[k]);
          magnitudes_[k] += std::fabs(v);
          largest_[k] = (std::max)(largest_[k], std::fabs(v));
        }
      for (std::size_t top = 0; top < columns_; top += tall)
        for (std::size_t left = top; left < columns_; left += wide)
          for (std::size_t t = 0; t < whole; t += 4)
            add_tile(tokens.data() + t * columns_, top, (std::min)(top + tall, columns_), left,
                     (std::min)(left + wide, columns_));
    }
    count_ += x.rows;
    return {};
  }

  // Adds what another has seen; errc::size_mismatch if it has another number of columns.
  status merge(const gram& other) {
    if (other.columns_ != columns_) return {errc::size_mismatch, 0};
    for (std::size_t i = 0; i < products_.size(); ++i) products_[i] += other.products_[i];
    for (std::size_t k = 0; k < columns_; ++k) {
      magnitudes_[k] += other.magnitudes_[k];
      largest_[k] = (std::max)(largest_[k], other.largest_[k]);
    }
    count_ += other.count_;
    return {};
  }

  // As if column k of every input had been divided by scale[k] > 0: what the layer sees once AWQ or SmoothQuant have
  // moved a scale into its weights.
  void divide_columns(std::span<const float> scale) {
    BLOCQ_ASSERT(scale.size() == columns_);
    for (std::size_t i = 0; i < columns_; ++i) {
      const double si = static_cast<double>(scale[i]);
      for (std::size_t k = i; k < columns_; ++k) products_[i * columns_ + k] /= si * static_cast<double>(scale[k]);
      magnitudes_[i] /= si;
      largest_[i] /= si;
    }
  }

  // Means over the tokens; 0 if there was none.
  double mean(std::size_t i, std::size_t k) const noexcept {
    return count_ == 0 ? 0.0 : products_[(std::min)(i, k) * columns_ + (std::max)(i, k)] / static_cast<double>(count_);
  }
  // Of the squares of each column: what a format's encoder takes as importance.
  std::vector<float> mean_squares() const {
    std::vector<float> out(columns_);
    for (std::size_t k = 0; k < columns_; ++k) out[k] = static_cast<float>(mean(k, k));
    return out;
  }
  std::vector<float> mean_magnitudes() const {
    std::vector<float> out(columns_);
    for (std::size_t k = 0; k < columns_; ++k)
      out[k] = count_ == 0 ? 0.0f : static_cast<float>(magnitudes_[k] / static_cast<double>(count_));
    return out;
  }
  // The largest magnitude of each column.
  std::vector<float> peaks() const { return {largest_.begin(), largest_.end()}; }

  // The mean squared error of e x, an output whose weights are wrong by e: sum of e[i] e[k] mean(first + i, first + k).
  double error(std::span<const float> e, std::size_t first = 0) const noexcept {
    BLOCQ_ASSERT(first + e.size() <= columns_);
    double sum = 0.0;
    for (std::size_t i = 0; i < e.size(); ++i) {
      if (e[i] == 0.0f) continue;
      const double* const row = products_.data() + (first + i) * columns_ + first;
      double product = 0.5 * row[i] * static_cast<double>(e[i]);
      for (std::size_t k = i + 1; k < e.size(); ++k) product += row[k] * static_cast<double>(e[k]);
      sum += 2.0 * product * static_cast<double>(e[i]);
    }
    return count_ == 0 ? 0.0 : sum / static_cast<double>(count_);
  }
  // The same for w that became q, over all rows.
  double error(matrix_view<const float> w, matrix_view<const float> q) const {
    BLOCQ_ASSERT(w.rows == q.rows && w.cols == q.cols && w.cols == columns_);
    std::vector<float> e(columns_);
    double sum = 0.0;
    for (std::size_t n = 0; n < w.rows; ++n) {
      for (std::size_t k = 0; k < columns_; ++k) e[k] = w.row(n)[k] - q.row(n)[k];
      sum += error(e);
    }
    return sum;
  }

 private:
  // The largest number, which no vector can hold, where the square would wrap.
  static constexpr std::size_t squared(std::size_t n) noexcept { return n != 0 && n > SIZE_MAX / n ? SIZE_MAX : n * n; }
  // The products of four tokens, rows [top, bottom) of the square and columns [left, right), no column before its row.
  void add_tile(const double* a, std::size_t top, std::size_t bottom, std::size_t left, std::size_t right) noexcept {
    const double *b = a + columns_, *c = b + columns_, *d = c + columns_;
    for (std::size_t i = top; i < bottom; ++i) {
      double* const row = products_.data() + i * columns_;
      const double ai = a[i], bi = b[i], ci = c[i], di = d[i];
      for (std::size_t k = (std::max)(i, left); k < right; ++k)
        row[k] += (ai * a[k] + bi * b[k]) + (ci * c[k] + di * d[k]);
    }
  }

  std::size_t columns_, count_ = 0;
  std::vector<double> products_;              // the upper triangle, row after row of the square
  std::vector<double> magnitudes_, largest_;  // sums of |x|, and the largest
};

// Multiplies column k of w by scale[k]: with the inputs divided by it (gram::divide_columns) the layer computes the
// same.
inline void multiply_columns(matrix_view<float> w, std::span<const float> scale) noexcept {
  BLOCQ_ASSERT(scale.size() == w.cols);
  for (std::size_t n = 0; n < w.rows; ++n)
    for (std::size_t k = 0; k < w.cols; ++k) w.row(n)[k] *= scale[k];
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
