#include "layout.hpp"
#include "svg.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace {

// Bits of the widest number of each name, so that a whole number need not say which bits it has.
using widths = std::map<std::string_view, int>;
widths widths_of(const block_layout& layout) {
  widths w;
  for (const block_bit& b : layout.bits) w[b.name] = std::max(w[b.name], b.place + 1);
  return w;
}

// "8j + 7"
std::string affine(int step, int start) {
  if (step == 0) return std::to_string(start);
  const std::string times = (step == 1 ? "" : step == -1 ? "-" : std::to_string(step)) + "j";
  return start == 0 ? times : times + (start > 0 ? " + " : " - ") + std::to_string(std::abs(start));
}

std::string places_text(const byte_cell& c, const widths& w) {
  const int high = c.top->place, low = c.low_place();
  if (high < 0 || (low == 0 && high + 1 == w.at(c.top->name))) return "";
  return high == low ? " bit " + std::to_string(high) : " bits " + std::to_string(high) + "-" + std::to_string(low);
}

// A cell, or what cells have in common whose indices grow by `step` from byte to byte.
std::string cell_text(const byte_cell& c, const widths& w, int step) {
  std::string text(c.top->name);
  if (c.top->index >= 0) text += "[" + affine(step, c.top->index) + "]";
  for (const int other : c.top->others) text += " " + std::string(c.top->name) + "[" + affine(step, other) + "]";
  return text + places_text(c, w);
}

using cells = std::vector<byte_cell>;

bool alike(const cells& a, const cells& b, std::vector<int>* steps) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const block_bit &x = *a[i].top, &y = *b[i].top;
    if (a[i].high != b[i].high || a[i].low != b[i].low || x.name != y.name || x.place != y.place ||
        x.others.size() != y.others.size() || (x.index < 0) != (y.index < 0))
      return false;
    const int step = y.index - x.index;
    for (std::size_t k = 0; k < x.others.size(); ++k)
      if (y.others[k] - x.others[k] != step) return false;
    steps->push_back(step);
  }
  return true;
}

// How often `period` bytes from `first` on come again, with the same steps of their indices each time.
std::size_t repeats(const std::vector<cells>& bytes, std::size_t first, std::size_t period) {
  std::vector<int> steps;
  std::size_t count = 1;
  for (; first + (count + 1) * period <= bytes.size(); ++count) {
    std::vector<int> next;
    for (std::size_t k = 0; k < period; ++k)
      if (!alike(bytes[first + (count - 1) * period + k], bytes[first + count * period + k], &next)) return count;
    if (count > 1 && next != steps) return count;
    steps = next;
  }
  return count;
}

// The bytes of a block in runs: `count` times `period` bytes that differ in nothing but indices.
struct run {
  std::size_t first, period, count;
};
std::vector<run> runs_of(const std::vector<cells>& bytes) {
  std::vector<run> runs;
  for (std::size_t first = 0; first < bytes.size();) {
    run best{first, 1, 1};
    for (std::size_t period = 1; period <= 8; ++period)
      if (const std::size_t count = repeats(bytes, first, period);
          count > 1 && count * period > best.count * best.period)
        best = {first, period, count};
    runs.push_back(best);
    first += best.period * best.count;
  }
  return runs;
}

// "16j .. 16j + 15", with all that n numbers of a name depend on; empty if that is not so simple.
std::string weights_text(const block_layout& layout, std::string_view name, std::size_t block_size) {
  std::map<int, std::pair<int, int>> ranges;  // by index
  bool whole = true, any = false;
  for (const block_bit& b : layout.bits) {
    if (b.name != name) continue;
    if (b.weights.empty()) continue;
    any = true;
    whole &= b.weights.back() - b.weights.front() + 1 == static_cast<int>(b.weights.size());
    auto [at, added] = ranges.try_emplace(b.index, b.weights.front(), b.weights.back());
    at->second.first = std::min(at->second.first, b.weights.front());
    at->second.second = std::max(at->second.second, b.weights.back());
  }
  if (!any) return "no weight depends on it";
  if (std::ranges::any_of(layout.bits, [&](const block_bit& b) { return b.name == name && b.place < 0; }))
    return "weight j, a digit in base 3";
  if (ranges.size() == 1 && ranges.begin()->second == std::pair(0, static_cast<int>(block_size) - 1))
    return block_size == 1 ? "the number" : "all weights";
  if (whole && ranges.size() > 1) {
    const int length = ranges.begin()->second.second - ranges.begin()->second.first + 1;
    const bool even = std::ranges::all_of(ranges, [&](const auto& r) {
      return r.second.first == r.first * length && r.second.second == r.first * length + length - 1;
    });
    if (even && length == 1) return "weight j";
    if (even) return "weights " + affine(length, 0) + " to " + affine(length, length - 1);
  }
  if (name == "sign") return "weight j; the last of each eight follows from the seven before it: their number is even";
  return "see the bytes";
}

