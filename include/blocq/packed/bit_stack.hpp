// A stack of corrections, each a plane of signs times magnitudes of low rank: as many as there is room for, from the
// first one on, are a matrix. calib/bitstack.hpp makes it.
//
//   signs     [levels * rows, columns]  of 1 bit, as in codes.hpp; set: negative
//   left      [levels * rows, rank]     F16
//   right     [levels * rank, columns]  F16
//   divisors  [columns]                 F32, greater than 0, or none
//   gains     [levels]                  F32, or none: the part of the matrix's error that each level takes off, for who
//                                       has to choose between the levels of several matrices
//
//   weight = sum over the levels of sign * (left right) / divisor
#ifndef BLOCQ_PACKED_BIT_STACK_HPP
#define BLOCQ_PACKED_BIT_STACK_HPP

#include <blocq/packed/matrix.hpp>

#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

class bit_stack : public detail::decoded_product<bit_stack> {
 public:
  static constexpr const char* scheme = "bit_stack";

  // Preconditions: the sizes above, all numbers are finite, levels and rank are not 0.
  bit_stack(std::size_t rows, std::size_t levels, std::size_t rank, code_rows signs, std::vector<std::uint16_t> left,
            std::vector<std::uint16_t> right, std::vector<float> divisors, std::vector<float> gains = {})
      : rows_(rows),
        levels_(levels),
        rank_(rank),
        signs_(std::move(signs)),
        left_(std::move(left)),
        right_(std::move(right)),
        divisors_(std::move(divisors)),
        gains_(std::move(gains)) {
    BLOCQ_ASSERT(signs_.bits() == 1 && signs_.rows() == levels * rows && left_.size() == levels * rows * rank &&
                 right_.size() == levels * rank * cols() && (divisors_.empty() || divisors_.size() == cols()) &&
                 (gains_.empty() || gains_.size() == levels));
  }
  static result<bit_stack> from_parts(const part_set& set) {
    part_reader in(set, scheme);
    const std::size_t cols = in.cols();
    bit_stack m;
    m.rows_ = in.rows();
    m.levels_ = in.number("levels", 1, 64);
    m.rank_ = in.number("rank", 1, 4096);
    m.signs_ = code_rows(in, "signs", m.levels_ * m.rows_, cols, 1);
    m.left_ = in.take<std::uint16_t>("left", part_type::f16, m.levels_ * m.rows_, m.rank_);
    m.right_ = in.take<std::uint16_t>("right", part_type::f16, m.levels_ * m.rank_, cols);
    if (in.has("divisors")) m.divisors_ = in.take<float>("divisors", part_type::f32, 1, cols);
    if (in.has("gains")) m.gains_ = in.take<float>("gains", part_type::f32, 1, m.levels_);
    in.require_finite("gains", m.gains_);
    in.require_finite("left", m.left_);
    in.require_finite("right", m.right_);
    in.require_finite("divisors", m.divisors_);
    for (const float d : m.divisors_) in.require(d >= 1e-30f, "divisors", "have one that is not above 0");
    return in.finish(std::move(m));
  }
  part_set parts() const noexcept {
    part_set set(scheme, rows_, cols());
    set.add("levels", levels_).add("rank", rank_);
    signs_.add_to(set, "signs").add("left", part_type::f16, levels_ * rows_, left_);
    set.add("right", part_type::f16, levels_ * rank_, right_);
    return set.add("divisors", part_type::f32, 1, divisors_).add("gains", part_type::f32, 1, gains_);
  }

  std::size_t rows() const noexcept { return rows_; }
  std::size_t cols() const noexcept { return signs_.cols(); }
  std::size_t levels() const noexcept { return levels_; }
  std::span<const float> gains() const noexcept { return gains_; }
  // What one level takes.
  std::size_t level_bytes() const noexcept { return rows_ * signs_.row_bytes() + 2 * rank_ * (rows_ + cols()); }

  // The first `count` levels as views into this one: part of a file is enough for them. Precondition: 1 <= count <=
  // levels().
  part_set first_levels(std::size_t count) const noexcept {
    BLOCQ_ASSERT(1 <= count && count <= levels_);
    const part_set all = parts();
    part_set set(scheme, rows_, cols());
    set.add("levels", count).add("rank", rank_);
    for (part p : all.parts()) {
      if (p.name != "divisors") {
        (p.name == "gains" ? p.cols : p.rows) = (p.name == "gains" ? p.cols : p.rows) / levels_ * count;
        p.bytes = p.bytes.first(p.bytes.size() / levels_ * count);
      }
      set.add(p);
    }
    return set;
  }

  void dequantize_row(std::size_t r, std::span<float> y) const noexcept {
    BLOCQ_ASSERT(r < rows_ && y.size() == cols());
    constexpr std::size_t chunk = 64;
    for (std::size_t first = 0; first < y.size(); first += chunk) {
      const std::size_t n = y.size() - first < chunk ? y.size() - first : chunk;
      float sum[chunk] = {};
      for (std::size_t level = 0; level < levels_; ++level) {
        float magnitude[chunk] = {};
        const std::uint16_t* const a = left_.data() + (level * rows_ + r) * rank_;
        for (std::size_t i = 0; i < rank_; ++i) {
          const float scale = f16_to_f32(a[i]);
          const std::uint16_t* const b = right_.data() + (level * rank_ + i) * cols() + first;
          for (std::size_t k = 0; k < n; ++k) magnitude[k] += scale * f16_to_f32(b[k]);
        }
        for (std::size_t k = 0; k < n; ++k)
          sum[k] += signs_.get(level * rows_ + r, first + k) != 0 ? -magnitude[k] : magnitude[k];
      }
      for (std::size_t k = 0; k < n; ++k) y[first + k] = divisors_.empty() ? sum[k] : sum[k] / divisors_[first + k];
    }
  }

 private:
  bit_stack() = default;

  std::size_t rows_ = 0, levels_ = 0, rank_ = 0;
  code_rows signs_ = {};
  std::vector<std::uint16_t> left_ = {}, right_ = {};  // binary16
  std::vector<float> divisors_ = {}, gains_ = {};
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
