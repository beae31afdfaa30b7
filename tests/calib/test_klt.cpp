// Rotations by eigenvectors: variances that are equal, products that stay the same, and what 8 bits lose then.
#include <doctest/doctest.h>
#include <blocq/calib/klt.hpp>

#include "problem.hpp"

#include <limits>

namespace calib = blocq::calib;

namespace {

// The standard deviation of the logarithms of the columns' variances.
double spread(const test::matrix& x) {
  std::vector<double> logs(x.cols);
  for (std::size_t k = 0; k < x.cols; ++k) {
    double squares = 0;
    for (std::size_t t = 0; t < x.rows; ++t) squares += static_cast<double>(x(t, k)) * static_cast<double>(x(t, k));
    logs[k] = std::log(squares / static_cast<double>(x.rows));
  }
  double mean = 0, variance = 0;
  for (const double l : logs) mean += l / static_cast<double>(x.cols);
  for (const double l : logs) variance += (l - mean) * (l - mean) / static_cast<double>(x.cols);
  return std::sqrt(variance);
}

// x in 8 bits under one scale.
test::matrix in_bytes(test::matrix x) {
  float peak = 0;
  for (const float v : x.values) peak = std::max(peak, std::fabs(v));
  const float scale = peak / 127;
  for (float& v : x.values) v = std::nearbyint(v / scale) * scale;
  return x;
}

// The squared error of x w' when x becomes q, relative to x w'.
double error_of_inputs(const test::matrix& x, const test::matrix& q, const test::matrix& w) {
  double error = 0, energy = 0;
  for (std::size_t t = 0; t < x.rows; ++t)
    for (std::size_t n = 0; n < w.rows; ++n) {
      double e = 0, y = 0;
      for (std::size_t k = 0; k < x.cols; ++k) {
        y += static_cast<double>(x(t, k)) * static_cast<double>(w(n, k));
        e += static_cast<double>(q(t, k) - x(t, k)) * static_cast<double>(w(n, k));
      }
      error += e * e;
      energy += y * y;
    }
  return error / energy;
}

}  // namespace

TEST_CASE("klt: variances are even and bytes lose little") {
  std::vector<double> raw, hadamard, both, errors;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const test::problem p(seed, {.rows = 16, .cols = 256, .tokens = 1024, .test_tokens = 1024});
    const test::matrix& x = p.layer.held_out;
    test::matrix h = x, r = x, w = p.layer.w;
    const auto plain = calib::rotation::make(256, seed);
    const auto klt = calib::klt_rotation::make(p.moments);
    REQUIRE(plain);
    REQUIRE(klt);
    plain->apply(test::writable(h));
    klt->apply(test::writable(r));
    klt->apply(test::writable(w));
    raw.push_back(spread(x));
    hadamard.push_back(spread(h));
    both.push_back(spread(r));
    errors.push_back(error_of_inputs(r, in_bytes(r), w) / error_of_inputs(x, in_bytes(x), p.layer.w));
  }
  MESSAGE("spread of the logarithms of variances: " << test::median(raw) << ", Hadamard " << test::median(hadamard)
                                                    << ", eigenvectors too " << test::median(both)
                                                    << "; error of bytes / without " << test::median(errors));
  CHECK(test::median(hadamard) > 0.3);
  CHECK(test::median(both) <= 0.15);
  CHECK(test::median(errors) <= 0.02);
}

TEST_CASE("klt: folded into producer and consumer, the product is the same") {
  test::normal_numbers next{{31}};
  const auto random = [&](std::size_t rows, std::size_t cols) {
    test::matrix m{rows, cols};
    for (float& v : m.values) v = static_cast<float>(next.normal());
    return m;
  };
  const auto product = [](const test::matrix& a, const test::matrix& b) {  // a b
    test::matrix c{a.rows, b.cols};
    for (std::size_t r = 0; r < a.rows; ++r)
      for (std::size_t k = 0; k < b.cols; ++k) {
        double sum = 0;
        for (std::size_t i = 0; i < a.cols; ++i) sum += static_cast<double>(a(r, i)) * static_cast<double>(b(i, k));
        c(r, k) = static_cast<float>(sum);
      }
    return c;
  };
  for (const std::size_t n : {16u, 24u, 60u}) {
    const test::matrix p = random(n, 7), w = random(9, n), v = random(5, n), x = random(300, n);
    const test::matrix wp = product(w, p), vp = product(v, p);
    const auto same = [&](const test::matrix& a, const test::matrix& b) {
      for (std::size_t i = 0; i < a.values.size(); ++i)
        CHECK(a.values[i] == doctest::Approx(b.values[i]).epsilon(1e-4).scale(10));
    };
    calib::gram moments(n);
    REQUIRE(moments.add(x.view()));
    const auto r = calib::klt_rotation::make(moments);
    REQUIRE(r);
    test::matrix turned = p, wr = w;
    rotate_outputs(test::writable(turned), *r);
    r->apply(test::writable(wr));
    same(product(wr, turned), wp);

    const auto h = calib::rotation::make(n, 5);
    REQUIRE(h);
    turned = p, wr = w;
    test::matrix vr = v;
    const blocq::matrix_view<float> consumers[] = {test::writable(wr), test::writable(vr)};
    std::vector<float> peaks(n);
    for (std::size_t k = 0; k < n; ++k) peaks[k] = static_cast<float>(k % 5 + 1) * (k == 3 ? 50.0f : 1.0f);
    const auto scale = calib::fold_smooth_rotation(test::writable(turned), consumers, peaks, *h);
    REQUIRE(scale);
    CHECK((*scale)[3] > 3 * (*scale)[8]);
    same(product(wr, turned), wp);
    same(product(vr, turned), vp);
    peaks.pop_back();
    CHECK(calib::fold_smooth_rotation(test::writable(turned), consumers, peaks, *h).error().code ==
          blocq::errc::size_mismatch);
  }
}

TEST_CASE("klt: smoothed before it is rotated, what a matrix sees is easier to round") {
  std::vector<double> ratios;
  for (const test::problem& p : test::problems()) {
    // The producer is the inputs themselves, a column for each token.
    const std::size_t n = p.layer.w.cols, tokens = 256;
    test::matrix smooth{n, tokens}, plain{tokens, n}, w = p.layer.w, v = p.layer.w;
    for (std::size_t t = 0; t < tokens; ++t)
      for (std::size_t k = 0; k < n; ++k) smooth(k, t) = plain(t, k) = p.layer.held_out(t, k);
    const auto h = calib::rotation::make(n, 1);
    REQUIRE(h);
    const blocq::matrix_view<float> consumer = test::writable(w);
    REQUIRE(calib::fold_smooth_rotation(test::writable(smooth), {&consumer, 1}, p.moments.peaks(), *h));
    h->apply(test::writable(plain));
    h->apply(test::writable(v));
    test::matrix rows{tokens, n};
    for (std::size_t t = 0; t < tokens; ++t)
      for (std::size_t k = 0; k < n; ++k) rows(t, k) = smooth(k, t);
    ratios.push_back(error_of_inputs(rows, in_bytes(rows), w) / error_of_inputs(plain, in_bytes(plain), v));
  }
  MESSAGE("bytes, smoothed and rotated / rotated: " << test::median(ratios));
  CHECK(test::median(ratios) < 0.9);
}

TEST_CASE("klt: inputs that are all zero, and what is refused") {
  const auto r = calib::klt_rotation::make(calib::gram(8));
  REQUIRE(r);
  CHECK(calib::klt_rotation::make(calib::gram(22)).error().code == blocq::errc::unsupported);
}
