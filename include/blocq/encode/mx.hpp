// Encoders of the OCP Microscaling formats and of GGUF's mxfp4.
//
// OCP: the scale follows from the largest magnitude by one of six rules, the elements are divided by it (exactly: it
// is a power of two) and rounded to nearest, ties to even; what is too large for an element becomes its highest number.
//   NaN or infinity in a block   scale 0xff and codes 0: all its elements decode to NaN
//   zero block                   scale 0; a -0 keeps its sign in the formats that have one
//   finite blocks                decode to finite numbers: a rule that rounds up is kept from choosing a scale with
//                                which the highest number would overflow (only above 2^127)
//   binary32 subnormals          are numbers like all others
#ifndef BLOCQ_ENCODE_MX_HPP
#define BLOCQ_ENCODE_MX_HPP

#include <blocq/core/bits.hpp>
#include <blocq/encode/reference.hpp>
#include <blocq/format/mx.hpp>

#include <cstring>

namespace blocq::inline v0::inline BLOCQ_ISA {

// The scale byte that a rule gives for a block with this largest magnitude (0xff for an infinity or a NaN).
// With e and m the exponent field and the mantissa of amax, and highest the highest number of an element:
//   floor                e - emax                                                         OCP MX v1.0, section 6.3
//   ceil                 e - emax, one more if m is not 0
//   even                 as floor, after rounding amax, half up, to as many bits as an element has
//   rceil                amax / highest, as the product with its rounded reciprocal, up to a power of two
//                                                                                         cuBLAS, torchao
//   compressed_tensors   as floor, after rounding amax, half up, to the two bits of E2M1, whatever the element is: from
//                        1.75 * 2^k on it counts as 2^(k + 1)                             compressed-tensors 0.17
//   modelopt             the least power of two that is not below amax / highest, which is rounded. ModelOpt takes a
//                        binary32 logarithm, whose last bits differ from machine to machine: amax / highest less than
//                        some 3e-6 above a power of two may count as that power there
template <class Element>
std::uint8_t shared_scale(float amax, scale_rule rule) noexcept {
  std::uint32_t bits = to_bits(amax) & 0x7fffffffu;
  if (bits >= 0x7f800000u) return 0xff;
  if (rule == scale_rule::rceil || rule == scale_rule::modelopt) {
    constexpr float highest = Element{Element::max_code}.to_float(), reciprocal = 1.0f / highest;
    const lane x = from_bits(bits);
    bits = to_bits((rule == scale_rule::rceil ? x * lane(reciprocal) : x / lane(highest)).v);
    if (bits < 0x00800000u) return bits > 0x00400000u ? 1 : 0;
    return static_cast<std::uint8_t>((bits + 0x7fffffu) >> 23);
  }
  if (rule == scale_rule::ceil) bits += 0x7fffffu;
  if (rule == scale_rule::even) bits += 1u << (22 - Element::mantissa_bits);
  if (rule == scale_rule::compressed_tensors) bits += 1u << (22 - float4_e2m1fn::mantissa_bits);
  if (rule != scale_rule::ceil && bits >= 0x7f800000u) return 0xff;
  const int byte = static_cast<int>(bits >> 23) - Element::emax;
  return static_cast<std::uint8_t>(byte < 0 ? 0 : byte);
}

namespace detail {

// Element::from_float of finite numbers, a lane being an element.
template <class Element, class L>
packed_t<L> element_codes(L x) noexcept {
  using P = packed_t<L>;
  constexpr auto highest = static_cast<std::int32_t>(Element::max_code), sign = 1 << (Element::bits - 1);
  if constexpr (requires { Element::bias; }) {
    const P magnitude = min_of(minifloat_magnitude<Element>(x), P(highest));
    return magnitude | ((bits_of(x) >> (32 - Element::bits)) & P(sign));
  } else {
    const L steps = x * L(static_cast<float>(1 << Element::mantissa_bits));
    return P(nearest_int(max_of(min_of(steps, L(static_cast<float>(highest))), L(-static_cast<float>(highest))))) &
           P(255);
  }
}

// N codes without a gap between them.
template <std::size_t N, int Bits, class P, std::size_t K>
void store_dense(const P (&code)[K], std::uint8_t* bytes) noexcept {
  if constexpr (Bits == 8) {
    scatter_run(code, bytes);
  } else if constexpr (Bits == 4) {
    scatter_nibbles(code, bytes);
  } else {
    std::uint8_t codes[N];
    scatter_run(code, codes);
    impl::pack_dense<Bits>(codes, N, bytes);
  }
}

}  // namespace detail

template <integer_lane L = lane, class Element, std::size_t N>
void encode(const float* p, std::size_t blocks, const encode_context& c, mx_block<Element, N>* out) noexcept {
  using lanes = std::conditional_t<N % lane_traits<L>::size == 0, L, lane>;
  constexpr std::size_t K = N / lane_traits<lanes>::size;
  constexpr std::uint8_t highest_scale = 254 - Element::emax;
  std::uint32_t peak[16];
  for (std::size_t b = 0; b < blocks; ++b, p += N) {
    if (b % 16 == 0) detail::find_peaks<lanes, N>(p, blocks - b < 16 ? blocks - b : 16, peak);
    const std::uint8_t scale = shared_scale<Element>(from_bits(peak[b % 16]), c.rule);
    if (peak[b % 16] >= 0x7f800000u) {
      out[b] = {};
      out[b].scale = scale;
      continue;
    }
    out[b].scale = scale < highest_scale ? scale : highest_scale;
    const lanes inverse = from_bits(out[b].scale == 254 ? 0x00400000u : (254u - out[b].scale) << 23);
    lanes x[K];
    packed_t<lanes> code[K];
    detail::gather_run<lanes, N>(p, x);
    for (std::size_t j = 0; j < K; ++j)
      code[j] = detail::element_codes<Element>(x[j] * inverse);  // exact, or far below any code
    detail::store_dense<N, Element::bits>(code, out[b].codes);
  }
}

namespace detail {

template <class Element, std::size_t N>
inline constexpr std::uint32_t valid_below<mx_block<Element, N>> = 0x7f800000;
template <class Element, std::size_t N>
inline constexpr bool has_scale_rule<mx_block<Element, N>> = true;
template <>
inline constexpr bool has_scale_rule<mxfp4> = true;

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
  const unsigned magnitude = static_cast<unsigned>(k < 0 ? -k : k - (k > 0));
  const int w = bit_width(magnitude) - 1;
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

// Codes of the doubled E2M1 table in units of d, each the first of those with the least |value * d - x|: of two equally
// near the smaller magnitude. Code 8 is never chosen, and what is not finite gets code 0.
template <std::size_t N>
void nearest_doubled(const float* x, float d, std::uint8_t* codes) noexcept {
  for (std::size_t i = 0; i < N; ++i) {
    const lane magnitude = is_finite(x[i]) ? from_bits(to_bits(x[i]) & 0x7fffffffu) : 0.0f;
    lane least = magnitude;
    std::uint8_t code = 0;
    for (std::uint8_t c = 1; c < 8; ++c) {
      const lane distance = abs(lane(static_cast<float>(e2m1_doubled_code::values[c])) * lane(d) - magnitude);
      if (!(distance < least)) continue;
      least = distance;
      code = c;
    }
    codes[i] = static_cast<std::uint8_t>(code + (code != 0 && to_bits(x[i]) >> 31 != 0 ? 8 : 0));
  }
}

// The same in units of 1 for finite x, a lane being an element. Between two neighbours of the table the distances are
// exact, so only the midpoints count: from 2 on the code is the exponent and the first bit of the mantissa, rounded,
// halves down; below it is 0, 1 or 2.
template <class L>
packed_t<L> doubled_code(L x) noexcept {
  using P = packed_t<L>;
  const P bits = bits_of(x), magnitude = bits & P(INT32_MAX);
  const auto some = magnitude > P(0x3f000000);
  const P below = add_one(add_one(P(0), some), magnitude > P(0x3fc00000));
  const P above = min_of((magnitude - P(0x3f600001)) >> 22, P(7));
  return max_of(above, below) | keep((bits >> 28) & P(8), some);
}

// Codes to half as many bytes. In each run of N, element j gets the low nibble of byte j, element j + N / 2 the high
// one.
template <class L, std::size_t N, std::size_t M>
void pack_halves(const packed_t<L> (&code)[M], std::uint8_t* bytes) noexcept {
  constexpr std::size_t lanes = lane_traits<L>::size, half = N / lanes / 2;  // registers
  if constexpr (half > 0) {
    packed_t<L> pair[M / 2];
    for (std::size_t i = 0; i < M / 2; ++i) {
      const std::size_t j = i / half * 2 * half + i % half;
      pair[i] = code[j] | code[j + half] << 4;
    }
    scatter_run(pair, bytes);
  } else {
    static_assert(N == 16);
    std::uint8_t single[M * lanes];
    scatter_run(code, single);
    for (std::size_t i = 0; i < M * lanes; i += 16) {  // no code reaches into the next byte
      std::uint64_t low, high;
      std::memcpy(&low, single + i, 8);
      std::memcpy(&high, single + i + 8, 8);
      low |= high << 4;
      std::memcpy(bytes + i / 2, &low, 8);
    }
  }
}

}  // namespace detail

// With scale_rule::floor as GGUF's reference has it, quirks included; with another rule the numbers of mxfp4_ocp.
//   - the exponent is floor(log2f(amax)) - 2 with the rounding of log2f, see floor_log2f;
//   - it wraps below 2^-125: with amax in [2^-126, 2^-125) e is 0xff, which is_valid refuses; all codes are 0 there;
//   - ties go to the smaller magnitude, a NaN or an infinity gets code 0, and an infinity makes e 0.
template <integer_lane L = lane>
void encode(const float* p, std::size_t blocks, const encode_context& c, mxfp4* out) noexcept {
  if (c.rule != scale_rule::floor) {
    for (std::size_t b = 0; b < blocks; ++b) {
      mx_block<float4_e2m1fn, 32> ocp;
      encode<L>(p + b * 32, 1, c, &ocp);
      std::uint8_t codes[32];
      for (std::size_t i = 0; i < 32; ++i) codes[i] = ocp.codes[i / 2] >> (i % 2 * 4) & 15;
      out[b].e = ocp.scale;
      set_codes(out[b], codes);
    }
    return;
  }
  constexpr std::size_t K = 32 / lane_traits<L>::size;
  std::uint32_t peak[16];
  for (std::size_t b = 0; b < blocks; ++b, p += 32) {
    if (b % 16 == 0) detail::find_peaks<L, 32>(p, blocks - b < 16 ? blocks - b : 16, peak);
    const bool finite = peak[b % 16] < 0x7f800000u;
    const float amax = finite ? from_bits(peak[b % 16]) : detail::largest_magnitude(p, 32);
    const bool usable = is_finite(amax) && to_bits(amax) != 0;
    const auto e = static_cast<std::uint8_t>(usable ? detail::floor_log2f(amax) - 2 + 127 : 0);
    out[b].e = e;
    if (finite && e >= 2 && e <= 250) {
      L x[K];
      packed_t<L> code[K];
      detail::gather_run<L, 32>(p, x);
      const L inverse = from_bits((255u - e) << 23);
      for (std::size_t j = 0; j < K; ++j) code[j] = detail::doubled_code(x[j] * inverse);
      detail::pack_halves<L, 32>(code, out[b].qs);
    } else {
      std::uint8_t codes[32];
      detail::nearest_doubled<32>(p, impl::half_e8m0(e), codes);
      set_codes(out[b], codes);
    }
  }
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
