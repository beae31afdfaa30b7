// How well a model predicts a text.
#ifndef BLOCQ_EXAMPLES_PREDICTIONS_HPP
#define BLOCQ_EXAMPLES_PREDICTIONS_HPP

#include "../llama/llama.hpp"
#include "command.hpp"

#include <string>
#include <vector>

// The divergence is from another model's predictions, in nats per token; `same_top` are the percent of tokens where
// both have the same favourite, `speed` tokens per second of a thread, `cache_bits` what a number of keys
// and values takes at the end of a window.
struct figures {
  double perplexity, error, divergence, divergence_error, same_top, speed, cache_bits;
};

// The base's logits of each window, empty until they are known, where several models are compared with one.
using kept_logits = std::vector<std::vector<float>>;

// Of the options, context, cache and threads count. `path` is what the model is called where its predictions are no
// numbers: that is thrown as not_finite. Without a `base` the divergence is 0.
figures predictions(const perplexity_options& o, const std::string& path, const llama::model& m,
                    const llama::model* base, const std::vector<std::vector<int>>& windows,
                    kept_logits* kept = nullptr);

#endif
