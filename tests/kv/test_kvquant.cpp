// KVQuant caches: what is remembered, and what levels, corrections and keys without positions gain.
#include <doctest/doctest.h>
#include <blocq/kv/kvquant.hpp>

#include "attention.hpp"

#include <algorithm>
#include <limits>
#include <string_view>

namespace kv = blocq::kv;
using blocq::kvquant_options;
using test::numbers;

namespace {

// Rotary positions of neighbouring elements.
struct rotary {
  void operator()(std::size_t t, std::span<float> key) const {
    for (std::size_t i = 0; i + 1 < key.size(); i += 2) {
      const double angle =
          static_cast<double>(t) * std::pow(1e4, -static_cast<double>(i) / static_cast<double>(key.size()));
      const float c = static_cast<float>(std::cos(angle)), s = static_cast<float>(std::sin(angle));
      const float a = key[i], b = key[i + 1];
      key[i] = a * c - b * s;
      key[i + 1] = a * s + b * c;
    }
  }
};

numbers with_positions(numbers keys, std::size_t width) {
  for (std::size_t t = 0; t < keys.size() / width; ++t) rotary()(t, std::span(keys).subspan(t * width, width));
  return keys;
}

template <class Cache>
numbers keys_of(const Cache& cache) {
  numbers x = test::contents(cache);
  x.resize(x.size() / 2);
  return x;
}

// All of a text in codes, with the statistics of another one.
numbers remembered_keys(const numbers& other, const numbers& keys, std::size_t width, const kvquant_options& o) {
  const auto tables = kv::fit_kvquant(width, other, other, o);
  REQUIRE_MESSAGE(static_cast<bool>(tables), tables.message());
  auto cache = *kv::kvquant<>::create(width, o, {}, *tables);
  cache.append(keys, keys);
  CHECK(cache.quantized() == cache.size() - o.kept);
  return keys_of(cache);
}

// Rounded to 2^bits equal steps between the least and the largest of each channel.
numbers plain_integers(numbers keys, std::size_t width, int bits) {
  const float top = static_cast<float>((1 << bits) - 1);
  for (std::size_t d = 0; d < width; ++d) {
    float low = keys[d], high = low;
    for (std::size_t i = d; i < keys.size(); i += width) low = std::fmin(low, keys[i]), high = std::fmax(high, keys[i]);
    const float step = (high - low) / top;
    for (std::size_t i = d; i < keys.size(); i += width) keys[i] = low + step * std::round((keys[i] - low) / step);
  }
  return keys;
}

double median(std::vector<double> x) {
  std::sort(x.begin(), x.end());
  return x[x.size() / 2];
}

}  // namespace

TEST_CASE("levels, corrections and keys without positions each have less error than what they replace") {
  constexpr std::size_t width = 128, tokens = 512;
  std::vector<double> nuq, corrected, turned;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    test::random_bits next{seed};
    const test::head h(2 * tokens, width, next);
    const std::size_t half = tokens * width;
    const numbers other(h.keys.begin(), h.keys.begin() + half), keys(h.keys.begin() + half, h.keys.end());
    const kvquant_options o{.moments = false, .kept = 0}, dense{.outliers = 0, .moments = false, .kept = 0};
    const double plain = test::error(keys, plain_integers(keys, width, 3));
    const double best = test::error(keys, remembered_keys(other, keys, width, o));
    nuq.push_back(test::error(keys, remembered_keys(other, keys, width, dense)) / plain);
    corrected.push_back(best / plain);
    const numbers placed = with_positions(keys, width);
    turned.push_back(best / test::error(placed, remembered_keys(with_positions(other, width), placed, width, o)));
  }
  CHECK(median(nuq) < 0.6);
  CHECK(median(corrected) < 0.45);
  CHECK(median(turned) < 0.5);
}

TEST_CASE("each bit quarters the error at least by two, the statistics of few tokens are nearly as good") {
  constexpr std::size_t width = 64, tokens = 500;
  test::random_bits next{7};
  const test::head h(tokens, width, next);
  double before = 1;
  for (const int bits : {2, 3, 4}) {
    const auto error = [&](std::size_t sample) {
      auto cache = *kv::kvquant<>::create(width, {.key_bits = bits, .value_bits = bits, .sample = sample});
      cache.append(h.keys, h.values);
      const numbers x = test::contents(cache);
      numbers exact = h.keys;
      exact.insert(exact.end(), h.values.begin(), h.values.end());
      return test::error(exact, x);
    };
    const double all = error(tokens - 4);
    CHECK(all < 0.4 * before);
    CHECK(error(64) < 1.25 * all);
    before = all;
  }
}

