// The one place that includes Eigen, of which this folder uses the dense matrices and the Cholesky decomposition;
// klt.hpp adds the eigenvectors, which take long to compile. Eigen's functions live in its own namespace, not in that
// of the instruction set: translation units of one program that include this header are to be compiled with the same
// instruction-set flags.
#ifndef BLOCQ_CALIB_EIGEN_HPP
#define BLOCQ_CALIB_EIGEN_HPP

#if __has_include(<Eigen/Cholesky>)
#include <Eigen/Cholesky>
#elif __has_include(<eigen3/Eigen/Cholesky>)
#include <eigen3/Eigen/Cholesky>
#else
#error "this header needs Eigen 3 (Debian: libeigen3-dev)"
#endif

#include <blocq/core/config.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::calib::detail {

using matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib::detail

#endif
