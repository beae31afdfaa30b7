// Encoders of both forms of NVFP4.
#ifndef BLOCQ_ENCODE_NVFP4_HPP
#define BLOCQ_ENCODE_NVFP4_HPP

#include <blocq/encode/mx.hpp>
#include <blocq/encode/reference.hpp>
#include <blocq/format/nvfp4.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {
// The group scale as GGUF's reference rounds it: halves up, judged by the first bit that falls away alone; subnormal
// codes stop at 7 instead of carrying into the first normal one; from 256 on everything is 448. x is not a NaN.
template <class L>
packed_t<L> to_ue4m3(L x) noexcept {
  using P = packed_t<L>;
  const P bits = bits_of(x), rounded = (bits >> 20) + ((bits >> 19) & P(1)) - P(120 << 3);
  const P normal = rounded + keep(P(0x7e) - rounded, rounded > P(0x77));
  const P subnormal(min_of(x * L(512.0f) + L(0.5f), L(7.0f)));
  return subnormal + keep(normal - subnormal, bits > P(0x3c7fffff));  // from 2^-6 on
}

// The unit of a group's doubled codes for each group scale; where it is 0 nothing is a whole number of units.
struct doubled_units {
  float of[128] = {};

  constexpr doubled_units() noexcept {
    for (std::uint8_t code = 0; code < 127; ++code) of[code] = impl::half_ue4m3(code);
    of[0] = of[127] = from_bits(0x7f800000u);
  }
};
inline constexpr doubled_units nvfp4_units;
}  // namespace detail

// As GGUF's reference has it: the group scale is a sixth of the largest magnitude, but not above 448 and 0 when small,
// so values above 2688 are cut off and groups below 2^-10 * 6 become zero; ties go to the smaller magnitude; a NaN or
// an infinity gets code 0, and an infinity makes its group's scale 448.
template <integer_lane L = lane>
void encode(const float* p, std::size_t blocks, const encode_context&, nvfp4* out) noexcept {
  constexpr std::size_t K = 16 / lane_traits<L>::size, at_once = 4;
  for (std::size_t b = 0; b < blocks; b += at_once) {
    const std::size_t count = blocks - b < at_once ? blocks - b : at_once;
    std::uint32_t peak[4 * at_once];
    std::uint8_t scale[4 * at_once];
    float amax[4 * at_once] = {};
    detail::find_peaks<L, 16>(p, 4 * count, peak);
    for (std::size_t g = 0; g < 4 * count; ++g)
      amax[g] = peak[g] < 0x7f800000u ? from_bits(peak[g]) : detail::largest_magnitude(p + 16 * g, 16);
    L largest[4 * at_once / lane_traits<L>::size];
    packed_t<L> scales[4 * at_once / lane_traits<L>::size];
    detail::gather_run<L, 4 * at_once>(amax, largest);
    for (std::size_t j = 0; j < 4 * at_once / lane_traits<L>::size; ++j)
      scales[j] = detail::to_ue4m3(largest[j] / L(6.0f));
    scatter_run(scales, scale);

    for (std::size_t i = 0; i < count; ++i) {
      nvfp4& block = out[b + i];
      packed_t<L> code[4 * K];
      for (std::size_t g = 0; g < 4; ++g) {
        // A quotient is on the same side of a midpoint as x is of the midpoint times the unit, which is exact: a unit
        // has four bits, so what lies beyond by one bit of x lies beyond by more than half a bit of the quotient.
        const L unit = detail::nvfp4_units.of[scale[4 * i + g]];
        L x[K];
        detail::gather_run<L, 16>(p + 16 * g, x);
        for (std::size_t j = 0; j < K; ++j) code[g * K + j] = detail::doubled_code(x[j] / unit);
        block.d[g] = scale[4 * i + g];
      }
      detail::pack_halves<L, 16>(code, block.qs);
      for (std::size_t g = 0; g < 4; ++g, p += 16) {
        if (peak[4 * i + g] < 0x49800000u) continue;  // beyond 2^20 the distances are rounded
        std::uint8_t codes[16];
        detail::nearest_doubled<16>(p, impl::half_ue4m3(block.d[g]), codes);
        for (std::size_t j = 0; j < 8; ++j)
          block.qs[8 * g + j] = static_cast<std::uint8_t>(codes[j] | codes[j + 8] << 4);
      }
    }
  }
}

