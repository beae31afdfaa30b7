// Loops that do nothing but what bounds an operation: reading or writing memory. They are timed beside it.
#ifndef BLOCQ_BENCH_LIMITS_HPP
#define BLOCQ_BENCH_LIMITS_HPP

#include "registry.hpp"

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
          static_cast<double>(floats)};
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
          static_cast<double>(floats)};
}

}  // namespace bench

#endif
