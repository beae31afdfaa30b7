#include "suggest.hpp"

#include "catalog.hpp"
#include "terminal.hpp"

#include <blocq/calib/mix.hpp>

#include <algorithm>

namespace {

std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c != '-' && c != '_' && c != ' ') out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

// Damerau and Levenshtein's, of neighbours that are swapped once.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i)
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1] ? 1u : 0u)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

}  // namespace

std::string suggestion(std::string_view word, const std::vector<std::string_view>& names) {
  const std::string wanted = plain(word.substr(0, 64));
  std::size_t least = wanted.size() / 3 + 1;
  std::string_view best;
  for (const std::string_view name : names)
    if (const std::size_t d = distance(wanted, plain(name)); d < least) best = name, least = d;
  return best.empty() ? "" : "; did you mean '" + std::string(best) + "'?";
}

std::string unknown_format(std::string_view name) {
  if (const auto* const mix = blocq::calib::find_mix(name); mix != nullptr)
    return "'" + printable(name) + "' is a mix of formats: --mix " + mix->name;
  return "there is no format '" + printable(name) + "'" + suggestion(name, format_names()) +
         "; 'blocq formats' lists them";
}

std::vector<std::string_view> format_names() {
  std::vector<std::string_view> names;
  for (const format_entry& f : catalog()) names.push_back(f.name);
  return names;
}

std::vector<std::string_view> mix_names() {
  std::vector<std::string_view> names;
  for (const blocq::calib::mix_info& m : blocq::calib::all_mixes()) names.push_back(m.name);
  return names;
}
