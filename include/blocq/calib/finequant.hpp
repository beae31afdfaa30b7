// FineQuant: symmetric integers whose groups are as large as a row can bear. A row begins with one scale, and its
// groups are halved for as long as that narrows their ranges enough: rows of even weights keep few scales, a row with
// an outlier gives it a small group of its own. Kim, Henry, Fahim, Awadalla, "FineQuant: Unlocking Efficiency with
// Fine-Grained Weight-Only Quantization for LLMs", 2023. How much is enough the paper does not say; `narrowing` is
// ours.
#ifndef BLOCQ_CALIB_FINEQUANT_HPP
#define BLOCQ_CALIB_FINEQUANT_HPP

#include <blocq/calib/clusters.hpp>
#include <blocq/packed/row_groups.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

struct finequant_options {
  int bits = 4;            // 2 to 7
  std::size_t least = 64;  // columns of a group, at least; a multiple of 32
  double narrowing = 0.8;  // halved while the mean of the squared peaks becomes less than that many times what it was;
                           // 0: never, 2: always
};

// Each weight becomes the nearest multiple of the scale of its group, the largest magnitude over 2^(bits - 1) - 1.
// Groups are halved only to multiples of 32. Data-free.
//   errc::bad_value      bits, or a least size that is no multiple of 32
//   errc::size_mismatch  there is no weight
//   errc::not_finite, errc::scale_range  naming the row
inline result<packed::row_groups> finequant(matrix_view<const float> w, const finequant_options& options = {}) {
  if (options.bits < 2 || options.bits > 7)
    return error(errc::bad_value) << "codes of such groups have 2 to 7 bits, not " << options.bits;
  if (options.least == 0 || options.least % 32 != 0)
    return error(errc::bad_value) << "groups of " << options.least << " columns are no multiple of 32";
  if (w.rows == 0 || w.cols == 0) return detail::no_weights();
  if (const auto ok = detail::check_halves(w); !ok) return ok.error();
  const fp_environment modes;
  const int top = (1 << (options.bits - 1)) - 1;
  packed::code_rows codes(w.rows, w.cols, options.bits);
  std::vector<std::uint32_t> offsets = {0};
  std::vector<std::uint16_t> scales;
  for (std::size_t r = 0; r < w.rows; ++r) {
    const std::span<const float> row = w.row(r);
    const auto peaks_of = [&](std::size_t groups) {
      std::vector<float> peaks(groups);
      const std::size_t size = row.size() / groups;
      for (std::size_t k = 0; k < row.size(); ++k) peaks[k / size] = (std::max)(peaks[k / size], std::fabs(row[k]));
      return peaks;
    };
    const auto mean_square = [](const std::vector<float>& peaks) {
      double sum = 0.0;
      for (const float p : peaks) sum += static_cast<double>(p) * static_cast<double>(p);
      return sum / static_cast<double>(peaks.size());
    };
    std::vector<float> peaks = peaks_of(1);
    for (std::size_t groups = 2;
         packed::row_groups::can_cut(row.size(), groups) && row.size() / groups >= options.least; groups *= 2) {
      std::vector<float> halved = peaks_of(groups);
      if (!(mean_square(halved) < options.narrowing * mean_square(peaks))) break;
      peaks = std::move(halved);
    }
    const std::size_t size = row.size() / peaks.size(), begin = scales.size();
    for (const float p : peaks) scales.push_back(f32_to_f16(p / static_cast<float>(top)));
    for (std::size_t k = 0; k < row.size(); ++k) {
      const float scale = f16_to_f32(scales[begin + k / size]);
      const float q = scale > 0.0f ? std::nearbyint(row[k] / scale) : 0.0f;
      const float most = static_cast<float>(top);
      codes.set(r, k, static_cast<int>((std::clamp)(q, -most, most)) + top + 1);
    }
    offsets.push_back(static_cast<std::uint32_t>(scales.size()));
  }
  return packed::row_groups(std::move(codes), std::move(offsets), std::move(scales));
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
