// SpQR's storage: 3-bit weights in groups of 16 columns, whose scales and zero points are 3-bit numbers too, in groups
// of 16 rows; a sparse matrix sets right what this would spoil most. calib/spqr.hpp fits it. Dettmers, Svirschevski,
// Egiazarian, Kuznedelev, Frantar, Ashkboos, Borzunov, Hoefler, Alistarh, "SpQR: A Sparse-Quantized Representation for
// Near-Lossless LLM Weight Compression", 2023.
#ifndef BLOCQ_PACKED_SPQR_HPP
#define BLOCQ_PACKED_SPQR_HPP

#include <blocq/packed/matrix.hpp>

#include <algorithm>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

namespace detail {
// Four binary16 numbers from the bytes of a tile's rows, and back.
inline std::array<float, 4> spqr_shared(const std::uint64_t* tile) noexcept {
  std::array<float, 4> out{};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto low = static_cast<unsigned>(tile[4 * i] >> 54 & 0xff),
               high = static_cast<unsigned>(tile[4 * i + 2] >> 54 & 0xff);
    out[i] = f16_to_f32(static_cast<std::uint16_t>(low | high << 8));
  }
  return out;
}
}  // namespace detail

// A tile is 16 rows by 16 columns, a word for each of its rows:
//
//   63    62 61      54 53                                6 5     3 2     0
//   | unused | fragment | code 15 | ...         | code 0 | zero  | scale |      codes, zero and scale have 3 bits
//
// The fragment of row r is byte r / 2 of four binary16 numbers that the tile's rows share: a, b, c, d from the lowest
// byte on. With them, and with what the sparse matrix has for this element or 0,
//
//   w = a * (scale - b) * (code - c * (zero - d)) + sparse
//
//   words        [bands * groups, 32]  I32, pairs of which are words of 64 bits: tile after tile along 16 rows, then
//   the
//                                      next 16 rows; tiles are filled up with rows of zeros
//   row_offsets  [rows + 1]            I32: where the entries of a row begin
//   entries      [entries]             I32: value, binary16, in the upper half, column in the lower one; ascending by
//                                      column in a row
//   order        [columns]             I16, or none: the column of the layer that column j of this matrix is
class spqr_matrix {
 public:
  static constexpr const char* scheme = "spqr";
  static constexpr bool rounds_inputs = false;

  std::vector<std::uint64_t> words = {};
  std::vector<std::uint32_t> row_offsets = {}, entries = {};
  std::vector<std::uint16_t> order = {};
  double loss = 0.0;  // of what fitted it, as in calib::gptq_result; not stored

  spqr_matrix() = default;
  // Of zeros. Precondition: columns are a multiple of 16, at most 65536.
  spqr_matrix(std::size_t rows, std::size_t cols)
      : words((rows + 15) / 16 * (cols / 16) * 16), row_offsets(rows + 1), rows_(rows), cols_(cols) {}

  static result<spqr_matrix> from_parts(const part_set& set) {
    part_reader in(set, scheme);
    spqr_matrix m;
    m.rows_ = in.rows(), m.cols_ = in.number("columns", 16, 65536);
    in.require(m.cols_ % 16 == 0, "columns", "is no multiple of 16");
    m.words = in.take<std::uint64_t>("words", part_type::i32, (m.rows_ + 15) / 16 * (m.cols_ / 16), 32);
    m.row_offsets = in.take<std::uint32_t>("row_offsets", part_type::i32, 1, m.rows_ + 1);
    m.entries = in.take_list<std::uint32_t>("entries", part_type::i32);
    m.order = in.take_list<std::uint16_t>("order", part_type::i16);
    in.require_permutation("order", m.order, m.cols_);
    for (std::size_t i = 0; i < m.words.size(); i += 16)
      for (const float shared : detail::spqr_shared(m.words.data() + i))
        in.require(is_finite(shared), "words", "have a scale that is not finite");
    for (const std::uint32_t e : m.entries)
      in.require((e & 0xffffu) < m.cols_ && (e >> 16 & 0x7c00u) != 0x7c00u, "entries",
                 "have a column beyond the end or a number that is not finite");
    if (!m.row_offsets.empty())
      in.require(m.row_offsets.front() == 0 && m.row_offsets.back() == m.entries.size() &&
                     std::is_sorted(m.row_offsets.begin(), m.row_offsets.end()),
                 "row_offsets", "do not cut up the entries");
    return in.finish(std::move(m));
  }
  part_set parts() const noexcept {
    part_set set(scheme, rows_, cols_);
    set.add("words", part_type::i32, words.size() / 16, words).add("row_offsets", part_type::i32, 1, row_offsets);
    return set.add("entries", part_type::i32, 1, entries).add("order", part_type::i16, 1, order);
  }

