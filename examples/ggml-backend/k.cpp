#include "family.hpp"

BLOCQ_KERNEL_FAMILY(k, blocq::type_list<blocq::q2_k, blocq::q3_k, blocq::q4_k, blocq::q5_k, blocq::q6_k>)
