// MiniCache: one row for two layers, and which are not merged.
#include <doctest/doctest.h>
#include <blocq/kv/minicache.hpp>

#include "attention.hpp"

#include <limits>

using blocq::minicache_options;
using blocq::kv::minicache;
using test::numbers;

namespace {

// The rows of a lower layer, and those of an upper one: of nearly the same direction and another length.
struct two_layers {
  std::size_t tokens, width;
  numbers keys[2], values[2];

  two_layers(std::size_t t, std::size_t w, double apart, test::random_bits& next) : tokens(t), width(w) {
    for (auto* x : {&keys, &values}) {
      (*x)[0] = test::normals(t * w, next);
      (*x)[1] = test::normals(t * w, next);
      for (std::size_t i = 0; i < t * w; ++i) {
        const float size = std::exp(0.5f * static_cast<float>(i / w % 5));
        (*x)[1][i] = size * ((*x)[0][i] + static_cast<float>(apart) * (*x)[1][i]);
      }
    }
  }
  void append(minicache& cache, int layer, std::size_t first, std::size_t last) const {
    const auto part = [&](const numbers& x) { return std::span(x).subspan(first * width, (last - first) * width); };
    cache.append(layer, part(keys[layer]), part(values[layer]));
  }
};

numbers contents(const minicache& cache) {
  numbers x, row(cache.width());
  for (const int layer : {0, 1})
    for (std::size_t t = 0; t < cache.size(layer); ++t) {
      cache.key(layer, t, row);
      x.insert(x.end(), row.begin(), row.end());
      cache.value(layer, t, row);
      x.insert(x.end(), row.begin(), row.end());
    }
  return x;
}
numbers keys_of(const minicache& cache, int layer) {
  numbers x(cache.size(layer) * cache.width());
  for (std::size_t t = 0; t < cache.size(layer); ++t)
    cache.key(layer, t, std::span(x).subspan(t * cache.width(), cache.width()));
  return x;
}
double norm(const float* x, std::size_t n) { return std::sqrt(test::dot(x, x, n)); }

}  // namespace

TEST_CASE("merged rows keep their lengths, have one direction, and lose less than a mean") {
  constexpr std::size_t width = 64, tokens = 200;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    test::random_bits next{seed};
    const two_layers h(tokens, width, 0.4, next);
    auto cache = *minicache::create(width, {.retained = 0});
    h.append(cache, 0, 0, tokens);
    h.append(cache, 1, 0, tokens);
    CHECK(cache.merged() == tokens);
    const numbers k[2] = {keys_of(cache, 0), keys_of(cache, 1)};
    numbers mean(tokens * width);
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] = 0.5f * (h.keys[0][i] + h.keys[1][i]);
    for (std::size_t t = 0; t < tokens; ++t) {
      const float *a = &k[0][t * width], *b = &k[1][t * width];
      for (const int layer : {0, 1})
        CHECK(norm(&k[layer][t * width], width) ==
              doctest::Approx(norm(&h.keys[layer][t * width], width)).epsilon(2e-3));
      CHECK(test::dot(a, b, width) == doctest::Approx(norm(a, width) * norm(b, width)).epsilon(1e-3));
    }
    const double error = test::error(h.keys[0], k[0]) + test::error(h.keys[1], k[1]);
    CHECK(error < 0.8 * (test::error(h.keys[0], mean) + test::error(h.keys[1], mean)));
    // Nearer to the layer that is asked for.
    const auto upper_error = [&](double t) {
      auto other = *minicache::create(width, {.from_upper = t, .retained = 0});
      h.append(other, 0, 0, tokens);
      h.append(other, 1, 0, tokens);
      return test::error(h.keys[1], keys_of(other, 1));
    };
    CHECK(upper_error(0) < 1e-6);
    CHECK(upper_error(0.3) < upper_error(0.6));
    CHECK(upper_error(0.6) < upper_error(1));
  }
}

TEST_CASE("tokens that differ most are kept, nearly all of them if that is asked for") {
  constexpr std::size_t width = 32, tokens = 300;
  test::random_bits next{7};
  two_layers h(tokens, width, 0.2, next);
  for (const std::size_t t : {50u, 90u, 91u, 250u})  // nothing in common
    for (std::size_t d = 0; d < width; ++d) h.keys[1][t * width + d] = test::normal(next);
  for (std::size_t d = 0; d < width; ++d) h.keys[1][120 * width + d] = -h.keys[0][120 * width + d];
  const auto filled = [&](double retained) {
    auto cache = *minicache::create(width, {.retained = retained});
    h.append(cache, 0, 0, tokens);
    h.append(cache, 1, 0, tokens);
    return cache;
  };
  const auto row_error = [&](const minicache& cache, std::size_t t) {
    numbers row(width);
    cache.key(1, t, row);
    return test::error(numbers(&h.keys[1][t * width], &h.keys[1][t * width] + width), row);
  };
  const auto none = filled(0), some = filled(0.4), all = filled(1);
  CHECK(row_error(none, 120) < 1e-6);  // opposite: there is no direction between
  CHECK(row_error(none, 90) > 0.01);
  CHECK(row_error(some, 120) < 1e-6);
  CHECK(row_error(some, 50) < 1e-6);
  CHECK(some.retained() < tokens / 4);
  CHECK(none.retained() < some.retained());
  CHECK(all.retained() > 2 * tokens - 40);  // but the nearest so far
  CHECK(test::error(h.keys[0], keys_of(all, 0)) < 1e-3);
  CHECK(none.bytes() < some.bytes());
  CHECK(some.bytes() < all.bytes());
  // A half of binary16 for both, and 16 bytes for a token.
  CHECK(none.bytes() == 2 * tokens * (2 * width + 16) + 2 * width * none.retained());
}

