// blocq probe: what makes a model hard to round. Outliers in its weights and in what goes through it, what disturbs its
// predictions, which layers turn what they get, and whether the calibration text matters.
#include "../llama/llama.hpp"
#include "command.hpp"
#include "importance.hpp"
#include "model.hpp"
#include "sensitivity.hpp"
#include "terminal.hpp"
#include "windows.hpp"

#include <blocq/calib/probe.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <iostream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

namespace {

namespace calib = blocq::calib;

constexpr double far_out = 6;  // standard deviations
constexpr std::array<unsigned, 3> integer_bits = {2, 3, 4};
constexpr std::size_t sample_elements = std::size_t{1} << 20;
constexpr std::size_t batch_elements = std::size_t{1} << 16;

struct outliers {
  double peak_ratio, kurtosis, beyond;  // the last as a part of all numbers
};

// Relative squared errors at so many bits a number.
struct reduction {
  double rounded, pruned;
};
using reductions = std::array<reduction, integer_bits.size()>;

struct disturbed {
  double noise, clipping;  // divergences
};

struct matrix_figures {
  const model::tensor* tensor;
  outliers weights{};
  reductions reduced{};
  std::optional<outliers> inputs = {};
  std::optional<disturbed> predictions = {}, predictions_of_inputs = {};
};

struct calibration_figures {
  std::size_t tokens = 0, matrices = 0;  // of each part; that were rounded
  std::vector<double> parts;             // divergence with the importance that each part says there is
  double together = 0;                   // and that all of them do
  std::optional<double> without;
  double mean = 0, deviation = 0;
};

struct probed {
  std::vector<matrix_figures> matrices;
  std::vector<double> layers;  // block importance
  std::optional<calibration_figures> calibration;
};

outliers outliers_of(const calib::outlier_meter& m, std::size_t beyond) {
  return {m.peak_ratio(), m.kurtosis(), m.count() > 0 ? static_cast<double>(beyond) / m.count() : 0.0};
}

reductions normal_reductions() {
  reductions out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const unsigned bits = integer_bits[i];
    const auto error = [bits](double step) { return calib::normal_rounding_error(bits, step); };
    constexpr double peak = 8;  // further out there is nothing
    out[i] = {error(calib::best_step(bits, peak, error)), calib::normal_pruning_error(bits / 16.0)};
  }
  return out;
}

// Rows spread evenly over the matrix, all of them if they are not too many.
reductions reductions_of(const model::tensor& t) {
  const std::size_t columns = t.row_elements();
  const std::size_t rows = std::clamp<std::size_t>(sample_elements / columns, 1, t.rows());
  std::vector<float> sample(rows * columns);
  for (std::size_t i = 0; i < rows; ++i)
    read_elements(t, i * t.rows() / rows * columns, std::span(sample).subspan(i * columns, columns));
  const calib::sorted_numbers sorted(std::move(sample));
  reductions out{};
  if (sorted.energy() == 0) return out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const unsigned bits = integer_bits[i];
    const auto error = [&](double step) { return sorted.rounding_error(bits, step); };
    out[i] = {error(calib::best_step(bits, sorted.peak(), error)) / sorted.energy(),
              sorted.pruning_error(bits / 16.0) / sorted.energy()};
  }
  return out;
}

outliers weight_outliers(const model::tensor& t) {
  const std::size_t columns = t.row_elements(), tall = std::max<std::size_t>(1, batch_elements / columns);
  calib::outlier_meter meter(columns);
  std::vector<float> batch;
  const auto each_batch = [&](const auto& use) {
    for (std::size_t row = 0; row < t.rows(); row += tall) {
      check_interrupt();
      const std::size_t rows = std::min<std::size_t>(tall, t.rows() - row);
      batch.resize(rows * columns);
      read_elements(t, row * columns, batch);
      use(row, rows);
    }
  };
  each_batch([&](std::size_t row, std::size_t rows) {
    if (const auto s = meter.add({batch.data(), rows, columns}); !s)
      throw not_finite("tensor '" + printable(t.name) + "', row " + std::to_string(row + s.at) + ": " + s.message());
  });
  std::size_t beyond = 0;
  each_batch([&](std::size_t, std::size_t) { beyond += meter.beyond(batch, far_out); });
  return outliers_of(meter, beyond);
}

void look_at_weights(const probe_options& o, const model& file, probed& out) {
  for (const model::tensor& t : file.tensors())
    if (is_weight_matrix(file, t) && t.elements() != 0) out.matrices.push_back({.tensor = &t});
  if (out.matrices.empty()) throw failure(printable(o.model) + ": has no weight matrix");
  progress bar("matrices", out.matrices.size());
  std::mutex mutex;
  parallel_ranges(o.threads, out.matrices.size(), [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      matrix_figures& m = out.matrices[i];
      m.weights = weight_outliers(*m.tensor);
      m.reduced = reductions_of(*m.tensor);
      const std::lock_guard lock(mutex);
      bar.advance(1);
    }
  });
}

