// Caches behind a rotation: the same attention, and less lost where a few channels are far out.
#include <doctest/doctest.h>
#include <blocq/calib/hadamard.hpp>
#include <blocq/kv/kivi.hpp>
#include <blocq/kv/rotated.hpp>
#include <blocq/kv/rows.hpp>

#include "attention.hpp"

#include <limits>

namespace kv = blocq::kv;
using blocq::calib::rotation;
using test::numbers;

namespace {

constexpr std::size_t tokens = 60;

struct attended {
  numbers scores, mixed;
};
// In two steps, the second of one token.
template <class Cache>
attended attend(Cache& cache, const test::head& h, const numbers& q) {
  const std::size_t most = (tokens - 1) * h.width;
  static_cast<void>(cache.append(std::span(h.keys).first(most), std::span(h.values).first(most)));
  static_cast<void>(cache.append(std::span(h.keys).subspan(most), std::span(h.values).subspan(most)));
  REQUIRE(cache.size() == tokens);
  attended a{numbers(tokens), numbers(h.width)};
  cache.scores(q, a.scores);
  cache.mix(test::softmax(a.scores, h.width), a.mixed);
  return a;
}
template <class Cache>
attended plain(const test::head& h, const numbers& q) {
  auto cache = *Cache::create(h.width);
  return attend(cache, h, q);
}
template <class Cache>
attended turned(const test::head& h, const numbers& q, std::uint64_t seed = 0) {
  auto cache = *kv::rotated<Cache, rotation>::create(h.width, *rotation::make(h.width, seed), *rotation::make(h.width));
  CHECK(cache.width() == h.width);
  const attended a = attend(cache, h, q);
  CHECK(cache.bytes() > 0);
  cache.clear();
  CHECK(cache.size() == 0);
  return a;
}

}  // namespace

TEST_CASE("in floats a rotation changes nothing but the rounding, whatever the width") {
  for (const std::size_t width : {1u, 64u, 80u, 96u}) {
    test::random_bits next{width};
    const test::head h(tokens, width, next);
    const numbers q = test::normals(width, next);
    const attended exact = plain<kv::rows<float>>(h, q);
    auto cache =
        *kv::rotated<kv::rows<float>, rotation>::create(width, *rotation::make(width), *rotation::make(width, 3));
    CHECK(cache.append(h.keys, h.values));
    numbers keys(h.keys.size()), values(h.values.size());
    for (std::size_t t = 0; t < tokens; ++t) {
      cache.key(t, std::span(keys).subspan(t * width, width));
      cache.value(t, std::span(values).subspan(t * width, width));
    }
    CHECK(test::error(h.keys, keys) < 1e-5);
    CHECK(test::error(h.values, values) < 1e-5);
    for (const std::uint64_t seed : {0u, 9u}) {
      const attended a = turned<kv::rows<float>>(h, q, seed);
      CHECK(test::error(exact.scores, a.scores) < 1e-5);
      CHECK(test::error(exact.mixed, a.mixed) < 1e-4);
    }
  }
}

TEST_CASE("keys with channels that are far out lose less in blocks of 4 bits") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    test::random_bits next{seed};
    const test::head h(tokens, 128, next);
    const numbers q = test::normals(128, next);
    const attended exact = plain<kv::rows<float>>(h, q);
    const double without = test::error(exact.scores, plain<kv::rows<blocq::q4_0>>(h, q).scores);
    const double with = test::error(exact.scores, turned<kv::rows<blocq::q4_0>>(h, q).scores);
    CHECK(with < 0.8 * without);
    // What is still in binary16.
    CHECK(test::error(exact.scores, turned<kv::kivi<4>>(h, q).scores) < 1e-3);
  }
}

TEST_CASE("keys and values by themselves: in a format each, rotated or not") {
  test::random_bits next{6};
  const test::head h(tokens, 64, next);
  const numbers q = test::normals(64, next);
  using mixed = kv::rotated<kv::rows<blocq::q8_0, float>, rotation>;
  auto none = *mixed::create(64, {}, {}), keys = *mixed::create(64, *rotation::make(64), {}),
       values = *mixed::create(64, {}, *rotation::make(64));
  const attended plain_keys = plain<kv::rows<blocq::q8_0>>(h, q), turned_keys = turned<kv::rows<blocq::q8_0>>(h, q);
  CHECK(attend(none, h, q).scores == plain_keys.scores);
  CHECK(attend(values, h, q).scores == plain_keys.scores);
  CHECK(attend(keys, h, q).scores == turned_keys.scores);
  CHECK(none.bytes() == tokens * (2 * 34 + 64 * 4));
  const numbers seventh(h.values.begin() + 7 * 64, h.values.begin() + 8 * 64);
  numbers x(64);
  none.value(7, x);
  CHECK(x == seventh);
  values.value(7, x);
  CHECK(test::error(seventh, x) < 1e-6);
}

TEST_CASE("what does not fit is refused, and an append without memory leaves the cache as it was") {
  using cache = kv::rotated<kv::rows<blocq::q4_0>, rotation>;
  CHECK(cache::create(64, *rotation::make(32), {}).error().code == blocq::errc::size_mismatch);
  CHECK(cache::create(64, {}, *rotation::make(128)).error().code == blocq::errc::size_mismatch);
  CHECK(cache::create(16, *rotation::make(16), {}).error().code == blocq::errc::ragged);
  const auto options =
      kv::rotated<kv::kivi<4>, rotation>::create(64, *rotation::make(64), {}, blocq::kivi_options{.window = 7});
  CHECK(!options);  // no multiple of the groups

  test::random_bits next{4};
  const test::head h(50, 64, next);
  const auto make = [] { return *cache::create(64, *rotation::make(64), *rotation::make(64)); };
  for (const std::size_t before : {0u, 4u}) CHECK(test::fail_each_allocation(make, h, before) == 4);

  numbers keys(64 * 4), values(64 * 4);
  keys[64 * 3] = std::numeric_limits<float>::quiet_NaN();
  auto c = make();
  const blocq::status s = c.append(keys, values);
  CHECK(s.code == blocq::errc::not_finite);
  CHECK(s.at == 3);
  CHECK(c.size() == 4);
}