// A line for each name: which weights it is part of.
std::vector<std::string> meanings(const block_layout& layout, std::size_t block_size) {
  std::vector<std::string> lines;
  std::set<std::string_view> seen;
  std::size_t width = 0;
  for (const block_bit& b : layout.bits) width = std::max(width, b.name.size() + (b.index < 0 ? 0u : 3u));
  for (const block_bit& b : layout.bits) {
    if (!seen.insert(b.name).second) continue;
    const std::string name = std::string(b.name) + (b.index < 0 ? "" : "[j]");
    lines.push_back(name + std::string(width - name.size() + 2, ' ') + weights_text(layout, b.name, block_size));
  }
  return lines;
}

}  // namespace

std::string diagram_text(const block_layout& layout, std::size_t block_size) {
  const widths w = widths_of(layout);
  std::vector<cells> bytes;
  for (std::size_t i = 0; 8 * i < layout.bits.size(); ++i) bytes.push_back(cells_of(layout, i));
  std::vector<std::array<std::string, 3>> lines{{"byte", "bit 7 to bit 0", ""}};
  for (const run& r : runs_of(bytes)) {
    for (std::size_t k = 0; k < r.period; ++k) {
      const cells& first = bytes[r.first + k];
      std::vector<int> steps(first.size());
      if (r.count > 1) {
        steps.clear();
        alike(first, bytes[r.first + r.period + k], &steps);
      }
      std::vector<std::string> texts;
      for (std::size_t i = 0; i < first.size(); ++i) texts.push_back(cell_text(first[i], w, steps[i]));
      // Eight of a kind: the ends say it.
      const bool regular = texts.size() == 8 && [&] {
        for (std::size_t i = 2; i < 8; ++i)
          if (first[i].top->name != first[0].top->name || first[i].top->place != first[0].top->place ||
              first[i].top->index - first[i - 1].top->index != first[1].top->index - first[0].top->index)
            return false;
        return true;
      }();
      std::string line;
      for (std::size_t i = 0; i < texts.size(); ++i) {
        if (regular && i == 2) line += " | ...";
        if (!regular || i < 2 || i == 7) line += (line.empty() ? "" : " | ") + texts[i];
      }
      const int start = static_cast<int>(r.first + k);
      const std::string step = r.count > 1 ? affine(static_cast<int>(r.period), 0) : "";
      lines.push_back({std::to_string(start) + (step.empty() ? "" : " + " + step), line,
                       r.count > 1 && k == 0 ? "j = 0 .. " + std::to_string(r.count - 1) : ""});
    }
  }
  std::size_t left = 0, middle = 0;
  for (const auto& line : lines) {
    left = std::max(left, line[0].size());
    middle = std::max(middle, std::min<std::size_t>(line[1].size(), 64));
  }
  std::string text;
  for (const auto& line : lines) {
    text += line[0] + std::string(left - line[0].size() + 2, ' ') + line[1];
    if (!line[2].empty()) text += std::string(middle > line[1].size() ? middle - line[1].size() + 3 : 3, ' ') + line[2];
    text += '\n';
  }
  text += '\n';
  for (const std::string& line : meanings(layout, block_size)) text += line + '\n';
  return text;
}

