// A scatter plot of error against size as an SVG file, with every point labelled and no label on top of another, of the
// front or of the legend. Light and dark; the numbers of a point show where the mouse or the focus is.
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
  double error;  // relative, above zero
};

// Of a format's name: its family, and what a plot calls it.
std::size_t family_of(std::string_view format);
std::string plot_label(std::string_view format);

// Those that no other beats in both size and error, smallest first.
std::vector<std::size_t> pareto_front(const std::vector<plot_point>& points);

// The SVG text. Both strings are plain text.
std::string plot_svg(std::string_view title, std::string_view subtitle, const std::vector<plot_point>& points);

#endif
