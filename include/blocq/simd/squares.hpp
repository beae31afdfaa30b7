// Sums of a tile in squares of two rows and two columns, which is how an instruction for products of matrices of bytes
// takes them (smmla of 64-bit ARM's i8mm): eight products for each element of the square.
#ifndef BLOCQ_SIMD_SQUARES_HPP
#define BLOCQ_SIMD_SQUARES_HPP

#include <blocq/simd/wide.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::simd {

#ifdef BLOCQ_HAS_HALVES_MATMUL

inline constexpr bool has_squares = true;

// Dword r of `first`, then that of `second`, for eight rows r.
BLOCQ_INLINE void store_side_by_side(std::uint32_t* to, native::bytes first, native::bytes second) noexcept {
  const auto four = [](halves::u8x16 a, halves::u8x16 b) BLOCQ_INLINE_LAMBDA {
    const auto x = halves::as<halves::u32x4>(a), y = halves::as<halves::u32x4>(b);
    return native::bytes{halves::as<halves::u8x16>(__builtin_shufflevector(x, y, 0, 4, 1, 5)),
                         halves::as<halves::u8x16>(__builtin_shufflevector(x, y, 2, 6, 3, 7))};
  };
  native::store_bytes(to, four(first.low, second.low));
  native::store_bytes(to + 8, four(first.high, second.high));
}

// The sums of wide::rows rows and T columns, zero at first.
template <std::size_t T>
class squares {
 public:
  // Begins with a number for each column.
  BLOCQ_INLINE void start(const std::uint32_t* columns) noexcept {
    each_pair([&]<int P, bool Two>() BLOCQ_INLINE_LAMBDA {
      const std::uint32_t* const at = columns + 2 * P;
      const auto first = halves::as<halves::i32x4>(Two ? fill_qwords(at) : halves::fill_eighths(at).low);
      unroll<int{row_pairs}>([&]<int R>() BLOCQ_INLINE_LAMBDA { sum_[P][R] = first; });
    });
  }
  // Adds the products of signed bytes: eight neighbouring ones of each row, row after row, with eight of each column.
  BLOCQ_INLINE void add(const std::uint32_t* rows, const std::uint32_t* columns) noexcept {
    halves::u8x16 x[pairs];
    each_pair([&]<int P, bool Two>() BLOCQ_INLINE_LAMBDA {
      x[P] = Two ? halves::load_as<halves::u8x16>(columns + 4 * P) : fill_qwords(columns + 4 * P);
    });
    unroll<int{row_pairs}>([&]<int R>() BLOCQ_INLINE_LAMBDA {
      const auto w = halves::load_as<halves::u8x16>(rows + 4 * R);
      unroll<int{pairs}>([&]<int P>() BLOCQ_INLINE_LAMBDA { sum_[P][R] = halves::matmul(sum_[P][R], w, x[P]); });
    });
    unroll<int{row_pairs / 2}>([&]<int R>() BLOCQ_INLINE_LAMBDA {
      unroll<int{pairs}>([&]<int P>() BLOCQ_INLINE_LAMBDA { halves::finish(sum_[P][2 * R], sum_[P][2 * R + 1]); });
    });
  }
  // Column by column.
  BLOCQ_INLINE void store(wide::ints (&sums)[T]) const noexcept {
    each_pair([&]<int P, bool Two>() BLOCQ_INLINE_LAMBDA {
      const auto& s = sum_[P];
      const auto column = [&](auto pick) BLOCQ_INLINE_LAMBDA {
        return wide::ints{{pick(s[0], s[1]), pick(s[2], s[3])}, {pick(s[4], s[5]), pick(s[6], s[7])}};
      };
      sums[2 * P] = column([](halves::i32x4 a, halves::i32x4 b)
                               BLOCQ_INLINE_LAMBDA { return __builtin_shufflevector(a, b, 0, 2, 4, 6); });
      if constexpr (Two)
        sums[2 * P + 1] = column([](halves::i32x4 a, halves::i32x4 b)
                                     BLOCQ_INLINE_LAMBDA { return __builtin_shufflevector(a, b, 1, 3, 5, 7); });
    });
  }

 private:
  static constexpr std::size_t pairs = (T + 1) / 2, row_pairs = 8;  // the last column of an odd number is there twice
  static_assert(wide::rows == 2 * row_pairs);

  template <class F>
  static BLOCQ_INLINE void each_pair(F f) noexcept {
    unroll<int{pairs}>([&]<int P>() BLOCQ_INLINE_LAMBDA { f.template operator()<P, (2 * P + 1 < T)>(); });
  }
  static BLOCQ_INLINE halves::u8x16 fill_qwords(const void* p) noexcept {
    const auto eight = halves::load_as<std::uint64_t>(p);
    return halves::as<halves::u8x16>(halves::u64x2{eight, eight});
  }

  halves::i32x4 sum_[pairs][row_pairs] = {};
};

#else

inline constexpr bool has_squares = false;
void store_side_by_side(std::uint32_t* to, native::bytes first, native::bytes second) noexcept;
template <std::size_t T>
class squares;

#endif

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd

#endif
