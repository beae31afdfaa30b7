// quality_level::best: never worse than the reference on any block, better on the whole, the same on any lane.
#include <doctest/doctest.h>
#include <blocq/op/dequantize.hpp>
#include <blocq/op/quantize.hpp>
#include <random_blocks.hpp>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace {

template <class B>
concept improvable = blocq::encodable_format<B> && requires(const float* x, B& b) {
  blocq::improve<blocq::lane>(x, x, b);
};

// Rows of bell-shaped values, then of values with a heavy tail, then mostly zeros.
std::vector<float> sample(std::size_t n, random_bytes& next) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) {
    float v = 0;
    for (int k = 0; k < 6; ++k) v += next.uniform();
    if (i / 1024 % 3 == 1) v = v * v * v;
    if (i / 1024 % 3 == 2 && next() > 20) v = 0;
    x[i] = v;
  }
  return x;
}

template <class B>
std::vector<double> errors(const std::vector<float>& x, const std::vector<float>& w, const std::vector<B>& blocks) {
  std::vector<double> e(blocks.size());
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    float y[blocq::block_size<B>];
    decode(blocks[i], y);
    for (std::size_t k = 0; k < blocq::block_size<B>; ++k) {
      const double d = static_cast<double>(x[i * blocq::block_size<B> + k]) - static_cast<double>(y[k]);
      e[i] += static_cast<double>(w[(i * blocq::block_size<B> + k) % w.size()]) * d * d;
    }
  }
  return e;
}

template <class B>
void check_never_worse(const std::vector<float>& x, const std::vector<float>& w, bool weighted) {
  std::vector<B> reference(x.size() / blocq::block_size<B>), best(reference.size()), scalar;
  blocq::quantize_options options;
  if (weighted) options.importance = w;
  REQUIRE(blocq::quantize(x, reference, options));
  options.quality = blocq::quality_level::best;
  REQUIRE(blocq::quantize(x, best, options));

  scalar = reference;
  for (std::size_t i = 0; i < 4; ++i) {
    constexpr std::size_t n = blocq::block_size<B>;
    blocq::improve<blocq::lane>(x.data() + i * n, w.data() + i * n % w.size(), scalar[i]);
    CHECK_MESSAGE(std::memcmp(&scalar[i], &best[i], sizeof(B)) == 0, std::string(blocq::format_traits<B>::name));
  }

  const auto before = errors(x, w, reference), after = errors(x, w, best);
  double total_before = 0, total_after = 0;
  std::size_t worse = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    worse += after[i] > before[i];
    total_before += before[i];
    total_after += after[i];
  }
  INFO(std::string(blocq::format_traits<B>::name), weighted ? ", weighted: " : ": ", total_after / total_before);
  CHECK(worse == 0);
  // The reference's scale of q1_0, the mean magnitude, is the best one there is when all weights are the same.
  if (std::is_same_v<B, blocq::q1_0> && !weighted)
    CHECK(total_after == total_before);
  else
    CHECK(total_after < total_before);
}

}  // namespace

TEST_CASE("best is never worse than the reference, on any block of any format") {
  random_bytes next(3);
  const auto x = sample(6 * 1024, next);
  const std::vector<float> ones(256, 1.0f);
  std::vector<float> weights(256);
  for (float& w : weights) w = next.uniform() * next.uniform() + 1.0f;
  weights[17] = 0;
  blocq::for_each(blocq::all_formats{}, [&]<class B> {
    if constexpr (improvable<B>) {
      check_never_worse<B>(x, ones, false);
      check_never_worse<B>(x, weights, true);
    }
  });
}

TEST_CASE("best leaves blocks alone that hold what is not finite") {
  std::vector<float> x(64, 1.0f);
  x[3] = std::nanf("");
  std::vector<blocq::q4_0> reference(2), best(2);
  CHECK(blocq::quantize(x, reference).code == blocq::errc::not_finite);
  CHECK(blocq::quantize(x, best, {.quality = blocq::quality_level::best}).code == blocq::errc::not_finite);
  CHECK(std::memcmp(&reference[0], &best[0], sizeof reference[0]) == 0);
}
