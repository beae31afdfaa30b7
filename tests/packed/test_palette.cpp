// Palettes in integers: what is rounded, and that nothing else is.
#include <doctest/doctest.h>
#include <blocq/packed/palette.hpp>
#include <packed_examples.hpp>
#include <packed_values.hpp>

#include <cmath>
#include <vector>

using blocq::packed::palette;

TEST_CASE("palettes in integers: the product of the decoded rows, but for inputs in 8 bits and tables in 14") {
  test::source s;
  for (int bits = 1; bits <= 4; ++bits)
    for (const std::size_t cols : {7u, 256u, 301u, 1000u}) {
      const std::size_t rows = 11, group = 4, groups = 3;
      const palette p(s.codes(rows, cols, bits), group, s.halves(groups << bits),
                      cols % 2 == 0 ? s.halves(rows) : std::vector<std::uint16_t>());
      const test::matrix q = test::values_of(p);
      std::vector<float> y(rows), space(p.integer_scratch());
      const auto check = [&](const std::vector<float>& x, double rounding) {
        p.integer_gemv(x, y, space);
        for (std::size_t r = 0; r < rows; ++r) {
          double sum = 0, most = 0, inputs = 0, weights = 0;
          float peak = 0;
          for (std::size_t k = 0; k < cols; ++k) {
            sum += static_cast<double>(q(r, k)) * static_cast<double>(x[k]);
            most = std::fmax(most, std::fabs(static_cast<double>(q(r, k))));
            inputs += std::fabs(static_cast<double>(x[k]));
            weights += std::fabs(static_cast<double>(q(r, k)));
            peak = std::fmax(peak, std::fabs(x[k]));
          }
          // Half a step of 2 most over 2^14, and what x loses.
          CHECK(std::fabs(static_cast<double>(y[r]) - sum) <=
                most * inputs * 0x1p-13 + rounding * weights * static_cast<double>(peak) / 254);
        }
      };
      check(s.floats(cols), 1);
      // Whole numbers of one block that reach 127 are not rounded.
      std::vector<float> exact(cols);
      for (std::size_t k = 0; k < cols; ++k)
        exact[k] = static_cast<float>(k % 256 == 0 ? 127 : static_cast<int>(s.next.next() % 255) - 127);
      check(exact, 0);
      check(std::vector<float>(cols), 0);
      // Any ranges of rows.
      p.integer_gemv(exact, y, space);
      for (std::size_t first = 0; first < rows; ++first) {
        float one = 0;
        p.integer_gemv(exact, {&one, 1}, space, first);
        CHECK(one == y[first]);
      }
    }
}

TEST_CASE("palettes in integers: tables of equal numbers") {
  const palette p(blocq::packed::code_rows(2, 40, 3), 2, std::vector<std::uint16_t>(8, 0x3800));
  std::vector<float> x(40, 2.0f), y(2), space(p.integer_scratch());
  p.integer_gemv(x, y, space);
  for (const float v : y) CHECK(v == doctest::Approx(40.0));
  for (const float no_number : {INFINITY, NAN}) {
    x[17] = no_number;
    p.integer_gemv(x, y, space);
    for (const float v : y) CHECK_FALSE(blocq::is_finite(v));
  }
}
