// blocq and ggml in one process, on the same operands, taking turns.
#ifndef BLOCQ_BENCH_SIDE_BY_SIDE_HPP
#define BLOCQ_BENCH_SIDE_BY_SIDE_HPP

#include <string>

namespace bench {

struct comparison {
  std::string peer;         // directory of the peer's shared libraries
  std::string csv;          // file to write; none if empty
  std::string filter = "";  // regular expression on operation/format/shape
  int rounds = 15;
};

// Prints a table. Returns the exit status of the program.
int side_by_side(const comparison& options);

}  // namespace bench

#endif
