// Reproducible bytes and blocks.
#ifndef BLOCQ_TESTS_RANDOM_HPP
#define BLOCQ_TESTS_RANDOM_HPP

#include <blocq/core/config.hpp>

#include <cstddef>
#include <cstdint>

namespace test {

// splitmix64
struct random_bits {
  std::uint64_t state;

  constexpr std::uint64_t next() noexcept {
    std::uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  constexpr std::uint8_t byte() noexcept { return static_cast<std::uint8_t>(next() >> 56); }
};

template <class B>
struct bytes_of {
  std::uint8_t bytes[sizeof(B)];
};

// A block whose bytes all have this value.
template <class B>
constexpr B filled_block(std::uint8_t value) noexcept {
  bytes_of<B> image{};
  for (auto& byte : image.bytes) byte = value;
  return __builtin_bit_cast(B, image);
}

template <class B>
constexpr B random_block(random_bits& source) noexcept {
  bytes_of<B> image{};
  for (auto& byte : image.bytes) byte = source.byte();
  return __builtin_bit_cast(B, image);
}

}  // namespace test

#endif
