// Two grains of integers: groups of 4-bit codes whose steps are whole numbers, inside an 8-bit grid of one scale for
// each row. A code becomes its byte by one subtraction and one multiplication, and a row of bytes is multiplied like
// any other. calib/dgq.hpp fits it.
//
//   codes     [rows, columns]  of 4 bits, as in codes.hpp
//   zeros     [rows, groups]   I8, 0 to 15; a group is `group` columns
//   steps     [rows, groups]   I8, 1 to 127
//   scales    [rows]           F32
//   divisors  [columns]        F32, greater than 0, or none: what the inputs are divided by
//
//   weight = scale * byte / divisor, byte = step * (code - zero), between -127 and 127 for every code that is stored
#ifndef BLOCQ_PACKED_DUAL_GROUPS_HPP
#define BLOCQ_PACKED_DUAL_GROUPS_HPP

#include <blocq/packed/matrix.hpp>

#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

class dual_groups {
 public:
  static constexpr const char* scheme = "dual_groups";
  static constexpr bool rounds_inputs = false;

  // The codes that a step and a zero leave between -127 and 127.
  static constexpr int lowest_code(int step, int zero) noexcept {
    const int reach = 127 / step;
    return zero > reach ? zero - reach : 0;
  }
  static constexpr int highest_code(int step, int zero) noexcept {
    const int reach = 127 / step;
    return zero + reach < 15 ? zero + reach : 15;
  }

  // Preconditions: the sizes and the ranges above, columns and group are multiples of 32, all numbers are finite.
  dual_groups(code_rows codes, std::size_t group, std::vector<std::uint8_t> zeros, std::vector<std::uint8_t> steps,
              std::vector<float> scales, std::vector<float> divisors)
      : codes_(std::move(codes)),
        group_(group),
        zeros_(std::move(zeros)),
        steps_(std::move(steps)),
        scales_(std::move(scales)),
        divisors_(std::move(divisors)) {
    BLOCQ_ASSERT(codes_.bits() == 4 && group_ % 32 == 0 && cols() % 32 == 0 && zeros_.size() == rows() * groups() &&
                 steps_.size() == zeros_.size() && scales_.size() == rows() &&
                 (divisors_.empty() || divisors_.size() == cols()));
  }
  static result<dual_groups> from_parts(const part_set& set) {
    part_reader in(set, scheme);
    const std::size_t rows = in.rows(), cols = in.cols();
    dual_groups m;
    m.group_ = in.number("group", 32, 0x7fffffff);
    in.require(m.group_ % 32 == 0 && cols % 32 == 0, "group", "or the number of columns is no multiple of 32");
    m.codes_ = code_rows(in, "codes", rows, cols, 4);
    m.zeros_ = in.take<std::uint8_t>("zeros", part_type::i8, rows, m.groups());
    m.steps_ = in.take<std::uint8_t>("steps", part_type::i8, rows, m.groups());
    m.scales_ = in.take<float>("scales", part_type::f32, 1, rows);
    if (in.has("divisors")) m.divisors_ = in.take<float>("divisors", part_type::f32, 1, cols);
    in.require_finite("scales", m.scales_);
    in.require_finite("divisors", m.divisors_);
    for (const float d : m.divisors_) in.require(d >= 1e-30f, "divisors", "have one that is not above 0");
    in.require_below("zeros", m.zeros_, 16);
    for (const std::uint8_t s : m.steps_) in.require(s >= 1 && s <= 127, "steps", "have one that is not 1 to 127");
    for (std::size_t r = 0; r < rows && in.ok(); ++r)
      for (std::size_t k = 0; k < cols; ++k) {
        const int byte = m.byte(r, k);
        in.require(byte >= -127 && byte <= 127, "codes", "leave the range of a byte");
      }
    return in.finish(std::move(m));
  }
  part_set parts() const noexcept {
    part_set set(scheme, rows(), cols());
    set.add("group", group_);
    codes_.add_to(set, "codes").add("zeros", part_type::i8, rows(), zeros_);
    set.add("steps", part_type::i8, rows(), steps_).add("scales", part_type::f32, 1, scales_);
    return set.add("divisors", part_type::f32, 1, divisors_);
  }

  std::size_t rows() const noexcept { return codes_.rows(); }
  std::size_t cols() const noexcept { return codes_.cols(); }
  std::size_t group() const noexcept { return group_; }
  std::size_t groups() const noexcept { return cols() / group_ + (cols() % group_ != 0 ? 1 : 0); }
  const code_rows& codes() const noexcept { return codes_; }
  float scale(std::size_t r) const noexcept { return scales_[r]; }
  // Of all groups, row after row.
  std::span<const std::uint8_t> steps() const noexcept { return steps_; }
  std::span<const std::uint8_t> zeros() const noexcept { return zeros_; }
  // What inputs are divided by; empty: nothing.
  std::span<const float> divisors() const noexcept { return divisors_; }
  int byte(std::size_t r, std::size_t k) const noexcept {
    const std::size_t line = r * groups() + k / group_;
    return steps_[line] * (codes_.get(r, k) - zeros_[line]);
  }
  // Row r in 8 bits. Precondition: out.size() == cols().
  void expand_row(std::size_t r, std::span<std::int8_t> out) const noexcept {
    BLOCQ_ASSERT(r < rows() && out.size() == cols());
    for (std::size_t k = 0; k < out.size(); ++k) out[k] = static_cast<std::int8_t>(byte(r, k));
  }

  void dequantize_row(std::size_t r, std::span<float> y) const noexcept {
    BLOCQ_ASSERT(r < rows() && y.size() == cols());
    for (std::size_t k = 0; k < y.size(); ++k)
      y[k] = scales_[r] * static_cast<float>(byte(r, k)) / (divisors_.empty() ? 1.0f : divisors_[k]);
  }

  std::size_t scratch() const noexcept { return divisors_.size(); }
  void gemv(std::span<const float> x, std::span<float> y, std::span<float> space = {},
            std::size_t first = 0) const noexcept {
    BLOCQ_ASSERT(x.size() == cols() && first + y.size() <= rows() && space.size() >= scratch());
    const fp_environment modes;
    for (std::size_t k = 0; k < divisors_.size(); ++k) space[k] = x[k] / divisors_[k];
    const float* const in = divisors_.empty() ? x.data() : space.data();
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t r = first + i;
      float sum = 0.0f;
      for (std::size_t g = 0; g < groups(); ++g) {
        const std::size_t line = r * groups() + g, end = (g + 1) * group_ < cols() ? (g + 1) * group_ : cols();
        const simd::native::bytes zero = simd::native::fill_bytes(zeros_[line]);
        sum += static_cast<float>(steps_[line]) *
               detail::dot_codes<4>(codes_.row(r), in, g * group_, end,
                                    [&](simd::native::bytes codes, int h)
                                        BLOCQ_INLINE_LAMBDA { return simd::quad::to_floats(codes - zero, h); });
      }
      y[i] = sum * scales_[r];
    }
  }

 private:
  dual_groups() = default;

  code_rows codes_ = {};
  std::size_t group_ = 32;
  std::vector<std::uint8_t> zeros_ = {}, steps_ = {};
  std::vector<float> scales_ = {}, divisors_ = {};
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
