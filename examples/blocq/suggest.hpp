// What somebody may have meant.
#ifndef BLOCQ_EXAMPLES_SUGGEST_HPP
#define BLOCQ_EXAMPLES_SUGGEST_HPP

#include <string>
#include <string_view>
#include <vector>

// "; did you mean 'q4_k'?" with the one of the names that is nearest, or nothing if none is near: that many letters are
// missing, too many, wrong or swapped with a neighbour, at most a third of them. Case, '-' and '_' do not count.
std::string suggestion(std::string_view word, const std::vector<std::string_view>& names);

// A sentence for a name that is no format: with the format that may be meant, or that it is a mix.
std::string unknown_format(std::string_view name);

std::vector<std::string_view> format_names();
std::vector<std::string_view> mix_names();

#endif
