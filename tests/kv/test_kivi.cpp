// KIVI caches: what is remembered, when it is quantized, and which way of grouping is the better one.
#include <doctest/doctest.h>
#include <blocq/kv/kivi.hpp>

#include "attention.hpp"

#include <limits>
#include <string_view>

namespace {

using test::numbers;

template <int Bits>
blocq::kv::kivi<Bits> make(std::size_t width, blocq::kivi_options options = {.group = 32, .window = 32}) {
  auto cache = blocq::kv::kivi<Bits>::create(width, options);
  REQUIRE_MESSAGE(static_cast<bool>(cache), cache.message());
  return *std::move(cache);
}

// All keys, or all values, as they are remembered.
template <class Cache>
numbers keys_of(const Cache& cache) {
  numbers x(cache.size() * cache.width());
  for (std::size_t t = 0; t < cache.size(); ++t) cache.key(t, std::span(x).subspan(t * cache.width(), cache.width()));
  return x;
}
template <class Cache>
numbers values_of(const Cache& cache) {
  numbers x(cache.size() * cache.width());
  for (std::size_t t = 0; t < cache.size(); ++t) cache.value(t, std::span(x).subspan(t * cache.width(), cache.width()));
  return x;
}

// Keys per channel and values per token, or the other way round; without a window.
struct grouped {
  numbers per_channel, per_token;
};
template <int Bits>
grouped group(const numbers& x, std::size_t width) {
  auto cache = make<Bits>(width);
  numbers longer = x;
  longer.resize(x.size() + 32 * width);
  cache.append(longer, longer);
  grouped g{keys_of(cache), values_of(cache)};
  g.per_channel.resize(x.size());
  g.per_token.resize(x.size());
  return g;
}

// The relative error of what attention gives, over some queries.
double attention_error(const test::head& h, const numbers& keys, const numbers& values, test::random_bits next) {
  numbers exact, found;
  for (int i = 0; i < 16; ++i) {
    const numbers q = test::normals(h.width, next);
    const auto attend = [&](const numbers& k, const numbers& v, numbers& out) {
      numbers p(h.tokens);
      for (std::size_t t = 0; t < h.tokens; ++t)
        p[t] = static_cast<float>(test::dot(q.data(), &k[t * h.width], h.width));
      p = test::softmax(p, h.width);
      for (std::size_t d = 0; d < h.width; ++d) {
        double sum = 0;
        for (std::size_t t = 0; t < h.tokens; ++t)
          sum += static_cast<double>(p[t]) * static_cast<double>(v[t * h.width + d]);
        out.push_back(static_cast<float>(sum));
      }
    };
    attend(h.keys, h.values, exact);
    attend(keys, values, found);
  }
  return test::error(exact, found);
}

// The mean relative error where all attention is on one token.
double one_token_error(const test::head& h, const numbers& values) {
  double sum = 0;
  for (std::size_t t = 0; t < h.tokens; ++t) {
    const auto row = [&](const numbers& x) { return numbers(&x[t * h.width], &x[t * h.width] + h.width); };
    sum += test::error(row(h.values), row(values));
  }
  return sum / static_cast<double>(h.tokens);
}

}  // namespace

TEST_CASE("what cannot be a cache is refused with a sentence") {
  using cache = blocq::kv::kivi<2>;
  CHECK(cache::create(64).message() == std::string_view("success"));
  for (const std::size_t group : {0u, 16u, 48u})
    CHECK(cache::create(64, {group, 128}).error().code == blocq::errc::bad_value);
  for (const std::size_t window : {0u, 32u, 96u})
    CHECK(cache::create(64, {64, window}).error().code == blocq::errc::bad_value);
  for (const std::size_t width : {0u, 4u, 65u}) CHECK(cache::create(width).error().code == blocq::errc::ragged);
  CHECK(cache::create(64, {64, 96}).message() == std::string_view("a window of 96 tokens is not whole groups of 64"));
  for (const std::size_t window : {PTRDIFF_MAX / 16 + std::size_t{1}, SIZE_MAX / 8 + 1})
    CHECK(cache::create(8, {32, window}).error().code == blocq::errc::too_large);
}

