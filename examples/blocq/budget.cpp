#include "budget.hpp"

#include "command.hpp"
#include "measurements.hpp"
#include "sensitivity.hpp"
#include "terminal.hpp"
#include "windows.hpp"

#include <blocq/calib/budget.hpp>
#include <blocq/core/bits.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <optional>

namespace {

// Weights of a tensor that errors are measured on, at most; and those that are encoded at once.
constexpr std::size_t sample_elements = std::size_t{1} << 20;
constexpr std::size_t batch_elements = std::size_t{1} << 14;

encode_settings settings_for(const model::tensor& t, const importance_file* importance, std::size_t matrix,
                             std::span<const float> alike, bool best) {
  encode_settings settings{.best = best};
  if (importance != nullptr) settings.importance = importance->find(t, matrix);
  if (settings.importance.empty()) settings.importance = alike;
  return settings;
}

// Rows of a tensor and what becomes of them.
class rounding {
 public:
  rounding(const model::tensor& t, const importance_file* importance, bool best)
      : t_(t), importance_(importance), best_(best), alike_(t.row_elements(), 1.0f) {}

  // Rows [first, last), all of one matrix, as floats, and as what they decode to from a type. False if the type cannot
  // hold them. Throws failure if a weight is no number.
  bool operator()(const format_entry& type, std::size_t first, std::size_t last) {
    const std::size_t columns = t_.row_elements();
    exact.resize((last - first) * columns);
    rounded.resize(exact.size());
    read_elements(t_, first * columns, exact);
    if (&type == format_of(t_)) {
      rounded = exact;
      return true;
    }
    blocks_.resize(type.bytes_for(exact.size()));
    const auto settings =
        settings_for(t_, importance_, first / t_.dims[1],
                     type.importance_required ? std::span<const float>(alike_) : std::span<const float>(), best_);
    if (const auto s = type.encode(exact, blocks_.data(), settings); !s) {
      if (s.code == blocq::errc::not_finite)
        throw failure("tensor '" + printable(t_.name) + "', near row " +
                      std::to_string(first + s.at * type.block_size / columns) + ": " + s.message());
      return false;
    }
    return static_cast<bool>(type.decode(blocks_.data(), rounded));
  }

  std::vector<float> exact, rounded;

 private:
  const model::tensor& t_;
  const importance_file* importance_;
  bool best_;
  std::vector<float> alike_;
  std::vector<std::byte> blocks_;
};

// Squares and squared differences, each times the importance of its column.
struct weighed_sums {
  double energy = 0, error = 0;
};

class planner {
 public:
  planner(const model& source, const importance_file* importance, const budget_request& request)
      : source_(source), importance_(importance), request_(request), known_(request.measurements) {}

  budget_answer run() {
    measure_errors();
    if (!request_.text.empty()) measure_sensitivities();
    std::vector<std::vector<blocq::calib::budget_choice>> choices;
    std::vector<std::vector<const format_entry*>> types;
    for (std::size_t i = 0; i < request_.tensors.size(); ++i) {
      const budget_tensor& t = request_.tensors[i];
      choices.emplace_back();
      types.emplace_back();
      for (std::size_t c = 0; c < t.types.size(); ++c) {
        if (!std::isfinite(errors_[i][c])) continue;
        types.back().push_back(t.types[c]);
        choices.back().push_back({t.types[c]->bytes_for(t.source->elements()), errors_[i][c] * factors_[i]});
      }
      if (types.back().empty())
        throw failure("tensor '" + printable(t.source->name) + "': none of the types can hold its weights");
    }
    const auto plan = blocq::calib::plan_budget(choices, request_.bytes);
    if (!plan) throw failure(plan.message());
    budget_answer answer{{}, plan->error, std::move(sensitivities_)};
    for (std::size_t i = 0; i < types.size(); ++i) answer.types.push_back(types[i][plan->choices[i]]);
    return answer;
  }

