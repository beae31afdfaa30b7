// A GGUF file, version 2 or 3, read from bytes in memory (a mapping or a buffer) without copying any of them. The
// reader trusts nothing: a file that it accepts is consistent in every number, and a hostile one costs time linear in
// its length (times a logarithm for the names) and memory for the records that are really there, never for a count.
// What is refused and why: docs/gguf.md.
#ifndef BLOCQ_GGUF_READER_HPP
#define BLOCQ_GGUF_READER_HPP

#include <blocq/core/error.hpp>
#include <blocq/file/storage.hpp>
#include <blocq/gguf/metadata.hpp>
#include <blocq/gguf/tensor.hpp>

namespace blocq::gguf::inline v0 {

struct parse_options {
  // Do not ask for the tensors' data: `file` may end anywhere in the data section, and no tensor has data.
  bool header_only = false;
  // Accept a file in big-endian byte order: metadata and sizes are decoded, but no tensor has data, since its blocks
  // are not the wire structs of this library. Without it such a file is errc::bad_endian.
  bool allow_big_endian = false;
  // Accept tensors of types that are not known here: other programs', or such as GGUF removed. Their data are what lies
  // between their offset and that of the next tensor, of the last one all that follows. Without it such a file is
  // errc::bad_type.
  bool unknown_types = false;
};

inline constexpr std::uint64_t default_alignment = 32;
inline constexpr std::size_t max_key = 65535;                       // bytes
inline constexpr std::uint64_t max_array = std::uint64_t{1} << 30;  // elements of an array, bytes of a string

}  // namespace blocq::gguf::inline v0

namespace blocq::gguf::inline v0::inline BLOCQ_ISA {

namespace detail {
using blocq::detail::compare_names;
using blocq::detail::growing_array;
using blocq::detail::is_name;
using blocq::detail::name_index;

class parser;
}  // namespace detail

class reader {
 public:
  reader() = default;  // of a file without anything; parse gives a useful one

  // `file` is not copied and must outlive the reader. The sentence of an error names the key, the tensor or the offset.
  //   errc::bad_magic, bad_version, bad_endian  not a file that can be read here
  //   errc::truncated      the bytes end before what they announce
  //   errc::too_large      a count or a product that cannot be
  //   errc::bad_type       a type of value or tensor that is not known, or an array of arrays
  //   errc::bad_value      a bool that is neither 0 nor 1, a dimension that is zero, more than four of them
  //   errc::bad_name       a key or name that is empty, too long, not UTF-8 or contains NUL
  //   errc::duplicate      a key or name that occurs twice
  //   errc::ragged         a row that is not a whole number of blocks
  //   errc::bad_alignment  an alignment that is no power of two from 8 on, or a tensor that does not follow the last
  //   one errc::no_memory
  static result<reader> parse(std::span<const std::byte> file, parse_options options = {}) noexcept;

  std::uint32_t version() const noexcept { return version_; }
  bool big_endian() const noexcept { return big_endian_; }
  std::uint64_t alignment() const noexcept { return alignment_; }

  // In the order of the file.
  std::span<const key_value> metadata() const noexcept { return {metadata_.data(), metadata_.size()}; }
  std::span<const tensor_info> tensors() const noexcept { return {tensors_.data(), tensors_.size()}; }

  // Null if there is none. In O(log n).
  const value* find(std::string_view key) const noexcept {
    const std::size_t i = keys_.find(key, [this](std::size_t k) { return metadata_[k].key; });
    return i < metadata_.size() ? &metadata_[i].value : nullptr;
  }
  const tensor_info* find_tensor(std::string_view name) const noexcept {
    const std::size_t i = names_.find(name, [this](std::size_t t) { return tensors_[t].name; });
    return i < tensors_.size() ? &tensors_[i] : nullptr;
  }
  // The value of a key as value::get gives it; nothing if the key is not there or not of that kind.
  template <class T>
  maybe<T> get(std::string_view key) const noexcept {
    const value* v = find(key);
    return v != nullptr ? v->get<T>() : maybe<T>{};
  }

  // From the start of the file. Without tensors the data section is empty and starts where the metadata end.
  std::uint64_t data_offset() const noexcept { return data_offset_; }
  // Length of the data section, the padding of the last tensor included where it is there.
  std::uint64_t data_size() const noexcept { return data_size_; }
  // Everything that was parsed.
  std::span<const std::byte> file() const noexcept { return file_; }
  // What follows the data section.
  std::span<const std::byte> trailing() const noexcept {
    const std::uint64_t end = data_offset_ + data_size_;
    return end < file_.size() ? file_.subspan(static_cast<std::size_t>(end)) : std::span<const std::byte>{};
  }
  // A tensor's bytes as they lie in the file, whatever its byte order; empty if the file was parsed without data.
  std::span<const std::byte> raw(const tensor_info& tensor) const noexcept {
    if (header_only_) return {};
    return file_.subspan(static_cast<std::size_t>(data_offset_ + tensor.offset),
                         static_cast<std::size_t>(tensor.bytes()));
  }

