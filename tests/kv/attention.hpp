// Keys, values and queries like those of a trained model's attention head, and attention itself, for the tests of kv.
#ifndef BLOCQ_TESTS_ATTENTION_HPP
#define BLOCQ_TESTS_ATTENTION_HPP

#include <doctest/doctest.h>
#include <allocations.hpp>
#include <random.hpp>

#include <cmath>
#include <cstddef>
#include <new>
#include <span>
#include <vector>

namespace test {

using numbers = std::vector<float>;

// Nearly normal.
inline float normal(random_bits& next) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += static_cast<double>(next.next() >> 11) * 0x1p-53;
  return static_cast<float>(sum);
}
inline numbers normals(std::size_t count, random_bits& next) {
  numbers x(count);
  for (float& v : x) v = normal(next);
  return x;
}

// Six channels of the keys are far from zero for all tokens; the size of values differs from token to token.
struct head {
  std::size_t tokens, width;
  numbers keys, values;

  head(std::size_t t, std::size_t w, random_bits& next)
      : tokens(t), width(w), keys(normals(t * w, next)), values(normals(t * w, next)) {
    for (std::size_t i = 0; i < 6 && i < width; ++i) {
      const float offset = normal(next) < 0 ? -10.0f : 10.0f;
      for (std::size_t n = 0; n < tokens; ++n) keys[n * width + (i * 37 + 5) % width] += offset;
    }
    for (std::size_t n = 0; n < tokens; ++n) {
      const float size = std::exp(0.5f * normal(next));
      for (std::size_t d = 0; d < width; ++d) values[n * width + d] *= size;
    }
  }
};

inline double dot(const float* a, const float* b, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

// What scores are turned into: weights that add up to 1.
inline numbers softmax(const numbers& scores, std::size_t width) {
  numbers p;
  float greatest = scores[0], sum = 0;
  for (const float s : scores) greatest = std::fmax(greatest, s);
  for (const float s : scores) sum += p.emplace_back(std::exp((s - greatest) / std::sqrt(static_cast<float>(width))));
  for (float& x : p) x /= sum;
  return p;
}

// What a cache remembers, key after key and value after value.
template <class Cache>
numbers contents(const Cache& cache) {
  const std::size_t width = cache.width();
  numbers x(2 * cache.size() * width);
  for (std::size_t t = 0; t < cache.size(); ++t) {
    cache.key(t, std::span(x).subspan(t * width, width));
    cache.value(t, std::span(x).subspan((cache.size() + t) * width, width));
  }
  return x;
}

// Products of a query with what a cache remembers are those with its keys and values as they are read.
template <class Cache>
void check_products(const Cache& cache, std::span<const float> q, std::span<const float> keys,
                    std::span<const float> values) {
  const std::size_t width = cache.width(), tokens = cache.size();
  numbers scores(tokens), out(width);
  cache.scores(q, scores);
  for (std::size_t t = 0; t < tokens; ++t)
    CHECK(static_cast<double>(scores[t]) ==
          doctest::Approx(dot(q.data(), &keys[t * width], width)).epsilon(1e-4).scale(30));
  const numbers p = softmax(scores, width);
  cache.mix(p, out);
  for (std::size_t d = 0; d < width; ++d) {
    double sum = 0;
    for (std::size_t t = 0; t < tokens; ++t)
      sum += static_cast<double>(p[t]) * static_cast<double>(values[t * width + d]);
    CHECK(static_cast<double>(out[d]) == doctest::Approx(sum).epsilon(1e-5).scale(5));
  }
}

// Appends to a cache of `before` tokens that `make` gives while one allocation after the other fails, until none does:
// how many failed. -1 if one of them changed the cache, or if what is appended afterwards is not what it would have
// been.
template <class Make>
int fail_each_allocation(Make&& make, const head& h, std::size_t before) {
  const auto append = [&](auto& cache, std::size_t first) {
    static_cast<void>(
        cache.append(std::span(h.keys).subspan(first * h.width), std::span(h.values).subspan(first * h.width)));
  };
  auto whole = make();
  append(whole, 0);
  for (int n = 0;; ++n) {
    auto cache = make();
    static_cast<void>(
        cache.append(std::span(h.keys).first(before * h.width), std::span(h.values).first(before * h.width)));
    const numbers remembered = contents(cache);
    const std::size_t bytes = cache.bytes();
    bool failed = false;
    allocations::left = n;
    try {
      append(cache, before);
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    allocations::left = -1;
    if (failed && (cache.size() != before || cache.bytes() != bytes || contents(cache) != remembered)) return -1;
    // By fewer than there were to be at first.
    for (std::size_t t = before; failed && t < h.tokens; ++t)
      static_cast<void>(cache.append(std::span(h.keys).subspan(t * h.width, h.width),
                                     std::span(h.values).subspan(t * h.width, h.width)));
    if (contents(cache) != contents(whole) || cache.bytes() != whole.bytes()) return -1;
    if (!failed) return n;
  }
}

// Relative squared error.
inline double error(const numbers& exact, const numbers& x) {
  double noise = 0, signal = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double e = static_cast<double>(exact[i]), d = static_cast<double>(x[i]) - e;
    noise += d * d;
    signal += e * e;
  }
  return noise / signal;
}

}  // namespace test

#endif
