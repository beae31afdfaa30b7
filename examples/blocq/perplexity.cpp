// blocq perplexity: how well a model predicts a text, and how far its predictions are from those of another model.
#include "../llama/llama.hpp"
#include "command.hpp"
#include "divergence.hpp"
#include "files.hpp"
#include "measure.hpp"
#include "model.hpp"
#include "plot.hpp"
#include "predictions.hpp"
#include "terminal.hpp"
#include "windows.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

namespace {

// What the scored tokens of a window add up to.
struct sums {
  double loss = 0, loss_squared = 0, divergence = 0, divergence_squared = 0, seconds = 0, cache_bits = 0;
  std::size_t tokens = 0, same_top = 0;

  sums& operator+=(const sums& o) {
    loss += o.loss;
    loss_squared += o.loss_squared;
    divergence += o.divergence;
    divergence_squared += o.divergence_squared;
    seconds += o.seconds;
    cache_bits += o.cache_bits;
    tokens += o.tokens;
    same_top += o.same_top;
    return *this;
  }
};

llama::cache_kinds kinds_of(const perplexity_options& o) {
  return {o.cache_keys.empty() ? o.cache : o.cache_keys, o.cache_values.empty() ? o.cache : o.cache_values};
}

std::size_t top(std::span<const float> logits) {
  return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// The second half of a window is scored: each of its tokens but the last predicts the next one.
// Stepwise: these come one by one.
sums score(llama::session& session, bool stepwise, std::span<const float> base_logits, std::span<const int> window,
           std::size_t vocabulary) {
  const std::size_t first = window.size() / 2;
  session.clear();
  sums total;
  const auto start = std::chrono::steady_clock::now();
  std::vector<float> collected;
  std::span<const float> logits;
  if (stepwise) {
    session.append(window.first(first), first - 1);
    for (std::size_t t = first; t < window.size(); ++t) {
      const auto row = session.append(window.subspan(t, 1), 0);
      collected.insert(collected.end(), row.begin(), row.end());
    }
    logits = collected;
  } else {
    logits = session.append(window, first);
  }
  total.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  total.cache_bits = session.cache_bits();
  std::vector<double> p, q;
  for (std::size_t i = first; i + 1 < window.size(); ++i) {
    const std::span row = logits.subspan((i - first) * vocabulary, vocabulary);
    log_probabilities(row, q);
    const double loss = -q[static_cast<std::size_t>(window[i + 1])];
    total.loss += loss;
    total.loss_squared += loss * loss;
    ++total.tokens;
    if (base_logits.empty()) continue;
    const std::span base_row = base_logits.subspan((i - first) * vocabulary, vocabulary);
    log_probabilities(base_row, p);
    const double d = divergence(p, q);
    total.divergence += d;
    total.divergence_squared += d * d;
    total.same_top += top(row) == top(base_row);
  }
  return total;
}

// The standard error of a mean.
double error_of(double sum, double squares, std::size_t n) {
  const double count = static_cast<double>(n), mean = sum / count;
  return n > 1 ? std::sqrt(std::max(0.0, squares / count - mean * mean) / (count - 1)) : 0.0;
}

// Scores all windows, and `base` beside the model if there is one.
sums evaluate(const perplexity_options& o, const llama::model& m, const llama::model* base,
              const std::vector<std::vector<int>>& windows, kept_logits* kept) {
  std::vector<sums> each(windows.size());  // so that the order of summation is always the same
  progress bar("windows", windows.size());
  std::mutex mutex;
  parallel_ranges(o.threads, windows.size(), [&](std::size_t begin, std::size_t end) {
    llama::session session(m, o.context, kinds_of(o));
    std::optional<llama::session> base_session;
    std::vector<float> base_logits;
    for (std::size_t w = begin; w < end; ++w) {
      check_interrupt();
      std::vector<float>& of_base = kept != nullptr ? (*kept)[w] : base_logits;
      if (base != nullptr && (kept == nullptr || of_base.empty())) {
        if (!base_session) base_session.emplace(*base, o.context);
        base_session->clear();
        const auto logits = base_session->append(windows[w], o.context / 2);
        of_base.assign(logits.begin(), logits.end());
      }
      each[w] =
          score(session, llama::cache::shares_layers(kinds_of(o).keys), of_base, windows[w], m.shape().vocabulary);
      const std::lock_guard lock(mutex);
      bar.advance(1);
    }
  });
  sums total;
  for (const sums& s : each) total += s;
  return total;
}

// Of the model at `path`.
figures figures_of(const perplexity_options& o, const std::string& path, const sums& s) {
  const double count = static_cast<double>(s.tokens), value = std::exp(s.loss / count);
  const double read = count * static_cast<double>(o.context) / static_cast<double>(o.context - o.context / 2 - 1);
  if (!std::isfinite(value) || !std::isfinite(s.divergence))
    throw not_finite("the predictions of " + printable(path) + " are not numbers");
  return {value,
          value * error_of(s.loss, s.loss_squared, s.tokens),
          s.divergence / count,
          error_of(s.divergence, s.divergence_squared, s.tokens),
          100.0 * static_cast<double>(s.same_top) / count,
          read / s.seconds,
          s.cache_bits * static_cast<double>(o.context - o.context / 2 - 1) / count};
}

// What a model's matrices take, and how far they are from those of `base`.
struct weights_figures {
  std::uint64_t elements = 0, bytes = 0;
  error_sums error = {};

  double bits() const { return 8.0 * static_cast<double>(bytes) / static_cast<double>(elements); }
};
weights_figures weights_of(const model& file, const model& base, unsigned threads) {
  weights_figures f;
  for (const model::tensor& t : base.tensors()) {
    const model::tensor* const other = file.find(t.name);
    if (!is_weight_matrix(base, t) || other == nullptr || format_of(*other) == nullptr ||
        other->elements() != t.elements() || other->row_elements() != t.row_elements())
      continue;
    f.elements += t.elements();
    f.bytes += other->packed != nullptr ? other->stored_bytes() : other->data.size();
    progress bar("comparing", t.elements());
    f.error += compare_tensors(t, *other, threads, bar);
    if (!f.error.is_finite())
      throw not_finite("tensor '" + printable(t.name) + "': how far the copies are apart is not a number");
  }
  return f;
}

// The copies as points. Those in one folder are a family; with many of them the front alone has names.
std::string divergence_plot(const std::string& model, const std::vector<std::string>& copies,
                            std::vector<plot_point> points) {
  plot_words words{"Divergence against size: " + printable(std::filesystem::path(model).filename().string(), 48),
                   "copies of one model; lower and further left is better",
                   "KL divergence",
                   {},
                   false};
  for (std::size_t i = 0; i < copies.size(); ++i) {
    const auto parent = std::filesystem::path(copies[i]).parent_path();
    const std::string family = parent.empty() ? "copies" : printable(parent.filename().string(), 32);
    const auto known = std::ranges::find(words.families, family);
    points[i].family = static_cast<std::size_t>(known - words.families.begin());
    if (known == words.families.end()) words.families.push_back(family);
    points[i].named = copies.size() <= 24;
  }
  if (words.families.size() > 7) throw failure("--svg: the copies are in more than seven folders");
  for (const std::size_t i : pareto_front(points)) points[i].named = true;
  return plot_svg(words, points);
}

}  // namespace

figures predictions(const perplexity_options& o, const std::string& path, const llama::model& m,
                    const llama::model* base, const std::vector<std::vector<int>>& windows, kept_logits* kept) {
  return figures_of(o, path, evaluate(o, m, base, windows, kept));
}

int perplexity(const perplexity_options& o) {
  const model file(o.model);
  std::optional<output> svg;
  if (!o.svg.empty()) svg.emplace(o.svg);
  const std::optional<model> base_file = o.base.empty() ? std::nullopt : std::optional<model>(std::in_place, o.base);
  const llama::model m(file.stored());
  const std::optional<llama::model> base = base_file ? std::optional<llama::model>(base_file->stored()) : std::nullopt;
  const llama::tokenizer tokenizer(file.set());
  const std::size_t vocabulary = m.shape().vocabulary;
  const auto same_vocabulary = [&](const llama::model& other) {
    if (other.shape().vocabulary != vocabulary || static_cast<std::size_t>(tokenizer.size()) != vocabulary)
      throw failure("the models and the tokenizer do not have the same vocabulary");
  };
  same_vocabulary(base ? *base : m);

  const auto windows = windows_of(o.text, m.shape(), tokenizer, o.context, o.windows);
  if (const std::size_t exact = llama::cache::kept_exact(kinds_of(o).keys); exact != 0 && o.context <= exact)
    std::cerr << "blocq: a cache of the kind " << kinds_of(o).keys << " has up to " << exact
              << " tokens in binary16: in windows of " << o.context << " nothing is quantized\n";
  const figures f = predictions(o, o.model, m, base ? &*base : nullptr, windows);
  const auto json_of = [](const std::string& path, const figures& x) {
    return nlohmann::ordered_json{{"file", printable(path)},
                                  {"perplexity", x.perplexity},
                                  {"perplexity_error", x.error},
                                  {"divergence", x.divergence},
                                  {"divergence_error", x.divergence_error},
                                  {"same_top_percent", x.same_top},
                                  {"tokens_per_second", x.speed},
                                  {"cache_bits_per_number", x.cache_bits}};
  };
  const auto print_json = [](const nlohmann::ordered_json& out) {
    std::cout << out.dump(2, ' ', true, nlohmann::json::error_handler_t::replace) << '\n';
  };
  if (o.copies.empty() && o.json) {
    nlohmann::ordered_json out = json_of(o.model, f);
    if (!base)
      for (const char* const key : {"divergence", "divergence_error", "same_top_percent"}) out.erase(key);
    print_json(out);
    return exit_done;
  }
  if (o.copies.empty()) {
    std::cout << "perplexity " << number_text(f.perplexity, 4) << " +- " << number_text(f.error, 4) << " over "
              << windows.size() * (o.context - o.context / 2 - 1) << " tokens\n";
    if (base)
      std::cout << "KL divergence from " << printable(o.base) << ": " << significant_text(f.divergence) << " +- "
                << significant_text(f.divergence_error, 2) << ", same top token " << number_text(f.same_top, 1)
                << " %\n";
    if (const llama::cache_kinds kinds = kinds_of(o); kinds.keys != "f32" || kinds.values != "f32")
      std::cout << number_text(f.cache_bits, 2) << " bits for a number of keys and values\n";
    std::cout << number_text(f.speed, 0) << " tokens/s per thread\n";
    return exit_done;
  }

  table t(
      {"model", ">bits/weight", ">relative RMSE", ">perplexity", ">+-", ">KL divergence", ">same top", ">tokens/s"});
  nlohmann::ordered_json out;
  std::vector<plot_point> points;
  const auto row = [&](const std::string& path, const model& weights, const figures& x) {
    const weights_figures w = weights_of(weights, file, o.threads);
    if (svg && w.elements == 0) throw failure("--svg: " + printable(path) + " has none of the model's matrices");
    if (&weights != &file)
      points.push_back(
          {printable(std::filesystem::path(path).stem().string(), 24), 0, w.bits(), std::max(x.divergence, 1e-9)});
    if (o.json) {
      nlohmann::ordered_json& entry = out["models"].emplace_back(json_of(path, x));
      entry["bits_per_weight"] = w.elements == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(w.bits());
      entry["relative_rmse"] = w.error.noise == 0 ? 0 : w.error.relative_rmse();
      entry["bytes"] = weights.file_bytes();
      return;
    }
    std::vector<std::string> cells = {printable(std::filesystem::path(path).filename().string()),
                                      w.elements == 0 ? "-" : number_text(w.bits(), 4),
                                      w.error.noise == 0 ? "0" : number_text(100 * w.error.relative_rmse(), 3) + " %"};
    for (const double v : {x.perplexity, x.error}) cells.push_back(number_text(v, 4));
    cells.push_back(&weights == &file ? "0" : significant_text(x.divergence));
    cells.push_back(&weights == &file ? "100.0 %" : number_text(x.same_top, 1) + " %");
    cells.push_back(number_text(x.speed, 0));
    t.row(std::move(cells));
  };
  row(o.model, file, f);
  kept_logits kept;
  constexpr std::size_t most = std::size_t{1} << 28;  // a gigabyte
  if (windows.size() * o.context / 2 <= most / vocabulary) kept.resize(windows.size());
  for (const std::string& path : o.copies) {
    const model copy(path);
    const llama::model weights(copy.stored());
    same_vocabulary(weights);
    row(path, copy, predictions(o, path, weights, &m, windows, kept.empty() ? nullptr : &kept));
  }
  if (svg) {
    const std::string text = divergence_plot(o.model, o.copies, std::move(points));
    static_cast<void>((*svg)(text.data(), text.size()));  // commit says if it went wrong
    svg->commit();
  }
  if (o.json)
    print_json(out);
  else
    std::cout << t << "\nSpeeds are per thread.\n";
  return exit_done;
}
