// What logits say, and how far what they say is from what others say.
#ifndef BLOCQ_EXAMPLES_DIVERGENCE_HPP
#define BLOCQ_EXAMPLES_DIVERGENCE_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

inline void log_probabilities(std::span<const float> logits, std::vector<double>& out) {
  const double greatest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float l : logits) sum += std::exp(static_cast<double>(l) - greatest);
  const double norm = greatest + std::log(sum);
  out.clear();
  for (const float l : logits) out.push_back(static_cast<double>(l) - norm);
}

// The Kullback-Leibler divergence of q from p, both as logarithms.
inline double divergence(std::span<const double> p, std::span<const double> q) {
  double sum = 0;
  for (std::size_t v = 0; v < p.size(); ++v) sum += std::exp(p[v]) * (p[v] - q[v]);
  return sum;
}

#endif
