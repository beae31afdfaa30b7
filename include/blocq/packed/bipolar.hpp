// Bipolar integers of any width from 1 to 8, in bit planes: a product of two of them is XOR and popcount, for every
// pair of widths.
//
// Bit i of a code counts as +2^i if it is set and as -2^i if not, so that the code c of n bits stands for
// 2c - (2^n - 1): the odd integers between -(2^n - 1) and 2^n - 1, without a zero and without a sign bit that would
// need a plane of its own. The product of two planes is the number of equal bits less that of different ones:
//
//   <a, b> = sum over i, j of 2^(i + j) (K - 2 popcount(a_i xor b_j))
//
//   planes  [rows, n * words]  I32, as in planes.hpp
//   scales  [rows]             F32
#ifndef BLOCQ_PACKED_BIPOLAR_HPP
#define BLOCQ_PACKED_BIPOLAR_HPP

#include <blocq/core/lane.hpp>
#include <blocq/packed/matrix.hpp>
#include <blocq/packed/planes.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

// One row: the numbers are scale times the bipolar integers.
struct bipolar_row {
  const std::uint64_t* planes = nullptr;
  int bits = 0;
  std::size_t columns = 0;
  float scale = 1.0f;

  constexpr std::size_t words() const noexcept { return words_of_plane(columns); }
  constexpr int code(std::size_t k) const noexcept {
    int c = 0;
    for (int i = 0; i < bits; ++i)
      c |= static_cast<int>(planes[static_cast<std::size_t>(i) * words() + k / 64] >> (k % 64) & 1u) << i;
    return c;
  }
  constexpr int value(std::size_t k) const noexcept { return 2 * code(k) - ((1 << bits) - 1); }
};

class bipolar_matrix : public detail::decoded_product<bipolar_matrix> {
 public:
  static constexpr const char* scheme = "bipolar";

  // Codes of `bits` bits, rows * columns of them, all of scale 1. errc::bad_value if bits is not 1 to 8 or a code needs
  // more, errc::size_mismatch if there are more or fewer codes.
  static result<bipolar_matrix> from_codes(std::span<const std::uint8_t> codes, std::size_t rows, std::size_t columns,
                                           int bits) {
    if (bits < 1 || bits > 8) return error(errc::bad_value) << "bipolar integers have 1 to 8 bits, not " << bits;
    if (!impl::is_product(codes.size(), rows, columns))
      return error(errc::size_mismatch) << codes.size() << " codes are not " << rows << " rows of " << columns;
    bipolar_matrix m(rows, columns, bits);
    for (std::size_t i = 0; i < codes.size(); ++i) {
      if (codes[i] >> bits != 0) return error(errc::bad_value) << "code " << i << " has more than " << bits << " bits";
      m.planes_.set(i / columns, i % columns, codes[i]);
    }
    return m;
  }

  // The nearest numbers under a scale for each row, the largest magnitude over 2^bits - 1. errc::not_finite with the
  // row that has a NaN or an infinity.
  static result<bipolar_matrix> quantize(matrix_view<const float> w, int bits) {
    if (bits < 1 || bits > 8) return error(errc::bad_value) << "bipolar integers have 1 to 8 bits, not " << bits;
    const fp_environment modes;
    bipolar_matrix m(w.rows, w.cols, bits);
    const int top = (1 << bits) - 1;
    for (std::size_t r = 0; r < w.rows; ++r) {
      float peak = 0.0f;
      for (const float v : w.row(r)) {
        if (!is_finite(v)) return error(errc::not_finite) << "row " << r << " has a number that is not finite";
        const float magnitude = v < 0.0f ? -v : v;
        peak = magnitude > peak ? magnitude : peak;
      }
      const lane scale = lane(peak) / lane(static_cast<float>(top));
      m.scales_[r] = scale.v;
      for (std::size_t k = 0; k < w.cols; ++k) {
        // floor((w / scale + top) / 2 + 1/2): below zero only by rounding
        const lane doubled = scale.v > 0.0f ? lane(w.row(r)[k]) / scale : lane(0.0f);
        const int code = static_cast<int>(((doubled + lane(static_cast<float>(top))) * lane(0.5f) + lane(0.5f)).v);
        m.planes_.set(r, k, code < 0 ? 0 : code > top ? top : code);
      }
    }
    return m;
  }

  static result<bipolar_matrix> from_parts(const part_set& set) {
    part_reader in(set, scheme);
    const std::size_t rows = in.rows(), cols = in.cols();
    bipolar_matrix m(0, 0, 1);
    m.planes_ = plane_rows(in, "planes", rows, cols, static_cast<int>(in.number("bits", 1, 8)));
    m.scales_ = in.take<float>("scales", part_type::f32, 1, rows);
    in.require_finite("scales", m.scales_);
    return in.finish(std::move(m));
  }
  part_set parts() const noexcept {
    part_set set(scheme, rows(), cols());
    set.add("bits", static_cast<std::uint64_t>(bits()));
    return planes_.add_to(set, "planes").add("scales", part_type::f32, 1, scales_);
  }

  std::size_t rows() const noexcept { return planes_.rows(); }
  std::size_t cols() const noexcept { return planes_.cols(); }
  int bits() const noexcept { return planes_.bits(); }
  bipolar_row row(std::size_t r) const noexcept {
    BLOCQ_ASSERT(r < rows());
    return {planes_.row(r), bits(), cols(), scales_[r]};
  }
  void dequantize_row(std::size_t r, std::span<float> y) const noexcept {
    BLOCQ_ASSERT(y.size() == cols());
    const bipolar_row from = row(r);
    for (std::size_t k = 0; k < y.size(); ++k) y[k] = from.scale * static_cast<float>(from.value(k));
  }

 private:
  bipolar_matrix(std::size_t rows, std::size_t columns, int bits) : planes_(rows, columns, bits), scales_(rows, 1.0f) {}

  plane_rows planes_;
  std::vector<float> scales_;
};

// The exact sum of the products of two rows' integers. Precondition: both have the same number of columns.
inline std::int64_t dot(const bipolar_row& a, const bipolar_row& b) noexcept {
  BLOCQ_ASSERT(a.columns == b.columns);
  namespace quad = simd::quad;
  const detail::plane_weights weights(b.bits);
  std::int64_t sum = 0;  // less all that are different
  for (std::size_t first = 0; first < a.words(); first += detail::chunk_words) {
    const detail::plane_window x(a.planes, a.words(), a.bits, first), y(b.planes, b.words(), b.bits, first);
    const quad::ints parts = detail::count_differences(x, a.bits, y, b.bits, weights);
    std::int32_t each[16];
    quad::store_bytes(each, quad::as_bytes(parts));
    for (const std::int32_t part : each) sum += part;
  }
  const std::int64_t greatest = ((std::int64_t{1} << a.bits) - 1) * ((std::int64_t{1} << b.bits) - 1);
  return static_cast<std::int64_t>(a.columns) * greatest + 2 * sum;
}

// y = W * x, scales included. Preconditions: x has w.cols() numbers, y has w.rows().
inline void gemv(const bipolar_matrix& w, const bipolar_row& x, std::span<float> y) noexcept {
  BLOCQ_ASSERT(x.columns == w.cols() && y.size() == w.rows());
  for (std::size_t r = 0; r < y.size(); ++r) {
    const bipolar_row row = w.row(r);
    y[r] = row.scale * x.scale * static_cast<float>(dot(row, x));
  }
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
