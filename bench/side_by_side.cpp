#include "side_by_side.hpp"

#include "machine.hpp"
#include "registry.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <regex>

namespace bench {

namespace {

// Processor time of this thread: what other processes take away is not counted.
double now() {
  std::timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// A contender and its rate, in work per second, of every round.
struct series {
  const contender* what;
  int repeats = 1;
  std::vector<double> rates = {};

  double run(int n) const {
    const double start = now();
    for (int i = 0; i < n; ++i) what->run();
    return now() - start;
  }
  // A round lasts two milliseconds or one run. The runs that find this out also warm up.
  void calibrate() {
    while (run(repeats) < 2e-3) repeats *= 2;
  }
  void round() { rates.push_back(what->work * repeats / run(repeats)); }
};

struct outcome {
  double blocq, peer, ratio, share;  // share of the limit; 0 if none is known
};

// Every round times everything once, in rotating order. Ratios are medians of the rounds' ratios, so that a slow moment
// that hits one round does not count.
outcome compare(const measurement& m, int rounds) {
  std::vector<series> all = {{&m.blocq}};
  for (const contender& peer : m.peers) all.push_back({&peer});
  if (m.limit.run) all.push_back({&m.limit});
  for (series& s : all) s.calibrate();
  for (int r = 0; r < rounds; ++r)
    for (std::size_t i = 0; i < all.size(); ++i) all[(i + static_cast<std::size_t>(r)) % all.size()].round();

  const auto ratio_to = [&](const series& other) {
    std::vector<double> ratios;
    for (std::size_t r = 0; r < other.rates.size(); ++r) ratios.push_back(all[0].rates[r] / other.rates[r]);
    return median(ratios);
  };
  outcome o{median(all[0].rates), 0, 0, m.limit.run ? ratio_to(all.back()) : 0};
  for (std::size_t i = 1; i <= m.peers.size(); ++i) {
    const double rate = median(all[i].rates);
    if (rate > o.peer) o.peer = rate, o.ratio = ratio_to(all[i]);
  }
  return o;
}

}  // namespace

int side_by_side(const comparison& options) {
  const backend peer(options.peer);
  if (!peer) {
    std::fprintf(stderr, "blocq-bench: %s\n", peer.error().c_str());
    return 1;
  }
  std::ofstream csv;
  if (!options.csv.empty()) {
    csv.open(options.csv);
    csv << "op,format,shape,unit,blocq,peer,ratio,limit,share_of_limit\n";
  }

  for (const auto& [name, text] : describe_machine()) std::printf("%-9s %s\n", name.c_str(), text.c_str());
  std::printf("%-9s %s/%s\n", "peer", options.peer.c_str(), library_name());
  std::printf("%-9s one thread%s, medians of %d rounds in turn\n\n", "method", pin_thread() ? ", pinned" : "",
              options.rounds);
  std::printf("%-18s %-11s %-16s %9s %9s  %-8s %7s   %s\n", "op", "format", "shape", "blocq", "peer", "unit", "ratio",
              "share of limit");

  bool same = true;
  const std::regex filter(options.filter);
  for (const entry& e : all()) {
    if (!std::regex_search(e.name(), filter)) continue;
    const measurement m = e.prepare(&peer);
    const outcome o = compare(m, options.rounds);
    const bool agrees = !m.agrees || m.agrees();
    same = same && agrees;
    std::printf("%-18s %-11s %-16s %9.1f ", e.operation.c_str(), e.format.c_str(), e.shape.c_str(),
                o.blocq / e.rate.size);
    if (m.peers.empty())
      std::printf("%9s  %-8s %7s", "-", e.rate.name, "-");
    else
      std::printf("%9.1f  %-8s %6.2fx", o.peer / e.rate.size, e.rate.name, o.ratio);
    std::printf("   %5.1f%% %s%s\n", 100 * o.share, m.limit.name, agrees ? "" : "   RESULTS DIFFER");
    std::fflush(stdout);
    if (csv.is_open())
      csv << e.operation << ',' << e.format << ',' << e.shape << ',' << e.rate.name << ',' << o.blocq / e.rate.size
          << ',' << o.peer / e.rate.size << ',' << o.ratio << ',' << m.limit.name << ',' << o.share << '\n';
  }
  if (csv.is_open() && !csv.flush()) {
    std::fprintf(stderr, "blocq-bench: cannot write %s\n", options.csv.c_str());
    return 1;
  }
  return same ? 0 : 1;
}

}  // namespace bench
