// Block floating point, and what the order of channels does for it.
#include <doctest/doctest.h>
#include <blocq/calib/bfp.hpp>
#include <blocq/op/gemv.hpp>
#include <blocq/op/quantize.hpp>
#include <random.hpp>

#include <cmath>
#include <limits>
#include <vector>

namespace {

using numbers = std::vector<float>;

float normal(test::random_bits& next) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += static_cast<double>(next.next() >> 11) * 0x1p-53;
  return static_cast<float>(sum);
}

template <class B>
numbers there_and_back(const numbers& x) {
  std::vector<B> blocks(x.size() / blocq::block_size<B>);
  numbers y(x.size());
  REQUIRE(blocq::quantize(x, blocks));
  REQUIRE(blocq::dequantize(blocks, y));
  return y;
}

double error(const numbers& exact, const numbers& x) {
  double noise = 0, signal = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = static_cast<double>(x[i]) - static_cast<double>(exact[i]);
    noise += d * d;
    signal += static_cast<double>(exact[i]) * static_cast<double>(exact[i]);
  }
  return noise / signal;
}

}  // namespace

TEST_CASE("mantissas are numbers over a power of two, to the nearest, ties to even, clamped") {
  numbers x(32);
  const numbers some{-1.9f, 0.25f, 0.125f, 0.375f, 1.76f, -0.126f, 1.0f, 0.1f};
  std::copy(some.begin(), some.end(), x.begin());
  blocq::bfp12<32> b;
  REQUIRE(blocq::quantize(x, std::span(&b, 1)));
  CHECK(b.exponent == 127);
  float y[32];
  decode(b, y);
  const numbers expected{-1.75f, 0.25f, 0.0f, 0.5f, 1.75f, -0.25f, 1.0f, 0.0f};
  for (std::size_t i = 0; i < some.size(); ++i) CHECK(y[i] == expected[i]);
  CHECK(b.mantissas[0] == 0x19);  // -7 and 1
}

TEST_CASE("BFP16 in blocks of 32 is MXINT8, and as good in others") {
  test::random_bits next{31};
  numbers x(1024);
  for (float& v : x) v = normal(next) * std::exp2(static_cast<float>(next.byte() % 16));
  CHECK(there_and_back<blocq::bfp16<32>>(x) == there_and_back<blocq::mxint8>(x));
  for (float& v : x) v = normal(next);
  CHECK(error(x, there_and_back<blocq::bfp16<32>>(x)) == doctest::Approx(6.8e-5).epsilon(0.1));
  CHECK(error(x, there_and_back<blocq::bfp16<16>>(x)) < error(x, there_and_back<blocq::bfp16<128>>(x)));
  CHECK(error(x, there_and_back<blocq::bfp12<16>>(x)) < error(x, there_and_back<blocq::bfp12<64>>(x)));
}

TEST_CASE_TEMPLATE("the whole range of floats goes through, and no product is off", B, blocq::bfp12<16>,
                   blocq::bfp12<128>, blocq::bfp16<32>, blocq::bfp16<64>) {
  constexpr float tolerance = sizeof(B) == 1 + blocq::block_size<B> ? 0x1p-7f : 0x1p-2f;
  for (const float size : {1e-44f, 1e-39f, 1e-37f, 1e-20f, 1.0f, 1e20f, 3.4e38f}) {
    numbers x(blocq::block_size<B>, 0.0f);
    x[0] = size;
    x[3] = -size;
    const numbers y = there_and_back<B>(x);
    CHECK(std::fabs(y[0] - size) <= size * tolerance + 0x1p-127f * tolerance);  // there is no smaller exponent
    CHECK(y[3] == -y[0]);
    CHECK(y[1] == 0.0f);
  }
  test::random_bits next{32};
  constexpr std::size_t columns = 384;
  numbers w(3 * columns), x(columns), y(3);
  for (float& v : w) v = normal(next);
  for (float& v : x) v = normal(next);
  std::vector<B> blocks(w.size() / blocq::block_size<B>);
  REQUIRE(blocq::quantize(w, blocks));
  const std::size_t cols = columns / blocq::block_size<B>;
  blocq::gemv(blocq::matrix_view<const B>{blocks.data(), 3, cols, cols}, x, y);
  const numbers decoded = there_and_back<B>(w);
  for (std::size_t r = 0; r < 3; ++r) {
    double sum = 0;
    for (std::size_t k = 0; k < columns; ++k)
      sum += static_cast<double>(decoded[r * columns + k]) * static_cast<double>(x[k]);
    CHECK(static_cast<double>(y[r]) == doctest::Approx(sum).epsilon(1e-5).scale(10));
  }

  numbers bad(2 * blocq::block_size<B>, 1.0f);
  bad.back() = std::numeric_limits<float>::quiet_NaN();
  std::vector<B> two(2);
  const blocq::status s = blocq::quantize(bad, two);
  CHECK(s.code == blocq::errc::not_finite);
  CHECK(s.at == 1);
}

