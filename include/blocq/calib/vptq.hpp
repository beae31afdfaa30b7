// VPTQ: vectors of consecutive rows of a column become the nearest of a codebook, column after column as GPTQ does it.
// The codebook is found beforehand by k-means in which a column counts as its inputs do; a second one may hold what the
// first has wrong, and columns of extreme inputs may have their own. Liu, Wen, Wang, Ye, Zhang, Cao, Li, Yang, "VPTQ:
// Extreme Low-bit Vector Post-Training Quantization for Large Language Models", 2024.
#ifndef BLOCQ_CALIB_VPTQ_HPP
#define BLOCQ_CALIB_VPTQ_HPP

#include <blocq/calib/clusters.hpp>
#include <blocq/calib/columns.hpp>
#include <blocq/calib/eigen.hpp>
#include <blocq/calib/random.hpp>
#include <blocq/packed/vectors.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

struct vptq_options {
  std::size_t length = 4;  // rows in a vector, 1 to 16
  int bits = 8;            // of an index, 1 to 12
  int residual_bits = 0;   // of an index of the second stage, 0 to 12; 0: there is none
  double outliers = 0.0;   // the part of the columns, of the largest inputs, that have a codebook of their own
  bool weighted = true;    // columns count in k-means as the mean squares of their inputs
  int iterations = 50;     // of k-means, at most
  double damp = 0.01;      // as in gptq_options
};

namespace detail {

// Vectors of one length with weights, and their k-means.
class vector_set {
 public:
  explicit vector_set(std::size_t length) : length_(length) {}

  std::size_t size() const noexcept { return weights_.size(); }
  void push(std::span<const float> v, double weight) {
    values_.insert(values_.end(), v.begin(), v.end());
    weights_.push_back(weight);
  }

  // k centroids, each of `length` numbers of half precision. The first are drawn as k-means++ does, from fixed random
  // numbers; one that nothing is near to stays. At most 32,768 of the vectors are looked at, evenly.
  // Preconditions: size() != 0.
  std::vector<std::uint16_t> cluster(std::size_t k, int iterations) const {
    const std::size_t n = (std::min)(size(), (std::max)(std::size_t{32768}, k));
    std::vector<std::size_t> taken(n);
    for (std::size_t i = 0; i < n; ++i) taken[i] = i * size() / n;
    const auto at = [&](std::size_t i) { return values_.data() + taken[i] * length_; };
    random_numbers next(1);
    std::vector<float> centroids;
    std::vector<double> away(n);
    double total = 0.0;
    for (std::size_t i = 0; i < n; ++i) total += away[i] = weights_[taken[i]];
    for (std::size_t c = 0; c < k; ++c) {
      double left = next.uniform() * total;
      std::size_t i = 0;
      while (i + 1 < n && (left -= away[i]) > 0.0) ++i;
      centroids.insert(centroids.end(), at(i), at(i) + length_);
      total = 0.0;
      for (std::size_t j = 0; j < n; ++j) {
        const double d = weights_[taken[j]] * distance(at(j), centroids.data() + c * length_, length_);
        total += away[j] = c == 0 ? d : (std::min)(away[j], d);
      }
    }
    double last = -1.0;
    std::vector<double> sums(k * length_), counts(k);
    for (int round = 0; round < iterations; ++round) {
      std::fill(sums.begin(), sums.end(), 0.0);
      std::fill(counts.begin(), counts.end(), 0.0);
      double error = 0.0;
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t c = nearest(centroids, at(i), length_);
        const double weight = weights_[taken[i]];
        error += weight * distance(at(i), centroids.data() + c * length_, length_);
        counts[c] += weight;
        for (std::size_t j = 0; j < length_; ++j) sums[c * length_ + j] += weight * static_cast<double>(at(i)[j]);
      }
      for (std::size_t c = 0; c < k; ++c)
        if (counts[c] > 0.0)
          for (std::size_t j = 0; j < length_; ++j)
            centroids[c * length_ + j] = static_cast<float>(sums[c * length_ + j] / counts[c]);
      if (last >= 0.0 && last - error <= 1e-5 * last) break;
      last = error;
    }
    std::vector<std::uint16_t> halves;
    for (const float v : centroids) halves.push_back(f32_to_f16(v));
    return halves;
  }

  static double distance(const float* a, const float* b, std::size_t count) noexcept {
    float sum = 0.0f;
    for (std::size_t j = 0; j < count; ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
    return static_cast<double>(sum);
  }
  // Of the first numbers of v only, where it is shorter than the centroids; the first of several.
  std::size_t nearest(std::span<const float> centroids, const float* v, std::size_t count) const noexcept {
    std::size_t best = 0;
    double least = distance(v, centroids.data(), count);
    for (std::size_t c = 1; c * length_ < centroids.size(); ++c)
      if (const double d = distance(v, centroids.data() + c * length_, count); d < least) least = d, best = c;
    return best;
  }

 private:
  std::size_t length_;
  std::vector<float> values_ = {};
  std::vector<double> weights_ = {};
};

inline std::vector<float> to_floats(const std::vector<std::uint16_t>& halves) {
  std::vector<float> out;
  for (const std::uint16_t h : halves) out.push_back(f16_to_f32(h));
  return out;
}

}  // namespace detail

