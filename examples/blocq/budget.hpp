// Which type each matrix of a model gets so that all of them take no more than so many bytes and the model loses least.
#ifndef BLOCQ_EXAMPLES_BUDGET_HPP
#define BLOCQ_EXAMPLES_BUDGET_HPP

#include "importance.hpp"
#include "model.hpp"

#include <cstdint>
#include <string>
#include <vector>

struct budget_tensor {
  const model::tensor* source;
  std::vector<const format_entry*> types = {};  // that it may become
};

struct budget_request {
  std::vector<budget_tensor> tensors = {};
  std::uint64_t bytes = 0;  // that they may take together
  std::string text = {};    // for a llama model: what the errors are measured to cost; or empty
  std::size_t context = 256, windows = 64;
  std::string measurements = {};  // a file that keeps them; or empty
  bool best = false;
  unsigned threads = 1;
};

// What the predictions of a model lose when one of its tensors alone is rounded, the only way that says what a tensor
// counts.
struct tensor_sensitivity {
  const model::tensor* source;
  const format_entry* type;  // that it was rounded to
  double error;              // sum of squared errors, weighed, over that of squares
  double divergence;         // mean Kullback-Leibler divergence of the predictions
};

struct budget_answer {
  std::vector<const format_entry*> types;  // of each tensor
  // What they cost: with a text the divergence of the model's predictions that the measurements add up to, without one
  // a number that only compares plans.
  double loss = 0;
  std::vector<tensor_sensitivity> sensitivities;  // with a text, of each tensor that some type changes
};

// What a matrix loses by a type is the squared error of its weights, each weighed by the importance of its column, on
// rows that are spread evenly over it. What that means to the model is, with a text, the divergence that is measured
// when the matrix alone is rounded to a type of some four bits, in proportion. Without a text an error counts by its
// share of the matrix's own energy, times its weights. Nothing depends on the number of threads.
//
// Throws failure, naming the tensor, if a weight is no number, if a tensor has no type left that can hold its weights,
// or if the budget is too small for the smallest types.
budget_answer choose_types(const model& source, const importance_file* importance, const budget_request& request);

// The types that a budget is spent on if the user names none: all that GGUF has for weights that were not trained for
// them.
std::vector<const format_entry*> usual_budget_types();

#endif
