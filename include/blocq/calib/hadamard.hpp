// Rotations by Hadamard matrices: x R with an orthogonal R spreads what one column holds over all of them, and a layer
// whose weights are rotated along computes the same: (x R) (W R)' = x W'. Ashkboos et al., "QuaRot: Outlier-Free 4-Bit
// Inference in Rotated LLMs", 2024.
//
// A row of n = m * 2^k elements, m one of 1, 12, 20, 28, 36, 40, 52, 60, 108, 140, 156, 172, is seen as m rows of 2^k:
// each goes through the fast transform, and columns of m are multiplied with a Hadamard matrix of order m. Where these
// come from:
//
//   m = q + 1       Paley's first construction for a prime q = 3 mod 4: 12, 20, 60, 108, 140
//   m = 2 (q + 1)   Paley's second for a prime q = 1 mod 4: 28, 36
//   m = 4 q         Williamson's from four symmetric circulant matrices: 52, 156, 172
//   m = 40          twice the order 20
#ifndef BLOCQ_CALIB_HADAMARD_HPP
#define BLOCQ_CALIB_HADAMARD_HPP

#include <blocq/calib/random.hpp>
#include <blocq/core/error.hpp>
#include <blocq/core/view.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

// The orders that are not powers of two, smallest first.
inline constexpr std::array<std::size_t, 11> hadamard_orders = {12, 20, 28, 36, 40, 52, 60, 108, 140, 156, 172};

namespace detail {

// 1 if a is a square other than 0 modulo the prime q, -1 if it is none, 0 for 0.
inline int legendre(std::size_t a, std::size_t q) noexcept {
  if (a % q == 0) return 0;
  for (std::size_t x = 1; x <= q / 2; ++x)
    if (x * x % q == a % q) return 1;
  return -1;
}

// First rows of four circulant matrices of order 13, 39 and 43, bit i for element i: set where it is 1. They are
// symmetric, and the sum of their squares is 4 q times the identity. Such quadruples are known since Williamson, 1944
// (13 and 43), and Baumert and Hall, 1965 (39).
inline constexpr std::uint64_t williamson_rows[3][4] = {
    {0x9e5u, 0x3f1u, 0x14cbu, 0x121u},
    {0x6504c320a7u, 0x7130a50c8fu, 0x668a425167u, 0xd41db82b1u},
    {0xcf5d9baf31u, 0x5f8536ca1fbu, 0x6b2bd0bd4d7u, 0x47a4c0325e3u}};

// A Hadamard matrix of order m, row after row; empty if m is not 1, 2 or one of hadamard_orders.
inline std::vector<std::int8_t> hadamard_matrix(std::size_t m) {
  std::vector<std::int8_t> h(m * m);
  const auto set = [&](std::size_t i, std::size_t k, int v) { h[i * m + k] = static_cast<std::int8_t>(v); };
  const auto paley_1 = [&](std::size_t q) {  // I + S, S the skew matrix of the characters with a border
    for (std::size_t i = 0; i <= q; ++i)
      for (std::size_t k = 0; k <= q; ++k)
        set(i, k, i == k ? 1 : i == 0 ? 1 : k == 0 ? -1 : legendre(i - 1 + q - (k - 1), q));
  };
  const auto paley_2 = [&](std::size_t q) {  // 0 becomes (1 -1; -1 -1), v becomes v (1 1; 1 -1)
    for (std::size_t i = 0; i <= q; ++i)
      for (std::size_t k = 0; k <= q; ++k) {
        const int v = i == k ? 0 : i == 0 || k == 0 ? 1 : legendre(i - 1 + q - (k - 1), q);
        set(2 * i, 2 * k, v == 0 ? 1 : v);
        set(2 * i, 2 * k + 1, v == 0 ? -1 : v);
        set(2 * i + 1, 2 * k, v == 0 ? -1 : v);
        set(2 * i + 1, 2 * k + 1, v == 0 ? -1 : -v);
      }
  };
  // A quaternion of circulant matrices:  a b c d / -b a -d c / -c d a -b / -d -c b a
  const auto williamson = [&](const std::uint64_t(&rows)[4]) {
    constexpr int part[4][4] = {{0, 1, 2, 3}, {1, 0, 3, 2}, {2, 3, 0, 1}, {3, 2, 1, 0}};
    constexpr int sign[4][4] = {{1, 1, 1, 1}, {-1, 1, -1, 1}, {-1, 1, 1, -1}, {-1, -1, 1, 1}};
    const std::size_t q = m / 4;
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t k = 0; k < m; ++k) {
        const int v = (rows[part[i / q][k / q]] >> ((k % q + q - i % q) % q) & 1u) != 0 ? 1 : -1;
        set(i, k, v * sign[i / q][k / q]);
      }
  };
  switch (m) {
    case 1: set(0, 0, 1); break;
    case 2: set(0, 0, 1), set(0, 1, 1), set(1, 0, 1), set(1, 1, -1); break;
    case 12:
    case 20:
    case 60:
    case 108:
    case 140: paley_1(m - 1); break;
    case 28:
    case 36: paley_2(m / 2 - 1); break;
    case 40: {
      const auto half = hadamard_matrix(20);
      for (std::size_t i = 0; i < 40; ++i)
        for (std::size_t k = 0; k < 40; ++k) set(i, k, half[i / 2 * 20 + k / 2] * (i % 2 + k % 2 == 2 ? -1 : 1));
      break;
    }
    case 52: williamson(williamson_rows[0]); break;
    case 156: williamson(williamson_rows[1]); break;
    case 172: williamson(williamson_rows[2]); break;
    default: h.clear();
  }
  return h;
}

}  // namespace detail