 private:
  friend class detail::parser;

  std::span<const std::byte> file_;
  detail::growing_array<key_value> metadata_;
  detail::growing_array<tensor_info> tensors_;
  detail::name_index keys_;
  detail::name_index names_;
  std::uint64_t alignment_ = default_alignment;
  std::uint64_t data_offset_ = 0;
  std::uint64_t data_size_ = 0;
  std::uint32_t version_ = 0;
  bool big_endian_ = false;
  bool header_only_ = false;
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
  // With a plan the bytes are a header that is still to be written, without the padding that follows it.
  struct plan {
    std::uint64_t last_bytes;  // of the last tensor's data, if its type is not known
  };
  parser(std::span<const std::byte> file, parse_options options, maybe<plan> planned = {}) noexcept
      : options_(options), planned_(planned) {
    to_.file_ = file;
    to_.header_only_ = options.header_only;
  }

  result<reader> run() noexcept {
    if (header() && metadata() && tensors() && data()) return std::move(to_);
    return error_;
  }

 private:
  // What is being read, for messages.
  struct {
    const char* kind = nullptr;
    std::uint64_t number = 0;
    std::string_view name = {};
  } item_;

  std::uint64_t left() const noexcept { return to_.file_.size() - at_; }

  static BLOCQ_NOINLINE void put(error& e, const char* text) noexcept { e << text; }
  static BLOCQ_NOINLINE void put(error& e, std::uint64_t number) noexcept { e << number; }

  // Always false: "<parts> (key 'name', byte 17)".
  template <class... Parts>
  BLOCQ_NOINLINE bool fail(errc code, Parts... parts) noexcept {
    error_ = error(code);
    (put(error_, parts), ...);
    put(error_, " (");
    if (item_.kind != nullptr) {
      put(error_, item_.kind);
      if (item_.name.empty()) {
        put(error_, "number ");
        put(error_, item_.number);
      } else {
        error_.quote(item_.name.data(), item_.name.size());
      }
      put(error_, ", ");
    }
    put(error_, "byte ");
    put(error_, std::uint64_t{at_});
    put(error_, ")");
    return false;
  }

  bool need(std::uint64_t bytes, const char* what) noexcept {
    return bytes <= left() || fail(errc::truncated, what, " needs ", bytes, " bytes where ", left(), " remain");
  }

  template <class U>
  bool read(U& x, const char* what) noexcept {
    if (!need(sizeof(U), what)) return false;
    x = static_cast<U>(impl::load_uint(here(), sizeof(U), to_.big_endian_));
    at_ += sizeof(U);
    return true;
  }

  bool read_string(std::string_view& s, const char* what) noexcept {
    std::uint64_t length = 0;
    if (!read(length, what)) return false;
    if (length > max_array) return fail(errc::too_large, what, " announces ", length, " bytes");
    if (!need(length, what)) return false;
    s = {reinterpret_cast<const char*>(here()), static_cast<std::size_t>(length)};
    at_ += s.size();
    return true;
  }

  bool read_name(std::string_view& s, std::size_t longest) noexcept {
    if (!read_string(s, "a name")) return false;
    item_.name = s;
    if (!is_name(s)) return fail(errc::bad_name, s.empty() ? "an empty name" : "a name with NUL or invalid UTF-8");
    return s.size() <= longest ||
           fail(errc::bad_name, "a name of ", std::uint64_t{s.size()}, " bytes, more than ", std::uint64_t{longest});
  }

  bool read_type(value_type& type) noexcept {
    std::uint32_t id = 0;
    if (!read(id, "a value type")) return false;
    type = static_cast<value_type>(id);
    return id <= static_cast<std::uint32_t>(value_type::float64) ||
           fail(errc::bad_type, "the value type ", std::uint64_t{id}, " is not known");
  }

  const std::byte* here() const noexcept { return to_.file_.data() + at_; }

