// Weights in 6 or 5 bits of floating point under one scale for each row, as FP6-LLM has them. No block has a scale of
// its own: a number finds its range by its exponent.
//
//   codes   [rows, columns]  of float6_e3m2fn or float5_e2m2fn, as in codes.hpp
//   scales  [rows]           F16
//
//   y = scale * element, scale the largest magnitude of the row over the largest element
#ifndef BLOCQ_PACKED_FP6_LLM_HPP
#define BLOCQ_PACKED_FP6_LLM_HPP

#include <blocq/codec/minifloat.hpp>
#include <blocq/core/lane.hpp>
#include <blocq/packed/matrix.hpp>

namespace blocq::inline v0 {

using float5_e2m2fn = minifloat<2, 2, specials::none>;

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

// Element: float6_e3m2fn or float5_e2m2fn.
template <class Element>
class split_floats {
  static_assert(Element::bits == 5 || Element::bits == 6, "split_floats<Element>: an element of 5 or 6 bits");

 public:
  static constexpr const char* scheme = Element::bits == 6 ? "fp6_llm" : "fp5_llm";
  static constexpr bool rounds_inputs = false;

  // The nearest elements, ties to even, under a scale for each row. errc::not_finite with the row that has a NaN or an
  // infinity, errc::scale_range with the row whose scale is beyond binary16.
  static result<split_floats> quantize(matrix_view<const float> w) {
    const fp_environment modes;
    constexpr float highest = Element{Element::max_code}.to_float();
    split_floats m;
    m.codes_ = code_rows(w.rows, w.cols, Element::bits);
    m.scales_.resize(w.rows);
    for (std::size_t r = 0; r < w.rows; ++r) {
      std::uint32_t peak = 0;
      for (const float v : w.row(r)) {
        const std::uint32_t magnitude = to_bits(v) & 0x7fffffffu;
        peak = magnitude > peak ? magnitude : peak;
      }
      if (peak >= 0x7f800000u) return error(errc::not_finite) << "row " << r << " has a number that is not finite";
      const std::uint16_t nearest = f32_to_f16((lane(from_bits(peak)) / lane(highest)).v);
      if (nearest >= 0x7c00u) return error(errc::scale_range) << "row " << r << " is too large for a scale in binary16";
      // The smallest scale rather than none: its elements still reach the largest number.
      m.scales_[r] = nearest == 0 && peak != 0 ? 1 : nearest;
      if (peak == 0) continue;
      const lane scale = f16_to_f32(m.scales_[r]);
      for (std::size_t k = 0; k < w.cols; ++k)
        m.codes_.set(r, k, Element::from_float((lane(w.row(r)[k]) / scale).v).code);
    }
    return m;
  }

  static result<split_floats> from_parts(const part_set& set) {
    part_reader in(set, scheme);
    const std::size_t rows = in.rows(), cols = in.cols();
    split_floats m;
    m.codes_ = code_rows(in, "codes", rows, cols, Element::bits);
    m.scales_ = in.take<std::uint16_t>("scales", part_type::f16, 1, rows);
    in.require_finite("scales", m.scales_);
    return in.finish(std::move(m));
  }
  part_set parts() const noexcept {
    part_set set(scheme, rows(), cols());
    return codes_.add_to(set, "codes").add("scales", part_type::f16, 1, scales_);
  }

  std::size_t rows() const noexcept { return codes_.rows(); }
  std::size_t cols() const noexcept { return codes_.cols(); }

  float scale(std::size_t r) const noexcept { return f16_to_f32(scales_[r]); }
  Element element(std::size_t r, std::size_t k) const noexcept { return {static_cast<std::uint8_t>(codes_.get(r, k))}; }
  float value(std::size_t r, std::size_t k) const noexcept {
    return (lane(scale(r)) * lane(element(r, k).to_float())).v;
  }
  void dequantize_row(std::size_t r, std::span<float> y) const noexcept {
    BLOCQ_ASSERT(r < rows() && y.size() == cols());
    for (std::size_t k = 0; k < y.size(); ++k) y[k] = value(r, k);
  }

  std::size_t scratch() const noexcept { return 0; }
  void gemv(std::span<const float> x, std::span<float> y, std::span<float> = {}, std::size_t first = 0) const noexcept {
    namespace quad = simd::quad;
    BLOCQ_ASSERT(x.size() == cols() && first + y.size() <= rows());
    const fp_environment modes;
    constexpr float unit = from_bits((127u + 15u - static_cast<std::uint32_t>(Element::bias)) << 23);  // small_floats
    for (std::size_t r = 0; r < y.size(); ++r) {
      const float sum = detail::dot_codes<Element::bits>(codes_.row(first + r), x.data(), 0, cols(),
                                                         [](simd::native::bytes codes, int h) BLOCQ_INLINE_LAMBDA {
                                                           quad::floats w[2];
                                                           blocq::detail::small_floats<Element>(codes, w);
                                                           return w[h];
                                                         });
      y[r] = sum * (scale(first + r) * unit);
    }
  }

 private:
  code_rows codes_ = {};
  std::vector<std::uint16_t> scales_ = {};  // binary16
};

using fp6_llm = split_floats<float6_e3m2fn>;
using fp5_llm = split_floats<float5_e2m2fn>;

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
