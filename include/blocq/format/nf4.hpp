// The 4-bit formats of bitsandbytes: NF4, and its own FP4 (which is not E2M1). Codes choose from a table of numbers in
// [-1, 1], the scale is the largest magnitude of the block. Layouts and decoders only; the encoders are in encode/.
//
// bitsandbytes keeps codes and scales of a tensor in two arrays: join_scales and split_scales below. Its "double
// quantization" stores the scales in 8 bits once more: decode_nested_scales.
#ifndef BLOCQ_FORMAT_NF4_HPP
#define BLOCQ_FORMAT_NF4_HPP

#include <blocq/core/error.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/core/lane.hpp>
#include <blocq/elem/codebook.hpp>
#include <blocq/format/planes.hpp>
#include <blocq/format/q_legacy.hpp>

#include <span>

namespace blocq::inline v0 {

//   0        4
//   | absmax | codes: N / 2 bytes |     y = absmax * Code::values[q]
template <class Code, std::size_t N = 64>
struct codebook_block {
  static_assert(N >= 2 && N % 2 == 0, "codebook_block<Code, N>: a block has an even number of elements");
  le32 absmax;                // binary32
  std::uint8_t codes[N / 2];  // byte j: element 2j in the high, element 2j + 1 in the low nibble
};

using nf4 = codebook_block<nf4_code>;
using bnb_fp4 = codebook_block<bnb_fp4_code>;
static_assert(sizeof(nf4) == 36 && sizeof(bnb_fp4) == 36);

namespace impl {
template <class Code>
inline constexpr const char* codebook_name = "codebook";
template <>
inline constexpr const char* codebook_name<nf4_code> = "nf4";
template <>
inline constexpr const char* codebook_name<bnb_fp4_code> = "bnb_fp4";

// Nibbles, the first of two in the high one.
template <auto Member>
struct high_nibble_first {
  template <class B>
  BLOCQ_INLINE static constexpr void unpack(const B& b, std::uint8_t* codes, int n) noexcept {
    for (int i = 0; i < n; ++i) codes[i] = (b.*Member)[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15;
  }
  template <class B>
  BLOCQ_INLINE static constexpr void pack(const std::uint8_t* codes, int n, B& b) noexcept {
    for (int i = 0; i < n; i += 2)
      (b.*Member)[i / 2] = static_cast<std::uint8_t>((codes[i] & 15) << 4 | (codes[i + 1] & 15));
  }
};
}  // namespace impl

template <class Code, std::size_t N>
struct format_traits<codebook_block<Code, N>> {
  static constexpr const char* name = impl::codebook_name<Code>;
  static constexpr std::size_t block_size = N;
  static constexpr bool importance = false;
  using element = Code;
  using operand = q8_0;
  using codes = planes<impl::high_nibble_first<&codebook_block<Code, N>::codes>>;
};

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

template <class Code, std::size_t N>
constexpr void decode(const codebook_block<Code, N>& b, float* y) noexcept {
  std::uint8_t q[N];
  get_codes(b, q);
  const float absmax = from_bits(load(b.absmax));
  for (std::size_t i = 0; i < N; ++i) y[i] = Code::values[q[i]] * absmax;
}

// True if a decoder gets finite numbers from the block: the scale is finite.
template <class Code, std::size_t N>
constexpr bool is_valid(const codebook_block<Code, N>& b) noexcept {
  return is_finite(from_bits(load(b.absmax)));
}

// Blocks from the arrays of bitsandbytes: N / 2 bytes of codes and one binary32 for each block, and back. Lossless.
// `blocks` is a contiguous range of codebook_block. Refused, with the destination left as it was: errc::size_mismatch.
template <class Blocks>
status join_scales(std::span<const std::uint8_t> codes, std::span<const float> absmax, Blocks&& blocks) noexcept {
  const std::span out(blocks);
  constexpr std::size_t bytes = sizeof(out[0].codes);
  if (absmax.size() != out.size() || codes.size() % bytes != 0 || codes.size() / bytes != out.size())
    return {errc::size_mismatch, 0};
  for (std::size_t i = 0; i < out.size(); ++i) {
    store(out[i].absmax, to_bits(absmax[i]));
    for (std::size_t k = 0; k < bytes; ++k) out[i].codes[k] = codes[i * bytes + k];
  }
  return {};
}
template <class Blocks>
status split_scales(const Blocks& blocks, std::span<std::uint8_t> codes, std::span<float> absmax) noexcept {
  const std::span in(blocks);
  constexpr std::size_t bytes = sizeof(in[0].codes);
  if (absmax.size() != in.size() || codes.size() % bytes != 0 || codes.size() / bytes != in.size())
    return {errc::size_mismatch, 0};
  for (std::size_t i = 0; i < in.size(); ++i) {
    absmax[i] = from_bits(load(in[i].absmax));
    for (std::size_t k = 0; k < bytes; ++k) codes[i * bytes + k] = in[i].codes[k];
  }
  return {};
}

// Scales that are quantized once more ("double quantization"): absmax[i] = table[codes[i]] * scales[i / 256] + offset,
// rounded twice. A checkpoint brings the table along (nested_quant_map); bnb_dynamic is the one that bitsandbytes
// makes. errc::size_mismatch unless there is a code for each absmax and a scale for each 256 of them, also for the last
// ones; absmax is then left as it was.
inline status decode_nested_scales(std::span<const std::uint8_t> codes, std::span<const float> scales, float offset,
                                   std::span<float> absmax, const bnb_dynamic_code& table = bnb_dynamic) noexcept {
  if (codes.size() != absmax.size() || scales.size() != absmax.size() / 256 + (absmax.size() % 256 != 0))
    return {errc::size_mismatch, 0};
  const fp_environment modes;
  for (std::size_t i = 0; i < absmax.size(); ++i)
    absmax[i] = (lane(table.values[codes[i]]) * lane(scales[i / 256]) + lane(offset)).v;
  return {};
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
