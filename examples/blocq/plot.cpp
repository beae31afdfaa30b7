#include "plot.hpp"

#include "svg.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <numeric>
#include <utility>
#include <vector>

namespace {

constexpr double width = 1000, height = 680;
constexpr double left = 84, right = 940, top = 76, bottom = 606;
constexpr double font = 12.5, marker = 4.6;

struct box {
  double x0, y0, x1, y1;
};
double overlap(const box& a, const box& b) {
  const double w = std::min(a.x1, b.x1) - std::max(a.x0, b.x0), h = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  return w > 0 && h > 0 ? w * h : 0;
}

// Half of the digits' and letters' widths in Helvetica are close to 0.55 em; a label is a handful of them.
double text_width(std::string_view s) {
  double em = 0;
  for (const char c : s) em += c == 'm' || c == 'M' ? 0.85 : c == 'i' || c == 'l' || c == '1' || c == 'I' ? 0.45 : 0.62;
  return em * font;
}

struct label {
  double px, py;  // the point
  double w;       // width of the text
  double x, y;    // left end and middle of the text
  box area() const { return {x - 2, y - font * 0.6, x + w + 2, y + font * 0.6}; }
  // Where the leader meets the text.
  double end_x() const { return std::clamp(px, x - 3, x + w + 3); }
  double end_y() const { return std::clamp(py, y - font * 0.45, y + font * 0.45); }
  double distance() const { return std::hypot(end_x() - px, end_y() - py); }
};

// Length of the piece of the leader of `a` that runs through box `b`, by sampling.
double crossing(const label& a, const box& b) {
  int inside = 0;
  for (int i = 1; i <= 16; ++i) {
    const double t = i / 16.0, x = a.px + t * (a.end_x() - a.px), y = a.py + t * (a.end_y() - a.py);
    inside += x > b.x0 && x < b.x1 && y > b.y0 && y < b.y1 ? 1 : 0;
  }
  return inside * a.distance() / 16;
}

double orientation(double ax, double ay, double bx, double by, double cx, double cy) {
  return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
}
bool leaders_cross(const label& a, const label& b) {
  const double ax = a.end_x(), ay = a.end_y(), bx = b.end_x(), by = b.end_y();
  return orientation(a.px, a.py, ax, ay, b.px, b.py) * orientation(a.px, a.py, ax, ay, bx, by) < 0 &&
         orientation(b.px, b.py, bx, by, a.px, a.py) * orientation(b.px, b.py, bx, by, ax, ay) < 0;
}

// How bad the position of labels[i] is. Covering something outweighs any distance.
double cost(const std::vector<label>& labels, std::size_t i, const std::vector<box>& obstacles) {
  const label& a = labels[i];
  const box area = a.area();
  double sum = a.distance() + 0.02 * std::max(0.0, a.py - a.y) + (a.x + a.w < a.px ? 1.5 : 0);
  if (area.x0 < left + 4 || area.x1 > right - 4 || area.y0 < top + 4 || area.y1 > bottom - 4) sum += 1e5;
  for (const box& b : obstacles) sum += 100 * overlap(area, b);
  for (std::size_t j = 0; j < labels.size(); ++j) {
    const label& b = labels[j];
    const box point = {b.px - marker - 1.5, b.py - marker - 1.5, b.px + marker + 1.5, b.py + marker + 1.5};
    sum += 100 * overlap(area, point);
    if (j == i) continue;
    const bool same_place = std::hypot(a.px - b.px, a.py - b.py) < 2 * marker;
    if (!same_place) sum += 20 * crossing(a, point);
    sum += 100 * overlap(area, b.area()) + 30 * crossing(a, b.area()) + 30 * crossing(b, area);
    if (leaders_cross(a, b)) sum += 400;
  }
  return sum;
}

// Every label tries a fan of positions around its point and keeps the cheapest, until nothing moves.
void place(std::vector<label>& labels, const std::vector<box>& obstacles) {
  for (int pass = 0; pass < 30; ++pass) {
    bool moved = false;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      label best = labels[i];
      double least = cost(labels, i, obstacles) - 1e-9;
      const label before = best;
      for (double radius = marker + 4; radius < 150; radius += 6) {
        for (int step = 0; step < 24; ++step) {
          const double angle = step * std::numbers::pi / 12;
          const double x = before.px + radius * std::cos(angle), y = before.py + radius * std::sin(angle);
          labels[i].x = x - before.w * (1 - std::cos(angle)) / 2;
          labels[i].y = y;
          const double c = cost(labels, i, obstacles);
          if (c < least) best = labels[i], least = c;
        }
      }
      labels[i] = best;
      moved |= best.x != before.x || best.y != before.y;
    }
    if (!moved) return;
  }
}

