// The operands: the rows that all conversions work on, small enough to stay in a second-level cache.
#ifndef BLOCQ_BENCH_DATA_HPP
#define BLOCQ_BENCH_DATA_HPP

#include <cstddef>
#include <random>
#include <span>
#include <vector>

namespace bench {

inline constexpr std::size_t rows = 16, columns = 4096, elements = rows * columns;
inline constexpr const char* rows_shape = "16x4096";

// Normally distributed weights, as those of a trained layer nearly are.
inline std::span<const float> weights() {
  static const std::vector<float> values = [] {
    std::vector<float> v(elements);
    std::mt19937 engine(1);
    std::normal_distribution<float> normal(0.0f, 0.02f);
    for (float& x : v) x = normal(engine);
    return v;
  }();
  return values;
}

// One importance weight per column: the mean square of a few activations.
inline std::span<const float> importance() {
  static const std::vector<float> values = [] {
    std::vector<float> v(columns);
    std::mt19937 engine(2);
    std::chi_squared_distribution<float> chi(4.0f);
    for (float& x : v) x = chi(engine) / 4.0f;
    return v;
  }();
  return values;
}

}  // namespace bench

#endif
