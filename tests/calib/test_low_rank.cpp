// Low rank beside blocks: less and less is wrong, and nothing at full rank.
#include <doctest/doctest.h>
#include <blocq/calib/low_rank.hpp>
#include <packed_values.hpp>

#include <limits>

namespace calib = blocq::calib;

namespace {

// Steps of a quarter of the largest weight: something to make good.
test::matrix coarse(const test::matrix& w) {
  test::matrix q = w;
  float peak = 0;
  for (const float v : w.values) peak = std::max(peak, std::fabs(v));
  for (float& v : q.values) v = peak / 4 * std::nearbyint(v / (peak / 4));
  return q;
}
test::matrix sum(const test::matrix& q, const blocq::packed::low_rank& e) {
  test::matrix out = q;
  for (std::size_t r = 0; r < q.rows; ++r) e.add_row(r, std::span(out.values).subspan(r * q.cols, q.cols));
  return out;
}

}  // namespace

TEST_CASE("eigenvectors: A V = V diag, V orthonormal, values descending") {
  test::normal_numbers next{{3}};
  constexpr std::size_t n = 30;
  std::vector<double> a(n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j <= i; ++j) a[i * n + j] = a[j * n + i] = next.normal();
  const auto e = calib::symmetric_eigenvectors(a, n);
  for (std::size_t i = 0; i < n; ++i) {
    if (i > 0) CHECK(e.values[i] <= e.values[i - 1]);
    for (std::size_t j = 0; j < n; ++j) {
      double dot = 0, product = 0;
      for (std::size_t k = 0; k < n; ++k) {
        dot += e.vectors[k * n + i] * e.vectors[k * n + j];
        product += a[j * n + k] * e.vectors[k * n + i];
      }
      CHECK(std::fabs(dot - (i == j ? 1.0 : 0.0)) < 1e-11);
      CHECK(std::fabs(product - e.values[i] * e.vectors[j * n + i]) < 1e-10);
    }
  }
}

TEST_CASE("low rank: the error falls with the rank, and is that of half precision at full rank") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const test::layer l(seed, {.rows = 24, .cols = 64, .tokens = 1, .test_tokens = 1});
    const test::matrix q = coarse(l.w);
    double last = test::weight_error(l.w.view(), q.view());
    const double plain = last;
    for (const std::size_t rank : {1u, 2u, 4u, 8u, 16u, 24u}) {
      const auto e = calib::low_rank_error(l.w.view(), q.view(), rank);
      REQUIRE(e);
      CHECK(e->rank() == rank);
      const double error = test::weight_error(l.w.view(), sum(q, *e).view());
      CHECK(error < last);
      last = error;
    }
    CHECK(last < 1e-6 * plain);
  }
}

TEST_CASE("low rank: the first singular vectors, as far as a rank goes") {
  // A matrix of rank 3 is found by rank 3, whatever else it is asked beside.
  test::normal_numbers next{{8}};
  test::matrix w{20, 33}, zero{20, 33};
  double u[3][20], v[3][33];
  for (auto& x : u)
    for (double& y : x) y = next.normal();
  for (auto& x : v)
    for (double& y : x) y = next.normal();
  for (std::size_t r = 0; r < 20; ++r)
    for (std::size_t k = 0; k < 33; ++k)
      w(r, k) = static_cast<float>(u[0][r] * v[0][k] + 0.1 * u[1][r] * v[1][k] + 0.01 * u[2][r] * v[2][k]);
  for (const std::size_t rank : {3u, 5u})
    CHECK(test::weight_error(w.view(), test::values_of(*calib::low_rank_error(w.view(), zero.view(), rank)).view()) <
          1e-6);
}

TEST_CASE("low rank: columns of large inputs are made good first") {
  std::vector<double> ratios;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const test::layer l(seed, {.rows = 64, .cols = 128, .tokens = 512, .test_tokens = 256, .outliers = 0.03});
    std::vector<float> squares(128);
    for (std::size_t t = 0; t < l.x.rows; ++t)
      for (std::size_t k = 0; k < 128; ++k) squares[k] += l.x(t, k) * l.x(t, k);
    const test::matrix q = coarse(l.w);
    const auto plain = calib::low_rank_error(l.w.view(), q.view(), 8),
               scaled = calib::low_rank_error(l.w.view(), q.view(), 8, squares);
    REQUIRE(scaled);
    ratios.push_back(test::output_error(l.held_out, l.w.view(), sum(q, *scaled).view()) /
                     test::output_error(l.held_out, l.w.view(), sum(q, *plain).view()));
  }
  for (const double r : ratios) CHECK(r < 0.5);
}

TEST_CASE("low rank: nothing wrong, and what is refused") {
  test::matrix w{3, 4, std::vector<float>(12, 2.0f)};
  const auto none = calib::low_rank_error(w.view(), w.view(), 2);
  REQUIRE(none);
  CHECK(test::values_of(*none).values == std::vector<float>(12));
  const test::matrix other{4, 3};
  CHECK(calib::low_rank_error(w.view(), other.view(), 1).error().code == blocq::errc::size_mismatch);
  const test::matrix zero{3, 4};
  for (const std::size_t rank : {0u, 4u})
    CHECK(calib::low_rank_error(w.view(), zero.view(), rank).error().code == blocq::errc::bad_value);
  w.values[3] = std::numeric_limits<float>::quiet_NaN();
  CHECK(calib::low_rank_error(w.view(), zero.view(), 1).error().code == blocq::errc::not_finite);
}