// What a text sends through the model: twice, as what is far from the mean is known when the mean is.
void look_at_inputs(const probe_options& o, const llama::model& m, const std::vector<std::vector<int>>& windows,
                    probed& out) {
  using meters = std::map<std::string, calib::outlier_meter, std::less<>>;
  constexpr std::size_t parts = 8;  // with any number of threads, so that the sums do not depend on it
  const llama::shape& shape = m.shape();
  std::vector<meters> seen(parts);
  std::vector<std::vector<calib::layer_change>> changes(parts, std::vector<calib::layer_change>(shape.layers));
  std::vector<std::map<std::string, std::size_t, std::less<>>> beyond(parts);
  progress bar("windows", 2 * windows.size());
  std::mutex mutex;
  const auto each_part = [&](const auto& observe, const auto& run) {
    parallel_ranges(o.threads, parts, [&](std::size_t begin, std::size_t end) {
      llama::session session(m, o.context);
      for (std::size_t part = begin; part < end; ++part) {
        session.observe(
            [&](const llama::matrix& layer, std::span<const float> x, std::size_t n) { observe(part, layer, x, n); });
        for (std::size_t w = windows.size() * part / parts; w < windows.size() * (part + 1) / parts; ++w) {
          check_interrupt();
          session.clear();
          run(part, session, windows[w]);
          const std::lock_guard lock(mutex);
          bar.advance(1);
        }
      }
    });
  };

  each_part(
      [&](std::size_t part, const llama::matrix& layer, std::span<const float> x, std::size_t n) {
        auto& meter = seen[part].try_emplace(std::string(layer.name()), layer.columns()).first->second;
        if (const auto s = meter.add({x.data(), n, layer.columns()}); !s)
          throw not_finite("the inputs of '" + printable(layer.name()) + "' are not numbers: " + s.message());
      },
      [&](std::size_t part, llama::session& session, const std::vector<int>& window) {
        session.embed(window);
        for (std::size_t l = 0; l < shape.layers; ++l) {
          const std::vector<float> before = session.state();
          session.layer(l);
          changes[part][l].add({before.data(), window.size(), shape.width},
                               {session.state().data(), window.size(), shape.width});
        }
        session.finish(0);
      });
  meters all;
  for (const meters& part : seen)
    for (const auto& [name, meter] : part)
      static_cast<void>(all.try_emplace(name, meter.columns()).first->second.merge(meter));
  each_part(
      [&](std::size_t part, const llama::matrix& layer, std::span<const float> x, std::size_t) {
        beyond[part][std::string(layer.name())] += all.find(layer.name())->second.beyond(x, far_out);
      },
      [](std::size_t, llama::session& session, const std::vector<int>& window) { session.append(window, 0); });

  for (matrix_figures& f : out.matrices) {
    const auto found = all.find(f.tensor->name);
    if (found == all.end()) continue;
    std::size_t n = 0;
    for (const auto& part : beyond)
      if (const auto counted = part.find(f.tensor->name); counted != part.end()) n += counted->second;
    f.inputs = outliers_of(found->second, n);
  }
  for (std::size_t l = 0; l < shape.layers; ++l) {
    calib::layer_change sum;
    for (const auto& part : changes) sum.merge(part[l]);
    out.layers.push_back(sum.importance());
  }
}

void disturb(const probe_options& o, sensitivity_meter& meter, probed& out) {
  progress bar("disturbing", out.matrices.size());
  for (matrix_figures& f : out.matrices) {
    std::vector<float> w(f.tensor->elements());
    read_elements(*f.tensor, 0, w);
    std::vector<float> other = w;
    disturbed d;
    calib::add_noise(other, o.noise, 1);
    d.noise = meter.divergence(f.tensor->name, other);
    calib::clip(w, o.noise);
    d.clipping = meter.divergence(f.tensor->name, w);
    f.predictions = d;
    if (f.inputs) {
      d.noise = meter.divergence_of_inputs(
          f.tensor->name, [&](std::span<float> x, std::size_t window) { calib::add_noise(x, o.noise, window + 1); });
      d.clipping =
          meter.divergence_of_inputs(f.tensor->name, [&](std::span<float> x, std::size_t) { calib::clip(x, o.noise); });
      f.predictions_of_inputs = d;
    }
    bar.advance(1);
  }
}

bool fits(const format_entry& type, const model::tensor& t) { return t.row_elements() % type.block_size == 0; }

