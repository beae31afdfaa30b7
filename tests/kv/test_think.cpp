// ThinK caches: which channels stay, what is remembered of the others, and what leaving the right ones out costs.
#include <doctest/doctest.h>
#include <blocq/kv/think.hpp>

#include "attention.hpp"

#include <algorithm>
#include <limits>
#include <string_view>

using blocq::think_options;
using blocq::kv::think;
using test::numbers;

namespace {

// Some channels of queries are ten times as large as others, some of keys twice.
struct uneven : test::head {
  numbers queries;
  uneven(std::size_t t, std::size_t w, test::random_bits& next)
      : head(t, w, next), queries(test::normals(t * w, next)) {
    for (std::size_t i = 0; i < t * w; ++i) {
      queries[i] *= i % w % 3 == 0 ? 1.0f : 0.1f;
      keys[i] *= i % w % 2 == 0 ? 1.0f : 0.5f;
    }
  }
  std::span<const float> key(std::size_t t) const { return std::span(keys).subspan(t * width, width); }
  std::span<const float> value(std::size_t t) const { return std::span(values).subspan(t * width, width); }
  std::span<const float> query(std::size_t t) const { return std::span(queries).subspan(t * width, width); }
};

think filled(const uneven& h, const think_options& o, bool asks = true) {
  auto cache = *think::create(h.width, o);
  for (std::size_t t = 0; t < h.tokens; ++t) {
    cache.append(h.key(t), h.value(t));
    if (asks) cache.observe(h.query(t));
  }
  return cache;
}

// Of scores, relative.
double score_error(const think& cache, const uneven& h) {
  numbers exact, found(h.tokens), all;
  for (std::size_t i = 0; i < 20; ++i) {
    const auto q = h.query(h.tokens - 1 - i);
    cache.scores(q, found);
    all.insert(all.end(), found.begin(), found.end());
    for (std::size_t t = 0; t < h.tokens; ++t)
      exact.push_back(static_cast<float>(test::dot(q.data(), h.key(t).data(), h.width)));
  }
  return test::error(exact, all);
}

}  // namespace

TEST_CASE("the channels that stay have the largest products of queries and keys") {
  constexpr std::size_t width = 48, tokens = 64;
  test::random_bits next{1};
  const uneven h(tokens, width, next);
  auto cache = *think::create(width, {.dropped = 0.5, .window = 16, .sample = 64});
  std::vector<double> q(width), k(width), saliency(width);
  for (std::size_t t = 0; t < tokens; ++t) {
    CHECK(cache.channels().empty());
    cache.append(h.key(t), h.value(t));
    cache.observe(h.query(t));
    for (std::size_t d = 0; d < width; ++d) {
      if (t + 1 < tokens) q[d] += std::pow(static_cast<double>(h.query(t)[d]), 2);
      k[d] += std::pow(static_cast<double>(h.key(t)[d]), 2);
    }
  }
  REQUIRE(cache.channels().size() == width / 2);
  CHECK(std::is_sorted(cache.channels().begin(), cache.channels().end()));
  for (std::size_t d = 0; d < width; ++d) saliency[d] = q[d] * k[d];
  std::vector<double> sorted = saliency;
  std::sort(sorted.begin(), sorted.end());
  for (const std::size_t d : cache.channels()) CHECK(saliency[d] > 0.999 * sorted[width / 2]);
}

TEST_CASE("queries choose better channels than keys alone, and more channels lose less") {
  constexpr std::size_t width = 64, tokens = 200;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    test::random_bits next{seed};
    const uneven h(tokens, width, next);
    const auto with = [](double dropped) { return think_options{.dropped = dropped, .window = 16, .sample = 64}; };
    const double asked = score_error(filled(h, with(0.5)), h), unasked = score_error(filled(h, with(0.5), false), h);
    CHECK(asked < 0.7 * unasked);
    CHECK(asked < 0.05);
    double before = 0;
    for (const double dropped : {0.0, 0.25, 0.5, 0.75}) {
      const double error = score_error(filled(h, with(dropped)), h);
      CHECK(error > before);
      before = error;
    }
    CHECK(score_error(filled(h, with(0)), h) < 1e-6);
  }
}

