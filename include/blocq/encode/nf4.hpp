// Encoders of the 4-bit formats of bitsandbytes and of their nested scales.
#ifndef BLOCQ_ENCODE_NF4_HPP
#define BLOCQ_ENCODE_NF4_HPP

#include <blocq/encode/reference.hpp>
#include <blocq/format/nf4.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// How many thresholds x exceeds; none if x is a NaN.
template <class L, std::size_t K>
L count_above(L x, const float (&thresholds)[K]) noexcept {
  L count = 0.0f;
  for (const float t : thresholds) count = count + select(x > L(t), L(1.0f), L(0.0f));
  return count;
}

template <class L>
L nearest_code(nf4_code, L x) noexcept {
  return count_above(x, nf4_code::thresholds);
}
// The magnitudes in ascending order, and 8 for the sign: rank, not yet code.
template <class L>
L nearest_code(bnb_fp4_code, L x) noexcept {
  return count_above(abs(x), bnb_fp4_code::thresholds) + select(x < L(0.0f), L(8.0f), L(0.0f));
}

BLOCQ_INLINE std::uint8_t code_of_rank(nf4_code, std::uint8_t rank) noexcept { return rank; }
BLOCQ_INLINE std::uint8_t code_of_rank(bnb_fp4_code, std::uint8_t rank) noexcept {
  return static_cast<std::uint8_t>(bnb_fp4_code::ascending[rank & 7] | (rank & 8));
}

}  // namespace detail

// As bitsandbytes has it: the codes are those of x * (1 / absmax), judged by its thresholds. In a block of zeros that
// product is a NaN and the code 0. Where the reciprocal would overflow (absmax below 2^-128), and with it all codes of
// the reference, both factors are first brought nearer to 1. A NaN or an infinity makes the whole block NaN: its absmax
// is one and its codes are 0.
template <class L = lane, class Code, std::size_t N>
void encode(const float* x, std::size_t blocks, const encode_context&, codebook_block<Code, N>* out) noexcept {
  for (std::size_t b = 0; b < blocks; ++b, x += N) {
    std::uint32_t absmax = 0;
    for (std::size_t i = 0; i < N; ++i)
      absmax = absmax > (to_bits(x[i]) & 0x7fffffffu) ? absmax : to_bits(x[i]) & 0x7fffffffu;
    std::uint8_t codes[N] = {};
    if (absmax < 0x7f800000u) {
      float rank[N];
      const float unit = absmax < 0x00400000u ? 0x1p64f : 1.0f;  // 2^-127
      const lane inverse = lane(1.0f) / (lane(from_bits(absmax)) * lane(unit));
      for (std::size_t i = 0; i < N; i += lane_traits<L>::size) {
        L v;
        gather(v, x + i, 1, N - i);
        scatter(detail::nearest_code(Code{}, v * L(unit) * L(inverse.v)), rank + i, 1, N - i);
      }
      for (std::size_t i = 0; i < N; ++i) codes[i] = detail::code_of_rank(Code{}, static_cast<std::uint8_t>(rank[i]));
    }
    store(out[b].absmax, absmax < 0x7f800000u ? absmax : quiet_nan_bits);
    set_codes(out[b], codes);
  }
}

// Scales to 8 bits: the mean goes into `offset`, the rest is quantized in blocks of 256 with bnb_dynamic, each with its
// own scale: its largest magnitude. A code is that of the number nearest to x * (1 / scale), the lower of two. Sizes as
// in decode_nested_scales; otherwise errc::size_mismatch and nothing is written. errc::not_finite, with its index, if a
// scale is a NaN or an infinity; nothing is written then either, because the mean would pass it on to all others.
inline status encode_nested_scales(std::span<const float> absmax, std::span<std::uint8_t> codes,
                                   std::span<float> scales, float& offset) noexcept {
  if (codes.size() != absmax.size() || scales.size() != absmax.size() / 256 + (absmax.size() % 256 != 0))
    return {errc::size_mismatch, 0};
  for (std::size_t i = 0; i < absmax.size(); ++i)
    if (!is_finite(absmax[i])) return {errc::not_finite, i};
  const fp_environment modes;
  volatile double sum = 0;  // which keeps the order of the additions whatever the compiler's flags
  for (const float a : absmax) sum = sum + static_cast<double>(a);
  offset = absmax.empty() ? 0.0f : static_cast<float>(sum / static_cast<double>(absmax.size()));
  for (std::size_t block = 0; block < scales.size(); ++block) {
    const std::size_t first = 256 * block, end = first + 256 < absmax.size() ? first + 256 : absmax.size();
    lane largest = 0.0f;
    for (std::size_t i = first; i < end; ++i) largest = max_of(largest, abs(lane(absmax[i]) - lane(offset)));
    scales[block] = largest.v;
    const lane inverse = largest > lane(0.0f) ? lane(1.0f) / largest : lane(0.0f);
    for (std::size_t i = first; i < end; ++i) {
      const lane x = (lane(absmax[i]) - lane(offset)) * inverse;
      int code = 0;  // how many middles between neighbours x exceeds, by bisection
      for (int step = 128; step > 0; step >>= 1) {
        const int k = code + step;
        if (k < 256 && x > (lane(bnb_dynamic.values[k - 1]) + lane(bnb_dynamic.values[k])) * lane(0.5f)) code = k;
      }
      codes[i] = static_cast<std::uint8_t>(code);
    }
  }
  return {};
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