  bool header() noexcept {
    std::uint32_t magic = 0;
    if (!read(magic, "the magic number")) return false;
    if (magic != 0x46554747) return fail(errc::bad_magic, "this is not a GGUF file");
    if (!read(to_.version_, "the version")) return false;
    if (to_.version_ != 0 && (to_.version_ & 0xffff) == 0) {
      if (!options_.allow_big_endian)
        return fail(errc::bad_endian, "the file is big-endian; only its metadata could be read, and on request");
      to_.big_endian_ = true;
      to_.version_ = static_cast<std::uint32_t>(impl::load_uint(here() - 4, 4, true));
    }
    if (to_.version_ != 2 && to_.version_ != 3)
      return fail(errc::bad_version, "GGUF version ", std::uint64_t{to_.version_}, " is not supported, 2 and 3 are");
    if (!read(n_tensors_, "the number of tensors") || !read(n_keys_, "the number of keys")) return false;
    // A key takes at least 14 bytes, a tensor 25: length, one character, type, one byte; and dimensions, offset.
    if (n_keys_ > left() / 14 || n_tensors_ > (left() - n_keys_ * 14) / 25)
      return fail(errc::truncated, "the header announces ", n_keys_, " keys and ", n_tensors_, " tensors where ",
                  left(), " bytes remain");
    return (n_keys_ | n_tensors_) <= 0xffffffffu ||
           fail(errc::too_large, "more than ", std::uint64_t{0xffffffffu}, " keys or tensors");
  }

  bool metadata() noexcept {
    for (std::uint64_t i = 0; i < n_keys_; ++i) {
      item_ = {"key ", i, {}};
      key_value kv{};
      if (!read_name(kv.key, max_key) || !read_value(kv.value)) return false;
      if (kv.key == std::string_view("general.alignment") && !set_alignment(kv.value)) return false;
      if (!to_.metadata_.append(kv)) return fail(errc::no_memory, "there is not enough memory");
    }
    item_ = {};
    return unique(to_.keys_, to_.metadata_, [this](std::size_t k) { return to_.metadata_[k].key; });
  }

  bool read_value(value& v) noexcept {
    value_type type{};
    if (!read_type(type)) return false;
    value_type element = type;
    std::uint64_t count = 1;
    if (type == value_type::array) {
      if (!read_type(element)) return false;
      if (element == value_type::array) return fail(errc::bad_type, "an array of arrays");
      if (!read(count, "an array")) return false;
      if (count > max_array) return fail(errc::too_large, "an array announces ", count, " elements");
    }
    const std::byte* start = here();
    if (element == value_type::string) {
      if (!need(8 * count, type == value_type::array ? "an array of strings" : "a string")) return false;
      std::string_view ignored;
      for (std::uint64_t i = 0; i < count; ++i)
        if (!read_string(ignored, "a string")) return false;
    } else {
      const std::uint64_t bytes = count * size_of(element);
      if (!need(bytes, type == value_type::array ? "an array" : "a value")) return false;
      if (element == value_type::boolean)
        for (std::uint64_t i = 0; i < count; ++i, ++at_)
          if (const auto byte = std::to_integer<unsigned>(*here()); byte > 1)
            return fail(errc::bad_value, "a bool that is ", std::uint64_t{byte});
      at_ = static_cast<std::size_t>(start - to_.file_.data()) + static_cast<std::size_t>(bytes);
    }
    v = value(type, element, count, start, static_cast<std::size_t>(here() - start), to_.big_endian_);
    return true;
  }

  bool set_alignment(const value& v) noexcept {
    if (v.type() != value_type::uint32)
      return fail(errc::bad_alignment, "the alignment is not a uint32 but ", name_of(v.type()));
    to_.alignment_ = *v.get<std::uint32_t>();
    return (to_.alignment_ >= 8 && (to_.alignment_ & (to_.alignment_ - 1)) == 0) ||
           fail(errc::bad_alignment, "the alignment ", to_.alignment_, " is not a power of two from 8 on");
  }

  bool tensors() noexcept {
    for (std::uint64_t i = 0; i < n_tensors_; ++i) {
      item_ = {"tensor ", i, {}};
      tensor_info t{};
      if (!read_tensor(t)) return false;
      if (!to_.tensors_.append(t)) return fail(errc::no_memory, "there is not enough memory");
    }
    item_ = {};
    return unique(to_.names_, to_.tensors_, [this](std::size_t k) { return to_.tensors_[k].name; });
  }

