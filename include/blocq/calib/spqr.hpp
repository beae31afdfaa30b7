// SpQR: 3-bit weights in groups of 16 columns, whose scales and zero points are 3-bit numbers too, in groups of 16
// rows; the weights that this would spoil most are set right by a sparse matrix. Fitted like GPTQ, columns of large
// inputs first. Dettmers, Svirschevski, Egiazarian, Kuznedelev, Frantar, Ashkboos, Borzunov, Hoefler, Alistarh, "SpQR:
// A Sparse-Quantized Representation for Near-Lossless LLM Weight Compression", 2023.
#ifndef BLOCQ_CALIB_SPQR_HPP
#define BLOCQ_CALIB_SPQR_HPP

#include <blocq/calib/eigen.hpp>
#include <blocq/calib/gptq.hpp>
#include <blocq/packed/spqr.hpp>

#include <array>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

using packed::spqr_matrix;

struct spqr_options {
  double threshold = 0.2;  // less makes more outliers: an error counts as one beyond threshold times the mean variance
  double damp = 1.0;       // as in gptq_options; 1 is the paper's recipe for few samples of text, 0.01 better with many
  bool act_order = true;
};

namespace detail {

struct spqr_scale {
  double scale = 1.0, zero = 0.0;  // w = scale * (code - zero)

  int code(double w) const noexcept {
    const double q = std::nearbyint(w / scale + zero);
    return static_cast<int>(q < 0.0 ? 0.0 : q > 7.0 ? 7.0 : q);
  }
  double value(int code) const noexcept { return scale * (static_cast<double>(code) - zero); }
};

// From the lowest to the highest of x, whichever `use` keeps; with 0 where binary16 could not hold the zero point, of
// numbers that hardly differ and are not small.
template <class Use>
spqr_scale spqr_fit(const std::array<double, 16>& x, Use&& use) noexcept {
  double low = 1e300, high = -1e300;
  for (std::size_t i = 0; i < 16; ++i)
    if (use(i)) low = (std::min)(low, x[i]), high = (std::max)(high, x[i]);
  if (!(low <= high)) return {};
  const auto scale = [&] { return (std::max)((high - low) / 7.0, 1e-9); };
  if (low == high || std::fabs(low) > 65504.0 * scale())
    low = (std::min)(low, 0.0), high = (std::max)(high, 0.0);  // what is equal is reached exactly, as one end
  return {scale(), -low / scale()};
}

// The nearest binary16; false if that is no number.
inline bool spqr_half(double x, std::uint16_t& half) noexcept {
  half = f32_to_f16(static_cast<float>(x));
  return (half & 0x7c00) != 0x7c00;
}

// The 3-bit codes of `count` numbers that share two binary16: x = scale * (code - zero). Numbers that differ by less
// than binary16 could say become one. False if they are too large for it.
inline bool spqr_second_level(const double* x, std::size_t count, int* codes, std::uint16_t (&halves)[2],
                              spqr_scale& stored) noexcept {
  double low = x[0], high = x[0];
  for (std::size_t i = 1; i < count; ++i) low = (std::min)(low, x[i]), high = (std::max)(high, x[i]);
  const double span = high - low, size = (std::max)(std::fabs(low), std::fabs(high));
  double scale = span / 7.0, zero = span > 0.0 ? -low / scale : 0.0;
  if (!(span > 1e-3 * size)) scale = size > 0.0 ? 0.5 * (low + high) : 1.0, zero = size > 0.0 ? -1.0 : 0.0;
  if (!spqr_half(scale, halves[0]) || !spqr_half(zero, halves[1])) return false;
  stored = {static_cast<double>(f16_to_f32(halves[0])), static_cast<double>(f16_to_f32(halves[1]))};
  for (std::size_t i = 0; i < count; ++i) codes[i] = stored.scale != 0.0 ? stored.code(x[i]) : 0;
  return true;
}

}  // namespace detail