// The sign of family number f: each has a shape of its own, for who cannot tell the colours apart. Corners in units of
// the sign's radius; none for a circle.
void add_sign(svg& out, std::size_t f, double x, double y) {
  using corners = std::vector<std::pair<double, double>>;
  static const corners shapes[] = {{},
                                   {{-.9, -.9}, {.9, -.9}, {.9, .9}, {-.9, .9}},
                                   {{0, -1.2}, {1.1, .8}, {-1.1, .8}},
                                   {{0, -1.3}, {1.3, 0}, {0, 1.3}, {-1.3, 0}},
                                   {{0, 1.2}, {1.1, -.8}, {-1.1, -.8}},
                                   {{-.45, -1.2},
                                    {.45, -1.2},
                                    {.45, -.45},
                                    {1.2, -.45},
                                    {1.2, .45},
                                    {.45, .45},
                                    {.45, 1.2},
                                    {-.45, 1.2},
                                    {-.45, .45},
                                    {-1.2, .45},
                                    {-1.2, -.45},
                                    {-.45, -.45}},
                                   {{-1.3, -.6}, {1.3, -.6}, {1.3, .6}, {-1.3, .6}}};
  const double r = marker;
  out.add("<path class=\"s%zu\" d=\"", f);
  if (shapes[f].empty())
    out.add("M%.1f %.1fa%.1f %.1f 0 1 0 %.1f 0a%.1f %.1f 0 1 0 %.1f 0", x - r, y, r, r, 2 * r, r, r, -2 * r);
  char next = 'M';
  for (const auto& [dx, dy] : shapes[f]) out.add("%c%.1f %.1f", std::exchange(next, 'L'), x + r * dx, y + r * dy);
  out.add("z\"/>\n");
}

}  // namespace

plot_words format_plot_words(std::string title, std::string subtitle) {
  return {std::move(title),
          std::move(subtitle),
          "relative RMS error",
          {"GGUF, one scale", "GGUF K", "GGUF IQ", "GGUF, 1 and 2 bits", "NVFP4", "OCP MX", "bitsandbytes"}};
}

std::size_t family_of(std::string_view name) {
  const auto starts = [&](const char* s) { return name.starts_with(s); };
  if (starts("mx")) return 5;
  if (starts("nv")) return 4;
  if (starts("nf") || starts("fp") || starts("bnb")) return 6;
  if (starts("iq")) return 2;
  if (starts("tq") || starts("q1_") || starts("q2_0")) return 3;
  return name.ends_with("_k") ? 1 : 0;
}

std::string plot_label(std::string_view name) {
  if (name == "nvfp4_two_level") return "NVFP4 two-level";
  if (name == "nf4_nested") return "NF4 nested";
  if (name == "bnb_fp4") return "FP4";
  std::string text;
  for (const char c : name) text += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  if (text.starts_with("MX")) std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

std::vector<std::size_t> pareto_front(const std::vector<plot_point>& points) {
  std::vector<std::size_t> order(points.size()), front;
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(points[i].bits_per_weight, points[i].error); });
  for (const std::size_t i : order)
    if (front.empty() || points[i].error < points[front.back()].error) front.push_back(i);
  return front;
}

