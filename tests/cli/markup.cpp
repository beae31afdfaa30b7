#include "markup.hpp"

#include <algorithm>
#include <cstdlib>
#include <regex>
#include <vector>

std::string malformed(const std::string& text) {
  static const std::regex tag(R"(<(/?)([A-Za-z][\w:.-]*)((\s+[\w:.-]+="[^"<]*")*)\s*(/?)>)");
  std::vector<std::string> open;
  for (std::size_t at = 0; at < text.size();) {
    const auto excerpt = [&] { return "at byte " + std::to_string(at) + ": " + text.substr(at, 60); };
    if (text[at] == '&') {
      const std::size_t end = text.find(';', at);
      const std::string entity = end == text.npos ? "" : text.substr(at, end - at + 1);
      if (entity != "&amp;" && entity != "&lt;" && entity != "&gt;" && entity != "&quot;" && !entity.starts_with("&#"))
        return "an unknown entity " + excerpt();
    }
    if (text[at] != '<') {
      ++at;
      continue;
    }
    if (text.compare(at, 2, "<!") == 0) {
      const std::string close = text.compare(at, 9, "<![CDATA[") == 0 ? "]]>"
                                : text.compare(at, 4, "<!--") == 0    ? "-->"
                                                                      : ">";
      const std::size_t end = text.find(close, at);
      if (end == text.npos) return "no end " + excerpt();
      at = end + close.size();
      continue;
    }
    const std::size_t end = text.find('>', at);
    const std::string element = end == text.npos ? "" : text.substr(at, end - at + 1);
    std::smatch match;
    if (!std::regex_match(element, match, tag)) return "no tag " + excerpt();
    if (match[1].length() != 0) {
      if (open.empty() || open.back() != match[2]) return "an element is closed that is not open " + excerpt();
      open.pop_back();
    } else if (match[5].length() == 0) {
      open.push_back(match[2]);
    }
    at = end + 1;
  }
  return open.empty() ? "" : "not closed: " + open.back();
}

namespace {
struct box {
  double x0, y0, x1, y1;
  std::string name;
};
bool overlap(const box& a, const box& b) { return a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1; }
}  // namespace

std::string labels_overlap(const std::string& svg) {
  std::vector<box> labels, front;
  static const std::regex label(R"re(<text x="([\d.]+)" y="([\d.]+)" class="label"( text-anchor="end")?>([^<]*)<)re");
  for (std::sregex_iterator m(svg.begin(), svg.end(), label), end; m != end; ++m) {
    const double x = std::atof((*m)[1].str().c_str()), y = std::atof((*m)[2].str().c_str());
    const double width = 6.5 * static_cast<double>((*m)[4].length());  // of letters that are mostly narrow capitals
    const double left = (*m)[3].matched ? x - width : x;
    labels.push_back({left, y - 8, left + width, y, (*m)[4]});
  }
  static const std::regex path(R"re(<path class="front" d="M([\d.]+) ([\d.]+)((H[\d.]+V[\d.]+)+)")re");
  static const std::regex step(R"(H([\d.]+)V([\d.]+))");
  std::smatch found;
  if (labels.empty() || !std::regex_search(svg, found, path)) return "no labels, or no front";
  double x = std::atof(found[1].str().c_str()), y = std::atof(found[2].str().c_str());
  const std::string steps = found[3];
  for (std::sregex_iterator m(steps.begin(), steps.end(), step), end; m != end; ++m) {
    const double to_x = std::atof((*m)[1].str().c_str()), to_y = std::atof((*m)[2].str().c_str());
    front.push_back({std::min(x, to_x), y, std::max(x, to_x), y + 0.1, "front"});
    front.push_back({to_x, std::min(y, to_y), to_x + 0.1, std::max(y, to_y), "front"});
    x = to_x, y = to_y;
  }
  for (std::size_t i = 0; i < labels.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j)
      if (overlap(labels[i], labels[j])) return labels[i].name + " lies on " + labels[j].name;
    for (const box& piece : front)
      if (overlap(labels[i], piece)) return labels[i].name + " lies on the front";
  }
  return "";
}
