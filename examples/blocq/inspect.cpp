// blocq inspect: metadata and tensors of a GGUF file.
#include "checkpoint.hpp"
#include "command.hpp"
#include "model.hpp"
#include "terminal.hpp"

#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

namespace {

using blocq::gguf::tensor_info;
using blocq::gguf::value;
using blocq::gguf::value_type;

constexpr std::size_t shown_elements = 6, shown_bytes = 80;

// Calls f with what a scalar value holds: bool, std::int64_t, std::uint64_t, double or std::string_view.
template <class F>
auto with_scalar(const value& v, F&& f) {
  if (v.type() == value_type::boolean) return f(*v.get<bool>());
  if (v.type() == value_type::string) return f(*v.get<std::string_view>());
  if (blocq::gguf::is_float(v.type())) return f(*v.get<double>());
  return blocq::gguf::is_signed(v.type()) ? f(*v.get<std::int64_t>()) : f(*v.get<std::uint64_t>());
}

std::string kind_text(const value& v) {
  return v.is_array() ? std::string(name_of(v.element_type())) + "[" + std::to_string(v.size()) + "]"
                      : name_of(v.type());
}

std::string value_text(const value& v, bool full) {
  if (!v.is_array())
    return with_scalar(v, [&](auto x) -> std::string {
      using T = decltype(x);
      if constexpr (std::is_same_v<T, bool>) return x ? "true" : "false";
      if constexpr (std::is_same_v<T, std::string_view>) return printable(x, full ? x.size() : shown_bytes);
      if constexpr (std::is_same_v<T, double>) return significant_text(x, v.type() == value_type::float32 ? 7 : 16);
      if constexpr (std::is_integral_v<T>) return std::to_string(x);
    });
  std::string text = "[";
  std::size_t shown = 0;
  for (const value& element : v) {
    if (shown == shown_elements && !full) return text + ", ...]";
    text += (shown++ == 0 ? "" : ", ") + value_text(element, full);
  }
  return text + "]";
}

nlohmann::ordered_json value_json(const value& v, bool full) {
  if (!v.is_array()) return with_scalar(v, [](auto x) { return nlohmann::ordered_json(x); });
  auto elements = nlohmann::ordered_json::array();
  for (const value& element : v) {
    if (elements.size() == shown_elements && !full) break;
    elements.push_back(value_json(element, full));
  }
  return elements;
}

struct totals {
  std::size_t tensors = 0;
  std::uint64_t elements = 0, bytes = 0;
  void add(const model::tensor& t) {
    ++tensors;
    elements += t.elements();
    bytes += t.stored_bytes();
  }
  double bits_per_weight() const {
    return elements == 0 ? 0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(elements);
  }
};

void print_json(const model& m, bool full) {
  nlohmann::ordered_json out;
  for (const auto& file : m.files()) out["files"].push_back(file.string());
  out["bytes"] = m.file_bytes();
  out["version"] = m.reader().version();
  out["big_endian"] = m.reader().big_endian();
  out["alignment"] = m.reader().alignment();
  out["metadata"] = nlohmann::ordered_json::array();
  for (const auto& [key, v] : m.metadata()) {
    nlohmann::ordered_json entry = {{"key", key}, {"type", name_of(v.type())}};
    if (v.is_array()) entry["element_type"] = name_of(v.element_type()), entry["size"] = v.size();
    entry["value"] = value_json(v, full);
    out["metadata"].push_back(std::move(entry));
  }
  out["tensors"] = nlohmann::ordered_json::array();
  totals all;
  for (const model::tensor& t : m.tensors()) {
    all.add(t);
    nlohmann::ordered_json entry = {{"name", t.name},
                                    {"type", type_text(t)},
                                    {"shape", std::vector<std::uint64_t>(t.dims, t.dims + t.n_dims)},
                                    {"offset", t.offset},
                                    {"bytes", t.stored_bytes()}};
    if (t.packed != nullptr) {
      entry.erase("offset");
      const blocq::packed::part_set set = t.packed->parts();
      for (const auto& p : set.parameters()) entry["parameters"][std::string(p.name)] = p.value;
      for (const auto& p : set.parts()) entry["parts"].push_back(std::string(t.name) + '.' + std::string(p.name));
    }
    out["tensors"].push_back(std::move(entry));
  }
  out["total"] = {{"tensors", all.tensors},
                  {"elements", all.elements},
                  {"bytes", all.bytes},
                  {"bits_per_weight", all.bits_per_weight()}};
  std::cout << out.dump(2, ' ', true, nlohmann::json::error_handler_t::replace) << '\n';
}

void print_text(const model& m, bool full) {
  for (const auto& file : m.files()) std::cout << printable(file.string()) << '\n';
  std::cout << "GGUF version " << m.reader().version() << (m.reader().big_endian() ? ", big-endian" : "") << ", "
            << bytes_text(m.file_bytes()) << ", alignment " << m.reader().alignment() << "\n\n";

  table metadata({"metadata", "type", "value"});
  for (const auto& [key, v] : m.metadata()) metadata.row({printable(key), kind_text(v), value_text(v, full)});
  if (!metadata.empty()) std::cout << metadata << '\n';

  table tensors({"tensor", "type", ">shape", ">bytes", ">offset"});
  totals all;
  std::map<std::string, totals> by_type;
  for (const model::tensor& t : m.tensors()) {
    all.add(t);
    by_type[type_text(t)].add(t);
    tensors.row({printable(t.name), type_text(t), shape_text(t), count_text(t.stored_bytes()),
                 t.packed != nullptr ? "" : count_text(t.offset)});
  }
  if (!tensors.empty()) std::cout << tensors << '\n';

  table sums({"type", ">tensors", ">elements", ">bytes", ">bits/weight"});
  const auto row = [&](const std::string& name, const totals& t) {
    sums.row({name, std::to_string(t.tensors), count_text(t.elements), count_text(t.bytes),
              number_text(t.bits_per_weight(), 4)});
  };
  for (const auto& [name, t] : by_type) row(name, t);
  if (by_type.size() != 1) row("all", all);
  std::cout << sums;
}

}  // namespace

int inspect(const inspect_options& o) {
  if (is_checkpoint(o.file)) return inspect_checkpoint(o);
  const model m(o.file, {.any_byte_order = true});
  o.json ? print_json(m, o.full) : print_text(m, o.full);
  return exit_done;
}
