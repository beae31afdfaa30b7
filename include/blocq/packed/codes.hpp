// Rows of codes of 1 to 8 bits, which packed matrices share: 32 codes at a time in planes of powers of two, so that a
// register of any plane is full of whole fields and no code lies across two bytes.
//
//   32 codes of    4 bits: | 16 bytes, a nibble each |
//                  3 bits: | 8 bytes, two bits each | 4 bytes, one bit each |
//                  6 bits: | 16 bytes, the lowest four bits | 8 bytes, the next two |
//                  7 bits: | 16 bytes | 8 bytes | 4 bytes |          always the first code in the lowest bits,
//                  8 bits: | 32 bytes |                              the lowest bits of a code in the widest plane
//
// A row is filled up with zeros to a multiple of 32.
#ifndef BLOCQ_PACKED_CODES_HPP
#define BLOCQ_PACKED_CODES_HPP

#include <blocq/packed/parts.hpp>
#include <blocq/simd/quad.hpp>
#include <blocq/simd/vec.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

class code_rows {
 public:
  code_rows() = default;
  // Precondition: 1 <= bits <= 8.
  code_rows(std::size_t rows, std::size_t cols, int bits)
      : rows_(rows), cols_(cols), bits_(bits), bytes_(rows * row_bytes(cols, bits)) {}
  // The part of this name; empty where the reader has said something.
  code_rows(part_reader& in, std::string_view name, std::size_t rows, std::size_t cols, int bits)
      : rows_(rows),
        cols_(cols),
        bits_(bits),
        bytes_(in.take<std::uint8_t>(name, part_type::i8, rows, row_bytes(cols, bits))) {}

  static constexpr std::size_t row_bytes(std::size_t cols, int bits) noexcept {
    return (cols + 31) / 32 * 4 * static_cast<std::size_t>(bits);
  }

  std::size_t rows() const noexcept { return rows_; }
  std::size_t cols() const noexcept { return cols_; }
  int bits() const noexcept { return bits_; }
  std::size_t row_bytes() const noexcept { return row_bytes(cols_, bits_); }
  const std::uint8_t* row(std::size_t r) const noexcept { return bytes_.data() + r * row_bytes(); }
  part_set& add_to(part_set& set, std::string_view name) const noexcept {
    return set.add(name, part_type::i8, rows_, bytes_);
  }

  int get(std::size_t r, std::size_t k) const noexcept {
    BLOCQ_ASSERT(r < rows_ && k < cols_);
    const std::uint8_t* const p = row(r) + chunk_at(k);
    const std::size_t i = k % 32;
    if (bits_ == 8) return p[i];
    int code = 0;
    if ((bits_ & 4) != 0) code = get_field(p[i / 2], static_cast<int>(i % 2) * 4, 4);
    if ((bits_ & 2) != 0) code |= get_field(p[pairs() + i / 4], static_cast<int>(i % 4) * 2, 2) << (bits_ & 4);
    if ((bits_ & 1) != 0) code |= get_field(p[singles() + i / 8], static_cast<int>(i % 8), 1) << (bits_ & 6);
    return code;
  }
  // Precondition: 0 <= code < 2^bits.
  void set(std::size_t r, std::size_t k, int code) noexcept {
    BLOCQ_ASSERT(r < rows_ && k < cols_ && code >= 0 && code >> bits_ == 0);
    std::uint8_t* const p = bytes_.data() + r * row_bytes() + chunk_at(k);
    const std::size_t i = k % 32;
    if (bits_ == 8) p[i] = static_cast<std::uint8_t>(code);
    if ((bits_ & 4) != 0) set_field(p[i / 2], static_cast<int>(i % 2) * 4, 4, code & 15);
    if ((bits_ & 2) != 0) set_field(p[pairs() + i / 4], static_cast<int>(i % 4) * 2, 2, code >> (bits_ & 4) & 3);
    if ((bits_ & 1) != 0) set_field(p[singles() + i / 8], static_cast<int>(i % 8), 1, code >> (bits_ & 6) & 1);
  }

