// Metadata of a GGUF file: keys and values as views over the file's bytes. Nothing here owns or copies anything, and
// nothing here checks bytes: values come from a reader, which has done so, or from the writer's own conversions.
#ifndef BLOCQ_GGUF_METADATA_HPP
#define BLOCQ_GGUF_METADATA_HPP

#include <blocq/core/bits.hpp>
#include <blocq/core/maybe.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

namespace blocq::gguf::inline v0 {

enum class value_type : std::uint32_t {
  uint8 = 0,
  int8 = 1,
  uint16 = 2,
  int16 = 3,
  uint32 = 4,
  int32 = 5,
  float32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  uint64 = 10,
  int64 = 11,
  float64 = 12,
};

BLOCQ_INLINE constexpr const char* name_of(value_type type) noexcept {
  switch (type) {
    case value_type::uint8: return "uint8";
    case value_type::int8: return "int8";
    case value_type::uint16: return "uint16";
    case value_type::int16: return "int16";
    case value_type::uint32: return "uint32";
    case value_type::int32: return "int32";
    case value_type::float32: return "float32";
    case value_type::boolean: return "bool";
    case value_type::string: return "string";
    case value_type::array: return "array";
    case value_type::uint64: return "uint64";
    case value_type::int64: return "int64";
    case value_type::float64: return "float64";
  }
  return "unknown";
}

// Bytes of one value in the file; 0 for strings and arrays, whose length is their own, and for unknown types.
BLOCQ_INLINE constexpr std::size_t size_of(value_type type) noexcept {
  switch (type) {
    case value_type::uint8:
    case value_type::int8:
    case value_type::boolean: return 1;
    case value_type::uint16:
    case value_type::int16: return 2;
    case value_type::uint32:
    case value_type::int32:
    case value_type::float32: return 4;
    case value_type::uint64:
    case value_type::int64:
    case value_type::float64: return 8;
    case value_type::string:
    case value_type::array: break;
  }
  return 0;
}

BLOCQ_INLINE constexpr bool is_signed(value_type type) noexcept {
  return type == value_type::int8 || type == value_type::int16 || type == value_type::int32 ||
         type == value_type::int64;
}
BLOCQ_INLINE constexpr bool is_float(value_type type) noexcept {
  return type == value_type::float32 || type == value_type::float64;
}
BLOCQ_INLINE constexpr bool is_integer(value_type type) noexcept {
  return size_of(type) != 0 && !is_float(type) && type != value_type::boolean;
}

using blocq::maybe;

namespace impl {
// `size` bytes, at most 8, as an unsigned integer of either byte order.
BLOCQ_INLINE constexpr std::uint64_t load_uint(const std::byte* p, std::size_t size, bool big_endian) noexcept {
  std::uint64_t x = 0;
  for (std::size_t i = 0; i < size; ++i) x |= static_cast<std::uint64_t>(p[big_endian ? size - 1 - i : i]) << (8 * i);
  return x;
}
}  // namespace impl

// One metadata value: a scalar, a string or an array of either, laid over its bytes in the file. It stays valid as
// long as those bytes do. Arrays of arrays do not occur: the reader refuses them.
class value {
 public:
  BLOCQ_INLINE value() noexcept = default;  // an empty array
  // `data`: the `size` bytes of the value as they lie in the file after its type; of an array, after its count.
  BLOCQ_INLINE constexpr value(value_type type, value_type element, std::uint64_t count, const std::byte* data,
                               std::size_t size, bool big_endian) noexcept
      : data_(data), size_(size), count_(count), type_(type), element_(element), big_endian_(big_endian) {}

  BLOCQ_INLINE constexpr value_type type() const noexcept { return type_; }
  BLOCQ_INLINE constexpr bool is_array() const noexcept { return type_ == value_type::array; }
  // The type of an array's elements; of anything else its own type.
  BLOCQ_INLINE constexpr value_type element_type() const noexcept { return element_; }
  // Elements of an array; 1 for anything else.
  BLOCQ_INLINE constexpr std::uint64_t size() const noexcept { return count_; }
  // As in the file, in the file's byte order: strings with their length in front, arrays without type and count.
  BLOCQ_INLINE constexpr std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  BLOCQ_INLINE constexpr bool big_endian() const noexcept { return big_endian_; }