namespace {

// One class for what depends on weight 17, on 4, 8, 16 or 32 in a row, on all: what they share with a weight that is
// pointed at decides what lights up. A style sheet can say that, so no script is needed.
struct run_class {
  char letter;
  int length;
};
constexpr run_class run_classes[] = {{'f', 4}, {'e', 8}, {'h', 16}, {'g', 32}};

std::string classes_of(const std::vector<int>& weights, int block_size) {
  const int size = static_cast<int>(weights.size());
  if (size == block_size) return size == 1 ? "w0" : "a";
  if (size > 1 && weights.back() - weights.front() + 1 == size)
    for (const auto& [letter, length] : run_classes)
      if (size == length && weights.front() % length == 0) return letter + std::to_string(weights.front() / length);
  std::string all;
  for (const int w : weights) all += (all.empty() ? "w" : " w") + std::to_string(w);
  return all;
}

constexpr double bit_width = 14, byte_width = 8 * bit_width, byte_gap = 5, row_height = 21, margin = 44;

// The colour of a name: what is a weight's own, what a group shares, what all share.
const char* kind_of(const block_bit& b, int block_size) {
  if (b.name == "sign" || b.name == "shift") return "k1";
  if (b.weights.empty()) return "k5";
  if (static_cast<int>(b.weights.size()) == block_size && block_size > 1) return "k4";
  if (b.name == "s" || b.name == "d") return "k2";
  if (b.name == "min") return "k3";
  return "k0";
}

void style(svg& out, const std::set<std::string>& used, int block_size) {
  out.add(
      "<style>\n"
      ".bits{color:#1b1b1b;--lit:#f59f4c;font:10px 'Liberation Sans',Arial,sans-serif}\n"
      ".bits text{fill:currentColor;text-anchor:middle;pointer-events:none}\n"
      ".bits .n{text-anchor:end;opacity:.7}\n.bits .t{font-size:6.6px}\n.bits .l{text-anchor:start}\n"
      ".bits path{stroke:#fff;stroke-width:1.5}\n"
      ".bits .b{fill:none;stroke:#666;stroke-width:.8;pointer-events:none}\n"
      ".bits .k0{fill:#cfe3f5}.bits .k1{fill:#f5d9c0}.bits .k2{fill:#c9ead9}.bits .k3{fill:#ecd3e4}\n"
      ".bits .k4{fill:#f4ecb0}.bits .k5{fill:#e2e2e2}.bits .w{fill:#eee}\n"
      ".bits .w:focus{outline:none}.bits .w:focus path{stroke:#000;stroke-width:2}\n"
      "@media(prefers-color-scheme:dark){.bits{color:#eee;--lit:#c2590a}.bits path{stroke:#16181b}.bits "
      ".b{stroke:#aaa}\n"
      ".bits .k0{fill:#1f4a70}.bits .k1{fill:#6e4320}.bits .k2{fill:#1c5a42}.bits .k3{fill:#5c2f50}\n"
      ".bits .k4{fill:#5e5510}.bits .k5{fill:#444}.bits .w{fill:#2c2f33}.bits .w:focus path{stroke:#fff}}\n");
  std::string rules;
  const auto rule = [&](const std::string& from, const std::string& to) {
    rules += (rules.empty() ? "" : ",\n") + (".bits:has(" + from + ") " + to);
  };
  for (int w = 0; w < block_size; ++w) {
    std::string sharing;
    const auto share = [&](const std::string& name) {
      if (used.contains(name)) sharing += (sharing.empty() ? "." : ",.") + name;
    };
    share("w" + std::to_string(w));
    for (const auto& [letter, length] : run_classes) share(letter + std::to_string(w / length));
    share("a");
    const std::string weight = ".q" + std::to_string(w);
    rule(weight + ":is(:hover,:focus)", ":is(" + sharing + "," + weight + ")");
  }
  for (const std::string& name : used) {
    if (name[0] == 'w') rule("." + name + ":hover", ":is(." + name + ",.q" + name.substr(1) + ")");
    if (name == "a") rule(".a:hover", ":is(.a,.w)");
    for (const auto& [letter, length] : run_classes)
      if (name[0] == letter) {
        const int first = length * std::stoi(name.substr(1));
        std::string weights;
        for (int w = first; w < first + length; ++w) weights += ",.q" + std::to_string(w);
        rule("." + name + ":hover", ":is(." + name + weights + ")");
      }
  }
  out.add(rules + "{fill:var(--lit)}</style>\n");
}

}  // namespace