std::string plot_svg(const plot_words& words, const std::vector<plot_point>& points) {
  double x_low = 1e9, x_high = 0, y_low = 1e9, y_high = 0;
  for (const plot_point& p : points) {
    x_low = std::min(x_low, p.bits_per_weight), x_high = std::max(x_high, p.bits_per_weight);
    y_low = std::min(y_low, p.error), y_high = std::max(y_high, p.error);
  }
  x_low = std::floor(x_low - 0.25), x_high = std::ceil(x_high + 0.5);
  y_low = std::log10(y_low) - 0.12, y_high = std::log10(y_high) + 0.12;
  const auto to_x = [&](double bits) { return left + (bits - x_low) / (x_high - x_low) * (right - left); };
  const auto to_y = [&](double error) {
    return bottom - (std::log10(error) - y_low) / (y_high - y_low) * (bottom - top);
  };

  svg out;
  out.add("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" width=\"%.0f\" height=\"%.0f\" ", width, height);
  out.add("viewBox=\"0 0 %.0f %.0f\" ", width, height);
  out.add("font-family=\"Helvetica, Arial, 'Liberation Sans', sans-serif\" font-size=\"%.1f\">\n<style>\n", font);
  out.add(
      ".plot{--back:#fff;--text:#222;--soft:#555;--line:#e6e6e6;--frame:#888;--front:#999;background:var(--back)}\n"
      ".plot text{fill:var(--text)}.plot .soft{fill:var(--soft)}.plot .grid,.plot .front,.plot .leader,.plot "
      ".frame{fill:none}\n"
      ".plot .grid{stroke:var(--line)}.plot .frame{stroke:var(--frame)}.plot "
      ".leader{stroke:var(--front);stroke-width:.8}\n"
      ".plot .front{stroke:var(--front);stroke-width:1.4;stroke-dasharray:5 4}.plot "
      ".legend{fill:var(--back);stroke:var(--line)}\n"
      ".plot .label{stroke:var(--back);stroke-width:3px;stroke-linejoin:round;paint-order:stroke}\n"
      ".plot .s0{fill:#0072b2}.plot .s1{fill:#d55e00}.plot .s2{fill:#009e73}.plot .s3{fill:#cc79a7}\n"
      ".plot .s4{fill:#56b4e9}.plot .s5{fill:#b8860b}.plot .s6{fill:#444}.plot .s7{fill:#882255}\n"
      ".plot .point:is(:hover,:focus){outline:none}.plot .point:is(:hover,:focus) path:not(.leader)"
      "{stroke:var(--text);stroke-width:2.5}.plot .point:is(:hover,:focus) text{font-weight:bold}\n"
      "@media(prefers-color-scheme:dark){.plot{--back:#16181b;--text:#e6e6e6;--soft:#aaa;--line:#30343a;--frame:#888;"
      "--front:#999}.plot .s0{fill:#4aa3df}.plot .s6{fill:#bbb}.plot .s7{fill:#d06a9a}}\n</style>\n");
  out.add("<rect class=\"legend\" width=\"100%%\" height=\"100%%\" stroke-width=\"%d\"/>\n", 0);
  out.words(left, 34, "font-size=\"19\" font-weight=\"bold\"", words.title);
  out.words(left, 56, "class=\"soft\"", words.subtitle);

  // Grid: whole bits, and 1 2 5 of each decade of the error with the signal-to-noise ratio on the right.
  for (double bits = x_low; bits <= x_high; bits += x_high - x_low > 20 ? 2 : 1) {
    out.add("<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>\n", to_x(bits), top, bottom);
    char text[16];
    std::snprintf(text, sizeof text, "%.0f", bits);
    out.words(to_x(bits), bottom + 20, "text-anchor=\"middle\"", text);
  }
  for (int decade = static_cast<int>(std::floor(y_low)); decade <= static_cast<int>(y_high) + 1; ++decade) {
    for (const int digit : {1, 2, 5}) {
      const double error = digit * std::pow(10.0, decade);
      if (std::log10(error) < y_low || std::log10(error) > y_high) continue;
      out.add("<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", left, to_y(error), right);
      char text[32];
      std::snprintf(text, sizeof text, words.relative ? "%g %%" : "%g", words.relative ? error * 100 : error);
      out.words(left - 8, to_y(error) + 4.5, "text-anchor=\"end\"", text);
    }
  }
  for (int decibels = -20; words.relative && decibels <= 200; decibels += 10) {
    const double error = std::pow(10.0, -decibels / 20.0);
    if (std::log10(error) < y_low || std::log10(error) > y_high) continue;
    out.add("<path class=\"frame\" d=\"M%.1f %.1fh6\"/>\n", right, to_y(error));
    out.words(right + 10, to_y(error) + 4.5, "class=\"soft\"", std::to_string(decibels));
  }
  out.add("<path class=\"frame\" d=\"M%.1f %.1fH%.1fV%.1fH%.1fz\"/>\n", left, top, right, bottom, left);
  out.words((left + right) / 2, bottom + 46, "text-anchor=\"middle\" font-size=\"14\"", "bits per weight");
  out.add("<g transform=\"translate(24 %.1f) rotate(-90)\">", (top + bottom) / 2);
  out.words(0, 0, "text-anchor=\"middle\" font-size=\"14\"", words.axis + " (log scale)");
  if (words.relative) {
    out.add("</g>\n<g transform=\"translate(%.1f %.1f) rotate(90)\">", right + 48, (top + bottom) / 2);
    out.words(0, 0, "text-anchor=\"middle\" font-size=\"14\" class=\"soft\"", "signal-to-noise ratio (dB)");
  }
  out.add("</g>\n");

  // The front is a staircase. No label lies on it, nor on the legend.
  std::vector<box> obstacles;
  out.add("<path class=\"front\" d=\"");
  double last_x = 0, last_y = 0;
  const auto step = [&](double x, double y) {
    obstacles.push_back(
        {std::min(last_x, x) - 1, std::min(last_y, y) - 1, std::max(last_x, x) + 1, std::max(last_y, y) + 1});
    last_x = x, last_y = y;
  };
  for (const std::size_t i : pareto_front(points)) {
    const double x = to_x(points[i].bits_per_weight), y = to_y(points[i].error);
    if (last_x == 0) {
      out.add("M%.1f %.1f", x, y);
      last_x = x, last_y = y;
      continue;
    }
    out.add("H%.1fV%.1f", x, y);
    step(x, last_y);
    step(x, y);
  }
  out.add("\"/>\n");

  // The legend lies where few points are: few bits and a small error.
  constexpr std::string_view front_text = "not beaten in size and error";
  std::vector<std::size_t> shown;
  double legend_width = text_width(front_text);
  for (std::size_t f = 0; f < words.families.size(); ++f) {
    if (std::ranges::none_of(points, [&](const plot_point& p) { return p.family == f; })) continue;
    shown.push_back(f);
    legend_width = std::max(legend_width, text_width(words.families[f]));
  }
  const double legend_height = 20.0 * static_cast<double>(shown.size() + 1) + 10;
  const box legend = {left + 14, bottom - 14 - legend_height, left + 14 + legend_width + 46, bottom - 14};
  obstacles.push_back(legend);
  out.add("<rect class=\"legend\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", legend.x0, legend.y0,
          legend.x1 - legend.x0, legend.y1 - legend.y0);
  double y = legend.y0 + 18;
  for (const std::size_t f : shown) {
    add_sign(out, f, legend.x0 + 20, y - 4);
    out.words(legend.x0 + 36, y, "", words.families[f]);
    y += 20;
  }
  out.add("<path class=\"front\" d=\"M%.1f %.1fh20\"/>\n", legend.x0 + 10, y - 4);
  out.words(legend.x0 + 36, y, "class=\"soft\"", front_text);

  std::vector<label> labels;
  for (const plot_point& p : points) {
    const double px = to_x(p.bits_per_weight), py = to_y(p.error);
    // Without a name it only is in the way of others.
    labels.push_back(p.named ? label{px, py, text_width(p.label), px + marker + 4, py} : label{px, py, 0, px, py});
  }
  place(labels, obstacles);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const plot_point& p = points[i];
    const label& l = labels[i];
    out.add("<g class=\"point\" tabindex=\"0\"><title>");
    char text[64];
    std::snprintf(text, sizeof text,
                  words.relative ? ": %.4f bits per weight, error %.3g %%" : ": %.4f bits per weight, %.3g",
                  p.bits_per_weight, words.relative ? 100 * p.error : p.error);
    out.add(escape_xml(p.label + text) + "</title>");
    if (p.named && l.distance() > marker + 7)
      out.add("<path class=\"leader\" d=\"M%.1f %.1fL%.1f %.1f\"/>", l.px, l.py, l.end_x(), l.end_y());
    add_sign(out, p.family, l.px, l.py);
    const bool on_the_left = l.x + l.w < l.px;
    if (p.named)
      out.words(on_the_left ? l.x + l.w : l.x, l.y + font * 0.35,
                on_the_left ? "class=\"label\" text-anchor=\"end\"" : "class=\"label\"", p.label);
    out.add("</g>\n");
  }
  out.add("</svg>\n");
  return out.take();
}
