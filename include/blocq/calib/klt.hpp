// Rotations that know what they rotate. A Hadamard matrix alone (hadamard.hpp) leaves columns of unequal variance where
// columns are correlated; the eigenvectors of the second moments (the Karhunen-Loeve transform) before it make all
// variances equal. And where a rotation follows a matrix that can take up a scale for each of its rows, columns are
// evened out first. Xu, Yue, Xu, Hu, Yu, Chen, Zhou, Yuan, Yang, "MambaQuant: Quantizing the Mamba Family with Variance
// Aligned Rotation Methods", 2025.
//
// Rotations disappear into the neighbours: with W P x for a consumer W and a producer P of what lies between them,
// (W R) (R' P) x is the same. Between the two may be what commutes with R: sums, and norms without a gain.
#ifndef BLOCQ_CALIB_KLT_HPP
#define BLOCQ_CALIB_KLT_HPP

#include <blocq/calib/eigen.hpp>
#include <blocq/calib/gram.hpp>
#include <blocq/calib/hadamard.hpp>
#include <blocq/calib/smooth.hpp>

#if __has_include(<Eigen/Eigenvalues>)
#include <Eigen/Eigenvalues>
#else
#include <eigen3/Eigen/Eigenvalues>
#endif

#include <algorithm>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

// R = V H / sqrt(n): the eigenvectors of second moments, then a Hadamard matrix. Memory: 8 bytes for each element of
// the square. Work: some 10 n^3 multiplications.
class klt_rotation {
 public:
  // errc::unsupported    no Hadamard matrix of this order is known
  // errc::not_finite     the moments are no numbers, or no eigenvectors were found
  static result<klt_rotation> make(const gram& inputs) {
    const std::size_t n = inputs.columns();
    const auto hadamard = rotation::make(n);
    if (!hadamard) return hadamard.error();
    const auto size = static_cast<Eigen::Index>(n);
    detail::matrix moments(size, size);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t k = 0; k < n; ++k) {
        const double m = inputs.mean(i, k);
        if (!is_finite(static_cast<float>(m))) return error(errc::not_finite) << "the inputs' moments are not finite";
        moments(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(k)) = m;
      }
    const Eigen::SelfAdjointEigenSolver<detail::matrix> of(moments);
    if (of.info() != Eigen::ComputationInfo{})  // Success, which is a macro of X11
      return error(errc::not_finite) << "the inputs' moments have no eigenvectors";
    klt_rotation r;
    r.matrix_ = of.eigenvectors();
    std::vector<float> row(n);
    for (Eigen::Index i = 0; i < size; ++i) {
      for (std::size_t k = 0; k < n; ++k) row[k] = static_cast<float>(r.matrix_(i, static_cast<Eigen::Index>(k)));
      hadamard->apply(std::span<float>(row));
      for (std::size_t k = 0; k < n; ++k) r.matrix_(i, static_cast<Eigen::Index>(k)) = static_cast<double>(row[k]);
    }
    return r;
  }

  std::size_t size() const noexcept { return static_cast<std::size_t>(matrix_.rows()); }

  // x becomes x R, every row. Precondition: x.cols == size().
  void apply(matrix_view<float> x) const {
    BLOCQ_ASSERT(x.cols == size());
    constexpr std::size_t most = 256;  // rows at once
    for (std::size_t first = 0; first < x.rows; first += most) {
      const std::size_t rows = (std::min)(most, x.rows - first);
      detail::matrix part(static_cast<Eigen::Index>(rows), matrix_.rows());
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t k = 0; k < x.cols; ++k)
          part(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(k)) = static_cast<double>(x.row(first + r)[k]);
      const detail::matrix rotated = part * matrix_;
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t k = 0; k < x.cols; ++k)
          x.row(first + r)[k] = static_cast<float>(rotated(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(k)));
    }
  }

 private:
  klt_rotation() = default;

  detail::matrix matrix_ = {};
};

// w becomes R' w: what it produces is rotated then. Precondition: w.rows == r.size(). Memory: w once more.
template <class Rotation>
void rotate_outputs(matrix_view<float> w, const Rotation& r) {
  BLOCQ_ASSERT(w.rows == r.size());
  std::vector<float> turned(w.rows * w.cols);
  for (std::size_t n = 0; n < w.rows; ++n)
    for (std::size_t k = 0; k < w.cols; ++k) turned[k * w.rows + n] = w.row(n)[k];
  r.apply(matrix_view<float>(turned.data(), w.cols, w.rows));
  for (std::size_t n = 0; n < w.rows; ++n)
    for (std::size_t k = 0; k < w.cols; ++k) w.row(n)[k] = turned[k * w.rows + n];
}

// A Hadamard rotation and SmoothQuant's scale before it, folded into both sides of what lies between producer and
// consumers: rows of the producer are divided by the scale and rotated, columns of the consumers multiplied and
// rotated. The scale, for what else the producer has (a bias).
//   peaks  largest magnitudes of what lies between
//   alpha  as in smooth.hpp
//   errc::size_mismatch  the producer's rows, the consumers' columns, peaks and rotation are not of one number
inline result<std::vector<float>> fold_smooth_rotation(matrix_view<float> producer,
                                                       std::span<const matrix_view<float>> consumers,
                                                       std::span<const float> peaks, const rotation& r,
                                                       double alpha = 0.5) {
  if (producer.rows != r.size() || peaks.size() != r.size())
    return error(errc::size_mismatch) << "the producer has " << producer.rows << " rows and there are " << peaks.size()
                                      << " peaks for a rotation of " << r.size();
  std::vector<matrix_view<const float>> views;
  for (const matrix_view<float>& w : consumers) views.push_back({w.data, w.rows, w.cols, w.stride});
  auto scale = smooth_scale(peaks, views, alpha);
  if (!scale) return scale;
  for (std::size_t n = 0; n < producer.rows; ++n)
    for (float& v : producer.row(n)) v /= (*scale)[n];
  rotate_outputs(producer, r);
  for (const matrix_view<float>& w : consumers) {
    multiply_columns(w, *scale);
    r.apply(w);
  }
  return scale;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
