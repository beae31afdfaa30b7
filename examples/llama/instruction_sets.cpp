// Which compilations of products.cpp there are, and which of them this processor runs.
#include "products.hpp"

#include <blocq/dispatch/dispatch.hpp>

namespace llama {

namespace {

using blocq::dispatch::arch;

template <arch... Archs>
std::span<const instruction_set> list() {
  static const instruction_set all[] = {{blocq::dispatch::name(Archs), blocq::dispatch::supports(Archs),
                                         &blocq::dispatch::kernels<product_table, Archs>()}...};
  return all;
}

}  // namespace

std::span<const instruction_set> instruction_sets() { return list<BLOCQ_DISPATCH_ARCHS>(); }

const instruction_set& best_instruction_set() {
  const auto all = instruction_sets();
  std::size_t best = 0;
  for (std::size_t i = 1; i < all.size(); ++i)
    if (all[i].runs_here) best = i;
  return all[best];
}

}  // namespace llama
