// Weights in 6 or 5 bits of floating point under one scale for each row, as FP6-LLM has them. No block has a scale of
// its own: a number finds its range by its exponent. The codes lie in two planes of powers of two, so that a register
// of either is full of whole codes.
//
//   code of E3M2   [ sign | e2 | e1 e0 m1 m0 ]          a row of K numbers, 32 at a time, filled up with zeros:
//                    \___/      \_________/               low    16 bytes, a nibble each, the first in the low half
//                     high          low                   high    8 bytes, two bits each, the first lowest
//   code of E2M2   [ sign | e1 e0 m1 m0 ]                         4 bytes, one bit each
//
//   y = scale * element, scale a binary16: the largest magnitude of the row over the largest element
#ifndef BLOCQ_CALIB_FP6_LLM_HPP
#define BLOCQ_CALIB_FP6_LLM_HPP

#include <blocq/codec/minifloat.hpp>
#include <blocq/core/error.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/core/lane.hpp>
#include <blocq/core/view.hpp>

#include <cstring>
#include <span>
#include <vector>

namespace blocq::inline v0 {

using float5_e2m2fn = minifloat<2, 2, specials::none>;

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

// Element: float6_e3m2fn or float5_e2m2fn.
template <class Element>
class split_floats {
  static constexpr std::size_t high_bits = Element::bits - 4;
  static_assert(high_bits == 1 || high_bits == 2, "split_floats<Element>: an element of 5 or 6 bits");

 public:
  // The nearest elements, ties to even, under a scale for each row. errc::not_finite with the row that has a NaN or an
  // infinity, errc::scale_range with the row whose scale is beyond binary16.
  static result<split_floats> quantize(matrix_view<const float> w) {
    const fp_environment modes;
    constexpr float highest = Element{Element::max_code}.to_float();
    split_floats m(w.rows, w.cols);
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
      for (std::size_t k = 0; k < w.cols; ++k) m.set(r, k, Element::from_float((lane(w.row(r)[k]) / scale).v).code);
    }
    return m;
  }

  std::size_t rows() const noexcept { return scales_.size(); }
  std::size_t columns() const noexcept { return columns_; }
  std::size_t bytes() const noexcept { return low_.size() + high_.size() + 2 * scales_.size(); }

  float scale(std::size_t r) const noexcept { return f16_to_f32(scales_[r]); }
  Element element(std::size_t r, std::size_t k) const noexcept {
    BLOCQ_ASSERT(r < rows() && k < columns_);
    const std::size_t at = r * chunks() * 32 + k, bit = at * high_bits;
    const int low = get_field(low_[at / 2], static_cast<int>(at % 2 * 4), 4);
    const int high = get_field(high_[bit / 8], static_cast<int>(bit % 8), static_cast<int>(high_bits));
    return {static_cast<std::uint8_t>(low | high << 4)};
  }
  float value(std::size_t r, std::size_t k) const noexcept {
    return (lane(scale(r)) * lane(element(r, k).to_float())).v;
  }

  // y = W * x for rows first to first + y.size() - 1. Preconditions: there are as many, x has columns() numbers.
  void gemv(std::span<const float> x, std::span<float> y, std::size_t first = 0) const noexcept {
    namespace quad = simd::quad;
    BLOCQ_ASSERT(x.size() == columns_ && first + y.size() <= rows());
    const fp_environment modes;
    float rest[32] = {};  // the last numbers of x, filled up
    if (columns_ % 32 != 0) std::memcpy(rest, x.data() + columns_ / 32 * 32, columns_ % 32 * sizeof(float));
    constexpr float unit = from_bits((127u + 15u - static_cast<std::uint32_t>(Element::bias)) << 23);  // small_floats
    for (std::size_t r = 0; r < y.size(); ++r) {
      const std::size_t start = (first + r) * chunks();
      quad::floats sum[2] = {};
      for (std::size_t c = 0; c < chunks(); ++c) {
        const float* const in = 32 * c + 32 <= columns_ ? x.data() + 32 * c : rest;
        quad::floats w[2];
        blocq::detail::small_floats<Element>(codes(start + c), w);
        for (std::size_t h = 0; h < 2; ++h) sum[h] = quad::fma(w[h], quad::load_floats(in + 16 * h), sum[h]);
      }
      y[r] = quad::sum(sum[0] + sum[1]) * (scale(first + r) * unit);
    }
  }

 private:
  split_floats(std::size_t rows, std::size_t columns)
      : columns_(columns), low_(rows * chunks() * 16), high_(rows * chunks() * 4 * high_bits), scales_(rows) {}

  std::size_t chunks() const noexcept { return (columns_ + 31) / 32; }
  void set(std::size_t r, std::size_t k, int code) noexcept {
    const std::size_t at = r * chunks() * 32 + k, bit = at * high_bits;
    set_field(low_[at / 2], static_cast<int>(at % 2 * 4), 4, code & 15);
    set_field(high_[bit / 8], static_cast<int>(bit % 8), static_cast<int>(high_bits), code >> 4);
  }
  BLOCQ_INLINE simd::native::bytes codes(std::size_t chunk) const noexcept {
    namespace vec = simd::native;
    const vec::bytes low = vec::spread_nibbles(&low_[chunk * 16]);
    if constexpr (high_bits == 2)
      return low | vec::shift_left(vec::spread_pairs(&high_[chunk * 8]), 4);
    else
      return low | vec::spread_bits(&high_[chunk * 4], 16);
  }

  std::size_t columns_;
  std::vector<std::uint8_t> low_, high_;
  std::vector<std::uint16_t> scales_;  // binary16
};

using fp6_llm = split_floats<float6_e3m2fn>;
using fp5_llm = split_floats<float5_e2m2fn>;

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
