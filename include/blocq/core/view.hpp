// Views: how many blocks a row needs, and a matrix of rows laid over memory that somebody else owns.
#ifndef BLOCQ_CORE_VIEW_HPP
#define BLOCQ_CORE_VIEW_HPP

#include <blocq/core/config.hpp>

#include <cstddef>
#include <span>
#include <type_traits>

namespace blocq::inline v0 {

// Rows of T, `stride` elements of T from one row to the next. For a matrix of blocks T is the wire struct, and `cols`
// and `stride` count blocks. It owns nothing, and a view of what may be written becomes one of what may not by itself.
// Precondition of those with more than one row: stride >= cols.
template <class T>
struct matrix_view {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;

  BLOCQ_INLINE constexpr matrix_view() noexcept {}
  // Rows without a gap between them.
  BLOCQ_INLINE constexpr matrix_view(T* first, std::size_t row_count, std::size_t column_count) noexcept
      : matrix_view(first, row_count, column_count, column_count) {}
  BLOCQ_INLINE constexpr matrix_view(T* first, std::size_t row_count, std::size_t column_count,
                                     std::size_t distance) noexcept
      : data(first), rows(row_count), cols(column_count), stride(distance) {
    BLOCQ_ASSERT(rows <= 1 || stride >= cols);
  }
  template <class U>
  requires(std::is_same_v<const U, T>) BLOCQ_INLINE constexpr matrix_view(const matrix_view<U>& other) noexcept
      : matrix_view(other.data, other.rows, other.cols, other.stride) {}

  BLOCQ_INLINE constexpr std::span<T> row(std::size_t r) const noexcept {
    BLOCQ_ASSERT(r < rows);
    return {data + r * stride, cols};
  }
  // Rows [first, last) of this view.
  BLOCQ_INLINE constexpr matrix_view row_range(std::size_t first, std::size_t last) const noexcept {
    BLOCQ_ASSERT(first <= last && last <= rows);
    return {data + first * stride, last - first, cols, stride};
  }
};

namespace impl {
// a == rows * cols, found without computing a product that could wrap.
BLOCQ_INLINE constexpr bool is_product(std::size_t a, std::size_t rows, std::size_t cols) noexcept {
  return cols == 0 ? a == 0 : a % cols == 0 && a / cols == rows;
}
}  // namespace impl

}  // namespace blocq::inline v0

#endif
