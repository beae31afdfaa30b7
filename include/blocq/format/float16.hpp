// The two 16-bit floats as formats of one element without a scale, so that everything that runs over formats takes
// them along. As numbers they are float16 and bfloat16 of elem/minifloat.hpp.
#ifndef BLOCQ_FORMAT_FLOAT16_HPP
#define BLOCQ_FORMAT_FLOAT16_HPP

#include <blocq/elem/minifloat.hpp>
#include <blocq/format/concept.hpp>

namespace blocq::inline v0 {

struct f16 {
  le16 code;  // binary16
};
static_assert(sizeof(f16) == 2);

struct bf16 {
  le16 code;  // bfloat16
};
static_assert(sizeof(bf16) == 2);

template <>
struct format_traits<f16> : impl::gguf_traits<1, 1, float16, f16, false> {
  static constexpr const char* name = "f16";
};
template <>
struct format_traits<bf16> : impl::gguf_traits<30, 1, bfloat16, bf16, false> {
  static constexpr const char* name = "bf16";
};

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

constexpr void decode(const f16& b, float* y) noexcept { *y = f16_to_f32(b.code); }
constexpr void decode(const bf16& b, float* y) noexcept { *y = bf16_to_f32(load(b.code)); }

// True if the number is finite.
constexpr bool is_valid(const f16& b) noexcept { return is_finite(f16_to_f32(b.code)); }
constexpr bool is_valid(const bf16& b) noexcept { return is_finite(bf16_to_f32(load(b.code))); }

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
