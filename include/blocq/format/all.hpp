// The list of formats: the one place where a new format is entered. Everything that runs over all formats (visit,
// tests, benchmarks, the table of `blocq formats`) runs over this list.
#ifndef BLOCQ_FORMAT_ALL_HPP
#define BLOCQ_FORMAT_ALL_HPP

#include <blocq/core/type_list.hpp>
#include <blocq/format/float16.hpp>
#include <blocq/format/iq.hpp>
#include <blocq/format/mx.hpp>
#include <blocq/format/nf4.hpp>
#include <blocq/format/nvfp4.hpp>
#include <blocq/format/q_k.hpp>
#include <blocq/format/q_legacy.hpp>
#include <blocq/format/tq.hpp>

namespace blocq::inline v0 {

using legacy_formats = type_list<q4_0, q4_1, q5_0, q5_1, q8_0, q8_1, q1_0, q2_0>;
using k_formats = type_list<q2_k, q3_k, q4_k, q5_k, q6_k, q8_k>;
using iq_formats = type_list<iq1_s, iq1_m, iq2_xxs, iq2_xs, iq2_s, iq3_xxs, iq3_s, iq4_nl, iq4_xs>;
using ternary_formats = type_list<tq1_0, tq2_0>;
using float_formats = type_list<f16, bf16>;
using mx_formats = type_list<mxfp4, mxfp4_ocp, mxfp6_e2m3, mxfp6_e3m2, mxfp8_e4m3, mxfp8_e5m2, mxint8>;
using nv_formats = type_list<nvfp4>;
using nf_formats = type_list<nf4, bnb_fp4>;

using all_formats =
    concat_t<legacy_formats, k_formats, iq_formats, ternary_formats, float_formats, mx_formats, nv_formats, nf_formats>;

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

// Calls f.template operator()<B>() for the block format B with this GGUF type id. False if there is none.
template <class F>
constexpr bool visit_gguf(int id, F&& f) {
  bool found = false;
  for_each(all_formats{}, [&]<class B> {
    if constexpr (gguf_format<B>) {
      if (!found && format_traits<B>::gguf_id == id) {
        found = true;
        f.template operator()<B>();
      }
    }
  });
  return found;
}

// Calls f for the block format with this name ("q4_k"; case does not matter). False if there is none.
template <class F>
constexpr bool visit_name(const char* name, F&& f) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  const auto same = [&](const char* a, const char* b) {
    while (*a != 0 && lower(*a) == lower(*b)) ++a, ++b;
    return lower(*a) == lower(*b);
  };
  bool found = false;
  for_each(all_formats{}, [&]<class B> {
    if (!found && same(format_traits<B>::name, name)) {
      found = true;
      f.template operator()<B>();
    }
  });
  return found;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
