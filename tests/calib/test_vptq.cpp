// Vectors: what the codebook, the weights of columns, the second stage and the loop each gain.
#include <doctest/doctest.h>
#include <blocq/calib/vptq.hpp>
#include <packed_values.hpp>

#include "problem.hpp"

#include <limits>

namespace calib = blocq::calib;

TEST_CASE("vptq: a fraction of the error of 2-bit GPTQ, halved by a second stage") {
  std::vector<double> to_gptq, stage, unweighted, outliers;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const test::problem p(seed, {.rows = 128, .cols = 512, .tokens = 1024});
    const auto w = p.layer.w.view();
    const auto error_of = [&](const calib::vptq_options& o) {
      const auto m = calib::vptq(w, p.moments, o);
      REQUIRE_MESSAGE(static_cast<bool>(m), m.message());
      return p.error(test::values_of(*m).values);
    };
    const auto two = calib::gptq(w, p.moments, calib::integers{.bits = 2, .group = 128}, {.act_order = true});
    REQUIRE(two);
    const double plain = error_of({.iterations = 12});
    to_gptq.push_back(plain / p.error(two->values));
    stage.push_back(error_of({.residual_bits = 8, .iterations = 12}) / plain);
    if (seed > 3) continue;
    unweighted.push_back(plain / error_of({.weighted = false, .iterations = 12}));
    outliers.push_back(error_of({.outliers = 0.02, .iterations = 12}) / plain);
  }
  MESSAGE("vptq / gptq in 2 bits " << test::median(to_gptq) << ", with a second stage / without " << test::median(stage)
                                   << ", with weights / without " << test::median(unweighted)
                                   << ", with outlier columns / without " << test::median(outliers));
  CHECK(test::median(to_gptq) <= 0.2);
  CHECK(test::median(stage) <= 0.5);
  CHECK(test::median(unweighted) <= 0.8);
}

TEST_CASE("vptq: what it stores") {
  const test::problem p(6, {.rows = 32, .cols = 256, .tokens = 512, .test_tokens = 64});
  const auto m = calib::vptq(p.layer.w.view(), p.moments, {.bits = 6});
  REQUIRE(m);
  CHECK(bits_per_weight(*m) == 6 / 4.0 + 64 * 4 * 16 / (32 * 256.0));
  // Rows that are no whole vectors.
  const auto ragged = calib::vptq(p.layer.w.view().row_range(0, 30), p.moments, {.bits = 6});
  REQUIRE(ragged);
  CHECK(ragged->rows() == 30);
  CHECK(test::weight_error(p.layer.w.view().row_range(0, 30), test::values_of(*ragged).view()) < 1);
}

TEST_CASE("vptq: constants, and what is refused") {
  test::matrix w{8, 64, std::vector<float>(8 * 64, 0.5f)};
  const calib::gram inputs = calib::gram::of_units(64);
  const auto m = calib::vptq(w.view(), inputs, {.bits = 2});
  REQUIRE(m);
  CHECK(test::values_of(*m).values == w.values);
  const auto code = [&](const calib::vptq_options& o) { return calib::vptq(w.view(), inputs, o).error().code; };
  CHECK(code({.length = 17}) == blocq::errc::bad_value);
  CHECK(code({.length = 0}) == blocq::errc::bad_value);
  CHECK(code({.bits = 13}) == blocq::errc::bad_value);
  CHECK(code({.residual_bits = -1}) == blocq::errc::bad_value);
  CHECK(code({.outliers = 0.9}) == blocq::errc::bad_value);
  CHECK(code({.length = 9}) == blocq::errc::too_large);  // more than there are rows
  CHECK(code({.bits = 8}) == blocq::errc::too_large);    // 256 centroids for 128 vectors
  CHECK(calib::vptq(w.view(), calib::gram(32), {.bits = 2}).error().code == blocq::errc::size_mismatch);
  CHECK(calib::vptq(w.view(), calib::gram(64), {.bits = 2}).error().code == blocq::errc::missing);
  w.values[77] = std::numeric_limits<float>::quiet_NaN();
  CHECK(code({.bits = 2}) == blocq::errc::not_finite);
}
