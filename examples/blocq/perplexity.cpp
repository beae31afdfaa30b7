// blocq perplexity: how well a model predicts a text, and how far its predictions are from those of another model.
#include "../llama/llama.hpp"
#include "../llama/tokenizer.hpp"
#include "command.hpp"
#include "model.hpp"
#include "terminal.hpp"

#include <blocq/gguf/file.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <mutex>
#include <optional>

namespace {

// What the scored tokens of a window add up to.
struct sums {
  double loss = 0, loss_squared = 0, divergence = 0, divergence_squared = 0;
  std::size_t tokens = 0, same_top = 0;

  sums& operator+=(const sums& o) {
    loss += o.loss;
    loss_squared += o.loss_squared;
    divergence += o.divergence;
    divergence_squared += o.divergence_squared;
    tokens += o.tokens;
    same_top += o.same_top;
    return *this;
  }
};

void log_probabilities(std::span<const float> logits, std::vector<double>& out) {
  const double greatest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float l : logits) sum += std::exp(static_cast<double>(l) - greatest);
  const double norm = greatest + std::log(sum);
  out.clear();
  for (const float l : logits) out.push_back(static_cast<double>(l) - norm);
}

std::size_t top(std::span<const float> logits) {
  return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// The second half of a window is scored: each of its tokens but the last predicts the next one.
sums score(llama::session& session, llama::session* base, std::span<const int> window, std::size_t vocabulary) {
  const std::size_t first = window.size() / 2;
  session.clear();
  const std::span logits = session.append(window, first);
  std::span<const float> base_logits;
  if (base != nullptr) {
    base->clear();
    base_logits = base->append(window, first);
  }
  sums total;
  std::vector<double> p, q;
  for (std::size_t i = first; i + 1 < window.size(); ++i) {
    const std::span row = logits.subspan((i - first) * vocabulary, vocabulary);
    log_probabilities(row, q);
    const double loss = -q[static_cast<std::size_t>(window[i + 1])];
    total.loss += loss;
    total.loss_squared += loss * loss;
    ++total.tokens;
    if (base == nullptr) continue;
    const std::span base_row = base_logits.subspan((i - first) * vocabulary, vocabulary);
    log_probabilities(base_row, p);
    double divergence = 0;
    for (std::size_t v = 0; v < vocabulary; ++v) divergence += std::exp(p[v]) * (p[v] - q[v]);
    total.divergence += divergence;
    total.divergence_squared += divergence * divergence;
    total.same_top += top(row) == top(base_row);
  }
  return total;
}

// The standard error of a mean.
double error_of(double sum, double squares, std::size_t n) {
  const double count = static_cast<double>(n), mean = sum / count;
  return n > 1 ? std::sqrt(std::max(0.0, squares / count - mean * mean) / (count - 1)) : 0.0;
}

}  // namespace

int perplexity(const perplexity_options& o) {
  const model file(o.model);
  const std::optional<model> base_file = o.base.empty() ? std::nullopt : std::optional<model>(std::in_place, o.base);
  const auto text = blocq::gguf::mapped_file::open(o.text.c_str());
  if (!text) throw failure(text.message());

  const llama::model m(file.reader());
  const std::optional<llama::model> base = base_file ? std::optional<llama::model>(base_file->reader()) : std::nullopt;
  const llama::tokenizer tokenizer(file.reader());
  const std::size_t vocabulary = m.shape().vocabulary, size = o.context;
  if (static_cast<std::size_t>(tokenizer.size()) != vocabulary || (base && base->shape().vocabulary != vocabulary))
    throw failure("the models and the tokenizer do not have the same vocabulary");

  // A token is a few bytes at most on average: no more of a book is read than can be needed.
  const std::size_t enough = std::min<std::size_t>(text->bytes().size(), o.windows * size * 16);
  std::vector<int> tokens{tokenizer.bos()};
  for (const int t : tokenizer.encode({reinterpret_cast<const char*>(text->bytes().data()), enough}))
    tokens.push_back(t);
  const std::size_t windows = std::min(o.windows, tokens.size() / size);
  if (windows == 0) throw failure(printable(o.text) + ": has fewer tokens than one window of " + std::to_string(size));

  std::vector<sums> each(windows);
  const auto start = std::chrono::steady_clock::now();
  {
    progress bar("windows", windows);
    std::mutex mutex;
    parallel_ranges(o.threads, windows, [&](std::size_t begin, std::size_t end) {
      llama::session session(m, size);
      std::optional<llama::session> base_session;
      if (base) base_session.emplace(*base, size);
      for (std::size_t w = begin; w < end; ++w) {
        check_interrupt();
        std::vector<int> window(tokens.begin() + static_cast<std::ptrdiff_t>(w * size),
                                tokens.begin() + static_cast<std::ptrdiff_t>((w + 1) * size));
        window[0] = tokenizer.bos();
        each[w] = score(session, base_session ? &*base_session : nullptr, window, vocabulary);
        const std::lock_guard lock(mutex);
        bar.advance(1);
      }
    });
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  sums total;
  for (const sums& s : each) total += s;

  const double count = static_cast<double>(total.tokens), value = std::exp(total.loss / count);
  std::cout << "perplexity " << number_text(value, 4) << " +- "
            << number_text(value * error_of(total.loss, total.loss_squared, total.tokens), 4) << " over "
            << total.tokens << " tokens\n";
  if (base)
    std::cout << "KL divergence from " << printable(o.base) << ": " << significant_text(total.divergence / count)
              << " +- " << significant_text(error_of(total.divergence, total.divergence_squared, total.tokens), 2)
              << ", same top token " << number_text(100.0 * static_cast<double>(total.same_top) / count, 1) << " %\n";
  std::cout << number_text(static_cast<double>(windows * size) * (base ? 2 : 1) / seconds, 0) << " tokens/s\n";
  return exit_done;
}
