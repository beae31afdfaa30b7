// Checks of tensor data: that every block decodes to finite numbers. The reader does not look at data at all.
#ifndef BLOCQ_GGUF_VALIDATE_HPP
#define BLOCQ_GGUF_VALIDATE_HPP

#include <blocq/gguf/reader.hpp>

namespace blocq::gguf::inline v0::inline BLOCQ_ISA {

namespace detail {

// The first of `count` blocks that is not valid, or count.
template <class B>
std::uint64_t first_invalid(const B* blocks, std::uint64_t count) noexcept {
  constexpr std::uint64_t batch = 256;  // without a branch on each
  std::uint64_t i = 0;
  for (bool valid = true; i + batch <= count; i += batch) {
    for (std::uint64_t j = i; j < i + batch; ++j) valid &= is_valid(blocks[j]);
    if (!valid) break;
  }
  while (i < count && is_valid(blocks[i])) ++i;
  return i;
}

// The plain floats, as bytes.
struct plain_f32 {
  std::byte bytes[4];
};
struct plain_f64 {
  std::byte bytes[8];
};
inline bool is_valid(const plain_f32& x) noexcept { return (impl::load_uint(x.bytes, 4, false) >> 23 & 0xff) != 0xff; }
inline bool is_valid(const plain_f64& x) noexcept {
  return (impl::load_uint(x.bytes, 8, false) >> 52 & 0x7ff) != 0x7ff;
}

}  // namespace detail

// Checks rows [first, last) of a tensor: floats are neither NaN nor infinite, and the scales of blocks are such that
// all elements are finite, which is what the reference asks for before it loads a model. Any row ranges may be checked
// at the same time. errc::not_finite names tensor, row and block; errc::missing: there are no data; errc::bad_value:
// no such rows; errc::bad_type: the type is not known.
inline result<void> validate_rows(const tensor_info& tensor, std::uint64_t first, std::uint64_t last) noexcept {
  error e(errc::ok);
  if (tensor.data.empty())
    e = error(errc::missing) << "no data at hand for tensor ";
  else if (!tensor.is_known())
    e = error(errc::bad_type) << "data of the unknown type " << std::uint64_t{static_cast<std::uint32_t>(tensor.type)}
                              << " cannot be checked: tensor ";
  else if (first > last || last > tensor.rows())
    e = error(errc::bad_value) << "rows " << first << " to " << last << " are not all there in tensor ";
  if (e.code == errc::ok) {
    const std::byte* data = tensor.data.data() + static_cast<std::size_t>(first * tensor.row_bytes());
    const std::uint64_t count = (last - first) * tensor.row_blocks();
    std::uint64_t at = count;
    if (tensor.type == 0)
      at = detail::first_invalid(reinterpret_cast<const detail::plain_f32*>(data), count);
    else if (tensor.type == 28)
      at = detail::first_invalid(reinterpret_cast<const detail::plain_f64*>(data), count);
    else
      visit_gguf(tensor.type, [&]<class B> { at = detail::first_invalid(reinterpret_cast<const B*>(data), count); });
    if (at == count) return {};
    e = error(errc::not_finite) << "not finite: row " << first + at / tensor.row_blocks() << ", block "
                                << at % tensor.row_blocks() << " of tensor ";
  }
  return e.quote(tensor.name.data(), tensor.name.size());
}

inline result<void> validate(const tensor_info& tensor) noexcept { return validate_rows(tensor, 0, tensor.rows()); }

// Every tensor of a file whose numbers are to be finite: all but the notes that llama-imatrix keeps in importance
// files, NAME.stats, where NaN is what could not be computed. errc::bad_endian: a big-endian file has data, but no
// blocks to look at.
inline result<void> validate(const reader& file) noexcept {
  if (file.big_endian()) return error(errc::bad_endian) << "the data of a big-endian file cannot be checked";
  const bool importance = file.get<std::string_view>("general.type").value_or({}) == "imatrix";
  for (const tensor_info& tensor : file.tensors()) {
    if (importance && tensor.name.ends_with(".stats")) continue;
    if (auto r = validate(tensor); !r) return r;
  }
  return {};
}

}  // namespace blocq::gguf::inline v0::inline BLOCQ_ISA

#endif
