// Hadamard matrices of every order that is claimed, and what makes a rotation one.
#include <doctest/doctest.h>
#include <blocq/calib/hadamard.hpp>
#include <synthetic.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace calib = blocq::calib;

namespace {

double norm(const std::vector<float>& x) {
  double sum = 0;
  for (const float v : x) sum += static_cast<double>(v) * static_cast<double>(v);
  return std::sqrt(sum);
}

std::vector<float> random_row(std::size_t n, std::uint64_t seed) {
  test::normal_numbers next{{seed}};
  std::vector<float> x(n);
  for (float& v : x) v = static_cast<float>(next.normal());
  return x;
}

}  // namespace

TEST_CASE("H H' = m I for every order") {
  std::vector<std::size_t> orders(calib::hadamard_orders.begin(), calib::hadamard_orders.end());
  CHECK(orders == std::vector<std::size_t>{12, 20, 28, 36, 40, 52, 60, 108, 140, 156, 172});
  for (const std::size_t m : orders) {
    CAPTURE(m);
    const auto h = calib::detail::hadamard_matrix(m);
    REQUIRE(h.size() == m * m);
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j <= i; ++j) {
        int sum = 0;
        for (std::size_t k = 0; k < m; ++k) {
          CHECK_MESSAGE(std::abs(h[i * m + k]) == 1, k);
          sum += h[i * m + k] * h[j * m + k];
        }
        CHECK(sum == (i == j ? static_cast<int>(m) : 0));
      }
  }
}

TEST_CASE("a rotation keeps norms and products, can be undone, and spreads outliers") {
  for (const std::size_t n : {1u, 2u, 12u, 64u, 20u * 8u, 28u * 4u, 36u * 2u, 40u * 2u, 52u * 4u, 60u * 2u, 108u * 4u,
                              140u, 156u * 2u, 172u * 4u, 4096u, 11008u})
    for (const std::uint64_t seed : {0u, 9u}) {
      CAPTURE(n);
      const auto r = calib::rotation::make(n, seed);
      REQUIRE(r);
      CHECK(r->size() == n);
      std::vector<float> x = random_row(n, 1), w = random_row(n, 2);
      x[n / 2] = 100.0f;
      std::vector<float> xr = x, wr = w;
      r->apply(std::span(xr));
      r->apply(blocq::matrix_view<float>{wr.data(), 1, n, n});
      CHECK(norm(xr) == doctest::Approx(norm(x)).epsilon(1e-6));
      double product = 0, rotated = 0, l1 = 0, peak = 0;
      for (std::size_t i = 0; i < n; ++i) {
        product += static_cast<double>(x[i]) * static_cast<double>(w[i]);
        rotated += static_cast<double>(xr[i]) * static_cast<double>(wr[i]);
        l1 += std::fabs(static_cast<double>(x[i]));
        peak = std::max(peak, std::fabs(static_cast<double>(xr[i])));
      }
      CHECK(std::fabs(product - rotated) <= 2e-6 * norm(x) * norm(w));
      CHECK(peak <= l1 / std::sqrt(static_cast<double>(n)) * (1 + 1e-5));
      r->undo(xr);
      for (std::size_t i = 0; i < n; ++i) CHECK(std::fabs(xr[i] - x[i]) <= 1e-4f);
    }
}

TEST_CASE("without signs and for a power of two the rotation is its own inverse; signs come from the seed") {
  const auto plain = calib::rotation::make(256), signs = calib::rotation::make(256, 1),
             others = calib::rotation::make(256, 2);
  const std::vector<float> x = random_row(256, 3);
  std::vector<float> twice = x, a = x, b = x, again = x;
  plain->apply(std::span(twice));
  plain->apply(std::span(twice));
  for (std::size_t i = 0; i < 256; ++i) CHECK(std::fabs(twice[i] - x[i]) <= 1e-5f);
  signs->apply(std::span(a));
  others->apply(std::span(b));
  calib::rotation::make(256, 1)->apply(std::span(again));
  CHECK(a != b);
  CHECK(a == again);
}

TEST_CASE("sizes without a matrix are refused") {
  for (const std::size_t n : {0u, 3u, 7u, 44u, 76u, 100u, 11u * 4096u})
    CHECK(calib::rotation::make(n).error().code == blocq::errc::unsupported);
  CHECK(calib::rotation::make(24));
  CHECK(calib::rotation::make(14336));
  CHECK(calib::rotation::make(13824));
}
