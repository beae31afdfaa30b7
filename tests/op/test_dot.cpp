// Dot products against the same operands in double precision.
#include <doctest/doctest.h>
#include <blocq/op/dot.hpp>
#include <formats.hpp>
#include <random_blocks.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace {

random_bytes next(7);

template <class B>
void check_dot() {
  using A = blocq::detail::row_operand_t<B>;
  constexpr std::size_t blocks = 3, n = blocks * blocq::block_size<B>;
  for (int round = 0; round < 50; ++round) {
    const auto w = random_blocks<B>(blocks, next);
    const auto x = random_blocks<A>(n / blocq::block_size<A>, next);
    std::vector<float> wf(n), xf(n);
    for (std::size_t i = 0; i < w.size(); ++i) decode(w[i], wf.data() + i * blocq::block_size<B>);
    for (std::size_t i = 0; i < x.size(); ++i) decode(x[i], xf.data() + i * blocq::block_size<A>);
    double want = 0, magnitude = 0;
    for (std::size_t i = 0; i < n; ++i) {
      want += static_cast<double>(wf[i]) * static_cast<double>(xf[i]);
      magnitude += std::abs(static_cast<double>(wf[i]) * static_cast<double>(xf[i]));
    }
    // q8_1 stores its sum rounded to binary16, which the minimum is multiplied by.
    if constexpr (requires(A a) { a.s; })
      for (std::size_t i = 0; i < x.size(); ++i) {
        double sum = 0;
        for (const std::int8_t q : x[i].qs) sum += q;
        const double m = blocq::f16_to_f32(w[i].m);
        want +=
            m * (static_cast<double>(blocq::f16_to_f32(x[i].s)) - sum * static_cast<double>(blocq::f16_to_f32(x[i].d)));
      }
    CHECK_MESSAGE(std::abs(static_cast<double>(blocq::dot(w, x)) - want) <= 2e-6 * magnitude,
                  blocq::format_traits<B>::name);
    CHECK(std::abs(static_cast<double>(blocq::dot(w, xf)) - want) <= 1e-3 * magnitude);
  }
}

}  // namespace

TEST_CASE("dot agrees with double precision") {
  blocq::for_each(test::formats{}, []<class B> {
    constexpr bool integers = blocq::integer_format<B> && !std::is_same_v<B, blocq::q8_1>;
    if constexpr (integers || std::is_same_v<B, blocq::q8_k>) check_dot<B>();
  });
}

TEST_CASE_TEMPLATE("dot of MX blocks of another size", B, blocq::mx_block<blocq::float6_e2m3fn, 64>,
                   blocq::mx_block<blocq::float6_e3m2fn, 128>) {
  check_dot<B>();
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
