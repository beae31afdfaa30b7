// The chunks of a block, read in turn.
//
// For the formats with tables of points, signs and shifts that lie scattered over the block are first brought into
// place for all chunks at once, in vectors. Then a chunk is a few loads from the table.
#ifndef BLOCQ_CODEC_POINTS_HPP
#define BLOCQ_CODEC_POINTS_HPP

#include <blocq/codec/superblock.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

template <class B, bool Prepared = false>
struct chunk_reader {
  const B& block;

  BLOCQ_INLINE explicit chunk_reader(const B& b) noexcept : block(b) {}
  BLOCQ_INLINE vec::bytes values(int c) const noexcept { return chunk_values(block, c); }
  BLOCQ_INLINE vec::bytes codes(int c) const noexcept { return chunk_codes(block, c); }
  // The integer scales of a super-block, and what goes with these codes.
  BLOCQ_INLINE scale_words scales() const noexcept { return group_scales(block); }
};

// Seven signs in every byte, and above them the eighth that makes their number even.
BLOCQ_INLINE vec::bytes even_signs(vec::bytes seven) noexcept {
  static constexpr std::uint8_t parity[16] = {0, 128, 128, 0, 128, 0, 0, 128, 128, 0, 0, 128, 0, 128, 128, 0};
  return seven | vec::lookup16(vec::load_halves(parity), seven ^ vec::field<4>(seven, 4));
}
// Four fields of seven bits to four bytes.
BLOCQ_INLINE vec::bytes spread_sevens(vec::ints x) noexcept {
  const auto bits = [](std::int32_t mask) { return vec::fill_ints(mask); };
  const vec::ints two = (x & bits(0x3fff)) | vec::shift_left(x & bits(0xfffc000), 2);
  return vec::little_bytes((two & bits(0x7f007f)) | vec::shift_left(two & bits(0x3f803f80), 1));
}

// Prepared: the indices are put together beforehand and lie in memory, for readers of which several are in use.
// Otherwise they are taken from the block as they are needed, but for iq3_s and iq1_m, where that is slower.
template <class B, bool Prepared>
requires requires { format_traits<B>::grid; }
struct chunk_reader<B, Prepared> {
  static constexpr int dimensions = element_t<B>::dimensions;
  static constexpr bool shifted = point_table<B>::shifted;
  static constexpr bool in_place =
      element_t<B>::entries == 256 || !(Prepared || std::is_same_v<B, iq3_s> || std::is_same_v<B, iq1_m>);

  const B& block;
  alignas(in_place ? 2 : 64) std::uint16_t index[in_place ? 1u : 256u / dimensions];  // stored and read in one line
  alignas(32) std::uint8_t signs[32];  // of a run of eight elements; or by what codes are more than points

  BLOCQ_INLINE explicit chunk_reader(const B& b) noexcept : block(b) {
    if constexpr (std::is_same_v<B, iq2_xxs>) {
      vec::store_bytes(signs, even_signs(spread_sevens(vec::odd_eighths(b.groups))));
    } else if constexpr (std::is_same_v<B, iq3_xxs>) {
      vec::store_bytes(signs, even_signs(spread_sevens(vec::load_ints(b.signs_scale))));
    } else if constexpr (std::is_same_v<B, iq2_xs>) {
      const vec::words low = vec::load_little_words(b.qs), high = vec::load_little_words(b.qs + 16);
      vec::store_bytes(signs, even_signs(vec::narrow(vec::shift_right(low, 9), vec::shift_right(high, 9))));
    } else if constexpr (std::is_same_v<B, iq1_s>) {
      for (int g = 0; g < 8; ++g) signs[g] = static_cast<std::uint8_t>(get_shift(b, 4 * g) ? 0 : 2);
    } else if constexpr (std::is_same_v<B, iq1_m>) {
      const vec::bytes qh = vec::spread_nibbles(b.qh);
      vec::store_bytes(signs, vec::fill_bytes(2) - (vec::field<1>(qh, 3) + vec::field<1>(qh, 3)));
    }
    if constexpr (!in_place) prepare(b);
  }
  BLOCQ_INLINE void prepare(const B& b) noexcept {
    if constexpr (std::is_same_v<B, iq2_xs>) {
      store(0, vec::load_little_words(b.qs) & vec::fill_words(511));
      store(16, vec::load_little_words(b.qs + 16) & vec::fill_words(511));
    } else if constexpr (std::is_same_v<B, iq2_s>) {
      store(0, vec::load_bytes(b.qs), vec::spread_pairs(b.qh));
    } else if constexpr (std::is_same_v<B, iq3_s>) {
      store(0, vec::load_bytes(b.qs), vec::spread_bits(b.qh, 1));
      store(32, vec::load_bytes(b.qs + 32), vec::spread_bits(b.qh + 4, 1));
    } else if constexpr (std::is_same_v<B, iq1_s>) {
      const vec::ints qh = vec::widen_words(b.qh);
      const auto field = [&](int from, int to) {
        return to >= from ? vec::shift_left(qh, to - from) & vec::fill_ints(7 << to) : qh;
      };
      store(0, vec::load_bytes(b.qs),
            vec::little_bytes((qh & vec::fill_ints(7)) | field(3, 8) | field(6, 16) | field(9, 24)));
    } else {
      static_assert(std::is_same_v<B, iq1_m>);
      store(0, vec::load_bytes(b.qs), vec::spread_nibbles(b.qh) & vec::fill_bytes(7));
    }
    simd::keep_in_memory(index);
  }

  BLOCQ_INLINE int at(int i) const noexcept {
    if constexpr (in_place)
      return get_index(block, i);
    else
      return index[i];
  }
  // Without their signs or shifts.
  BLOCQ_INLINE vec::bytes points(int c) const noexcept {
    const auto* table = detail::points<B>.entry;
    if constexpr (dimensions == 8)
      return vec::load_quarters(table + at(4 * c), table + at(4 * c + 1), table + at(4 * c + 2), table + at(4 * c + 3));
    else
      return vec::load_eighths([&](int i) BLOCQ_INLINE_LAMBDA { return table + at(8 * c + i); });
  }
  BLOCQ_INLINE vec::bytes values(int c) const noexcept {
    if constexpr (shifted)
      return codes(c) + vec::fill_bytes(values_of<B>.lowest);
    else if constexpr (requires { block.signs; })
      return vec::negate_by_bits(points(c), block.signs + 4 * c);
    else
      return vec::negate_by_bits(points(c), signs + 4 * c);
  }
  BLOCQ_INLINE vec::bytes codes(int c) const noexcept {
    if constexpr (std::is_same_v<B, iq1_s>)
      return points(c) + vec::fill_bytes(signs[c]);
    else if constexpr (std::is_same_v<B, iq1_m>)
      return points(c) + vec::spread_bytes(signs + 4 * c);
    else
      return values(c) - vec::fill_bytes(values_of<B>.lowest);
  }
  BLOCQ_INLINE scale_words scales() const noexcept { return group_scales(block); }

 private:
  BLOCQ_INLINE void store(int i, vec::words w) noexcept {
    vec::store_words(reinterpret_cast<std::int16_t*>(index + i), w);
  }
  BLOCQ_INLINE void store(int i, vec::bytes low, vec::bytes high) noexcept {
    store(i, vec::interleave(low, high, 0));
    store(i + 16, vec::interleave(low, high, 1));
  }
};

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
