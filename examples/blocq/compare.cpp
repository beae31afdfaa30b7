// blocq compare: what every format costs and what it loses, on the weights of one model.
#include "command.hpp"
#include "files.hpp"
#include "measure.hpp"
#include "model.hpp"
#include "plot.hpp"
#include "terminal.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

namespace {

using blocq::gguf::tensor_info;

// Without --rows about so many weights are measured, spread evenly over the file.
std::uint64_t default_sample(const compare_options& o) { return std::uint64_t{1} << (o.best ? 17 : 21); }
constexpr std::size_t chunk_elements = std::size_t{1} << 18;

struct result_line {
  const format_entry* format;
  error_sums sums;
  std::uint64_t elements = 0;
  double encode_seconds = 0, decode_seconds = 0;  // of all threads together
  std::string out_of_range;                       // the first tensor that the format cannot hold

  double encode_speed() const { return static_cast<double>(elements) / encode_seconds / 1e6; }
  double decode_speed() const { return static_cast<double>(elements) / decode_seconds / 1e6; }
};

std::size_t sample_size(const compare_options& o, const tensor_info& t, std::uint64_t all_elements) {
  const std::size_t rows = t.rows();
  if (o.rows) return *o.rows == 0 ? rows : std::min(rows, *o.rows);
  const double share = std::min(1.0, static_cast<double>(default_sample(o)) / static_cast<double>(all_elements));
  return std::max<std::size_t>(1, static_cast<std::size_t>(share * static_cast<double>(rows)));
}

// Encodes and decodes `weights`, whole rows of `columns`, and adds what came of it.
void run_format(result_line& line, std::span<const float> weights, std::size_t columns, const tensor_info& tensor,
                const compare_options& o) {
  using clock = std::chrono::steady_clock;
  const format_entry& f = *line.format;
  const std::size_t length = f.tensor_bytes != nullptr ? weights.size() : columns;
  struct part {
    error_sums sums;
    double encode = 0, decode = 0;
    blocq::errc code = blocq::errc::ok;
  };
  std::vector<part> parts(weights.size() / length);  // so that the order of summation is always the same
  parallel_ranges(o.threads, parts.size(), [&](std::size_t begin, std::size_t end) {
    std::vector<std::byte> blocks(f.bytes_for(length));
    std::vector<float> decoded(length);
    const std::vector<float> equal_weights(f.importance_required ? length : 0, 1.0f);
    for (std::size_t i = begin; i < end; ++i) {
      const auto row = weights.subspan(i * length, length);
      const auto t0 = clock::now();
      parts[i].code = f.encode(row, blocks.data(), {.importance = equal_weights, .best = o.best}).code;
      const auto t1 = clock::now();
      static_cast<void>(f.decode(blocks.data(), decoded));
      const auto t2 = clock::now();
      parts[i].sums = measure(row, decoded);
      parts[i].encode = std::chrono::duration<double>(t1 - t0).count();
      parts[i].decode = std::chrono::duration<double>(t2 - t1).count();
    }
  });
  for (const part& p : parts) {
    if (p.code == blocq::errc::not_finite)
      throw not_finite("tensor '" + printable(tensor.name) + "' contains a weight that is not finite");
    if (p.code != blocq::errc::ok && line.out_of_range.empty()) line.out_of_range = tensor.name;
    line.sums += p.sums;
    line.encode_seconds += p.encode;
    line.decode_seconds += p.decode;
  }
  line.elements += weights.size();
}

std::vector<result_line> measure_all(const compare_options& o, const std::vector<const model::tensor*>& tensors,
                                     std::uint64_t& sampled) {
  std::vector<result_line> lines;
  for (const format_entry& f : catalog())
    if (f.encode != nullptr && f.name != "f32") lines.push_back({&f, {}, 0, 0, 0, {}});

  std::uint64_t all = 0;
  for (const model::tensor* t : tensors) all += t->elements();
  for (const model::tensor* t : tensors) sampled += sample_size(o, *t, all) * t->row_elements();
  progress bar("measuring", sampled * lines.size());
  std::vector<float> weights;
  const auto run_all = [&](const model::tensor& t, std::size_t columns) {
    for (result_line& line : lines) {
      check_interrupt();
      if (t.row_elements() % line.format->block_size == 0) run_format(line, weights, columns, t, o);
      bar.advance(weights.size());
    }
  };
  for (const model::tensor* t : tensors) {
    const std::size_t columns = t->row_elements(), rows = sample_size(o, *t, all);
    const std::size_t step = std::max<std::size_t>(1, chunk_elements / columns);
    for (std::size_t first = 0; first < rows; first += step) {
      const std::size_t count = std::min(step, rows - first);
      // The middle of each of `rows` equal parts of the tensor.
      const auto start_of = [&](std::size_t i) {
        return columns * static_cast<std::size_t>((static_cast<double>(first + i) + 0.5) *
                                                  static_cast<double>(t->rows()) / static_cast<double>(rows));
      };
      if (columns <= chunk_elements) {
        weights.resize(count * columns);
        for (std::size_t i = 0; i < count; ++i)
          read_elements(*t, start_of(i), std::span(weights).subspan(i * columns, columns));
        run_all(*t, columns);
        continue;
      }
      for (std::size_t at = 0; at < columns; at += chunk_elements) {  // a long row in pieces
        weights.resize(std::min(chunk_elements, columns - at));
        read_elements(*t, start_of(0) + at, weights);
        run_all(*t, weights.size());
      }
    }
  }
  return lines;
}

std::string csv_text(const std::vector<result_line>& lines) {
  std::string text =
      "format,gguf_id,block_size,block_bytes,bits_per_weight,relative_rmse,snr_db,encode_melem_s,decode_melem_s,"
      "weights\n";
  for (const result_line& l : lines) {
    const format_entry& f = *l.format;
    text += std::string(f.name) + ',' + (f.gguf_id ? std::to_string(*f.gguf_id) : "") + ',' +
            std::to_string(f.block_size) + ',' + std::to_string(f.block_bytes) + ',' +
            significant_text(f.bits_per_weight(), 7) + ',' + significant_text(l.sums.relative_rmse(), 6) + ',' +
            significant_text(l.sums.snr_db(), 6) + ',' + significant_text(l.encode_speed(), 4) + ',' +
            significant_text(l.decode_speed(), 4) + ',' + std::to_string(l.elements) + '\n';
  }
  return text;
}

std::string speed_text(double speed) { return number_text(speed, speed < 10 ? 2 : 0); }

void print_table(const compare_options& o, const std::vector<result_line>& lines, const std::string& sample,
                 std::uint64_t sampled, const std::vector<std::string>& notes) {
  std::cout << printable(o.in) << ": " << sample << "\n\n";
  table t({"format", ">bits/weight", ">relative RMSE", ">SNR dB", ">encode Melem/s", ">decode Melem/s", ">weights"});
  for (const result_line& l : lines) {
    const bool exact = l.sums.noise == 0;
    t.row({std::string(l.format->name), number_text(l.format->bits_per_weight(), 4),
           exact ? "0" : number_text(100 * l.sums.relative_rmse(), 3) + " %",
           exact ? "exact" : number_text(l.sums.snr_db(), 2), speed_text(l.encode_speed()),
           speed_text(l.decode_speed()),
           number_text(100 * static_cast<double>(l.elements) / static_cast<double>(sampled), 0) + " %"});
  }
  std::cout << t << "\nSpeeds are per thread.\n";
  for (const std::string& note : notes) std::cout << note << '\n';
}

// Ratios that are not finite are null.
void print_json(const compare_options& o, const std::vector<result_line>& lines, std::uint64_t sampled,
                std::uint64_t all, const std::vector<std::string>& notes) {
  nlohmann::ordered_json out = {{"file", printable(o.in)}, {"weights", all}, {"sampled", sampled}, {"notes", notes}};
  for (const result_line& l : lines)
    out["formats"].push_back({{"name", l.format->name},
                              {"bits_per_weight", l.format->bits_per_weight()},
                              {"relative_rmse", l.sums.relative_rmse()},
                              {"snr_db", l.sums.snr_db()},
                              {"encode_melem_s", l.encode_speed()},
                              {"decode_melem_s", l.decode_speed()},
                              {"weights", l.elements}});
  std::cout << out.dump(2, ' ', true, nlohmann::json::error_handler_t::replace) << '\n';
}

// The two factors of a low-rank adapter are matrices of weights too, though no quantizer takes them.
bool is_adapter(const model::tensor& t) {
  return format_of(t) != nullptr && t.rows() > 1 &&
         (t.name.ends_with(".weight.lora_a") || t.name.ends_with(".weight.lora_b"));
}

}  // namespace

