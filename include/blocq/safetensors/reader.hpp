// A safetensors file, read from bytes in memory (a mapping or a buffer) without copying any of them.
//
//   u64 n, little-endian | n bytes of JSON | data
//   JSON: {"__metadata__": {"key": "text", ...}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
//   ...}
//
// Offsets count from the start of the data. The reader trusts nothing: a file that it accepts is consistent in every
// number, and a hostile one costs time linear in its length (times a logarithm for the names) and memory for the
// records that are really there. What is refused and why: docs/checkpoints.md.
#ifndef BLOCQ_SAFETENSORS_READER_HPP
#define BLOCQ_SAFETENSORS_READER_HPP

#include <blocq/core/bits.hpp>
#include <blocq/core/error.hpp>
#include <blocq/file/storage.hpp>
#include <blocq/safetensors/json.hpp>
#include <blocq/safetensors/tensor.hpp>

namespace blocq::safetensors::inline v0 {

struct parse_options {
  // Do not ask for the tensors' data: `file` may end anywhere behind the header, and no tensor has data.
  bool header_only = false;
};

inline constexpr std::uint64_t max_header = 100'000'000;  // bytes of JSON

}  // namespace blocq::safetensors::inline v0

namespace blocq::safetensors::inline v0::inline BLOCQ_ISA {

struct metadata_entry {
  std::string_view key, text;
};

namespace detail {
using blocq::detail::growing_array;
using blocq::detail::is_name;
using blocq::detail::name_index;
using blocq::detail::sort_positions;

class parser;
}  // namespace detail

class reader {
 public:
  reader() = default;  // of a file without anything; parse gives a useful one

  // `file` is not copied and must outlive the reader. The sentence of an error names the tensor, the key or the byte.
  //   errc::bad_magic      no length in front, or no object behind it: not a safetensors file
  //   errc::truncated      the bytes end before what they announce
  //   errc::too_large      a header beyond max_header, a product of more than 63 bits
  //   errc::bad_value      no JSON, or a field that is missing, unknown or not what it should be
  //   errc::bad_type       a dtype that is not known
  //   errc::bad_name       a name that is empty or contains NUL
  //   errc::duplicate      a name or a field that occurs twice
  //   errc::ragged         elements that fill no whole bytes
  //   errc::size_mismatch  data that are not as long as the shape says, or longer than all tensors
  //   errc::bad_alignment  data that do not follow those of another tensor: a hole or an overlap
  //   one errc::no_memory
  static result<reader> parse(std::span<const std::byte> file, parse_options options = {}) noexcept;

  // In the order of their data; tensors without any in that of the header.
  std::span<const tensor_info> tensors() const noexcept { return {tensors_.data(), tensors_.size()}; }
  // The texts of "__metadata__", in their order.
  std::span<const metadata_entry> metadata() const noexcept { return {metadata_.data(), metadata_.size()}; }

  // Null if there is none. In O(log n).
  const tensor_info* find(std::string_view name) const noexcept {
    const std::size_t i = names_.find(name, [this](std::size_t t) { return tensors_[t].name; });
    return i < tensors_.size() ? &tensors_[i] : nullptr;
  }

  // From the start of the file, and the length of the data.
  std::uint64_t data_offset() const noexcept { return data_offset_; }
  std::uint64_t data_size() const noexcept { return data_size_; }

 private:
  friend class detail::parser;

  detail::growing_array<tensor_info> tensors_;
  detail::growing_array<metadata_entry> metadata_;
  detail::growing_array<std::uint64_t> dims_;  // of all tensors
  detail::growing_array<char> text_;           // names and texts that have escapes in the file
  detail::name_index names_;
  std::uint64_t data_offset_ = 0;
  std::uint64_t data_size_ = 0;
};

namespace detail {

// a * b, at most INT64_MAX: the limit of every size in a file.
inline bool multiply(std::uint64_t a, std::uint64_t b, std::uint64_t& product) noexcept {
  if (b != 0 && a > static_cast<std::uint64_t>(INT64_MAX) / b) return false;
  product = a * b;
  return true;
}

class parser {
 public:
  parser(std::span<const std::byte> file, parse_options options) noexcept : file_(file), options_(options) {}

  result<reader> run() noexcept {
    if (header() && records() && names() && data()) return std::move(to_);
    return error_;
  }