std::string diagram_svg(std::string_view format, const block_layout& layout, std::size_t block_size) {
  const int size = static_cast<int>(block_size), bytes = static_cast<int>(layout.bits.size() / 8);
  const int per_row = std::min(bytes, 8), rows = (bytes + per_row - 1) / per_row;
  const double width = margin + 8 * (byte_width + byte_gap) + 4;
  const int weights_per_row = size == 1 ? 1 : 32, weight_rows = (size + weights_per_row - 1) / weights_per_row;
  const double weight_width = (width - margin - 4 - byte_gap) / 32;
  const double weights_top = 34 + rows * row_height + 34, height = weights_top + weight_rows * row_height + 4;

  std::set<std::string> used;
  svg body, outlines;
  body.words(margin, 12, "class=\"l\"", "bytes, bit 7 on the left");
  const widths w = widths_of(layout);
  for (int byte = 0; byte < bytes; ++byte) {
    const double x0 = margin + byte % per_row * (byte_width + byte_gap), y = 22 + byte / per_row * row_height;
    if (byte % per_row == 0) body.words(margin - 8, y + 13, "class=\"n\"", std::to_string(byte));
    for (const byte_cell& c : cells_of(layout, static_cast<std::size_t>(byte))) {
      std::vector<int> weights;  // of any of its bits
      for (int bit = c.low; bit <= c.high; ++bit) {
        const auto& more = layout.bits[static_cast<std::size_t>(8 * byte + bit)].weights;
        std::vector<int> both;
        std::ranges::set_union(weights, more, std::back_inserter(both));
        weights = std::move(both);
      }
      const std::string classes = classes_of(weights, size);
      std::string_view rest = classes;
      while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(' '), rest.size());
        used.emplace(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
      const double x = x0 + (7 - c.high) * bit_width, cell = (c.high - c.low + 1) * bit_width;
      body.add("<g class=\"" + std::string(kind_of(*c.top, size)) + (classes.empty() ? "" : " ") + classes +
               "\"><title>" + std::to_string(byte) + ": " + escape_xml(cell_text(c, w, 0)) + "</title>");
      body.add("<path d=\"M%.0f %.0fh%.0fv18h-%.0fz\"/>", x, y, cell, cell);
      const std::string name = c.top->name == "q" ? "" : std::string(c.top->name);
      const std::string number = c.top->index < 0 ? "" : std::to_string(c.top->index);
      const bool narrow = cell < 4 * bit_width;
      std::string digits = number;
      for (const int other : c.top->others) digits += " " + std::to_string(other);
      const std::string label = narrow && !number.empty() ? number
                                : !c.top->others.empty()  ? digits
                                : narrow                  ? name.substr(0, 1)
                                : name.empty()            ? number
                                                          : name + (number.empty() ? "" : " " + number);
      body.add("<text x=\"%.0f\" y=\"%.0f\"%s>", x + cell / 2, y + 13, cell < 2 * bit_width ? " class=\"t\"" : "");
      body.add(label + "</text></g>\n");
    }
    outlines.add("M%.0f %.0fh%.0fv18h-%.0fz", x0, y, byte_width, byte_width);
  }
  body.add("<path class=\"b\" d=\"" + outlines.take() + "\"/>\n");
  body.words(margin, weights_top - 10, "class=\"l\"", "weights: point at one, or at a bit");
  for (int i = 0; i < size; ++i) {
    const double x = margin + i % weights_per_row * weight_width, y = weights_top + i / weights_per_row * row_height;
    if (i % weights_per_row == 0) body.words(margin - 8, y + 13, "class=\"n\"", std::to_string(i));
    body.add("<g class=\"w q%d\"%s>", i, i == 0 ? " tabindex=\"0\"" : "");  // a script may go on from the first
    body.add("<path d=\"M%.1f %.0fh%.1fv18h-%.1fz\"/><text x=\"%.1f\" y=\"%.0f\">%d</text></g>\n", x, y, weight_width,
             weight_width, x + weight_width / 2, y + 13, i);
  }

  svg out;
  out.add("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"bits\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" ", width,
          height);
  out.add("aria-label=\"The bits of a block of " + std::string(format) + "\">\n");
  style(out, used, size);
  out.add(body.take());
  out.add("</svg>\n");
  return out.take();
}
