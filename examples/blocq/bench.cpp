// blocq bench: how fast the products of this program are on this machine, and what that would mean for a model.
#include "../llama/products.hpp"
#include "catalog.hpp"
#include "command.hpp"
#include "suggest.hpp"
#include "terminal.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iostream>
#include <random>

namespace {

// Weights of Llama 2 with 7B: a token is multiplied with all of them but the embedding, of which it takes a row.
constexpr double model_columns = 4096, model_hidden = 11008, model_layers = 32, model_vocabulary = 32000;
constexpr double embedding_weights = model_vocabulary * model_columns;
constexpr double multiplied_weights =
    model_layers * (4 * model_columns * model_columns + 3 * model_columns * model_hidden) + embedding_weights;

constexpr std::size_t columns = 4096;
constexpr std::size_t prompt_tokens = 128;
constexpr std::size_t cached_bytes = std::size_t{128} << 10;  // of each thread
constexpr std::size_t piece_bytes = std::size_t{1} << 20;     // that a thread multiplies between two looks at the clock

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// Units of work per second of all threads at once; work(thread) does some and returns how many. The median of five
// slices of the time.
template <class F>
double rate(unsigned threads, double seconds, const F& work) {
  using clock = std::chrono::steady_clock;
  std::vector<double> rates;
  for (int slice = 0; slice < 5; ++slice) {
    std::vector<double> each(threads);
    parallel_ranges(threads, threads, [&](std::size_t thread, std::size_t) {
      const auto start = clock::now();
      double done = 0, passed = 0;
      do {
        check_interrupt();
        done += work(thread);
        passed = std::chrono::duration<double>(clock::now() - start).count();
      } while (passed < seconds / 5);
      each[thread] = done / passed;
    });
    double all = 0;
    for (const double r : each) all += r;
    rates.push_back(all);
  }
  return median(std::move(rates));
}

// More than the caches hold, where the system says how much that is.
std::size_t default_memory() {
  long cache = 0;
#ifdef _SC_LEVEL3_CACHE_SIZE
  cache = std::max(0L, ::sysconf(_SC_LEVEL3_CACHE_SIZE));
#endif
  return std::clamp<std::size_t>(2 * static_cast<std::size_t>(cache), std::size_t{256} << 20, std::size_t{1} << 30);
}

std::string processor() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name") && line.find(": ") != std::string::npos)
      return printable(line.substr(line.find(": ") + 2));
  return "";
}

std::vector<float> normal(std::size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> distribution(0.0f, 1.0f);
  std::vector<float> values(count);
  for (float& x : values) x = distribution(engine);
  return values;
}

// Null if there is none.
const llama::product* find_product(const llama::instruction_set& isa, const format_entry& format) {
  for (const llama::product& p : isa.products->all)
    if (format.name == p.name) return &p;
  return nullptr;
}

struct bench_result {
  const format_entry* format;
  double memory = 0, cache = 0;  // bytes of weights per second, one row of activations
  double prompt = 0;             // weights times rows of activations per second
};

class machine {
 public:
  machine(const bench_options& o, const llama::instruction_set& isa)
      : o_(o),
        isa_(isa),
        memory_(std::max(o.memory != 0 ? o.memory << 20 : default_memory(), o.threads * 2 * piece_bytes) /
                sizeof(std::uint64_t)),
        x_(normal(prompt_tokens * columns, 2)) {}

  std::size_t bytes() const { return memory_.size() * sizeof(std::uint64_t); }

  // Bytes per second of a loop that only reads.
  double read_rate() {
    std::vector<std::size_t> at(o_.threads);
    std::vector<std::uint64_t> sums(o_.threads);
    return rate(o_.threads, o_.seconds, [&](std::size_t thread) {
      const auto [first, last] = share(thread, sizeof(std::uint64_t));
      const std::size_t some = std::min(piece_bytes / sizeof(std::uint64_t), last - first);
      if (at[thread] + some > last - first) at[thread] = 0;
      const std::uint64_t* const p = memory_.data() + first + at[thread];
      at[thread] += some;
      std::uint64_t a = 0, b = 0, c = 0, d = 0;  // an array would lie in memory
      for (std::size_t i = 0; i + 8 <= some; i += 8) {
        __builtin_prefetch(p + i + 256);
        a += p[i] + p[i + 4], b += p[i + 1] + p[i + 5], c += p[i + 2] + p[i + 6], d += p[i + 3] + p[i + 7];
      }
      sums[thread] += a + b + c + d;
      return static_cast<double>(some * sizeof(std::uint64_t));
    });
  }

