// A scatter plot of error against size as an SVG file, with every point labelled and no label on top of another.
#ifndef BLOCQ_EXAMPLES_PLOT_HPP
#define BLOCQ_EXAMPLES_PLOT_HPP

#include <string>
#include <string_view>
#include <vector>

struct plot_point {
  std::string label;
  std::string family;  // points of one family share colour and shape, and one entry of the legend
  double bits_per_weight;
  double error;  // relative, above zero
};

// The SVG text. Both strings are plain text.
std::string plot_svg(std::string_view title, std::string_view subtitle, const std::vector<plot_point>& points);

#endif
