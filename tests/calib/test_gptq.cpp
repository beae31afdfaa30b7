// GPTQ by its invariants: what the errors sum up to, what it does where there is nothing to gain, and that it computes
// the same in pieces as in one.
#include <doctest/doctest.h>
#include <blocq/calib/gptq.hpp>
#include <blocq/calib/rtn.hpp>
#include <blocq/op/dequantize.hpp>
#include <synthetic.hpp>

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace calib = blocq::calib;

namespace {

const test::layer layer(1, {.rows = 40, .cols = 256, .tokens = 600, .test_tokens = 1});

calib::gram moments_of(const test::matrix& x) {
  calib::gram g(x.cols);
  REQUIRE(g.add(x.view()));
  return g;
}

// The sum of e^2 from weights and result: the trace of (W - Q) (H + lambda I) (W - Q)'.
double trace_form(const test::matrix& w, const std::vector<float>& q, const calib::gram& g, double lambda) {
  double sum = 0;
  std::vector<double> e(w.cols);
  for (std::size_t n = 0; n < w.rows; ++n) {
    for (std::size_t k = 0; k < w.cols; ++k)
      e[k] = static_cast<double>(w(n, k)) - static_cast<double>(q[n * w.cols + k]);
    for (std::size_t i = 0; i < w.cols; ++i)
      for (std::size_t k = 0; k < w.cols; ++k) sum += e[i] * e[k] * (g.mean(i, k) + (i == k ? lambda : 0.0));
  }
  return sum;
}

template <class R>
void identity(const R& r, const calib::gptq_options& options) {
  const calib::gram g = moments_of(layer.x);
  const auto f = calib::gptq_factorize(g, options);
  REQUIRE(f);
  const auto q = calib::gptq(layer.w.view(), *f, r, options);
  REQUIRE(q);
  CHECK(q->loss == doctest::Approx(trace_form(layer.w, q->values, g, f->lambda)).epsilon(1e-6));

  const auto plain = calib::rtn(layer.w.view(), r);
  REQUIRE(plain);
  CHECK(g.error(layer.w.view(), q->view()) < g.error(layer.w.view(), plain->view()));
}

// Diagonal moments, all the same.
calib::gram even_moments(std::size_t n) {
  test::matrix x{n, n};
  for (std::size_t k = 0; k < n; ++k) x(k, k) = 3.0f;
  return moments_of(x);
}

}  // namespace

TEST_CASE("gptq: the sum of e^2 is the trace form, for any order, format and clamping") {
  for (const bool act_order : {false, true})
    for (const bool static_groups : {false, true})
      for (const bool importance : {false, true}) {
        const calib::gptq_options o{.act_order = act_order, .static_groups = static_groups, .importance = importance};
        identity(calib::integers{.bits = 3, .group = 64}, o);
        identity(calib::onto<blocq::mxfp4>{}, o);
        identity(calib::onto<blocq::q3_k>{}, o);
        if (!importance) continue;
        identity(calib::integers{.bits = 2, .group = 0, .symmetric = true}, o);
        identity(calib::onto<blocq::q4_0>{}, o);
        identity(calib::onto<blocq::nvfp4>{}, o);
        identity(calib::onto<blocq::nf4>{}, o);
        identity(calib::onto<blocq::mxfp6_e2m3>{}, o);
        identity(calib::onto<blocq::q6_k>{}, o);
      }
  // Scales too small for most weights.
  calib::integers clamping{.bits = 3, .group = 64};
  clamping.fixed_scale = 0.02f;
  clamping.fixed_zero = 3.0f;
  identity(clamping, {});
}

TEST_CASE("gptq: the factor is that of the inverse, in the order of the columns") {
  const calib::gram g = moments_of(layer.x);
  for (const bool act_order : {false, true}) {
    const auto f = calib::gptq_factorize(g, {.act_order = act_order});
    REQUIRE(f);
    const auto n = static_cast<Eigen::Index>(g.columns());
    calib::detail::matrix h(n, n);
    for (Eigen::Index i = 0; i < n; ++i)
      for (Eigen::Index k = 0; k < n; ++k)
        h(i, k) = g.mean(f->order[static_cast<std::size_t>(i)], f->order[static_cast<std::size_t>(k)]) +
                  (i == k ? f->lambda : 0.0);
    CHECK((f->u * h * f->u.transpose() - calib::detail::matrix::Identity(n, n)).norm() < 1e-7);
    CHECK(f->u.isUpperTriangular(0.0));
    for (std::size_t j = 1; act_order && j < f->order.size(); ++j)
      CHECK(f->importance[f->order[j - 1]] >= f->importance[f->order[j]]);
  }
}

