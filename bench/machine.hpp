// What a figure must be read together with: the library, the compiler, the processor and its load.
#ifndef BLOCQ_BENCH_MACHINE_HPP
#define BLOCQ_BENCH_MACHINE_HPP

#include <string>
#include <utility>
#include <vector>

namespace bench {

// Pairs of a short name and a text.
std::vector<std::pair<std::string, std::string>> describe_machine();

// Binds the calling thread to one of the processors that it may run on. False if that is not possible.
bool pin_thread();

}  // namespace bench

#endif
