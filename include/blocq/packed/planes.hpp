// Rows of codes of 1 to 8 bits in bit planes, and sums of products of two such rows: bits are met by a logical
// operation and counted, 512 columns at a time, for any pair of widths.
//
//   sum of a[k] b[k] = sum over planes i, j of 2^i 2^j (how many columns have bit i of a and bit j of b)
//
// A row is plane after plane, the lowest first, each of whole words of 64 bits: number k in bit k % 64 of word k / 64.
// What is beyond the columns is 0. In files a word is two I32.
#ifndef BLOCQ_PACKED_PLANES_HPP
#define BLOCQ_PACKED_PLANES_HPP

#include <blocq/packed/parts.hpp>
#include <blocq/simd/quad.hpp>
#include <blocq/simd/vec.hpp>

#include <bit>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

constexpr std::size_t words_of_plane(std::size_t cols) noexcept { return cols / 64 + (cols % 64 != 0 ? 1 : 0); }

class plane_rows {
 public:
  plane_rows() = default;
  // Precondition: 1 <= bits <= 8.
  plane_rows(std::size_t rows, std::size_t cols, int bits)
      : rows_(rows), cols_(cols), bits_(bits), words_(rows * row_words()) {}
  // The part of this name; empty where the reader has said something.
  plane_rows(part_reader& in, std::string_view name, std::size_t rows, std::size_t cols, int bits)
      : rows_(rows),
        cols_(cols),
        bits_(bits),
        words_(in.take<std::uint64_t>(name, part_type::i32, rows, 2 * row_words())) {
    if (cols % 64 != 0)
      for (std::size_t i = words_of_plane(cols); i <= words_.size(); i += words_of_plane(cols))
        in.require(words_[i - 1] >> cols % 64 == 0, name, "have bits beyond the columns");
  }

  std::size_t rows() const noexcept { return rows_; }
  std::size_t cols() const noexcept { return cols_; }
  int bits() const noexcept { return bits_; }
  const std::uint64_t* row(std::size_t r) const noexcept { return words_.data() + r * row_words(); }
  part_set& add_to(part_set& set, std::string_view name) const noexcept {
    return set.add(name, part_type::i32, rows_, words_);
  }

  int get(std::size_t r, std::size_t k) const noexcept {
    BLOCQ_ASSERT(r < rows_ && k < cols_);
    int code = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(bits_); ++i)
      code |= static_cast<int>(row(r)[i * words_of_plane(cols_) + k / 64] >> (k % 64) & 1u) << i;
    return code;
  }
  // Precondition: 0 <= code < 2^bits, and number k of the row is 0 so far.
  void set(std::size_t r, std::size_t k, int code) noexcept {
    BLOCQ_ASSERT(r < rows_ && k < cols_ && code >= 0 && code >> bits_ == 0);
    for (std::size_t i = 0; i < static_cast<std::size_t>(bits_); ++i)
      words_[r * row_words() + i * words_of_plane(cols_) + k / 64] |= static_cast<std::uint64_t>(code >> i & 1)
                                                                      << k % 64;
  }

 private:
  std::size_t row_words() const noexcept { return words_of_plane(cols_) * static_cast<std::size_t>(bits_); }

  std::size_t rows_ = 0, cols_ = 0;
  int bits_ = 1;
  std::vector<std::uint64_t> words_ = {};
};

namespace detail {

// Columns that are multiplied at once, and words of a plane that hold them.
inline constexpr std::size_t plane_chunk = 512, chunk_words = plane_chunk / 64;

// What a bit counts in each plane, as vectors of bytes: -1, -2, -4 ...
struct plane_weights {
  alignas(64) std::int8_t of[8][64];