TEST_CASE("gptq: where columns are independent and alike it is rtn, exactly") {
  const calib::gram g = even_moments(256);
  const auto compare = [&]<class R>(const R& r, auto&& bytes) {
    const auto q = calib::gptq(layer.w.view(), g, r);
    const auto plain = calib::rtn(layer.w.view(), r, g.mean_squares());
    REQUIRE(q);
    REQUIRE(plain);
    CHECK(q->values == plain->values);
    CHECK(bytes(*q) == bytes(*plain));
  };
  compare(calib::integers{.bits = 3, .group = 64}, [](auto& q) { return q.stored.codes; });
  const auto image = [](auto& q) {
    const auto bytes = std::as_bytes(std::span(q.stored.blocks));
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  };
  compare(calib::onto<blocq::q4_k>{}, image);
  compare(calib::onto<blocq::mxfp4>{}, image);
  compare(calib::onto<blocq::q4_0>{}, image);
}

TEST_CASE("gptq: in blocks of any size, and by several threads, the same comes out") {
  const calib::gram g = moments_of(layer.x);
  const auto compare = [&]<class R>(const R& r, calib::gptq_options o) {
    o.block = 256;
    const auto whole = calib::gptq(layer.w.view(), g, r, o);
    REQUIRE(whole);
    for (const std::size_t block : {1u, 48u, 64u, 100u, 128u}) {
      o.block = block;
      const auto parts = calib::gptq(layer.w.view(), g, r, o, [](std::size_t n, auto&& f) {
        std::vector<std::thread> threads;
        for (std::size_t i = n; i-- > 0;) threads.emplace_back(f, i);
        for (std::thread& t : threads) t.join();
      });
      REQUIRE(parts);
      CHECK(parts->values == whole->values);
      CHECK(parts->loss == doctest::Approx(whole->loss).epsilon(1e-9));
    }
  };
  for (const bool act_order : {false, true})
    for (const bool static_groups : {false, true}) {
      compare(calib::integers{.bits = 3, .group = 64}, {.act_order = act_order, .static_groups = static_groups});
      compare(calib::onto<blocq::q4_k>{}, {.act_order = act_order, .static_groups = static_groups});
    }
}

TEST_CASE("gptq: what is stored is what was computed, in the order that the result names") {
  const calib::gram g = moments_of(layer.x);
  for (const bool static_groups : {false, true}) {
    const auto q =
        calib::gptq(layer.w.view(), g, calib::onto<blocq::q3_k>{}, {.act_order = true, .static_groups = static_groups});
    REQUIRE(q);
    std::vector<float> decoded(q->values.size());
    REQUIRE(blocq::dequantize(q->stored.blocks, decoded));
    CHECK(q->order.empty() == static_groups);
    for (std::size_t n = 0; n < q->rows; ++n)
      for (std::size_t j = 0; j < q->columns; ++j)
        CHECK(decoded[n * 256 + j] == q->values[n * 256 + (static_groups ? j : q->order[j])]);
  }
}

TEST_CASE("gptq: the order is the factor's, whatever the options say") {
  const auto f = calib::gptq_factorize(moments_of(layer.x), {.act_order = true});
  REQUIRE(f);
  const calib::onto<blocq::q4_0> r;
  CHECK(calib::gptq(layer.w.view(), *f, r)->values == calib::gptq(layer.w.view(), *f, r, {.act_order = true})->values);
}