  bench_result measure(const format_entry& format) {
    const llama::product& product = *find_product(isa_, format);
    const std::size_t row = format.bytes_for(columns);
    fill_with(format);
    check(format, product);
    bench_result r{&format};
    // Each thread goes through rows of its own, from where it was.
    const auto pass = [&](double seconds, std::size_t rows, std::size_t n, bool walk) {
      std::vector<std::size_t> at(o_.threads);
      std::vector<std::vector<float>> y(o_.threads, std::vector<float>(rows * n));
      std::vector<std::vector<std::byte>> scratch(o_.threads,
                                                  std::vector<std::byte>(product.scratch_bytes(n, columns)));
      return rate(o_.threads, seconds, [&](std::size_t thread) {
        const auto [first, last] = share(thread, row);
        const std::size_t some = std::min(rows, last - first);
        if (at[thread] + some > last - first) at[thread] = 0;
        product.multiply(blocks() + (first + at[thread]) * row, some, columns, x_.data(), n, y[thread].data(),
                         scratch[thread].data());
        if (walk) at[thread] += some;
        return static_cast<double>(some * row);
      });
    };
    const auto rows_of = [&](std::size_t bytes) { return std::max<std::size_t>(16, bytes / row / 16 * 16); };
    r.memory = pass(0.4 * o_.seconds, rows_of(piece_bytes), 1, true);
    r.cache = pass(0.2 * o_.seconds, rows_of(cached_bytes), 1, false);
    r.prompt = pass(0.4 * o_.seconds, rows_of(piece_bytes), prompt_tokens, true) / static_cast<double>(row) *
               static_cast<double>(columns * prompt_tokens);
    return r;
  }

 private:
  std::byte* blocks() { return reinterpret_cast<std::byte*>(memory_.data()); }

  // Units [first, last) of the memory that belong to a thread.
  std::pair<std::size_t, std::size_t> share(std::size_t thread, std::size_t unit) const {
    const std::size_t units = bytes() / unit;
    return {units * thread / o_.threads, units * (thread + 1) / o_.threads};
  }

  // The same bytes again and again.
  void fill(std::span<const std::byte> some) {
    for (std::size_t at = 0; at < bytes(); at += some.size())
      std::memcpy(blocks() + at, some.data(), std::min(some.size(), bytes() - at));
  }

  // Sixteen rows of normally distributed weights.
  void fill_with(const format_entry& format) {
    static const std::vector<float> weights = normal(16 * columns, 1);
    const std::vector<float> equal(format.importance_required ? columns : 0, 1.0f);
    std::vector<std::byte> some(format.bytes_for(weights.size()));
    if (const auto s = format.encode(weights, some.data(), {.importance = equal}); !s)
      throw failure(std::string(format.name) + ": " + s.message());
    fill(some);
  }

  // What is timed is the product: its first number, but for the rounding of the activations to 8 bits.
  void check(const format_entry& format, const llama::product& product) {
    std::vector<float> row(columns), y(16);
    std::vector<std::byte> scratch(product.scratch_bytes(1, columns));
    static_cast<void>(format.decode(blocks(), row));
    product.multiply(blocks(), y.size(), columns, x_.data(), 1, y.data(), scratch.data());
    double sum = 0, w2 = 0, x2 = 0;
    for (std::size_t i = 0; i < columns; ++i) {
      const double w = static_cast<double>(row[i]), x = static_cast<double>(x_[i]);
      sum += w * x, w2 += w * w, x2 += x * x;
    }
    if (!(std::abs(static_cast<double>(y[0]) - sum) <= 1e-3 * std::sqrt(w2 * x2)))
      throw failure("the product of " + std::string(format.name) + " by " + isa_.name + " is wrong: " +
                    significant_text(static_cast<double>(y[0]), 6) + " instead of " + significant_text(sum, 6));
  }

  const bench_options& o_;
  const llama::instruction_set& isa_;
  std::vector<std::uint64_t> memory_;
  std::vector<float> x_;
};

const llama::instruction_set& instruction_set_of(const bench_options& o) {
  if (o.instruction_set.empty()) return llama::best_instruction_set();
  std::string known;
  for (const llama::instruction_set& s : llama::instruction_sets()) {
    if (s.name == o.instruction_set) {
      if (!s.runs_here) throw failure("this processor does not run " + std::string(s.name));
      return s;
    }
    known += (known.empty() ? "" : ", ") + std::string(s.name);
  }
  throw failure("this program was not compiled for '" + printable(o.instruction_set) + "'; it was for " + known);
}

