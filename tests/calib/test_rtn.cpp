// Round to nearest, and the synthetic layer that the tests of this folder share.
#include <doctest/doctest.h>
#include <blocq/calib/rtn.hpp>
#include <blocq/op/dequantize.hpp>
#include <synthetic.hpp>

#include <cmath>
#include <string>
#include <vector>

namespace calib = blocq::calib;

namespace {

test::matrix random_matrix(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  test::matrix m{rows, cols};
  test::normal_numbers next{{seed}};
  for (float& v : m.values) v = static_cast<float>(next.normal());
  return m;
}

}  // namespace

TEST_CASE("rtn: errors are at most half a step, rounding again changes nothing, codes decode to the values") {
  const test::matrix w = random_matrix(70, 128, 1);
  for (const std::size_t group : {0u, 32u})
    for (const bool symmetric : {false, true})
      for (const int bits : {2, 3, 4, 8})
        for (const bool whole : {false, true}) {
          calib::integers r{.bits = bits, .group = group, .symmetric = symmetric};
          if (whole) r = r.over(w.view());
          const auto q = calib::rtn(w.view(), r);
          REQUIRE(q);
          const auto again = calib::rtn(q->view(), r);
          REQUIRE(again);
          for (std::size_t n = 0; n < w.rows; ++n)
            for (std::size_t k = 0; k < w.cols; ++k) {
              const float v = q->values[n * w.cols + k];
              const float scale = q->stored.scales[(n * w.cols + k) / q->stored.group];
              CHECK(std::fabs(v - w(n, k)) <= 0.5f * scale * 1.0001f);
              CHECK(q->stored.value(n, k) == v);
              CHECK(std::fabs(again->values[n * w.cols + k] - v) <= 1e-6f * std::fabs(v) + 1e-5f * scale);
              CHECK(q->stored.codes[n * w.cols + k] < 1 << bits);
            }
          if (whole) CHECK(q->stored.scales.front() == q->stored.scales.back());
        }
}

TEST_CASE("rtn onto blocks: what dequantize gives; never worse than the encoder") {
  const test::matrix w = random_matrix(65, 512, 2);
  const auto q = calib::rtn(w.view(), calib::onto<blocq::q3_k>{});
  REQUIRE(q);
  std::vector<float> decoded(w.values.size());
  REQUIRE(blocq::dequantize(q->stored.blocks, decoded));
  CHECK(decoded == q->values);
  std::vector<blocq::q3_k> plain(q->stored.blocks.size());
  REQUIRE(blocq::quantize(w.values, plain));
  REQUIRE(blocq::dequantize(plain, decoded));
  const blocq::matrix_view<const float> encoder{decoded.data(), w.rows, w.cols, w.cols};
  CHECK(test::weight_error(w.view(), q->view()) <= test::weight_error(w.view(), encoder));
}

TEST_CASE("rtn refuses what it cannot round, by name") {
  test::matrix w = random_matrix(3, 64, 3);
  CHECK(calib::rtn(w.view(), calib::integers{.group = 48}).error().code == blocq::errc::ragged);
  CHECK(calib::rtn(w.view(), calib::onto<blocq::q4_k>{}).error().code == blocq::errc::ragged);
  CHECK(calib::rtn(w.view(), calib::onto<blocq::q4_0>{}, w.view().row(0).first(3)).error().code ==
        blocq::errc::size_mismatch);
  w(2, 40) = blocq::from_bits(0x7f800000u);
  const auto bad = calib::rtn(w.view(), calib::onto<blocq::q4_0>{});
  REQUIRE(!bad);
  CHECK(std::string(bad.message()) == "the input contains a NaN or an infinity: row 2, columns from 32");
}

TEST_CASE("the slide: diag(9, 4, 1), three levels above zero, rounded after scaling") {
  test::matrix w{3, 3, {9, 0, 0, 0, 4, 0, 0, 0, 1}};
  calib::integers r{.bits = 2, .group = 0};
  r.fixed_scale = 1.0f;
  CHECK(calib::rtn(w.view(), r)->values == std::vector<float>{3, 0, 0, 0, 3, 0, 0, 0, 1});
  r.fixed_scale = 1.0f / 0.33f;
  CHECK(calib::rtn(w.view(), r)->stored.codes == std::vector<std::uint8_t>{3, 0, 0, 0, 1, 0, 0, 0, 0});
}

TEST_CASE("the synthetic layer has the statistics it was made for") {
  const test::layer l(1);
  double w2 = 0, w4 = 0;
  for (const float v : l.w.values) w2 += static_cast<double>(v * v);
  w2 /= static_cast<double>(l.w.values.size());
  CHECK(w2 * 256 == doctest::Approx(10.0 / 8.0 * std::exp(0.08)).epsilon(0.1));
  for (const float v : l.w.values) w4 += std::pow(static_cast<double>(v), 4.0) / (w2 * w2);
  CHECK(w4 / static_cast<double>(l.w.values.size()) > 4.0);
  int extreme = 0;
  for (std::size_t k = 0; k < 256; ++k) {
    double x2 = 0;
    for (std::size_t t = 0; t < l.x.rows; ++t) x2 += static_cast<double>(l.x(t, k) * l.x(t, k));
    extreme += x2 / static_cast<double>(l.x.rows) > 64.0;
  }
  CHECK(extreme == 3);
  CHECK(test::layer(1).held_out.values == l.held_out.values);
  CHECK(test::layer(2).held_out.values != l.held_out.values);
}
