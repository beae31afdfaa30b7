// The operands: the rows that all conversions work on, small enough to stay in a second-level cache, and matrices made
// of them.
#ifndef BLOCQ_BENCH_DATA_HPP
#define BLOCQ_BENCH_DATA_HPP

#include <blocq/format/all.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <random>
#include <span>
#include <string>
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

// Activations: normally distributed too.
inline std::span<const float> activations() {
  static const std::vector<float> values = [] {
    std::vector<float> v(128 * columns);
    std::mt19937 engine(4);
    std::normal_distribution<float> normal(0.0f, 1.0f);
    for (float& x : v) x = normal(engine);
    return v;
  }();
  return values;
}

// The formats of weights.
template <class B>
concept multipliable = blocq::block_format<B> && !std::is_same_v<B, blocq::q8_1> && !std::is_same_v<B, blocq::q8_k>;

// The weights in the format of this name.
const std::vector<std::byte>& encoded(const std::string& format);

// `count` rows of 4096 weights in format B; the same sixteen again and again.
template <class B>
std::shared_ptr<std::vector<B>> encoded_rows(std::size_t count) {
  const auto blocks = std::make_shared<std::vector<B>>(count * columns / blocq::block_size<B>);
  const std::vector<std::byte>& some = encoded(blocq::format_traits<B>::name);
  auto* to = reinterpret_cast<std::byte*>(blocks->data());
  for (std::size_t left = blocks->size() * sizeof(B); left > 0;) {
    const std::size_t n = std::min(some.size(), left);
    to = std::copy_n(some.begin(), n, to);
    left -= n;
  }
  return blocks;
}

// True if a and b differ by less than `tolerance`, root mean square over root mean square.
inline bool close(std::span<const float> a, std::span<const float> b, double tolerance) {
  double difference = 0, magnitude = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    difference += d * d;
    magnitude += static_cast<double>(a[i]) * static_cast<double>(a[i]);
  }
  return a.size() == b.size() && difference <= tolerance * tolerance * magnitude;
}

}  // namespace bench

#endif
