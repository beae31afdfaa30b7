// A scatter plot of error against size as an SVG file, with no label on top of another, of the front or of the legend.
// Light and dark; the numbers of a point show where the mouse or the focus is.
#ifndef BLOCQ_EXAMPLES_PLOT_HPP
#define BLOCQ_EXAMPLES_PLOT_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

struct plot_point {
  std::string label;
  std::size_t family;  // points of one family share colour and shape, and one entry of the legend
  double bits_per_weight;
  double error;       // above zero
  bool named = true;  // else its label shows with its numbers only
};

// What a plot says besides, all of it plain text. At most seven families.
struct plot_words {
  std::string title, subtitle, axis;
  std::vector<std::string> families;
  bool relative = true;  // errors are parts of the weights: in percent, with decibels beside them
};

// Of block formats: the words, and of a format's name its family and what a plot calls it.
plot_words format_plot_words(std::string title, std::string subtitle);
std::size_t family_of(std::string_view format);
std::string plot_label(std::string_view format);

// Those that no other beats in both size and error, smallest first.
std::vector<std::size_t> pareto_front(const std::vector<plot_point>& points);

// The SVG text.
std::string plot_svg(const plot_words& words, const std::vector<plot_point>& points);

#endif
