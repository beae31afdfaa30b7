// The calibration methods behind one run-time interface, compiled once for all formats.
#ifndef BLOCQ_EXAMPLES_ROUND_MATRIX_HPP
#define BLOCQ_EXAMPLES_ROUND_MATRIX_HPP

#include <blocq/calib/gptq.hpp>

#include <cstddef>
#include <span>
#include <vector>

struct rounded_matrix {
  std::vector<std::byte> blocks;
  std::vector<float> values;  // what the blocks decode to
};

// Columns of large inputs first, which was better in both formats tried (nvfp4, q3_k); the blocks are ordinary ones.
inline constexpr blocq::calib::gptq_options gptq_choice{.act_order = true};

// Whether the codes of the type stand for one element each, which is what the methods need.
bool can_calibrate(int type);

// AWQ's scale for the columns of matrices that share an input, when they are rounded onto blocks of the type. Empty if
// none is better than none. Throws failure.
std::vector<float> find_scale(int type, std::span<const blocq::matrix_view<const float>> consumers,
                              const blocq::calib::gram& moments);

// AWQ's clipping: clamps the runs of w where the others gain by it. Throws failure.
void clip_matrix(int type, blocq::matrix_view<float> w, const blocq::calib::gram& moments);

// Onto blocks of the type: with GPTQ if there is a factor, else each weight to its nearest value. `best`: with scales
// that are searched for longer than the reference encoder does. Throws failure.
rounded_matrix round_matrix(int type, blocq::matrix_view<const float> w, const std::vector<float>& importance,
                            const blocq::calib::gptq_factor* factor, bool best, unsigned threads);

#endif
