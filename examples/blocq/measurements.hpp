// Measurements that take long and are worth keeping: a text file with a line for each, which is there as soon as it is
// made, so that work that was interrupted goes on where it was.
//
//   blocq measurements 1
//   0.0123 error q4_k 8c1f0a2b3d4e5f60 blk.0.attn_q.weight
//
// A line is a number and what it is of. The hash stands for all that it depends on: what was measured under other
// circumstances is not found, and measured anew.
#ifndef BLOCQ_EXAMPLES_MEASUREMENTS_HPP
#define BLOCQ_EXAMPLES_MEASUREMENTS_HPP

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

class measurements {
 public:
  // Kept in memory only if the path is empty. Throws failure if the file has other contents.
  explicit measurements(const std::string& path);

  std::optional<double> find(const std::string& what) const;
  // Throws failure if the line cannot be written.
  void add(const std::string& what, double value);

 private:
  std::string path_;
  std::ofstream file_;
  std::map<std::string, double, std::less<>> values_;
};

// A hash of bytes in their order. Not for adversaries: who writes the file may as well write wrong numbers.
class fingerprint {
 public:
  fingerprint& add(std::span<const std::byte> bytes) {
    add(bytes.size());
    for (; bytes.size() >= 8; bytes = bytes.subspan(8)) add(word_of(bytes.first(8)));
    if (!bytes.empty()) add(word_of(bytes));
    return *this;
  }
  fingerprint& add(std::uint64_t x) {
    state_ = (std::rotl(state_, 5) ^ x) * 0x9e3779b97f4a7c15u;
    state_ ^= state_ >> 32;
    return *this;
  }
  template <class T>
  fingerprint& add_values(std::span<const T> values) {
    return add(std::as_bytes(values));
  }
  std::uint64_t value() const { return state_; }
  std::string text() const;  // 16 digits

 private:
  static std::uint64_t word_of(std::span<const std::byte> bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), bytes.size());
    return word;
  }
  std::uint64_t state_ = 0x243f6a8885a308d3u;
};

#endif
