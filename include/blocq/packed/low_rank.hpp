// The product of two thin matrices. Beside blocks of any format it makes good what they have wrong, y = Q x + A (B x);
// calib/low_rank.hpp finds it.
//
//   left   [rows, rank]     F16: A
//   right  [rank, columns]  F16: B
#ifndef BLOCQ_PACKED_LOW_RANK_HPP
#define BLOCQ_PACKED_LOW_RANK_HPP

#include <blocq/packed/matrix.hpp>

#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

class low_rank {
 public:
  static constexpr const char* scheme = "low_rank";
  static constexpr bool rounds_inputs = false;

  // Preconditions: left has rows * rank numbers, right rank * cols, all are finite, none of the three is 0.
  low_rank(std::size_t rows, std::size_t cols, std::vector<std::uint16_t> left, std::vector<std::uint16_t> right)
      : rows_(rows), cols_(cols), left_(std::move(left)), right_(std::move(right)) {
    BLOCQ_ASSERT(left_.size() == rows * rank() && right_.size() == rank() * cols);
  }
  static result<low_rank> from_parts(const part_set& set) {
    part_reader in(set, scheme);
    low_rank m;
    m.rows_ = in.rows(), m.cols_ = in.cols();
    const std::size_t rank = in.number("rank", 1, (m.rows_ < m.cols_ ? m.rows_ : m.cols_));
    m.left_ = in.take<std::uint16_t>("left", part_type::f16, m.rows_, rank);
    m.right_ = in.take<std::uint16_t>("right", part_type::f16, rank, m.cols_);
    in.require_finite("left", m.left_);
    in.require_finite("right", m.right_);
    return in.finish(std::move(m));
  }
  part_set parts() const noexcept {
    part_set set(scheme, rows_, cols_);
    set.add("rank", rank());
    return set.add("left", part_type::f16, rows_, left_).add("right", part_type::f16, rank(), right_);
  }

  std::size_t rows() const noexcept { return rows_; }
  std::size_t cols() const noexcept { return cols_; }
  std::size_t rank() const noexcept { return rows_ == 0 ? 0 : left_.size() / rows_; }

  void dequantize_row(std::size_t r, std::span<float> y) const noexcept {
    for (float& v : y) v = 0.0f;
    add_row(r, y);
  }
  // Adds row r to y.
  void add_row(std::size_t r, std::span<float> y) const noexcept {
    BLOCQ_ASSERT(r < rows_ && y.size() == cols_);
    for (std::size_t i = 0; i < rank(); ++i) {
      const float a = f16_to_f32(left_[r * rank() + i]);
      for (std::size_t k = 0; k < cols_; ++k) y[k] += a * f16_to_f32(right_[i * cols_ + k]);
    }
  }

  std::size_t scratch() const noexcept { return rank(); }
  void gemv(std::span<const float> x, std::span<float> y, std::span<float> space,
            std::size_t first = 0) const noexcept {
    for (float& v : y) v = 0.0f;
    add_product(x, y, space, first);
  }
  // y += A (B x), as gemv.
  void add_product(std::span<const float> x, std::span<float> y, std::span<float> space,
                   std::size_t first = 0) const noexcept {
    BLOCQ_ASSERT(x.size() == cols_ && first + y.size() <= rows_ && space.size() >= scratch());
    const fp_environment modes;
    for (std::size_t i = 0; i < rank(); ++i) space[i] = dot_halves(right_.data() + i * cols_, x.data(), cols_);
    for (std::size_t r = 0; r < y.size(); ++r)
      y[r] += dot_halves(left_.data() + (first + r) * rank(), space.data(), rank());
  }

 private:
  low_rank() = default;

  static float dot_halves(const std::uint16_t* a, const float* b, std::size_t n) noexcept {
    namespace quad = simd::quad;
    quad::floats sum = {};
    std::size_t k = 0;
    for (; k + 16 <= n; k += 16) sum = quad::fma(quad::load_f16(a + k), quad::load_floats(b + k), sum);
    float rest = 0.0f;
    for (; k < n; ++k) rest += f16_to_f32(a[k]) * b[k];
    return quad::sum(sum) + rest;
  }

  std::size_t rows_ = 0, cols_ = 0;
  std::vector<std::uint16_t> left_ = {}, right_ = {};  // binary16
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
