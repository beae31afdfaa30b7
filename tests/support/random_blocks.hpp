// Blocks of random bytes that decode to numbers.
#ifndef BLOCQ_TESTS_RANDOM_BLOCKS_HPP
#define BLOCQ_TESTS_RANDOM_BLOCKS_HPP

#include <blocq/format/all.hpp>
#include <random.hpp>

#include <cstdint>
#include <cstring>
#include <vector>

struct random_bytes : test::random_bits {
  explicit random_bytes(std::uint64_t seed) : test::random_bits{seed} {}
  std::uint8_t operator()() { return byte(); }
  // Between -1 and 1.
  float uniform() { return static_cast<float>(static_cast<std::int32_t>(next() >> 40) - 0x800000) * 0x1p-23f; }
};

// The sums that q8_1 and q8_k carry are made to agree with their codes.
template <class B>
void set_sums(B& b) {
  [[maybe_unused]] const auto sum = [](const auto& codes, std::size_t first, std::size_t count) {
    int total = 0;
    for (std::size_t i = first; i < first + count; ++i) total += codes[i];
    return total;
  };
  if constexpr (requires { b.bsums; })
    for (std::size_t j = 0; j < 16; ++j) store(b.bsums[j], static_cast<std::int16_t>(sum(b.qs, 16 * j, 16)));
  if constexpr (requires { b.s; })
    store(b.s, blocq::f32_to_f16(blocq::f16_to_f32(b.d) * static_cast<float>(sum(b.qs, 0, sizeof b.qs))));
}

template <class B>
B random_number_block(random_bytes& next) {
  while (true) {
    B b = test::random_block<B>(next);
    if constexpr (requires { b.e; }) b.e = static_cast<std::uint8_t>(64 + next() / 2);  // sums within a float
    if constexpr (requires { b.scale; }) b.scale = static_cast<std::uint8_t>(64 + next() / 2);
    if constexpr (requires { b.absmax; }) store(b.absmax, blocq::to_bits(next.uniform()));
    if constexpr (std::is_same_v<B, blocq::bf16>) blocq::store(b.code, blocq::f32_to_bf16(next.uniform()));
    if constexpr (requires { b.bsums; }) store(b.d, blocq::to_bits(next.uniform()));
    set_sums(b);
    if (is_valid(b)) return b;
  }
}
template <class B>
std::vector<B> random_blocks(std::size_t count, random_bytes& next) {
  std::vector<B> blocks(count);
  for (B& b : blocks) b = random_number_block<B>(next);
  return blocks;
}

// An operand block of -64, whose codes are all -128.
template <class A>
A lowest_activation() {
  A a{};
  std::memset(a.qs, -128, sizeof a.qs);
  if constexpr (sizeof a.d == 4)
    store(a.d, blocq::to_bits(0.5f));
  else
    store(a.d, blocq::f32_to_f16(0.5f));
  set_sums(a);
  return a;
}

// What weights with a minimum make of the sums of their operand differs from the sum of its decoded numbers where q8_1
// rounds it: by this much.
template <class B, class A>
double rounding_of_sums(const B* w, const A* x, std::size_t blocks) {
  double difference = 0;
  if constexpr (requires { x->s, w->m; })
    for (std::size_t i = 0; i < blocks; ++i) {
      double sum = 0;
      for (const std::int8_t q : x[i].qs) sum += q;
      difference +=
          static_cast<double>(blocq::f16_to_f32(w[i].m)) *
          (static_cast<double>(blocq::f16_to_f32(x[i].s)) - sum * static_cast<double>(blocq::f16_to_f32(x[i].d)));
    }
  return difference;
}

#endif
