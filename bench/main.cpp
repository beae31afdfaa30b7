// blocq-bench                                   Google Benchmark over all formats and operations; takes its flags
// blocq-bench --peer DIR [--csv FILE] [--filter REGEX] [--rounds N]
//                                               blocq and ggml side by side; DIR holds ggml's shared libraries
// blocq-bench --quality MODEL.gguf [--filter REGEX]
//                                               errors of quality_level::best against the reference encoders
// blocq-bench --threads N [--filter REGEX] [--rounds N]
//                                               gemm by N threads against one
#include "machine.hpp"
#include "quality.hpp"
#include "registry.hpp"
#include "side_by_side.hpp"
#include "threads.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

int usage() {
  std::fputs(
      "usage: blocq-bench [--benchmark_filter=REGEX ...]\n"
      "       blocq-bench --peer DIR [--csv FILE] [--filter REGEX] [--rounds N]\n"
      "       blocq-bench --quality MODEL.gguf [--filter REGEX]\n"
      "       blocq-bench --threads N [--filter REGEX] [--rounds N]\n",
      stderr);
  return 2;
}

int run_google_benchmark(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return usage();
  for (const auto& [name, text] : bench::describe_machine()) benchmark::AddCustomContext(name, text);
  for (const bench::entry& e : bench::all())
    benchmark::RegisterBenchmark(e.name().c_str(), [e](benchmark::State& state) {
      const bench::measurement m = e.prepare(nullptr);
      for (auto _ : state) m.blocq.run();
      state.SetItemsProcessed(static_cast<std::int64_t>(static_cast<double>(state.iterations()) * m.blocq.work));
    });
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  bench::comparison options;
  std::string model;
  int threads = 0;
  const std::pair<const char*, int*> numbers[] = {{"--rounds", &options.rounds}, {"--threads", &threads}};
  const std::pair<const char*, std::string*> texts[] = {
      {"--peer", &options.peer}, {"--csv", &options.csv}, {"--filter", &options.filter}, {"--quality", &model}};
  if (argc < 2 || std::strncmp(argv[1], "--benchmark", 11) == 0) return run_google_benchmark(argc, argv);
  for (int i = 1; i < argc; i += 2) {
    const auto named = [&](const auto& option) { return std::strcmp(option.first, argv[i]) == 0; };
    const auto* const text = std::find_if(std::begin(texts), std::end(texts), named);
    const auto* const number = std::find_if(std::begin(numbers), std::end(numbers), named);
    if (i + 1 == argc)
      return usage();
    else if (text != std::end(texts))
      *text->second = argv[i + 1];
    else if (number == std::end(numbers) || (*number->second = std::atoi(argv[i + 1])) < 1)
      return usage();
  }
  if (threads != 0) return bench::threads(threads, options.filter, options.rounds);
  if (!model.empty()) return bench::quality(model, options.filter);
  return options.peer.empty() ? usage() : bench::side_by_side(options);
}
