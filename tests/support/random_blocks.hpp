// Blocks of random bytes that decode to numbers.
#ifndef BLOCQ_TESTS_RANDOM_BLOCKS_HPP
#define BLOCQ_TESTS_RANDOM_BLOCKS_HPP

#include <blocq/format/all.hpp>
#include <random.hpp>

#include <cstdint>
#include <vector>

struct random_bytes : test::random_bits {
  explicit random_bytes(std::uint64_t seed) : test::random_bits{seed} {}
  std::uint8_t operator()() { return byte(); }
  // Between -1 and 1.
  float uniform() { return static_cast<float>(static_cast<std::int32_t>(next() >> 40) - 0x800000) * 0x1p-23f; }
};

// The sums that q8_1 and q8_k carry are made to agree with their codes.
template <class B>
std::vector<B> random_blocks(std::size_t count, random_bytes& next) {
  std::vector<B> blocks(count);
  for (B& b : blocks) do {
      b = test::random_block<B>(next);
      if constexpr (requires { b.e; }) b.e = static_cast<std::uint8_t>(64 + next() / 2);  // sums within a float
      if constexpr (requires { b.scale; }) b.scale = static_cast<std::uint8_t>(64 + next() / 2);
      if constexpr (requires { b.absmax; }) store(b.absmax, blocq::to_bits(next.uniform()));
      if constexpr (std::is_same_v<B, blocq::bf16>) blocq::store(b.code, blocq::f32_to_bf16(next.uniform()));
      if constexpr (requires { b.bsums; }) {
        store(b.d, blocq::to_bits(next.uniform()));
        for (int j = 0; j < 16; ++j) {
          int sum = 0;
          for (int i = 0; i < 16; ++i) sum += b.qs[16 * j + i];
          store(b.bsums[j], static_cast<std::int16_t>(sum));
        }
      }
      if constexpr (requires { b.s; }) {
        int sum = 0;
        for (const std::int8_t q : b.qs) sum += q;
        store(b.s, blocq::f32_to_f16(blocq::f16_to_f32(b.d) * static_cast<float>(sum)));
      }
    } while (!is_valid(b));
  return blocks;
}

#endif
