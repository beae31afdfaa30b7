// The best product of two thin matrices for a given one: subspace iteration (Halko, Martinsson, Tropp, 2011) and, in
// the subspace, the eigenvalues of a small symmetric matrix by Jacobi's rotations. Plain loops: nothing else is needed.
#ifndef BLOCQ_CALIB_FACTORIZE_HPP
#define BLOCQ_CALIB_FACTORIZE_HPP

#include <blocq/calib/random.hpp>
#include <blocq/core/config.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

struct eigenvectors {
  std::vector<double> values = {};   // descending
  std::vector<double> vectors = {};  // n by n, a vector in each column, in the order of the values
};

// Of a symmetric matrix of n by n, row after row. About 10 n^3 multiplications a sweep, five to ten sweeps.
inline eigenvectors symmetric_eigenvectors(std::vector<double> a, std::size_t n) {
  std::vector<double> v(n * n);  // a vector in each row until the end
  for (std::size_t i = 0; i < n; ++i) v[i * n + i] = 1.0;
  double scale = 0.0;
  for (const double x : a) scale += x * x;
  for (int sweep = 0; sweep < 60; ++sweep) {
    double off = 0.0;
    for (std::size_t p = 0; p < n; ++p)
      for (std::size_t q = p + 1; q < n; ++q) off += a[p * n + q] * a[p * n + q];
    if (off <= 1e-26 * scale) break;
    for (std::size_t p = 0; p < n; ++p)
      for (std::size_t q = p + 1; q < n; ++q) {
        const double apq = a[p * n + q];
        if (apq == 0.0) continue;
        const double theta = 0.5 * (a[q * n + q] - a[p * n + p]) / apq;
        const double t = (theta < 0 ? -1.0 : 1.0) / (std::fabs(theta) + std::sqrt(theta * theta + 1.0));
        const double c = 1.0 / std::sqrt(t * t + 1.0), s = t * c;
        for (std::size_t k = 0; k < n; ++k) {
          const double x = a[k * n + p], y = a[k * n + q];
          a[k * n + p] = c * x - s * y;
          a[k * n + q] = s * x + c * y;
        }
        for (std::size_t k = 0; k < n; ++k) {
          const double x = a[p * n + k], y = a[q * n + k];
          a[p * n + k] = c * x - s * y;
          a[q * n + k] = s * x + c * y;
        }
        for (std::size_t k = 0; k < n; ++k) {
          const double x = v[p * n + k], y = v[q * n + k];
          v[p * n + k] = c * x - s * y;
          v[q * n + k] = s * x + c * y;
        }
      }
  }
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t i, std::size_t j) { return a[i * n + i] > a[j * n + j]; });
  eigenvectors out{std::vector<double>(n), std::vector<double>(n * n)};
  for (std::size_t i = 0; i < n; ++i) {
    out.values[i] = a[order[i] * n + order[i]];
    for (std::size_t k = 0; k < n; ++k) out.vectors[k * n + i] = v[order[i] * n + k];
  }
  return out;
}

struct thin_factors {
  std::size_t rank = 0;
  std::vector<double> left = {}, right = {};  // rows by rank, rank by columns; both have the roots of singular values
};

namespace detail {

// Makes the columns of a, n by m, row after row, orthonormal; a column that depends on the others becomes 0.
inline void orthonormalize(std::vector<double>& a, std::size_t n, std::size_t m) {
  for (std::size_t j = 0; j < m; ++j) {
    double before = 0.0;
    for (std::size_t k = 0; k < n; ++k) before += a[k * m + j] * a[k * m + j];
    for (int twice = 0; twice < 2; ++twice)
      for (std::size_t i = 0; i < j; ++i) {
        double dot = 0.0;
        for (std::size_t k = 0; k < n; ++k) dot += a[k * m + i] * a[k * m + j];
        for (std::size_t k = 0; k < n; ++k) a[k * m + j] -= dot * a[k * m + i];
      }
    double square = 0.0;
    for (std::size_t k = 0; k < n; ++k) square += a[k * m + j] * a[k * m + j];
    const double unit = square > 1e-24 * before && square > 0.0 ? 1.0 / std::sqrt(square) : 0.0;
    for (std::size_t k = 0; k < n; ++k) a[k * m + j] *= unit;
  }
}

}  // namespace detail

// The product of rank `rank` nearest to e, rows by cols, row after row: the first singular vectors. Exact up to
// rounding where rank is the smaller of rows and columns; deterministic. Precondition: rank <= both, e is finite. About
// 60 (rank + 8) rows cols multiplications, and (rank + 8) (rows + cols) numbers besides e.
inline thin_factors factorize(const std::vector<double>& e, std::size_t rows, std::size_t cols, std::size_t rank) {
  BLOCQ_ASSERT(e.size() == rows * cols && rank <= rows && rank <= cols);
  const std::size_t m = (std::min)(rank + 8, (std::min)(rows, cols));
  std::vector<double> basis(cols * m), image(rows * m);
  detail::random_numbers next(1);
  for (double& x : basis) x = next.uniform() - 0.5;
  const auto apply = [&] {  // image = e basis
    std::fill(image.begin(), image.end(), 0.0);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t k = 0; k < cols; ++k) {
        const double v = e[r * cols + k];
        for (std::size_t j = 0; j < m; ++j) image[r * m + j] += v * basis[k * m + j];
      }
  };
  detail::orthonormalize(basis, cols, m);
  for (int i = 0; i < 30; ++i) {
    apply();
    std::fill(basis.begin(), basis.end(), 0.0);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t k = 0; k < cols; ++k) {
        const double v = e[r * cols + k];
        for (std::size_t j = 0; j < m; ++j) basis[k * m + j] += v * image[r * m + j];
      }
    detail::orthonormalize(basis, cols, m);
  }
  apply();
  std::vector<double> gram(m * m);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < m; ++j) gram[i * m + j] += image[r * m + i] * image[r * m + j];
  const eigenvectors of = symmetric_eigenvectors(std::move(gram), m);
  thin_factors out{rank, std::vector<double>(rows * rank), std::vector<double>(rank * cols)};
  for (std::size_t i = 0; i < rank; ++i) {
    const double root = std::sqrt(std::sqrt((std::max)(of.values[i], 0.0)));
    if (!(root > 0.0)) continue;
    for (std::size_t r = 0; r < rows; ++r) {
      double sum = 0.0;
      for (std::size_t j = 0; j < m; ++j) sum += image[r * m + j] * of.vectors[j * m + i];
      out.left[r * rank + i] = sum / root;
    }
    for (std::size_t k = 0; k < cols; ++k) {
      double sum = 0.0;
      for (std::size_t j = 0; j < m; ++j) sum += basis[k * m + j] * of.vectors[j * m + i];
      out.right[i * cols + k] = sum * root;
    }
  }
  return out;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
