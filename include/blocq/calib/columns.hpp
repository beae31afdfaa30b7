// GPTQ by whole columns: for methods whose numbers are shared by the rows of a column, where calib/gptq.hpp has those
// that are shared along a row.
#ifndef BLOCQ_CALIB_COLUMNS_HPP
#define BLOCQ_CALIB_COLUMNS_HPP

#include <blocq/calib/eigen.hpp>
#include <blocq/calib/gptq.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::calib::detail {

// Rounds a matrix column by column in the order of a factor, all rows of a column at once: round(k, w, q) makes q of
// the weights w of column k. What is wrong is made good by the columns to come, as in gptq.
template <class Round>
void gptq_by_columns(matrix_view<const float> w, const gptq_factor& f, Round&& round) {
  using index = Eigen::Index;
  const auto n = static_cast<index>(w.cols), rows = static_cast<index>(w.rows);
  constexpr index block = 64;
  matrix present(n, rows), errors(block, rows);  // a column of w in each row
  for (index j = 0; j < n; ++j) {
    const std::uint32_t k = f.order[static_cast<std::size_t>(j)];
    for (index r = 0; r < rows; ++r)
      present(j, r) = f.dead[k] ? 0.0 : static_cast<double>(w.row(static_cast<std::size_t>(r))[k]);
  }
  std::vector<double> q(w.rows);
  for (index begin = 0; begin < n; begin += block) {
    const index end = (std::min)(begin + block, n);
    for (index j = begin; j < end; ++j) {
      round(f.order[static_cast<std::size_t>(j)], std::span<const double>(&present(j, 0), w.rows),
            std::span<double>(q));
      const double pivot = f.u(j, j);
      for (index r = 0; r < rows; ++r) errors(j - begin, r) = (present(j, r) - q[static_cast<std::size_t>(r)]) / pivot;
      for (index i = j + 1; i < end; ++i) present.row(i).noalias() -= f.u(j, i) * errors.row(j - begin);
    }
    const index left = n - end, done = end - begin;
    if (left > 0)
      present.bottomRows(left).noalias() -= f.u.block(begin, end, done, left).transpose() * errors.topRows(done);
  }
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib::detail

#endif
