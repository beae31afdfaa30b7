// Loops that do nothing but what bounds an operation: reading or writing memory, or multiplying. They are timed beside
// it.
#ifndef BLOCQ_BENCH_LIMITS_HPP
#define BLOCQ_BENCH_LIMITS_HPP

#include "registry.hpp"

#include <blocq/codec/codec.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace bench {

// 64 bytes: a cache line and the widest register.
using vector = std::uint32_t __attribute__((vector_size(64)));

// Reads `floats` floats again and again; one unit of work per float. Four chains, so that no latency is in the way.
inline contender read_loop(std::size_t floats) {
  return {[memory = std::make_shared<std::vector<vector>>(floats / 16)] {
            vector sum[4] = {};
            const vector* const p = memory->data();
            for (std::size_t i = 0; i + 4 <= memory->size(); i += 4)
              for (std::size_t j = 0; j < 4; ++j) sum[j] ^= p[i + j];
            __asm__ volatile("" : : "m"(sum));
          },
          static_cast<double>(floats), "memory read"};
}

// Writes them. The barrier keeps the loop from becoming a call of memset.
inline contender write_loop(std::size_t floats) {
  return {[memory = std::make_shared<std::vector<vector>>(floats / 16)] {
            vector* const p = memory->data();
            for (std::size_t i = 0; i + 4 <= memory->size(); i += 4) {
              for (std::size_t j = 0; j < 4; ++j) p[i + j] = vector{};
              __asm__ volatile("" : : : "memory");
            }
          },
          static_cast<double>(floats), "memory write"};
}

// Multiplications in registers, the rate per product and sum (two operations). Twelve accumulators hide the latencies.
namespace loops {
namespace vec = blocq::simd::native;

template <class V>
BLOCQ_INLINE void hide(V& v) noexcept {
#ifdef __AVX__
  __asm__ volatile("" : "+x"(v.v));
#else
  __asm__ volatile("" : "+m"(v));
#endif
}

inline constexpr int iterations = 1000, accumulators = 12;

template <class Sum, class Step>
contender multiply_loop(const char* name, double products_per_step, Sum zero, Step step) {
  return {[=] {
            Sum sum[accumulators];
            for (Sum& s : sum) s = zero;
            for (int i = 0; i < iterations; ++i)
              for (Sum& s : sum) s = step(s);
            for (Sum& s : sum) hide(s);
          },
          2.0 * products_per_step * iterations * accumulators, name};
}

// `depth` byte products are summed in 16 bits before a multiplication widens them to 32; never if depth is 0.
template <int Depth>
contender byte_products(const char* name) {
  const auto sum16 = [](int n) {
    vec::bytes w = vec::fill_bytes(1), x = w;
    hide(w), hide(x);
    vec::words sum = vec::maddubs(w, x);
    for (int i = 1; i < n; ++i) {
      hide(x);
      sum = sum + vec::maddubs(w, x);
    }
    return sum;
  };
  if constexpr (Depth == 0)
    return multiply_loop(name, 32, vec::fill_words(0), [=](vec::words s) { return s + sum16(1); });
  else
    return multiply_loop(name, 32 * Depth, vec::fill_ints(0),
                         [=](vec::ints s) { return s + vec::madd2(sum16(Depth), vec::fill_words(1)); });
}

inline contender word_products() {
  return multiply_loop("vpmaddwd", 16, vec::fill_ints(0), [](vec::ints s) {
    vec::words w = vec::fill_words(1), x = w;
    hide(w), hide(x);
    return s + vec::madd2(w, x);
  });
}

inline contender float_products() {
  return multiply_loop("FMA", 8, vec::fill_floats(0.0f), [](vec::floats s) {
    vec::floats w = vec::fill_floats(1.0f), x = w;
    hide(w), hide(x);
    return vec::fma(w, x, s);
  });
}
}  // namespace loops

// The loop that bounds a product of matrices with weights in format B: how many byte products fit into 16 bits, or
// which wider multiplication takes their place.
template <class B>
contender multiplication_loop() {
  if constexpr (!blocq::chunked_format<B>) {
    return loops::float_products();
  } else if constexpr (blocq::full_bytes<B>) {
    return loops::word_products();
  } else {
    constexpr blocq::value_range r = blocq::values_of<B>;
    constexpr int magnitude = r.highest > -r.lowest ? r.highest : -r.lowest, sums = 32767 / (magnitude * 127 * 2);
    if constexpr (sums >= 8)
      return loops::byte_products<0>("maddubs, 16-bit sums");
    else if constexpr (sums >= 4)
      return loops::byte_products<4>("maddubs 4:1");
    else if constexpr (sums >= 2)
      return loops::byte_products<2>("maddubs 2:1");
    else
      return loops::byte_products<1>("maddubs 1:1");
  }
}

}  // namespace bench

#endif
