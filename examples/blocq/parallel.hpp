// The library starts no thread: row ranges are independent, and this is all that a program needs to use several.
#ifndef BLOCQ_EXAMPLES_PARALLEL_HPP
#define BLOCQ_EXAMPLES_PARALLEL_HPP

#include <algorithm>
#include <cstddef>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

// Calls f(first, last) on contiguous ranges that together are [0, count), at most `threads` of them, each on a thread
// of its own. When all are done, the exception of the lowest range is rethrown, so a failure reads the same however
// many threads there are. Throws std::runtime_error if the system has no room for so many threads.
template <class F>
void parallel_ranges(unsigned threads, std::size_t count, const F& f) {
  const std::size_t parts = std::clamp<std::size_t>(threads, 1, std::max<std::size_t>(count, 1));
  std::vector<std::exception_ptr> errors(parts);
  const auto work = [&](std::size_t part) {
    try {
      f(count * part / parts, count * (part + 1) / parts);
    } catch (...) {
      errors[part] = std::current_exception();
    }
  };
  std::vector<std::jthread> others;
  try {
    for (std::size_t part = 1; part < parts; ++part) others.emplace_back(work, part);
  } catch (const std::system_error& e) {
    throw std::runtime_error("no more than " + std::to_string(others.size() + 1) + " of " + std::to_string(parts) +
                             " threads can be started (" + e.code().message() + "); ask for fewer with --threads");
  }
  work(0);
  others.clear();  // joins
  for (const auto& error : errors)
    if (error) std::rethrow_exception(error);
}

inline unsigned default_threads() { return std::max(1u, std::thread::hardware_concurrency()); }

#endif
