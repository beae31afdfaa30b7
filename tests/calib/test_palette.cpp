// Palettes: the centroids of counted numbers are those of all weights, and what they cost.
#include <doctest/doctest.h>
#include <blocq/calib/palette.hpp>
#include <packed_values.hpp>

#include <chrono>
#include <limits>

namespace calib = blocq::calib;

namespace {

test::matrix random_weights(std::uint64_t seed, std::size_t rows, std::size_t cols) {
  test::normal_numbers next{{seed}};
  test::matrix w{rows, cols};
  for (float& v : w.values) v = blocq::f16_to_f32(blocq::f32_to_f16(static_cast<float>(0.02 * next.student(5))));
  return w;
}

// Lloyd's iteration as it is written down: every weight is compared with every centroid.
std::vector<double> directly(const test::matrix& w, std::vector<double> centroids, const std::vector<float>& importance,
                             int iterations) {
  for (bool moved = true; moved && iterations > 0; --iterations) {
    std::vector<double> sums(centroids.size()), weights(centroids.size());
    for (std::size_t i = 0; i < w.values.size(); ++i) {
      const double x = static_cast<double>(w.values[i]),
                   weight = importance.empty() ? 1.0 : static_cast<double>(importance[i % w.cols]);
      std::size_t best = 0;
      for (std::size_t c = 1; c < centroids.size(); ++c)
        if (std::fabs(x - centroids[c]) < std::fabs(x - centroids[best])) best = c;
      sums[best] += weight * x;
      weights[best] += weight;
    }
    moved = false;
    for (std::size_t c = 0; c < centroids.size(); ++c)
      if (weights[c] > 0) {
        const double mean = sums[c] / weights[c];
        moved = moved || std::fabs(mean - centroids[c]) > 1e-12;
        centroids[c] = mean;
      }
  }
  return centroids;
}

}  // namespace

TEST_CASE("palette: counted half-precision values give the centroids of the iteration over all weights") {
  test::normal_numbers next{{5}};
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const test::matrix w = random_weights(seed, 40, 250);
    std::vector<float> importance(seed % 2 == 0 ? 250 : 0);
    for (float& v : importance) v = static_cast<float>(next.uniform());
    const calib::weighted_values values(w.view(), 0, w.rows, importance);
    for (const std::size_t k : {2u, 8u, 16u}) {
      std::vector<double> fast = values.spread(k);
      const std::vector<double> slow = directly(w, fast, importance, 25);
      values.cluster(fast, 25);
      for (std::size_t c = 0; c < k; ++c) CHECK(fast[c] == doctest::Approx(slow[c]).epsilon(1e-9).scale(1e-3));
    }
  }
}

TEST_CASE("palette: errors fall with the bits, and with the rows that share a table") {
  const test::matrix w = random_weights(3, 64, 256);
  double last = 1;
  for (int bits = 1; bits <= 8; ++bits) {
    const auto p = calib::make_palette(w.view(), {.bits = bits});
    REQUIRE(p);
    const double error = test::weight_error(w.view(), test::values_of(*p).view());
    CHECK(error < 0.6 * last);
    if (bits == 4) CHECK(error < 0.018);  // 0.0114 is the best that 16 levels do for normal numbers
    last = error;
    CHECK(bits_per_weight(*p) == bits + 16.0 * (1 << bits) / static_cast<double>(w.values.size()));
  }
  // Groups of rows have smaller errors, and more to store.
  const auto one = calib::make_palette(w.view(), {.bits = 3}),
             many = calib::make_palette(w.view(), {.bits = 3, .group = 5});
  REQUIRE(many);
  CHECK(test::weight_error(w.view(), test::values_of(*many).view()) <
        test::weight_error(w.view(), test::values_of(*one).view()));
  CHECK(bits_per_weight(*many) > bits_per_weight(*one));
}

TEST_CASE("palette: columns of large inputs count more") {
  const test::layer l(4, {.rows = 32, .cols = 256, .tokens = 256, .test_tokens = 128});
  std::vector<float> squares(256);
  for (std::size_t t = 0; t < l.x.rows; ++t)
    for (std::size_t k = 0; k < 256; ++k) squares[k] += l.x(t, k) * l.x(t, k);
  const auto plain = calib::make_palette(l.w.view(), {.bits = 3, .group = 1}),
             weighted = calib::make_palette(l.w.view(), {.bits = 3, .group = 1}, squares);
  REQUIRE(weighted);
  CHECK(test::output_error(l.held_out, l.w.view(), test::values_of(*weighted).view()) <
        0.5 * test::output_error(l.held_out, l.w.view(), test::values_of(*plain).view()));
}

TEST_CASE("palette: constants, fewer numbers than entries, and what is refused") {
  test::matrix same{3, 5, std::vector<float>(15, -0.25f)};
  const auto p = calib::make_palette(same.view(), {.bits = 4});
  REQUIRE(p);
  CHECK(test::values_of(*p).values == same.values);
  const test::matrix two{1, 4, {1.0f, 2.0f, 1.0f, 2.0f}};
  CHECK(test::values_of(*calib::make_palette(two.view(), {.bits = 3})).values == two.values);
  // What no input reaches is a weight all the same.
  const float importance[] = {0, 0, 0, 0};
  for (const float v : test::values_of(*calib::make_palette(two.view(), {.bits = 3}, importance)).values)
    CHECK((v >= 0.9f && v <= 2.1f));
  same.values[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK(calib::make_palette(same.view()).error().code == blocq::errc::not_finite);
  same.values[7] = 70000.0f;
  CHECK(calib::make_palette(same.view()).error().code == blocq::errc::scale_range);
  CHECK(calib::make_palette(two.view(), {.bits = 9}).error().code == blocq::errc::bad_value);
  CHECK(calib::make_palette({}, {}).error().code == blocq::errc::size_mismatch);
  const float wrong[] = {1, 2}, negative[] = {1, 2, -1, 0};
  CHECK(calib::make_palette(two.view(), {}, wrong).error().code == blocq::errc::size_mismatch);
  CHECK(calib::make_palette(two.view(), {}, negative).error().code == blocq::errc::bad_value);
}

TEST_CASE("palette: the speed of both forms" * doctest::skip()) {
  const test::matrix w = random_weights(1, 1000, 10000);
  const auto seconds = [](auto&& f) {
    const auto start = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  std::vector<double> fast, slow;
  const double counted = seconds([&] {
    const calib::weighted_values values(w.view(), 0, w.rows, {});
    fast = slow = values.spread(16);
    values.cluster(fast, 25);
  });
  const double direct = seconds([&] { slow = directly(w, slow, {}, 25); });
  MESSAGE("25 iterations, 16 centroids, 10 M weights: " << counted << " s counted, " << direct << " s directly, "
                                                        << direct / counted << " times");
  for (std::size_t c = 0; c < 16; ++c) CHECK(fast[c] == doctest::Approx(slow[c]).epsilon(1e-9).scale(1e-3));
}
