// blocq formats: what the library knows, as a table or as JSON.
#include "catalog.hpp"
#include "command.hpp"
#include "terminal.hpp"

#include <nlohmann/json.hpp>

#include <iostream>

namespace {

void print_json() {
  auto list = nlohmann::ordered_json::array();
  for (const format_entry& f : catalog()) {
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
    list.push_back(std::move(entry));
  }
  std::cout << list.dump(2) << '\n';
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
  o.json ? print_json() : print_table();
  return exit_done;
}
