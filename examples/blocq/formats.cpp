// blocq formats: what the library knows, as a table or as JSON; of one format, every bit.
#include "catalog.hpp"
#include "command.hpp"
#include "files.hpp"
#include "layout.hpp"
#include "measure.hpp"
#include "suggest.hpp"
#include "terminal.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <iostream>
#include <numbers>
#include <random>

namespace {

nlohmann::ordered_json json_of(const format_entry& f) {
  nlohmann::ordered_json entry = {{"name", f.name},
                                  {"block_size", f.block_size},
                                  {"block_bytes", f.block_bytes},
                                  {"bits_per_weight", f.bits_per_weight()},
                                  {"gguf_id", nullptr},
                                  {"operand", nullptr},
                                  {"encode", f.encode != nullptr},
                                  {"importance", f.importance},
                                  {"importance_required", f.importance_required},
                                  {"vectorized", f.vectorized}};
  if (f.gguf_id) entry["gguf_id"] = *f.gguf_id;
  if (!f.operand.empty()) entry["operand"] = f.operand;
  return entry;
}

void print_json() {
  auto list = nlohmann::ordered_json::array();
  for (const format_entry& f : catalog()) list.push_back(json_of(f));
  std::cout << list.dump(2) << '\n';
}

// The relative RMS error of 2^16 numbers from a normal distribution, always the same ones. NaN if there is no encoder.
double normal_error(const format_entry& f) {
  if (f.encode == nullptr) return std::numeric_limits<double>::quiet_NaN();
  std::mt19937 random(1);
  const auto uniform = [&] { return (static_cast<double>(random()) + 0.5) / 4294967296.0; };
  std::vector<float> x(std::size_t{1} << 16), y(x.size());
  for (float& v : x)
    v = static_cast<float>(std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform()));
  const std::vector<float> equal(f.importance_required ? x.size() : 0, 1.0f);
  std::vector<std::byte> blocks(f.bytes_for(x.size()));
  static_cast<void>(f.encode(x, blocks.data(), {.importance = equal}));
  static_cast<void>(f.decode(blocks.data(), y));
  return measure(x, y).relative_rmse();
}

void print_one_json(const format_entry& f, const block_layout& layout) {
  nlohmann::ordered_json entry = json_of(f);
  entry["formula"] = layout.formula;
  entry["values"] = layout.values;
  if (f.encode != nullptr) entry["normal_relative_rmse"] = normal_error(f);
  for (const block_field& field : layout.fields)
    entry["fields"].push_back(
        {{"name", field.name}, {"offset", field.offset}, {"bytes", field.bytes}, {"count", field.count}});
  for (const block_bit& b : layout.bits) {
    nlohmann::ordered_json bit = {{"name", b.name}, {"index", b.index}, {"place", b.place}, {"weights", b.weights}};
    if (!b.others.empty()) bit["others"] = b.others;
    entry["bits"].push_back(std::move(bit));
  }
  std::cout << entry.dump() << '\n';
}

void print_one(const format_entry& f, const block_layout& layout) {
  std::cout << f.name << ": " << f.block_size << (f.block_size == 1 ? " weight in " : " weights in ") << f.block_bytes
            << " bytes, " << number_text(f.bits_per_weight(), 4) << " bits per weight";
  if (f.gguf_id) std::cout << "; GGUF type " << *f.gguf_id;
  std::cout << "\n\n"
            << layout.formula << '\n'
            << layout.values << "\n\n"
            << diagram_text(layout, f.block_size) << '\n';
  if (!f.operand.empty()) std::cout << "dot products with " << f.operand << '\n';
  if (f.encode != nullptr)
    std::cout << "relative RMS error of normal numbers: " << significant_text(100 * normal_error(f)) << " %\n";
}

void one_format(const formats_options& o) {
  const format_entry* const f = find_format(o.name);
  if (f == nullptr) throw failure(unknown_format(o.name));
  const block_layout layout = layout_of(f->name);
  if (!o.svg.empty()) {
    output file(o.svg);
    const std::string text = diagram_svg(f->name, layout, f->block_size);
    static_cast<void>(file(text.data(), text.size()));  // commit says if it went wrong
    file.commit();
  }
  if (o.json)
    print_one_json(*f, layout);
  else if (o.svg.empty())
    print_one(*f, layout);
}

void print_table() {
  table t(
      {"format", ">GGUF id", ">block", ">bytes", ">bits/weight", "activations", "encode", "importance", "vectorized"});
  for (const format_entry& f : catalog())
    t.row({std::string(f.name), f.gguf_id ? std::to_string(*f.gguf_id) : "-", std::to_string(f.block_size),
           std::to_string(f.block_bytes), number_text(f.bits_per_weight(), 4),
           f.operand.empty() ? "-" : std::string(f.operand), f.encode != nullptr ? "reference" : "decode only",
           f.importance_required ? "required"
           : f.importance        ? "yes"
                                 : "-",
           std::string(f.vectorized)});
  std::cout << t;
}

}  // namespace

int formats(const formats_options& o) {
  if (o.name.empty() && !o.svg.empty()) throw failure("--svg is for one format: blocq formats NAME --svg FILE");
  if (!o.name.empty())
    one_format(o);
  else
    o.json ? print_json() : print_table();
  return exit_done;
}