// The tensor scale with which the largest magnitude of a tensor becomes 6 * 448: amax / 2688, or 2688 / amax as a
// divisor. What is not finite does not count; 1 if there is nothing but zeros; kept within the normal numbers.
inline nvfp4_tensor_scale fit_nvfp4(std::span<const float> x, nvfp4_tensor_scale::convention meaning =
                                                                  nvfp4_tensor_scale::convention::multiplier) noexcept {
  std::uint32_t amax = 0;
  for (const float v : x) {
    const std::uint32_t magnitude = to_bits(v) & 0x7fffffffu;
    amax = magnitude > amax && magnitude < 0x7f800000u ? magnitude : amax;
  }
  if (amax == 0) return {1.0f, meaning};
  const fp_environment modes;
  const lane largest = from_bits(amax), range = 448.0f * 6.0f;
  const bool multiply = meaning == nvfp4_tensor_scale::convention::multiplier;
  const float value = (multiply ? largest / range : range / largest).v;
  return {from_bits(to_bits(value) < 0x00800000u   ? 0x00800000u
                    : to_bits(value) > 0x7f7fffffu ? 0x7f7fffffu
                                                   : to_bits(value)),
          meaning};
}

// Floats to the two-level form under a given tensor scale: x.size() elements to x.size() / 2 bytes of codes and
// x.size() / Group scales, laid out as decode_nvfp4 reads them. The rule is torchao's: the group scale is a sixth of
// the largest magnitude over the tensor scale, between 2^-6 and 448, nearest even; the elements are divided by what the
// decoder multiplies with, rounded to nearest, ties to even, and end at 6. Scales of type float8_ue5m3 follow
// AutoRound: the product with the rounded sixth, from 0 to 114688. The modes in force do not matter.
// Refused, with the destination left as it was: errc::ragged, errc::size_mismatch, errc::bad_value (the tensor scale is
// not a positive normal number).
// Reported with the index of the first group concerned, everything else being written: errc::not_finite (a NaN or an
// infinity in the group: its scale is NaN and its codes are 0).
template <class Scale = float8_e4m3fn, std::size_t Group = 16>
status encode_nvfp4(std::span<const float> x, nvfp4_tensor_scale tensor, std::span<std::uint8_t> codes,
                    std::span<std::uint8_t> scales) noexcept {
  if (x.size() % Group != 0) return {errc::ragged, 0};
  if (codes.size() != x.size() / 2 || scales.size() != x.size() / Group) return {errc::size_mismatch, 0};
  if (to_bits(tensor.value) < 0x00800000u || to_bits(tensor.value) >= 0x7f800000u) return {errc::bad_value, 0};
  const fp_environment modes;
  const bool multiply = tensor.meaning == nvfp4_tensor_scale::convention::multiplier;
  const lane whole = tensor.value;
  status outcome{};
  const auto decoded = [&](std::uint8_t code) {
    const lane group = Scale{code}.to_float();
    return multiply ? group * whole : group / whole;
  };
  for (std::size_t g = 0; g < scales.size(); ++g) {
    const float* p = &x[Group * g];
    std::uint8_t q[Group] = {};
    bool finite = true;
    for (std::size_t i = 0; i < Group; ++i) finite = finite && is_finite(p[i]);
    if (finite) {
      constexpr bool divide = std::is_same_v<Scale, float8_e4m3fn>;
      const lane largest = detail::largest_magnitude(p, Group);
      const lane sixth = divide ? largest / lane(6.0f) : largest * lane(1.0f / 6.0f);
      const lane wanted = max_of(multiply ? sixth / whole : sixth * whole, lane(divide ? 0x1p-6f : 0.0f));
      scales[g] = Scale::from_float(wanted.v).code;
      lane scale = decoded(scales[g]);
      if (!is_finite((scale * lane(6.0f)).v)) scale = decoded(--scales[g]);
      if (scale > lane(0.0f))
        for (std::size_t i = 0; i < Group; ++i) q[i] = float4_e2m1fn::from_float((lane(p[i]) / scale).v).code;
    } else {
      scales[g] = Scale::nan_code;
      if (outcome) outcome = {errc::not_finite, g};
    }
    impl::pack_dense<4>(q, Group, &codes[Group / 2 * g]);
  }
  return outcome;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
