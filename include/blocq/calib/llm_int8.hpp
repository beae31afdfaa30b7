// Which columns LLM.int8 keeps in half precision: packed/llm_int8.hpp has the matrix.
#ifndef BLOCQ_CALIB_LLM_INT8_HPP
#define BLOCQ_CALIB_LLM_INT8_HPP

#include <blocq/packed/llm_int8.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

using packed::int8_matrix;

// The columns whose inputs reach beyond the threshold, ascending. 6 is the paper's, for inputs behind a norm.
inline std::vector<std::uint32_t> outlier_columns(std::span<const float> input_peaks, float threshold = 6.0f) {
  std::vector<std::uint32_t> out;
  for (std::size_t k = 0; k < input_peaks.size(); ++k)
    if (input_peaks[k] > threshold) out.push_back(static_cast<std::uint32_t>(k));
  return out;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
