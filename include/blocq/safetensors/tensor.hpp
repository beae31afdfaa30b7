// Tensors of a safetensors file: the types of their elements and the description of one.
#ifndef BLOCQ_SAFETENSORS_TENSOR_HPP
#define BLOCQ_SAFETENSORS_TENSOR_HPP

#include <blocq/core/maybe.hpp>
#include <blocq/file/storage.hpp>

#include <span>
#include <string_view>
#include <type_traits>

namespace blocq::safetensors::inline v0 {

// In the order of impl::dtypes.
enum class dtype : unsigned char {
  boolean,  // a byte
  f4,       // two elements to a byte: E2M1
  f6_e2m3,
  f6_e3m2,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,  // E4M3FN
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  c64,  // two F32
  f64,
  i64,
  u64,
};

namespace impl {
struct dtype_row {
  const char* name;
  unsigned bits;
};
inline constexpr dtype_row dtypes[] = {
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
    {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};
inline constexpr unsigned n_dtypes = sizeof dtypes / sizeof dtypes[0];
static_assert(n_dtypes == static_cast<unsigned>(dtype::u64) + 1);
}  // namespace impl

// As files name it.
BLOCQ_INLINE constexpr const char* name_of(dtype type) noexcept {
  return impl::dtypes[static_cast<unsigned>(type)].name;
}
// Of one element.
BLOCQ_INLINE constexpr unsigned bits_of(dtype type) noexcept { return impl::dtypes[static_cast<unsigned>(type)].bits; }

// The type of this name, which is written as files write it.
BLOCQ_INLINE constexpr maybe<dtype> find_dtype(std::string_view name) noexcept {
  for (unsigned i = 0; i < impl::n_dtypes; ++i) {
    const char* candidate = impl::dtypes[i].name;
    std::size_t n = 0;
    while (n < name.size() && candidate[n] == name[n] && candidate[n] != 0) ++n;
    if (n == name.size() && candidate[n] == 0) return static_cast<dtype>(i);
  }
  return {};
}

// One tensor of a file, as a reader found it to be consistent: `shape` is row-major, its last dimension contiguous, and
// the number of its elements in bits is that of the bytes. It stays valid as long as reader and bytes do. Elements are
// little-endian and may lie at any address.
struct tensor_info {
  std::string_view name;  // UTF-8
  dtype type = dtype::u8;
  std::span<const std::uint64_t> shape = {};  // empty: a scalar, one element
  std::uint64_t offset = 0;                   // from the start of the data
  std::uint64_t bytes = 0;
  std::span<const std::byte> data = {};  // empty if the file was parsed without its data

  BLOCQ_INLINE constexpr std::uint64_t elements() const noexcept {
    std::uint64_t n = 1;
    for (const std::uint64_t d : shape) n *= d;
    return n;
  }
};
static_assert(std::is_trivially_copyable_v<tensor_info>);

}  // namespace blocq::safetensors::inline v0

#endif
