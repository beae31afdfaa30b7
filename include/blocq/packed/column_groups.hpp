// Integers in groups along the outputs: `group` rows of one column have a scale and a zero in common, so that a column
// whose weights are large costs the others nothing. calib/adadim.hpp says when that is better.
//
//   codes   [rows, columns]   of 2 to 7 bits, as in codes.hpp
//   scales  [bands, columns]  F16; a band is `group` rows, the last of which may be fewer
//   zeros   [bands, columns]  I8, 0 to 2^bits - 1
//
//   weight = scale * (code - zero)
//
// A product with a band takes the scales into x once: y = sum of code * (scale x), less the sum of zero * (scale x).
#ifndef BLOCQ_PACKED_COLUMN_GROUPS_HPP
#define BLOCQ_PACKED_COLUMN_GROUPS_HPP

#include <blocq/packed/matrix.hpp>

#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

class column_groups {
 public:
  static constexpr const char* scheme = "column_groups";
  static constexpr bool rounds_inputs = false;

  // Preconditions: the sizes above, all scales are finite, group != 0.
  column_groups(code_rows codes, std::size_t group, std::vector<std::uint16_t> scales, std::vector<std::uint8_t> zeros)
      : codes_(std::move(codes)), group_(group), scales_(std::move(scales)), zeros_(std::move(zeros)) {
    BLOCQ_ASSERT(scales_.size() == bands() * cols() && zeros_.size() == scales_.size());
  }
  static result<column_groups> from_parts(const part_set& set) {
    part_reader in(set, scheme);
    const std::size_t rows = in.rows(), cols = in.cols(), group = in.number("group", 1, rows);
    column_groups m;
    m.codes_ = code_rows(in, "codes", rows, cols, static_cast<int>(in.number("bits", 2, 7)));
    m.group_ = group;
    m.scales_ = in.take<std::uint16_t>("scales", part_type::f16, m.bands(), cols);
    m.zeros_ = in.take<std::uint8_t>("zeros", part_type::i8, m.bands(), cols);
    in.require_finite("scales", m.scales_);
    in.require_below("zeros", m.zeros_, std::size_t{1} << m.bits());
    return in.finish(std::move(m));
  }
  part_set parts() const noexcept {
    part_set set(scheme, rows(), cols());
    set.add("bits", static_cast<std::uint64_t>(bits())).add("group", group_);
    codes_.add_to(set, "codes").add("scales", part_type::f16, bands(), scales_);
    return set.add("zeros", part_type::i8, bands(), zeros_);
  }

  std::size_t rows() const noexcept { return codes_.rows(); }
  std::size_t cols() const noexcept { return codes_.cols(); }
  int bits() const noexcept { return codes_.bits(); }
  std::size_t group() const noexcept { return group_; }

  void dequantize_row(std::size_t r, std::span<float> y) const noexcept {
    BLOCQ_ASSERT(r < rows() && y.size() == cols());
    const std::size_t line = r / group_ * cols();
    for (std::size_t k = 0; k < y.size(); ++k)
      y[k] = f16_to_f32(scales_[line + k]) * static_cast<float>(codes_.get(r, k) - zeros_[line + k]);
  }

  std::size_t scratch() const noexcept { return cols(); }
  void gemv(std::span<const float> x, std::span<float> y, std::span<float> space,
            std::size_t first = 0) const noexcept {
    BLOCQ_ASSERT(x.size() == cols() && first + y.size() <= rows() && space.size() >= scratch());
    const fp_environment modes;
    detail::with_bits<7>(bits(), [&]<int Bits>() BLOCQ_INLINE_LAMBDA {
      if constexpr (Bits > 1) multiply<Bits>(x, y, space, first);
    });
  }

 private:
  column_groups() = default;

  std::size_t bands() const noexcept { return rows() / group_ + (rows() % group_ != 0 ? 1 : 0); }
  template <int Bits>
  void multiply(std::span<const float> x, std::span<float> y, std::span<float> space,
                std::size_t first) const noexcept {
    float offset = 0.0f;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t r = first + i;
      if (i == 0 || r % group_ == 0) {
        const std::size_t line = r / group_ * cols();
        double sum = 0.0;
        for (std::size_t k = 0; k < x.size(); ++k) {
          space[k] = f16_to_f32(scales_[line + k]) * x[k];
          sum += static_cast<double>(zeros_[line + k]) * static_cast<double>(space[k]);
        }
        offset = static_cast<float>(sum);
      }
      y[i] = detail::dot_codes<Bits>(codes_.row(r), space.data(), 0, cols(),
                                     [](simd::native::bytes codes, int h)
                                         BLOCQ_INLINE_LAMBDA { return simd::quad::to_floats(codes, h); }) -
             offset;
    }
  }

  code_rows codes_ = {};
  std::size_t group_ = 1;
  std::vector<std::uint16_t> scales_ = {};  // binary16
  std::vector<std::uint8_t> zeros_ = {};
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
