// GPTQ: columns are rounded one after the other, and each one's error is made good by the columns that are still to
// come, as the second moments of the inputs say. Frantar, Ashkboos, Hoefler, Alistarh, "GPTQ: Accurate Post-Training
// Quantization for Generative Pre-trained Transformers", 2022, Algorithm 1, with any rounding of rounding.hpp in the
// place of its integer grid.
//
// With H = mean of x x' over the inputs, damped by lambda on the diagonal, and the upper triangular U with
// inverse(H + lambda I) = U' U:
//
//   for each column j:   q = rounded(w_j)     e = (w_j - q) / U_jj     w_k -= e U_jk for all k > j
//
// The sum of e^2 over all rows and columns is the trace of (W - Q) (H + lambda I) (W - Q)', for any order of the
// columns and whatever the rounding does.
#ifndef BLOCQ_CALIB_GPTQ_HPP
#define BLOCQ_CALIB_GPTQ_HPP

#include <blocq/calib/eigen.hpp>
#include <blocq/calib/gram.hpp>
#include <blocq/calib/rounding.hpp>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

struct gptq_options {
  double damp = 0.01;      // lambda, in units of the mean of the diagonal; times 10 where that is not enough
  bool act_order = false;  // columns of large inputs first, instead of from left to right
  // From left to right each run is fitted when its turn comes, to the weights as they are by then. With act_order all
  // runs are fitted to the original weights before anything is rounded. Without static groups a run is the columns that
  // are rounded one after the other, wherever they are, and is fitted in its turn; what is stored is then a matrix
  // whose columns are in another order (gptq_result::order), which a GGUF file cannot hold.
  bool static_groups = true;
  // The encoder of a format that takes importance gets the mean squares of the inputs.
  bool importance = true;
  std::size_t block = 128;  // columns whose updates of what lies behind them are gathered into one product
};

// What depends on the inputs alone; q, k and v of an attention layer share one.
struct gptq_factor {
  bool act_order = false;
  std::vector<std::uint32_t> order = {};  // the column that is rounded first, second, ...
  std::vector<bool> dead = {};            // of the original columns: no input was ever other than 0
  std::vector<float> importance = {};     // mean squares of the inputs, original columns
  double lambda = 0.0;                    // what was added to the diagonal of H
  detail::matrix u = {};                  // columns in `order`
};

template <rounding R>
struct gptq_result : rounded<R> {
  std::vector<std::uint32_t> order = {};  // empty, or the original column of each one that is stored
  double loss = 0.0;                      // the sum of e^2
};

namespace detail {

struct serial {
  template <class F>
  void operator()(std::size_t n, F&& f) const {
    for (std::size_t i = 0; i < n; ++i) f(i);
  }
};

}  // namespace detail

// columns^3 / 3 multiplications twice, and 16 bytes for each element of the square.
//   errc::missing    the second moments are of no input at all, or of inputs that are all 0
//   errc::bad_value  no positive damping, however large, makes a decomposition possible
inline result<gptq_factor> gptq_factorize(const gram& moments, const gptq_options& options = {}) {
  const std::size_t n = moments.columns();
  gptq_factor f;
  f.act_order = options.act_order;
  f.dead.resize(n);
  f.importance = moments.mean_squares();
  f.order.resize(n);
  std::iota(f.order.begin(), f.order.end(), 0u);
  double trace = 0.0;
  std::size_t live = 0;
  for (std::size_t k = 0; k < n; ++k) {
    const double square = moments.mean(k, k);
    f.dead[k] = !(square > 0.0);
    live += !f.dead[k];
    trace += square;
  }
  if (live == 0) return error(errc::missing) << "there are no inputs to calibrate with";
  const double mean = trace / static_cast<double>(live);
  if (options.act_order)
    std::sort(f.order.begin(), f.order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return std::pair(moments.mean(b, b), a) < std::pair(moments.mean(a, a), b);
    });

  // From the last column to the first: the inverse of a Cholesky factor, turned back, is U.
  using index = Eigen::Index;
  const auto size = static_cast<index>(n);
  const auto next = [](double damp) { return damp > 0.0 ? 10.0 * damp : 1e-6; };
  for (double damp = options.damp; damp < 1e6; damp = next(damp)) {
    f.lambda = damp * mean;
    f.u.resize(size, size);
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t a = f.order[n - 1 - i];
      for (std::size_t k = 0; k <= i; ++k) {
        const std::size_t b = f.order[n - 1 - k];
        const double v = moments.mean(a, b);
        f.u(static_cast<index>(i), static_cast<index>(k)) = a != b ? v : (f.dead[a] ? mean : v) + f.lambda;
      }
    }
    const Eigen::LLT<Eigen::Ref<detail::matrix>> cholesky(f.u);
    if (cholesky.info() != Eigen::ComputationInfo{}) continue;  // Success, which is a macro of X11
    detail::matrix inverse = detail::matrix::Identity(size, size);
    cholesky.matrixL().solveInPlace(inverse);
    f.u = inverse.reverse();
    return f;
  }
  return error(errc::bad_value) << "the second moments of the inputs are not those of any inputs";
}

