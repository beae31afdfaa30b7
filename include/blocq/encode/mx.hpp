// Encoders of the OCP Microscaling formats and of GGUF's mxfp4.
//
// OCP: the scale follows from the largest magnitude by one of four rules, the elements are divided by it (exactly: it
// is a power of two) and rounded to nearest, ties to even; what is too large for an element becomes its highest number.
//   NaN or infinity in a block   scale 0xff and codes 0: all its elements decode to NaN
//   zero block                   scale 0; a -0 keeps its sign in the formats that have one
//   finite blocks                decode to finite numbers: a rule that rounds up is kept from choosing a scale with
//                                which the highest number would overflow (only above 2^127)
//   binary32 subnormals          are numbers like all others
#ifndef BLOCQ_ENCODE_MX_HPP
#define BLOCQ_ENCODE_MX_HPP

#include <blocq/encode/reference.hpp>
#include <blocq/format/mx.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

// The scale byte that a rule gives for a block with this largest magnitude (0xff for an infinity or a NaN).
// With e and m the exponent field and the mantissa of amax:
//   floor   e - emax                                                                   OCP MX v1.0, section 6.3
//   ceil    e - emax, one more if m is not 0
//   even    as floor, after rounding amax, half up, to as many bits as an element has
//   rceil   amax / (highest number), as the product with its rounded reciprocal, up to a power of two    cuBLAS,
//   torchao
template <class Element>
std::uint8_t shared_scale(float amax, scale_rule rule) noexcept {
  std::uint32_t bits = to_bits(amax) & 0x7fffffffu;
  if (bits >= 0x7f800000u) return 0xff;
  if (rule == scale_rule::rceil) {
    constexpr float reciprocal = 1.0f / Element{Element::max_code}.to_float();
    bits = to_bits((lane(from_bits(bits)) * lane(reciprocal)).v);
    if (bits < 0x00800000u) return bits > 0x00400000u ? 1 : 0;
    return static_cast<std::uint8_t>((bits + 0x7fffffu) >> 23);
  }
  if (rule == scale_rule::ceil) bits += 0x7fffffu;
  if (rule == scale_rule::even) bits += 1u << (22 - Element::mantissa_bits);
  const int byte = static_cast<int>(bits >> 23) - Element::emax;
  if (rule == scale_rule::even && bits >= 0x7f800000u) return 0xff;
  return static_cast<std::uint8_t>(byte < 0 ? 0 : byte);
}

template <class Element, std::size_t N>
void encode(const float* x, std::size_t blocks, const encode_context& c, mx_block<Element, N>* out) noexcept {
  constexpr std::uint8_t highest_scale = 254 - Element::emax;
  for (std::size_t b = 0; b < blocks; ++b, x += N) {
    std::uint32_t amax = 0;
    for (std::size_t i = 0; i < N; ++i) amax = amax > (to_bits(x[i]) & 0x7fffffffu) ? amax : to_bits(x[i]) & 0x7fffffffu;
    std::uint8_t scale = shared_scale<Element>(from_bits(amax), c.rule);
    std::uint8_t codes[N] = {};
    if (amax < 0x7f800000u) {
      scale = scale < highest_scale ? scale : highest_scale;
      const float inverse = from_bits(scale == 254 ? 0x00400000u : (254u - scale) << 23);
      for (std::size_t i = 0; i < N; ++i) codes[i] = Element::from_float(x[i] * inverse).code;  // exact, or far below any code
    }
    out[b].scale = scale;
    set_codes(out[b], codes);
  }
}

namespace detail {

// floor(log2f(x)) of a positive finite x with glibc's log2f: a little below 2^k the logarithm rounds to k. With
// x = 2^k * (1 - j / 2^24) it does if j <= ln(2) * 2^w, where 2^(w - 23) is the distance of k to the next float below:
// w = floor(log2|k|), one less where k is itself a power of two. Compared with glibc 2.36 for every positive float.
constexpr int floor_log2f(float x) noexcept {
  std::uint32_t significand = to_bits(x) & 0x7fffffu;
  int exponent = static_cast<int>(to_bits(x) >> 23) - 127;
  if (exponent == -127) {
    for (exponent = -126; significand < 0x800000u; --exponent) significand <<= 1;
    significand -= 0x800000u;
  }
  const int k = exponent + 1;
  int w = -1;
  for (int rest = k < 0 ? -k : k - (k > 0); rest > 0; rest >>= 1) ++w;
  const int limit = w < 0 ? 0 : 88 >> (7 - w);  // floor(ln(2) * 2^w) for w < 7
  return 0x800000 - static_cast<int>(significand) <= limit ? k : exponent;
}

// The largest magnitude; NaNs do not count.
inline float largest_magnitude(const float* x, int n) noexcept {
  std::uint32_t largest = 0;
  for (int i = 0; i < n; ++i) {
    const std::uint32_t magnitude = to_bits(x[i]) & 0x7fffffffu;
    largest = magnitude > largest && magnitude <= 0x7f800000u ? magnitude : largest;
  }
  return from_bits(largest);
}

// Codes of the doubled E2M1 table in units of d, each the first of those with the least |value * d - x|. Code 8 is
// never chosen, and what is not finite gets code 0. A lane is an element.
template <class L, std::size_t N>
void nearest_doubled(const float* x, float d, std::uint8_t* codes) noexcept {
  float nearest[N];
  for (std::size_t i = 0; i < N; i += lane_traits<L>::size) {
    L v;
    gather(v, x + i, 1, N - i);
    L magnitude = abs(v), code = 0.0f;
    magnitude = select(magnitude <= L(3.40282347e38f), magnitude, L(0.0f));
    L least = magnitude;
    for (int c = 1; c < 8; ++c) {
      const L distance = abs(L(static_cast<float>(e2m1_doubled_code::values[c])) * L(d) - magnitude);
      const mask_t<L> nearer = distance < least;
      least = select(nearer, distance, least);
      code = select(nearer, L(static_cast<float>(c)), code);
    }
    code = select((v < L(0.0f)) & (code > L(0.0f)), code + L(8.0f), code);
    scatter(code, nearest + i, 1, N - i);
  }
  for (std::size_t i = 0; i < N; ++i) codes[i] = static_cast<std::uint8_t>(nearest[i]);
}

}  // namespace detail

// As GGUF's reference has it, quirks included:
//   - the exponent is floor(log2f(amax)) - 2 with the rounding of log2f, see floor_log2f;
//   - it wraps below 2^-125: with amax in [2^-126, 2^-125) e is 0xff, which is_valid refuses; all codes are 0 there;
//   - ties go to the smaller magnitude, a NaN or an infinity gets code 0, and an infinity makes e 0.
template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context&, mxfp4* out) noexcept {
  for (std::size_t b = 0; b < blocks; ++b, x += 32) {
    const float amax = detail::largest_magnitude(x, 32);
    const bool usable = is_finite(amax) && to_bits(amax) != 0;
    out[b].e = static_cast<std::uint8_t>(usable ? detail::floor_log2f(amax) - 2 + 127 : 0);
    std::uint8_t codes[32];
    detail::nearest_doubled<L, 32>(x, impl::half_e8m0(out[b].e), codes);
    set_codes(out[b], codes);
  }
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
