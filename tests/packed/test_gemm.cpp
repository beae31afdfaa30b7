// Products of packed matrices with many rows.
#include <doctest/doctest.h>
#include <blocq/packed/gemm.hpp>
#include <packed_values.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

using blocq::packed::dual_groups;

TEST_CASE("dual groups times many rows: the product of the decoded rows, but for inputs in 8 bits") {
  test::normal_numbers next{{41}};
  const auto floats = [&](std::size_t n, double least) {
    std::vector<float> x(n);
    for (float& v : x) v = static_cast<float>(least > 0 ? least + std::fabs(next.normal()) : next.normal());
    return x;
  };
  const auto whole = [&](std::size_t n, unsigned first, unsigned count) {
    std::vector<std::uint8_t> b(n);
    for (auto& v : b) v = static_cast<std::uint8_t>(first + next.next() % count);
    return b;
  };
  struct shape {
    std::size_t rows, cols, group, tokens;
  };
  for (const auto& [rows, cols, group, tokens] :
       {shape{5, 96, 64, 1}, shape{37, 512, 128, 7}, shape{70, 288, 32, 3}, shape{33, 1056, 1056, 12}})
    for (const bool divided : {false, true}) {
      const std::size_t groups = (cols + group - 1) / group;
      blocq::packed::code_rows codes(rows, cols, 4);
      const auto zeros = whole(rows * groups, 0, 16), steps = whole(rows * groups, 1, 127);
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t k = 0; k < cols; ++k) {
          const std::size_t line = r * groups + k / group;
          codes.set(r, k,
                    std::clamp(static_cast<int>(next.next() % 16), dual_groups::lowest_code(steps[line], zeros[line]),
                               dual_groups::highest_code(steps[line], zeros[line])));
        }
      const dual_groups w(codes, group, zeros, steps, floats(rows, 0.1),
                          divided ? floats(cols, 0.5) : std::vector<float>());
      const test::matrix x{tokens, cols, floats(tokens * cols, 0)};
      std::vector<float> y(tokens * rows);
      std::vector<std::byte> scratch(gemm_scratch(w, tokens));
      gemm(w, x.view(), {y.data(), tokens, rows, rows}, scratch);
      const test::matrix q = test::values_of(w);
      for (std::size_t t = 0; t < tokens; ++t) {
        float peak = 0;
        for (std::size_t k = 0; k < cols; ++k)
          peak = std::max(peak, std::fabs(x(t, k)) / (divided ? w.divisors()[k] : 1.0f));
        for (std::size_t r = 0; r < rows; ++r) {
          double sum = 0, weights = 0;
          for (std::size_t k = 0; k < cols; ++k) {
            sum += static_cast<double>(q(r, k)) * static_cast<double>(x(t, k));
            weights += std::fabs(static_cast<double>(q(r, k))) * (divided ? static_cast<double>(w.divisors()[k]) : 1.0);
          }
          // Rounding is at random, of which weights is the worst case.
          CHECK(std::fabs(static_cast<double>(y[t * rows + r]) - sum) <=
                weights * static_cast<double>(peak) / 254 * 0.5);
        }
      }
      // Inputs that 8 bits hold come through exactly, up to the sums of floats.
      test::matrix exact{tokens, cols};
      for (std::size_t t = 0; t < tokens; ++t)
        for (std::size_t k = 0; k < cols; ++k)
          exact(t, k) = static_cast<float>(k % 256 == 0 ? -127 : static_cast<int>(next.next() % 255) - 127) *
                        (divided ? w.divisors()[k] : 1.0f);
      gemm(w, exact.view(), {y.data(), tokens, rows, rows}, scratch);
      for (std::size_t i = 0; i < y.size(); ++i) {
        double sum = 0, size = 0;
        for (std::size_t k = 0; k < cols; ++k) {
          const double p = static_cast<double>(q(i % rows, k)) * static_cast<double>(exact(i / rows, k));
          sum += p;
          size += std::fabs(p);
        }
        CHECK(std::fabs(static_cast<double>(y[i]) - sum) <= 2e-5 * size);
      }
    }
}
