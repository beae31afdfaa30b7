// Pseudorandom numbers that are the same on every machine: splitmix64, of Steele, Lea and Flood, "Fast splittable
// pseudorandom number generators", 2014.
#ifndef BLOCQ_CALIB_RANDOM_HPP
#define BLOCQ_CALIB_RANDOM_HPP

#include <blocq/core/config.hpp>

#include <cstdint>

namespace blocq::inline v0::inline BLOCQ_ISA::calib::detail {

class random_numbers {
 public:
  explicit random_numbers(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t bits() noexcept {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  // From 0 on and below 1.
  double uniform() noexcept { return static_cast<double>(bits() >> 11) * 0x1p-53; }

 private:
  std::uint64_t state_;
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib::detail

#endif
