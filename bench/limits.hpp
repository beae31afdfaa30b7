// Loops that do nothing but what bounds an operation: reading or writing memory, or multiplying. They are timed beside
// it.
#ifndef BLOCQ_BENCH_LIMITS_HPP
#define BLOCQ_BENCH_LIMITS_HPP

#include "registry.hpp"

#include <blocq/codec/codec.hpp>
#include <blocq/simd/wide.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <vector>

namespace bench {

namespace loops {
namespace vec = blocq::simd::native;
namespace one = blocq::simd::one;

// The compiler no longer knows what v is.
template <class V>
BLOCQ_INLINE void hide(V& v) noexcept {
#if defined(__AVX512F__)
  __asm__ volatile("" : "+v"(v.v));
#elif defined(__AVX2__)
  __asm__ volatile("" : "+x"(v.v));
#else
  __asm__ volatile("" : "+m"(v));
#endif
}
}  // namespace loops

// 64 bytes: a cache line and the widest register.
using vector = std::uint32_t __attribute__((vector_size(64)));

// Reads `floats` floats again and again; one unit of work per float. Eight chains, so that no latency is in the way, in
// registers of their own: compilers keep an array of vectors in memory.
inline contender read_loop(std::size_t floats) {
  return {[memory = std::make_shared<std::vector<float>>(floats / 64 * 64)] {
            namespace vec = blocq::simd::native;
            const float* p = memory->data();
            const auto read = [&](auto... sum) {
              for (const float* const end = p + memory->size(); p != end;)
                ((sum = sum ^ vec::load_bytes(p), p += 8), ...);
              (loops::hide(sum), ...);
            };
            std::apply(read, std::array<vec::bytes, 8>{});
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

// Multiplications in registers, the rate per product and sum (two operations).
namespace loops {

// Ten sums hide the latencies; with two operands and what a step needs they fill sixteen registers.
inline constexpr std::size_t iterations = 1000, accumulators = 10;

// sum = step(sum, w, x), again and again.
template <class Sum, class Operand, class Step>
contender multiply_loop(const char* name, double products_per_step, Operand one, Step step) {
  const auto run = [=](auto... sum) {
    Operand w = one, x = one;
    hide(w), hide(x);
    for (std::size_t i = 0; i < iterations; ++i) ((sum = step(sum, w, x), hide(sum)), ...);
  };
  return {[=] { std::apply(run, std::array<Sum, accumulators>{}); },
          2.0 * products_per_step * static_cast<double>(iterations * accumulators), name};
}

// `Depth` byte products are summed in 16 bits before a multiplication widens them to 32; never if it is 0.
template <int Depth>
contender byte_products(const char* name) {
  constexpr std::size_t size = sizeof(one::bytes);
  const auto add_products = [](one::words sum, int n, one::bytes w, one::bytes& x) {
    for (int i = 0; i < n; ++i) {
      hide(x);
      one::add_to(sum, one::maddubs(w, x));
    }
    return sum;
  };
  if constexpr (Depth == 0)
    return multiply_loop<one::words>(
        name, size, one::bytes{}, [=](one::words s, one::bytes w, one::bytes& x) { return add_products(s, 1, w, x); });
  else
    return multiply_loop<one::ints>(name, size * Depth, one::bytes{}, [=](one::ints s, one::bytes w, one::bytes& x) {
      hide(x);
      return s + one::madd2(add_products(one::maddubs(w, x), Depth - 1, w, x), one::fill_words(1));
    });
}

// Four products of bytes in one instruction.
inline contender four_products() {
  return multiply_loop<one::ints>("dot4", sizeof(one::bytes), one::bytes{},
                                  [](one::ints s, one::bytes w, one::bytes& x) {
                                    hide(x);
                                    one::dot4_to(s, w, x);
                                    return s;
                                  });
}

inline contender word_products() {
  return multiply_loop<one::ints>("vpmaddwd", sizeof(one::words) / 2, one::fill_words(1),
                                  [](one::ints s, one::words w, one::words& x) {
                                    hide(x);
                                    return s + one::madd2(w, x);
                                  });
}

inline contender float_products() {
  return multiply_loop<one::floats>("FMA", sizeof(one::floats) / sizeof(float), one::fill_floats(1.0f),
                                    [](one::floats s, one::floats w, one::floats& x) {
                                      hide(x);
                                      return one::fma(w, x, s);
                                    });
}
}  // namespace loops

// The loop that bounds a product of matrices with weights in format B: how many byte products fit into 16 bits, or
// which wider multiplication takes their place.
template <class B>
contender multiplication_loop() {
  if constexpr (!blocq::chunked_format<B>) {
    return loops::float_products();
  } else if constexpr (blocq::simd::wide::has_dot4 && !blocq::detail::nine_bits<B>) {
    return loops::four_products();
  } else if constexpr (blocq::full_bytes<B>) {
    return loops::word_products();
  } else {
    constexpr blocq::value_range r = blocq::values_of<B>;
    constexpr int magnitude = r.highest > -r.lowest ? r.highest : -r.lowest, sums = 32767 / (magnitude * 127 * 2);
    if constexpr (sums >= 8)
      return loops::byte_products<0>("maddubs 16-bit sums");
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
