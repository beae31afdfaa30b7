// Groups of a size for each row: an outlier does not take a row's codes, and small groups are not given for nothing.
#include <doctest/doctest.h>
#include <blocq/calib/finequant.hpp>
#include <packed_values.hpp>

#include <limits>

namespace calib = blocq::calib;

namespace {

test::matrix normal_weights(std::uint64_t seed, std::size_t rows, std::size_t cols) {
  test::normal_numbers next{{seed}};
  test::matrix w{rows, cols};
  for (float& v : w.values) v = static_cast<float>(next.normal());
  return w;
}

}  // namespace

TEST_CASE("finequant: a row with one outlier keeps its codes in groups of 64, and none with one scale") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    test::matrix w = normal_weights(seed, 2, 512);
    w(0, 77) = 40.0f;
    const auto share = [&](const blocq::packed::row_groups& m, std::size_t r) {
      std::size_t count = 0;
      for (std::size_t k = 0; k < 512; ++k) count += m.code(r, k) != 0;
      return static_cast<double>(count) / 512;
    };
    const auto whole = calib::finequant(w.view(), {.narrowing = 0}), fine = calib::finequant(w.view());
    REQUIRE(whole);
    REQUIRE(fine);
    CHECK(share(*whole, 0) < 0.01);
    CHECK(share(*fine, 0) >= 0.6);
    CHECK(fine->groups(0) == 8);
    CHECK(fine->groups(1) == 1);  // even weights: nothing to gain
  }
}

TEST_CASE("finequant: errors fall with the size of groups") {
  const test::matrix w = normal_weights(9, 32, 512);
  double last = 1;
  for (const std::size_t size : {512u, 256u, 128u, 64u, 32u}) {
    const auto m = calib::finequant(w.view(), {.least = size, .narrowing = 2});
    REQUIRE(m);
    CHECK(m->groups(3) == 512 / size);
    const double error = test::weight_error(w.view(), test::values_of(*m).view());
    CHECK(error < 0.95 * last);
    last = error;
  }
}

TEST_CASE("finequant: rows that cannot be cut, zeros, and what is refused") {
  test::matrix w = normal_weights(2, 3, 70);
  w(1, 5) = 50.0f;
  for (std::size_t k = 0; k < 70; ++k) w(2, k) = 0.0f;
  const auto m = calib::finequant(w.view());
  REQUIRE(m);
  CHECK(m->groups(1) == 1);
  for (std::size_t k = 0; k < 70; ++k) CHECK(m->code(2, k) == 0);
  CHECK(calib::finequant(w.view(), {.bits = 8}).error().code == blocq::errc::bad_value);
  CHECK(calib::finequant(w.view(), {.least = 48}).error().code == blocq::errc::bad_value);
  CHECK(calib::finequant({}).error().code == blocq::errc::size_mismatch);
  w(0, 0) = std::numeric_limits<float>::infinity();
  CHECK(calib::finequant(w.view()).error().code == blocq::errc::not_finite);
}
