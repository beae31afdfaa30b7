// Access to tests/golden: files as arrays, the records of index.txt, and the generator of its hash-only records.
// What the files hold is described in tests/golden/README.txt.
#ifndef BLOCQ_TESTS_GOLDEN_HPP
#define BLOCQ_TESTS_GOLDEN_HPP

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace golden {

inline std::string text(const std::string& file) {
  std::ifstream in(std::string(BLOCQ_GOLDEN_DIR "/") + file, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read golden file " + file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The bytes of a number, or of a block, as files hold them: numbers are little-endian.
template <class T>
std::array<unsigned char, sizeof(T)> in_file(const T& value) {
  auto bytes = std::bit_cast<std::array<unsigned char, sizeof(T)>>(value);
  if constexpr (std::endian::native == std::endian::big && std::is_arithmetic_v<T>) std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

// `count` objects from byte `offset` on; all that follow if count is 0.
template <class T>
std::vector<T> array(const std::string& file, std::size_t offset = 0, std::size_t count = 0) {
  const std::string bytes = text(file);
  if (count == 0) count = (bytes.size() - offset) / sizeof(T);
  if (offset + count * sizeof(T) > bytes.size()) throw std::runtime_error("golden file too short: " + file);
  std::vector<T> values(count);
  std::memcpy(values.data(), bytes.data() + offset, count * sizeof(T));
  for (T& v : values) v = std::bit_cast<T>(in_file(v));
  return values;
}

// One line "kind key=value ... word ..." of an index.
struct record {
  std::string kind;
  std::map<std::string, std::string> fields;
  std::vector<std::string> words;  // what has no '='

  const std::string& operator[](const std::string& key) const { return fields.at(key); }
  std::size_t number(const std::string& key) const { return std::stoul(fields.at(key)); }
  std::uint64_t hash(const std::string& key) const { return std::stoull(fields.at(key), nullptr, 16); }
};

// The records of one kind, of one type if `type` is not empty.
inline std::vector<record> records(const std::string& kind, const std::string& type = "") {
  std::vector<record> found;
  std::istringstream lines(text("index.txt"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream tokens(line);
    record r;
    tokens >> r.kind;
    if (r.kind != kind) continue;
    for (std::string token; tokens >> token;) {
      const auto equals = token.find('=');
      if (equals == std::string::npos)
        r.words.push_back(token);
      else
        r.fields[token.substr(0, equals)] = token.substr(equals + 1);
    }
    if (type.empty() || (r.fields.count("type") != 0 && r["type"] == type)) found.push_back(r);
  }
  return found;
}

// The f32 matrix that a record's field input=<name> refers to.
inline std::vector<float> input(const std::string& name) {
  for (const record& r : records("input"))
    if (r["name"] == name) return array<float>(r["file"], r.number("off"), r.number("rows") * r.number("cols"));
  throw std::runtime_error("no golden input " + name);
}

template <class T>
std::uint64_t fnv1a(std::span<const T> values) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const T& v : values)
    for (const unsigned char byte : in_file(v)) h = (h ^ byte) * 0x100000001b3u;
  return h;
}

// Inputs of the `stream` records: nsb times 256 values, and the importance weights of 256 columns.
struct stream {
  std::vector<float> values, weights;

  explicit stream(std::size_t nsb) {
    std::uint64_t state = 0xC0FFEE;
    const auto uniform = [&state] {
      std::uint64_t z = state += 0x9E3779B97F4A7C15u;
      z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
      z = (z ^ z >> 27) * 0x94D049BB133111EBu;
      z ^= z >> 31;
      return static_cast<float>(static_cast<std::int32_t>(z >> 40) - (1 << 23)) * 0x1p-23f;
    };
    for (std::size_t k = 0; k < nsb; ++k) {
      const float scale = 1.0f / static_cast<float>(1u << (k % 11));
      for (int i = 0; i < 256; ++i) {
        const float v = uniform();
        values.push_back((k % 2 != 0 ? v * v * v : v) * scale);
      }
    }
    for (int i = 0; i < 256; ++i) {
      const float v = uniform();
      const volatile float square = v * v;  // rounded before the sum, whatever the compiler's flags
      weights.push_back(square + 0.0078125f);
    }
  }
};

}  // namespace golden

#endif
