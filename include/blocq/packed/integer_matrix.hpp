// Codes and scales of integer groups as they are computed, before something packs them.
#ifndef BLOCQ_PACKED_INTEGER_MATRIX_HPP
#define BLOCQ_PACKED_INTEGER_MATRIX_HPP

#include <blocq/core/lane.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

// Codes and scales of integer groups: value = scale * (code - zero), a scale and a zero for each group of each row, of
// which the last may be shorter.
struct integer_matrix {
  int bits = 0;
  std::size_t rows = 0, columns = 0, group = 0;
  std::vector<std::uint8_t> codes = {};  // one byte each, row after row
  std::vector<float> scales = {}, zeros = {};

  float value(std::size_t row, std::size_t column) const noexcept {
    const std::size_t groups = columns / group + (columns % group != 0), g = row * groups + column / group;
    return (lane(scales[g]) * (lane(static_cast<float>(codes[row * columns + column])) - lane(zeros[g]))).v;
  }
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
