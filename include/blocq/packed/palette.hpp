// Palettes: a code is an index into a table of 2^bits numbers, one table for the matrix or for each group of rows, and
// perhaps a scale for each row. What the numbers are is whoever made the tables' business: clusters of weights
// (calib/palette.hpp), a power law (calib/power.hpp), three ranges (calib/split_ranges.hpp).
//
//   codes     [rows, columns]   of 1 to 8 bits, as in codes.hpp
//   codebook  [groups, 2^bits]  F16, a table for each `group` rows, the last of which may be fewer
//   scales    [rows]            F16, or none
//
//   weight = codebook[row / group][code] * scale
#ifndef BLOCQ_PACKED_PALETTE_HPP
#define BLOCQ_PACKED_PALETTE_HPP

#include <blocq/packed/inputs.hpp>
#include <blocq/packed/matrix.hpp>

#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

class palette {
 public:
  static constexpr const char* scheme = "palette";
  static constexpr bool rounds_inputs = false;

  // Preconditions: the sizes above, all numbers are finite, group != 0.
  palette(code_rows codes, std::size_t group, std::vector<std::uint16_t> codebook,
          std::vector<std::uint16_t> scales = {})
      : codes_(std::move(codes)), group_(group), codebook_(std::move(codebook)), scales_(std::move(scales)) {
    BLOCQ_ASSERT(codebook_.size() == groups() << bits() && (scales_.empty() || scales_.size() == rows()));
  }
  static result<palette> from_parts(const part_set& set) {
    part_reader in(set, scheme);
    const std::size_t rows = in.rows(), cols = in.cols(), group = in.number("group", 1, rows);
    palette m;
    m.codes_ = code_rows(in, "codes", rows, cols, static_cast<int>(in.number("bits", 1, 8)));
    m.group_ = group;
    m.codebook_ = in.take<std::uint16_t>("codebook", part_type::f16, m.groups(), m.entries());
    if (in.has("scales")) m.scales_ = in.take<std::uint16_t>("scales", part_type::f16, 1, rows);
    in.require_finite("codebook", m.codebook_);
    in.require_finite("scales", m.scales_);
    return in.finish(std::move(m));
  }
  part_set parts() const noexcept {
    part_set set(scheme, rows(), cols());
    set.add("bits", static_cast<std::uint64_t>(bits())).add("group", group_);
    codes_.add_to(set, "codes").add("codebook", part_type::f16, groups(), codebook_);
    return set.add("scales", part_type::f16, 1, scales_);
  }

  std::size_t rows() const noexcept { return codes_.rows(); }
  std::size_t cols() const noexcept { return codes_.cols(); }
  int bits() const noexcept { return codes_.bits(); }
  std::size_t entries() const noexcept { return std::size_t{1} << bits(); }
  float entry(std::size_t row, std::size_t code) const noexcept {
    return f16_to_f32(codebook_[row / group_ * entries() + code]);
  }

  void dequantize_row(std::size_t r, std::span<float> y) const noexcept {
    BLOCQ_ASSERT(r < rows() && y.size() == cols());
    float table[256];
    load_table(r, table);
    const float scale = scale_of(r);
    for (std::size_t k = 0; k < y.size(); ++k) y[k] = table[codes_.get(r, k)] * scale;
  }

  std::size_t scratch() const noexcept { return 0; }
  void gemv(std::span<const float> x, std::span<float> y, std::span<float> = {}, std::size_t first = 0) const noexcept {
    BLOCQ_ASSERT(x.size() == cols() && first + y.size() <= rows());
    const fp_environment modes;
    detail::with_bits<8>(bits(), [&]<int Bits>() BLOCQ_INLINE_LAMBDA { multiply<Bits>(x.data(), y, first); });
  }

  // The same in integers, for 1 to 4 bits: x in 8 bits with a scale for 256, tables in 14 bits between their smallest
  // and their largest number. A table loses a sixtieth of what x does. Preconditions: as
  // gemv, bits() <= 4, space has integer_scratch() numbers. Where x is not finite, y is not.
  std::size_t integer_scratch() const noexcept { return 65 * blocks(); }
  void integer_gemv(std::span<const float> x, std::span<float> y, std::span<float> space,
                    std::size_t first = 0) const noexcept {
    BLOCQ_ASSERT(x.size() == cols() && first + y.size() <= rows() && bits() <= 4 && space.size() >= integer_scratch());
    const fp_environment modes;
    auto* const inputs = reinterpret_cast<std::uint8_t*>(space.data());
    float* const scales = space.data() + 64 * blocks();
    float sum = 0.0f;
    for (std::size_t b = 0; b < blocks(); ++b) {
      const std::span<const float> block = x.subspan(256 * b, cols() - 256 * b < 256 ? cols() - 256 * b : 256);
      scales[b] = (lane(detail::largest_magnitude(block)) / lane(127.0f)).v;
      std::memset(inputs + 256 * b, 0, 256);
      std::int32_t whole = 0;
      for (std::size_t c = 0; 32 * c < block.size() && detail::can_divide(scales[b]); ++c) {
        const detail::rounded_chunk some = detail::round_chunk(block, c, scales[b]);
        simd::native::store_bytes(inputs + 256 * b + 32 * c, some.bytes);
        whole += some.sum;
      }
      sum += scales[b] * static_cast<float>(whole);
    }
    detail::with_bits<4>(
        bits(), [&]<int Bits>() BLOCQ_INLINE_LAMBDA { multiply_integers<Bits>(inputs, scales, sum, y, first); });
  }

