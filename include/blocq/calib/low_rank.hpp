// What a quantizer has wrong, as a product of two thin matrices beside its blocks. Columns count as much as their
// inputs do: the singular vectors are those of the error times the root of the mean squares. Yao, Wu, Li, Youn, He,
// "ZeroQuant-V2: ... Low Rank Compensation" (LoRC), 2023; Zhang, Cheng, Constantinides, Zhao, "LQER: Low-Rank
// Quantization Error Reconstruction for LLMs", 2024.
#ifndef BLOCQ_CALIB_LOW_RANK_HPP
#define BLOCQ_CALIB_LOW_RANK_HPP

#include <blocq/calib/clusters.hpp>
#include <blocq/calib/factorize.hpp>
#include <blocq/packed/low_rank.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

// The product of rank `rank` that is nearest to w - q where column k counts importance[k], or 1 if that is empty. (A
// column that counts nothing counts a millionth of the largest.) Memory: 8 bytes for each weight, and that of
// factorize.
//   errc::bad_value      a rank of 0 or above that of the matrix, importance that is below 0 or no number
//   errc::size_mismatch  q is another shape, importance has another length
//   errc::not_finite, errc::scale_range  naming the row of w - q, or a factor, that half precision cannot hold
inline result<packed::low_rank> low_rank_error(matrix_view<const float> w, matrix_view<const float> q, std::size_t rank,
                                               std::span<const float> importance = {}) {
  if (w.rows != q.rows || w.cols != q.cols)
    return error(errc::size_mismatch) << "the two matrices do not have the same shape";
  if (rank == 0 || rank > w.rows || rank > w.cols)
    return error(errc::bad_value) << "a matrix of " << w.rows << " rows of " << w.cols << " has no product of rank "
                                  << rank;
  if (const auto ok = detail::check_importance(importance, w.cols); !ok) return ok.error();
  double largest = 0.0;
  for (const float v : importance) largest = (std::max)(largest, static_cast<double>(v));
  std::vector<double> scale(w.cols, 1.0), e(w.rows * w.cols);
  if (largest > 0.0)
    for (std::size_t k = 0; k < w.cols; ++k)
      scale[k] = std::sqrt((std::max)(static_cast<double>(importance[k]) / largest, 1e-6));
  for (std::size_t r = 0; r < w.rows; ++r)
    for (std::size_t k = 0; k < w.cols; ++k) {
      const float d = w.row(r)[k] - q.row(r)[k];
      if (!is_finite(d)) return error(errc::not_finite) << message(errc::not_finite) << ": row " << r;
      e[r * w.cols + k] = static_cast<double>(d) * scale[k];
    }
  const thin_factors f = factorize(e, w.rows, w.cols, rank);
  std::vector<std::uint16_t> left, right;
  for (const double v : f.left) left.push_back(f32_to_f16(static_cast<float>(v)));
  for (std::size_t i = 0; i < f.right.size(); ++i)
    right.push_back(f32_to_f16(static_cast<float>(f.right[i] / scale[i % w.cols])));
  for (const auto* factor : {&left, &right})
    for (const std::uint16_t h : *factor)
      if ((h & 0x7c00u) == 0x7c00u) return error(errc::scale_range) << "a factor is too large for half precision";
  return packed::low_rank(w.rows, w.cols, std::move(left), std::move(right));
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
