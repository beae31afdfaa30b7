// Symmetric integers in groups whose size each row chooses for itself: calib/finequant.hpp says how.
//
//   codes    [rows, columns]  of 2 to 7 bits, as in codes.hpp; 2^(bits - 1) stands for 0
//   offsets  [rows + 1]       I32: where the scales of a row begin; as many as there are groups of equal size in it
//   scales   [all groups]     F16
//
//   weight = scale * (code - 2^(bits - 1))
#ifndef BLOCQ_PACKED_ROW_GROUPS_HPP
#define BLOCQ_PACKED_ROW_GROUPS_HPP

#include <blocq/packed/matrix.hpp>

#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

class row_groups {
 public:
  static constexpr const char* scheme = "row_groups";
  static constexpr bool rounds_inputs = false;

  // Whether a row of so many columns can be cut into so many groups: all of the same multiple of 32, or one.
  static constexpr bool can_cut(std::size_t cols, std::size_t groups) noexcept {
    return groups == 1 || (groups != 0 && cols % groups == 0 && cols / groups % 32 == 0 && cols != 0);
  }

  // Preconditions: the sizes above, can_cut for every row, all scales are finite.
  row_groups(code_rows codes, std::vector<std::uint32_t> offsets, std::vector<std::uint16_t> scales)
      : codes_(std::move(codes)), offsets_(std::move(offsets)), scales_(std::move(scales)) {
    BLOCQ_ASSERT(offsets_.size() == rows() + 1 && offsets_.back() == scales_.size());
  }
  static result<row_groups> from_parts(const part_set& set) {
    part_reader in(set, scheme);
    const std::size_t rows = in.rows(), cols = in.cols();
    row_groups m;
    m.codes_ = code_rows(in, "codes", rows, cols, static_cast<int>(in.number("bits", 2, 7)));
    m.offsets_ = in.take<std::uint32_t>("offsets", part_type::i32, 1, rows + 1);
    m.scales_ = in.take_list<std::uint16_t>("scales", part_type::f16);
    in.require_finite("scales", m.scales_);
    if (!m.offsets_.empty())
      in.require(m.offsets_.front() == 0 && m.offsets_.back() == m.scales_.size(), "offsets",
                 "do not cut up the scales");
    in.require_ascending("offsets", m.offsets_);
    for (std::size_t r = 0; r + 1 < m.offsets_.size(); ++r)
      in.require(can_cut(cols, m.offsets_[r + 1] - m.offsets_[r]), "offsets", "give a row groups of unequal sizes");
    return in.finish(std::move(m));
  }
  part_set parts() const noexcept {
    part_set set(scheme, rows(), cols());
    set.add("bits", static_cast<std::uint64_t>(bits()));
    codes_.add_to(set, "codes").add("offsets", part_type::i32, 1, offsets_);
    return set.add("scales", part_type::f16, 1, scales_);
  }

  std::size_t rows() const noexcept { return codes_.rows(); }
  std::size_t cols() const noexcept { return codes_.cols(); }
  int bits() const noexcept { return codes_.bits(); }
  std::size_t groups(std::size_t r) const noexcept { return offsets_[r + 1] - offsets_[r]; }
  int code(std::size_t r, std::size_t k) const noexcept { return codes_.get(r, k) - zero(); }

  void dequantize_row(std::size_t r, std::span<float> y) const noexcept {
    BLOCQ_ASSERT(r < rows() && y.size() == cols());
    const std::size_t size = cols() / groups(r);
    for (std::size_t k = 0; k < y.size(); ++k)
      y[k] = f16_to_f32(scales_[offsets_[r] + k / size]) * static_cast<float>(code(r, k));
  }

  std::size_t scratch() const noexcept { return 0; }
  void gemv(std::span<const float> x, std::span<float> y, std::span<float> = {}, std::size_t first = 0) const noexcept {
    BLOCQ_ASSERT(x.size() == cols() && first + y.size() <= rows());
    const fp_environment modes;
    detail::with_bits<7>(bits(), [&]<int Bits>() BLOCQ_INLINE_LAMBDA {
      if constexpr (Bits > 1) multiply<Bits>(x.data(), y, first);
    });
  }

 private:
  row_groups() = default;

  int zero() const noexcept { return 1 << (bits() - 1); }
  template <int Bits>
  void multiply(const float* x, std::span<float> y, std::size_t first) const noexcept {
    const simd::native::bytes middle = simd::native::fill_bytes(1 << (Bits - 1));
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t r = first + i, count = groups(r), size = cols() / count;
      y[i] = 0.0f;
      for (std::size_t g = 0; g < count; ++g)
        y[i] += f16_to_f32(scales_[offsets_[r] + g]) *
                detail::dot_codes<Bits>(codes_.row(r), x, g * size, (g + 1) * size,
                                        [&](simd::native::bytes codes, int h)
                                            BLOCQ_INLINE_LAMBDA { return simd::quad::to_floats(codes - middle, h); });
    }
  }

  code_rows codes_ = {};
  std::vector<std::uint32_t> offsets_ = {};
  std::vector<std::uint16_t> scales_ = {};  // binary16
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