  std::size_t rows() const noexcept { return rows_; }
  std::size_t cols() const noexcept { return cols_; }

  // In the order of the layer's columns.
  void dequantize_row(std::size_t r, std::span<float> y) const noexcept {
    BLOCQ_ASSERT(r < rows_ && y.size() == cols_);
    const auto column = [&](std::size_t j) { return order.empty() ? j : std::size_t{order[j]}; };
    for (std::size_t g = 0; g < cols_ / 16; ++g) {
      const group of(tile(r / 16, g), r % 16);
      for (std::size_t i = 0; i < 16; ++i) y[column(16 * g + i)] = of.scale * (of.code(i) - of.zero);
    }
    for (std::uint32_t at = row_offsets[r]; at < row_offsets[r + 1]; ++at)
      y[column(entries[at] & 0xffff)] += f16_to_f32(static_cast<std::uint16_t>(entries[at] >> 16));
  }

  // From the words as they are: a group is its scale times (codes times x, less zero times the sum of x), and the
  // sparse entries are added.
  std::size_t scratch() const noexcept { return cols_ + cols_ / 16; }
  void gemv(std::span<const float> x, std::span<float> y, std::span<float> space,
            std::size_t first = 0) const noexcept {
    BLOCQ_ASSERT(x.size() == cols_ && first + y.size() <= rows_ && space.size() >= scratch());
    const fp_environment modes;
    const std::span<float> ordered = space.first(cols_), sums = space.subspan(cols_, cols_ / 16);
    for (std::size_t j = 0; j < cols_; ++j) ordered[j] = x[order.empty() ? j : std::size_t{order[j]}];
    for (std::size_t g = 0; g < sums.size(); ++g) {
      sums[g] = 0.0f;
      for (std::size_t i = 0; i < 16; ++i) sums[g] += ordered[16 * g + i];
    }
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t r = first + i;
      float total = 0.0f;
      for (std::size_t g = 0; g < sums.size(); ++g) {
        const group of(tile(r / 16, g), r % 16);
        float sum = 0.0f;
        for (std::size_t j = 0; j < 16; ++j) sum += of.code(j) * ordered[16 * g + j];
        total += of.scale * (sum - of.zero * sums[g]);
      }
      for (std::uint32_t at = row_offsets[r]; at < row_offsets[r + 1]; ++at)
        total += f16_to_f32(static_cast<std::uint16_t>(entries[at] >> 16)) * ordered[entries[at] & 0xffff];
      y[i] = total;
    }
  }

 private:
  // 16 columns of a row.
  struct group {
    std::uint64_t word;
    float scale, zero;

    group(const std::uint64_t* of, std::size_t r) noexcept : word(of[r]) {
      const std::array<float, 4> shared = detail::spqr_shared(of);
      scale = shared[0] * (static_cast<float>(word & 7) - shared[1]);
      zero = shared[2] * (static_cast<float>(word >> 3 & 7) - shared[3]);
    }
    float code(std::size_t i) const noexcept { return static_cast<float>(word >> (6 + 3 * i) & 7); }
  };
  const std::uint64_t* tile(std::size_t band, std::size_t g) const noexcept {
    return words.data() + (band * (cols_ / 16) + g) * 16;
  }

  std::size_t rows_ = 0, cols_ = 0;
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