std::vector<const format_entry*> formats_of(const bench_options& o, const llama::instruction_set& isa) {
  const auto measured = [&](const format_entry& f) {
    return f.encode != nullptr && !f.activation_only && find_product(isa, f) != nullptr;
  };
  std::vector<const format_entry*> formats;
  for (const std::string& name : o.formats) {
    const format_entry* const f = find_format(name);
    if (f == nullptr) throw failure(unknown_format(name));
    if (!measured(*f)) throw failure("there is no product with weights in " + std::string(f->name));
    formats.push_back(f);
  }
  if (formats.empty())
    for (const format_entry& f : catalog())
      if (f.gguf_id && measured(f)) formats.push_back(&f);
  return formats;
}

double tokens(const bench_result& r) { return r.memory * 8 / r.format->bits_per_weight() / multiplied_weights; }
double prompt(const bench_result& r) { return r.prompt / multiplied_weights; }
double model_bytes(const format_entry& f) { return (multiplied_weights + embedding_weights) * f.bits_per_weight() / 8; }
// Whether the same product is faster where the weights need not come from memory.
bool memory_bound(const bench_result& r) { return r.cache > 1.2 * r.memory; }

std::string speed_text(double value) { return value < 100 ? significant_text(value) : number_text(value, 0); }
std::string giga(double value) { return speed_text(1e-9 * value); }

}  // namespace

int bench(const bench_options& o) {
  const llama::instruction_set& isa = instruction_set_of(o);
  const std::vector<const format_entry*> formats = formats_of(o, isa);
  machine m(o, isa);
  double read = m.read_rate();
  std::vector<bench_result> results;
  {
    progress bar("measuring", formats.size());
    for (const format_entry* f : formats) results.push_back(m.measure(*f)), bar.advance(1);
  }
  for (const bench_result& r : results) read = std::max(read, r.memory);

  if (o.json) {
    nlohmann::ordered_json all = {{"processor", processor()},
                                  {"threads", o.threads},
                                  {"instruction_set", isa.name},
                                  {"compiled_for", isa.products->compiled_for},
                                  {"instruction_sets", nlohmann::ordered_json::array()},
                                  {"memory_bytes", m.bytes()},
                                  {"memory_bytes_per_second", read},
                                  {"model_weights", multiplied_weights + embedding_weights},
                                  {"model_weights_per_token", multiplied_weights},
                                  {"formats", nlohmann::ordered_json::array()}};
    for (const llama::instruction_set& s : llama::instruction_sets())
      all["instruction_sets"].push_back({{"name", s.name}, {"runs_here", s.runs_here}});
    for (const bench_result& r : results)
      all["formats"].push_back({{"name", r.format->name},
                                {"bits_per_weight", r.format->bits_per_weight()},
                                {"memory_bytes_per_second", r.memory},
                                {"cache_bytes_per_second", r.cache},
                                {"model_bytes", model_bytes(*r.format)},
                                {"tokens_per_second", tokens(r)},
                                {"prompt_tokens_per_second", prompt(r)},
                                {"bound_by", memory_bound(r) ? "memory" : "processor"}});
    std::cout << all.dump(2) << '\n';
    return exit_done;
  }

  std::string others;
  for (const llama::instruction_set& s : llama::instruction_sets())
    others += (others.empty() ? "" : ", ") + std::string(s.name);
  const std::string name = processor();
  std::cout << (name.empty() ? "" : name + ", ") << o.threads << (o.threads == 1 ? " thread" : " threads")
            << "; instructions: " << isa.name << " (this program has " << others << ")\n"
            << "memory: " << giga(read) << " GB/s, the fastest that " << bytes_text(m.bytes()) << " were read\n\n";
  table list({"format", ">bits/weight", ">memory GB/s", ">cache GB/s", ">7B model", ">tokens/s", ">prompt tokens/s",
              "bound by"});
  for (const bench_result& r : results)
    list.row({std::string(r.format->name), number_text(r.format->bits_per_weight(), 4), giga(r.memory), giga(r.cache),
              bytes_text(static_cast<std::uint64_t>(model_bytes(*r.format))), speed_text(tokens(r)),
              speed_text(prompt(r)), memory_bound(r) ? "memory" : "processor"});
  std::cout << list << '\n'
            << "Tokens per second are estimates: each token of the answer goes once through "
            << giga(multiplied_weights)
            << " billion weights in\nmatrices (Llama 2 with 7B), and takes as long as so many took here from memory; "
               "tokens of the prompt go through\nthem "
            << prompt_tokens << " at a time. Attention, caches and all else but the matrices come on top.\n";
  return exit_done;
}