int compare(const compare_options& o) {
  const model source(o.in, {.checkpoint = checkpoints::numbers});
  std::optional<output> csv, svg;
  if (!o.csv.empty()) csv.emplace(o.csv);
  if (!o.svg.empty()) svg.emplace(o.svg);
  std::vector<const model::tensor*> tensors;
  std::vector<std::string> notes = source.notes();
  std::uint64_t all = 0, sampled = 0;
  for (const model::tensor& t : source.tensors()) {
    if (!t.is_known()) notes.push_back("tensor '" + printable(t.name) + "' is left out: " + type_text(t));
    if (!is_weight_matrix(source, t) && !is_adapter(t)) continue;
    tensors.push_back(&t);
    all += t.elements();
  }
  if (tensors.empty()) throw failure(printable(o.in) + ": has no weight matrix");
  std::vector<result_line> lines = measure_all(o, tensors, sampled);

  std::erase_if(lines, [&](const result_line& l) {
    if (!l.out_of_range.empty())
      notes.push_back(std::string(l.format->name) + ": left out, tensor '" + printable(l.out_of_range) +
                      "' is outside its range");
    else if (l.elements == 0)
      notes.push_back(std::string(l.format->name) + ": left out, no row is a multiple of " +
                      std::to_string(l.format->block_size));
    return !l.out_of_range.empty() || l.elements == 0;
  });
  std::stable_sort(lines.begin(), lines.end(), [](const result_line& a, const result_line& b) {
    const double bits = a.format->bits_per_weight() - b.format->bits_per_weight();
    return std::abs(bits) > 1e-4 ? bits > 0 : a.sums.noise < b.sums.noise;
  });

  const std::string sample = count_text(sampled) + (sampled < all ? " of " + count_text(all) : "") + " weights in " +
                             std::to_string(tensors.size()) + (tensors.size() == 1 ? " tensor" : " tensors");
  o.json ? print_json(o, lines, sampled, all, notes) : print_table(o, lines, sample, sampled, notes);

  const auto put = [](output& file, const std::string& text) {
    static_cast<void>(file(text.data(), text.size()));  // commit says if it went wrong
  };
  if (csv) put(*csv, csv_text(lines));
  if (svg) {
    std::vector<plot_point> points;
    for (const result_line& l : lines)
      if (l.format->block_size > 1 && l.sums.noise > 0 && l.sums.signal > 0)
        points.push_back({plot_label(l.format->name), family_of(l.format->name), l.format->bits_per_weight(),
                          l.sums.relative_rmse()});
    if (points.empty()) throw failure("nothing to plot: no format has a relative error");
    const std::string name = std::filesystem::path(o.in).filename().string();
    put(*svg, plot_svg(format_plot_words("Error against size: " + printable(name, 48),
                                         sample + "; lower and further left is better"),
                       points));
  }
  for (auto* file : {&csv, &svg})
    if (*file) (*file)->commit();
  return exit_done;
}
