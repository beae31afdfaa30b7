// Probes: against definitions worked out another way, and against what is known of normal and of heavy-tailed numbers.
#include <doctest/doctest.h>
#include <blocq/calib/probe.hpp>
#include <synthetic.hpp>

#include <limits>

namespace calib = blocq::calib;

namespace {

std::vector<float> normal(std::size_t n, std::uint64_t seed) {
  test::normal_numbers next{{seed}};
  std::vector<float> x(n);
  for (float& v : x) v = static_cast<float>(next.normal());
  return x;
}
std::vector<float> student(std::size_t n, int degrees, std::uint64_t seed) {
  test::normal_numbers next{{seed}};
  std::vector<float> x(n);
  for (float& v : x) v = static_cast<float>(next.student(degrees));
  return x;
}
double energy(const std::vector<float>& x) {
  double sum = 0;
  for (const float v : x) sum += static_cast<double>(v) * static_cast<double>(v);
  return sum;
}
double distance(const std::vector<float>& x, const std::vector<float>& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    sum += (static_cast<double>(x[i]) - static_cast<double>(y[i])) *
           (static_cast<double>(x[i]) - static_cast<double>(y[i]));
  return sum;
}

// The relative errors of the best integers of so many bits, and of keeping so many sixteenths.
struct both {
  double rounded, pruned;
};
both errors_of(std::vector<float> x, unsigned bits) {
  const calib::sorted_numbers s(std::move(x));
  const auto error = [&](double step) { return s.rounding_error(bits, step); };
  return {error(calib::best_step(bits, s.peak(), error)) / s.energy(), s.pruning_error(bits / 16.0) / s.energy()};
}
both normal_errors(unsigned bits) {
  const auto error = [&](double step) { return calib::normal_rounding_error(bits, step); };
  return {error(calib::best_step(bits, 8, error)), calib::normal_pruning_error(bits / 16.0)};
}

}  // namespace

TEST_CASE("outliers: moments as they are defined, in one go, in parts, and far from 0") {
  const float few[] = {1, 2, 3, 4, 10, 4};  // mean 4, squares 9 4 1 0 36 0, fourth powers 81 16 1 0 1296 0
  calib::outlier_meter m(2);
  REQUIRE(m.add({few, 3, 2}));
  CHECK(m.count() == 6);
  CHECK(m.mean() == doctest::Approx(4));
  CHECK(m.deviation() == doctest::Approx(std::sqrt(50.0 / 6)));
  CHECK(m.kurtosis() == doctest::Approx(1394.0 / 6 / (50.0 / 6) / (50.0 / 6)));
  CHECK(m.peak_ratio() == doctest::Approx(10.0 / 7));  // peaks 10 and 4
  CHECK(m.beyond(few, 2) == 1);
  CHECK(m.beyond(few, 0.5) == 3);

  std::vector<float> many = normal(1u << 15, 1);
  calib::outlier_meter whole(64), parts(64), far(64);
  REQUIRE(whole.add({many.data(), 512, 64}));
  CHECK(whole.kurtosis() == doctest::Approx(3).epsilon(0.05));
  CHECK(whole.peak_ratio() < 2);
  CHECK(whole.beyond(many, 6) == 0);
  for (const std::size_t begin : {0u, 100u, 511u}) {
    calib::outlier_meter part(64);
    const std::size_t end = begin == 0 ? 100 : begin == 100 ? 511 : 512;
    REQUIRE(part.add({many.data() + begin * 64, end - begin, 64}));
    REQUIRE(parts.merge(part));
  }
  CHECK(parts.kurtosis() == doctest::Approx(whole.kurtosis()));
  CHECK(parts.deviation() == doctest::Approx(whole.deviation()));
  CHECK(parts.peak_ratio() == whole.peak_ratio());
  for (float& v : many) v += 1000;
  REQUIRE(far.add({many.data(), 512, 64}));
  CHECK(far.kurtosis() == doctest::Approx(whole.kurtosis()).epsilon(1e-3));

  for (std::size_t i = 0; i < many.size(); ++i) many[i] = (many[i] - 1000) * (i % 64 == 7 ? 40.0f : 1.0f);
  calib::outlier_meter extreme(64);
  REQUIRE(extreme.add({many.data(), 512, 64}));
  CHECK(extreme.peak_ratio() > 30);
  CHECK(extreme.kurtosis() > 100);
  CHECK(extreme.beyond(many, 6) > 0);
}

TEST_CASE("outliers: what has no figure has 0, what is no number is refused") {
  const std::vector<float> alike(24, 0.1f);
  calib::outlier_meter m(8);
  CHECK(m.kurtosis() == 0);
  CHECK(m.peak_ratio() == 0);
  CHECK(calib::outlier_meter(0).peak_ratio() == 0);
  REQUIRE(m.add({alike.data(), 3, 8}));
  CHECK(m.kurtosis() == 0);
  CHECK(m.peak_ratio() == 1);
  CHECK(m.beyond(alike, 6) == 0);
  float bad[8] = {1, 2, 3, std::numeric_limits<float>::infinity(), 0, 0, 0, 0};
  CHECK(m.add({bad, 1, 8}).code == blocq::errc::not_finite);
  CHECK(m.add({bad, 2, 4}).code == blocq::errc::size_mismatch);
  CHECK(m.merge(calib::outlier_meter(9)).code == blocq::errc::size_mismatch);
  CHECK(m.count() == 24);
}