// Memory: 12 bytes for each weight, 4 more with a second stage, and 16 for each element of the square of the columns.
// Work per weight: 2^bits multiplications for the codes, and columns / 2 for GPTQ.
//   errc::bad_value      an option outside its range
//   errc::too_large      more centroids than there are vectors, rows fewer than a vector has
//   errc::size_mismatch  the inputs are of another number of columns, or there is no weight
//   errc::not_finite, errc::scale_range  naming the row
//   and those of gptq_factorize
inline result<packed::vector_codes> vptq(matrix_view<const float> w, const gram& inputs,
                                         const vptq_options& options = {}) {
  const std::size_t rows = w.rows, cols = w.cols, length = options.length;
  if (length < 1 || length > 16) return error(errc::bad_value) << "vectors have 1 to 16 weights, not " << length;
  if (options.bits < 1 || options.bits > 12 || options.residual_bits < 0 || options.residual_bits > 12)
    return error(errc::bad_value) << "indices have 1 to 12 bits, not " << options.bits << " and "
                                  << options.residual_bits;
  if (!(options.outliers >= 0.0 && options.outliers <= 0.5))
    return error(errc::bad_value) << "the part of columns that are outliers is not from 0 to 0.5";
  if (rows == 0 || cols == 0) return detail::no_weights();
  if (inputs.columns() != cols)
    return error(errc::size_mismatch) << "the weights have " << cols << " columns, the inputs " << inputs.columns();
  if (rows < length) return error(errc::too_large) << "vectors of " << length << " weights need as many rows";
  const std::size_t bands = (rows + length - 1) / length;
  const auto count = static_cast<std::size_t>(options.outliers * static_cast<double>(cols));
  const std::size_t fewest = (std::min)(count != 0 ? count : cols, cols - count) * (rows / length);
  if (std::size_t{1} << (std::max)(options.bits, options.residual_bits) > fewest)
    return error(errc::too_large) << "more centroids than the " << fewest << " vectors that there are";
  if (const auto ok = detail::check_halves(w); !ok) return ok.error();
  const auto f = gptq_factorize(inputs, {.damp = options.damp, .act_order = true});
  if (!f) return f.error();

  std::vector<std::uint32_t> outliers(f->order.begin(), f->order.begin() + static_cast<std::ptrdiff_t>(count));
  std::sort(outliers.begin(), outliers.end());
  const auto outlier_number = [&](std::size_t k) {
    const auto found = std::lower_bound(outliers.begin(), outliers.end(), k);
    return found != outliers.end() && *found == k ? static_cast<std::size_t>(found - outliers.begin()) : count;
  };
  const auto weight = [&](std::size_t k) {
    return options.weighted ? static_cast<double>(f->importance[k]) : f->dead[k] ? 0.0 : 1.0;
  };
  // Whole vectors only: what the last rows lack is not to be learnt.
  detail::vector_set plain(length), extreme(length), wrong(length);
  std::vector<float> v(length);
  for (std::size_t k = 0; k < cols; ++k)
    for (std::size_t band = 0; band < rows / length; ++band) {
      for (std::size_t j = 0; j < length; ++j) v[j] = w.row(band * length + j)[k];
      (outlier_number(k) < count ? extreme : plain).push(v, weight(k));
    }
  packed::vector_stage main(bands, cols, options.bits, length), residual, outlying;
  const std::size_t centroids = std::size_t{1} << options.bits;
  main.codebook = plain.cluster(centroids, options.iterations);
  if (count != 0) {
    outlying = packed::vector_stage(bands, count, options.bits, length);
    outlying.codebook = extreme.cluster(centroids, options.iterations);
  }
  const std::vector<float> of_main = detail::to_floats(main.codebook),
                           of_outliers = detail::to_floats(outlying.codebook);
  std::vector<float> of_residual;
  const auto round = [&](bool second, std::size_t k, std::span<const double> column, std::span<double> q) {
    const std::size_t outlier = outlier_number(k);
    const std::vector<float>& table = outlier < count ? of_outliers : of_main;
    for (std::size_t band = 0; band < bands; ++band) {
      const std::size_t first = band * length, n = (std::min)(length, rows - first);
      for (std::size_t j = 0; j < n; ++j) v[j] = static_cast<float>(column[first + j]);
      const std::size_t c = plain.nearest(table, v.data(), n);
      outlier < count ? outlying.set(band, outlier, c) : main.set(band, k, c);
      for (std::size_t j = 0; j < n; ++j) {
        q[first + j] = static_cast<double>(table[c * length + j]);
        v[j] -= table[c * length + j];
      }
      if (options.residual_bits == 0 || outlier < count) continue;
      if (!second) {
        if (n == length) wrong.push(v, weight(k));
        continue;
      }
      const std::size_t d = plain.nearest(of_residual, v.data(), n);
      residual.set(band, k, d);
      for (std::size_t j = 0; j < n; ++j) q[first + j] += static_cast<double>(of_residual[d * length + j]);
    }
  };
  detail::gptq_by_columns(w, *f, [&](std::size_t k, auto column, auto q) { round(false, k, column, q); });
  if (options.residual_bits != 0) {
    residual = packed::vector_stage(bands, cols, options.residual_bits, length);
    residual.codebook = wrong.cluster(std::size_t{1} << options.residual_bits, options.iterations);
    of_residual = detail::to_floats(residual.codebook);
    detail::gptq_by_columns(w, *f, [&](std::size_t k, auto column, auto q) { round(true, k, column, q); });
  }
  return packed::vector_codes(rows, cols, length, std::move(main), std::move(residual), std::move(outliers),
                              std::move(outlying));
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
