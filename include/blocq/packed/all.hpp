// The list of packed matrices: the one place where a new one is entered. What runs over all of them (visit_scheme,
// files, tests, the fuzzer) runs over this list.
#ifndef BLOCQ_PACKED_ALL_HPP
#define BLOCQ_PACKED_ALL_HPP

#include <blocq/core/type_list.hpp>
#include <blocq/packed/bipolar.hpp>
#include <blocq/packed/bit_stack.hpp>
#include <blocq/packed/column_groups.hpp>
#include <blocq/packed/dual_groups.hpp>
#include <blocq/packed/fp6_llm.hpp>
#include <blocq/packed/int_groups.hpp>
#include <blocq/packed/llm_int8.hpp>
#include <blocq/packed/low_rank.hpp>
#include <blocq/packed/mixed_blocks.hpp>
#include <blocq/packed/palette.hpp>
#include <blocq/packed/plane_groups.hpp>
#include <blocq/packed/row_groups.hpp>
#include <blocq/packed/spqr.hpp>
#include <blocq/packed/vectors.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

using all_packed =
    type_list<int_groups, row_groups, column_groups, dual_groups, palette, vector_codes, bit_stack, low_rank,
              bipolar_matrix, plane_groups, mixed_blocks, fp6_llm, fp5_llm, int8_matrix, spqr_matrix>;

// Calls f.template operator()<M>() for the packed matrix with this scheme. False if there is none.
template <class F>
constexpr bool visit_scheme(std::string_view scheme, F&& f) {
  bool found = false;
  for_each(all_packed{}, [&]<class M> {
    if (!found && scheme == M::scheme) {
      found = true;
      f.template operator()<M>();
    }
  });
  return found;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
