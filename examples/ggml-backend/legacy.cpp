#include "family.hpp"

BLOCQ_KERNEL_FAMILY(
    legacy, blocq::type_list<blocq::q4_0, blocq::q4_1, blocq::q5_0, blocq::q5_1, blocq::q8_0, blocq::q1_0, blocq::q2_0>)
