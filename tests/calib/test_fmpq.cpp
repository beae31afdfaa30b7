// Blocks of inputs in 4 and 8 bits: how many can have 4 once channels are in order, and what that costs.
#include <doctest/doctest.h>
#include <blocq/calib/fmpq.hpp>

#include "problem.hpp"

#include <limits>

namespace calib = blocq::calib;

namespace {

// The squared error of products with the held-out inputs, as the matrix computes them.
double product_error(const test::problem& p, const blocq::packed::mixed_blocks& m) {
  std::vector<float> y(m.rows()), space(m.scratch());
  double error = 0, energy = 0;
  for (std::size_t t = 0; t < 128; ++t) {
    m.gemv(p.layer.held_out.view().row(t), y, space);
    for (std::size_t r = 0; r < y.size(); ++r) {
      double exact = 0;
      for (std::size_t k = 0; k < m.cols(); ++k)
        exact += static_cast<double>(p.layer.w(r, k)) * static_cast<double>(p.layer.held_out(t, k));
      error += (static_cast<double>(y[r]) - exact) * (static_cast<double>(y[r]) - exact);
      energy += exact * exact;
    }
  }
  return error / energy;
}

}  // namespace

TEST_CASE("fmpq: in order few blocks have extreme channels, and the others lose little by 4 bits") {
  std::vector<double> before, after, ratios, narrow;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const test::problem p(seed, {.rows = 32, .cols = 512, .tokens = 512, .test_tokens = 128});
    const auto made = [&](double threshold, bool permute) {
      auto m = calib::fmpq(p.layer.w.view(), p.moments, {.block = 64, .threshold = threshold, .permute = permute});
      REQUIRE(m);
      return std::move(*m);
    };
    const auto mixed = made(8, true);
    before.push_back(made(8, false).narrow_share());
    after.push_back(mixed.narrow_share());
    const double eight = product_error(p, made(0, true));
    ratios.push_back(product_error(p, mixed) / eight);
    narrow.push_back(product_error(p, made(1e9, true)) / eight);
  }
  MESSAGE("blocks of 4 bits: " << test::median(before) << " as they lie, " << test::median(after)
                               << " in order; W4Ax / W4A8 " << test::median(ratios) << ", W4A4 / W4A8 "
                               << test::median(narrow));
  CHECK(test::median(before) <= 0.6);
  CHECK(test::median(after) >= 0.8);
  CHECK(test::median(ratios) <= 1.15);
  CHECK(test::median(narrow) > 1.5);
}

TEST_CASE("fmpq: zeros, blocks that end early, and what is refused") {
  test::matrix w{2, 77};
  for (std::size_t k = 0; k < 77; ++k) w(0, k) = k % 2 == 0 ? 1.0f : -1.0f;
  const calib::gram inputs = calib::gram::of_units(77);
  const auto m = calib::fmpq(w.view(), inputs, {.block = 64});
  REQUIRE(m);
  std::vector<float> row(77);
  m->dequantize_row(0, row);
  for (std::size_t k = 0; k < 77; ++k) CHECK(row[k] == doctest::Approx(w(0, k)).epsilon(1e-3));
  m->dequantize_row(1, row);
  CHECK(row == std::vector<float>(77));
  CHECK(m->narrow_share() == 1.0);
  // Channels that no input has reached: all are alike.
  CHECK(calib::fmpq(w.view(), calib::gram(77)));
  CHECK(calib::fmpq(w.view(), inputs, {.block = 48}).error().code == blocq::errc::bad_value);
  CHECK(calib::fmpq(w.view(), inputs, {.threshold = -1}).error().code == blocq::errc::bad_value);
  CHECK(calib::fmpq(w.view(), calib::gram(32)).error().code == blocq::errc::size_mismatch);
  CHECK(calib::fmpq({}, calib::gram(0)).error().code == blocq::errc::size_mismatch);
  w(1, 5) = std::numeric_limits<float>::infinity();
  CHECK(calib::fmpq(w.view(), inputs).error().code == blocq::errc::not_finite);
}
