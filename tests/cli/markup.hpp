// What the tests look at in files of SVG and XHTML.
#ifndef BLOCQ_TESTS_CLI_MARKUP_HPP
#define BLOCQ_TESTS_CLI_MARKUP_HPP

#include <string>

// Empty if every element is closed where it should be, every attribute quoted and every entity one of XML's; else what
// is wrong. What is inside of CDATA is left alone.
std::string malformed(const std::string& text);

// Empty if no label of a plot lies on another, on a point, or on the front; else which. Widths of letters are
// estimated.
std::string labels_overlap(const std::string& svg);

#endif
