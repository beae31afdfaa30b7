// NVFP4: E2M1 codes in groups of 16, each group with a scale of its own in E4M3. Two forms:
//
//   nvfp4            GGUF's block of 64 elements, decoded by what it holds alone. A model's tensor scale, if there is
//                    one, is another tensor and another multiplication (`<name>.scale`).
//   two-level form   codes, group scales and one binary32 scale for the tensor, in three arrays: what checkpoints of
//                    other engines hold. decode_nvfp4 below, encode_nvfp4 in encode/nvfp4.hpp, and join_scales and
//                    split_scales in format/split.hpp between its arrays and GGUF's blocks.
#ifndef BLOCQ_FORMAT_NVFP4_HPP
#define BLOCQ_FORMAT_NVFP4_HPP

#include <blocq/core/error.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/core/lane.hpp>
#include <blocq/elem/codebook.hpp>
#include <blocq/elem/minifloat.hpp>
#include <blocq/format/planes.hpp>
#include <blocq/format/q_legacy.hpp>

#include <span>

namespace blocq::inline v0 {

//   0   4                                36
//   | d | qs                             |     4 groups of 16: y = d[g] * element, d[g] a float8_ue4m3
struct nvfp4 {
  std::uint8_t d[4];
  std::uint8_t qs[32];  // group g in bytes 8g to 8g + 7; byte 8g + j: element j in the low, j + 8 in the high nibble
};
static_assert(sizeof(nvfp4) == 36);

template <>
struct format_traits<nvfp4> : impl::gguf_traits<40, 64, e2m1_doubled_code, q8_0, false> {
  static constexpr const char* name = "nvfp4";
  using codes = planes<plane<&nvfp4::qs, 4, 8>>;
};

// The scale of the whole tensor in the two-level form. Both conventions are in use:
//   multiplier   y = code * (group scale * value)    ModelOpt (weight_scale_2), torchao (per_tensor_scale)
//   divisor      y = code * (group scale / value)    compressed-tensors (weight_global_scale), FlashInfer
struct nvfp4_tensor_scale {
  enum class convention : unsigned char { multiplier, divisor };
  float value = 1.0f;
  convention meaning = convention::multiplier;
};

namespace impl {
// Half of a group scale of GGUF's nvfp4, the unit of its doubled codes. Bit 7 counts for nothing; code 0x7f, the NaN of
// float8_e4m3fn, is 0, but 0xff is 480 like any other number.
BLOCQ_INLINE constexpr float half_ue4m3(std::uint8_t code) noexcept {
  const std::uint8_t number = code == 0x7f ? 0 : code;  // chosen as an integer: -ffast-math may drop the sign of x * 0
  return float8_ue4m3{number}.to_float() * 0.5f;
}
}  // namespace impl

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

constexpr void decode(const nvfp4& b, float* y) noexcept {
  std::uint8_t q[64];
  get_codes(b, q);
  for (int i = 0; i < 64; ++i)
    y[i] = static_cast<float>(e2m1_doubled_code::values[q[i]]) * impl::half_ue4m3(b.d[i / 16]);
}

// Any scale code stands for a finite number.
constexpr bool is_valid(const nvfp4&) noexcept { return true; }

// The two-level form to floats: y.size() elements from y.size() / 2 bytes of codes, the first of two in the low nibble,
// and y.size() / Group scales. AutoRound's nvfp4-e5m3 checkpoints have scales of type float8_ue5m3 for groups of 16 or
// 32 and no tensor scale: it is 1. The result does not depend on the floating-point modes in force.
// Refused, with y left as it was: errc::ragged, errc::size_mismatch.
template <class Scale = float8_e4m3fn, std::size_t Group = 16>
status decode_nvfp4(std::span<const std::uint8_t> codes, std::span<const std::uint8_t> scales,
                    nvfp4_tensor_scale tensor, std::span<float> y) noexcept {
  if (y.size() % Group != 0) return {errc::ragged, 0};
  if (codes.size() != y.size() / 2 || scales.size() != y.size() / Group) return {errc::size_mismatch, 0};
  const fp_environment modes;
  for (std::size_t g = 0; g < scales.size(); ++g) {
    const float group = Scale{scales[g]}.to_float();
    const bool multiply = tensor.meaning == nvfp4_tensor_scale::convention::multiplier;
    const float scale = (multiply ? lane(group) * lane(tensor.value) : lane(group) / lane(tensor.value)).v;
    std::uint8_t q[Group];
    impl::unpack_dense<4>(&codes[Group / 2 * g], q, Group);
    for (std::size_t i = 0; i < Group; ++i) y[Group * g + i] = (lane(float4_e2m1fn{q[i]}.to_float()) * lane(scale)).v;
  }
  return {};
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