TEST_CASE("scores and mixtures are those of the rows that are remembered, and it makes no difference how tokens come") {
  for (const std::size_t width : {1u, 8u, 20u, 64u}) {
    constexpr std::size_t tokens = 40;
    test::random_bits next{width};
    const two_layers h(tokens, width, 0.3, next);
    auto cache = *minicache::create(width), other = *minicache::create(width);
    h.append(cache, 0, 0, tokens);
    CHECK(cache.merged() == 0);
    h.append(cache, 1, 0, 33);
    CHECK(cache.merged() == 33);
    CHECK(cache.size(0) == tokens);
    CHECK(cache.size(1) == 33);
    for (std::size_t t = 0; t < tokens; ++t) {  // the layers in turn first
      if (t < 33 && t % 2 == 0) h.append(other, 1, t, t + 1);
      h.append(other, 0, t, t + 1);
      if (t < 33 && t % 2 == 1) h.append(other, 1, t, t + 1);
    }
    CHECK(contents(other) == contents(cache));
    CHECK(other.bytes() == cache.bytes());
    for (const int layer : {0, 1}) {
      const std::size_t n = cache.size(layer);
      const numbers q = test::normals(width, next), keys = keys_of(cache, layer);
      numbers scores(n), out(width), row(width);
      cache.scores(layer, q, scores);
      for (std::size_t t = 0; t < n; ++t)
        CHECK(static_cast<double>(scores[t]) ==
              doctest::Approx(test::dot(q.data(), &keys[t * width], width)).epsilon(1e-4).scale(30));
      const numbers p = test::softmax(scores, width);
      cache.mix(layer, p, out);
      std::vector<double> sum(width);
      for (std::size_t t = 0; t < n; ++t) {
        cache.value(layer, t, row);
        for (std::size_t d = 0; d < width; ++d) sum[d] += static_cast<double>(p[t]) * static_cast<double>(row[d]);
      }
      for (std::size_t d = 0; d < width; ++d)
        CHECK(static_cast<double>(out[d]) == doctest::Approx(sum[d]).epsilon(1e-5).scale(5));
    }
  }
}

TEST_CASE("a layer forgets its tokens, the other one keeps what it remembers") {
  constexpr std::size_t width = 16, tokens = 30;
  test::random_bits next{9};
  const two_layers h(tokens, width, 0.3, next);
  for (const int layer : {0, 1}) {
    auto cache = *minicache::create(width);
    h.append(cache, 0, 0, tokens);
    h.append(cache, 1, 0, tokens - 5);
    const numbers other = keys_of(cache, 1 - layer);
    cache.clear(layer);
    CHECK(cache.size(layer) == 0);
    CHECK(cache.merged() == 0);
    CHECK(test::error(other, keys_of(cache, 1 - layer)) < 1e-6);
    h.append(cache, layer, 0, 10);
    CHECK(cache.merged() == 10);
    cache.clear();
    CHECK(cache.bytes() == 0);
  }
}

TEST_CASE("whatever goes in, numbers come out") {
  constexpr std::size_t width = 12, tokens = 6;
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const float a : {0.0f, 1e30f, -infinity, nan, 6e-8f, 1.0f})
    for (const float b : {0.0f, -1e30f, infinity, nan, 6e-8f, 1.0f}) {
      const numbers x(tokens * width, a), y(tokens * width, b), q(width, 1e-3f);
      auto cache = *minicache::create(width);
      cache.append(0, x, x);
      cache.append(1, y, y);
      numbers scores(tokens), out(width), all = contents(cache);
      std::size_t spoilt = 0;
      for (const int layer : {0, 1}) {
        cache.scores(layer, q, scores);
        cache.mix(layer, test::softmax(scores, width), out);
        for (const numbers& row : {all, scores, out})
          for (const float v : row) spoilt += !blocq::is_finite(v);
      }
      CHECK(spoilt == 0);
      // Where one layer has nothing the other is as it was.
      if (a == 0 && b == 1.0f) CHECK(test::error(y, keys_of(cache, 1)) < 1e-6);
    }
}

TEST_CASE("without memory for more tokens a cache stays as it is; what cannot be one is refused") {
  constexpr std::size_t width = 24, tokens = 40;
  test::random_bits next{4};
  const two_layers h(tokens, width, 0.3, next);
  auto whole = *minicache::create(width);
  h.append(whole, 0, 0, tokens);
  h.append(whole, 1, 0, tokens);
  for (const bool clears : {false, true}) {
    int failures = 0;
    for (bool failed = true; failed; ++failures) {
      auto cache = *minicache::create(width);
      h.append(cache, 0, 0, tokens);
      h.append(cache, 1, 0, 7);
      const numbers before = contents(cache);
      const std::size_t bytes = cache.bytes();
      failed = false;
      allocations::left = failures;
      try {
        clears ? cache.clear(0) : h.append(cache, 1, 7, tokens);
      } catch (const std::bad_alloc&) {
        failed = true;
      }
      allocations::left = -1;
      if (failed) CHECK(contents(cache) == before);
      if (failed) CHECK(cache.bytes() == bytes);
      if (failed && !clears) h.append(cache, 1, 7, tokens);
      if (!clears) CHECK(contents(cache) == contents(whole));
    }
    CHECK(failures > 4);
  }

  CHECK(minicache::create(64));
  CHECK(minicache::create(0).error().code == blocq::errc::ragged);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double x : {-0.1, 1.1, nan}) {
    CHECK(minicache::create(64, {.from_upper = x}).error().code == blocq::errc::bad_value);
    CHECK(minicache::create(64, {.retained = x}).error().code == blocq::errc::bad_value);
  }
}
