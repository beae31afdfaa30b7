// Bipolar integers: exact products for every pair of widths, and what quantizing to them costs.
#include <doctest/doctest.h>
#include <blocq/packed/bipolar.hpp>
#include <random.hpp>

#include <cmath>
#include <limits>
#include <vector>

namespace {

using blocq::packed::bipolar_matrix;

blocq::matrix_view<const float> view(const std::vector<float>& x, std::size_t columns) {
  return {x.data(), x.size() / columns, columns, columns};
}

}  // namespace

TEST_CASE("the product of any two widths is that of the integers, for lengths that are no whole words too") {
  test::random_bits next{11};
  for (int a = 1; a <= 8; ++a)
    for (int b = 1; b <= 8; ++b)
      for (const std::size_t columns : {1u, 3u, 63u, 64u, 65u, 127u, 301u}) {
        const auto random = [&](std::size_t rows, int bits) {
          std::vector<std::uint8_t> codes(rows * columns);
          for (auto& c : codes) c = static_cast<std::uint8_t>(next.byte() >> (8 - bits));
          return codes;
        };
        const auto x = random(2, a), y = random(3, b);
        const auto m = bipolar_matrix::from_codes(x, 2, columns, a), n = bipolar_matrix::from_codes(y, 3, columns, b);
        REQUIRE(m);
        REQUIRE(n);
        for (std::size_t i = 0; i < 2; ++i)
          for (std::size_t j = 0; j < 3; ++j) {
            std::int64_t sum = 0;
            for (std::size_t k = 0; k < columns; ++k)
              sum += (2 * x[i * columns + k] - ((1 << a) - 1)) * (2 * y[j * columns + k] - ((1 << b) - 1));
            CHECK(dot(m->row(i), n->row(j)) == sum);
          }
      }
}

TEST_CASE("the largest sums do not overflow") {
  constexpr std::size_t columns = 100000;
  const std::vector<std::uint8_t> ones(columns, 255);
  const std::vector<std::uint8_t> zeros(columns, 0);
  const auto a = *bipolar_matrix::from_codes(ones, 1, columns, 8),
             b = *bipolar_matrix::from_codes(zeros, 1, columns, 8);
  CHECK(dot(a.row(0), a.row(0)) == 255 * 255 * std::int64_t{columns});
  CHECK(dot(a.row(0), b.row(0)) == -255 * 255 * std::int64_t{columns});
}

TEST_CASE("codes stand for odd integers") {
  const std::vector<std::uint8_t> codes{0, 1, 2, 3, 4, 5, 6, 7};
  const auto m = *bipolar_matrix::from_codes(codes, 2, 4, 3);
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(m.row(i / 4).code(i % 4) == codes[i]);
    CHECK(m.row(i / 4).value(i % 4) == 2 * static_cast<int>(i) - 7);
  }
}

TEST_CASE("numbers become the nearest odd multiples of the scale") {
  test::random_bits next{12};
  std::vector<float> w(16 * 512);
  for (float& v : w) {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(next.next() >> 11) * 0x1p-53;
    v = static_cast<float>(sum);
  }
  double last = 10;
  for (int bits = 1; bits <= 8; ++bits) {
    const auto m = bipolar_matrix::quantize(view(w, 512), bits);
    REQUIRE(m);
    double noise = 0, signal = 0;
    std::size_t off = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
      const auto row = m->row(i / 512);
      const float y = row.scale * static_cast<float>(row.value(i % 512));
      off += std::fabs(y - w[i]) > row.scale * 1.0001f;
      noise += static_cast<double>((y - w[i]) * (y - w[i]));
      signal += static_cast<double>(w[i] * w[i]);
    }
    CHECK(off == 0);
    // Between the integers with a zero point and those without (0.0137 and 0.0184 in 4 bits, 0.0638 and 0.100 in 3).
    if (bits == 4) CHECK((0.0137 < noise / signal && noise / signal < 0.0184));
    if (bits == 3) CHECK((0.0638 < noise / signal && noise / signal < 0.100));
    CHECK(noise / signal < last);
    last = noise / signal;
  }
}

TEST_CASE("a product with its scales") {
  test::random_bits next{13};
  std::vector<float> w(5 * 100), x(100), y(5);
  for (float& v : w) v = static_cast<float>(next.byte()) - 127.5f;
  for (float& v : x) v = static_cast<float>(next.byte()) - 127.5f;
  const auto m = *bipolar_matrix::quantize(view(w, 100), 8), n = *bipolar_matrix::quantize(view(x, 100), 8);
  gemv(m, n.row(0), y);
  for (std::size_t r = 0; r < 5; ++r) {
    double sum = 0, magnitudes = 0;
    for (std::size_t k = 0; k < 100; ++k) {
      const double p = static_cast<double>(w[r * 100 + k]) * static_cast<double>(x[k]);
      sum += p;
      magnitudes += std::fabs(p);
    }
    CHECK(std::fabs(static_cast<double>(y[r]) - sum) < 0.01 * magnitudes);
  }
}

TEST_CASE("rows of zeros, and what is refused") {
  const std::vector<float> zeros(10);
  const auto m = bipolar_matrix::quantize(view(zeros, 10), 4);
  REQUIRE(m);
  CHECK(m->row(0).scale == 0.0f);
  std::vector<float> bad(20);
  bad[13] = std::numeric_limits<float>::quiet_NaN();
  CHECK(bipolar_matrix::quantize(view(bad, 10), 4).error().code == blocq::errc::not_finite);
  for (const int bits : {0, 9, -1}) {
    CHECK(bipolar_matrix::quantize(view(zeros, 10), bits).error().code == blocq::errc::bad_value);
    CHECK(bipolar_matrix::from_codes({}, 0, 10, bits).error().code == blocq::errc::bad_value);
  }
  const std::vector<std::uint8_t> codes{0, 1, 4};
  CHECK(bipolar_matrix::from_codes(codes, 1, 3, 2).error().code == blocq::errc::bad_value);
  CHECK(bipolar_matrix::from_codes(codes, 1, 2, 3).error().code == blocq::errc::size_mismatch);
}