TEST_CASE("scores and mixtures are those of the rows that are remembered, and it makes no difference how tokens come") {
  for (const std::size_t width : {1u, 8u, 40u, 64u})
    for (const int key_bits : {2, 3, 4})
      for (const std::size_t tokens : {3u, 19u, 20u, 61u}) {
        const int value_bits = 6 - key_bits;
        const kvquant_options o{.key_bits = key_bits, .value_bits = value_bits, .kept = 3, .sample = 17};
        test::random_bits next{tokens + width};
        const test::head h(tokens, width, next);
        auto cache = *kv::kvquant<rotary>::create(width, o);
        auto one_by_one = *kv::kvquant<rotary>::create(width, o);
        cache.append(h.keys, h.values);
        for (std::size_t t = 0; t < tokens; ++t) {
          one_by_one.append(std::span(h.keys).subspan(t * width, width), std::span(h.values).subspan(t * width, width));
          CHECK(one_by_one.quantized() == (t + 1 < 20 ? 0 : t + 1 - 3));
        }
        const numbers all = test::contents(cache), q = test::normals(width, next);
        CHECK(test::contents(one_by_one) == all);
        CHECK(one_by_one.bytes() == cache.bytes());
        const numbers keys =
            with_positions({all.begin(), all.begin() + static_cast<std::ptrdiff_t>(tokens * width)}, width);
        test::check_products(cache, q, keys, std::span(all).subspan(tokens * width));
        // The first tokens are the input in binary16.
        for (std::size_t i = 0; i < 3 * width; ++i) CHECK(all[i] == blocq::f16_to_f32(blocq::f32_to_f16(h.keys[i])));
        cache.clear();
        CHECK(cache.size() == 0);
        CHECK(cache.bytes() == 0);
        cache.append(h.keys, h.values);
        CHECK(test::contents(cache) == all);
      }
}

TEST_CASE("a row has as many corrections as another, of what is furthest off") {
  constexpr std::size_t width = 256, tokens = 100;
  test::random_bits next{11};
  test::head h(tokens, width, next);
  for (std::size_t t = 4; t < tokens; ++t)
    for (std::size_t i = 0; i < 3; ++i) {
      h.keys[t * width + (t * 7 + 50 * i) % width] = 900;
      h.values[t * width + (t * 5 + 60 * i) % width] = -700;
    }
  auto cache = *kv::kvquant<>::create(width, {.sample = 60});
  cache.append(h.keys, h.values);
  const numbers x = test::contents(cache);
  for (std::size_t t = 64; t < tokens; ++t)
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(x[t * width + (t * 7 + 50 * i) % width] == doctest::Approx(900).epsilon(1e-3));
      CHECK(x[(tokens + t) * width + (t * 5 + 60 * i) % width] == doctest::Approx(-700).epsilon(1e-3));
    }
  // 3 bits, three corrections of 4 bytes in each row, the range of a value; 4 tokens and the statistics besides.
  CHECK(cache.bytes() == 96 * (2 * (96 + 3 * 4) + 4) + 4 * 2 * 2 * width + 2 * 4 * width);
}

TEST_CASE("Q-Norm keeps the variance, weights say what must not be off") {
  constexpr std::size_t width = 32, tokens = 400;
  test::random_bits next{12};
  numbers x = test::normals(tokens * width, next), weights(x.size(), 1.0f);
  const auto variance = [](const numbers& v) {
    double sum = 0;
    for (const float a : v) sum += static_cast<double>(a) * static_cast<double>(a);
    return sum / static_cast<double>(v.size());
  };
  const kvquant_options plain{.key_bits = 2, .outliers = 0, .moments = false, .kept = 0},
      moments{.key_bits = 2, .outliers = 0, .moments = true, .kept = 0};
  CHECK(variance(remembered_keys(x, x, width, plain)) < 0.95 * variance(x));
  CHECK(variance(remembered_keys(x, x, width, moments)) == doctest::Approx(variance(x)).epsilon(0.02));

  // Large numbers matter a hundred times as much as small ones.
  for (std::size_t i = 0; i < x.size(); ++i) weights[i] = std::fabs(x[i]) > 1.5f ? 100.0f : 1.0f;
  const auto weighted_error = [&](const numbers& with) {
    auto cache = *kv::kvquant<>::create(width, plain, {}, *kv::fit_kvquant(width, x, x, plain, with));
    cache.append(x, x);
    const numbers y = keys_of(cache);
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += static_cast<double>(weights[i] * (x[i] - y[i]) * (x[i] - y[i]));
    return sum;
  };
  CHECK(weighted_error(weights) < 0.8 * weighted_error({}));
}

