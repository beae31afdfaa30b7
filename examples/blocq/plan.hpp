// What `quantize --target-bpw` would make of a model, for who shows it rather than writes it.
#ifndef BLOCQ_EXAMPLES_PLAN_HPP
#define BLOCQ_EXAMPLES_PLAN_HPP

#include "budget.hpp"
#include "command.hpp"

// Thrown where no choice of types is small enough.
struct budget_too_small : failure {
  using failure::failure;
};

struct budget_plan {
  std::vector<const format_entry*> formats;  // of each tensor of the model; null for what stays as it is
  budget_answer answer;
};

// The plan of exactly these options for the model that they name. `importance`, if there is any, is prepared for the
// tensors that get formats. Throws failure as choose_types does, and budget_too_small.
budget_plan plan_of(const quantize_options& o, const model& source, importance_file* importance);

#endif
