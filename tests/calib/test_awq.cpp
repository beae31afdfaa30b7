// AWQ: the range statistics of its paper, and what the two searches promise.
#include <doctest/doctest.h>
#include <blocq/calib/awq.hpp>
#include <synthetic.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace calib = blocq::calib;

namespace {

struct problem {
  test::layer layer;
  calib::gram moments{layer.w.cols};

  explicit problem(std::uint64_t seed) : layer(seed, {.rows = 32, .cols = 256, .tokens = 512, .test_tokens = 256}) {
    REQUIRE(moments.add(layer.x.view()));
  }
};

blocq::matrix_view<float> writable(test::matrix& m) { return {m.values.data(), m.rows, m.cols, m.cols}; }

}  // namespace

TEST_CASE("awq, table 2: how the steps of groups grow when one column in a hundred is scaled") {
  // OPT-6.7B, INT3 in groups of 128: mean of step / step before, and the part of groups whose range changed, ascending.
  constexpr float scales[] = {1.25f, 1.5f, 2.0f, 4.0f};
  constexpr double growth[] = {1.005, 1.013, 1.038, 1.213}, salient[] = {0.804, 0.676, 0.519, 0.303};
  // Layers of 512 columns of which the five with the largest inputs are scaled; ten layers, since where in
  // their groups those five lie moves the last figure by two percent.
  constexpr std::size_t columns = 512, layers = 10;
  const calib::integers r{.bits = 3, .group = 128};
  double ratio[4] = {}, changed[4] = {};
  for (std::uint64_t seed = 1; seed <= layers; ++seed) {
    const test::layer layer(seed, {.rows = 128, .cols = columns, .tokens = 64, .test_tokens = 1});
    calib::gram moments(columns);
    REQUIRE(moments.add(layer.x.view()));
    const std::vector<float> size = moments.mean_magnitudes();
    std::vector<float> largest = size;
    std::nth_element(largest.begin(), largest.begin() + 5, largest.end(), std::greater<>());
    const auto runs_with = [&](float s) {
      std::vector<float> scaled(layer.w.values);
      for (std::size_t i = 0; i < scaled.size(); ++i)
        if (size[i % columns] > largest[5]) scaled[i] *= s;
      std::vector<calib::integers::run> runs(scaled.size() / 128);
      REQUIRE(r.fit(scaled, {}, runs));
      return runs;
    };
    const auto before = runs_with(1.0f);
    for (std::size_t i = 0; i < 4; ++i) {
      const auto after = runs_with(scales[i]);
      for (std::size_t g = 0; g < after.size(); ++g) {
        ratio[i] += static_cast<double>(after[g].scale / before[g].scale) / static_cast<double>(layers * after.size());
        changed[i] += after[g].scale != before[g].scale;
      }
    }
  }
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(ratio[i] == doctest::Approx(growth[i]).epsilon(0.01));
    CHECK(ratio[i] / static_cast<double>(scales[i]) == doctest::Approx(salient[i]).epsilon(0.01));
    if (i > 0) CHECK(changed[i] > changed[i - 1]);
  }
}

