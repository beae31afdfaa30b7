// A GGUF file, written as a stream: metadata and tensors are declared first, then the header goes out with every
// offset known, then the tensors' bytes in order and in pieces of any size. Nothing but the header is held in memory.
//
// The writer checks a header by having the reader's parser read it, so it refuses what the reader refuses.
#ifndef BLOCQ_GGUF_WRITER_HPP
#define BLOCQ_GGUF_WRITER_HPP

#include <blocq/file/sink.hpp>
#include <blocq/gguf/reader.hpp>

namespace blocq::gguf::inline v0 {

struct write_options {
  std::uint32_t version = 3;
  bool big_endian = false;  // of the header; tensor data are written as they are given
};

}  // namespace blocq::gguf::inline v0

namespace blocq::gguf::inline v0::inline BLOCQ_ISA {

using blocq::sink_ref;

namespace detail {

// Bytes in the making, in either byte order. Running out of memory is remembered.
struct byte_buffer {
  growing_array<std::byte> bytes = {};
  bool big_endian = false;
  bool complete = true;

  void put(const void* data, std::size_t size) noexcept {
    complete = bytes.append(static_cast<const std::byte*>(data), size) && complete;
  }
  void put(std::string_view s) noexcept {
    put(std::uint64_t{s.size()});
    put(s.data(), s.size());
  }
  template <class T>
  requires std::is_arithmetic_v<T>
  void put(T x) noexcept {
    static_assert(sizeof(T) <= 8, "GGUF has no type of this size");
    std::byte image[sizeof(T)];
    store(image, x);
    put(image, sizeof image);
  }
  // Replaces what was put at this position.
  template <class U>
  void patch(std::size_t at, U x) noexcept {
    if (at + sizeof x <= bytes.size()) store(bytes.data() + at, x);
  }

 private:
  template <class T>
  void store(std::byte* to, T x) const noexcept {
    std::uint64_t bits = 0;
    if constexpr (std::is_floating_point_v<T>)
      bits = __builtin_bit_cast(std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>, x);
    else
      bits = static_cast<std::uint64_t>(x);
    for (std::size_t i = 0; i < sizeof(T); ++i)
      to[big_endian ? sizeof(T) - 1 - i : i] = static_cast<std::byte>(bits >> (8 * i));
  }
};

template <class T>
consteval value_type value_type_of() {
  if (std::is_same_v<T, bool>) return value_type::boolean;
  if (std::is_floating_point_v<T>) return sizeof(T) == 4 ? value_type::float32 : value_type::float64;
  if (!std::is_integral_v<T>) return value_type::string;
  const bool negatives = std::is_signed_v<T>;
  switch (sizeof(T)) {
    case 1: return negatives ? value_type::int8 : value_type::uint8;
    case 2: return negatives ? value_type::int16 : value_type::uint16;
    case 4: return negatives ? value_type::int32 : value_type::uint32;
    default: return negatives ? value_type::int64 : value_type::uint64;
  }
}

}  // namespace detail

class writer {
 public:
  explicit writer(write_options options = {}) noexcept {
    metadata_.big_endian = tensors_.big_endian = options.big_endian;
    metadata_.put("GGUF", 4);
    metadata_.put(options.version);
    metadata_.put(std::uint64_t{0});  // the number of tensors, at byte 8, and of keys, at byte 16: see plan
    metadata_.put(std::uint64_t{0});
    error_ << "the header was not written yet";
  }

  // Declarations, in the order of the file. Everything is copied. What is wrong with one is reported by plan.

  // An arithmetic type gets the GGUF type of its width; anything that converts to std::string_view is a string. The
  // key "general.alignment" (a std::uint32_t) sets the alignment of the file, which is 32 without it.
  template <class T>
  writer& add(std::string_view key, const T& x) noexcept {
    put_key(key, detail::value_type_of<T>());
    if constexpr (std::is_arithmetic_v<T>)
      metadata_.put(x);
    else
      metadata_.put(std::string_view(x));
    return *this;
  }
  // T: an arithmetic type or std::string_view.
  template <class T>
  writer& add_array(std::string_view key, std::span<const T> elements) noexcept {
    static_assert(std::is_arithmetic_v<T> || std::is_same_v<T, std::string_view>,
                  "add_array(key, elements): a span of an arithmetic type or of std::string_view");
    put_key(key, value_type::array);
    metadata_.put(static_cast<std::uint32_t>(detail::value_type_of<T>()));
    metadata_.put(std::uint64_t{elements.size()});
    for (const T& x : elements) metadata_.put(x);
    return *this;
  }
  // A value of another file, bit for bit, whatever its byte order.
  writer& add(std::string_view key, const value& x) noexcept;

  // dims[0] is the length of a row. `bytes` are those of the data where the type is not known here (see find_type);
  // without them such a type is refused.
  writer& add_tensor(std::string_view name, int type, std::span<const std::uint64_t> dims,
                     std::uint64_t bytes = 0) noexcept;

