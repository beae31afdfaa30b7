#include "architecture_map.hpp"

#include "command.hpp"
#include "files.hpp"
#include "terminal.hpp"

#include <blocq/safetensors/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace {

using nlohmann::json;
using numbers = std::map<std::string, std::uint32_t>;

// Takes `pattern`, in which {word} stands for a number, apart as `name`.
bool match(std::string_view pattern, std::string_view name, numbers& found) {
  while (!pattern.empty()) {
    const std::size_t open = pattern.find('{');
    const std::string_view text = pattern.substr(0, open);
    if (!name.starts_with(text)) return false;
    name.remove_prefix(text.size());
    if (open == pattern.npos) return name.empty();
    const std::size_t close = pattern.find('}', open);
    std::uint32_t n = 0;
    const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), n);
    const auto digits = static_cast<std::size_t>(end - name.data());
    if (problem != std::errc() || (digits > 1 && name[0] == '0')) return false;
    found[std::string(pattern.substr(open + 1, close - open - 1))] = n;
    name.remove_prefix(digits);
    pattern.remove_prefix(close + 1);
  }
  return name.empty();
}

// The words in braces; nothing if braces do not match.
std::optional<std::vector<std::string>> placeholders(std::string_view pattern) {
  std::vector<std::string> words;
  for (std::size_t at = 0; (at = pattern.find_first_of("{}", at)) != pattern.npos; ++at) {
    const std::size_t close = pattern.find_first_of("{}", at + 1);
    if (pattern[at] == '}' || close == pattern.npos || pattern[close] == '{' || close == at + 1) return {};
    words.emplace_back(pattern.substr(at + 1, close - at - 1));
    at = close;
  }
  return words;
}

std::string filled(std::string_view pattern, const numbers& n) {
  std::string out;
  for (std::size_t open; (open = pattern.find('{')) != pattern.npos;) {
    const std::size_t close = pattern.find('}', open);
    out += std::string(pattern.substr(0, open)) +
           std::to_string(n.at(std::string(pattern.substr(open + 1, close - open - 1))));
    pattern.remove_prefix(close + 1);
  }
  return out += pattern;
}

constexpr std::pair<const char*, row_share> shares[] = {{"all", row_share::all},
                                                        {"even", row_share::even},
                                                        {"odd", row_share::odd},
                                                        {"first half", row_share::first_half},
                                                        {"second half", row_share::second_half}};

}  // namespace

mapped_architecture::mapped_architecture(const json& config, const std::string& map) : file_(map) {
  const auto text = [&](const json& object, const char* key) {
    return object.is_object() && object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "";
  };
  if (config.is_object() && config.contains("vocab_size") && config["vocab_size"].is_number_unsigned())
    vocabulary_ = config["vocab_size"].get<std::size_t>();
  std::string published;
  if (config.is_object() && config.contains("architectures") && config["architectures"].is_array() &&
      !config["architectures"].empty() && config["architectures"][0].is_string())
    published = config["architectures"][0].get<std::string>();
  if (map.empty()) {
    name_ = text(config, "model_type");
    if (name_.empty()) name_ = published.empty() ? "unknown" : published;
    notes_.push_back((published.empty() ? "config.json names no architecture"
                                        : "the architecture '" + printable(published, 64) + "' is not known") +
                     ": names are kept, and of its settings only general.architecture is written, as '" +
                     printable(name_, 64) + "'; llama.cpp asks for more, which --arch-map FILE gives");
    return;
  }
  const auto file = open_input(map);
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (const auto checked = blocq::safetensors::json::parse(bytes); !checked)
    throw failure(printable(map) + ": " + checked.message());
  const json root = json::parse(bytes);
  if (!root.is_object()) throw failure(printable(map) + ": it is not an object");
  for (const auto& [key, value] : root.items())
    if (key != "architecture" && key != "tensors" && key != "metadata") refuse(key, "it is not known");
  name_ = text(root, "architecture");
  if (name_.empty()) refuse("architecture", "it is no name");
  for (const char* key : {"tensors", "metadata"})
    if (root.contains(key) && !root[key].is_object()) refuse(key, "it is not an object");
  const json tensors = root.value("tensors", json::object()), metadata = root.value("metadata", json::object());
  for (const auto& [pattern, value] : tensors.items()) read_rule(config, pattern, value);
  for (const auto& [key, value] : metadata.items()) {
    setting s{key, "", value};
    if (value.is_object()) {
      if (value.size() != 1) refuse(key, "an object has one type and its value");
      s.type = value.begin().key();
      s.value = value.begin().value();
      if (s.type != "u32" && s.type != "i32" && s.type != "f32" && s.type != "bool" && s.type != "string")
        refuse(key, "types are u32, i32, f32, bool and string");
    }
    s.value = from_config(config, key, s.value);
    const json& v = s.value;
    if (s.type.empty())
      s.type = v.is_number_unsigned()  ? "u32"
               : v.is_number_integer() ? "i32"
               : v.is_number()         ? "f32"
               : v.is_boolean()        ? "bool"
               : v.is_string()         ? "string"
                                       : "";
    const bool fits = s.type == "u32"      ? v.is_number_unsigned() && v <= 0xffffffffu
                      : s.type == "i32"    ? v.is_number_integer() && v >= -0x7fffffff - 1 && v <= 0x7fffffff
                      : s.type == "f32"    ? v.is_number() && std::isfinite(v.get<float>())
                      : s.type == "bool"   ? v.is_boolean()
                      : s.type == "string" ? v.is_string()
                                           : false;
    if (!fits) refuse(key, "its value is " + (s.type.empty() ? "no number, text or truth" : "no " + s.type));
    settings_.push_back(std::move(s));
  }
  notes_.push_back("names and settings are those of " + printable(map) + "; nothing checks that they are all of them");
}

