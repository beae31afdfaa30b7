// Text of SVG files: what the plots and the bit diagrams are written with.
#ifndef BLOCQ_EXAMPLES_SVG_HPP
#define BLOCQ_EXAMPLES_SVG_HPP

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

// Plain text for the inside of an element or an attribute of XML and HTML.
inline std::string escape_xml(std::string_view text) {
  std::string out;
  for (const char c : text)
    out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : std::string(1, c);
  return out;
}

class svg {
 public:
  void add(std::string_view text) { text_ += text; }
  // As printf; for numbers and short words.
  template <class... Args>
  requires(sizeof...(Args) > 0) void add(const char* pattern, Args... args) {
    char line[512];
    std::snprintf(line, sizeof line, pattern, args...);
    text_ += line;
  }
  // `attributes` as they are, `words` as plain text.
  void words(double x, double y, std::string_view attributes, std::string_view words) {
    add("<text x=\"%.1f\" y=\"%.1f\" ", x, y);
    text_ += std::string(attributes) + ">" + escape_xml(words) + "</text>\n";
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

#endif