  // Checks the declarations and lays the file out; the errors are those of reader::parse. More may be declared after
  // it, up to begin.
  result<void> plan() noexcept;

  // The layout, after plan. Names are valid until the next plan; no tensor has data.
  std::span<const tensor_info> tensors() const noexcept { return layout_.tensors(); }
  const tensor_info* find_tensor(std::string_view name) const noexcept { return layout_.find_tensor(name); }
  std::uint64_t alignment() const noexcept { return layout_.alignment(); }
  std::uint64_t data_offset() const noexcept { return layout_.data_offset(); }
  std::uint64_t file_size() const noexcept { return layout_.data_offset() + layout_.data_size(); }

  // Plans and writes the header. The sink has to stay until finish.
  result<void> begin(sink_ref sink) noexcept;

  // The next bytes of tensors()[tensor]: one tensor after the other, each whole; padding is added by itself.
  // errc::size_mismatch for too many bytes or when it is another tensor's turn, errc::io if the sink refused. After
  // an error nothing is written any more and the error is repeated.
  result<void> write(std::size_t tensor, std::span<const std::byte> bytes) noexcept;

  // To be called last: errc::size_mismatch if the data of a tensor are not complete.
  result<void> finish() noexcept;

  // Writes `source` again, byte for byte: with its version, byte order, order of keys and alignment, and with what
  // lies in its padding and after its data. errc::missing if it was parsed without data.
  static result<void> copy(const reader& source, sink_ref sink) noexcept;

 private:
  void put_key(std::string_view key, value_type type) noexcept {
    ++n_keys_;
    metadata_.put(key);
    metadata_.put(static_cast<std::uint32_t>(type));
  }
  result<void> parse(std::span<const std::byte> header) noexcept;

  result<void> fail(errc code, const char* reason, std::string_view tensor) noexcept {
    error_ = error(code);
    error_ << reason;
    if (!tensor.empty()) error_.quote(tensor.data(), tensor.size());
    return error_;
  }
  result<void> append(std::span<const std::byte> bytes) noexcept {
    position_ += bytes.size();
    if (bytes.empty() || sink_(bytes.data(), bytes.size())) return {};
    error_ = error(errc::io);
    error_ << "writing failed before byte " << position_;
    return error_;
  }
  result<void> emit_padding(std::uint64_t size) noexcept;

  detail::byte_buffer metadata_;  // from the magic number on
  detail::byte_buffer tensors_;   // records, with offsets that plan fills in
  struct tensor_offset {
    std::size_t at;       // where the offset stands in tensors_
    std::uint64_t bytes;  // of the tensor's data
  };
  detail::growing_array<tensor_offset> offsets_;
  std::uint64_t n_keys_ = 0;
  bool sizes_known_ = true;  // of all tensors

  detail::growing_array<std::byte> header_;
  reader layout_;  // of header_

