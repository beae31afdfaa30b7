// How the library says no: an error code, a status that says where, and a result that carries a value or an error
// with a sentence. No exception is ever thrown and nothing here allocates.
#ifndef BLOCQ_CORE_ERROR_HPP
#define BLOCQ_CORE_ERROR_HPP

#include <blocq/core/config.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

namespace blocq::inline v0 {

enum class errc : std::uint8_t {
  ok = 0,
  // Sizes that do not fit together. Nothing was written.
  ragged,         // an element count that is not a multiple of the block size
  size_mismatch,  // source and destination differ in length
  unsupported,    // the format cannot do this
  // Values. The output was written; `at` is the first block concerned.
  not_finite,   // a NaN or an infinity in the input
  scale_range,  // finite input whose block scale the format cannot hold
  // Foreign bytes.
  truncated,      // the bytes end before what they announce
  bad_magic,      // not a file of this kind
  bad_version,    // a version that is not known
  bad_endian,     // a byte order that cannot be handled here
  bad_type,       // an unknown or removed type id
  bad_value,      // a field outside its domain
  bad_name,       // a key or name that is empty, too long, not UTF-8 or contains NUL
  duplicate,      // a key or name that occurs twice
  too_large,      // a count or product beyond what can be addressed
  bad_alignment,  // an offset or alignment that breaks the rules
  missing,        // something asked for is not there
  // The outside world.
  io,         // the operating system refused a read or a write
  no_memory,  // an allocation failed
};

// One sentence per code, without a full stop; static storage.
BLOCQ_INLINE constexpr const char* message(errc code) noexcept {
  switch (code) {
    case errc::ok: return "success";
    case errc::ragged: return "the number of elements is not a multiple of the block size";
    case errc::size_mismatch: return "source and destination have different lengths";
    case errc::unsupported: return "the format does not support this operation";
    case errc::not_finite: return "the input contains a NaN or an infinity";
    case errc::scale_range: return "the values are outside the range of the format's block scale";
    case errc::truncated: return "the data end too early";
    case errc::bad_magic: return "the data are not of this kind of file";
    case errc::bad_version: return "the version is not supported";
    case errc::bad_endian: return "the byte order is not supported";
    case errc::bad_type: return "the type is not known";
    case errc::bad_value: return "a value is outside its domain";
    case errc::bad_name: return "a name is not acceptable";
    case errc::duplicate: return "a name occurs twice";
    case errc::too_large: return "a size is too large";
    case errc::bad_alignment: return "an offset or alignment is not acceptable";
    case errc::missing: return "something that was asked for is missing";
    case errc::io: return "reading or writing failed";
    case errc::no_memory: return "there is not enough memory";
  }
  return "unknown error";
}

// The outcome of an operation on blocks: a code and the index of the first block concerned.
struct [[nodiscard]] status {
  errc code = errc::ok;
  std::size_t at = 0;

  BLOCQ_INLINE constexpr explicit operator bool() const noexcept { return code == errc::ok; }
  BLOCQ_INLINE constexpr const char* message() const noexcept { return blocq::message(code); }
};

// An error with a sentence that names what was wrong (a key, a tensor, an offset). Trivially copyable: the text
// lives in the object and is cut, never overrun, when it is too long.
struct error {
  errc code = errc::ok;
  char text[191] = {};

  BLOCQ_INLINE constexpr explicit error(errc c) noexcept : code(c) {}
  BLOCQ_INLINE constexpr const char* message() const noexcept { return text[0] != 0 ? text : blocq::message(code); }

