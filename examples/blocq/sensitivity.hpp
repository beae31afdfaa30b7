// How much a llama model's predictions suffer when one of its matrices has other weights.
#ifndef BLOCQ_EXAMPLES_SENSITIVITY_HPP
#define BLOCQ_EXAMPLES_SENSITIVITY_HPP

#include "float_copy.hpp"

#include "../llama/llama.hpp"

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

class sensitivity_meter {
 public:
  // Keeps the model as floats, and of each window (windows.hpp) the inputs of a layer and the model's own logits.
  // Throws failure if the model is not one that the engine runs.
  sensitivity_meter(const model& source, std::vector<std::vector<int>> windows, unsigned threads);

  // The mean Kullback-Leibler divergence from the model's own predictions, over the second half of each window, if the
  // tensor of this name had these weights. Costs what lies behind the tensor; tensors are best asked for in the order
  // of their layers. Does not depend on the number of threads. Throws not_finite.
  double divergence(std::string_view tensor, std::span<const float> weights);

  // The same if what goes into the matrix were what `disturb` makes of it, in the windows of these numbers; it is
  // called by several threads.
  using disturber = std::function<void(std::span<float> inputs, std::size_t window)>;
  double divergence_of_inputs(std::string_view tensor, const disturber& disturb);

  // Gives a tensor other weights for good.
  void set(std::string_view tensor, std::span<const float> weights);
  // The divergence with all that was set.
  double divergence() { return divergence_from(0, "all that was set"); }

 private:
  // Where a pass of the model can be taken up: before the embedding, before each layer, before the output.
  std::size_t stage_of(std::string_view tensor) const;
  void advance(std::size_t stage);
  // The model runs on from a stage that it was taken to, with what has other weights than then.
  // If `disturb` is there it changes what goes into the matrix of that name.
  double divergence_from(std::size_t stage, const std::string& what, std::string_view tensor = {},
                         const disturber& disturb = {});
  template <class F>
  void each_window(const F& f);

  float_copy copy_;
  llama::model model_;
  std::vector<std::vector<int>> windows_;
  unsigned threads_;
  std::size_t stage_ = 0;
  std::vector<std::vector<float>> states_, logits_;  // of each window: at that stage, and the model's own
};

#endif
