#include "threads.hpp"

#include "data.hpp"
#include "machine.hpp"
#include "registry.hpp"

#include <blocq/op/parallel.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <regex>
#include <thread>
#include <vector>

namespace bench {

namespace {

constexpr std::size_t m = 4096, n = 128;

template <class F>
double seconds(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// False if the results differ.
template <class B>
bool compare(std::size_t count, int rounds) {
  const std::size_t row = columns / blocq::block_size<B>, scratch = blocq::gemm_scratch<B>(n, columns);
  const auto w = encoded_rows<B>(m);
  std::vector<std::byte> memory(count * scratch);
  std::vector<float> one(n * m), several(n * m);
  const blocq::matrix_view<const B> weights{w->data(), m, row, row};
  const blocq::matrix_view<const float> x{activations().data(), n, columns, columns};
  const auto on_threads = [](std::size_t parts, auto&& f) {
    std::vector<std::thread> others;
    for (std::size_t i = 1; i < parts; ++i) others.emplace_back([&f, i] { f(i); });
    f(std::size_t{0});
    for (std::thread& t : others) t.join();
  };
  std::vector<double> alone, together, gain;
  for (int r = 0; r <= rounds; ++r) {  // the first one warms up
    const double a = seconds([&] {
      blocq::gemm(weights, x, blocq::matrix_view<float>{one.data(), n, m, m}, std::span(memory).first(scratch));
    });
    const double b = seconds([&] {
      blocq::gemm(weights, x, blocq::matrix_view<float>{several.data(), n, m, m}, std::span(memory), count, on_threads);
    });
    if (r == 0) continue;
    alone.push_back(a), together.push_back(b), gain.push_back(a / b);
  }
  const double work = 2e-9 * static_cast<double>(m * n * columns);
  const bool same = one == several;
  std::printf("%-11s %9.1f %9.1f  GFLOP/s  %5.2fx%s\n", blocq::format_traits<B>::name, work / median(alone),
              work / median(together), median(gain), same ? "" : "  DIFFERENT RESULTS");
  std::fflush(stdout);
  return same;
}

}  // namespace

int threads(int count, const std::string& filter, int rounds) {
  for (const auto& [name, text] : describe_machine()) std::printf("%-9s %s\n", name.c_str(), text.c_str());
  std::printf("method    gemm, N = %zu, wall time, medians of %d rounds in turn\n\n%-11s %9s %9d  threads\n", n, rounds,
              "format", "1", count);
  bool same = true;
  const std::regex pattern(filter);
  blocq::for_each(blocq::all_formats{}, [&]<class B> {
    if constexpr (multipliable<B>)
      if (std::regex_search(blocq::format_traits<B>::name, pattern))
        same = compare<B>(static_cast<std::size_t>(count), rounds) && same;
  });
  return same ? 0 : 1;
}

}  // namespace bench
