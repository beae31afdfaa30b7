#include "family.hpp"

BLOCQ_KERNEL_FAMILY(
    other, blocq::concat_t<blocq::ternary_formats, blocq::float_formats, blocq::type_list<blocq::mxfp4, blocq::nvfp4>>)
