#include "family.hpp"

BLOCQ_KERNEL_FAMILY(iq, blocq::iq_formats)
