// Block floating point: integers of 4 or 8 bits that share an exponent, in blocks of any size, and the order of
// channels that makes them cheap for attention. With a trait they are formats like all others: quantize, dequantize,
// dot and gemv (with floats) take them.
//
//   0          1
//   | exponent | mantissas: N * Bits / 8 bytes, the first in the lowest bits |
//
//   y = mantissa * 2^(exponent - 127 - (Bits - 2))     two's complement, from -(2^(Bits - 1) - 1) to 2^(Bits - 1) - 1
//
// The exponent is that of the block's largest number, so that the largest mantissa has its leading bit set. BFP12 has
// mantissas of 4 bits and an exponent of 8, BFP16 mantissas of 8; BFP16 in blocks of 32 is MXINT8.
#ifndef BLOCQ_CALIB_BFP_HPP
#define BLOCQ_CALIB_BFP_HPP

#include <blocq/core/view.hpp>
#include <blocq/encode/reference.hpp>
#include <blocq/op/dot.hpp>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace blocq::inline v0 {

template <int Bits, std::size_t N>
struct bfp_block {
  static_assert((Bits == 4 || Bits == 8) && N > 0 && N % 8 == 0, "bfp_block<Bits, N>: 4 or 8 bits, N a multiple of 8");
  std::uint8_t exponent;
  std::uint8_t mantissas[N * Bits / 8];
};

template <std::size_t N>
using bfp12 = bfp_block<4, N>;
template <std::size_t N>
using bfp16 = bfp_block<8, N>;
static_assert(sizeof(bfp12<32>) == 17 && sizeof(bfp16<32>) == 33);

// What a mantissa is.
template <int Bits>
struct bfp_mantissa {
  static constexpr int bits = Bits;
};

template <int Bits, std::size_t N>
struct format_traits<bfp_block<Bits, N>> {
  static constexpr const char* name = Bits == 4 ? "bfp12" : "bfp16";
  static constexpr std::size_t block_size = N;
  static constexpr bool importance = false;
  using element = bfp_mantissa<Bits>;
  using operand = bfp_block<8, N>;
};

namespace impl {
// 2^exponent for an exponent that a binary32 has as a normal number, else the nearest power of two that it has.
BLOCQ_INLINE constexpr float power_of_two(int exponent) noexcept {
  return from_bits(exponent < -149   ? 1u
                   : exponent < -126 ? 1u << (exponent + 149)
                                     : static_cast<std::uint32_t>((exponent < 127 ? exponent : 127) + 127) << 23);
}
}  // namespace impl

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

template <int Bits, std::size_t N>
constexpr void decode(const bfp_block<Bits, N>& b, float* y) noexcept {
  const float step = impl::power_of_two(b.exponent - 127 - (Bits - 2));
  for (std::size_t i = 0; i < N; ++i) {
    const int code = get_field(b.mantissas[i * Bits / 8], static_cast<int>(i * Bits % 8), Bits);
    y[i] = static_cast<float>(code < 1 << (Bits - 1) ? code : code - (1 << Bits)) * step;
  }
}

// Exponent 255 is that of a block with a NaN or an infinity.
template <int Bits, std::size_t N>
constexpr bool is_valid(const bfp_block<Bits, N>& b) noexcept {
  return b.exponent != 0xff;
}

// Nearest, ties to even; a mantissa that would be too large becomes the largest. Zeros have exponent 0.
template <class L = lane, int Bits, std::size_t N>
void encode(const float* x, std::size_t blocks, const encode_context&, bfp_block<Bits, N>* out) noexcept {
  constexpr float highest = (1 << (Bits - 1)) - 1;
  for (std::size_t b = 0; b < blocks; ++b, x += N) {
    std::uint32_t peak = 0;
    for (std::size_t i = 0; i < N; ++i) {
      const std::uint32_t magnitude = to_bits(x[i]) & 0x7fffffffu;
      peak = magnitude > peak ? magnitude : peak;
    }
    out[b] = {};
    out[b].exponent = static_cast<std::uint8_t>(peak >> 23);
    if (peak == 0 || peak >= 0x7f800000u) continue;
    // Numbers over the step, in two factors, neither of which is beyond the range of a float.
    const int exponent = out[b].exponent - 127, half = exponent / 2;
    const lane first = impl::power_of_two(-half), second = impl::power_of_two(Bits - 2 - (exponent - half));
    for (std::size_t i = 0; i < N; ++i) {
      const float q = nearest_int(lane(x[i]) * first * second).v;
      const int code = static_cast<int>(q > highest ? highest : q < -highest ? -highest : q) & ((1 << Bits) - 1);
      set_field(out[b].mantissas[i * Bits / 8], static_cast<int>(i * Bits % 8), Bits, code);
    }
  }
}

namespace detail {
template <int Bits, std::size_t N>
inline constexpr std::uint32_t valid_below<bfp_block<Bits, N>> = 0x7f800000;
}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

// Which channels of a head are turned together by the position encoding.
enum class rope_pairs : unsigned char {
  none,        // no position encoding, or none that the order would disturb
  neighbours,  // 2i and 2i + 1
  halves,      // i and i + D / 2
};

// The channels of a head as they should be arranged: place i takes channel channels[i], and, where there are pairs,
// pair i of the position encoding's frequencies is pair pairs[i].
struct channel_order {
  std::vector<std::size_t> channels, pairs;
};

// Sorts the channels of a head's keys, the largest first, so that a block holds numbers of one size. `norms` has the
// size of each channel: the norm of its row of the key projection, or of its keys. Applied to the rows of the key
// and of the query projection (and to the frequencies), it leaves every score as it was and costs nothing when run.
// Channels that are turned together stay together and count by the norm of the pair.
// Precondition: a multiple of two channels if there are pairs.
inline channel_order sort_channels(std::span<const float> norms, rope_pairs rope) {
  const std::size_t n = norms.size(), size = rope == rope_pairs::none ? 1 : 2, units = n / size;
  BLOCQ_ASSERT(n % size == 0);
  const auto channel = [&](std::size_t unit, std::size_t i) {
    return rope == rope_pairs::halves ? unit + i * units : unit * size + i;
  };
  std::vector<double> square(units);
  channel_order order{std::vector<std::size_t>(n), std::vector<std::size_t>(units)};
  for (std::size_t u = 0; u < units; ++u) {
    order.pairs[u] = u;
    for (std::size_t i = 0; i < size; ++i)
      square[u] += static_cast<double>(norms[channel(u, i)]) * static_cast<double>(norms[channel(u, i)]);
  }
  std::sort(order.pairs.begin(), order.pairs.end(),
            [&](std::size_t a, std::size_t b) { return std::pair(square[b], a) < std::pair(square[a], b); });
  for (std::size_t u = 0; u < units; ++u)
    for (std::size_t i = 0; i < size; ++i) order.channels[channel(u, i)] = channel(order.pairs[u], i);
  if (rope == rope_pairs::none) order.pairs.clear();
  return order;
}

// Puts row channels[i] of a projection in place i. Precondition: w has a row for each channel.
inline void reorder_rows(matrix_view<float> w, std::span<const std::size_t> channels) {
  BLOCQ_ASSERT(w.rows == channels.size());
  std::vector<float> old;
  for (std::size_t r = 0; r < w.rows; ++r) old.insert(old.end(), w.row(r).begin(), w.row(r).end());
  for (std::size_t r = 0; r < w.rows; ++r)
    std::copy_n(old.begin() + static_cast<std::ptrdiff_t>(channels[r] * w.cols), w.cols, w.row(r).begin());
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
