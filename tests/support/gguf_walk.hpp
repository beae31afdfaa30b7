// What any program does with a file that the reader accepted: look at all of it, and write it again.
#ifndef BLOCQ_TESTS_GGUF_WALK_HPP
#define BLOCQ_TESTS_GGUF_WALK_HPP

#include <blocq/gguf/all.hpp>

#include <cstdint>
#include <string>

namespace gguf_walk {

// Reads every value as every type and every tensor's bytes; the sum keeps a compiler from leaving it out.
inline std::uint64_t touch(const blocq::gguf::reader& file) {
  std::uint64_t sum = file.version() + file.alignment() + file.data_offset() + file.trailing().size();
  const auto add_bytes = [&](const auto& bytes) {
    for (const auto b : bytes) sum = sum * 31 + static_cast<std::uint8_t>(b);
  };
  for (const auto& [key, value] : file.metadata()) {
    add_bytes(key);
    sum += file.find(key) == &file.find(key)[0];
    for (const blocq::gguf::value v : value) {
      const auto as = [&]<class T>(T) { sum += static_cast<std::uint64_t>(bool(v.get<T>())); };
      as(std::uint8_t{}), as(std::int8_t{}), as(std::uint16_t{}), as(std::int16_t{}), as(std::uint32_t{});
      as(std::int32_t{}), as(std::uint64_t{}), as(std::int64_t{}), as(float{}), as(double{}), as(bool{});
      if (const auto s = v.get<std::string_view>()) add_bytes(*s);
    }
  }
  for (const blocq::gguf::tensor_info& t : file.tensors()) {
    add_bytes(t.name);
    sum += file.find_tensor(t.name)->rows() + t.row_bytes();
    if (t.data.size() != 0 && t.data.size() != t.bytes()) __builtin_trap();
    add_bytes(file.raw(t));
  }
  for (const blocq::gguf::tensor_info& t : file.tensors()) sum += static_cast<std::uint64_t>(bool(validate(t)));
  return sum;
}

// The file as the writer writes it again, or the writer's error.
inline std::string rewrite(const blocq::gguf::reader& file) {
  std::string out;
  const auto sink = [&](const void* data, std::size_t size) {
    out.append(static_cast<const char*>(data), size);
    return true;
  };
  const auto written = blocq::gguf::writer::copy(file, sink);
  return written ? out : std::string("error: ") + written.message();
}

}  // namespace gguf_walk

#endif
