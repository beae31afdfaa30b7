// The formats that a test of all formats takes, for where each takes seconds to compile and a sample says as much.
// BLOCQ_TEST_FEW: those that between them reach every template and every kernel (op/test_gemm.cpp holds them to it).
// BLOCQ_TEST_KINDS: one of each kind, for checks of what all kernels have in common, such as where they are.
#ifndef BLOCQ_TESTS_FORMATS_HPP
#define BLOCQ_TESTS_FORMATS_HPP

#include <blocq/format/all.hpp>

namespace test {

using few_formats =
    blocq::type_list<blocq::q4_0, blocq::q4_1, blocq::q5_1, blocq::q8_0, blocq::q2_k, blocq::q4_k, blocq::q5_k,
                     blocq::q6_k, blocq::iq1_m, blocq::iq2_xs, blocq::iq3_xxs, blocq::iq4_xs, blocq::tq1_0, blocq::f16,
                     blocq::mxfp4, blocq::mxfp6_e2m3, blocq::mxfp6_e3m2, blocq::mxfp8_e4m3, blocq::nvfp4, blocq::nf4>;

#if defined BLOCQ_TEST_KINDS
using formats = blocq::type_list<blocq::q4_0, blocq::q4_k, blocq::iq2_xs, blocq::f16, blocq::mxfp4, blocq::nf4>;
#elif defined BLOCQ_TEST_FEW
using formats = few_formats;
#else
using formats = blocq::all_formats;
#endif

}  // namespace test

#endif
