// Palettes of weights: the 2^bits numbers that a matrix, or a group of its rows, is best made of, by weighted Lloyd's
// iteration (clusters.hpp). What DKM and eDKM leave behind when they have trained, found here without training.
#ifndef BLOCQ_CALIB_PALETTE_HPP
#define BLOCQ_CALIB_PALETTE_HPP

#include <blocq/calib/clusters.hpp>
#include <blocq/packed/palette.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

struct palette_options {
  int bits = 4;           // 1 to 8
  std::size_t group = 0;  // rows that share a palette; 0: all of them
  int iterations = 100;   // at most
};

// Each weight becomes the nearest number of its palette. Data-free but for `importance`, a weight for each column (the
// mean squares of the inputs) or empty. Memory: 1.5 MB, and the result.
//   errc::bad_value      bits; importance that is below 0 or no number
//   errc::size_mismatch  importance has another length, or there is no weight
//   errc::not_finite, errc::scale_range  naming the row
inline result<packed::palette> make_palette(matrix_view<const float> w, const palette_options& options = {},
                                            std::span<const float> importance = {}) {
  if (options.bits < 1 || options.bits > 8)
    return error(errc::bad_value) << "a palette's codes have 1 to 8 bits, not " << options.bits;
  if (w.rows == 0 || w.cols == 0) return detail::no_weights();
  if (const auto ok = detail::check_importance(importance, w.cols); !ok) return ok.error();
  if (const auto ok = detail::check_halves(w); !ok) return ok.error();
  const std::size_t entries = std::size_t{1} << options.bits;
  const std::size_t group = options.group == 0 ? w.rows : (std::min)(options.group, w.rows);
  packed::code_rows codes(w.rows, w.cols, options.bits);
  std::vector<std::uint16_t> codebook;
  for (std::size_t first = 0; first < w.rows; first += group) {
    const std::size_t last = (std::min)(first + group, w.rows);
    const weighted_values values(w, first, last, importance);
    std::vector<double> centroids = values.spread(entries);
    values.cluster(centroids, options.iterations);
    std::vector<float> table;
    for (const double c : centroids) {
      codebook.push_back(f32_to_f16(static_cast<float>(c)));
      table.push_back(f16_to_f32(codebook.back()));
    }
    const detail::nearest_entry nearest(table);
    for (std::size_t r = first; r < last; ++r)
      for (std::size_t k = 0; k < w.cols; ++k) codes.set(r, k, nearest(w.row(r)[k]));
  }
  return packed::palette(std::move(codes), group, std::move(codebook));
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
