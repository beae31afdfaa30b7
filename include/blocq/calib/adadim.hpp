// AdaDim: groups along the inputs or along the outputs, whichever has the smaller output error. Where inputs are
// extreme the weights of their columns are too, and a group that lies within one column keeps them to themselves. Heo,
// Kim, Kwon, Kim, Kwon, Lee, "Rethinking Channel Dimensions to Isolate Outliers for Low-bit Weight Quantization of
// Large Language Models", 2023. The dimension is chosen by rounding to nearest, as there; GPTQ then fits either.
#ifndef BLOCQ_CALIB_ADADIM_HPP
#define BLOCQ_CALIB_ADADIM_HPP

#include <blocq/calib/clusters.hpp>
#include <blocq/calib/columns.hpp>
#include <blocq/calib/eigen.hpp>
#include <blocq/calib/rtn.hpp>
#include <blocq/packed/column_groups.hpp>
#include <blocq/packed/int_groups.hpp>

#include <variant>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

struct adadim_options {
  int bits = 4;             // 2 to 4
  std::size_t group = 128;  // columns of a row, or rows of a column; a multiple of 32
  bool gptq = false;
  double damp = 0.01;  // as in gptq_options
};

struct adadim_result {
  std::variant<packed::int_groups, packed::column_groups> matrix;
  double error_in_rows, error_in_columns;  // of rounding to nearest, as gram::error has it

  bool in_columns() const noexcept { return matrix.index() == 1; }
};

namespace detail {

// The steps of groups of rows in a column: from the lowest to the highest weight, 0 included.
struct column_steps {
  std::uint16_t scale = 0;  // binary16
  int zero = 0;

  static column_steps fit(const double* w, std::size_t n, int bits) noexcept {
    double low = 0.0, high = 0.0;
    for (std::size_t i = 0; i < n; ++i) low = (std::min)(low, w[i]), high = (std::max)(high, w[i]);
    const int top = (1 << bits) - 1;
    column_steps s;
    s.scale = f32_to_f16(static_cast<float>((high - low) / top));
    const auto step = static_cast<double>(f16_to_f32(s.scale));
    if (step > 0.0) s.zero = static_cast<int>((std::clamp)(std::nearbyint(-low / step), 0.0, 1.0 * top));
    return s;
  }
  int code(double w, int bits) const noexcept {
    const auto step = static_cast<double>(f16_to_f32(scale));
    const double q = step > 0.0 ? std::nearbyint(w / step) + zero : zero;
    return static_cast<int>((std::clamp)(q, 0.0, static_cast<double>((1 << bits) - 1)));
  }
  double value(int code) const noexcept { return static_cast<double>(f16_to_f32(scale)) * (code - zero); }
};

}  // namespace detail

// Memory: 12 bytes for each weight and, with gptq, 8 more and 16 for each element of the square of the columns.
//   errc::bad_value      bits, or groups that are no multiple of 32
//   errc::ragged         columns that are no multiple of the group
//   errc::size_mismatch  the inputs are of another number of columns, or there is no weight
//   errc::not_finite, errc::scale_range  naming the row or the column
//   and those of gptq_factorize
inline result<adadim_result> adadim(matrix_view<const float> w, const gram& inputs,
                                    const adadim_options& options = {}) {
  const fp_environment modes;
  const std::size_t rows = w.rows, cols = w.cols, group = options.group;
  if (options.bits < 2 || options.bits > 4)
    return error(errc::bad_value) << "codes of 2 to 4 bits can be packed, not of " << options.bits;
  if (group == 0 || group % 32 != 0)
    return error(errc::bad_value) << "groups of " << group << " weights are no multiple of 32";
  if (rows == 0 || cols == 0) return detail::no_weights();
  if (inputs.columns() != cols)
    return error(errc::size_mismatch) << "the weights have " << cols << " columns, the inputs " << inputs.columns();
  if (const auto ok = detail::check_halves(w); !ok) return ok.error();
  const integers in_rows{.bits = options.bits, .group = group};
  auto by_rows = rtn(w, in_rows);
  if (!by_rows) return by_rows.error();

  const std::size_t bands = (rows + group - 1) / group;
  packed::code_rows codes(rows, cols, options.bits);
  std::vector<std::uint16_t> scales(bands * cols);
  std::vector<std::uint8_t> zeros(bands * cols);
  const auto round = [&](std::size_t k, std::span<const double> column, std::span<double> q) {
    for (std::size_t band = 0; band < bands; ++band) {
      const std::size_t first = band * group, last = (std::min)(first + group, rows);
      const auto steps = detail::column_steps::fit(column.data() + first, last - first, options.bits);
      scales[band * cols + k] = steps.scale;
      zeros[band * cols + k] = static_cast<std::uint8_t>(steps.zero);
      for (std::size_t r = first; r < last; ++r) {
        const int code = steps.code(column[r], options.bits);
        codes.set(r, k, code);
        q[r] = steps.value(code);
      }
    }
  };
  std::vector<double> column(rows), q(rows);
  std::vector<float> values(rows * cols);
  for (std::size_t k = 0; k < cols; ++k) {
    for (std::size_t r = 0; r < rows; ++r) column[r] = static_cast<double>(w.row(r)[k]);
    round(k, column, q);
    for (std::size_t r = 0; r < rows; ++r) values[r * cols + k] = static_cast<float>(q[r]);
  }
  const double of_rows = inputs.error(w, {by_rows->values.data(), rows, cols}),
               of_columns = inputs.error(w, {values.data(), rows, cols});
  const bool in_columns = of_columns < of_rows;
  if (options.gptq) {
    // Columns of large inputs first; groups within a column need no order of their own.
    const auto f = gptq_factorize(inputs, {.damp = options.damp, .act_order = true});
    if (!f) return f.error();
    if (in_columns) {
      detail::gptq_by_columns(w, *f, round);
    } else {
      auto fitted = gptq(w, *f, in_rows);
      if (!fitted) return fitted.error();
      by_rows->stored = std::move(fitted->stored);
    }
  }
  if (in_columns) {
    for (std::size_t i = 0; i < scales.size(); ++i)
      if ((scales[i] & 0x7c00u) == 0x7c00u)
        return error(errc::scale_range) << "column " << i % cols << " is too large for a scale in half precision";
    return adadim_result{packed::column_groups(std::move(codes), group, std::move(scales), std::move(zeros)), of_rows,
                         of_columns};
  }
  auto stored = packed::int_groups::pack(by_rows->stored);
  if (!stored) return stored.error();
  return adadim_result{std::move(*stored), of_rows, of_columns};
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