// A matrix as what it becomes in a format.
std::vector<float> rounded(const format_entry& type, const model::tensor& t, std::span<const float> importance,
                           unsigned threads) {
  const std::size_t columns = t.row_elements();
  std::vector<float> out(t.elements());
  parallel_ranges(threads, t.rows(), [&](std::size_t begin, std::size_t end) {
    std::vector<std::byte> blocks(type.bytes_for(columns));
    for (std::size_t r = begin; r < end; ++r) {
      check_interrupt();
      const std::span row = std::span(out).subspan(r * columns, columns);
      read_elements(t, r * columns, row);
      auto s = type.encode(row, blocks.data(), {.importance = importance});
      if (s) s = type.decode(blocks.data(), row);
      if (!s) throw failure("tensor '" + printable(t.name) + "', row " + std::to_string(r) + ": " + s.message());
    }
  });
  return out;
}

// Windows [part * each, (part + 1) * each) calibrate, each part by itself; the meter has others.
calibration_figures calibrations(const probe_options& o, const format_entry& type, const llama::model& m,
                                 const std::vector<std::vector<int>>& windows, std::size_t each,
                                 sensitivity_meter& meter, const probed& matrices) {
  calibration_figures c;
  const auto divergence = [&](calib::importance_table table) {
    importance_file importance(std::move(table));
    c.matrices = 0;
    for (const matrix_figures& f : matrices.matrices) {
      if (!f.inputs || !fits(type, *f.tensor)) continue;
      ++c.matrices;
      importance.prepare(*f.tensor);
      meter.set(f.tensor->name, rounded(type, *f.tensor, importance.find(*f.tensor, 0), o.threads));
    }
    return meter.divergence();
  };
  calib::importance_table all;
  for (std::size_t part = 0; part < o.parts; ++part) {
    auto table = measure_importance(m, std::span(windows).subspan(part * each, each), true, o.threads);
    if (const auto merged = all.merge(table); !merged) throw failure(merged.message());
    c.parts.push_back(divergence(std::move(table)));
  }
  c.together = divergence(std::move(all));
  if (!type.importance_required) c.without = divergence({});
  c.tokens = each * o.context;
  const auto n = static_cast<double>(c.parts.size());
  c.mean = std::accumulate(c.parts.begin(), c.parts.end(), 0.0) / n;
  for (const double d : c.parts) c.deviation += (d - c.mean) * (d - c.mean) / (n - 1);
  c.deviation = std::sqrt(c.deviation);
  return c;
}

double decibels(double relative_error) { return -10 * std::log10(relative_error); }

// What has no figure is 0 in the library.
std::string figure_text(double value, int digits) { return value == 0 ? "-" : number_text(value, digits); }

void print_text(const probe_options& o, const format_entry& type, const probed& p) {
  std::vector<std::string> titles = {"weights of", ">max/median", ">kurtosis", ">ppm beyond 6 sigma"};
  for (const unsigned bits : integer_bits) {
    titles.push_back(">int" + std::to_string(bits) + " dB");
    titles.push_back(">pruned");
  }
  table weights(titles);
  const auto row = [&](const std::string& name, const outliers& w, const reductions& reduced) {
    std::vector<std::string> cells = {name, figure_text(w.peak_ratio, 2), figure_text(w.kurtosis, 2),
                                      significant_text(1e6 * w.beyond)};
    for (const reduction& r : reduced)
      for (const double e : {r.rounded, r.pruned}) cells.push_back(e == 0 ? "-" : number_text(decibels(e), 2));
    weights.row(std::move(cells));
  };
  for (const matrix_figures& m : p.matrices) row(printable(m.tensor->name), m.weights, m.reduced);
  row("(normal)", {0, 3, std::erfc(far_out / std::sqrt(2.0))}, normal_reductions());
  std::cout << weights;
  if (o.text.empty()) return;

  const std::string share = significant_text(o.noise) + " of their energy";
  table inputs({"inputs of", ">max/median", ">kurtosis", ">ppm beyond 6 sigma", ">noise", ">clipping", ">ratio",
                ">noise of inputs", ">clipping", ">ratio"});
  for (const matrix_figures& m : p.matrices) {
    std::vector<std::string> cells = {printable(m.tensor->name)};
    cells.resize(10, "-");
    if (m.inputs) {
      cells[1] = figure_text(m.inputs->peak_ratio, 2);
      cells[2] = figure_text(m.inputs->kurtosis, 2);
      cells[3] = significant_text(1e6 * m.inputs->beyond);
    }
    std::size_t at = 4;
    for (const auto* d : {&m.predictions, &m.predictions_of_inputs}) {
      if (*d) {
        const auto& [noise, clipping] = **d;
        cells[at] = significant_text(noise);
        cells[at + 1] = significant_text(clipping);
        if (noise > 0) cells[at + 2] = number_text(clipping / noise, 2);
      }
      at += 3;
    }
    inputs.row(std::move(cells));
  }
  std::cout << '\n'
            << inputs
            << "\nNoise and clipping: KL divergence when the weights of one matrix, or its inputs, are disturbed by "
            << share << ".\n\n";
  table layers({"layer", ">block importance"});
  for (std::size_t l = 0; l < p.layers.size(); ++l) layers.row({std::to_string(l), significant_text(p.layers[l])});
  std::cout << layers << '\n';
  const calibration_figures& c = *p.calibration;
  std::cout << type.name << " in " << c.matrices << " matrices, with importance from " << count_text(c.tokens)
            << " tokens, " << c.parts.size() << " times; KL divergence on as many others:\n";
  std::cout << "  each        ";
  for (const double d : c.parts) std::cout << ' ' << significant_text(d, 4);
  std::cout << "\n  mean         " << significant_text(c.mean, 4) << ", standard deviation "
            << significant_text(c.deviation) << "\n  all together " << significant_text(c.together, 4) << '\n';
  if (c.without) std::cout << "  without      " << significant_text(*c.without, 4) << '\n';
}