 private:
  // Always false: "<parts> (tensor 'name')".
  template <class... Parts>
  BLOCQ_NOINLINE bool fail(errc code, Parts... parts) noexcept {
    error_ = error(code);
    static_cast<void>((error_ << ... << parts));
    if (!item_.empty()) {
      error_ << " (tensor ";
      error_.quote(item_.data(), item_.size()) << ')';
    }
    return false;
  }
  bool no_memory() noexcept { return fail(errc::no_memory, "there is not enough memory"); }

  bool header() noexcept {
    constexpr const char* foreign = "this is not a safetensors file";
    if (file_.size() < 8) return fail(errc::bad_magic, foreign, ": it has ", file_.size(), " bytes");
    std::uint64_t n = 0;
    for (unsigned i = 0; i < 8; ++i) n |= static_cast<std::uint64_t>(file_[i]) << (8 * i);
    if (n > max_header) return fail(errc::too_large, foreign, ", or its header has ", n, " bytes");
    if (n > file_.size() - 8)
      return fail(errc::truncated, "the header has ", n, " bytes where ", file_.size() - 8, " remain");
    to_.data_offset_ = 8 + n;
    const std::string_view text(reinterpret_cast<const char*>(file_.data()) + 8, static_cast<std::size_t>(n));
    if (text.empty() || text[0] != '{') return fail(errc::bad_magic, foreign, ": no JSON object follows its length");
    const auto parsed = json::parse(text);
    if (!parsed) {
      error_ = parsed.error();
      return false;
    }
    header_ = *parsed;
    return true;
  }

  // A string as a view that lives as long as file and reader.
  bool take_text(const json& string, std::string_view& text) noexcept {
    if (const auto plain = string.get<std::string_view>()) {
      text = *plain;
      return true;
    }
    // There are no more such texts than the header has bytes: the array never moves.
    if (to_.text_.size() == 0 && !to_.text_.resize(header_.text().size())) return no_memory();
    char* out = to_.text_.data() + text_used_;
    text = {out, string.unescape(out)};
    text_used_ += text.size();
    return true;
  }

  bool records() noexcept {
    bool metadata = false;
    for (const json_member& m : header_) {
      item_ = {};
      std::string_view name;
      if (!take_text(m.key, name)) return false;
      if (name == std::string_view("__metadata__")) {
        if (std::exchange(metadata, true)) return fail(errc::duplicate, "__metadata__ is there twice");
        if (!read_metadata(m.value)) return false;
        continue;
      }
      item_ = name;
      if (!is_name(name)) return fail(errc::bad_name, "a name that is empty or contains NUL");
      tensor_info t{};
      t.name = name;
      if (!read_tensor(m.value, t)) return false;
      if (!to_.tensors_.append(t)) return no_memory();
    }
    item_ = {};
    if (to_.tensors_.size() > 0xffffffffu) return fail(errc::too_large, "more than 4294967295 tensors");
    // Now that they do not move any more.
    std::size_t used = 0;
    for (std::size_t i = 0; i < to_.tensors_.size(); ++i) {
      auto& shape = to_.tensors_[i].shape;
      shape = {to_.dims_.data() + used, shape.size()};
      used += shape.size();
    }
    return true;
  }

  bool read_metadata(const json& object) noexcept {
    if (object.kind() == json_kind::null) return true;
    if (object.kind() != json_kind::object) return fail(errc::bad_value, "__metadata__ is not an object of texts");
    for (const json_member& m : object) {
      metadata_entry entry;
      if (m.value.kind() != json_kind::string) return fail(errc::bad_value, "__metadata__ is not an object of texts");
      if (!take_text(m.key, entry.key) || !take_text(m.value, entry.text)) return false;
      if (!to_.metadata_.append(entry)) return no_memory();
    }
    return true;
  }

