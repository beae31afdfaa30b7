// Dot products against the same operands in double precision.
#include <doctest/doctest.h>
#include <blocq/op/dot.hpp>
#include <kernels.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace {

random_bytes next(7);

void check_dot(const test::weight_type& f) {
  CAPTURE(std::string(f.name));
  constexpr std::size_t blocks = 3;
  const std::size_t n = blocks * f.elements, x_blocks = n / f.operand->elements;
  for (int round = 0; round < 50; ++round) {
    const auto w = f.random_blocks(blocks, next), x = f.operand->random_blocks(x_blocks, next);
    std::vector<float> wf(n), xf(n);
    f.decode(w.data(), blocks, wf.data());
    f.operand->decode(x.data(), x_blocks, xf.data());
    double want = 0, magnitude = 0;
    for (std::size_t i = 0; i < n; ++i) {
      want += static_cast<double>(wf[i]) * static_cast<double>(xf[i]);
      magnitude += std::abs(static_cast<double>(wf[i]) * static_cast<double>(xf[i]));
    }
    CHECK(std::abs(static_cast<double>(f.direct.dot_floats(w.data(), xf.data(), blocks)) - want) <= 1e-3 * magnitude);
    want += f.rounding_of_sums(w.data(), x.data(), blocks);
    CHECK(std::abs(static_cast<double>(f.direct.dot(w.data(), x.data(), blocks)) - want) <= 2e-6 * magnitude);
  }
}

}  // namespace

TEST_CASE("dot agrees with double precision") {
  for (const test::weight_type& f : test::weight_types())
    if (f.direct.dot != nullptr && f.name != "q8_1") check_dot(f);
}

TEST_CASE("dot of MX blocks of another size") {
  check_dot(test::weights_named("mxfp6_e2m3 of 64"));
  check_dot(test::weights_named("mxfp6_e3m2 of 128"));
}

TEST_CASE_TEMPLATE("dot with floats reads its rows and no further, whatever their length", B, blocq::f16, blocq::bf16,
                   blocq::mxfp8_e4m3, blocq::nvfp4) {
  for (std::size_t blocks = 0; blocks < 20; ++blocks) {
    const auto w = random_blocks<B>(blocks, next);
    std::vector<float> wf(blocks * blocq::block_size<B>), x(wf.size());
    for (std::size_t i = 0; i < blocks; ++i) decode(w[i], wf.data() + i * blocq::block_size<B>);
    double want = 0, magnitude = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<float>(i % 7) - 3.0f;
      want += static_cast<double>(wf[i]) * static_cast<double>(x[i]);
      magnitude += std::abs(static_cast<double>(wf[i]) * static_cast<double>(x[i]));
    }
    CHECK(std::abs(static_cast<double>(blocq::dot(w, x)) - want) <= 2e-6 * magnitude);
  }
}

TEST_CASE("two MX formats are multiplied as OCP defines it, also where a scale alone is out of range") {
  const auto check = [&]<class W, class X>(const std::vector<W>& w, const std::vector<X>& x) {
    double want = 0, magnitude = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
      W a = w[i];
      X b = x[i];
      a.scale = b.scale = 127;
      constexpr std::size_t size = blocq::block_size<W>;
      float u[size], v[size];
      decode(a, u);
      decode(b, v);
      for (std::size_t k = 0; k < size; ++k) {
        const double product =
            std::ldexp(static_cast<double>(u[k]) * static_cast<double>(v[k]), w[i].scale + x[i].scale - 254);
        want += product;
        magnitude += std::abs(product);
      }
    }
    CHECK(std::abs(static_cast<double>(blocq::dot(w, x)) - want) <= 2e-6 * magnitude);
  };
  using e2m1 = blocq::mx_block<blocq::float4_e2m1fn, 8>;
  using e4m3 = blocq::mx_block<blocq::float8_e4m3fn, 8>;
  auto eights = random_blocks<e2m1>(3, next);
  for (auto& b : eights) b.scale = static_cast<std::uint8_t>(96 + next() % 64);
  check(eights, eights);
  check(eights, std::vector<e4m3>(3, e4m3{127, {0x38, 0xc0, 1, 2, 3, 0x81, 0x7e, 0}}));
#ifdef BLOCQ_TEST_FEW
  using ocp_formats = blocq::type_list<blocq::mxfp4_ocp, blocq::mxfp6_e3m2, blocq::mxfp8_e4m3>;
#else
  using ocp_formats = blocq::type_list<blocq::mxfp4_ocp, blocq::mxfp6_e2m3, blocq::mxfp6_e3m2, blocq::mxfp8_e4m3,
                                       blocq::mxfp8_e5m2, blocq::mxint8>;
#endif
  blocq::for_each(ocp_formats{}, [&]<class W> {
    blocq::for_each(ocp_formats{}, [&]<class X> {
      auto w = random_blocks<W>(5, next);
      auto x = random_blocks<X>(5, next);
      for (auto& b : w) b.scale = static_cast<std::uint8_t>(96 + next() % 64);
      for (auto& b : x) b.scale = static_cast<std::uint8_t>(96 + next() % 64);
      check(w, x);
      for (auto& b : w) b.scale = 254;
      for (auto& b : x) b.scale = 0;
      check(w, x);
      for (auto& b : x) b.scale = 254;
      w.resize(1), x.resize(1);
      std::memset(w[0].codes, 0, sizeof w[0].codes);
      std::memset(x[0].codes, 0, sizeof x[0].codes);
      CHECK(blocq::dot(w, x) == 0.0f);
      w[0].codes[0] = x[0].codes[0] = 1;  // the least that there is, in the first element
      CHECK(blocq::dot(w, x) == std::numeric_limits<float>::infinity());
      w.resize(5), x.resize(5);
      x[2].scale = 255;
      CHECK(blocq::is_nan(blocq::dot(w, x)));
    });
  });
}