TEST_CASE("older keys have the chosen channels, the latest are whole, and it makes no difference how tokens come") {
  constexpr std::size_t width = 20, tokens = 150;
  const think_options o{.dropped = 0.4, .window = 16, .sample = 32};
  test::random_bits next{3};
  const uneven h(tokens, width, next);
  auto one_by_one = *think::create(width, o);
  for (std::size_t n = 1; n <= tokens; ++n) {
    one_by_one.append(h.key(n - 1), h.value(n - 1));
    CHECK(one_by_one.pruned() == (n < 32 ? 0 : n / 16 * 16 - 16));
    if (n % 17 != 0 && n != tokens) continue;
    auto at_once = *think::create(width, o);
    at_once.append(std::span(h.keys).first(n * width), std::span(h.values).first(n * width));
    const numbers all = test::contents(one_by_one);
    CHECK(test::contents(at_once) == all);
    CHECK(at_once.bytes() == one_by_one.bytes());
    for (std::size_t t = 0; t < n; ++t)
      for (std::size_t d = 0; d < width; ++d) {
        const bool kept = std::ranges::find(at_once.channels(), d) != at_once.channels().end();
        const auto half = [](float x) { return blocq::f16_to_f32(blocq::f32_to_f16(x)); };
        CHECK(all[t * width + d] == (t >= at_once.pruned() || kept ? half(h.key(t)[d]) : 0.0f));
        CHECK(all[(n + t) * width + d] == half(h.value(t)[d]));
      }
    const auto q = h.query(n - 1);
    test::check_products(at_once, q, all, std::span(all).subspan(n * width));
  }
  // 12 of 20 channels of 128 keys, 22 whole ones, all values.
  CHECK(one_by_one.bytes() == 2 * (128 * 12 + 22 * 20 + 150 * 20) + 12 * sizeof(std::size_t));
  one_by_one.clear();
  CHECK(one_by_one.bytes() == 0);
  one_by_one.append(h.keys, h.values);
  CHECK(one_by_one.size() == tokens);
}

TEST_CASE("whatever goes in, numbers come out") {
  constexpr std::size_t width = 12, tokens = 50;
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {0.0f, 1e30f, infinity, -infinity, nan, 65519.0f}) {
    numbers x(tokens * width, bad), q(width, 1e-3f), scores(tokens), out(width);
    auto cache = *think::create(width, {.window = 8, .sample = 16});
    cache.observe(x = numbers(width, bad));
    x.assign(tokens * width, bad);
    cache.append(x, x);
    CHECK(cache.channels().size() == 8);
    cache.scores(q, scores);
    cache.mix(test::softmax(scores, width), out);
    std::size_t spoilt = 0;
    for (const numbers& row : {test::contents(cache), scores, out})
      for (const float v : row) spoilt += !blocq::is_finite(v);
    CHECK(spoilt == 0);
  }
}

TEST_CASE("without memory for more tokens a cache stays as it is; what cannot be one is refused") {
  test::random_bits next{4};
  const test::head h(60, 40, next);
  const auto make = [] { return *think::create(40, {.window = 8, .sample = 24}); };
  for (const std::size_t before : {0u, 10u, 23u, 30u}) CHECK(test::fail_each_allocation(make, h, before) >= 3);

  CHECK(think::create(64).message() == std::string_view("success"));
  CHECK(think::create(0).error().code == blocq::errc::ragged);
  for (const double dropped : {-0.1, 1.0, std::numeric_limits<double>::quiet_NaN()})
    CHECK(think::create(64, {.dropped = dropped}).error().code == blocq::errc::bad_value);
  for (const std::size_t sample : {0u, 32u, 65u})
    CHECK(think::create(64, {.sample = sample}).error().code == blocq::errc::bad_value);
  CHECK(think::create(64, {.window = 0}).error().code == blocq::errc::bad_value);
  CHECK(think::create(64, {.sample = 65}).message() ==
        std::string_view("a sample of 65 tokens is not two or more windows of 32"));
  CHECK(think::create(64, {.window = SIZE_MAX / 4, .sample = SIZE_MAX / 4 * 2}).error().code == blocq::errc::too_large);
}
