// Where the codes of a block lie: small fields spread over its bytes in planes. A format names its planes in its trait,
// and everything that moves codes (decoders, encoders, codecs) follows from that one line.
#ifndef BLOCQ_FORMAT_PLANES_HPP
#define BLOCQ_FORMAT_PLANES_HPP

#include <blocq/format/concept.hpp>

#include <cstdint>

namespace blocq::inline v0 {

namespace impl {
BLOCQ_INLINE constexpr std::uint64_t eight_bytes(const std::uint8_t* p) noexcept {
  const std::uint32_t low = p[0] | std::uint32_t{p[1]} << 8 | std::uint32_t{p[2]} << 16 | std::uint32_t{p[3]} << 24;
  const std::uint32_t high = p[4] | std::uint32_t{p[5]} << 8 | std::uint32_t{p[6]} << 16 | std::uint32_t{p[7]} << 24;
  return low | std::uint64_t{high} << 32;
}
// One bit of each of eight bytes, as a byte: the product moves that of byte j to bit 56 + j.
BLOCQ_INLINE constexpr std::uint8_t bits_of_bytes(const std::uint8_t* p, int bit) noexcept {
  return static_cast<std::uint8_t>((eight_bytes(p) >> bit & 0x0101010101010101u) * 0x0102040810204080u >> 56);
}
}  // namespace impl

// Bits Lowest to Lowest + Width - 1 of every code of a block, in the byte array Member of its wire struct. A run of
// Stride consecutive elements shares one bit position in Stride consecutive bytes, the next run takes the next
// position, and full bytes are followed by the next Stride bytes:
//
//   Width 4, Stride 16   byte j   [ element j + 16 | element j ]                 bit 0 is on the right
//   Width 2, Stride 32   byte l   [ l + 96 | l + 64 | l + 32 | l ]
//   Width 1, Stride 1    byte k   [ 8k + 7 | ... | 8k + 1 | 8k ]
template <auto Member, int Width, int Stride, int Lowest = 0>
struct plane {
  static constexpr auto member = Member;
  static constexpr int width = Width;
  static constexpr int stride = Stride;
  static constexpr int lowest = Lowest;
  static constexpr int per_byte = 8 / Width;
  static constexpr unsigned mask = (1u << Width) - 1u;

  // Adds this plane's bits to codes[0, n); the first plane of a format, the one with Lowest 0, overwrites them.
  template <class B>
  BLOCQ_INLINE static constexpr void unpack(const B& b, std::uint8_t* codes, int n) noexcept {
    const std::uint8_t* bytes = b.*Member;
    for (int i = 0; i < n; bytes += Stride)
      for (int shift = 0; shift < 8; shift += Width, i += Stride)
        for (int j = 0; j < Stride; ++j) {
          const unsigned below = Lowest == 0 ? 0u : codes[i + j];
          codes[i + j] =
              static_cast<std::uint8_t>(below | ((static_cast<unsigned>(bytes[j]) >> shift) & mask) << Lowest);
        }
  }
  template <class B>
  BLOCQ_INLINE static constexpr void pack(const std::uint8_t* codes, int n, B& b) noexcept {
    std::uint8_t bytes[sizeof(b.*Member)] = {};  // a copy, which cannot overlap the codes: that makes vectors of loops
    if constexpr (Width == 1 && Stride == 1) {
      for (int i = 0; i < n; i += 8) bytes[i / 8] = impl::bits_of_bytes(codes + i, Lowest);
    } else {
      for (int i = 0, k = 0; i < n; k += Stride, i += per_byte * Stride)
        for (int j = 0; j < Stride; ++j) {
          unsigned byte = 0;
          for (int slot = 0; slot < per_byte; ++slot)
            byte |= ((static_cast<unsigned>(codes[i + slot * Stride + j]) >> Lowest) & mask) << (slot * Width);
          bytes[k + j] = static_cast<std::uint8_t>(byte);
        }
    }
    for (std::size_t k = 0; k < sizeof bytes; ++k) (b.*Member)[k] = bytes[k];
  }
};

namespace impl {
// n codes of Width bits, one after the other without a gap from bit 0 of the first byte on; n is a multiple of 8.
template <int Width>
BLOCQ_INLINE constexpr void unpack_dense(const std::uint8_t* bytes, std::uint8_t* codes, int n) noexcept {
  for (int i = 0; i < n; i += 8, bytes += Width) {
    std::uint64_t eight = 0;
    for (int k = 0; k < Width; ++k) eight |= static_cast<std::uint64_t>(bytes[k]) << (8 * k);
    for (int j = 0; j < 8; ++j) codes[i + j] = static_cast<std::uint8_t>(eight >> (Width * j) & ((1u << Width) - 1u));
  }
}
// Brings the upper of two neighbouring fields down to the lower one, in each pair: fields of Width bits that begin
// every Distance bits become fields of 2 * Width bits that begin every 2 * Distance bits.
template <int Width, int Distance>
BLOCQ_INLINE constexpr std::uint64_t join_fields(std::uint64_t fields) noexcept {
  constexpr std::uint64_t lower = [] {
    std::uint64_t mask = (std::uint64_t{1} << Width) - 1;
    for (int period = 2 * Distance; period < 64; period *= 2) mask |= mask << period;
    return mask;
  }();
  return (fields & lower) | (fields >> (Distance - Width) & lower << Width);
}
template <int Width>
BLOCQ_INLINE constexpr void pack_dense(const std::uint8_t* codes, int n, std::uint8_t* bytes) noexcept {
  for (int i = 0; i < n; i += 8, bytes += Width) {
    const std::uint64_t eight =
        join_fields<4 * Width, 32>(join_fields<2 * Width, 16>(join_fields<Width, 8>(eight_bytes(codes + i))));
    for (int k = 0; k < Width; ++k) bytes[k] = static_cast<std::uint8_t>(eight >> (8 * k));
  }
}
}  // namespace impl

// The whole codes of a block without a gap between them, across bytes where Width does not divide 8:
//
//   Width 6   byte 0 [ 1: bits 1-0 | 0: bits 5-0 ]   byte 1 [ 2: 3-0 | 1: 5-2 ]   byte 2 [ 3: 5-0 | 2: 5-4 ]
template <auto Member, int Width>
struct dense {
  template <class B>
  BLOCQ_INLINE static constexpr void unpack(const B& b, std::uint8_t* codes, int n) noexcept {
    impl::unpack_dense<Width>(b.*Member, codes, n);
  }
  template <class B>
  BLOCQ_INLINE static constexpr void pack(const std::uint8_t* codes, int n, B& b) noexcept {
    impl::pack_dense<Width>(codes, n, b.*Member);
  }
};

template <class... Planes>
struct planes {
  template <class B>
  BLOCQ_INLINE static constexpr void unpack(const B& b, std::uint8_t* codes, int n) noexcept {
    (Planes::unpack(b, codes, n), ...);
  }
  template <class B>
  BLOCQ_INLINE static constexpr void pack(const std::uint8_t* codes, int n, B& b) noexcept {
    (Planes::pack(codes, n, b), ...);
  }
};

// All codes of a block as they are stored, offset included: element i at codes[i].
template <class B>
BLOCQ_INLINE constexpr void get_codes(const B& b, std::uint8_t* codes) noexcept {
  format_traits<B>::codes::unpack(b, codes, static_cast<int>(block_size<B>));
}
template <class B>
BLOCQ_INLINE constexpr void set_codes(B& b, const std::uint8_t* codes) noexcept {
  format_traits<B>::codes::pack(codes, static_cast<int>(block_size<B>), b);
}

}  // namespace blocq::inline v0

#endif
