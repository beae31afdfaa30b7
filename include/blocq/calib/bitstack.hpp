// BitStack: what is left of a matrix as signs times magnitudes of low rank, again and again. Each level takes its share
// of the error off, so that any number of them is a model: as many as there is memory for. Wang, Cheng, Li, Xu, Lin,
// "BitStack: Any-Size Compression of Large Language Models in Variable Memory Environments", 2024.
#ifndef BLOCQ_CALIB_BITSTACK_HPP
#define BLOCQ_CALIB_BITSTACK_HPP

#include <blocq/calib/clusters.hpp>
#include <blocq/calib/factorize.hpp>
#include <blocq/calib/gram.hpp>
#include <blocq/packed/bit_stack.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

struct bitstack_options {
  std::size_t levels = 4;  // 1 to 64
  std::size_t rank = 4;    // of the magnitudes, at most the smaller of rows and columns
};

// Columns are multiplied by the root of `importance`, the mean squares of their inputs or empty, before they are taken
// apart. Memory: 16 bytes for each weight.
//   errc::bad_value      an option outside its range, importance that is below 0 or no number
//   errc::size_mismatch  importance has another length, or there is no weight
//   errc::not_finite, errc::scale_range  naming the row, or a factor that half precision cannot hold
inline result<packed::bit_stack> make_bit_stack(matrix_view<const float> w, const bitstack_options& options = {},
                                                std::span<const float> importance = {}) {
  const std::size_t rows = w.rows, cols = w.cols, rank = options.rank, levels = options.levels;
  if (levels < 1 || levels > 64) return error(errc::bad_value) << "a stack has 1 to 64 levels, not " << levels;
  if (rows == 0 || cols == 0) return detail::no_weights();
  if (rank < 1 || rank > rows || rank > cols)
    return error(errc::bad_value) << "a matrix of " << rows << " rows of " << cols << " has no magnitudes of rank "
                                  << rank;
  if (const auto ok = detail::check_importance(importance, cols); !ok) return ok.error();
  if (const auto ok = detail::check_halves(w); !ok) return ok.error();
  std::vector<float> divisors;
  if (!importance.empty()) {
    double mean = 0.0;  // of the roots: they are about 1 then
    for (const float v : importance) mean += std::sqrt(static_cast<double>(v)) / static_cast<double>(cols);
    for (const float v : importance)
      divisors.push_back(mean > 0.0 ? static_cast<float>((std::max)(std::sqrt(static_cast<double>(v)) / mean, 1e-3))
                                    : 1.0f);
  }
  std::vector<double> rest(rows * cols), magnitudes(rows * cols);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t k = 0; k < cols; ++k)
      rest[r * cols + k] =
          static_cast<double>(w.row(r)[k]) * (divisors.empty() ? 1.0 : static_cast<double>(divisors[k]));
  packed::code_rows signs(levels * rows, cols, 1);
  std::vector<std::uint16_t> left, right;
  std::vector<float> gains;
  const auto energy = [&] {
    double sum = 0.0;
    for (const double x : rest) sum += x * x;
    return sum;
  };
  const double whole = energy();
  double before = whole;
  for (std::size_t level = 0; level < levels; ++level) {
    for (std::size_t i = 0; i < rest.size(); ++i) magnitudes[i] = std::fabs(rest[i]);
    const thin_factors f = factorize(magnitudes, rows, cols, rank);
    const std::size_t a = left.size(), b = right.size();
    for (const double v : f.left) left.push_back(f32_to_f16(static_cast<float>(v)));
    for (const double v : f.right) right.push_back(f32_to_f16(static_cast<float>(v)));
    for (std::size_t i = a; i < left.size(); ++i)
      if ((left[i] & 0x7c00u) == 0x7c00u) return error(errc::scale_range) << "a factor is too large for half precision";
    for (std::size_t i = b; i < right.size(); ++i)
      if ((right[i] & 0x7c00u) == 0x7c00u)
        return error(errc::scale_range) << "a factor is too large for half precision";
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t k = 0; k < cols; ++k) {
        double product = 0.0;  // as it is stored
        for (std::size_t i = 0; i < rank; ++i)
          product += static_cast<double>(f16_to_f32(left[a + r * rank + i])) *
                     static_cast<double>(f16_to_f32(right[b + i * cols + k]));
        double& x = rest[r * cols + k];
        const bool negative = x < 0.0;
        signs.set(level * rows + r, k, negative ? 1 : 0);
        x -= negative ? -product : product;
      }
    const double after = energy();
    gains.push_back(whole > 0.0 ? static_cast<float>((before - after) / whole) : 0.0f);
    before = after;
  }
  return packed::bit_stack(rows, levels, rank, std::move(signs), std::move(left), std::move(right), std::move(divisors),
                           std::move(gains));
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
