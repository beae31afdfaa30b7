// Products of matrices by several threads against one.
#ifndef BLOCQ_BENCH_THREADS_HPP
#define BLOCQ_BENCH_THREADS_HPP

#include <string>

namespace bench {

// Prints a table: gemm by `count` threads and by one, in turn, by the clock on the wall, so that the machine must have
// nothing else to do. Returns the exit status of the program: 1 if the results differ.
int threads(int count, const std::string& filter, int rounds);

}  // namespace bench

#endif