TEST_CASE("sorted channels stay paired, and every one of them is there once") {
  const numbers norms{1, 5, 2, 2, 9, 0, 3, 3};
  using blocq::calib::rope_pairs;
  const auto none = blocq::calib::sort_channels(norms, rope_pairs::none);
  CHECK(none.channels == std::vector<std::size_t>{4, 1, 6, 7, 2, 3, 0, 5});
  CHECK(none.pairs.empty());
  const auto neighbours = blocq::calib::sort_channels(norms, rope_pairs::neighbours);
  CHECK(neighbours.pairs == std::vector<std::size_t>{2, 0, 3, 1});
  CHECK(neighbours.channels == std::vector<std::size_t>{4, 5, 0, 1, 6, 7, 2, 3});
  const auto halves = blocq::calib::sort_channels(norms, rope_pairs::halves);  // 1 9, 5 0, 2 3, 2 3
  CHECK(halves.pairs == std::vector<std::size_t>{0, 1, 2, 3});
  const numbers others{1, 5, 2, 2, 0, 0, 3, 9};
  const auto moved = blocq::calib::sort_channels(others, rope_pairs::halves);
  CHECK(moved.pairs == std::vector<std::size_t>{3, 1, 2, 0});
  CHECK(moved.channels == std::vector<std::size_t>{3, 1, 2, 0, 7, 5, 6, 4});

  numbers w{0, 0, 1, 1, 2, 2, 3, 3};
  blocq::calib::reorder_rows({w.data(), 4, 2, 2}, std::vector<std::size_t>{2, 0, 3, 1});
  CHECK(w == numbers{2, 2, 0, 0, 3, 3, 1, 1});
}

// Sizes of the key channels spread over a factor of ten, five of them far larger; those of the queries are their
// inverse.
TEST_CASE("sorted keys lose less in small blocks, and as much in one block for all channels") {
  constexpr std::size_t width = 128, tokens = 256;
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    test::random_bits next{seed};
    numbers size(width), keys(tokens * width), queries(64 * width);
    for (float& s : size) s = std::exp(0.9f * normal(next));
    for (std::size_t i = 0; i < 5; ++i) size[i * 29 + 3] = 30.0f;
    for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = normal(next) * size[i % width];
    for (std::size_t i = 0; i < queries.size(); ++i) queries[i] = normal(next) / size[i % width];

    const auto order = blocq::calib::sort_channels(size, blocq::calib::rope_pairs::none);
    const auto sorted = [&](const numbers& x) {
      numbers y(x.size());
      for (std::size_t i = 0; i < x.size(); ++i) y[i] = x[i / width * width + order.channels[i % width]];
      return y;
    };
    const auto scores = [&](const numbers& q, const numbers& k) {
      numbers s;
      for (std::size_t i = 0; i < q.size(); i += width)
        for (std::size_t t = 0; t < k.size(); t += width) {
          double sum = 0;
          for (std::size_t d = 0; d < width; ++d) sum += static_cast<double>(q[i + d]) * static_cast<double>(k[t + d]);
          s.push_back(static_cast<float>(sum));
        }
      return s;
    };
    const numbers exact = scores(queries, keys);
    const auto compare = [&]<std::size_t N>(std::integral_constant<std::size_t, N>) {
      const double plain = error(exact, scores(queries, there_and_back<blocq::bfp12<N>>(keys)));
      const double better = error(exact, scores(sorted(queries), there_and_back<blocq::bfp12<N>>(sorted(keys))));
      return better / plain;
    };
    CHECK(error(exact, scores(sorted(queries), sorted(keys))) < 1e-12);
    CHECK(compare(std::integral_constant<std::size_t, 128>{}) == doctest::Approx(1.0).epsilon(1e-5));
    CHECK(compare(std::integral_constant<std::size_t, 64>{}) < 0.95);
    CHECK(compare(std::integral_constant<std::size_t, 32>{}) < 0.5);
  }
}