  explicit constexpr plane_weights(int bits) noexcept : of() {
    for (int j = 0; j < bits; ++j)
      for (std::int8_t& v : of[j]) v = static_cast<std::int8_t>(-(1 << j));
  }
};

// A row's planes from word `first` on, 512 columns or those that are left, as planes of 64 bytes each. Whole ones are
// used where they lie.
class plane_window {
 public:
  BLOCQ_INLINE plane_window(const std::uint64_t* row, std::size_t words, int bits, std::size_t first) noexcept
      : at_(row + first), stride_(words) {
    if (first + chunk_words <= words) return;
    std::memset(rest_, 0, sizeof rest_);
    for (std::size_t i = 0; i < static_cast<std::size_t>(bits); ++i)
      std::memcpy(rest_[i], row + i * words + first, (words - first) * sizeof(std::uint64_t));
    at_ = rest_[0], stride_ = chunk_words;
  }
  plane_window(const plane_window&) = delete;
  plane_window& operator=(const plane_window&) = delete;

  BLOCQ_INLINE simd::quad::bytes plane(int i) const noexcept {
    return simd::quad::load_bytes(at_ + static_cast<std::size_t>(i) * stride_);
  }

 private:
  const std::uint64_t* at_;
  std::size_t stride_;
  std::uint64_t rest_[8][chunk_words];
};

// Of 512 columns, in each of 16 parts of 32: the sum over planes i and j of 2^i weights.of[j] times the number of bits
// that differ in plane i of a and plane j of b.
BLOCQ_INLINE simd::quad::ints count_differences(const plane_window& a, int a_bits, const plane_window& b, int b_bits,
                                                const plane_weights& weights) noexcept {
  namespace quad = simd::quad;
  // Of each plane two chains of sums, the even and the odd planes of b, since an addition waits for the one before it.
  quad::ints total = quad::fill_ints(0);
  for (int i = a_bits - 1; i >= 0; --i) {
    const quad::bytes plane = a.plane(i);
    [[maybe_unused]] quad::ints even = quad::fill_ints(0), odd = even;
    [[maybe_unused]] quad::words pairs = quad::fill_words(0);
    for (int j = 0; j < b_bits; ++j) {
      const quad::bytes count = quad::count_bits(plane ^ b.plane(j)), weight = quad::load_bytes(weights.of[j]);
      if constexpr (quad::has_dot4)
        quad::dot4_to(j % 2 == 0 ? even : odd, count, weight);
      else
        quad::add_to(pairs, quad::maddubs(count, weight));
    }
    if constexpr (quad::has_dot4)
      even = even + odd;
    else
      even = quad::madd2(pairs, quad::fill_words(1));
    total = total + total + even;
  }
  return total;
}

// The products of Bits planes' numbers, not negative, with 512 integers from -127 to 127: eight columns of each word,
// then the next eight. Sums 2 w and 2 w + 1 are of word w.
template <int Bits>
BLOCQ_INLINE simd::quad::ints multiply_planes(const plane_window& w, const std::byte* integers) noexcept {
  namespace quad = simd::quad;
  constexpr int at_once = Bits < 4 ? Bits : 4;  // sums of words have room for sixteen products of so many bits
  quad::ints total = quad::fill_ints(0);
  const auto add = [&]<int First, int N>() BLOCQ_INLINE_LAMBDA {
    quad::bytes planes[static_cast<std::size_t>(N)];
    for (int i = 0; i < N; ++i) planes[i] = w.plane(First + i);
    [[maybe_unused]] quad::ints sum = quad::fill_ints(0);
    [[maybe_unused]] quad::words pairs = quad::fill_words(0);
    simd::unroll<8>([&]<int Index>() BLOCQ_INLINE_LAMBDA {
      constexpr int byte = std::endian::native == std::endian::little ? Index : 7 - Index;
      const quad::bytes codes = quad::join_planes<byte, N>(planes), x = quad::load_bytes(integers + 64 * Index);
      if constexpr (quad::has_dot4)
        quad::dot4_to(sum, codes, x);
      else
        quad::add_to(pairs, quad::maddubs(codes, x));
    });
    if constexpr (!quad::has_dot4) sum = quad::madd2(pairs, quad::fill_words(1));
    total = First == 0 ? sum : total + sum * quad::fill_ints(1 << First);
  };
  add.template operator()<0, at_once>();
  if constexpr (Bits > 4) add.template operator()<4, Bits - 4>();
  return total;
}

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