  // The value as a T, if it has one without loss: any integer type from any integer that fits, float from float32,
  // double from float32 and float64, bool from bool, std::string_view from string (which may hold any bytes).
  template <class T>
  BLOCQ_INLINE maybe<T> get() const noexcept {
    if constexpr (std::is_same_v<T, std::string_view>) {
      if (type_ == value_type::string) return T(reinterpret_cast<const char*>(data_) + 8, size_ - 8);
    } else if constexpr (std::is_same_v<T, bool>) {
      if (type_ == value_type::boolean) return *data_ != std::byte{0};
    } else if constexpr (std::is_floating_point_v<T>) {
      if (type_ == value_type::float32) return static_cast<T>(from_bits(static_cast<std::uint32_t>(raw())));
      if (sizeof(T) == 8 && type_ == value_type::float64) return static_cast<T>(__builtin_bit_cast(double, raw()));
    } else {
      static_assert(std::is_integral_v<T>, "value::get<T>(): T is an arithmetic type or std::string_view");
      if (!is_integer(type_)) return {};
      const unsigned unused = 64 - 8 * static_cast<unsigned>(size_of(type_));
      const std::uint64_t shifted = raw() << unused;
      if (is_signed(type_)) {
        const std::int64_t x = static_cast<std::int64_t>(shifted) >> unused;
        if (static_cast<std::int64_t>(static_cast<T>(x)) == x && (std::is_signed_v<T> || x >= 0))
          return static_cast<T>(x);
      } else {
        const std::uint64_t x = shifted >> unused;
        if (static_cast<std::uint64_t>(static_cast<T>(x)) == x && (std::is_unsigned_v<T> || static_cast<T>(x) >= 0))
          return static_cast<T>(x);
      }
    }
    return {};
  }

  // Walks the elements of an array (or the one value of a scalar) as values: for (value v : array) v.get<int>().
  class iterator {
   public:
    iterator() = default;
    BLOCQ_INLINE constexpr iterator(const std::byte* at, std::uint64_t left, value_type type, bool big_endian) noexcept
        : at_(at), left_(left), type_(type), big_endian_(big_endian) {}
    BLOCQ_INLINE constexpr value operator*() const noexcept { return {type_, type_, 1, at_, width(), big_endian_}; }
    BLOCQ_INLINE constexpr iterator& operator++() noexcept {
      at_ += width();
      --left_;
      return *this;
    }
    BLOCQ_INLINE friend constexpr bool operator==(const iterator& a, const iterator& b) noexcept {
      return a.left_ == b.left_;
    }

   private:
    BLOCQ_INLINE constexpr std::size_t width() const noexcept {
      return type_ == value_type::string ? 8 + static_cast<std::size_t>(impl::load_uint(at_, 8, big_endian_))
                                         : size_of(type_);
    }
    const std::byte* at_ = nullptr;
    std::uint64_t left_ = 0;
    value_type type_ = value_type::uint8;
    bool big_endian_ = false;
  };
  BLOCQ_INLINE constexpr iterator begin() const noexcept { return {data_, count_, element_, big_endian_}; }
  BLOCQ_INLINE constexpr iterator end() const noexcept { return {nullptr, 0, element_, big_endian_}; }

  // Element i < size() of an array whose elements have a fixed size; arrays of strings can only be walked.
  BLOCQ_INLINE constexpr value operator[](std::uint64_t i) const noexcept {
    const std::size_t width = size_of(element_);
    BLOCQ_ASSERT(width != 0 && i < count_);
    return {element_, element_, 1, data_ + static_cast<std::size_t>(i) * width, width, big_endian_};
  }

 private:
  BLOCQ_INLINE constexpr std::uint64_t raw() const noexcept {
    return impl::load_uint(data_, size_of(type_), big_endian_);
  }

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::uint64_t count_ = 0;
  value_type type_ = value_type::array;  // an empty one
  value_type element_ = value_type::uint8;
  bool big_endian_ = false;
};
static_assert(std::is_trivially_copyable_v<value>);

struct key_value {
  std::string_view key;
  gguf::value value;
};

}  // namespace blocq::gguf::inline v0

#endif