 private:
  // The rows that stand for a tensor: in pieces of one matrix each, spread evenly.
  struct piece {
    std::size_t first, last;
  };
  static std::vector<piece> pieces_of(const model::tensor& t) {
    const std::size_t columns = t.row_elements(), rows = t.rows(), matrix = t.dims[1];
    const std::size_t tall = std::clamp<std::size_t>(batch_elements / columns, 1, matrix);
    std::vector<piece> all;
    for (std::size_t first = 0; first < rows; first = all.back().last)
      all.push_back({first, std::min(first + tall, (first / matrix + 1) * matrix)});
    const std::size_t some = std::clamp<std::size_t>(sample_elements / (tall * columns), 1, all.size());
    std::vector<piece> chosen;
    for (std::size_t i = 0; i < some; ++i) chosen.push_back(all[all.size() * i / some]);
    return chosen;
  }

  // All that the measurements of a tensor depend on but the type.
  fingerprint print_of(const model::tensor& t) const {
    fingerprint print;
    print.add(t.data).add(static_cast<std::uint64_t>(t.type)).add(t.dims[0]).add(t.dims[1]).add(request_.best);
    for (std::size_t m = 0; m < t.dims[2] * t.dims[3]; ++m) {
      print.add(blocq::to_bits(t.scale[m]));
      if (importance_ != nullptr) print.add_values(importance_->find(t, m));
    }
    return print;
  }
  static std::string name_of(const char* what, std::string_view type, const fingerprint& print,
                             const model::tensor& t) {
    return what + (' ' + std::string(type)) + ' ' + print.text() + ' ' + printable(t.name);
  }

  weighed_sums sums_of(const model::tensor& t, std::size_t first, const rounding& r) const {
    const std::size_t columns = t.row_elements();
    const auto weights = importance_ != nullptr ? importance_->find(t, first / t.dims[1]) : std::span<const float>();
    weighed_sums sums;
    for (std::size_t i = 0; i < r.exact.size(); ++i) {
      const double weight = weights.empty() ? 1.0 : static_cast<double>(weights[i % columns]);
      const double x = static_cast<double>(r.exact[i]), d = x - static_cast<double>(r.rounded[i]);
      sums.energy += weight * x * x;
      sums.error += weight * d * d;
    }
    return sums;
  }

  // errors_[i][c], infinite where type c cannot hold tensor i; and factors_[i] as they are without a text.
  void measure_errors() {
    std::uint64_t total = 0;
    for (const budget_tensor& t : request_.tensors) total += t.types.size() * pieces_of(*t.source).size();
    progress bar("measuring types", total);
    std::mutex mutex;
    for (const budget_tensor& t : request_.tensors) {
      const std::vector<piece> pieces = pieces_of(*t.source);
      prints_.push_back(print_of(*t.source));
      std::vector<double>& errors = errors_.emplace_back(t.types.size());
      std::vector<std::size_t> missing;
      for (std::size_t c = 0; c < t.types.size(); ++c)
        if (const auto known = known_.find(name_of("error", t.types[c]->name, prints_.back(), *t.source)))
          errors[c] = *known;
        else
          missing.push_back(c);
      bar.advance((t.types.size() - missing.size()) * pieces.size());
      // A piece of all types after the other, so that threads with parts of the list have the same to do.
      std::vector<weighed_sums> each(pieces.size() * missing.size());
      parallel_ranges(request_.threads, each.size(), [&](std::size_t begin, std::size_t end) {
        rounding round(*t.source, importance_, request_.best);
        for (std::size_t i = begin; i < end; ++i) {
          check_interrupt();
          const piece& p = pieces[i / missing.size()];
          const bool held = round(*t.types[missing[i % missing.size()]], p.first, p.last);
          each[i] = sums_of(*t.source, p.first, round);
          if (!held) each[i].error = std::numeric_limits<double>::infinity();
          const std::lock_guard lock(mutex);
          bar.advance(1);
        }
      });
      for (std::size_t c = 0; c < missing.size(); ++c) {
        weighed_sums sums;
        for (std::size_t p = 0; p < pieces.size(); ++p) {
          sums.energy += each[p * missing.size() + c].energy;
          sums.error += each[p * missing.size() + c].error;
        }
        // Of its energy: pieces that stand for others need no other factor.
        errors[missing[c]] = sums.error == 0 ? 0 : sums.error / (sums.energy > 0 ? sums.energy : 1);
        if (std::isfinite(errors[missing[c]]))
          known_.add(name_of("error", t.types[missing[c]]->name, prints_.back(), *t.source), errors[missing[c]]);
      }
      factors_.push_back(static_cast<double>(t.source->elements()));
    }
  }