  bool read_tensor(const json& record, tensor_info& t) noexcept {
    if (record.kind() != json_kind::object) return fail(errc::bad_value, "the description is not an object");
    json type, shape, offsets;
    for (const json_member& m : record) {
      std::string_view key;
      if (!take_text(m.key, key)) return false;
      json* const field = key == std::string_view("dtype")          ? &type
                          : key == std::string_view("shape")        ? &shape
                          : key == std::string_view("data_offsets") ? &offsets
                                                                    : nullptr;
      if (field == nullptr) return fail(errc::bad_value, "the description has a field that is not known");
      if (*field) return fail(errc::duplicate, "the description has a field twice");
      *field = m.value;
    }
    if (type.kind() != json_kind::string) return fail(errc::bad_value, "the description has no dtype that is a text");
    std::string_view name;
    if (!take_text(type, name)) return false;
    const auto known = find_dtype(name);
    if (!known) {
      error e(errc::bad_type);
      e << "the dtype ";
      e.quote(name.data(), name.size()) << " is not known (tensor ";
      error_ = e.quote(item_.data(), item_.size()) << ')';
      return false;
    }
    t.type = *known;

    if (shape.kind() != json_kind::array) return fail(errc::bad_value, "the description has no shape that is an array");
    std::uint64_t bits = 1;
    std::size_t n_dims = 0;
    for (const json_member& m : shape) {
      const auto d = m.value.get<std::uint64_t>();
      if (!d) return fail(errc::bad_value, "a dimension is not an integer from 0 on");
      if (!multiply(bits, *d, bits))
        return fail(errc::too_large, "the product of the dimensions has more than 63 bits");
      if (!to_.dims_.append(*d)) return no_memory();
      ++n_dims;
    }
    t.shape = {static_cast<const std::uint64_t*>(nullptr), n_dims};
    if (!multiply(bits, bits_of(t.type), bits)) return fail(errc::too_large, "the size has more than 63 bits");
    if (bits % 8 != 0) return fail(errc::ragged, "elements of ", bits_of(t.type), " bits that fill no whole bytes");
    t.bytes = bits / 8;

    std::uint64_t range[2] = {};
    std::size_t n = 0;
    for (const json_member& m : offsets) {
      const auto x = m.value.get<std::uint64_t>();
      if (!x || n == 2) return fail(errc::bad_value, "data_offsets are not two integers");
      range[n++] = *x;
    }
    if (offsets.kind() != json_kind::array || n != 2) return fail(errc::bad_value, "data_offsets are not two integers");
    if (range[1] < range[0] || range[1] - range[0] != t.bytes)
      return fail(errc::size_mismatch, "data from byte ", range[0], " to ", range[1], " where the shape makes ",
                  t.bytes);
    t.offset = range[0];
    return true;
  }

  bool names() noexcept {
    growing_array<std::uint32_t> order;
    growing_array<tensor_info> sorted;
    const auto not_after = [this](std::size_t a, std::size_t b) {
      const tensor_info &x = to_.tensors_[a], &y = to_.tensors_[b];
      return x.offset != y.offset ? x.offset < y.offset : x.bytes == 0 || y.bytes != 0;
    };
    if (!sort_positions(to_.tensors_.size(), order, not_after)) return no_memory();
    for (std::size_t i = 0; i < order.size(); ++i)
      if (!sorted.append(to_.tensors_[order[i]])) return no_memory();
    to_.tensors_ = std::move(sorted);
    const auto name = [this](std::size_t t) { return to_.tensors_[t].name; };
    switch (to_.names_.build(to_.tensors_.size(), name)) {
      case name_index::outcome::unique: return true;
      case name_index::outcome::no_memory: return no_memory();
      case name_index::outcome::duplicate: break;
    }
    item_ = name(to_.names_.duplicate());
    return fail(errc::duplicate, "the same name twice");
  }

  bool data() noexcept {
    const std::uint64_t present = file_.size() - to_.data_offset_;
    for (std::size_t i = 0; i < to_.tensors_.size(); ++i) {
      tensor_info& t = to_.tensors_[i];
      item_ = t.name;
      if (t.offset != to_.data_size_)
        return fail(errc::bad_alignment, "data from byte ", t.offset, " where ", to_.data_size_,
                    " follows the previous tensor");
      to_.data_size_ += t.bytes;
      if (to_.data_size_ > static_cast<std::uint64_t>(INT64_MAX))
        return fail(errc::too_large, "the size of the data has more than 63 bits");
      if (options_.header_only) continue;
      if (to_.data_size_ > present)
        return fail(errc::truncated, "the file ends at byte ", file_.size(), " inside the data");
      t.data = file_.subspan(static_cast<std::size_t>(to_.data_offset_ + t.offset), static_cast<std::size_t>(t.bytes));
    }
    item_ = {};
    return options_.header_only || to_.data_size_ == present ||
           fail(errc::size_mismatch, "the tensors have ", to_.data_size_, " bytes where ", present,
                " follow the header");
  }

  reader to_;
  std::span<const std::byte> file_;
  parse_options options_;
  json header_;
  std::size_t text_used_ = 0;
  std::string_view item_ = {};  // the tensor that is being read, for messages
  error error_{errc::ok};
};

}  // namespace detail

inline result<reader> reader::parse(std::span<const std::byte> file, parse_options options) noexcept {
  return detail::parser(file, options).run();
}

}  // namespace blocq::safetensors::inline v0::inline BLOCQ_ISA

#endif