TEST_CASE_TEMPLATE("windows hold what the paper says, and it makes no difference how tokens come", Cache,
                   blocq::kv::kivi<2>, blocq::kv::kivi<4>) {
  constexpr std::size_t width = 40, group = 32, window = 64, tokens = 3 * window + 7;
  test::random_bits next{1};
  const test::head h(tokens, width, next);
  auto one_by_one = *Cache::create(width, {group, window});
  std::size_t sizes = 0;
  for (std::size_t n = 1; n <= tokens; ++n) {
    one_by_one.append(std::span(h.keys).subspan((n - 1) * width, width),
                      std::span(h.values).subspan((n - 1) * width, width));
    CHECK(one_by_one.size() == n);
    CHECK(n - one_by_one.quantized_keys() == n % window);
    CHECK(n - one_by_one.quantized_values() == std::min(n, window));
    const numbers keys = keys_of(one_by_one), values = values_of(one_by_one);
    // What is in the window is the input in binary16.
    for (std::size_t i = one_by_one.quantized_keys() * width; i < n * width; ++i)
      sizes += keys[i] != blocq::f16_to_f32(blocq::f32_to_f16(h.keys[i]));
    for (std::size_t i = one_by_one.quantized_values() * width; i < n * width; ++i)
      sizes += values[i] != blocq::f16_to_f32(blocq::f32_to_f16(h.values[i]));
    if (n % 19 != 0 && n % window > 1) continue;
    auto at_once = *Cache::create(width, {group, window});
    at_once.append(std::span(h.keys).first(n * width), std::span(h.values).first(n * width));
    CHECK(keys_of(at_once) == keys);
    CHECK(values_of(at_once) == values);
  }
  CHECK(sizes == 0);
  one_by_one.clear();
  CHECK(one_by_one.size() == 0);
  one_by_one.append(h.keys, h.values);
  auto fresh = *Cache::create(width, {group, window});
  fresh.append(h.keys, h.values);
  CHECK(keys_of(one_by_one) == keys_of(fresh));
  CHECK(one_by_one.bytes() == fresh.bytes());
}

TEST_CASE_TEMPLATE("scores and mixtures are those of the rows that are remembered", Cache, blocq::kv::kivi<2>,
                   blocq::kv::kivi<4>) {
  for (const std::size_t group : {32u, 64u, 128u})
    for (const std::size_t width : {8u, 40u, 64u, 136u})
      for (const std::size_t tokens : {1u, 127u, 128u, 300u}) {
        test::random_bits next{tokens + width};
        const test::head h(tokens, width, next);
        auto cache = *Cache::create(width, {group, 128});
        cache.append(h.keys, h.values);
        const numbers q = test::normals(width, next), keys = keys_of(cache), values = values_of(cache);
        test::check_products(cache, q, keys, values);
      }
}

TEST_CASE_TEMPLATE("no number is further off than half a step, a group of equal ones not at all", Cache,
                   blocq::kv::kivi<2>, blocq::kv::kivi<4>) {
  constexpr std::size_t width = 32, tokens = 64;
  constexpr float top = std::is_same_v<Cache, blocq::kv::kivi<2>> ? 3.0f : 15.0f;
  test::random_bits next{3};
  numbers x = test::normals(tokens * width, next);
  for (std::size_t d = 0; d < width; ++d) x[40 * width + d] = 0.3f;  // a token
  for (std::size_t t = 0; t < tokens; ++t) x[t * width + 9] = t == 40 ? 0.3f : -7.7f;
  auto cache = *Cache::create(width, {32, 32});
  cache.append(x, x);
  const numbers keys = keys_of(cache), values = values_of(cache);
  for (std::size_t t = 0; t < tokens; ++t)
    for (std::size_t d = 0; d < width; ++d) {
      float lowest = x[t * width + d], highest = lowest;
      for (std::size_t i = 0; i < 32; ++i) {
        const float v = x[(t / 32 * 32 + i) * width + d];
        lowest = std::fmin(lowest, v);
        highest = std::fmax(highest, v);
      }
      CHECK(std::fabs(keys[t * width + d] - x[t * width + d]) <= (highest - lowest) / top * 0.505f + 0.005f);
    }
  for (std::size_t d = 0; d < width; ++d) CHECK(values[40 * width + d] == blocq::f16_to_f32(blocq::f32_to_f16(0.3f)));
  CHECK(keys[3 * width + 9] == blocq::f16_to_f32(blocq::f32_to_f16(-7.7f)));
}

