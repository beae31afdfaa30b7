// Forms of a tensor that are more than rows of blocks, because a scale stands for all of it.
#ifndef BLOCQ_EXAMPLES_WHOLE_TENSOR_HPP
#define BLOCQ_EXAMPLES_WHOLE_TENSOR_HPP

#include "catalog.hpp"

#include <string>
#include <string_view>

// Entries of the catalog like the block formats, except that what `encode` is given counts as the whole tensor.
format_entry nvfp4_two_level();  // codes and E4M3 scales of 16 in units of one float
format_entry nf4_nested();       // blocks of 64 whose scales are in 8 bits, 256 of them in units of one float

// NVFP4 in a GGUF file: blocks, in units of a scale for each matrix which the file has in a tensor of its own.

// Whether llama.cpp looks for a scale beside this tensor, stored as NVFP4, in a model of this architecture, and heeds
// it.
bool may_have_scale(std::string_view tensor, std::string_view architecture);
// Whether it loads such a scale, and multiplies without it.
bool ignores_scale(std::string_view tensor, std::string_view architecture);
// That tensor's name.
std::string scale_name(std::string_view tensor);
// The unit of a matrix whose largest magnitude this is. 1 if it is that within a millionth: it can be left out.
float nvfp4_unit(float largest);
// Whole blocks of a matrix, in this unit.
blocq::status encode_nvfp4_blocks(std::span<const float> x, float unit, std::byte* blocks,
                                  const encode_settings& settings);

#endif