  BLOCQ_INLINE constexpr error& append(char c) noexcept {
    std::size_t n = 0;
    while (text[n] != 0) ++n;
    if (n + 1 < sizeof text) text[n] = c;
    return *this;
  }
  BLOCQ_INLINE constexpr error& operator<<(const char* s) noexcept {
    for (; *s != 0; ++s) append(*s);
    return *this;
  }
  BLOCQ_INLINE constexpr error& operator<<(char c) noexcept { return append(c); }
  // Foreign text in quotes: of more than 64 bytes the first and the last 32, everything but printable ASCII as \xNN.
  BLOCQ_INLINE constexpr error& quote(const char* s, std::size_t n) noexcept {
    constexpr char hex[] = "0123456789abcdef";
    append('\'');
    for (std::size_t i = 0; i < n; ++i) {
      if (n > 64 && i == 32) {
        *this << "...";
        i = n - 32;
      }
      const auto byte = static_cast<unsigned char>(s[i]);
      if (byte >= 0x20 && byte < 0x7f && byte != '\'' && byte != '\\')
        append(static_cast<char>(byte));
      else
        append('\\').append('x').append(hex[byte >> 4]).append(hex[byte & 15]);
    }
    return append('\'');
  }
  template <class U>
  requires(std::is_integral_v<U>) BLOCQ_INLINE constexpr error& operator<<(U value) noexcept {
    char digits[24];
    std::size_t n = 0;
    auto rest = static_cast<std::uint64_t>(value);
    if constexpr (std::is_signed_v<U>) {
      if (value < 0) {
        append('-');
        rest = 0 - rest;
      }
    }
    do digits[n++] = static_cast<char>('0' + rest % 10);
    while ((rest /= 10) != 0);
    while (n > 0) append(digits[--n]);
    return *this;
  }
};

// Either a T or an error. Reading the one that is not there is a failed BLOCQ_ASSERT.
template <class T>
class [[nodiscard]] result {
  static_assert(!std::is_reference_v<T> && !std::is_same_v<T, blocq::error>,
                "result<T> holds a value: T is an object type");

 public:
  BLOCQ_INLINE result(T&& value) noexcept(std::is_nothrow_move_constructible_v<T>)
      : value_(std::move(value)), ok_(true) {}
  BLOCQ_INLINE result(const T& value) noexcept(std::is_nothrow_copy_constructible_v<T>) requires(
      std::is_copy_constructible_v<T>)
      : value_(value), ok_(true) {}
  BLOCQ_INLINE result(const blocq::error& e) noexcept : error_(e), ok_(false) {}
  BLOCQ_INLINE result(result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) : ok_(other.ok_) {
    if (ok_)
      ::new (static_cast<void*>(&value_)) T(std::move(other.value_));
    else
      ::new (static_cast<void*>(&error_)) blocq::error(other.error_);
  }
  result& operator=(result&&) = delete;
  BLOCQ_INLINE ~result() {
    if (ok_) value_.~T();
  }

  BLOCQ_INLINE explicit operator bool() const noexcept { return ok_; }

  BLOCQ_INLINE T& value() & noexcept BLOCQ_LIFETIMEBOUND {
    BLOCQ_ASSERT(ok_);
    return value_;
  }
  BLOCQ_INLINE const T& value() const& noexcept BLOCQ_LIFETIMEBOUND {
    BLOCQ_ASSERT(ok_);
    return value_;
  }
  BLOCQ_INLINE T&& value() && noexcept BLOCQ_LIFETIMEBOUND {
    BLOCQ_ASSERT(ok_);
    return std::move(value_);
  }
  BLOCQ_INLINE T& operator*() & noexcept BLOCQ_LIFETIMEBOUND { return value(); }
  BLOCQ_INLINE const T& operator*() const& noexcept BLOCQ_LIFETIMEBOUND { return value(); }
  BLOCQ_INLINE T&& operator*() && noexcept BLOCQ_LIFETIMEBOUND { return std::move(*this).value(); }
  BLOCQ_INLINE T* operator->() noexcept BLOCQ_LIFETIMEBOUND { return &value(); }
  BLOCQ_INLINE const T* operator->() const noexcept BLOCQ_LIFETIMEBOUND { return &value(); }

  BLOCQ_INLINE const blocq::error& error() const noexcept BLOCQ_LIFETIMEBOUND {
    BLOCQ_ASSERT(!ok_);
    return error_;
  }
  BLOCQ_INLINE const char* message() const noexcept BLOCQ_LIFETIMEBOUND {
    return ok_ ? blocq::message(errc::ok) : error_.message();
  }

 private:
  union {
    T value_;
    blocq::error error_;
  };
  bool ok_;
};

// Success or an error, for what has no value to give.
template <>
class [[nodiscard]] result<void> {
 public:
  BLOCQ_INLINE result() noexcept : error_(errc::ok) {}
  BLOCQ_INLINE result(const blocq::error& e) noexcept : error_(e) {}

  BLOCQ_INLINE explicit operator bool() const noexcept { return error_.code == errc::ok; }
  BLOCQ_INLINE const blocq::error& error() const noexcept BLOCQ_LIFETIMEBOUND { return error_; }
  BLOCQ_INLINE const char* message() const noexcept BLOCQ_LIFETIMEBOUND { return error_.message(); }

 private:
  blocq::error error_;
};

}  // namespace blocq::inline v0

#endif
