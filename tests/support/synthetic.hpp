// A linear layer that never was: weights, and inputs whose columns are correlated, of unequal size and now and then
// extreme, as those of trained networks are. One seed determines everything.
//
//   x = (sqrt(c) F L' + sqrt(1 - c) E) * s      F normal, E Student t(6) of unit variance, L a decaying set of latents,
//                                               s log-normal per column, a few columns 10 to 30
//   w = t(10) / sqrt(K) * exp(.2 g_row)         one in a thousand times 6
#ifndef BLOCQ_TESTS_SYNTHETIC_HPP
#define BLOCQ_TESTS_SYNTHETIC_HPP

#include <blocq/core/view.hpp>
#include <random.hpp>

#include <cmath>
#include <vector>

namespace test {

struct normal_numbers : random_bits {
  double uniform() noexcept { return (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53; }
  // Box-Muller, the branch with the cosine.
  double normal() noexcept {
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }
  double student(int degrees) noexcept {
    const double z = normal();
    double chi = 0;
    for (int i = 0; i < degrees; ++i) {
      const double n = normal();
      chi += n * n;
    }
    return z / std::sqrt(chi / degrees);
  }
};

struct matrix {
  std::size_t rows = 0, cols = 0;
  std::vector<float> values = std::vector<float>(rows * cols);

  blocq::matrix_view<const float> view() const noexcept { return {values.data(), rows, cols, cols}; }
  float& operator()(std::size_t r, std::size_t c) noexcept { return values[r * cols + c]; }
  float operator()(std::size_t r, std::size_t c) const noexcept { return values[r * cols + c]; }
};

struct regime {
  std::size_t rows = 64, cols = 256, tokens = 2048, test_tokens = 512;
  double common = 0.9;     // the part of an input's variance that the latents bring
  double outliers = 0.01;  // the part of the columns that are extreme
  double spread = 0.5;     // of the logarithm of the other columns' sizes
};

struct layer {
  matrix w, x, held_out;

  layer(std::uint64_t seed, const regime& r = {})
      : w{r.rows, r.cols}, x{r.tokens, r.cols}, held_out{r.test_tokens, r.cols} {
    constexpr std::size_t latents = 24;
    normal_numbers next{{seed}};
    std::vector<double> loads(r.cols * latents), scale(r.cols);
    for (std::size_t k = 0; k < r.cols; ++k) {
      double norm = 0;
      for (std::size_t j = 0; j < latents; ++j) {
        const double v = next.normal() * std::pow(0.85, static_cast<double>(j));
        loads[k * latents + j] = v;
        norm += v * v;
      }
      for (std::size_t j = 0; j < latents; ++j) loads[k * latents + j] /= std::sqrt(norm);
    }
    for (double& s : scale) s = std::exp(r.spread * next.normal());
    const auto extreme = static_cast<std::size_t>(std::lround(r.outliers * static_cast<double>(r.cols)));
    std::vector<bool> taken(r.cols);
    for (std::size_t i = 0; i < extreme;) {
      const std::size_t k = next.next() % r.cols;
      if (taken[k]) continue;
      taken[k] = true;
      scale[k] = std::exp(std::log(10.0) + (std::log(30.0) - std::log(10.0)) * next.uniform());
      ++i;
    }
    for (matrix* m : {&x, &held_out})
      for (std::size_t t = 0; t < m->rows; ++t) {
        double factor[latents];
        for (double& f : factor) f = next.normal();
        for (std::size_t k = 0; k < r.cols; ++k) {
          double shared = 0;
          for (std::size_t j = 0; j < latents; ++j) shared += factor[j] * loads[k * latents + j];
          const double own = next.student(6) * std::sqrt(4.0 / 6.0);
          (*m)(t, k) = static_cast<float>((std::sqrt(r.common) * shared + std::sqrt(1.0 - r.common) * own) * scale[k]);
        }
      }
    for (std::size_t n = 0; n < r.rows; ++n) {
      const double gain = std::exp(0.2 * next.normal()) / std::sqrt(static_cast<double>(r.cols));
      for (std::size_t k = 0; k < r.cols; ++k) {
        const double v = next.student(10) * gain;
        w(n, k) = static_cast<float>(next.uniform() < 1e-3 ? 6.0 * v : v);
      }
    }
  }
};

// The squared error of the layer's output on inputs x when w becomes q, relative to the output.
inline double output_error(const matrix& x, blocq::matrix_view<const float> w, blocq::matrix_view<const float> q) {
  double error = 0, energy = 0;
  for (std::size_t n = 0; n < w.rows; ++n)
    for (std::size_t t = 0; t < x.rows; ++t) {
      double e = 0, y = 0;
      for (std::size_t k = 0; k < x.cols; ++k) {
        const double v = x(t, k), weight = w.row(n)[k];
        e += v * (weight - static_cast<double>(q.row(n)[k]));
        y += v * weight;
      }
      error += e * e;
      energy += y * y;
    }
  return error / energy;
}

// The squared error of q, relative to w.
inline double weight_error(blocq::matrix_view<const float> w, blocq::matrix_view<const float> q) {
  double error = 0, energy = 0;
  for (std::size_t n = 0; n < w.rows; ++n)
    for (std::size_t k = 0; k < w.cols; ++k) {
      const double v = w.row(n)[k], e = v - static_cast<double>(q.row(n)[k]);
      error += e * e;
      energy += v * v;
    }
  return error / energy;
}

}  // namespace test

#endif
