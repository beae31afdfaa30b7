// The part of `blocq quantize` whose methods make packed matrices.
#ifndef BLOCQ_EXAMPLES_QUANTIZE_PACKED_HPP
#define BLOCQ_EXAMPLES_QUANTIZE_PACKED_HPP

#include "command.hpp"
#include "pack_matrix.hpp"

#include <regex>

int quantize_packed(const quantize_options& o, const packing_method& method);

// The regular expression of an option. Throws failure.
std::regex compile_pattern(const std::string& pattern);

#endif
