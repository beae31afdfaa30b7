// AWQ: columns whose inputs are large are scaled up before they are rounded, so that they lose less, and the inputs are
// divided by the same factors in whatever produces them (a norm's weights, the rows of the layer before). Then the
// largest weights of each run are clipped where that lets the others keep more. Lin, Tang, Tang, Yang, Dang, Han, "AWQ:
// Activation-aware Weight Quantization for LLM Compression and Acceleration", 2023.
//
// Nothing of it is left in the file but other weights:
//
//   auto s = awq_scale(w, moments, r);          // s->scale
//   multiply_columns(w, s->scale);              // and divide what produces the inputs
//   moments.divide_columns(s->scale);
//   awq_clip(w, moments, r);
//   rtn(w, r), or gptq(w, moments, r)
#ifndef BLOCQ_CALIB_AWQ_HPP
#define BLOCQ_CALIB_AWQ_HPP

#include <blocq/calib/gram.hpp>
#include <blocq/calib/rtn.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

struct awq_options {
  int exponents = 20;           // tried: 0, 1 / exponents, ... below 1; 0 in any case
  int clips = 10;               // tried: the largest magnitude times 1, 0.95, 0.90, ...
  std::size_t search_rows = 0;  // rows of each matrix that the search for the scale looks at, evenly spread; 0: all
  bool importance = true;       // the encoder of a format that takes importance gets the mean squares of the inputs
};

struct awq_scales {
  std::vector<float> scale = {};   // by which column k of the weights is multiplied
  float exponent = 0.0f;           // scale ~ (mean magnitude of the inputs)^exponent; 0 where nothing was gained
  double loss = 0.0, plain = 0.0;  // the outputs' squared error with the scale, and without; sums over rows
};

namespace detail {

// Of rows [0, rows), `wanted` evenly spread ones, or all.
inline std::vector<std::size_t> spread_rows(std::size_t rows, std::size_t wanted) {
  const std::size_t n = wanted == 0 || wanted > rows ? rows : wanted;
  std::vector<std::size_t> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = i * rows / n;
  return out;
}

// mean_magnitude^exponent, the product of the smallest and the largest scaled to 1. A column that is hardly ever
// anything but 0 counts as a thousandth of the median, or its scale would decide that of all others.
inline std::vector<float> awq_scale_of(const std::vector<float>& magnitudes, double exponent) {
  if (magnitudes.empty()) return {};
  std::vector<float> sorted = magnitudes;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  const float least = *middle > 0.0f ? 1e-3f * *middle : 1.0f;
  double low = 1e300, high = 0.0;
  std::vector<double> power(magnitudes.size());
  for (std::size_t k = 0; k < power.size(); ++k) {
    power[k] = std::pow(static_cast<double>((std::max)(magnitudes[k], least)), exponent);
    low = (std::min)(low, power[k]);
    high = (std::max)(high, power[k]);
  }
  std::vector<float> out(power.size());
  for (std::size_t k = 0; k < out.size(); ++k) out[k] = static_cast<float>(power[k] / std::sqrt(low * high));
  return out;
}

}  // namespace detail