  // The number of the type that a tensor's sensitivity is measured with: large enough an error to be seen, and small
  // enough for the divergence to grow in proportion. None if no type changes the tensor.
  std::optional<std::size_t> probe_of(std::size_t i) const {
    const auto& types = request_.tensors[i].types;
    const auto distance = [&](std::size_t c) { return std::abs(types[c]->bits_per_weight() - 4); };
    std::optional<std::size_t> probe;
    for (std::size_t c = 0; c < types.size(); ++c)
      if (errors_[i][c] > 0 && std::isfinite(errors_[i][c]) && (!probe || distance(c) < distance(*probe))) probe = c;
    return probe;
  }

  void measure_sensitivities() {
    const auto windows = windows_of(request_.text, llama::model(source_.set()).shape(), llama::tokenizer(source_.set()),
                                    request_.context, request_.windows);
    std::optional<sensitivity_meter> meter;  // made when it is needed: it has a copy of the model
    fingerprint model_and_text;
    for (const model::tensor& t : source_.tensors()) model_and_text.add(t.data);
    for (const auto& w : windows) model_and_text.add_values(std::span(w));
    progress bar("measuring tensors", request_.tensors.size());
    for (std::size_t i = 0; i < request_.tensors.size(); ++i, bar.advance(1)) {
      const model::tensor& t = *request_.tensors[i].source;
      const auto found = probe_of(i);
      if (!found) continue;
      const format_entry& probe = *request_.tensors[i].types[*found];
      fingerprint print = prints_[i];
      const std::string what = name_of("divergence", probe.name, print.add(model_and_text.value()), t);
      std::optional<double> divergence = known_.find(what);
      if (!divergence) {
        if (!meter) meter.emplace(source_, windows, request_.threads);
        divergence = meter->divergence(t.name, rounded(t, probe));
        known_.add(what, *divergence);
      }
      factors_[i] = *divergence / errors_[i][*found];
      sensitivities_.push_back({&t, &probe, errors_[i][*found], *divergence});
    }
  }

  std::vector<float> rounded(const model::tensor& t, const format_entry& type) const {
    const std::size_t columns = t.row_elements(),
                      tall = std::clamp<std::size_t>(batch_elements / columns, 1, t.dims[1]);
    std::vector<float> all(t.elements());
    const std::size_t per_matrix = (t.dims[1] + tall - 1) / tall;
    parallel_ranges(request_.threads, per_matrix * t.dims[2] * t.dims[3], [&](std::size_t begin, std::size_t end) {
      rounding round(t, importance_, request_.best);
      for (std::size_t i = begin; i < end; ++i) {
        const std::size_t matrix = i / per_matrix * t.dims[1], from = i % per_matrix * tall;
        const std::size_t first = matrix + from, last = matrix + std::min<std::size_t>(from + tall, t.dims[1]);
        if (!round(type, first, last))
          throw failure("tensor '" + printable(t.name) + "' cannot be held by " + std::string(type.name));
        std::copy(round.rounded.begin(), round.rounded.end(),
                  all.begin() + static_cast<std::ptrdiff_t>(first * columns));
      }
    });
    return all;
  }

  const model& source_;
  const importance_file* importance_;
  const budget_request& request_;
  measurements known_;
  std::vector<fingerprint> prints_;
  std::vector<std::vector<double>> errors_;
  std::vector<double> factors_;
  std::vector<tensor_sensitivity> sensitivities_;
};

}  // namespace

budget_answer choose_types(const model& source, const importance_file* importance, const budget_request& request) {
  return planner(source, importance, request).run();
}

std::vector<const format_entry*> usual_budget_types() {
  std::vector<const format_entry*> types;
  for (const char* name :
       {"iq1_s",  "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "q2_k", "iq3_xxs", "iq3_s", "q3_k", "iq4_xs",
        "iq4_nl", "q4_0",  "q4_k",    "q4_1",   "q5_0",  "q5_k", "q5_1",    "q6_k",  "q8_0", "f16"})
    types.push_back(&output_type(name));
  return types;
}
