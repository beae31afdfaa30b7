// Blocks to floats.
#ifndef BLOCQ_OP_DEQUANTIZE_HPP
#define BLOCQ_OP_DEQUANTIZE_HPP

#include <blocq/core/error.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/format/concept.hpp>

#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {
template <class B>
BLOCQ_NOINLINE void dequantize_blocks(const B* blocks, std::size_t count, float* out) noexcept {
  for (std::size_t i = 0; i < count; ++i) decode(blocks[i], out + i * block_size<B>);
}
}  // namespace detail

// Decodes src.size() blocks into dst, which holds exactly block_size<B> floats for each of them; otherwise
// errc::size_mismatch and dst is left as it was. Any block bytes are decoded; the result does not depend on the
// floating-point modes in force. `src` is a contiguous range of blocks: std::vector, std::array, std::span, an array.
template <class Blocks>
status dequantize(const Blocks& src, std::span<float> dst) noexcept {
  const std::span blocks(src);
  using B = std::remove_cv_t<typename decltype(blocks)::element_type>;
  static_assert(block_format<B>, "dequantize(src, dst): src is a range of blocks, a type with a blocq::format_traits");
  if (dst.size() % block_size<B> != 0) return {errc::ragged, 0};
  if (dst.size() / block_size<B> != blocks.size()) return {errc::size_mismatch, 0};
  const fp_environment modes;
  detail::dequantize_blocks(reinterpret_cast<const wire_t<B>*>(blocks.data()), blocks.size(), dst.data());
  return {};
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