TEST_CASE("whatever goes in, numbers come out") {
  constexpr std::size_t width = 24, tokens = 40;
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {0.0f, -0.0f, 1e30f, -1e30f, 1e-30f, infinity, -infinity, nan, 65519.0f, 6e-8f})
    for (const std::size_t everywhere_from : {0u, 30u, 40u}) {
      numbers x(tokens * width, -65504.0f);
      std::fill(x.begin() + static_cast<std::ptrdiff_t>(everywhere_from * width), x.end(), bad);
      x[33 * width + 1] = x[7 * width + 3] = bad;
      auto cache = *kv::kvquant<rotary>::create(width, {.sample = 16});
      cache.append(x, x);
      numbers q(width, 1e-3f), scores(tokens), out(width), all = test::contents(cache);
      cache.scores(q, scores);
      cache.mix(test::softmax(scores, width), out);
      std::size_t spoilt = 0;
      for (const numbers& row : {all, scores, out})
        for (const float v : row) spoilt += !blocq::is_finite(v);
      CHECK(spoilt == 0);
    }
}

TEST_CASE("without memory for more tokens a cache stays as it is") {
  test::random_bits next{4};
  const test::head h(60, 40, next);
  const auto make = [] { return *kv::kvquant<>::create(40, {.kept = 3, .sample = 20}); };
  for (const std::size_t before : {0u, 2u, 15u, 23u, 40u}) CHECK(test::fail_each_allocation(make, h, before) > 4);
}

TEST_CASE("what cannot be a cache, or its statistics, is refused with a sentence") {
  using cache = kv::kvquant<>;
  CHECK(cache::create(64).message() == std::string_view("success"));
  for (const std::size_t width : {std::size_t{0}, std::size_t{65537}, SIZE_MAX})
    CHECK(cache::create(width).error().code == blocq::errc::ragged);
  for (const int bits : {-1, 0, 1, 5}) {
    CHECK(cache::create(64, {.key_bits = bits}).error().code == blocq::errc::bad_value);
    CHECK(cache::create(64, {.value_bits = bits}).error().code == blocq::errc::bad_value);
  }
  CHECK(cache::create(64, {.value_bits = 5}).message() == std::string_view("codes of 5 bits: there are 2, 3 and 4"));
  for (const double share : {-0.1, 0.5, 2.0, std::numeric_limits<double>::quiet_NaN()})
    CHECK(cache::create(64, {.outliers = share}).error().code == blocq::errc::bad_value);
  for (const std::size_t sample : {0u, 1u})
    CHECK(cache::create(64, {.sample = sample}).error().code == blocq::errc::bad_value);
  CHECK(cache::create(64, {.sample = SIZE_MAX}).error().code == blocq::errc::too_large);
  CHECK(cache::create(64, {.kept = SIZE_MAX}).error().code == blocq::errc::too_large);

  test::random_bits next{5};
  numbers x = test::normals(8 * 64, next);
  const auto tables = *kv::fit_kvquant(64, x, x);
  CHECK(cache::create(64, {}, {}, tables));
  CHECK(cache::create(32, {}, {}, tables).error().code == blocq::errc::size_mismatch);
  CHECK(cache::create(64, {.key_bits = 2}, {}, tables).error().code == blocq::errc::size_mismatch);
  CHECK(cache::create(64, {.value_bits = 4}, {}, tables).error().code == blocq::errc::size_mismatch);
  const auto refused = [&](auto change) {
    auto other = tables;
    change(other);
    return cache::create(64, {}, {}, other).error().code == blocq::errc::bad_value;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(refused([&](auto& t) { t.key_levels.values[3] = nan; }));
  CHECK(refused([&](auto& t) { t.value_levels.bounds[0] = 2; }));
  CHECK(refused([&](auto& t) { t.value_levels.values[7] = 17; }));
  CHECK(refused([&](auto& t) { t.channels[9].scale = 0; }));
  CHECK(refused([&](auto& t) { t.channels[9].scale = nan; }));
  CHECK(refused([&](auto& t) { t.channels[63].offset = -1e6f; }));

  const auto fit = [&](std::size_t width, const numbers& k, const numbers& v, const numbers& weights = {}) {
    const auto r = kv::fit_kvquant(width, k, v, {}, {}, weights);
    return r ? blocq::errc::ok : r.error().code;
  };
  CHECK(fit(64, x, numbers(64)) == blocq::errc::size_mismatch);
  CHECK(fit(60, x, x) == blocq::errc::size_mismatch);
  CHECK(fit(512, x, x) == blocq::errc::size_mismatch);  // one token
  CHECK(fit(64, {}, {}) == blocq::errc::size_mismatch);
  CHECK(fit(64, x, x, numbers(63)) == blocq::errc::size_mismatch);
  CHECK(fit(64, x, x, numbers(512, -1.0f)) == blocq::errc::bad_value);
  CHECK(fit(64, x, x, numbers(512)) == blocq::errc::ok);  // nothing matters
  CHECK(fit(64, numbers(512), numbers(512)) == blocq::errc::ok);
  x[77] = nan;
  CHECK(fit(64, x, numbers(512)) == blocq::errc::not_finite);
}