  sink_ref sink_;
  error error_{errc::missing};                // until begin
  std::size_t current_ = 0;                   // the tensor whose turn it is
  std::uint64_t written_ = 0;                 // of its bytes
  std::uint64_t position_ = 0;                // in the file
  std::span<const std::byte> original_ = {};  // the file that padding is copied from
};

inline writer& writer::add(std::string_view key, const value& x) noexcept {
  put_key(key, x.type());
  if (x.is_array()) {
    metadata_.put(static_cast<std::uint32_t>(x.element_type()));
    metadata_.put(x.size());
  }
  if (x.big_endian() == metadata_.big_endian) {
    metadata_.put(x.bytes().data(), x.bytes().size());
    return *this;
  }
  for (const value element : x) {
    const auto bits = [&] { return impl::load_uint(element.bytes().data(), element.bytes().size(), x.big_endian()); };
    switch (size_of(element.type())) {
      case 1: metadata_.put(static_cast<std::uint8_t>(bits())); break;
      case 2: metadata_.put(static_cast<std::uint16_t>(bits())); break;
      case 4: metadata_.put(static_cast<std::uint32_t>(bits())); break;
      case 8: metadata_.put(bits()); break;
      default: metadata_.put(*element.get<std::string_view>());
    }
  }
  return *this;
}

inline writer& writer::add_tensor(std::string_view name, int type, std::span<const std::uint64_t> dims,
                                  std::uint64_t bytes) noexcept {
  // Wraps where the parser is going to refuse the product.
  std::uint64_t elements = 1;
  for (const std::uint64_t d : dims) elements *= d;
  if (const type_info* info = find_type(type))
    bytes = elements / info->block * info->bytes;
  else
    sizes_known_ = sizes_known_ && bytes != 0;

  tensors_.put(name);
  tensors_.put(static_cast<std::uint32_t>(dims.size()));
  for (const std::uint64_t d : dims) tensors_.put(d);
  tensors_.put(static_cast<std::uint32_t>(type));
  tensors_.complete = offsets_.append({tensors_.bytes.size(), bytes}) && tensors_.complete;
  tensors_.put(std::uint64_t{0});
  return *this;
}

inline result<void> writer::parse(std::span<const std::byte> header) noexcept {
  const parse_options options{
      .header_only = true, .allow_big_endian = metadata_.big_endian, .unknown_types = sizes_known_};
  const std::uint64_t last_bytes = offsets_.size() != 0 ? offsets_[offsets_.size() - 1].bytes : 0;
  result<reader> parsed = detail::parser(header, options, detail::parser::plan{last_bytes}).run();
  if (!parsed) return parsed.error();
  if (parsed->big_endian() != metadata_.big_endian) return error(errc::bad_version);  // its bytes swapped are one
  layout_ = std::move(*parsed);
  return {};
}

inline result<void> writer::plan() noexcept {
  if (!metadata_.complete || !tensors_.complete) return error(errc::no_memory);
  // The metadata alone first: the offsets depend on their alignment.
  metadata_.patch(8, std::uint64_t{0});
  metadata_.patch(16, n_keys_);
  if (auto parsed = parse({metadata_.bytes.data(), metadata_.bytes.size()}); !parsed) return parsed;
  metadata_.patch(8, std::uint64_t{offsets_.size()});
  std::uint64_t offset = 0;
  for (std::size_t i = 0; i < offsets_.size(); ++i) {
    tensors_.patch(offsets_[i].at, offset);
    offset += (offsets_[i].bytes + alignment() - 1) & ~(alignment() - 1);
  }
  if (!header_.resize(0) || !header_.append(metadata_.bytes.data(), metadata_.bytes.size()) ||
      !header_.append(tensors_.bytes.data(), tensors_.bytes.size()))
    return error(errc::no_memory);
  return parse({header_.data(), header_.size()});
}

inline result<void> writer::begin(sink_ref sink) noexcept {
  if (auto planned = plan(); !planned) return planned;
  sink_ = sink;
  error_ = error(errc::ok);
  current_ = 0;
  written_ = position_ = 0;
  if (auto emitted = append({header_.data(), header_.size()}); !emitted) return emitted;
  return emit_padding(data_offset() - header_.size());
}

inline result<void> writer::write(std::size_t tensor, std::span<const std::byte> bytes) noexcept {
  if (error_.code != errc::ok) return error_;
  if (tensor > current_ && current_ < tensors().size())
    return fail(errc::size_mismatch, "incomplete data of tensor ", tensors()[current_].name);
  if (tensor >= tensors().size()) return fail(errc::size_mismatch, "data of a tensor that was not declared", {});
  const tensor_info& t = tensors()[tensor];
  const std::uint64_t size = offsets_[tensor].bytes;
  if (tensor < current_ || bytes.size() > size - written_)
    return fail(errc::size_mismatch, "too many data for tensor ", t.name);
  if (auto emitted = append(bytes); !emitted) return emitted;
  written_ += bytes.size();
  if (written_ < size) return {};
  ++current_;
  written_ = 0;
  const std::uint64_t next = current_ < tensors().size() ? tensors()[current_].offset : layout_.data_size();
  return emit_padding(data_offset() + next - position_);
}

inline result<void> writer::finish() noexcept {
  if (error_.code == errc::ok && current_ < tensors().size())
    return fail(errc::size_mismatch, "incomplete data of tensor ", tensors()[current_].name);
  return error_;
}

inline result<void> writer::emit_padding(std::uint64_t size) noexcept {
  if (!original_.empty()) {  // which may end without the last padding
    const std::uint64_t left = original_.size() - position_;
    return append(
        original_.subspan(static_cast<std::size_t>(position_), static_cast<std::size_t>(size < left ? size : left)));
  }
  constexpr std::byte zeros[256] = {};
  while (size > 0) {
    const std::size_t piece = size < sizeof zeros ? static_cast<std::size_t>(size) : sizeof zeros;
    if (auto emitted = append({zeros, piece}); !emitted) return emitted;
    size -= piece;
  }
  return {};
}

inline result<void> writer::copy(const reader& source, sink_ref sink) noexcept {
  writer w({.version = source.version(), .big_endian = source.big_endian()});
  for (const key_value& kv : source.metadata()) w.add(kv.key, kv.value);
  const auto tensors = source.tensors();
  for (const tensor_info& t : tensors) w.add_tensor(t.name, t.type, {t.dims, t.n_dims}, t.bytes());
  if (auto planned = w.plan(); !planned) return planned;
  if (!tensors.empty() && source.raw(tensors[0]).empty())
    return w.fail(errc::missing, "the data of the file to copy are not at hand", {});
  w.original_ = source.file();
  if (auto begun = w.begin(sink); !begun) return begun;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (auto written = w.write(i, source.raw(tensors[i])); !written) return written;
  if (auto finished = w.finish(); !finished) return finished;
  return w.append(source.trailing());
}

}  // namespace blocq::gguf::inline v0::inline BLOCQ_ISA

#endif