TEST_CASE("disturbances have the energy that they should have") {
  for (const double share : {1e-4, 0.01, 0.3}) {
    const std::vector<float> w = student(4097, 3, 5);
    std::vector<float> noisy = w, same = w, other = w, clipped = w;
    calib::add_noise(noisy, share, 1);
    calib::add_noise(same, share, 1);
    calib::add_noise(other, share, 2);
    CHECK(distance(w, noisy) == doctest::Approx(share * energy(w)).epsilon(1e-4));
    CHECK(noisy == same);
    CHECK(noisy != other);
    const double limit = calib::clip(clipped, share);
    CHECK(distance(w, clipped) == doctest::Approx(share * energy(w)).epsilon(1e-4));
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double kept = std::min(limit, std::fabs(static_cast<double>(w[i])));
      CHECK(static_cast<double>(clipped[i]) == doctest::Approx(w[i] < 0 ? -kept : kept));
    }
  }
  std::vector<float> nothing(5);
  calib::add_noise(nothing, 0.5, 1);
  CHECK(calib::clip(nothing, 0.5) == 0);
  CHECK(energy(nothing) == 0);
}

TEST_CASE("block importance: the direction counts, not the length") {
  const float a[] = {3, 4, 0, 1, 1, 0}, scaled[] = {6, 8, 0, 1, 1, 0}, turned[] = {-4, 3, 0, -1, -1, 0};
  const auto of = [](const float* x, const float* y) {
    calib::layer_change c;
    c.add({x, 2, 3}, {y, 2, 3});
    return c;
  };
  CHECK(of(a, scaled).importance() == doctest::Approx(0));
  CHECK(of(a, turned).importance() == doctest::Approx(1.5));  // at right angles, and opposite
  const float zero[6] = {0, 0, 0, 1, 1, 0};
  CHECK(of(a, zero).importance() == doctest::Approx(0));  // the first token does not count
  calib::layer_change both = of(a, scaled);
  both.merge(of(a, turned));
  CHECK(both.importance() == doctest::Approx(0.75));
  CHECK(calib::layer_change().importance() == 0);
}

TEST_CASE("rounded or pruned: the closed forms are what integration and samples say") {
  constexpr double width = 1e-4;
  for (const double step : {0.3, 1.0}) {
    double error = 0;
    for (double x = -9 + width / 2; x < 9; x += width) {
      const double q = std::min(3.0, std::max(-4.0, std::nearbyint(x / step))) * step;
      error += (x - q) * (x - q) * 0.3989422804014327 * std::exp(-x * x / 2) * width;
    }
    CHECK(calib::normal_rounding_error(3, step) == doctest::Approx(error).epsilon(1e-6));
  }
  double error = 0;
  for (double x = width / 2; x < 1.1503493803760079; x += width)  // three quarters lie below
    error += 2 * x * x * 0.3989422804014327 * std::exp(-x * x / 2) * width;
  CHECK(calib::normal_pruning_error(0.25) == doctest::Approx(error).epsilon(1e-3));
  CHECK(calib::normal_pruning_error(0) == doctest::Approx(1));
  CHECK(calib::normal_pruning_error(1) == doctest::Approx(0));

  const std::vector<float> x = normal(1u << 16, 3);
  for (const unsigned bits : {2u, 3u, 4u, 8u}) {
    const both measured = errors_of(x, bits), known = normal_errors(bits);
    CHECK(measured.rounded == doctest::Approx(known.rounded).epsilon(0.02));
    CHECK(measured.pruned == doctest::Approx(known.pruned).epsilon(0.02));
  }
  // Sums of sorted numbers against each number by itself.
  const calib::sorted_numbers sorted(x);
  double rounded = 0;
  for (const float v : x) {
    const double q = 0.5 * std::min(3.0, std::max(-4.0, std::nearbyint(static_cast<double>(v) / 0.5)));
    rounded += (static_cast<double>(v) - q) * (static_cast<double>(v) - q);
  }
  CHECK(sorted.rounding_error(3, 0.5) == doctest::Approx(rounded / static_cast<double>(x.size())));
  CHECK(sorted.energy() == doctest::Approx(energy(x) / static_cast<double>(x.size())));
  const calib::sorted_numbers few({-3, 1, 2, -1});
  CHECK(few.pruning_error(0.5) == doctest::Approx(0.5));
  CHECK(few.pruning_error(1) == 0);
  CHECK(few.peak() == 3);
}

TEST_CASE("rounded or pruned: rounding wins on normal numbers, pruning on heavy tails in few bits") {
  for (unsigned bits = 2; bits <= 8; ++bits) {
    const both e = normal_errors(bits);
    CHECK(e.rounded < e.pruned);
    CHECK(e.rounded > 0);
  }
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    for (const unsigned bits : {2u, 3u, 4u}) {
      const both heavy = errors_of(student(1u << 14, 2, seed), bits),
                 light = errors_of(student(1u << 14, 10, seed), bits);
      CHECK(heavy.pruned < heavy.rounded);
      CHECK(light.rounded < light.pruned);
    }
  }
  const calib::sorted_numbers zeros(std::vector<float>(7));
  CHECK(zeros.rounding_error(4, 1) == 0);
  CHECK(zeros.pruning_error(0.25) == 0);
  CHECK(calib::best_step(4, 0, [](double) { return 0.0; }) == 1);
}
