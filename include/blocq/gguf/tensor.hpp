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

namespace impl {
// What other programs call their types, as far as one program has an id for itself; what GGUF removed, under the names
// it had. Nothing is known here of their bytes.
struct foreign_type {
  int id;
  const char* name;
};
inline constexpr foreign_type foreign_types[] = {
    {4, "q4_2"},       {5, "q4_3"},        {31, "q4_0_4_4"},    {32, "q4_0_4_8"},   {33, "q4_0_8_8"},
    {133, "q6_0"},     {134, "iq1_bn"},    {135, "iq2_bn"},     {136, "q8_k64"},    {137, "iq2_k"},
    {138, "iq3_k"},    {139, "iq4_k"},     {140, "iq5_k"},      {141, "iq6_k"},     {144, "iq4_ks"},
    {145, "iq2_ks"},   {146, "iq4_kss"},   {147, "q8_k16"},     {148, "q8_k32"},    {149, "q8_kr8"},
    {150, "q8_k128"},  {151, "q8_kv"},     {152, "iq5_ks"},     {153, "iq2_kt"},    {154, "iq3_kt"},
    {155, "iq4_kt"},   {156, "iq3_ks"},    {157, "iq2_kl"},     {158, "iq1_kt"},    {202, "q4_0_r8"},
    {206, "q5_0_r4"},  {208, "q8_0_r8"},   {210, "q2_k_r4"},    {211, "q3_k_r4"},   {212, "q4_k_r4"},
    {213, "q5_k_r4"},  {214, "q6_k_r4"},   {216, "iq2_xxs_r4"}, {217, "iq2_xs_r4"}, {218, "iq3_xxs_r4"},
    {219, "iq1_s_r4"}, {220, "iq4_nl_r4"}, {221, "iq3_s_r4"},   {222, "iq2_s_r4"},  {223, "iq4_xs_r8"},
    {229, "iq1_m_r4"}, {230, "bf16_r16"},  {233, "q6_0_r4"},    {335, "iq2_bn_r4"}, {337, "iq2_k_r4"},
    {338, "iq3_k_r4"}, {339, "iq4_k_r4"},  {340, "iq5_k_r4"},   {344, "iq4_ks_r4"}, {352, "iq5_ks_r4"},
    {397, "q8_k_r16"}, {398, "q8_kv_r8"},  {399, "q8_k_r8"}};
}  // namespace impl

// The type with this id; null for ids that are not known or that GGUF removed (4, 5, 31 to 33, 36 to 38).
BLOCQ_INLINE constexpr const type_info* find_type(int id) noexcept {
  return id >= 0 && id < type_id_limit && impl::types.row[id].block != 0 ? &impl::types.row[id] : nullptr;
}

// What a type is called: find_type's name, or that of another program's or a removed type; null if there is none.
BLOCQ_INLINE constexpr const char* find_type_name(int id) noexcept {
  if (const type_info* known = find_type(id)) return known->name;
  for (const impl::foreign_type& other : impl::foreign_types)
    if (other.id == id) return other.name;
  return nullptr;
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
inline constexpr std::size_t max_tensor_name = 256;  // bytes

// One tensor of a file, as a reader found it to be consistent: no dimension is zero, rows are whole blocks, and no
// product below overflows. dims[0] is the contiguous dimension, the length of a row. The type is known unless the
// reader was asked for others too.
struct tensor_info {
  std::string_view name;                        // UTF-8, in the file's bytes
  int type = 0;                                 // id, of the 32 bits in the file; see find_type
  std::uint32_t n_dims = 0;                     // as stored, 0 to 4; 0 is a scalar
  std::uint64_t dims[max_dims] = {1, 1, 1, 1};  // 1 from n_dims on
  std::uint64_t offset = 0;                     // from the start of the data section
  std::uint64_t unknown_bytes = 0;              // where the type is not known: up to the next tensor, with padding
  std::span<const std::byte> data = {};         // empty if the file was parsed without its data or is big-endian

  BLOCQ_INLINE constexpr bool is_known() const noexcept { return find_type(type) != nullptr; }
  BLOCQ_INLINE constexpr std::uint64_t row_elements() const noexcept { return dims[0]; }
  BLOCQ_INLINE constexpr std::uint64_t rows() const noexcept { return dims[1] * dims[2] * dims[3]; }
  BLOCQ_INLINE constexpr std::uint64_t elements() const noexcept { return row_elements() * rows(); }
  // Blocks and bytes of a row are 0 where the type is not known.
  BLOCQ_INLINE constexpr std::uint64_t row_blocks() const noexcept {
    return is_known() ? dims[0] / type_row().block : 0;
  }
  BLOCQ_INLINE constexpr std::uint64_t row_bytes() const noexcept {
    return is_known() ? row_blocks() * type_row().bytes : 0;
  }
  BLOCQ_INLINE constexpr std::uint64_t bytes() const noexcept {
    return is_known() ? row_bytes() * rows() : unknown_bytes;
  }
  // "unknown" where find_type_name has none.
  BLOCQ_INLINE constexpr const char* type_name() const noexcept {
    const char* const known = find_type_name(type);
    return known != nullptr ? known : "unknown";
  }

 private:
  BLOCQ_INLINE constexpr const type_info& type_row() const noexcept { return impl::types.row[type]; }
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
