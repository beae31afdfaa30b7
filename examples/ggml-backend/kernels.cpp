#include "kernels.hpp"

namespace {

using blocq::dispatch::arch;

template <family F, arch... Archs>
void add(kernel_table& table, arch limit) {
  for (const kernel& k : blocq::dispatch::choose<kernel_family<F>, Archs...>(limit).kernels) table.of_type[k.type] = &k;
}

template <arch... Archs>
void add_all(kernel_table& table, arch limit) {
  table.chosen = blocq::dispatch::best<Archs...>(limit);
  add<family::legacy, Archs...>(table, limit);
  add<family::k, Archs...>(table, limit);
  add<family::iq, Archs...>(table, limit);
  add<family::other, Archs...>(table, limit);
}

}  // namespace

kernel_table::kernel_table(arch limit) noexcept { add_all<BLOCQ_DISPATCH_ARCHS>(*this, limit); }