TEST_CASE_TEMPLATE("whatever goes in, numbers come out", Cache, blocq::kv::kivi<2>, blocq::kv::kivi<4>) {
  constexpr std::size_t width = 32, tokens = 65;
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {0.0f, -0.0f, 1e30f, -1e30f, 1e-30f, infinity, -infinity, nan, 65519.0f, 6e-8f}) {
    for (const bool everywhere : {true, false}) {
      numbers x(tokens * width, everywhere ? bad : -65504.0f);
      x[33 * width + 1] = x[3] = bad;
      auto cache = *Cache::create(width, {32, 32});
      cache.append(x, x);
      std::size_t spoilt = 0;
      for (const numbers& rows : {keys_of(cache), values_of(cache)})
        for (const float v : rows) spoilt += !blocq::is_finite(v);
      numbers q(width, 1e-3f), scores(tokens), out(width);
      cache.scores(q, scores);
      cache.mix(test::softmax(scores, width), out);
      for (const float v : scores) spoilt += !blocq::is_finite(v);
      for (const float v : out) spoilt += !blocq::is_finite(v);
      CHECK(spoilt == 0);
    }
  }
}

TEST_CASE_TEMPLATE("without memory for more tokens a cache stays as it is", Cache, blocq::kv::kivi<2>,
                   blocq::kv::kivi<4>) {
  test::random_bits next{4};
  const test::head h(100, 40, next);
  const auto make = [] { return *Cache::create(40, {32, 32}); };
  for (const std::size_t before : {0u, 31u, 32u, 70u}) CHECK(test::fail_each_allocation(make, h, before) == 4);
}

TEST_CASE("a cache that grows by single tokens copies them a few times") {
  const numbers row(32);
  auto cache = make<4>(32);
  const std::size_t before = allocations::bytes;
  for (int t = 0; t < 5000; ++t) cache.append(row, row);
  CHECK(allocations::bytes - before < 5 * cache.bytes());
}

TEST_CASE("keys want scales per channel and values per token") {
  constexpr std::size_t width = 128, tokens = 512;
  const auto compare = [&]<int Bits>(std::uint64_t seed) {
    test::random_bits next{seed};
    const test::head h(tokens, width, next);
    const grouped k = group<Bits>(h.keys, width), v = group<Bits>(h.values, width);
    CHECK(test::error(h.keys, k.per_channel) < 0.3 * test::error(h.keys, k.per_token));
    CHECK(test::error(h.values, v.per_token) < test::error(h.values, v.per_channel));
    const auto output_error = [&](const numbers& keys, const numbers& values) {
      return attention_error(h, keys, values, next);
    };
    const double kivi = output_error(k.per_channel, v.per_token);
    CHECK(kivi < 0.4 * output_error(k.per_token, v.per_token));
    CHECK(kivi < 0.4 * output_error(k.per_token, v.per_channel));
    CHECK(kivi < 1.05 * output_error(k.per_channel, v.per_channel));
    // Where attention is on one token, values per channel cost what other tokens of the group have.
    CHECK(one_token_error(h, v.per_token) < 0.7 * one_token_error(h, v.per_channel));

    // A window makes it better.
    auto windowed = make<Bits>(width, {.group = 32, .window = 128});
    windowed.append(h.keys, h.values);
    CHECK(output_error(keys_of(windowed), values_of(windowed)) < kivi);
    return kivi;
  };
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    const double two = compare.operator()<2>(seed), four = compare.operator()<4>(seed);
    CHECK(four < 0.1 * two);
  }
}

TEST_CASE("bits per number") {
  constexpr std::size_t width = 128, tokens = 4096, window = 128;
  test::random_bits next{5};
  const test::head h(tokens, width, next);
  const auto bits = [&](auto cache) {
    cache.append(h.keys, h.values);
    return 8.0 * static_cast<double>(cache.bytes() - 2 * 2 * window * width) /
           static_cast<double>((cache.quantized_keys() + cache.quantized_values()) * width);
  };
  CHECK(bits(make<2>(width, {32, window})) == 3.0);
  CHECK(bits(make<4>(width, {32, window})) == 5.0);
  CHECK(bits(make<2>(width, {128, window})) == 2.25);
}
