// The formats of 256 elements whose groups have small integer scales, and those scales, all of a block at once.
//
// The scales lie in the blocks as fields of 3 to 8 bits. They are brought into place in general registers, eight bytes
// at a time, which costs vectors nothing, and widened to 16 bits in the end.
#ifndef BLOCQ_CODEC_SUPERBLOCK_HPP
#define BLOCQ_CODEC_SUPERBLOCK_HPP

#include <blocq/codec/codec.hpp>

#include <cstring>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// Formats of 256 elements with integer group scales, against q8_k: integers all the way, two floats per block.
template <class B>
concept superblock_format = chunked_format<B> && block_size<B>
== 256 && std::is_same_v<operand_t<B>, q8_k> && !std::is_same_v<B, q8_k>;

// For every 16 elements: the integer scale, and what the sum of their activations is multiplied by, in units of dmin
// where the format has it, else of d.
struct scale_words {
  vec::words scale, min;
};

template <class U>
BLOCQ_INLINE U load_as(const void* p) noexcept {
  little<U> field;
  std::memcpy(&field, p, sizeof field);
  return load(field);
}

BLOCQ_INLINE constexpr std::uint64_t join(std::uint32_t low, std::uint32_t high) noexcept {
  return low | static_cast<std::uint64_t>(high) << 32;
}

// Field i of four or two bits, or of three in the lower twelve bits of two words, to byte i.
BLOCQ_INLINE std::uint64_t nibbles_to_bytes(std::uint32_t fields) noexcept {
  std::uint64_t x = fields;
  x = (x | x << 16) & 0x0000ffff0000ffffu;
  x = (x | x << 8) & 0x00ff00ff00ff00ffu;
  return (x | x << 4) & 0x0f0f0f0f0f0f0f0fu;
}
BLOCQ_INLINE std::uint64_t pairs_to_bytes(std::uint16_t fields) noexcept {
  std::uint64_t x = fields;
  x = (x | x << 24) & 0x000000ff000000ffu;
  x = (x | x << 12) & 0x000f000f000f000fu;
  return (x | x << 6) & 0x0303030303030303u;
}
BLOCQ_INLINE std::uint64_t threes_to_bytes(std::uint16_t first, std::uint16_t second) noexcept {
  const std::uint64_t x = join(first, second);
  return (x & 0x0000000700000007u) | (x << 5 & 0x0000070000000700u) | (x << 10 & 0x0007000000070000u) |
         (x << 15 & 0x0700000007000000u);
}

// Twelve bytes as in q4_k.
BLOCQ_INLINE scale_words six_bit_scales(const std::uint8_t (&p)[12]) noexcept {
  const auto a = load_as<std::uint32_t>(p), b = load_as<std::uint32_t>(p + 4), c = load_as<std::uint32_t>(p + 8);
  constexpr std::uint32_t six = 0x3f3f3f3fu, low = 0x0f0f0f0fu, high = 0x30303030u;
  return {vec::widen_twice(join(a & six, (c & low) | ((a >> 2) & high))),
          vec::widen_twice(join(b & six, ((c >> 4) & low) | ((b >> 2) & high)))};
}

// The lower half of every integer in both halves.
BLOCQ_INLINE vec::words repeat_low_words(vec::ints x) noexcept { return vec::as_words(x | vec::shift_left(x, 16)); }
BLOCQ_INLINE vec::words odd_scales(vec::words codes) noexcept { return codes + codes + vec::fill_words(1); }

template <superblock_format B>
BLOCQ_INLINE scale_words group_scales(const B& b) noexcept {
  constexpr std::uint64_t low = 0x0f0f0f0f0f0f0f0fu;
  vec::words scale;
  if constexpr (std::is_same_v<B, q2_k>) {
    const auto a = load_as<std::uint64_t>(b.scales), c = load_as<std::uint64_t>(b.scales + 8);
    return {vec::widen(a & low, c & low), vec::widen((a >> 4) & low, (c >> 4) & low)};
  } else if constexpr (has_offset<B>) {
    return six_bit_scales(b.scales);
  } else if constexpr (std::is_same_v<B, q3_k>) {
    const auto a = load_as<std::uint64_t>(b.scales);
    const auto h = load_as<std::uint32_t>(b.scales + 8);
    constexpr std::uint64_t high = 0x3030303030303030u;
    scale = vec::widen((a & low) | (join(h << 4, h << 2) & high), ((a >> 4) & low) | (join(h, h >> 2) & high)) -
            vec::fill_words(32);
  } else if constexpr (std::is_same_v<B, q6_k>) {
    scale = vec::widen(load_as<std::uint64_t>(b.scales), load_as<std::uint64_t>(b.scales + 8));
  } else if constexpr (std::is_same_v<B, iq4_xs>) {
    scale =
        vec::widen_twice(nibbles_to_bytes(load_as<std::uint32_t>(b.scales_l)) | pairs_to_bytes(load(b.scales_h)) << 4) -
        vec::fill_words(32);
  } else if constexpr (std::is_same_v<B, iq3_s>) {
    scale = odd_scales(vec::widen_twice(nibbles_to_bytes(load_as<std::uint32_t>(b.scales))));
  } else if constexpr (std::is_same_v<B, iq2_xs> || std::is_same_v<B, iq2_s>) {
    scale = odd_scales(vec::widen(nibbles_to_bytes(load_as<std::uint32_t>(b.scales)),
                                  nibbles_to_bytes(load_as<std::uint32_t>(b.scales + 4))));
  } else if constexpr (std::is_same_v<B, iq2_xxs>) {
    scale = odd_scales(repeat_low_words(vec::shift_right(vec::odd_eighths(b.groups), 28)));
  } else if constexpr (std::is_same_v<B, iq3_xxs>) {
    scale = odd_scales(repeat_low_words(vec::shift_right(vec::load_ints(b.signs_scale), 28)));
  } else if constexpr (std::is_same_v<B, iq1_s>) {
    scale = odd_scales(repeat_low_words(vec::shift_right(vec::widen_words(b.qh), 12) & vec::fill_ints(7)));
  } else if constexpr (std::is_same_v<B, iq1_m>) {
    scale = odd_scales(vec::widen(threes_to_bytes(load(b.scales[0]), load(b.scales[1])),
                                  threes_to_bytes(load(b.scales[2]), load(b.scales[3]))));
  } else {
    static_assert(
        !requires { get_scale(b, 0); }, "the scales of this format are not unpacked");
    scale = vec::fill_words(1);
  }
  return {scale, scale * vec::fill_words(-values_of<B>.lowest)};
}

// What the integers of a format with points are multiples of, in units of the block's scale.
template <class B>
inline constexpr float group_unit = 1.0f;
template <class B>
requires requires { format_traits<B>::unit; }
inline constexpr float group_unit<B> = format_traits<B>::unit;

template <superblock_format B>
BLOCQ_INLINE constexpr float superblock_scale(const B& b) noexcept {
  return block_scale(b) * group_unit<B>;
}

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
