// One program for every processor of a family: the same product by each of the instruction sets that run here.
// The files of this folder but kernels.cpp are compiled for the oldest processor.
#include "kernels.hpp"

#include <blocq/dispatch/dispatch.hpp>
#include <blocq/op/quantize.hpp>

#include <cmath>
#include <cstdio>
#include <vector>

namespace {

using blocq::dispatch::arch;

template <arch... Archs>
int compare() {
  constexpr std::size_t m = 64, k = 1024;
  std::vector<float> weights(m * k), x(k);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = std::sin(static_cast<float>(i));
  for (std::size_t i = 0; i < k; ++i) x[i] = std::cos(static_cast<float>(i));
  std::vector<blocq::q4_k> blocks(m * blocq::blocks_for<blocq::q4_k>(k));
  if (const auto s = blocq::quantize(weights, blocks); !s) return std::puts(s.message()), 1;

  std::vector<float> expected(m), y(m);
  int wrong = 0;
  for (const arch limit : {Archs...}) {
    if (!blocq::dispatch::supports(limit)) {
      std::printf("%-12s does not run here\n", name(limit));
      continue;
    }
    const matvec_kernels& k_limit = blocq::dispatch::choose<matvec_kernels, Archs...>(limit);
    k_limit.gemv(blocks.data(), m, k, x.data(), y.data());
    if (limit == arch::baseline) expected = y;
    float difference = 0;
    for (std::size_t i = 0; i < m; ++i) difference = std::fmax(difference, std::fabs(y[i] - expected[i]));
    std::printf("%-12s %s, greatest difference %g\n", name(limit), k_limit.compiled_for,
                static_cast<double>(difference));
    if (!(difference < 1e-3f)) ++wrong;
  }
  std::printf("chosen: %s\n", name(blocq::dispatch::best<Archs...>()));
  return wrong;
}

}  // namespace

int main() { return compare<BLOCQ_DISPATCH_ARCHS>(); }
