// The methods whose result is a packed matrix rather than blocks, behind one run-time interface.
#ifndef BLOCQ_EXAMPLES_PACK_MATRIX_HPP
#define BLOCQ_EXAMPLES_PACK_MATRIX_HPP

#include "../llama/packed_weight.hpp"

#include <blocq/calib/gram.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct packing_option {
  const char* name;
  double usual, least, most;
  bool whole = true;
};

struct packing_method {
  const char* name;
  const char* what;   // a phrase
  bool needs_inputs;  // what a text sends into a matrix
  std::vector<packing_option> options;
};

// Those that this program was built with.
const std::vector<packing_method>& packing_methods();
// Null if there is none.
const packing_method* find_packing_method(std::string_view name);

using packing_parameters = std::map<std::string, double, std::less<>>;
// "bits=3", "group=64" and so on; what is not given is as usual. Throws failure.
packing_parameters parse_parameters(const packing_method& method, const std::vector<std::string>& given);

// `inputs` is what a text sends into the matrix; null where that is not known, for a method that does without. `blocks`
// is, for the method low_rank, what stands beside the result: null for all others. Throws failure.
packed_weight pack_matrix(const packing_method& method, const packing_parameters& with,
                          blocq::matrix_view<const float> w, const blocq::calib::gram* inputs,
                          const blocq::matrix_view<const float>* blocks);

// What each level of a stack (packed/bit_stack.hpp) gains, and the bytes of one. Throws failure if it is none, or does
// not say.
struct stack_levels {
  std::vector<float> gains;
  std::size_t bytes;
};
stack_levels levels_of(const packed_weight& stack);
packed_weight first_levels(const packed_weight& stack, std::size_t count);

#endif
