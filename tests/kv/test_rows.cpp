// Caches with a row of blocks for every token.
#include <doctest/doctest.h>
#include <blocq/kv/rows.hpp>

#include "attention.hpp"

#include <limits>

using test::numbers;

BLOCQ_TEST_COUNT_ALLOCATIONS

TEST_CASE_TEMPLATE("scores and mixtures are those of the rows that are remembered", B, float, blocq::f16, blocq::q8_0,
                   blocq::q4_0, blocq::mxfp8_e4m3, blocq::nvfp4) {
  constexpr std::size_t width = 192, tokens = 50;
  test::random_bits next{7};
  const test::head h(tokens, width, next);
  auto cache = *blocq::kv::rows<B>::create(width);
  CHECK(cache.append(std::span(h.keys).first(20 * width), std::span(h.values).first(20 * width)));
  for (std::size_t t = 20; t < tokens; ++t)
    CHECK(cache.append(std::span(h.keys).subspan(t * width, width), std::span(h.values).subspan(t * width, width)));
  CHECK(cache.size() == tokens);

  const numbers q = test::normals(width, next);
  numbers scores(tokens), out(width), key(width), value(width), mixed(width);
  cache.scores(q, scores);
  const numbers p = test::softmax(scores, width);
  cache.mix(p, out);
  for (std::size_t t = 0; t < tokens; ++t) {
    cache.key(t, key);
    cache.value(t, value);
    CHECK(static_cast<double>(scores[t]) ==
          doctest::Approx(test::dot(q.data(), key.data(), width)).epsilon(1e-4).scale(30));
    for (std::size_t d = 0; d < width; ++d) mixed[d] += p[t] * value[d];
    numbers blocks(width);
    if constexpr (std::is_same_v<B, float>) {
      CHECK(key == numbers(h.keys.begin() + static_cast<std::ptrdiff_t>(t * width),
                           h.keys.begin() + static_cast<std::ptrdiff_t>((t + 1) * width)));
    } else {
      std::vector<B> row(width / blocq::block_size<B>);
      REQUIRE(blocq::quantize(std::span(h.values).subspan(t * width, width), row));
      REQUIRE(blocq::dequantize(row, blocks));
      CHECK(value == blocks);
    }
  }
  for (std::size_t d = 0; d < width; ++d) CHECK(out[d] == doctest::Approx(mixed[d]).epsilon(1e-5).scale(5));

  // Queries in blocks of the format that the products are made for.
  if constexpr (!std::is_same_v<B, float> && blocq::encodable_format<B>) {
    if constexpr (std::is_same_v<blocq::integer_operand_t<B>, blocq::q8_0>) {
      std::vector<blocq::q8_0> x(width / 32);
      blocq::quantize_activations(q, x);
      numbers faster(tokens);
      cache.scores(x, faster);
      CHECK(test::error(scores, faster) < 1e-3);
    }
  }
  cache.clear();
  CHECK(cache.size() == 0);
  CHECK(cache.bytes() == 0);
}

TEST_CASE("finer formats remember better") {
  constexpr std::size_t width = 128, tokens = 64;
  test::random_bits next{8};
  const test::head h(tokens, width, next);
  const auto error = [&](auto cache) {
    REQUIRE(cache.append(h.keys, h.values));
    numbers x(tokens * width);
    for (std::size_t t = 0; t < tokens; ++t) cache.key(t, std::span(x).subspan(t * width, width));
    return test::error(h.keys, x);
  };
  const double f32 = error(*blocq::kv::rows<float>::create(width)),
               f16 = error(*blocq::kv::rows<blocq::f16>::create(width));
  const double q8 = error(*blocq::kv::rows<blocq::q8_0>::create(width)),
               q4 = error(*blocq::kv::rows<blocq::q4_0>::create(width));
  CHECK(f32 == 0);
  CHECK(f32 < f16);
  CHECK(f16 < q8);
  CHECK(q8 < q4);
}

TEST_CASE("what does not fit is said") {
  CHECK(blocq::kv::rows<blocq::q8_0>::create(40).error().code == blocq::errc::ragged);
  CHECK(blocq::kv::rows<blocq::q4_k>::create(128).error().code == blocq::errc::ragged);
  CHECK(blocq::kv::rows<float>::create(0).error().code == blocq::errc::ragged);
  auto cache = *blocq::kv::rows<blocq::q8_0>::create(64);
  numbers keys(64 * 4), values(64 * 4);
  CHECK(cache.append(keys, values));
  keys[64 * 3] = values[64 + 5] = std::numeric_limits<float>::quiet_NaN();
  const blocq::status s = cache.append(keys, values);
  CHECK(s.code == blocq::errc::not_finite);
  CHECK(s.at == 5);
  CHECK(cache.size() == 8);
}

TEST_CASE_TEMPLATE("without memory for more tokens a cache stays as it is", B, float, blocq::q8_0) {
  test::random_bits next{9};
  const test::head h(50, 64, next);
  const auto make = [] { return *blocq::kv::rows<B>::create(64); };
  for (const std::size_t before : {0u, 4u}) CHECK(test::fail_each_allocation(make, h, before) == 2);
}

TEST_CASE_TEMPLATE("a cache that grows by single tokens copies them a few times; vectors are taken", B, float,
                   blocq::q8_0) {
  const numbers row(64);
  auto cache = *blocq::kv::rows<B>::create(64);
  const std::size_t before = allocations::bytes;
  for (int t = 0; t < 5000; ++t) CHECK(cache.append(row, row));
  CHECK(allocations::bytes - before < 5 * cache.bytes());
}