// The scale with the smallest error of the outputs of all `consumers`, which share one input, when r rounds their
// weights. Only the exponent is searched.
//   errc::size_mismatch  a matrix has another number of columns than the inputs
//   errc::missing        there are no consumers, or no inputs
//   and those of rtn
template <rounding R>
result<awq_scales> awq_scale(std::span<const matrix_view<const float>> consumers, const gram& moments, const R& r,
                             const awq_options& options = {}) {
  const std::size_t columns = moments.columns();
  if (consumers.empty() || moments.count() == 0) return error(errc::missing) << "there is nothing to calibrate";
  for (const matrix_view<const float>& w : consumers)
    if (w.cols != columns)
      return error(errc::size_mismatch) << "the weights have " << w.cols << " columns, the inputs " << columns;
  const std::vector<float> magnitudes = moments.mean_magnitudes(), squares = moments.mean_squares();

  awq_scales best;
  std::vector<float> importance(options.importance ? columns : 0), e(columns);
  const int exponents = (std::max)(options.exponents, 1);
  for (int i = 0; i < exponents; ++i) {
    const double exponent = static_cast<double>(i) / exponents;
    const std::vector<float> scale = detail::awq_scale_of(magnitudes, exponent);
    for (std::size_t k = 0; k < importance.size(); ++k) importance[k] = squares[k] / (scale[k] * scale[k]);
    double loss = 0.0;
    for (const matrix_view<const float>& w : consumers) {
      const std::vector<std::size_t> rows = detail::spread_rows(w.rows, options.search_rows);
      std::vector<float> scaled(rows.size() * columns);
      for (std::size_t n = 0; n < rows.size(); ++n)
        for (std::size_t k = 0; k < columns; ++k) scaled[n * columns + k] = w.row(rows[n])[k] * scale[k];
      const auto q = rtn({scaled.data(), rows.size(), columns, columns}, r, importance);
      if (!q) return q.error();
      for (std::size_t n = 0; n < rows.size(); ++n) {
        for (std::size_t k = 0; k < columns; ++k)
          e[k] = (scaled[n * columns + k] - q->values[n * columns + k]) / scale[k];
        loss += moments.error(e);
      }
    }
    if (i == 0) best.plain = loss;
    if (i == 0 || loss < best.loss) {
      best.loss = loss;
      best.exponent = static_cast<float>(exponent);
      best.scale = scale;
    }
  }
  return best;
}
template <rounding R>
result<awq_scales> awq_scale(matrix_view<const float> w, const gram& moments, const R& r,
                             const awq_options& options = {}) {
  return awq_scale(std::span(&w, 1), moments, r, options);
}

// Clamps every run of w to the threshold that makes its own part of the output least wrong when r rounds it. Returns
// what it clamped to, a threshold for each run of each row. Not for the query and key projections of an attention
// layer, whose outputs are multiplied with each other.
//   errc::size_mismatch, and those of rtn; w may then be clamped in part
template <rounding R>
result<std::vector<float>> awq_clip(matrix_view<float> w, const gram& moments, const R& r,
                                    const awq_options& options = {}) {
  const std::size_t columns = w.cols, width = r.width(columns);
  if (columns != moments.columns())
    return error(errc::size_mismatch) << "the weights have " << columns << " columns, the inputs " << moments.columns();
  if (width == 0) return detail::no_runs(columns);
  const std::vector<float> squares = options.importance ? moments.mean_squares() : std::vector<float>{};

  constexpr std::size_t panel = 64;
  std::vector<float> limits(w.rows * (columns / width)), clamped(panel * width), e(width);
  std::vector<typename R::run> runs(panel);
  for (std::size_t first = 0; first < w.rows; first += panel) {
    const std::size_t rows = (std::min)(panel, w.rows - first);
    for (std::size_t begin = 0; begin < columns; begin += width) {
      double least[panel] = {};
      float peak[panel] = {};
      const auto limit_of = [&](std::size_t p) -> float& {
        return limits[(first + p) * (columns / width) + begin / width];
      };
      for (std::size_t p = 0; p < rows; ++p)
        for (const float v : w.row(first + p).subspan(begin, width)) peak[p] = (std::max)(peak[p], std::fabs(v));
      for (int i = 0; i < (std::max)(options.clips, 1); ++i) {
        const float part = 1.0f - 0.05f * static_cast<float>(i);
        if (!(part > 0.0f)) break;
        for (std::size_t p = 0; p < rows; ++p)
          for (std::size_t k = 0; k < width; ++k)
            clamped[p * width + k] = std::clamp(w.row(first + p)[begin + k], -peak[p] * part, peak[p] * part);
        const std::span<const float> importance(squares);
        const status fitted =
            r.fit(std::span<const float>(clamped).first(rows * width),
                  squares.empty() ? importance : importance.subspan(begin, width), std::span(runs).first(rows));
        if (!fitted) return detail::no_fit(fitted.code, first + fitted.at, begin);
        for (std::size_t p = 0; p < rows; ++p) {
          std::uint8_t code = 0;
          for (std::size_t k = 0; k < width; ++k)
            e[k] = w.row(first + p)[begin + k] - runs[p].round(k, clamped[p * width + k], code);
          const double loss = moments.error(e, begin);
          if (i == 0 || loss < least[p]) {
            least[p] = loss;
            limit_of(p) = peak[p] * part;
          }
        }
      }
      for (std::size_t p = 0; p < rows; ++p)
        for (float& v : w.row(first + p).subspan(begin, width)) v = std::clamp(v, -limit_of(p), limit_of(p));
    }
  }
  return limits;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
