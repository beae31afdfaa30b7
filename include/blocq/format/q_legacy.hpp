// The GGUF formats of the first generation: one scale, sometimes one minimum, for 32 elements.
// Layouts and decoders only; the encoders are in encode/.
//
// In `qs` of the 4- and 5-bit formats byte j holds element j in its low and element j + 16 in its high nibble.
#ifndef BLOCQ_FORMAT_Q_LEGACY_HPP
#define BLOCQ_FORMAT_Q_LEGACY_HPP

#include <blocq/core/bits.hpp>
#include <blocq/elem/integer.hpp>
#include <blocq/format/concept.hpp>

namespace blocq::inline v0 {

// y = d * (q - 8)
struct q4_0 {
  le16 d;  // binary16
  std::uint8_t qs[16];
};
static_assert(sizeof(q4_0) == 18);

// y = d * q
struct q8_0 {
  le16 d;  // binary16
  std::int8_t qs[32];
};
static_assert(sizeof(q8_0) == 34);

template <>
struct format_traits<q4_0> {
  static constexpr const char* name = "q4_0";
  static constexpr std::size_t block_size = 32;
  static constexpr int gguf_id = 2;
  static constexpr bool importance = true;
  using element = packed_int<4, 8>;
  using operand = q8_0;
};

template <>
struct format_traits<q8_0> {
  static constexpr const char* name = "q8_0";
  static constexpr std::size_t block_size = 32;
  static constexpr int gguf_id = 8;
  static constexpr bool importance = false;
  using element = packed_int<8, 0>;
  using operand = q8_0;
};

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

constexpr void decode(const q4_0& b, float* y) noexcept {
  const float d = f16_to_f32(load(b.d));
  for (int j = 0; j < 16; ++j) {
    y[j] = static_cast<float>((b.qs[j] & 15) - 8) * d;
    y[j + 16] = static_cast<float>((b.qs[j] >> 4) - 8) * d;
  }
}

constexpr void decode(const q8_0& b, float* y) noexcept {
  const float d = f16_to_f32(load(b.d));
  for (int j = 0; j < 32; ++j) y[j] = static_cast<float>(b.qs[j]) * d;
}

// True if a decoder gets finite numbers from the block: its scales are finite.
constexpr bool is_valid(const q4_0& b) noexcept { return is_finite(f16_to_f32(load(b.d))); }
constexpr bool is_valid(const q8_0& b) noexcept { return is_finite(f16_to_f32(load(b.d))); }

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
