// The layers on which the methods are compared with each other: 64 x 256, 2048 correlated inputs of which a few columns
// are extreme, errors on 512 others. Five seeds; each comparison is a ratio of two errors.
#ifndef BLOCQ_TESTS_CALIB_PROBLEM_HPP
#define BLOCQ_TESTS_CALIB_PROBLEM_HPP

#include <doctest/doctest.h>
#include <blocq/calib/gram.hpp>
#include <synthetic.hpp>

#include <algorithm>
#include <vector>

namespace test {

struct problem {
  test::layer layer;
  blocq::calib::gram moments{layer.w.cols}, held_out{layer.w.cols};
  double energy;

  explicit problem(std::uint64_t seed, const regime& r = {}) : layer(seed, r) {
    REQUIRE(moments.add(layer.x.view()));
    REQUIRE(held_out.add(layer.held_out.view()));
    energy = held_out.error(layer.w.view(), matrix{layer.w.rows, layer.w.cols}.view());
  }

  // The error of the layer's output on inputs that no method has seen.
  double error(const std::vector<float>& q) const {
    return held_out.error(layer.w.view(), {q.data(), layer.w.rows, layer.w.cols, layer.w.cols}) / energy;
  }
};

inline const std::vector<problem>& problems() {
  static const std::vector<problem> five = [] {
    std::vector<problem> all;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) all.emplace_back(seed);
    return all;
  }();
  return five;
}

inline blocq::matrix_view<float> writable(matrix& m) { return {m.values.data(), m.rows, m.cols, m.cols}; }

// Values for scaled columns as values for the columns before they were scaled.
inline std::vector<float> unscaled(std::vector<float> values, const std::vector<float>& scale) {
  for (std::size_t i = 0; i < values.size(); ++i) values[i] /= scale[i % scale.size()];
  return values;
}

inline double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

}  // namespace test

#endif
