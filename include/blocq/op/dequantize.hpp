// Blocks to floats.
#ifndef BLOCQ_OP_DEQUANTIZE_HPP
#define BLOCQ_OP_DEQUANTIZE_HPP

#include <blocq/codec/floats.hpp>
#include <blocq/codec/points.hpp>
#include <blocq/core/error.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/format/concept.hpp>

#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {
// A block through the codec: the same floats as decode(b, y), 32 at a time.
template <chunked_format B>
BLOCQ_INLINE void decode_chunks(const B& b, float* y) noexcept {
  constexpr int size = static_cast<int>(block_size<B>), group = step_group<B>;
  const float d = block_scale(b), dmin = block_offset(b);
  for (int c = 0; c < size / 32; ++c) {
    const vec::bytes values = chunk_values(b, c);
    step_offset s{};
    for (int q = 0; q < 4; ++q) {
      if ((32 * c + 8 * q) % group == 0 || q == 0) s = group_step(b, d, dmin, (32 * c + 8 * q) / group);
      vec::floats v = vec::to_floats(values, q) * vec::fill_floats(s.step);
      if constexpr (has_offset<B>) v = v + vec::fill_floats(s.offset);
      vec::store_floats(y + 32 * c + 8 * q, v);
    }
  }
}

// The same for formats with integer scales of groups, which are unpacked all at once.
template <superblock_format B>
BLOCQ_INLINE void decode_chunks(const B& b, float* y) noexcept {
  const chunk_reader<B> chunks(b);
  const scale_words words = group_scales(b);
  float step[16], offset[16] = {};
  const auto store_products = [](vec::words w, float d, float* to) BLOCQ_INLINE_LAMBDA {
    for (int h = 0; h < 2; ++h) {
      const vec::ints whole =
          vec::madd2(vec::as_words(vec::repeat_words(w, h)), vec::as_words(vec::as_bytes(vec::fill_ints(1))));
      vec::store_floats(to + 8 * h, vec::to_floats(whole) * vec::fill_floats(d));
    }
  };
  store_products(words.scale, superblock_scale(b), step);
  if constexpr (has_offset<B>) store_products(words.min, -block_offset(b), offset);
  simd::unroll<8>([&]<int C>() BLOCQ_INLINE_LAMBDA {
    const vec::bytes values = chunks.values(C);
    for (int q = 0; q < 4; ++q) {
      vec::floats v = vec::to_floats(values, q) * vec::fill_floats(step[2 * C + q / 2]);
      if constexpr (has_offset<B>) v = v + vec::fill_floats(offset[2 * C + q / 2]);
      vec::store_floats(y + 32 * C + 8 * q, v);
    }
  });
}

template <class B>
BLOCQ_NOINLINE void dequantize_blocks(const B* blocks, std::size_t count, float* out) noexcept {
  if constexpr (float_chunks<B>) {
    const std::size_t chunks = count * block_size<B> / 32;
    for (std::size_t c = 0; c < chunks; ++c) {
      quad::floats y[2];
      chunk_floats(blocks, c, y);
      for (std::size_t h = 0; h < 2; ++h) quad::store_floats(out + 32 * c + 16 * h, y[h]);
    }
    for (std::size_t i = chunks * 32 / block_size<B>; i < count; ++i) decode(blocks[i], out + i * block_size<B>);
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      if constexpr (chunked_format<B>)
        decode_chunks(blocks[i], out + i * block_size<B>);
      else
        decode(blocks[i], out + i * block_size<B>);
    }
  }
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
