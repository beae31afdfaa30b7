// Vectors of weights as indices into a codebook: `length` consecutive rows of one column are one vector. A second stage
// holds what the first has wrong, and columns of extreme inputs may have a codebook of their own. calib/vptq.hpp finds
// all of them.
//
//   indices            [bands, columns]     of up to 16 bits, as in codes.hpp; of more than 8 the rest in indices.high.
//                                           A band is `length` rows, the last of which may be fewer
//   codebook           [2^bits, length]     F16
//   residual           [bands, columns]     the same of a second stage, or none; residual.high
//   residual.codebook  [2^bits, length]     F16
//   outliers           [outliers]           I32: columns, ascending, that have these instead:
//   outlier            [bands, outliers]    outlier.high
//   outlier.codebook   [2^bits, length]     F16
#ifndef BLOCQ_PACKED_VECTORS_HPP
#define BLOCQ_PACKED_VECTORS_HPP

#include <blocq/packed/matrix.hpp>

#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

// Indices of up to 16 bits into a codebook.
struct vector_stage {
  int bits = 0;  // 0: there is no such stage
  code_rows low = {}, high = {};
  std::vector<std::uint16_t> codebook = {};  // binary16

  vector_stage() = default;
  // Of zeros. Precondition: 1 <= index_bits <= 16.
  vector_stage(std::size_t bands, std::size_t cols, int index_bits, std::size_t length)
      : bits(index_bits),
        low(bands, cols, index_bits < 8 ? index_bits : 8),
        codebook((std::size_t{1} << index_bits) * length) {
    if (bits > 8) high = code_rows(bands, cols, bits - 8);
  }

  std::size_t get(std::size_t band, std::size_t k) const noexcept {
    return static_cast<std::size_t>(low.get(band, k) | (bits > 8 ? high.get(band, k) << 8 : 0));
  }
  void set(std::size_t band, std::size_t k, std::size_t index) noexcept {
    low.set(band, k, static_cast<int>(index & ((std::size_t{1} << low.bits()) - 1)));
    if (bits > 8) high.set(band, k, static_cast<int>(index >> 8));
  }
};

class vector_codes : public detail::decoded_product<vector_codes> {
 public:
  static constexpr const char* scheme = "vectors";

  // Preconditions: the stages have the sizes above, all numbers are finite; 1 <= length <= 64.
  vector_codes(std::size_t rows, std::size_t cols, std::size_t length, vector_stage main, vector_stage residual = {},
               std::vector<std::uint32_t> outliers = {}, vector_stage outlying = {})
      : rows_(rows),
        cols_(cols),
        length_(length),
        stages_{std::move(main), std::move(residual), std::move(outlying)},
        outliers_(std::move(outliers)) {}
  static result<vector_codes> from_parts(const part_set& set) {
    part_reader in(set, scheme);
    vector_codes m;
    m.rows_ = in.rows(), m.cols_ = in.cols(), m.length_ = in.number("length", 1, 64);
    m.outliers_ = in.take_list<std::uint32_t>("outliers", part_type::i32);
    in.require_below("outliers", m.outliers_, m.cols_);
    in.require_ascending("outliers", m.outliers_);
    for (std::size_t i = 0; i < 3; ++i) {
      vector_stage& s = m.stages_[i];
      const std::size_t bands = m.bands(), cols = i == 2 ? m.outliers_.size() : m.cols_;
      s.bits = static_cast<int>(in.number(names[i].bits, i == 0 ? 1 : 0, 16));
      in.require(i != 2 || (s.bits == 0) == m.outliers_.empty(), names[i].bits, "and the outliers do not agree");
      if (s.bits == 0) continue;
      s.low = code_rows(in, names[i].low, bands, cols, s.bits < 8 ? s.bits : 8);
      if (s.bits > 8) s.high = code_rows(in, names[i].high, bands, cols, s.bits - 8);
      s.codebook = in.take<std::uint16_t>(names[i].codebook, part_type::f16, std::size_t{1} << s.bits, m.length_);
      in.require_finite(names[i].codebook, s.codebook);
    }
    return in.finish(std::move(m));
  }
  part_set parts() const noexcept {
    part_set set(scheme, rows_, cols_);
    set.add("length", length_);
    for (std::size_t i = 0; i < 3; ++i) {
      const vector_stage& s = stages_[i];
      set.add(names[i].bits, static_cast<std::uint64_t>(s.bits));
      if (s.bits == 0) continue;
      s.low.add_to(set, names[i].low);
      if (s.bits > 8) s.high.add_to(set, names[i].high);
      set.add(names[i].codebook, part_type::f16, std::size_t{1} << s.bits, s.codebook);
    }
    return set.add("outliers", part_type::i32, 1, outliers_);
  }

  std::size_t rows() const noexcept { return rows_; }
  std::size_t cols() const noexcept { return cols_; }

  void dequantize_row(std::size_t r, std::span<float> y) const noexcept {
    BLOCQ_ASSERT(r < rows_ && y.size() == cols_);
    const std::size_t band = r / length_, at = r % length_;
    const auto value = [&](const vector_stage& s, std::size_t k) {
      return f16_to_f32(s.codebook[s.get(band, k) * length_ + at]);
    };
    for (std::size_t k = 0; k < cols_; ++k) {
      y[k] = value(stages_[0], k);
      if (stages_[1].bits != 0) y[k] += value(stages_[1], k);
    }
    for (std::size_t i = 0; i < outliers_.size(); ++i) y[outliers_[i]] = value(stages_[2], i);
  }

 private:
  struct stage_names {
    const char *bits, *low, *high, *codebook;
  };
  static constexpr stage_names names[3] = {{"bits", "indices", "indices.high", "codebook"},
                                           {"residual_bits", "residual", "residual.high", "residual.codebook"},
                                           {"outlier_bits", "outlier", "outlier.high", "outlier.codebook"}};

  vector_codes() = default;

  std::size_t bands() const noexcept { return rows_ / length_ + (rows_ % length_ != 0 ? 1 : 0); }

  std::size_t rows_ = 0, cols_ = 0, length_ = 1;
  vector_stage stages_[3] = {};
  std::vector<std::uint32_t> outliers_ = {};
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
