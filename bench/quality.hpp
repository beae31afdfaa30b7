// How much closer quality_level::best comes to the weights than the reference encoders, and what that costs in time.
#ifndef BLOCQ_BENCH_QUALITY_HPP
#define BLOCQ_BENCH_QUALITY_HPP

#include <string>

namespace bench {

// Prints a table in Markdown: every format that can be improved, on random numbers and on the F32 matrices of a GGUF
// file, each with and without importance weights. Returns the exit status of the program.
int quality(const std::string& model, const std::string& filter);

}  // namespace bench

#endif
