// The library's core as a module of C++20: what <blocq/blocq.hpp> declares for users, without a macro and without
// xsimd's and the standard library's names. A module is compiled once, for the instruction set of that compilation; the
// names below are that namespace's, so that a program may still link units of headers with other flags.
module;

#include <blocq/simd/xsimd.hpp>

#include <cassert>
#include <cfenv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

export module blocq;

// Here and not above: of what comes before the module's name compilers may drop whatever only a template will look for.
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wunknown-warning-option"
#pragma clang diagnostic ignored "-Winclude-angled-in-module-purview"
#endif
extern "C++" {
#include <blocq/blocq.hpp>
}

export namespace blocq {

// Errors, views, lists of types
using blocq::bits_per_element;
using blocq::block_size;
using blocq::blocks_for;
using blocq::concat_t;
using blocq::errc;
using blocq::error;
using blocq::for_each;
using blocq::matrix_view;
using blocq::message;
using blocq::result;
using blocq::status;
using blocq::type_list;

// What a format is
using blocq::block_format;
using blocq::element_t;
using blocq::encodable_format;
using blocq::format_traits;
using blocq::gguf_format;
using blocq::integer_format;
using blocq::integer_operand_t;
using blocq::operand_t;
using blocq::weight_format;
using blocq::wire_t;

// The formats
using blocq::bf16;
using blocq::bnb_fp4;
using blocq::f16;
using blocq::iq1_m;
using blocq::iq1_s;
using blocq::iq2_s;
using blocq::iq2_xs;
using blocq::iq2_xxs;
using blocq::iq3_s;
using blocq::iq3_xxs;
using blocq::iq4_nl;
using blocq::iq4_xs;
using blocq::mxfp4;
using blocq::mxfp4_ocp;
using blocq::mxfp6_e2m3;
using blocq::mxfp6_e3m2;
using blocq::mxfp8_e4m3;
using blocq::mxfp8_e5m2;
using blocq::mxint8;
using blocq::nf4;
using blocq::nvfp4;
using blocq::q1_0;
using blocq::q2_0;
using blocq::q2_k;
using blocq::q3_k;
using blocq::q4_0;
using blocq::q4_1;
using blocq::q4_k;
using blocq::q5_0;
using blocq::q5_1;
using blocq::q5_k;
using blocq::q6_k;
using blocq::q8_0;
using blocq::q8_1;
using blocq::q8_k;
using blocq::tq1_0;
using blocq::tq2_0;

using blocq::all_formats;
using blocq::float_formats;
using blocq::iq_formats;
using blocq::k_formats;
using blocq::legacy_formats;
using blocq::mx_formats;
using blocq::nf_formats;
using blocq::nv_formats;
using blocq::ternary_formats;
using blocq::visit_gguf;
using blocq::visit_name;

// Operations
using blocq::convert;
using blocq::deinterleave;
using blocq::dequantize;
using blocq::dot;
using blocq::gemm;
using blocq::gemm_scratch;
using blocq::gemv;
using blocq::gemv_scratch;
using blocq::interleave;
using blocq::interleaved;
using blocq::interleaved_blocks;
using blocq::make_split_view;
using blocq::quality_level;
using blocq::quantize;
using blocq::quantize_activations;
using blocq::quantize_options;
using blocq::scale_rule;
using blocq::split_scratch;
using blocq::split_view;

}  // namespace blocq
