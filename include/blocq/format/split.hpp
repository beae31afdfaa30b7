// Blocks as published models keep them: the codes of a tensor in one array and its scales in another. Moving between
// the two is lossless in both directions; nothing is decoded.
//
//   codes    the first of a byte's elements in its lowest bits and no gaps between codes, whatever the block does
//   scales   one byte for each E8M0 or E4M3 scale
//
// For blocks of mx_block, GGUF's mxfp4 and GGUF's nvfp4 (whose tensor scale, if any, stays with the caller).
#ifndef BLOCQ_FORMAT_SPLIT_HPP
#define BLOCQ_FORMAT_SPLIT_HPP

#include <blocq/core/error.hpp>
#include <blocq/core/view.hpp>
#include <blocq/format/mx.hpp>
#include <blocq/format/nvfp4.hpp>

#include <span>

namespace blocq::inline v0 {

namespace impl {
// The scale bytes of a block.
template <class Element, std::size_t N>
BLOCQ_INLINE constexpr std::span<std::uint8_t> scale_bytes(mx_block<Element, N>& b) noexcept {
  return {&b.scale, 1};
}
BLOCQ_INLINE constexpr std::span<std::uint8_t> scale_bytes(mxfp4& b) noexcept { return {&b.e, 1}; }
BLOCQ_INLINE constexpr std::span<std::uint8_t> scale_bytes(nvfp4& b) noexcept { return b.d; }
}  // namespace impl

// Scales in 128 x 4 tiles of 512 bytes, as NVIDIA's matrix units read them. Tiles follow each other row by row; missing
// rows and columns of the last ones are 0. Row r and column c of a tile lie at
//
//   16 * (r % 32) + 4 * (r / 32) + c
BLOCQ_INLINE constexpr std::size_t tiled_scales_size(std::size_t rows, std::size_t columns) noexcept {
  return (rows + 127) / 128 * ((columns + 3) / 4) * 512;
}

namespace impl {
BLOCQ_INLINE constexpr std::size_t tiled_scale(std::size_t r, std::size_t c, std::size_t columns) noexcept {
  return (r / 128 * ((columns + 3) / 4) + c / 4) * 512 + r % 32 * 16 + r % 128 / 32 * 4 + c % 4;
}
}  // namespace impl

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {
template <class B>
inline constexpr std::size_t scale_count = sizeof(B) - block_size<B>* element_t<B>::bits / 8;

template <class B>
constexpr errc check_split(std::size_t blocks, std::size_t codes, std::size_t scales) noexcept {
  constexpr std::size_t code_bytes = sizeof(B) - scale_count<B>;
  const bool fits = codes % code_bytes == 0 && codes / code_bytes == blocks && scales % scale_count<B> == 0 &&
                    scales / scale_count<B> == blocks;
  return fits ? errc::ok : errc::size_mismatch;
}
}  // namespace detail

// Blocks from codes and scales. `blocks` is a contiguous, mutable range of blocks.
// Refused, with the blocks left as they were: errc::size_mismatch, and errc::bad_value with the index of the first
// block concerned for an nvfp4 group scale above 0x7e, a NaN or negative in E4M3 but another number in GGUF.
template <class Blocks>
status join_scales(std::span<const std::uint8_t> codes, std::span<const std::uint8_t> scales,
                   Blocks&& blocks) noexcept {
  const std::span out(blocks);
  using B = typename decltype(out)::element_type;
  constexpr std::size_t count = detail::scale_count<B>, code_bytes = sizeof(B) - count;
  if (const errc code = detail::check_split<B>(out.size(), codes.size(), scales.size()); code != errc::ok)
    return {code, 0};
  if constexpr (std::is_same_v<B, nvfp4>)
    for (std::size_t i = 0; i < scales.size(); ++i)
      if (scales[i] > 0x7e) return {errc::bad_value, i / count};
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint8_t q[block_size<B>];
    impl::unpack_dense<element_t<B>::bits>(&codes[i * code_bytes], q, static_cast<int>(block_size<B>));
    set_codes(out[i], q);
    for (std::size_t k = 0; k < count; ++k) impl::scale_bytes(out[i])[k] = scales[i * count + k];
  }
  return {};
}

// Codes and scales from blocks; the inverse of join_scales, and it refuses the same.
template <class Blocks>
status split_scales(const Blocks& blocks, std::span<std::uint8_t> codes, std::span<std::uint8_t> scales) noexcept {
  const std::span in(blocks);
  using B = std::remove_cv_t<typename decltype(in)::element_type>;
  constexpr std::size_t count = detail::scale_count<B>, code_bytes = sizeof(B) - count;
  if (const errc code = detail::check_split<B>(in.size(), codes.size(), scales.size()); code != errc::ok)
    return {code, 0};
  if constexpr (std::is_same_v<B, nvfp4>)
    for (std::size_t i = 0; i < in.size(); ++i)
      for (const std::uint8_t d : in[i].d)
        if (d > 0x7e) return {errc::bad_value, i};
  for (std::size_t i = 0; i < in.size(); ++i) {
    B block = in[i];
    std::uint8_t q[block_size<B>];
    get_codes(block, q);
    impl::pack_dense<element_t<B>::bits>(q, static_cast<int>(block_size<B>), &codes[i * code_bytes]);
    for (std::size_t k = 0; k < count; ++k) scales[i * count + k] = impl::scale_bytes(block)[k];
  }
  return {};
}

// A row-major matrix of scale bytes into tiles (see tiled_scales_size) and back. errc::size_mismatch if the sizes are
// not rows * columns and tiled_scales_size(rows, columns); the destination is then left as it was.
inline status tile_scales(std::span<const std::uint8_t> scales, std::size_t rows, std::size_t columns,
                          std::span<std::uint8_t> tiles) noexcept {
  if (!impl::is_product(scales.size(), rows, columns) || tiles.size() != tiled_scales_size(rows, columns))
    return {errc::size_mismatch, 0};
  for (std::uint8_t& byte : tiles) byte = 0;
  for (std::size_t i = 0; i < scales.size(); ++i)
    tiles[impl::tiled_scale(i / columns, i % columns, columns)] = scales[i];
  return {};
}
inline status untile_scales(std::span<const std::uint8_t> tiles, std::size_t rows, std::size_t columns,
                            std::span<std::uint8_t> scales) noexcept {
  if (!impl::is_product(scales.size(), rows, columns) || tiles.size() != tiled_scales_size(rows, columns))
    return {errc::size_mismatch, 0};
  for (std::size_t i = 0; i < scales.size(); ++i)
    scales[i] = tiles[impl::tiled_scale(i / columns, i % columns, columns)];
  return {};
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
