// Tensors of a GGUF file: the table of types and the description of one tensor. The sizes of the block formats come
// from format/all.hpp; only the plain scalar types are entered here.
#ifndef BLOCQ_GGUF_TENSOR_HPP
#define BLOCQ_GGUF_TENSOR_HPP

#include <blocq/core/error.hpp>
#include <blocq/core/view.hpp>
#include <blocq/format/all.hpp>
#include <blocq/gguf/metadata.hpp>

namespace blocq::gguf::inline v0 {

// A tensor type: `bytes` bytes hold `block` elements of a row.
struct type_info {
  const char* name = nullptr;  // lower case, as format_traits<B>::name
  std::uint32_t block = 0;     // 0: no such type
  std::uint32_t bytes = 0;
};

// Type ids are below this; most, not all of them belong to a type.
inline constexpr int type_id_limit = 64;

namespace impl {
struct type_table {
  type_info row[type_id_limit] = {};
};

inline constexpr type_table types = [] {
  type_table table;
  table.row[0] = {"f32", 1, 4};
  table.row[24] = {"i8", 1, 1};
  table.row[25] = {"i16", 1, 2};
  table.row[26] = {"i32", 1, 4};
  table.row[27] = {"i64", 1, 8};
  table.row[28] = {"f64", 1, 8};
  for_each(all_formats{}, [&]<class B> {
    if constexpr (gguf_format<B>)
      table.row[format_traits<B>::gguf_id] = {format_traits<B>::name, block_size<B>, sizeof(B)};
  });
  return table;
}();
}  // namespace impl

// The type with this id; null for ids that are not known or that GGUF removed (4, 5, 31 to 33, 36 to 38).
BLOCQ_INLINE constexpr const type_info* find_type(int id) noexcept {
  return id >= 0 && id < type_id_limit && impl::types.row[id].block != 0 ? &impl::types.row[id] : nullptr;
}

// The id of the type with this name ("f32", "q4_k"; case does not matter).
BLOCQ_INLINE constexpr maybe<int> find_type_id(std::string_view name) noexcept {
  for (int id = 0; id < type_id_limit; ++id) {
    const char* candidate = impl::types.row[id].name;
    if (candidate == nullptr) continue;
    std::size_t i = 0;
    for (; i < name.size() && candidate[i] != 0; ++i) {
      const char c = name[i];
      if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != candidate[i]) break;
    }
    if (i == name.size() && candidate[i] == 0) return id;
  }
  return {};
}

inline constexpr unsigned max_dims = 4;
inline constexpr std::size_t max_tensor_name = 63;  // bytes

// One tensor of a file, as a reader found it to be consistent: the type is known, no dimension is zero, rows are whole
// blocks, and no product below overflows. dims[0] is the contiguous dimension, the length of a row.
struct tensor_info {
  std::string_view name;                        // UTF-8, in the file's bytes
  int type = 0;                                 // id; see find_type
  std::uint32_t n_dims = 0;                     // as stored, 0 to 4; 0 is a scalar
  std::uint64_t dims[max_dims] = {1, 1, 1, 1};  // 1 from n_dims on
  std::uint64_t offset = 0;                     // from the start of the data section
  std::span<const std::byte> data = {};         // empty if the file was parsed without its data or is big-endian

  BLOCQ_INLINE constexpr std::uint64_t row_elements() const noexcept { return dims[0]; }
  BLOCQ_INLINE constexpr std::uint64_t rows() const noexcept { return dims[1] * dims[2] * dims[3]; }
  BLOCQ_INLINE constexpr std::uint64_t elements() const noexcept { return row_elements() * rows(); }
  BLOCQ_INLINE constexpr std::uint64_t row_blocks() const noexcept { return dims[0] / type_row().block; }
  BLOCQ_INLINE constexpr std::uint64_t row_bytes() const noexcept { return row_blocks() * type_row().bytes; }
  BLOCQ_INLINE constexpr std::uint64_t bytes() const noexcept { return row_bytes() * rows(); }
  BLOCQ_INLINE constexpr const char* type_name() const noexcept { return type_row().name; }

 private:
  BLOCQ_INLINE constexpr const type_info& type_row() const noexcept {
    BLOCQ_ASSERT(find_type(type) != nullptr);
    return impl::types.row[type];
  }
};
static_assert(std::is_trivially_copyable_v<tensor_info>);

}  // namespace blocq::gguf::inline v0

namespace blocq::gguf::inline v0::inline BLOCQ_ISA {

// The tensor's data as rows of blocks, ready for the operations. errc::bad_type if the tensor is of another type,
// errc::missing if the reader has no data for it.
template <class B>
result<matrix_view<const B>> blocks_of(const tensor_info& tensor) noexcept {
  static_assert(gguf_format<B>, "blocks_of<B>(tensor): B is a block format with a GGUF type id");
  if (tensor.type != format_traits<B>::gguf_id) {
    error e(errc::bad_type);
    e << "the tensor is not of type " << format_traits<B>::name << ": ";
    return e.quote(tensor.name.data(), tensor.name.size());
  }
  if (tensor.data.empty()) {
    error e(errc::missing);
    e << "no data at hand for tensor ";
    return e.quote(tensor.name.data(), tensor.name.size());
  }
  const auto cols = static_cast<std::size_t>(tensor.row_blocks());
  return matrix_view<const B>{reinterpret_cast<const B*>(tensor.data.data()), static_cast<std::size_t>(tensor.rows()),
                              cols, cols};
}

}  // namespace blocq::gguf::inline v0::inline BLOCQ_ISA

#endif