TEST_CASE("gptq: columns that no input reaches, moments without an inverse, sizes that do not fit") {
  test::matrix x{2, 256};  // two tokens for 256 columns
  for (std::size_t k = 0; k < 256; ++k)
    for (std::size_t t = 0; t < 2; ++t) x(t, k) = k % 16 == 5 ? 0.0f : layer.x(t, k);
  const calib::gram g = moments_of(x);
  const calib::gptq_options undamped{.damp = 0.0};
  const auto f = calib::gptq_factorize(g, undamped);
  REQUIRE(f);
  CHECK(f->lambda > 0.0);  // no damping was asked for, but none is not enough
  const auto q = calib::gptq(layer.w.view(), *f, calib::integers{.bits = 4, .group = 32}, undamped);
  REQUIRE(q);
  for (std::size_t k = 0; k < 256; ++k) {
    CHECK(f->dead[k] == (k % 16 == 5));
    if (f->dead[k]) CHECK(q->values[k] == 0.0f);
  }
  CHECK(calib::gptq_factorize(calib::gram(16)).error().code == blocq::errc::missing);
  CHECK(calib::gptq(layer.w.view(), calib::gram(16), calib::integers{}).error().code == blocq::errc::missing);
  CHECK(calib::gptq(layer.w.view(), even_moments(16), calib::integers{}).error().code == blocq::errc::size_mismatch);
  CHECK(calib::gptq(layer.w.view(), g, calib::integers{.group = 100}).error().code == blocq::errc::ragged);
  test::matrix broken = layer.w;
  broken(37, 130) = blocq::from_bits(0x7fc00000u);
  const auto bad = calib::gptq(broken.view(), g, calib::onto<blocq::q4_0>{}, {.act_order = true});
  REQUIRE(!bad);
  CHECK(std::string(bad.message()) == "the input contains a NaN or an infinity: row 37, columns from 128");
}

TEST_CASE("second moments: in parts, merged, scaled, and refused") {
  const calib::gram whole = moments_of(layer.x);
  calib::gram a(256), b(256);
  REQUIRE(a.add(layer.x.view().row_range(0, 333)));
  REQUIRE(b.add(layer.x.view().row_range(333, 600)));
  REQUIRE(a.merge(b));
  CHECK(a.count() == 600);
  double direct = 0;
  for (std::size_t t = 0; t < 600; ++t)
    direct += static_cast<double>(layer.x(t, 7)) * static_cast<double>(layer.x(t, 3));
  CHECK(whole.mean(3, 7) == doctest::Approx(direct / 600).epsilon(1e-12));
  CHECK(whole.mean(7, 3) == whole.mean(3, 7));
  CHECK(a.mean(3, 7) == doctest::Approx(whole.mean(3, 7)).epsilon(1e-12));
  CHECK(a.mean_magnitudes()[9] == doctest::Approx(whole.mean_magnitudes()[9]));
  CHECK(a.peaks() == whole.peaks());

  std::vector<float> zero(256);
  zero[3] = 1.0f;
  zero[7] = -2.0f;
  CHECK(whole.error(zero) ==
        doctest::Approx(whole.mean(3, 3) + 4 * whole.mean(7, 7) - 4 * whole.mean(3, 7)).epsilon(1e-9));
  CHECK(whole.error(std::span(zero).subspan(2, 6), 2) == doctest::Approx(whole.error(zero)).epsilon(1e-9));

  std::vector<float> two(256, 2.0f);
  a.divide_columns(two);
  CHECK(a.mean(3, 7) * 4 == doctest::Approx(whole.mean(3, 7)).epsilon(1e-12));
  CHECK(a.peaks()[5] * 2 == whole.peaks()[5]);

  constexpr std::size_t wraps = std::size_t{1} << 4 * sizeof(std::size_t);  // its square is 0
  CHECK_THROWS_AS(calib::gram{wraps}, std::length_error);
  CHECK_THROWS_AS(calib::gram{SIZE_MAX}, std::length_error);

  CHECK(a.merge(calib::gram(3)).code == blocq::errc::size_mismatch);
  CHECK(a.add({layer.x.values.data(), 2, 128, 128}).code == blocq::errc::size_mismatch);
  test::matrix x = layer.x;
  x(17, 4) = blocq::from_bits(0x7f800000u);
  CHECK(a.add(x.view()).at == 17);
}