// Rounds w, whose columns are those that the factor is of, in the order of the factor. A column that no input reaches
// becomes 0. Work per row: columns^2 / 2 multiplications.
//   run                    an executor as in op/parallel.hpp, or none: rows are independent
//   errc::size_mismatch    w has another number of columns
//   and those of rtn
template <rounding R, class Executor = detail::serial>
result<gptq_result<R>> gptq(matrix_view<const float> w, const gptq_factor& f, const R& r,
                            const gptq_options& options = {}, Executor&& run = {}) {
  const std::size_t n = w.cols, width = r.width(n);
  if (n != f.order.size())
    return error(errc::size_mismatch) << "the weights have " << n << " columns, the inputs " << f.order.size();
  if (width == 0) return detail::no_runs(n);
  const bool permuted = f.act_order && !options.static_groups;
  const bool ahead = f.act_order && options.static_groups;

  gptq_result<R> out;
  out.rows = w.rows;
  out.columns = n;
  out.values.resize(w.rows * n);
  out.stored = r.make_storage(w.rows, n);
  if (permuted) out.order = f.order;
  std::vector<float> importance(options.importance ? n : 0);
  for (std::size_t j = 0; j < importance.size(); ++j) importance[j] = f.importance[permuted ? f.order[j] : j];

  constexpr std::size_t panel = 32;  // rows that are rounded together
  const std::size_t panels = (w.rows + panel - 1) / panel, block = (std::max<std::size_t>)(options.block, 1);
  struct outcome {
    status fitted{};
    std::size_t column = 0;
    double loss = 0.0;
  };
  std::vector<outcome> outcomes(panels);

  run(panels, [&](std::size_t part) {
    using index = Eigen::Index;
    const std::size_t first = part * panel, rows = (std::min)(panel, w.rows - first);
    outcome& said = outcomes[part];
    // Columns in the order in which they are rounded.
    detail::matrix present(static_cast<index>(rows), static_cast<index>(n));
    detail::matrix errors(static_cast<index>(rows), static_cast<index>((std::min)(block, n)));
    const auto at = [&](std::size_t p, std::size_t j) -> double& {
      return present(static_cast<index>(p), static_cast<index>(j));
    };
    for (std::size_t p = 0; p < rows; ++p)
      for (std::size_t j = 0; j < n; ++j)
        at(p, j) = f.dead[f.order[j]] ? 0.0 : static_cast<double>(w.row(first + p)[f.order[j]]);

    std::vector<typename R::run> runs(rows * (n / width));
    std::vector<std::uint8_t> codes(rows * n);
    std::vector<float> gathered(rows * width);
    // The runs of the panel's rows with this number, to the weights that column(i) has in row p.
    const auto fit = [&](std::size_t number, auto&& weight) {
      for (std::size_t p = 0; p < rows; ++p)
        for (std::size_t i = 0; i < width; ++i) gathered[p * width + i] = weight(p, number * width + i);
      const std::span<const float> all(importance);
      const status fitted = r.fit(gathered, all.empty() ? all : all.subspan(number * width, width),
                                  std::span(runs).subspan(number * rows, rows));
      if (!fitted && said.fitted) said.fitted = fitted, said.column = number * width;
      return static_cast<bool>(fitted);
    };
    if (ahead)
      for (std::size_t number = 0; number * width < n; ++number)
        if (!fit(number, [&](std::size_t p, std::size_t k) { return f.dead[k] ? 0.0f : w.row(first + p)[k]; })) return;

    for (std::size_t begin = 0, end = 0; begin < n; begin = end) {
      end = (std::min)(begin + block, n);
      // A run that is fitted as its turn comes must not reach beyond columns whose updates are still outstanding.
      if (!ahead && end % width != 0) {
        const std::size_t boundary = end / width * width;
        if (boundary > begin) end = boundary;
      }
      for (std::size_t j = begin; j < end; ++j) {
        const std::size_t k = f.order[j], place = permuted ? j : k, number = place / width;
        if (!ahead && j % width == 0 &&
            !fit(number, [&](std::size_t p, std::size_t i) { return static_cast<float>(at(p, i)); }))
          return;
        const double* const u = &f.u(static_cast<index>(j), 0);
        for (std::size_t p = 0; p < rows; ++p) {
          double* const row = &at(p, 0);
          const float q =
              runs[number * rows + p].round(place % width, static_cast<float>(row[j]), codes[p * n + place]);
          out.values[(first + p) * n + k] = q;
          const double e = (row[j] - static_cast<double>(q)) / u[j];
          said.loss += e * e;
          errors(static_cast<index>(p), static_cast<index>(j - begin)) = e;
          for (std::size_t i = j + 1; i < end; ++i) row[i] -= e * u[i];
        }
      }
      const auto from = static_cast<index>(begin), to = static_cast<index>(end);
      const index done = to - from, left = static_cast<index>(n) - to;
      if (left > 0) present.rightCols(left).noalias() -= errors.leftCols(done) * f.u.block(from, to, done, left);
    }
    for (std::size_t p = 0; p < rows; ++p)
      for (std::size_t number = 0; number * width < n; ++number)
        r.store(out.stored, first + p, number, runs[number * rows + p], codes.data() + p * n + number * width);
  });

  for (std::size_t part = 0; part < panels; ++part) {
    if (const outcome& said = outcomes[part]; !said.fitted)
      return detail::no_fit(said.fitted.code, part * panel + said.fitted.at, said.column);
    out.loss += outcomes[part].loss;
  }
  return out;
}

template <rounding R, class Executor = detail::serial>
result<gptq_result<R>> gptq(matrix_view<const float> w, const gram& moments, const R& r,
                            const gptq_options& options = {}, Executor&& run = {}) {
  const auto f = gptq_factorize(moments, options);
  if (!f) return f.error();
  return gptq(w, *f, r, options, run);
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
