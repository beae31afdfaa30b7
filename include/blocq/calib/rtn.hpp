// Round to nearest: every weight for itself, with scales from the weights alone. The baseline of all other methods.
#ifndef BLOCQ_CALIB_RTN_HPP
#define BLOCQ_CALIB_RTN_HPP

#include <blocq/calib/rounding.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

// Rounds every run of w. The granularity is the rounding's: integers{.group = 64}, integers{.group = 0} for one scale
// per row, integers{...}.over(w) for one scale in all.
//   importance  a weight for each column, or empty; formats whose encoder takes none ignore it
//   errc::ragged         the columns cannot be cut into runs
//   errc::size_mismatch  importance has another length
//   errc::not_finite, errc::scale_range  naming the first row and run concerned
template <rounding R>
result<rounded<R>> rtn(matrix_view<const float> w, const R& r, std::span<const float> importance = {}) {
  const std::size_t width = r.width(w.cols);
  if (width == 0) return detail::no_runs(w.cols);
  if (!importance.empty() && importance.size() != w.cols)
    return error(errc::size_mismatch) << "there is not one weight for each column";

  rounded<R> out{w.rows, w.cols, std::vector<float>(w.rows * w.cols), r.make_storage(w.rows, w.cols)};
  constexpr std::size_t panel = 64;  // rows that are fitted together
  std::vector<float> gathered(panel * width);
  std::vector<std::uint8_t> codes(width);
  std::vector<typename R::run> runs(panel);
  for (std::size_t first = 0; first < w.rows; first += panel) {
    const std::size_t rows = (std::min)(panel, w.rows - first);
    for (std::size_t i = 0; i * width < w.cols; ++i) {
      for (std::size_t p = 0; p < rows; ++p)
        std::copy_n(w.row(first + p).data() + i * width, width, gathered.data() + p * width);
      const std::span<const float> present(gathered.data(), rows * width);
      const status fitted = r.fit(present, importance.empty() ? importance : importance.subspan(i * width, width),
                                  std::span(runs).first(rows));
      if (!fitted) return detail::no_fit(fitted.code, first + fitted.at, i * width);
      for (std::size_t p = 0; p < rows; ++p) {
        float* const to = out.values.data() + (first + p) * w.cols + i * width;
        for (std::size_t k = 0; k < width; ++k) to[k] = runs[p].round(k, present[p * width + k], codes[k]);
        r.store(out.stored, first + p, i, runs[p], codes.data());
      }
    }
  }
  return out;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