TEST_CASE("awq: the scale lowers the error that it says, and what is computed stays the same") {
  const auto check = [&]<class R>(const R& r) {
    const problem p(3);
    const auto s = calib::awq_scale(p.layer.w.view(), p.moments, r);
    REQUIRE(s);
    CHECK(s->loss < s->plain);
    CHECK(s->exponent > 0.0f);
    CHECK(s->exponent < 1.0f);
    const auto [low, high] = std::minmax_element(s->scale.begin(), s->scale.end());
    CHECK(*low * *high == doctest::Approx(1.0).epsilon(1e-5));

    test::matrix scaled = p.layer.w;
    calib::multiply_columns(writable(scaled), s->scale);
    calib::gram moments = p.moments;
    moments.divide_columns(s->scale);
    CHECK(moments.error(scaled.view(), test::matrix{scaled.rows, scaled.cols}.view()) ==
          doctest::Approx(p.moments.error(p.layer.w.view(), test::matrix{scaled.rows, scaled.cols}.view())));
    const auto q = calib::rtn(scaled.view(), r, moments.mean_squares());
    REQUIRE(q);
    CHECK(moments.error(scaled.view(), q->view()) == doctest::Approx(s->loss).epsilon(1e-3));

    // Of the unscaled weights the exponent 0 is the plain loss.
    const auto plain = calib::rtn(p.layer.w.view(), r, p.moments.mean_squares());
    CHECK(p.moments.error(p.layer.w.view(), plain->view()) == doctest::Approx(s->plain).epsilon(1e-3));

    // Clipping never makes a run's own error larger, and clamps to what it returns.
    test::matrix clipped = scaled;
    const auto limits = calib::awq_clip(writable(clipped), moments, r);
    REQUIRE(limits);
    const std::size_t width = r.width(256);
    const auto after = calib::rtn(clipped.view(), r, moments.mean_squares());
    REQUIRE(after);
    std::vector<float> e(width), f(width);
    int moved = 0;
    for (std::size_t n = 0; n < clipped.rows; ++n)
      for (std::size_t begin = 0; begin < 256; begin += width) {
        const float limit = (*limits)[n * (256 / width) + begin / width];
        for (std::size_t k = 0; k < width; ++k) {
          const float v = scaled(n, begin + k);
          CHECK(clipped(n, begin + k) == std::clamp(v, -limit, limit));
          moved += clipped(n, begin + k) != v;
          e[k] = v - q->values[n * 256 + begin + k];
          f[k] = v - after->values[n * 256 + begin + k];
        }
        CHECK(moments.error(f, begin) <= moments.error(e, begin) * (1 + 1e-6));
      }
    CHECK(moved > 0);
  };
  check(calib::integers{.bits = 3, .group = 64});
  check(calib::onto<blocq::q4_0>{});
  check(calib::onto<blocq::mxfp4>{});
}

TEST_CASE("awq: several consumers share a scale; some rows are enough; a dead column decides nothing") {
  const problem p(4);
  const calib::integers r{.bits = 3, .group = 64};
  const auto whole = calib::awq_scale(p.layer.w.view(), p.moments, r);
  const blocq::matrix_view<const float> halves[] = {p.layer.w.view().row_range(0, 10),
                                                    p.layer.w.view().row_range(10, 32)};
  const auto both = calib::awq_scale(halves, p.moments, r);
  REQUIRE(both);
  CHECK(both->scale == whole->scale);
  CHECK(both->loss == doctest::Approx(whole->loss));
  const auto some = calib::awq_scale(p.layer.w.view(), p.moments, r, {.search_rows = 16});
  REQUIRE(some);
  CHECK(std::fabs(some->exponent - whole->exponent) < 0.16f);
  CHECK(some->loss < whole->loss);

  test::matrix x = p.layer.x;
  for (std::size_t t = 0; t < x.rows; ++t) x(t, 9) = 0.0f;
  calib::gram dead(256);
  REQUIRE(dead.add(x.view()));
  const auto s = calib::awq_scale(p.layer.w.view(), dead, r);
  REQUIRE(s);
  CHECK(s->loss < 0.8 * s->plain);
  for (const float v : s->scale) CHECK(v > 0.0f);
}

TEST_CASE("awq: where no exponent is to be tried nothing is scaled; columns may be none") {
  const problem p(5);
  const auto s = calib::awq_scale(p.layer.w.view(), p.moments, calib::integers{.group = 64}, {.exponents = 0});
  REQUIRE_MESSAGE(static_cast<bool>(s), s.message());
  CHECK(s->exponent == 0.0f);
  CHECK(s->scale == std::vector<float>(256, 1.0f));
  CHECK(s->loss == s->plain);

  calib::gram none(0);
  REQUIRE(none.add({p.layer.x.values.data(), 2, 0, 0}));
  const auto empty = calib::awq_scale({p.layer.w.values.data(), 2, 0, 0}, none, calib::integers{.group = 64});
  REQUIRE_MESSAGE(static_cast<bool>(empty), empty.message());
  CHECK(empty->scale.empty());
}

TEST_CASE("awq refuses what does not fit") {
  const problem p(5);
  const calib::integers r{.bits = 3, .group = 64};
  CHECK(calib::awq_scale(p.layer.w.view(), calib::gram(256), r).error().code == blocq::errc::missing);
  calib::gram other(3);
  REQUIRE(other.add({p.layer.x.values.data(), 2, 3, 3}));
  CHECK(calib::awq_scale(p.layer.w.view(), other, r).error().code == blocq::errc::size_mismatch);
  test::matrix w = p.layer.w;
  CHECK(calib::awq_clip(writable(w), other, r).error().code == blocq::errc::size_mismatch);
  CHECK(calib::awq_clip(writable(w), p.moments, calib::integers{.group = 100}).error().code == blocq::errc::ragged);
}