// Fits w to the inputs whose second moments are given.
//   run                    an executor as in op/parallel.hpp, or none
//   errc::ragged           columns that are no multiple of 16
//   errc::too_large        more than 65536 columns: entries have 16 bits for them
//   errc::size_mismatch    w has another number of columns than the inputs
//   errc::not_finite       naming the row
//   errc::scale_range      what binary16 would have to hold is too large for it, naming the first of 16 rows
//   and those of gptq_factorize
template <class Executor = detail::serial>
result<spqr_matrix> spqr(matrix_view<const float> w, const gram& moments, const spqr_options& options = {},
                         Executor&& run = {}) {
  const std::size_t n = w.cols;
  if (n % 16 != 0) return detail::no_runs(n);
  if (n > 65536) return error(errc::too_large) << n << " columns are more than 16 bits can count";
  if (n != moments.columns())
    return error(errc::size_mismatch) << "the weights have " << n << " columns, the inputs " << moments.columns();
  for (std::size_t r = 0; r < w.rows; ++r)
    for (const float v : w.row(r))
      if (!is_finite(v)) return error(errc::not_finite) << message(errc::not_finite) << ": row " << r;
  const auto f = gptq_factorize(moments, {.damp = options.damp, .act_order = options.act_order});
  if (!f) return f.error();
  using index = Eigen::Index;
  const auto pivot = [&](std::size_t j) { return f->u(static_cast<index>(j), static_cast<index>(j)); };

  double limit = 0.0;  // the mean over the columns of their variance, in units of e^2
  for (std::size_t j = 0; j < n; ++j) {
    double sum = 0.0, squares = 0.0;
    for (std::size_t r = 0; r < w.rows; ++r) {
      const double v = static_cast<double>(w.row(r)[f->order[j]]);
      sum += v;
      squares += v * v;
    }
    const auto rows = static_cast<double>(w.rows);
    limit += (squares - sum * sum / rows) / (w.rows > 1 ? rows - 1.0 : 1.0) / (pivot(j) * pivot(j));
  }
  limit *= options.threshold / static_cast<double>(n);

  const std::size_t groups = n / 16, bands = (w.rows + 15) / 16;
  spqr_matrix out(w.rows, n);
  if (options.act_order) out.order.assign(f->order.begin(), f->order.end());
  std::vector<std::vector<std::uint32_t>> sparse(w.rows);
  std::vector<double> losses(bands);
  std::vector<char> held(bands);  // whether binary16 could hold what it has to

  run(bands, [&](std::size_t band) {
    const std::size_t first = band * 16, rows = (std::min<std::size_t>)(16, w.rows - first);
    detail::matrix present(static_cast<index>(rows), static_cast<index>(n)), errors(static_cast<index>(rows), 16);
    for (std::size_t p = 0; p < rows; ++p)
      for (std::size_t j = 0; j < n; ++j)
        present(static_cast<index>(p), static_cast<index>(j)) =
            f->dead[f->order[j]] ? 0.0 : static_cast<double>(w.row(first + p)[f->order[j]]);

    for (std::size_t g = 0; g < groups; ++g) {
      double scales[16], zeros[16];
      for (std::size_t p = 0; p < rows; ++p) {
        std::array<double, 16> x{};
        for (std::size_t i = 0; i < 16; ++i) x[i] = present(static_cast<index>(p), static_cast<index>(16 * g + i));
        const auto error_without = [&](std::size_t left_out) {
          const auto fitted = detail::spqr_fit(x, [&](std::size_t i) { return i != left_out; });
          double sum = 0.0;
          for (std::size_t i = 0; i < 16; ++i) {
            const double e = (x[i] - fitted.value(fitted.code(x[i]))) / pivot(16 * g + i);
            if (i != left_out) sum += e * e;
          }
          return sum;
        };
        const double all = error_without(16);
        bool apart[16];
        for (std::size_t i = 0; i < 16; ++i) apart[i] = all - error_without(i) > limit;
        const auto fitted = detail::spqr_fit(x, [&](std::size_t i) { return !apart[i]; });
        scales[p] = fitted.scale;
        zeros[p] = fitted.zero;
      }
      std::uint64_t* const tile = out.words.data() + (band * groups + g) * 16;
      int scale_codes[16] = {}, zero_codes[16] = {};
      std::uint16_t of_scales[2], of_zeros[2];
      detail::spqr_scale scale_level, zero_level;
      if (!detail::spqr_second_level(scales, rows, scale_codes, of_scales, scale_level) ||
          !detail::spqr_second_level(zeros, rows, zero_codes, of_zeros, zero_level))
        return;
      const std::uint16_t shared[4] = {of_scales[0], of_scales[1], of_zeros[0], of_zeros[1]};
      for (std::size_t p = 0; p < 16; ++p) {
        const unsigned byte = shared[p / 4] >> (p / 2 % 2 * 8) & 0xffu;
        tile[p] = std::uint64_t{byte} << 54 | static_cast<std::uint64_t>(zero_codes[p]) << 3 |
                  static_cast<std::uint64_t>(scale_codes[p]);
      }

      for (std::size_t i = 0; i < 16; ++i) {
        const std::size_t j = 16 * g + i;
        for (std::size_t p = 0; p < rows; ++p) {
          double* const row = &present(static_cast<index>(p), 0);
          const detail::spqr_scale fitted{scale_level.value(scale_codes[p]), zero_level.value(zero_codes[p])};
          const int code = fitted.scale != 0.0 ? fitted.code(row[j]) : 0;
          tile[p] |= static_cast<std::uint64_t>(code) << (6 + 3 * i);
          double e = (row[j] - fitted.value(code)) / pivot(j);
          if (e * e > limit) {
            std::uint16_t half;
            if (!detail::spqr_half(row[j] - fitted.value(code), half)) return;
            sparse[first + p].push_back(std::uint32_t{half} << 16 | static_cast<std::uint32_t>(j));
            e = (row[j] - fitted.value(code) - static_cast<double>(f16_to_f32(half))) / pivot(j);
          }
          losses[band] += e * e;
          errors(static_cast<index>(p), static_cast<index>(i)) = e;
          for (std::size_t k = j + 1; k < 16 * (g + 1); ++k)
            row[k] -= e * f->u(static_cast<index>(j), static_cast<index>(k));
        }
      }
      const auto from = static_cast<index>(16 * g), left = static_cast<index>(n) - from - 16;
      if (left > 0) present.rightCols(left).noalias() -= errors * f->u.block(from, from + 16, 16, left);
    }
    held[band] = 1;
  });
  for (std::size_t band = 0; band < bands; ++band)
    if (held[band] == 0) return error(errc::scale_range) << message(errc::scale_range) << ": rows from " << 16 * band;

  for (std::size_t r = 0; r < w.rows; ++r) {
    out.entries.insert(out.entries.end(), sparse[r].begin(), sparse[r].end());
    out.row_offsets[r + 1] = static_cast<std::uint32_t>(out.entries.size());
  }
  for (const double loss : losses) out.loss += loss;
  return out;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
