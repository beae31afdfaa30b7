#include "sensitivity.hpp"

#include "command.hpp"
#include "divergence.hpp"
#include "parallel.hpp"
#include "terminal.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

sensitivity_meter::sensitivity_meter(const model& source, std::vector<std::vector<int>> windows, unsigned threads)
    : copy_(source), model_(copy_.set()), windows_(std::move(windows)), threads_(threads) {
  states_.resize(windows_.size());
  logits_.resize(windows_.size());
  each_window([&](llama::session& session, std::size_t w) {
    const auto own = session.append(windows_[w], windows_[w].size() / 2);
    logits_[w].assign(own.begin(), own.end());
  });
}

template <class F>
void sensitivity_meter::each_window(const F& f) {
  parallel_ranges(threads_, windows_.size(), [&](std::size_t begin, std::size_t end) {
    llama::session session(model_, windows_.front().size());
    for (std::size_t w = begin; w < end; ++w) {
      check_interrupt();
      session.clear();
      f(session, w);
    }
  });
}

std::size_t sensitivity_meter::stage_of(std::string_view tensor) const {
  const std::size_t layers = model_.shape().layers;
  if (tensor == "output.weight") return 1 + layers;
  std::size_t layer = 0;
  if (!tensor.starts_with("blk.") ||
      std::from_chars(tensor.data() + 4, tensor.data() + tensor.size(), layer).ec != std::errc() || layer >= layers)
    return 0;
  return 1 + layer;
}

void sensitivity_meter::advance(std::size_t stage) {
  if (stage < stage_) stage_ = 0;
  for (; stage_ < stage; ++stage_)
    each_window([&](llama::session& session, std::size_t w) {
      if (stage_ == 0) {
        session.embed(windows_[w]);
      } else {
        session.state() = states_[w];
        session.layer(stage_ - 1);
      }
      states_[w] = session.state();
    });
}

double sensitivity_meter::divergence(std::string_view tensor, std::span<const float> weights) {
  const std::size_t stage = stage_of(tensor);
  advance(stage);
  const blocq::gguf::tensor_info& t = *copy_.find(tensor);
  const std::vector<float> own = copy_.get(t);
  copy_.set(t, weights);
  const double mean = divergence_from(stage, "another '" + printable(tensor) + '\'');
  copy_.set(t, own);
  return mean;
}

double sensitivity_meter::divergence_of_inputs(std::string_view tensor, const disturber& disturb) {
  const std::size_t stage = stage_of(tensor);
  advance(stage);
  return divergence_from(stage, "other inputs of '" + printable(tensor) + '\'', tensor, disturb);
}

void sensitivity_meter::set(std::string_view tensor, std::span<const float> weights) {
  copy_.set(*copy_.find(tensor), weights);
  stage_ = 0;  // what the layers got no longer is what they would get
}

double sensitivity_meter::divergence_from(std::size_t stage, const std::string& what, std::string_view tensor,
                                          const disturber& disturb) {
  const std::size_t vocabulary = model_.shape().vocabulary;
  std::vector<double> each(windows_.size());  // so that the order of summation is always the same
  std::size_t tokens = 0;
  each_window([&](llama::session& session, std::size_t w) {
    if (disturb)
      session.disturb([&](const llama::matrix& layer, std::span<float> x, std::size_t) {
        if (layer.name() == tensor) disturb(x, w);
      });
    if (stage == 0)
      session.embed(windows_[w]);
    else
      session.state() = states_[w];
    for (std::size_t l = stage == 0 ? 0 : stage - 1; l < model_.shape().layers; ++l) session.layer(l);
    const auto logits = session.finish(windows_[w].size() / 2);
    std::vector<double> p, q;
    for (std::size_t at = 0; at < logits.size(); at += vocabulary) {
      log_probabilities(std::span(logits_[w]).subspan(at, vocabulary), p);
      log_probabilities(logits.subspan(at, vocabulary), q);
      each[w] += ::divergence(p, q);
    }
    session.disturb({});
  });
  for (const auto& logits : logits_) tokens += logits.size() / vocabulary;
  const double mean = std::accumulate(each.begin(), each.end(), 0.0) / static_cast<double>(tokens);
  if (!std::isfinite(mean)) throw not_finite("the predictions with " + what + " are not numbers");
  return std::max(mean, 0.0);
}