  // 32 codes, from where chunk i of a row lies: row + i * 4 * Bits.
  template <int Bits>
  BLOCQ_INLINE static simd::native::bytes load(const std::uint8_t* p) noexcept {
    namespace vec = simd::native;
    static_assert(1 <= Bits && Bits <= 8);
    constexpr int low = Bits & 4, middle = Bits & 6;
    if constexpr (Bits == 8) {
      return vec::load_bytes(p);
    } else if constexpr (Bits == 1) {
      return vec::spread_bits(p, 1);
    } else {
      vec::bytes codes;
      if constexpr (low == 0)
        codes = vec::spread_pairs(p);
      else if constexpr (middle == low)
        codes = vec::spread_nibbles(p);
      else
        codes = vec::spread_nibbles(p) | vec::shift_left(vec::spread_pairs(p + 4 * low), low);
      if constexpr (Bits % 2 != 0) codes = codes | vec::spread_bits(p + 4 * middle, 1 << middle);
      return codes;
    }
  }

 private:
  std::size_t chunk_at(std::size_t k) const noexcept { return k / 32 * 4 * static_cast<std::size_t>(bits_); }
  std::size_t pairs() const noexcept { return 4 * static_cast<std::size_t>(bits_ & 4); }
  std::size_t singles() const noexcept { return 4 * static_cast<std::size_t>(bits_ & 6); }

  std::size_t rows_ = 0, cols_ = 0;
  int bits_ = 1;
  std::vector<std::uint8_t> bytes_ = {};
};

namespace detail {

// f.operator()<Bits>() for bits from 1 to Most.
template <int Most, class F>
BLOCQ_INLINE auto with_bits(int bits, F&& f) noexcept {
  static_assert(1 <= Most && Most <= 8);
  BLOCQ_ASSERT(1 <= bits && bits <= Most);
  if constexpr (Most > 1) {
    if (bits < Most) return with_bits<Most - 1>(bits, f);
  }
  return f.template operator()<Most>();
}

// The sum of value(codes, h) * x over columns from `first` to `last` of a row, both multiples of 32 but for the end of
// the row: value gives the numbers of half h of 32 codes.
template <int Bits, class Value>
BLOCQ_INLINE float dot_codes(const std::uint8_t* row, const float* x, std::size_t first, std::size_t last,
                             Value&& value) noexcept {
  namespace quad = simd::quad;
  quad::floats sum[4] = {};
  const std::uint8_t* p = row + first / 32 * 4 * static_cast<std::size_t>(Bits);
  const auto add = [&](const float* in, int i) BLOCQ_INLINE_LAMBDA {
    const simd::native::bytes codes = code_rows::load<Bits>(p);
    for (int h = 0; h < 2; ++h)
      sum[2 * i + h] = quad::fma(value(codes, h), quad::load_floats(in + 16 * h), sum[2 * i + h]);
    p += 4 * Bits;
  };
  std::size_t k = first;
  for (; k + 64 <= last; k += 64) {
    add(x + k, 0);
    add(x + k + 32, 1);
  }
  if (k + 32 <= last) {
    add(x + k, 0);
    k += 32;
  }
  if (k < last) {
    float rest[32] = {};
    std::memcpy(rest, x + k, (last - k) * sizeof(float));
    add(rest, 1);
  }
  return quad::sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

// The sum of a[k] * b[k].
inline float dot_floats(const float* a, const float* b, std::size_t n) noexcept {
  namespace quad = simd::quad;
  quad::floats sum[2] = {};
  std::size_t k = 0;
  for (; k + 32 <= n; k += 32)
    for (std::size_t h = 0; h < 2; ++h)
      sum[h] = quad::fma(quad::load_floats(a + k + 16 * h), quad::load_floats(b + k + 16 * h), sum[h]);
  float rest = 0.0f;
  for (; k < n; ++k) rest += a[k] * b[k];
  return quad::sum(sum[0] + sum[1]) + rest;
}

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