  bool read_tensor(tensor_info& t) noexcept {
    if (!read_name(t.name, max_tensor_name) || !read(t.n_dims, "the number of dimensions")) return false;
    if (t.n_dims > max_dims)
      return fail(errc::bad_value, std::uint64_t{t.n_dims}, " dimensions, more than ", std::uint64_t{max_dims});
    for (std::uint32_t d = 0; d < t.n_dims; ++d)
      if (!read(t.dims[d], "a dimension")) return false;
    std::uint32_t id = 0;
    if (!read(id, "a tensor type") || !read(t.offset, "an offset")) return false;
    t.type = static_cast<int>(id);

    const type_info* type = find_type(t.type);
    if (type == nullptr && !options_.unknown_types)
      return fail(errc::bad_type, "the tensor type ", std::uint64_t{id}, " is not known");
    std::uint64_t elements = 1;
    for (std::uint32_t d = 0; d < t.n_dims; ++d) {
      if (t.dims[d] == 0) return fail(errc::bad_value, "dimension ", std::uint64_t{d}, " is zero");
      if (!multiply(elements, t.dims[d], elements))
        return fail(errc::too_large, "the product of the dimensions has more than 63 bits");
    }
    if (type != nullptr && t.dims[0] % type->block != 0)
      return fail(errc::ragged, "rows of ", t.dims[0], " elements are no whole blocks of ", type->name);
    if (!end_unknown(t.offset)) return false;
    std::uint64_t bytes = 0;
    if (type != nullptr && (!multiply(elements / type->block, type->bytes, bytes) || !pad(bytes) || !add(bytes)))
      return fail(errc::too_large, "the size in bytes has more than 63 bits");
    if (t.offset != to_.data_size_ - bytes)
      return fail(errc::bad_alignment, "offset ", t.offset, " where ", to_.data_size_ - bytes,
                  " follows the previous tensor");
    return true;
  }

  // If the last tensor so far is of an unknown type, its data end where the next one's begin.
  bool end_unknown(std::uint64_t next) noexcept {
    if (to_.tensors_.size() == 0) return true;
    tensor_info& last = to_.tensors_[to_.tensors_.size() - 1];
    if (last.is_known()) return true;
    if (next <= last.offset || next % to_.alignment_ != 0 || next > static_cast<std::uint64_t>(INT64_MAX))
      return fail(errc::bad_alignment, "offset ", next, " after a tensor at ", last.offset);
    last.unknown_bytes = next - last.offset;
    to_.data_size_ = next;
    return true;
  }

  bool pad(std::uint64_t& bytes) const noexcept {
    bytes = (bytes + to_.alignment_ - 1) & ~(to_.alignment_ - 1);
    return bytes <= static_cast<std::uint64_t>(INT64_MAX);
  }
  bool add(std::uint64_t bytes) noexcept {
    if (bytes > static_cast<std::uint64_t>(INT64_MAX) - to_.data_size_) return false;
    to_.data_size_ += bytes;
    return true;
  }

  bool data() noexcept {
    to_.data_offset_ = at_;
    if (n_tensors_ == 0) return true;
    tensor_info& last = to_.tensors_[to_.tensors_.size() - 1];
    if (planned_ && !last.is_known()) {
      last.unknown_bytes = planned_->last_bytes;
      std::uint64_t bytes = last.unknown_bytes;
      if (!pad(bytes) || !add(bytes)) return fail(errc::too_large, "the size in bytes has more than 63 bits");
    }
    if (!pad(to_.data_offset_) || to_.data_size_ > static_cast<std::uint64_t>(INT64_MAX) - to_.data_offset_)
      return fail(errc::too_large, "the size of the file has more than 63 bits");
    if (planned_) return true;
    if (!need(to_.data_offset_ - at_, "the padding before the data")) return false;
    at_ = static_cast<std::size_t>(to_.data_offset_);
    if (options_.header_only) return true;
    const std::uint64_t present = left();
    if (!last.is_known() && last.offset < present) {
      last.unknown_bytes = present - last.offset;
      to_.data_size_ = present;
    }
    for (std::size_t i = 0; i < to_.tensors_.size(); ++i) {
      tensor_info& t = to_.tensors_[i];
      if (t.offset >= present || t.bytes() > present - t.offset) {
        item_ = {"tensor ", i, t.name};
        return fail(errc::truncated, "the file ends at byte ", std::uint64_t{to_.file_.size()}, " inside the data");
      }
      if (!to_.big_endian_) t.data = to_.raw(t);
    }
    if (to_.data_size_ > present) to_.data_size_ = present;  // the last tensor's padding is not there
    return true;
  }

  template <class Name>
  bool unique(name_index& index, const auto& items, Name&& name) noexcept {
    switch (index.build(items.size(), name)) {
      case name_index::outcome::unique: return true;
      case name_index::outcome::no_memory: return fail(errc::no_memory, "there is not enough memory");
      case name_index::outcome::duplicate: break;
    }
    item_.kind = &index == &to_.keys_ ? "key " : "tensor ";
    item_.name = name(index.duplicate());
    return fail(errc::duplicate, "the same name twice");
  }

  reader to_;
  parse_options options_;
  maybe<plan> planned_;
  std::size_t at_ = 0;  // <= file_.size()
  std::uint64_t n_tensors_ = 0;
  std::uint64_t n_keys_ = 0;
  error error_{errc::ok};
};

}  // namespace detail

inline result<reader> reader::parse(std::span<const std::byte> file, parse_options options) noexcept {
  return detail::parser(file, options).run();
}

}  // namespace blocq::gguf::inline v0::inline BLOCQ_ISA

#endif