void mapped_architecture::refuse(const std::string& entry, const std::string& what) const {
  throw failure(printable(file_) + ": '" + printable(entry, 128) + "': " + what);
}

// "$key" and "$key.key" are what config.json has there.
json mapped_architecture::from_config(const json& config, const std::string& entry, const json& value) const {
  if (!value.is_string() || !value.get_ref<const std::string&>().starts_with('$')) return value;
  json found = config;
  const std::string path = value.get<std::string>().substr(1);
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t dot = std::min(path.find('.', at), path.size());
    found = found.is_object() ? found.value(path.substr(at, dot - at), json()) : json();
    at = dot + 1;
  }
  if (found.is_null()) refuse(entry, "config.json has no '" + printable(path, 128) + "'");
  return found;
}

gguf_place mapped_architecture::read_place(const json& config, const std::string& pattern, const json& value) const {
  if (value.is_string()) return {value.get<std::string>()};
  if (!value.is_object()) refuse(pattern, "a place is a name, an object, a list of them, or null");
  gguf_place place;
  for (const auto& [key, v] : value.items()) {
    if (key == "name" && v.is_string()) {
      place.name = v.get<std::string>();
    } else if (key == "heads") {
      const json heads = from_config(config, pattern, v);
      if (!heads.is_number_unsigned() || heads == 0u || heads > 65536u)
        refuse(pattern, "'heads' are no number of them");
      place.heads = heads.get<std::size_t>();
    } else if (key == "rows") {
      const auto* const share =
          std::find_if(std::begin(shares), std::end(shares), [&wanted = v](auto& s) { return wanted == s.first; });
      if (share == std::end(shares)) refuse(pattern, "'rows' are all, even, odd, first half or second half");
      place.rows = share->second;
    } else if (key == "transposed" && v.is_boolean()) {
      place.transposed = v.get<bool>();
    } else {
      refuse(pattern, "'" + printable(key, 64) + "' is not known, or its value is not");
    }
  }
  if (place.name.empty()) refuse(pattern, "it has no 'name'");
  if (place.heads != 0 && place.rows != row_share::all) refuse(pattern, "'heads' and 'rows' exclude each other");
  return place;
}

void mapped_architecture::read_rule(const json& config, const std::string& pattern, const json& value) {
  rule r{pattern, {}};
  if (value.is_array())
    for (const json& one : value) r.places.push_back(read_place(config, pattern, one));
  else if (!value.is_null())
    r.places.push_back(read_place(config, pattern, value));
  const auto words = placeholders(pattern);
  if (!words) refuse(pattern, "its braces do not match");
  for (const gguf_place& place : r.places) {
    const auto used = placeholders(place.name);
    if (!used) refuse(pattern, "the braces of '" + printable(place.name, 128) + "' do not match");
    const auto in = [](const std::string& word, const std::vector<std::string>& all) {
      return std::find(all.begin(), all.end(), word) != all.end();
    };
    for (const std::string& word : *used)
      if (!in(word, *words)) refuse(pattern, "it has no {" + printable(word, 64) + "}");
    for (const std::string& word : *words) {
      if (in(word, *used)) continue;
      if (!r.stacked_by.empty() && r.stacked_by != word)
        refuse(pattern, "only one of its numbers can be that of a matrix in a stack");
      r.stacked_by = word;
    }
  }
  rules_.push_back(std::move(r));
}

std::vector<gguf_place> mapped_architecture::places_of(std::string_view tensor) const {
  for (const rule& r : rules_) {
    numbers n;
    if (!match(r.pattern, tensor, n)) continue;
    std::vector<gguf_place> places = r.places;
    for (gguf_place& place : places) {
      place.name = filled(place.name, n);
      if (!r.stacked_by.empty()) place.matrix = n.at(r.stacked_by);
    }
    return places;
  }
  return {{std::string(tensor)}};
}

void mapped_architecture::add_metadata(blocq::gguf::writer& out) const {
  out.add("general.architecture", std::string_view(name_));
  for (const setting& s : settings_) {
    if (s.type == "u32") out.add(s.key, s.value.get<std::uint32_t>());
    if (s.type == "i32") out.add(s.key, s.value.get<std::int32_t>());
    if (s.type == "f32") out.add(s.key, s.value.get<float>());
    if (s.type == "bool") out.add(s.key, s.value.get<bool>());
    if (s.type == "string") out.add(s.key, std::string_view(s.value.get_ref<const std::string&>()));
  }
}
