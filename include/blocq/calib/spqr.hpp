// SpQR: 3-bit weights in groups of 16 columns, whose scales and zero points are 3-bit numbers too, in groups of 16
// rows; the weights that this would spoil most are set right by a sparse matrix. Fitted like GPTQ, columns of large
// inputs first. Dettmers, Svirschevski, Egiazarian, Kuznedelev, Frantar, Ashkboos, Borzunov, Hoefler, Alistarh, "SpQR:
// A Sparse-Quantized Representation for Near-Lossless LLM Weight Compression", 2023.
#ifndef BLOCQ_CALIB_SPQR_HPP
#define BLOCQ_CALIB_SPQR_HPP

#include <blocq/calib/eigen.hpp>
#include <blocq/calib/gptq.hpp>

#include <array>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

// A tile is 16 rows by 16 columns, a word for each of its rows:
//
//   63    62 61      54 53                                6 5     3 2     0
//   | unused | fragment | code 15 | ...         | code 0 | zero  | scale |      codes, zero and scale have 3 bits
//
// The fragment of row r is byte r / 2 of four binary16 numbers that the tile's rows share: a, b, c, d from the lowest
// byte on. With them, and with what the sparse matrix has for this element or 0,
//
//   w = a * (scale - b) * (code - c * (zero - d)) + sparse
struct spqr_matrix {
  std::size_t rows = 0, columns = 0;            // of the matrix; tiles are filled up with rows of zeros
  std::vector<std::uint64_t> words = {};        // tile after tile along 16 rows, then the next 16 rows; 16 words each
  std::vector<std::uint32_t> row_offsets = {};  // rows + 1: where the entries of a row begin
  std::vector<std::uint32_t> entries = {};      // value, binary16, in the upper half, column in the lower one
  std::vector<std::uint16_t> order = {};        // the column of the layer that column j of this matrix is; or empty
  double loss = 0.0;                            // as in gptq_result

  // What is stored, sparse entries included. The paper counts the shared numbers once: 3.625 + 32 bits per entry.
  double bits_per_weight() const noexcept {
    return (64.0 * static_cast<double>(words.size()) + 32.0 * static_cast<double>(entries.size())) /
           static_cast<double>(rows * columns);
  }
};

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

// Four binary16 numbers from the bytes of a tile's rows, and back.
inline std::array<float, 4> spqr_shared(const std::uint64_t* tile) noexcept {
  std::array<float, 4> out{};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto low = static_cast<unsigned>(tile[4 * i] >> 54 & 0xff),
               high = static_cast<unsigned>(tile[4 * i + 2] >> 54 & 0xff);
    out[i] = f16_to_f32(static_cast<std::uint16_t>(low | high << 8));
  }
  return out;
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
  spqr_matrix out;
  out.rows = w.rows;
  out.columns = n;
  out.words.resize(bands * groups * 16);
  out.row_offsets.resize(w.rows + 1);
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

// Row r of the matrix to columns floats, in the order of the layer's columns.
inline void dequantize_row(const spqr_matrix& w, std::size_t r, std::span<float> y) noexcept {
  BLOCQ_ASSERT(r < w.rows && y.size() == w.columns);
  const auto column = [&](std::size_t j) { return w.order.empty() ? j : std::size_t{w.order[j]}; };
  for (std::size_t g = 0; g < w.columns / 16; ++g) {
    const std::uint64_t* const tile = w.words.data() + (r / 16 * (w.columns / 16) + g) * 16;
    const std::array<float, 4> shared = detail::spqr_shared(tile);
    const std::uint64_t word = tile[r % 16];
    const float scale = shared[0] * (static_cast<float>(word & 7) - shared[1]);
    const float zero = shared[2] * (static_cast<float>(word >> 3 & 7) - shared[3]);
    for (std::size_t i = 0; i < 16; ++i)
      y[column(16 * g + i)] = scale * (static_cast<float>(word >> (6 + 3 * i) & 7) - zero);
  }
  for (std::uint32_t at = w.row_offsets[r]; at < w.row_offsets[r + 1]; ++at)
    y[column(w.entries[at] & 0xffff)] += f16_to_f32(static_cast<std::uint16_t>(w.entries[at] >> 16));
}

// y = W x, from the words as they are: a group is its scale times (codes times x, less zero times the sum of x), and
// the sparse entries are added. Preconditions: x.size() == columns, y.size() == rows.
inline void gemv(const spqr_matrix& w, std::span<const float> x, std::span<float> y) {
  BLOCQ_ASSERT(x.size() == w.columns && y.size() == w.rows);
  std::vector<float> ordered(x.begin(), x.end()), sums(w.columns / 16);
  for (std::size_t j = 0; j < w.order.size(); ++j) ordered[j] = x[w.order[j]];
  for (std::size_t j = 0; j < w.columns; ++j) sums[j / 16] += ordered[j];
  for (std::size_t r = 0; r < w.rows; ++r) y[r] = 0.0f;
  for (std::size_t first = 0; first < w.rows; first += 16)
    for (std::size_t g = 0; g < sums.size(); ++g) {
      const std::uint64_t* const tile = w.words.data() + (first / 16 * sums.size() + g) * 16;
      const std::array<float, 4> shared = detail::spqr_shared(tile);
      for (std::size_t p = 0; p < 16 && first + p < w.rows; ++p) {
        const float scale = shared[0] * (static_cast<float>(tile[p] & 7) - shared[1]);
        const float zero = shared[2] * (static_cast<float>(tile[p] >> 3 & 7) - shared[3]);
        float sum = 0.0f;
        for (std::size_t i = 0; i < 16; ++i)
          sum += static_cast<float>(tile[p] >> (6 + 3 * i) & 7) * ordered[16 * g + i];
        y[first + p] += scale * (sum - zero * sums[g]);
      }
    }
  for (std::size_t r = 0; r < w.rows; ++r)
    for (std::uint32_t at = w.row_offsets[r]; at < w.row_offsets[r + 1]; ++at)
      y[r] += f16_to_f32(static_cast<std::uint16_t>(w.entries[at] >> 16)) * ordered[w.entries[at] & 0xffff];
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
