// Two forms of a tensor that are more than rows of blocks, because a scale stands for all of it. They are entries of
// the catalog like the block formats, except that what `encode` is given counts as the whole tensor.
#ifndef BLOCQ_EXAMPLES_WHOLE_TENSOR_HPP
#define BLOCQ_EXAMPLES_WHOLE_TENSOR_HPP

#include "catalog.hpp"

format_entry nvfp4_two_level();  // codes and E4M3 scales of 16 in units of one float
format_entry nf4_nested();       // blocks of 64 whose scales are in 8 bits, 256 of them in units of one float

#endif
