#include "quality.hpp"

#include "machine.hpp"

#include <blocq/gguf/file.hpp>
#include <blocq/gguf/reader.hpp>
#include <blocq/op/dequantize.hpp>
#include <blocq/op/quantize.hpp>

#include <cstdio>
#include <cstring>
#include <ctime>
#include <random>
#include <regex>
#include <vector>

namespace bench {

namespace {

constexpr std::size_t generated = std::size_t{1} << 18, columns = 4096;
constexpr std::size_t sample = std::size_t{1} << 20;  // weights taken from a model

// Rows of equal length, and a weight for each column.
struct rows {
  std::vector<float> x, importance;
};
struct input {
  const char* name;
  std::vector<rows> parts;
};

std::vector<float> random_importance(std::size_t n) {
  std::mt19937 engine(2);
  std::chi_squared_distribution<float> chi(4.0f);
  std::vector<float> w(n);
  for (float& v : w) v = chi(engine) / 4.0f;
  return w;
}

template <class Distribution>
input random_numbers(const char* name, Distribution distribution) {
  std::mt19937 engine(1);
  rows r{std::vector<float>(generated), random_importance(columns)};
  for (float& v : r.x) v = distribution(engine);
  return {name, {r}};
}

// About `sample` weights of the F32 matrices, in rows spread evenly over all of them. Rows that are not whole
// super-blocks are left out. Says what is wrong if there are none.
bool read_model(const std::string& path, input& to) {
  const auto file = blocq::gguf::mapped_file::open(path.c_str());
  if (!file) return std::fprintf(stderr, "blocq-bench: %s\n", file.message()), false;
  const auto model = blocq::gguf::reader::parse(file->bytes());
  if (!model) return std::fprintf(stderr, "blocq-bench: %s: %s\n", path.c_str(), model.message()), false;
  const auto usable = [](const blocq::gguf::tensor_info& t) {
    return t.type == 0 && t.n_dims == 2 && t.row_elements() % 256 == 0 && !t.data.empty();
  };
  std::uint64_t all = 0;
  for (const auto& t : model->tensors())
    if (usable(t)) all += t.elements();
  if (all == 0) return std::fprintf(stderr, "blocq-bench: %s has no F32 matrix\n", path.c_str()), false;
  const std::uint64_t step = all / sample + 1;
  for (const auto& t : model->tensors()) {
    if (!usable(t)) continue;
    const std::size_t length = t.row_elements();
    rows& r = to.parts.emplace_back(rows{{}, random_importance(length)});
    for (std::uint64_t i = 0; i < t.rows(); i += step) {
      r.x.resize(r.x.size() + length);
      std::memcpy(&r.x[r.x.size() - length], t.data.data() + i * t.row_bytes(), t.row_bytes());
    }
  }
  return true;
}

double now() {
  std::timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct outcome {
  double signal = 0, noise = 0;  // weighted sums of squares
  double elements = 0, seconds = 0;

  double error() const { return noise / signal; }
};

template <class B>
outcome measure(const input& in, bool weighted, blocq::quality_level quality) {
  outcome sums;
  for (const rows& r : in.parts) {
    const std::vector<float> equal(r.importance.size(), 1.0f);
    const std::vector<float>& weights = weighted ? r.importance : equal;
    blocq::quantize_options options{.quality = quality};
    if (weighted || blocq::detail::requires_importance<B>) options.importance = weights;
    std::vector<B> blocks(r.x.size() / blocq::block_size<B>);
    std::vector<float> y(r.x.size());
    const double start = now();
    static_cast<void>(blocq::quantize(r.x, blocks, options));
    sums.seconds += now() - start;
    sums.elements += static_cast<double>(y.size());
    static_cast<void>(blocq::dequantize(blocks, y));
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double w = static_cast<double>(weights[i % weights.size()]), x = static_cast<double>(r.x[i]);
      sums.signal += w * x * x;
      sums.noise += w * (x - static_cast<double>(y[i])) * (x - static_cast<double>(y[i]));
    }
  }
  return sums;
}

// "1.06 %, -25.0 %": the reference's relative squared error, and how much less that of the best is.
template <class B>
void compare(const input& in, bool weighted) {
  const double reference = measure<B>(in, weighted, blocq::quality_level::reference).error();
  const double best = measure<B>(in, weighted, blocq::quality_level::best).error();
  std::printf(" %.3g %%, -%.1f %% |", 100 * reference, 100 * (1 - best / reference));
}

}  // namespace

int quality(const std::string& model, const std::string& filter) {
  std::vector<input> inputs;
  inputs.push_back(random_numbers("N(0, 1)", std::normal_distribution<float>()));
  inputs.push_back(random_numbers("t(4)", std::student_t_distribution<float>(4.0f)));
  inputs.push_back({"model", {}});
  if (!read_model(model, inputs.back())) return 1;
  pin_thread();

  std::printf("| format | bits |");
  for (const input& in : inputs) std::printf(" %s | weighted |", in.name);
  std::printf(" Melem/s | times |\n|---|---|");
  for (std::size_t i = 0; i < inputs.size(); ++i) std::printf("---|---|");
  std::printf("---|---|\n");
  const std::regex wanted(filter);
  blocq::for_each(blocq::all_formats{}, [&]<class B> {
    if constexpr (requires(const float* x, blocq::wire_t<B>& b) { improve<blocq::native_lane>(x, x, b); }) {
      const char* const name = blocq::format_traits<B>::name;
      if (!std::regex_search(name, wanted)) return;
      std::printf("| %s | %.4g |", name, blocq::bits_per_element<B>);
      for (const input& in : inputs) {
        compare<B>(in, false);
        compare<B>(in, true);
      }
      // The reference once more, now that it is warm.
      const outcome reference = measure<B>(inputs[0], false, blocq::quality_level::reference);
      const outcome best = measure<B>(inputs[0], false, blocq::quality_level::best);
      std::printf(" %.3g | %.0f |\n", best.elements / best.seconds / 1e6, best.seconds / reference.seconds);
      std::fflush(stdout);
    }
  });
  return 0;
}

}  // namespace bench
