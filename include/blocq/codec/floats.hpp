// Blocks of numbers that are floats rather than integers, in registers: 32 floats at a time, the same as decode's.
#ifndef BLOCQ_CODEC_FLOATS_HPP
#define BLOCQ_CODEC_FLOATS_HPP

#include <blocq/codec/codec.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

// chunk_floats: elements 32 c to 32 c + 31 of a row of blocks.

BLOCQ_INLINE void chunk_floats(const float* row, std::size_t c, detail::quad::floats (&y)[2]) noexcept {
  for (std::size_t h = 0; h < 2; ++h) y[h] = detail::quad::load_floats(row + 32 * c + 16 * h);
}
BLOCQ_INLINE void chunk_floats(const f16* row, std::size_t c, detail::quad::floats (&y)[2]) noexcept {
  for (std::size_t h = 0; h < 2; ++h) y[h] = detail::quad::load_f16(row + 32 * c + 16 * h);
}
BLOCQ_INLINE void chunk_floats(const bf16* row, std::size_t c, detail::quad::floats (&y)[2]) noexcept {
  for (std::size_t h = 0; h < 2; ++h) y[h] = detail::quad::load_bf16(row + 32 * c + 16 * h);
}

template <class Element, std::size_t N>
requires(N % 32 == 0) BLOCQ_INLINE
    void chunk_floats(const mx_block<Element, N>* row, std::size_t c, detail::quad::floats (&y)[2]) noexcept {
  namespace quad = detail::quad;
  const mx_block<Element, N>& b = row[c / (N / 32)];
  const auto chunk = static_cast<int>(c % (N / 32));
  if constexpr (std::is_same_v<Element, fixed8_6>) {
    const auto values = chunk_values(b, chunk);
    for (int h = 0; h < 2; ++h) y[h] = quad::to_floats(values, h) * quad::fill_floats(block_scale(b));
  } else {
    detail::small_floats<Element>(detail::plane_codes(b, chunk), y);
    constexpr int exponent = 15 - Element::bias;
    if (b.scale > 0 && b.scale < 255 - exponent) {
      for (quad::floats& v : y)
        v = v * quad::fill_floats(from_bits(static_cast<std::uint32_t>(b.scale + exponent) << 23));
    } else {  // the product of the two factors is no normal number
      const float scale = float8_e8m0fnu{b.scale}.to_float();
      for (quad::floats& v : y)
        v = quad::as_written(v * quad::fill_floats(from_bits((127u + exponent) << 23))) * quad::fill_floats(scale);
    }
  }
}

template <class Code, std::size_t N>
requires(N % 32 == 0) BLOCQ_INLINE
    void chunk_floats(const codebook_block<Code, N>* row, std::size_t c, detail::quad::floats (&y)[2]) noexcept {
  namespace quad = detail::quad;
  const codebook_block<Code, N>& b = row[c / (N / 32)];
  const auto codes = detail::plane_codes(b, static_cast<int>(c % (N / 32)));
  const quad::floats absmax = quad::fill_floats(from_bits(load(b.absmax)));
  for (int h = 0; h < 2; ++h) y[h] = quad::lookup16(Code::values, codes, h) * absmax;
}

// The formats that chunk_floats serves.
template <class B>
concept float_chunks = requires(const B* row, detail::quad::floats (&y)[2]) {
  chunk_floats(row, std::size_t{}, y);
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