void print_json(const probe_options& o, const format_entry& type, const probed& p) {
  using json = nlohmann::ordered_json;
  const auto known = [](double value) { return value == 0 ? json() : json(value); };
  const auto of = [&](const outliers& x) {
    return json{{"peak_ratio", known(x.peak_ratio)}, {"kurtosis", known(x.kurtosis)}, {"beyond_6_sigma", x.beyond}};
  };
  const auto reduced = [&](const reductions& all) {
    json out = json::array();
    for (std::size_t i = 0; i < all.size(); ++i)
      out.push_back({{"bits", integer_bits[i]},
                     {"rounded_db", all[i].rounded == 0 ? json() : json(decibels(all[i].rounded))},
                     {"pruned_db", all[i].pruned == 0 ? json() : json(decibels(all[i].pruned))}});
    return out;
  };
  json out = {{"file", printable(o.model)}, {"normal", reduced(normal_reductions())}, {"matrices", json::array()}};
  if (!o.text.empty()) out["noise"] = o.noise;
  for (const matrix_figures& m : p.matrices) {
    json& entry = out["matrices"].emplace_back(
        json{{"name", printable(m.tensor->name)}, {"weights", of(m.weights)}, {"reduced", reduced(m.reduced)}});
    if (m.inputs) entry["inputs"] = of(*m.inputs);
    const auto put = [&](const char* key, const std::optional<disturbed>& d) {
      if (d) entry[key] = {{"noise", d->noise}, {"clipping", d->clipping}};
    };
    put("divergence", m.predictions);
    put("divergence_of_inputs", m.predictions_of_inputs);
  }
  if (p.calibration) {
    out["block_importance"] = p.layers;
    const calibration_figures& c = *p.calibration;
    out["calibration"] = {{"type", type.name},      {"matrices", c.matrices},
                          {"tokens", c.tokens},     {"divergences", c.parts},
                          {"mean", c.mean},         {"standard_deviation", c.deviation},
                          {"together", c.together}, {"without", c.without ? json(*c.without) : json()}};
  }
  std::cout << out.dump(2, ' ', true, nlohmann::json::error_handler_t::replace) << '\n';
}

}  // namespace

int probe(const probe_options& o) {
  const format_entry& type = output_type(o.type);
  if (!type.importance)
    throw failure(std::string(type.name) +
                  " is rounded to without importance: what the calibration text is changes nothing");
  const model file(o.model);
  probed p;
  if (o.text.empty()) {
    look_at_weights(o, file, p);
  } else {
    const llama::model m(file.stored());
    const auto windows = windows_of(o.text, m.shape(), llama::tokenizer(file.set()), o.context, o.windows);
    const std::size_t each = windows.size() / (o.parts + 1);
    if (each == 0)
      throw failure(printable(o.text) + ": " + std::to_string(windows.size()) + " windows of " +
                    std::to_string(o.context) + " tokens are too few for " + std::to_string(o.parts) +
                    " parts that calibrate and one to measure on");
    look_at_weights(o, file, p);
    if (std::ranges::none_of(p.matrices, [&](const matrix_figures& f) { return fits(type, *f.tensor); }))
      throw failure(printable(o.model) + ": no matrix has rows of whole blocks of " + std::string(type.name));
    look_at_inputs(o, m, windows, p);
    const auto measured = windows.end() - static_cast<std::ptrdiff_t>(each);
    sensitivity_meter meter(file, {measured, windows.end()}, o.threads);
    disturb(o, meter, p);
    p.calibration = calibrations(o, type, m, windows, each, meter, p);
  }
  o.json ? print_json(o, type, p) : print_text(o, type, p);
  return exit_done;
}