 private:
  palette() = default;

  std::size_t blocks() const noexcept { return cols() / 256 + (cols() % 256 != 0 ? 1 : 0); }
  // A table as lowest + unit * (128 upper + lower).
  struct digits {
    std::uint8_t upper[16] = {}, lower[16] = {};
    float lowest, unit;
  };
  digits digits_of(const float* table) const noexcept {
    digits d;
    float highest = d.lowest = table[0];
    for (std::size_t c = 1; c < entries(); ++c) {
      d.lowest = table[c] < d.lowest ? table[c] : d.lowest;
      highest = table[c] > highest ? table[c] : highest;
    }
    d.unit = (highest - d.lowest) / 16383.0f;
    for (std::size_t c = 0; c < entries() && d.unit > 0.0f; ++c) {
      const int code = static_cast<int>((table[c] - d.lowest) / d.unit + 0.5f);
      d.upper[c] = static_cast<std::uint8_t>(code >> 7 & 127);
      d.lower[c] = static_cast<std::uint8_t>(code & 127);
    }
    return d;
  }
  // sum: of x, rounded.
  template <int Bits>
  void multiply_integers(const std::uint8_t* inputs, const float* scales, float sum, std::span<float> y,
                         std::size_t first) const noexcept {
    namespace vec = simd::native;
    digits d = {};
    vec::bytes upper = vec::fill_bytes(0), lower = upper;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t r = first + i;
      if (i == 0 || r % group_ == 0) {
        float table[16];
        load_table(r, table);
        d = digits_of(table);
        upper = vec::load_halves(d.upper);
        lower = vec::load_halves(d.lower);
      }
      const std::uint8_t *codes = codes_.row(r), *in = inputs;
      vec::floats total = vec::fill_floats(0.0f);
      for (std::size_t b = 0; b < blocks(); ++b) {
        vec::ints high = vec::fill_ints(0), low = high;
        const std::size_t left = (cols() - 256 * b + 31) / 32, chunks = left < 8 ? left : 8;
        for (std::size_t c = 0; c < chunks; ++c, codes += 4 * Bits) {
          const vec::bytes index = code_rows::load<Bits>(codes), x = vec::load_bytes(in + 32 * c);
          const vec::bytes u = vec::lookup16(upper, index), l = vec::lookup16(lower, index);
          if constexpr (vec::has_dot4) {
            vec::dot4_to(high, u, x);
            vec::dot4_to(low, l, x);
          } else {
            vec::madd2_to(high, vec::maddubs(u, x), vec::fill_words(1));
            vec::madd2_to(low, vec::maddubs(l, x), vec::fill_words(1));
          }
        }
        in += 256;
        total = vec::fma(vec::to_floats(vec::shift_left(high, 7) + low), vec::fill_floats(scales[b]), total);
      }
      y[i] = scale_of(r) * (d.unit * vec::sum(total) + d.lowest * sum);
    }
  }

  std::size_t groups() const noexcept { return rows() / group_ + (rows() % group_ != 0 ? 1 : 0); }
  float scale_of(std::size_t r) const noexcept { return scales_.empty() ? 1.0f : f16_to_f32(scales_[r]); }
  void load_table(std::size_t r, float* table) const noexcept {
    for (std::size_t c = 0; c < entries(); ++c) table[c] = entry(r, c);
  }

  template <int Bits>
  void multiply(const float* x, std::span<float> y, std::size_t first) const noexcept {
    namespace quad = simd::quad;
    float table[Bits <= 4 ? 16 : 256] = {};
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t r = first + i;
      if (i == 0 || r % group_ == 0) load_table(r, table);
      y[i] = scale_of(r) * detail::dot_codes<Bits>(codes_.row(r), x, 0, cols(),
                                                   [&](simd::native::bytes codes, int h) BLOCQ_INLINE_LAMBDA {
                                                     if constexpr (Bits <= 4) {
                                                       return quad::lookup16(table, codes, h);
                                                     } else {
                                                       std::uint8_t index[32];
                                                       float found[16];
                                                       simd::native::store_bytes(index, codes);
                                                       for (int j = 0; j < 16; ++j) found[j] = table[index[16 * h + j]];
                                                       return quad::load_floats(found);
                                                     }
                                                   });
    }
  }

  code_rows codes_ = {};
  std::size_t group_ = 1;
  std::vector<std::uint16_t> codebook_ = {}, scales_ = {};  // binary16
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
