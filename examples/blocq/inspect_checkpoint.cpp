// blocq inspect, of a published checkpoint: its weights, and the layout of each.
#include "checkpoint.hpp"
#include "command.hpp"
#include "terminal.hpp"

#include <iostream>
#include <map>

namespace {

using blocq::checkpoint::weight;

struct totals {
  std::size_t weights = 0;
  std::uint64_t elements = 0, bytes = 0;
  void add(const weight& w) {
    ++weights;
    elements += w.stack * w.rows * w.columns;
    bytes += bytes_of(w);
  }
  double bits_per_weight() const {
    return elements == 0 ? 0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(elements);
  }
};

void print_json(const checkpoint_files& c, const blocq::checkpoint::weights& weights) {
  nlohmann::ordered_json out;
  for (const auto& file : c.files()) out["files"].push_back(file.string());
  out["bytes"] = c.bytes();
  out["metadata"] = nlohmann::ordered_json::array();
  for (const auto& shard : c.tensors().shards())
    for (const auto& [key, text] : shard.metadata()) out["metadata"].push_back({{"key", key}, {"value", text}});
  out["weights"] = nlohmann::ordered_json::array();
  totals all;
  for (const weight& w : weights.list()) {
    all.add(w);
    nlohmann::ordered_json entry = {{"name", w.name}, {"layout", w.is_plain() ? layout_text(w) : name_of(w.kind)}};
    if (w.is_plain())
      entry["shape"] = std::vector<std::uint64_t>(w.codes->shape.rbegin(), w.codes->shape.rend());
    else
      entry["shape"] = w.stack == 1 ? std::vector{w.columns, w.rows} : std::vector{w.columns, w.rows, w.stack};
    if (!w.is_plain()) entry["description"] = layout_text(w);
    entry["bytes"] = bytes_of(w);
    out["weights"].push_back(std::move(entry));
  }
  for (const auto* t : weights.left_out()) out["left_out"].push_back(t->name);
  out["total"] = {{"weights", all.weights},
                  {"elements", all.elements},
                  {"bytes", all.bytes},
                  {"bits_per_weight", all.bits_per_weight()}};
  std::cout << out.dump(2, ' ', true, nlohmann::json::error_handler_t::replace) << '\n';
}

void print_text(const checkpoint_files& c, const blocq::checkpoint::weights& weights, bool full) {
  for (const auto& file : c.files()) std::cout << printable(file.string()) << '\n';
  std::cout << "safetensors, " << bytes_text(c.bytes()) << "\n\n";

  table metadata({"metadata", "value"});
  for (const auto& shard : c.tensors().shards())
    for (const auto& [key, text] : shard.metadata())
      metadata.row({printable(key), printable(text, full ? text.size() : 80)});
  if (!metadata.empty()) std::cout << metadata << '\n';

  table list({"weight", "layout", ">shape", ">bytes"});
  totals all;
  std::map<std::string, totals> by_layout;
  for (const weight& w : weights.list()) {
    all.add(w);
    by_layout[w.is_plain() ? layout_text(w) : name_of(w.kind)].add(w);
    list.row({printable(w.name), layout_text(w), shape_text(w), count_text(bytes_of(w))});
  }
  if (!list.empty()) std::cout << list << '\n';
  if (!weights.left_out().empty())
    std::cout << weights.left_out().size() << " scales of activations or caches are no part of a weight\n\n";

  table sums({"layout", ">weights", ">elements", ">bytes", ">bits/weight"});
  const auto row = [&](const std::string& name, const totals& t) {
    sums.row({name, std::to_string(t.weights), count_text(t.elements), count_text(t.bytes),
              number_text(t.bits_per_weight(), 4)});
  };
  for (const auto& [name, t] : by_layout) row(name, t);
  if (by_layout.size() != 1) row("all", all);
  std::cout << sums;
}

}  // namespace

int inspect_checkpoint(const inspect_options& o) {
  const checkpoint_files c(o.file);
  const auto& weights = c.weights();
  if (!weights) throw failure(printable(o.file) + ": " + weights.message());
  o.json ? print_json(c, *weights) : print_text(c, *weights, o.full);
  return exit_done;
}
