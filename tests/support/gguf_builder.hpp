// Builds GGUF files byte by byte, right ones and wrong ones. It shares nothing with the library's writer.
#ifndef BLOCQ_TESTS_GGUF_BUILDER_HPP
#define BLOCQ_TESTS_GGUF_BUILDER_HPP

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

class gguf_builder {
 public:
  struct field {
    std::size_t at, size;
  };

  explicit gguf_builder(std::uint32_t version = 3, bool big_endian = false) : big_endian_(big_endian) {
    head_ = "GGUF";
    put(version, 4);
    put(0, 8);
    put(0, 8);
  }

  // An integer as it stands in the file.
  std::string number(std::uint64_t x, std::size_t size) const {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[big_endian_ ? size - 1 - i : i] = static_cast<char>(x >> (8 * i));
    return bytes;
  }
  std::string text(std::string_view s) const { return number(s.size(), 8) + std::string(s); }

  // A key with a value of any type and any bytes.
  gguf_builder& key(std::string_view name, std::uint32_t type, std::string_view value) {
    ++keys_;
    put_text(name);
    put(type, 4);
    head_ += value;
    return *this;
  }
  gguf_builder& u32(std::string_view name, std::uint32_t x) { return key_head(name, 4).put(x, 4); }
  gguf_builder& string(std::string_view name, std::string_view s) { return key_head(name, 8).put_text(s); }
  gguf_builder& array(std::string_view name, std::uint32_t type, std::uint64_t count, std::string_view elements) {
    key_head(name, 9).put(type, 4).put(count, 8);
    head_ += elements;
    return *this;
  }
  gguf_builder& alignment(std::uint32_t x) { return u32("general.alignment", alignment_ = x); }

  // A tensor's record alone, anything in it.
  gguf_builder& record(std::string_view name, std::uint32_t type, const std::vector<std::uint64_t>& dims,
                       std::uint64_t offset) {
    ++tensors_;
    put_text(name);
    put(dims.size(), 4);
    for (const std::uint64_t d : dims) put(d, 8);
    put(type, 4);
    return put(offset, 8);
  }
  // A tensor with its data, where it belongs.
  gguf_builder& tensor(std::string_view name, std::uint32_t type, const std::vector<std::uint64_t>& dims,
                       std::string_view data) {
    record(name, type, dims, data_.size());
    data_ += data;
    data_.append(padding(data_.size()), '\0');
    return *this;
  }
  gguf_builder& data(std::string_view bytes) {
    data_ += bytes;
    return *this;
  }
  gguf_builder& counts(std::uint64_t tensors, std::uint64_t keys) {
    tensors_ = tensors;
    keys_ = keys;
    return *this;
  }

  std::size_t header_size() const { return head_.size(); }
  std::string build() const {
    std::string file = head_;
    file.replace(8, 8, number(tensors_, 8)).replace(16, 8, number(keys_, 8));
    if (tensors_ != 0) file.append(padding(file.size()), '\0');
    return file + data_;
  }
  // Where the header's integers are.
  const std::vector<field>& fields() const { return fields_; }

 private:
  gguf_builder& put(std::uint64_t x, std::size_t size) {
    fields_.push_back({head_.size(), size});
    head_ += number(x, size);
    return *this;
  }
  gguf_builder& put_text(std::string_view s) {
    put(s.size(), 8);
    head_ += s;
    return *this;
  }
  gguf_builder& key_head(std::string_view name, std::uint32_t type) { return key(name, type, {}); }
  std::size_t padding(std::size_t size) const {
    return alignment_ == 0 || alignment_ > 4096 ? 0 : (alignment_ - size % alignment_) % alignment_;
  }

  bool big_endian_;
  std::string head_, data_;
  std::uint64_t tensors_ = 0, keys_ = 0;
  std::uint32_t alignment_ = 32;
  std::vector<field> fields_;
};

inline std::span<const std::byte> bytes_of(const std::string& s) { return std::as_bytes(std::span(s)); }

// A file with every type of value, arrays of them, and tensors of several types and shapes.
inline gguf_builder everything(std::uint32_t version = 3, bool big_endian = false, std::uint32_t alignment = 32) {
  gguf_builder b(version, big_endian);
  b.string("general.architecture", "test").string("empty", "").u32("u32", 0xfffffffe);
  const std::uint32_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  const char* names[] = {"u8", "i8", "u16", "i16", "v4", "i32", "f32", "bool", "", "", "u64", "i64", "f64"};
  for (std::uint32_t type = 0; type < 13; ++type) {
    if (sizes[type] == 0) continue;
    // f32 1.5, f64 -2.25, true, and integers that are negative where they can be
    const std::uint64_t x = type == 6    ? 0x3fc00000
                            : type == 12 ? 0xc002000000000000u
                            : type == 7  ? 1
                                         : ~std::uint64_t{4};
    const std::string one = b.number(x, sizes[type]);
    b.key(names[type], type, one);
    b.array(std::string(names[type]) + "s", type, 3, one + b.number(type == 7 ? 0 : 7, sizes[type]) + one);
  }
  b.array("strings", 8, 3, b.text("one") + b.text("") + b.text("\xc3\xa9\x01"));
  b.array("none", 8, 0, "").array("nothing", 5, 0, "");
  if (alignment != 32) b.alignment(alignment);
  b.tensor("scalar", 0, {}, std::string(4, '\x3c'));
  b.tensor("vector", 26, {5}, std::string(20, '\x01'));
  b.tensor("matrix.weight", 8, {64, 3}, std::string(2 * 34 * 3, '\x02'));
  b.tensor("bytes", 24, {1, 2, 3, 4}, std::string(24, '\x03'));
  return b;
}

#endif
