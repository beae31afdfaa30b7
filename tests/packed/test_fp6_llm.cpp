// Small floats under a scale for each row, in two planes.
#include <doctest/doctest.h>
#include <blocq/packed/fp6_llm.hpp>
#include <random.hpp>

#include <cmath>
#include <limits>
#include <vector>

namespace {

using numbers = std::vector<float>;

blocq::matrix_view<const float> view(const numbers& x, std::size_t columns) {
  return {x.data(), x.size() / columns, columns, columns};
}

float normal(test::random_bits& next) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += static_cast<double>(next.next() >> 11) * 0x1p-53;
  return static_cast<float>(sum);
}

template <class Element>
using floats = blocq::packed::split_floats<Element>;

}  // namespace

TEST_CASE_TEMPLATE("what can be represented comes back, subnormal elements and signs of zero included", Element,
                   blocq::float6_e3m2fn, blocq::float5_e2m2fn) {
  constexpr int codes = 1 << Element::bits;
  for (const float scale : {1.0f, 0x1p-9f, 1000.0f / 1024}) {
    numbers w;
    for (int c = 0; c < codes; ++c) w.push_back(Element{static_cast<std::uint8_t>(c * 37 % codes)}.to_float() * scale);
    const auto m = floats<Element>::quantize(view(w, codes));
    REQUIRE(m);
    CHECK(m->scale(0) == scale);
    for (std::size_t k = 0; k < w.size(); ++k) {
      CHECK(m->element(0, k).code == static_cast<int>(k) * 37 % codes);
      CHECK(m->value(0, k) == w[k]);
    }
  }
}

TEST_CASE("between two elements the nearer one is taken, of two equally near the even one") {
  // The row's largest number makes its scale 1.
  const numbers w{28.0f, 1.0625f, 1.125f, 1.1251f, 1.375f, -1.375f, 26.0f, 25.99f, 0.03125f, 0.0313f, 0.09375f, -0.02f};
  const numbers expected{28.0f, 1.0f, 1.0f, 1.25f, 1.5f, -1.5f, 24.0f, 24.0f, 0.0f, 0.0625f, 0.125f, -0.0f};
  const auto m = blocq::packed::fp6_llm::quantize(view(w, w.size()));
  REQUIRE(m);
  for (std::size_t k = 0; k < w.size(); ++k) CHECK(m->value(0, k) == expected[k]);
}

TEST_CASE_TEMPLATE("products are those of the decoded rows, in any range of rows", Element, blocq::float6_e3m2fn,
                   blocq::float5_e2m2fn) {
  test::random_bits next{21};
  for (const std::size_t columns : {1u, 31u, 32u, 33u, 160u, 250u}) {
    constexpr std::size_t rows = 5;
    numbers w(rows * columns), x(columns), y(rows), part(2);
    for (float& v : w) v = normal(next) * 0.02f;
    for (float& v : x) v = normal(next);
    const auto m = floats<Element>::quantize(view(w, columns));
    REQUIRE(m);
    m->gemv(x, y);
    for (std::size_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (std::size_t k = 0; k < columns; ++k) sum += static_cast<double>(m->value(r, k)) * static_cast<double>(x[k]);
      CHECK(static_cast<double>(y[r]) == doctest::Approx(sum).epsilon(1e-5).scale(0.1));
    }
    m->gemv(x, part, {}, 2);
    CHECK(part == numbers{y[2], y[3]});
  }
}

TEST_CASE("errors and sizes") {
  test::random_bits next{22};
  constexpr std::size_t columns = 1024;
  numbers w(8 * columns);
  for (float& v : w) v = normal(next);
  const auto error = [&](const auto& m) {
    double noise = 0, signal = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double d = static_cast<double>(m.value(i / columns, i % columns) - w[i]);
      noise += d * d;
      signal += static_cast<double>(w[i]) * static_cast<double>(w[i]);
    }
    return noise / signal;
  };
  const auto quantize = [&](auto type) { return *floats<decltype(type)>::quantize(view(w, columns)); };
  const auto six = quantize(blocq::float6_e3m2fn{});
  const auto five = quantize(blocq::float5_e2m2fn{});
  // Two bits of mantissa, as MXFP6 E3M2 and MXFP8 E5M2 (0.0029).
  CHECK((0.0020 < error(six) && error(six) < 0.0033));
  CHECK((error(six) < error(five) && error(five) < 0.0040));
  CHECK(bits_per_weight(six) == 6 + 16.0 / columns);
  CHECK(bits_per_weight(five) == 5 + 16.0 / columns);
  // A large number in every row takes the small ones from those that have an exponent of two bits.
  for (std::size_t r = 0; r < 8; ++r) w[r * columns + 7] = 40.0f;
  CHECK(3 * error(quantize(blocq::float6_e3m2fn{})) < error(quantize(blocq::float5_e2m2fn{})));
}

TEST_CASE("very small, very large and no numbers") {
  const numbers zeros(64);
  const auto none = *blocq::packed::fp6_llm::quantize(view(zeros, 32));
  CHECK(none.value(1, 31) == 0.0f);
  const numbers tiny(32, 1e-7f);  // below half of the smallest scale times the largest element
  const auto some = *blocq::packed::fp6_llm::quantize(view(tiny, 32));
  CHECK(std::fabs(some.value(0, 5) - 1e-7f) < 0.2e-7f);
  numbers large(64, 1.0f);
  large[40] = 28.0f * 65520.0f;
  CHECK(blocq::packed::fp6_llm::quantize(view(large, 32)).error().code == blocq::errc::scale_range);
  large[40] = 28.0f * 65500.0f;
  CHECK(blocq::packed::fp6_llm::quantize(view(large, 32)));
  large[40] = std::numeric_limits<float>::quiet_NaN();
  CHECK(blocq::packed::fp6_llm::quantize(view(large, 32)).error().code == blocq::errc::not_finite);
  large[40] = -std::numeric_limits<float>::infinity();
  CHECK(blocq::packed::fp6_llm::quantize(view(large, 32)).error().code == blocq::errc::not_finite);
}
