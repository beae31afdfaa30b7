// SplitQuant: the weights of a matrix in three clusters, each with steps of its own range, so that few large weights do
// not take the steps from all others. The three parts added up, zeros where a weight belongs to another, are one table
// of 3 * 2^bits numbers: a palette with two bits more, that say which part it is. Song, Lin, "SplitQuant: Layer
// Splitting for Low-Bit Neural Network Quantization", 2025.
#ifndef BLOCQ_CALIB_SPLIT_RANGES_HPP
#define BLOCQ_CALIB_SPLIT_RANGES_HPP

#include <blocq/calib/clusters.hpp>
#include <blocq/packed/palette.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

struct split_options {
  int bits = 4;  // of a code within its part, 2 to 6; stored are two more
};

// The parts are three clusters in one dimension; their ranges do not include 0 unless a weight of theirs does. Each
// weight becomes the nearest number of the table. Data-free. Memory: 1.5 MB, and the result.
//   errc::bad_value      bits
//   errc::size_mismatch  there is no weight
//   errc::not_finite, errc::scale_range  naming the row
inline result<packed::palette> split_ranges(matrix_view<const float> w, const split_options& options = {}) {
  if (options.bits < 2 || options.bits > 6)
    return error(errc::bad_value) << "the codes of a part have 2 to 6 bits, not " << options.bits;
  if (w.rows == 0 || w.cols == 0) return detail::no_weights();
  if (const auto ok = detail::check_halves(w); !ok) return ok.error();
  const weighted_values values(w, 0, w.rows, {});
  std::vector<double> centroids = values.spread(3);
  values.cluster(centroids, 1000);
  const std::span<const double> numbers = values.numbers();
  const std::size_t steps = std::size_t{1} << options.bits;
  std::vector<float> table;
  std::size_t first = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    std::size_t last = numbers.size();
    if (c < 2) {
      const double middle = 0.5 * (centroids[c] + centroids[c + 1]);
      last = static_cast<std::size_t>(std::upper_bound(numbers.begin(), numbers.end(), middle) - numbers.begin());
    }
    // A part that nothing is in repeats the number before it.
    const double low = first < last ? numbers[first] : table.empty() ? numbers[0] : static_cast<double>(table.back());
    const double high = first < last ? numbers[last - 1] : low;
    for (std::size_t q = 0; q < steps; ++q)
      table.push_back(f16_to_f32(f32_to_f16(
          static_cast<float>(low + (high - low) * static_cast<double>(q) / static_cast<double>(steps - 1)))));
    first = last;
  }
  packed::code_rows codes(w.rows, w.cols, options.bits + 2);
  const detail::nearest_entry nearest(table);
  for (std::size_t r = 0; r < w.rows; ++r)
    for (std::size_t k = 0; k < w.cols; ++k) codes.set(r, k, nearest(w.row(r)[k]));
  std::vector<std::uint16_t> codebook;
  for (const float v : table) codebook.push_back(f32_to_f16(v));
  codebook.resize(4 * steps);  // no code means a fourth part
  return packed::palette(std::move(codes), w.rows, std::move(codebook));
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
