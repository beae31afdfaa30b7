// A safetensors file, written as a stream: texts and tensors are declared first, then the header goes out, then the
// tensors' bytes in order and in pieces of any size. Nothing but the header is held in memory.
//
// The writer checks a header by having the reader parse it, so it refuses what the reader refuses.
#ifndef BLOCQ_SAFETENSORS_WRITER_HPP
#define BLOCQ_SAFETENSORS_WRITER_HPP

#include <blocq/file/sink.hpp>
#include <blocq/safetensors/reader.hpp>

namespace blocq::safetensors::inline v0::inline BLOCQ_ISA {

namespace detail {

// JSON in the making. Running out of memory is remembered.
struct json_text {
  growing_array<char> text = {};
  bool complete = true;

  json_text& put(std::string_view s) noexcept {
    complete = text.append(s.data(), s.size()) && complete;
    return *this;
  }
  json_text& put(std::uint64_t x) noexcept {
    char digits[20];
    std::size_t at = sizeof digits;
    do digits[--at] = static_cast<char>('0' + x % 10);
    while ((x /= 10) != 0);
    return put(std::string_view(digits + at, sizeof digits - at));
  }
  json_text& quote(std::string_view s) noexcept {
    put("\"");
    for (const char c : s) {
      const auto byte = static_cast<unsigned char>(c);
      const char escaped[] = {'\\', 'u', '0', '0', static_cast<char>('0' + byte / 16), "0123456789abcdef"[byte % 16]};
      if (byte < 0x20)
        put(std::string_view(escaped, sizeof escaped));
      else if (c == '"' || c == '\\')
        put(std::string_view(c == '"' ? "\\\"" : "\\\\", 2));
      else
        complete = text.append(c) && complete;
    }
    return put("\"");
  }
  std::string_view view() const noexcept { return {text.data(), text.size()}; }
};

}  // namespace detail

class writer {
 public:
  writer() noexcept { error_ << "the header was not written yet"; }

  // Declarations, in the order of the file. Everything is copied. What is wrong with one is reported by plan.

  writer& add_metadata(std::string_view key, std::string_view text) noexcept {
    if (metadata_.text.size() != 0) metadata_.put(",");
    metadata_.quote(key).put(":").quote(text);
    return *this;
  }
  writer& add(std::string_view name, dtype type, std::span<const std::uint64_t> shape) noexcept {
    // Wraps where the parser is going to refuse the product.
    std::uint64_t bytes = bits_of(type);
    if (tensors_.text.size() != 0) tensors_.put(",");
    tensors_.quote(name).put(":{\"dtype\":\"").put(name_of(type)).put("\",\"shape\":[");
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (i != 0) tensors_.put(",");
      tensors_.put(shape[i]);
      bytes *= shape[i];
    }
    bytes /= 8;
    tensors_.put("],\"data_offsets\":[").put(size_).put(",").put(size_ + bytes).put("]}");
    size_ += bytes;
    return *this;
  }

  // Checks the declarations; errors as those of reader::parse. tensors() and file_size() are then those of the file.
  result<void> plan() noexcept {
    if (!metadata_.complete || !tensors_.complete) return error(errc::no_memory);
    detail::json_text out;
    out.put("        {");  // the length
    if (metadata_.text.size() != 0) out.put("\"__metadata__\":{").put(metadata_.view()).put("}");
    if (metadata_.text.size() != 0 && tensors_.text.size() != 0) out.put(",");
    out.put(tensors_.view()).put("}");
    while (out.complete && out.text.size() % 8 != 0) out.put(" ");  // data at a multiple of 8, as the reference does
    if (!out.complete) return error(errc::no_memory);
    for (unsigned i = 0; i < 8; ++i) out.text[i] = static_cast<char>((out.text.size() - 8) >> (8 * i));
    header_ = std::move(out.text);
    auto parsed = reader::parse(std::as_bytes(std::span(header_.data(), header_.size())), {.header_only = true});
    if (!parsed) return parsed.error();
    layout_ = std::move(*parsed);
    return {};
  }
  std::span<const tensor_info> tensors() const noexcept { return layout_.tensors(); }
  std::uint64_t file_size() const noexcept { return layout_.data_offset() + layout_.data_size(); }

  // Plans and writes the header. The sink has to stay until finish.
  result<void> begin(sink_ref sink) noexcept {
    if (auto planned = plan(); !planned) return planned;
    sink_ = sink;
    error_ = error(errc::ok);
    current_ = 0;
    written_ = position_ = 0;
    if (auto emitted = append(std::as_bytes(std::span(header_.data(), header_.size()))); !emitted) return emitted;
    return skip_complete();
  }

  // The next bytes of tensors()[tensor]: one tensor after the other, each whole. errc::size_mismatch for too many bytes
  // or when it is another tensor's turn, errc::io if the sink refused. After an error nothing is written any more and
  // the error is repeated.
  result<void> write(std::size_t tensor, std::span<const std::byte> bytes) noexcept {
    if (error_.code != errc::ok || (bytes.empty() && tensor < current_)) return error_;
    if (tensor >= tensors().size()) return fail("data of a tensor that was not declared", {});
    if (tensor > current_) return fail("incomplete data of tensor ", tensors()[current_].name);
    if (tensor < current_ || bytes.size() > tensors()[tensor].bytes - written_)
      return fail("too many data for tensor ", tensors()[tensor].name);
    if (auto emitted = append(bytes); !emitted) return emitted;
    written_ += bytes.size();
    return skip_complete();
  }

  // To be called last: errc::size_mismatch if the data of a tensor are not complete.
  result<void> finish() noexcept {
    if (error_.code == errc::ok && current_ < tensors().size())
      return fail("incomplete data of tensor ", tensors()[current_].name);
    return error_;
  }

 private:
  result<void> fail(const char* reason, std::string_view tensor) noexcept {
    error_ = error(errc::size_mismatch);
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
  result<void> skip_complete() noexcept {
    for (; current_ < tensors().size() && written_ == tensors()[current_].bytes; ++current_) written_ = 0;
    return {};
  }

  detail::json_text metadata_, tensors_;  // members, without the braces around them
  std::uint64_t size_ = 0;                // of the data declared so far
  detail::growing_array<char> header_;
  reader layout_;  // of header_

  sink_ref sink_;
  error error_{errc::missing};  // until begin
  std::size_t current_ = 0;     // the tensor whose turn it is
  std::uint64_t written_ = 0;   // of its bytes
  std::uint64_t position_ = 0;  // in the file
};

}  // namespace blocq::safetensors::inline v0::inline BLOCQ_ISA

#endif