// The orthogonal matrix R = D H / sqrt(n): D has random signs on its diagonal, or none, H is the Hadamard matrix above.
// Owns m * m bytes and n signs; the transform of a row allocates nothing but m floats.
class rotation {
 public:
  // errc::unsupported  n is not m * 2^k
  //   seed  of the signs; 0: D = I
  static result<rotation> make(std::size_t n, std::uint64_t seed = 0) {
    rotation r;
    for (const std::size_t m : hadamard_orders)
      if (n % m == 0 && is_power_of_two(n / m)) r.m_ = m;
    if (is_power_of_two(n)) r.m_ = 1;
    if (r.m_ == 0) return error(errc::unsupported) << "no Hadamard matrix of order " << n << " is known here";
    r.n_ = n;
    r.matrix_ = detail::hadamard_matrix(r.m_);
    if (seed != 0) {
      r.negative_.resize(n);
      detail::random_numbers next(seed);
      for (std::size_t i = 0; i < n; ++i) r.negative_[i] = next.bits() >> 63 != 0;
    }
    return r;
  }

  std::size_t size() const noexcept { return n_; }

  // x becomes x R. Precondition: x.size() == size().
  void apply(std::span<float> x) const {
    BLOCQ_ASSERT(x.size() == n_);
    for (std::size_t i = 0; i < negative_.size(); ++i)
      if (negative_[i]) x[i] = -x[i];
    transform(x, false);
  }
  // x R becomes x.
  void undo(std::span<float> x) const {
    BLOCQ_ASSERT(x.size() == n_);
    transform(x, true);
    for (std::size_t i = 0; i < negative_.size(); ++i)
      if (negative_[i]) x[i] = -x[i];
  }
  // Every row. Precondition: x.cols == size().
  void apply(matrix_view<float> x) const {
    for (std::size_t r = 0; r < x.rows; ++r) apply(x.row(r));
  }

 private:
  rotation() = default;

  static bool is_power_of_two(std::size_t n) noexcept { return n != 0 && (n & (n - 1)) == 0; }

  void transform(std::span<float> x, bool transposed) const {
    const std::size_t length = n_ / m_;
    for (std::size_t half = 1; half < length; half *= 2)
      for (std::size_t begin = 0; begin < n_; begin += 2 * half)
        for (std::size_t i = begin; i < begin + half; ++i) {
          const float a = x[i], b = x[i + half];
          x[i] = a + b;
          x[i + half] = a - b;
        }
    const float unit = static_cast<float>(1.0 / std::sqrt(static_cast<double>(n_)));
    if (m_ == 1) {
      for (float& v : x) v *= unit;
      return;
    }
    std::vector<float> column(m_);
    for (std::size_t i = 0; i < length; ++i) {
      for (std::size_t j = 0; j < m_; ++j) column[j] = x[j * length + i];
      for (std::size_t k = 0; k < m_; ++k) {
        float sum = 0.0f;
        for (std::size_t j = 0; j < m_; ++j) {
          const float v = column[j];
          sum += matrix_[transposed ? k * m_ + j : j * m_ + k] > 0 ? v : -v;
        }
        x[k * length + i] = sum * unit;
      }
    }
  }

  std::size_t n_ = 0, m_ = 0;
  std::vector<std::int8_t> matrix_ = {};
  std::vector<bool> negative_ = {};
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
