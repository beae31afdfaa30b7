#ifndef BLOCQ_TESTS_CLI_VARIANTS_HPP
#define BLOCQ_TESTS_CLI_VARIANTS_HPP

#include <string>

// Writes them all to a directory.
void write_variants(const std::string& story, const std::string& dir);

#endif
