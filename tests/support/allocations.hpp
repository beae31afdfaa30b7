// What a test program allocates, and a way to make an allocation fail. One source of the program says
// BLOCQ_TEST_COUNT_ALLOCATIONS outside of any namespace.
#ifndef BLOCQ_TESTS_ALLOCATIONS_HPP
#define BLOCQ_TESTS_ALLOCATIONS_HPP

#include <cstddef>
#include <cstdlib>
#include <new>

namespace allocations {

inline std::size_t bytes = 0;  // in all
inline long left = -1;         // before one fails; negative: none does

inline void* allocate(std::size_t size) noexcept {
  bytes += size;
  if (left == 0) return nullptr;
  if (left > 0) --left;
  return std::malloc(size);
}

// Runs `attempt`, a callable that gives an error code, with the first allocation failing, then the second, and so on
// until it succeeds. Counts the attempts that ended with `expected`; -1 if one ended otherwise.
template <class Code, class Attempt>
int fail_each(Code success, Code expected, Attempt&& attempt) {
  for (int n = 0;; ++n) {
    left = n;
    const Code code = attempt();
    left = -1;
    if (code == success) return n;
    if (code != expected || n > 1000) return -1;
  }
}

}  // namespace allocations

#ifdef __cpp_exceptions
#define BLOCQ_TEST_NO_MEMORY throw std::bad_alloc()
#else
#define BLOCQ_TEST_NO_MEMORY std::abort()
#endif
// Not inlined: g++ warns where it sees one of a pair and not the other.
#define BLOCQ_TEST_OPERATOR [[gnu::noinline]]
#define BLOCQ_TEST_COUNT_ALLOCATIONS                                                                                   \
  BLOCQ_TEST_OPERATOR void* operator new(std::size_t size, const std::nothrow_t&) noexcept {                           \
    return allocations::allocate(size);                                                                                \
  }                                                                                                                    \
  BLOCQ_TEST_OPERATOR void* operator new(std::size_t size) {                                                           \
    if (void* const p = allocations::allocate(size)) return p;                                                         \
    BLOCQ_TEST_NO_MEMORY;                                                                                              \
  }                                                                                                                    \
  BLOCQ_TEST_OPERATOR void operator delete(void* p) noexcept { std::free(p); }                                         \
  BLOCQ_TEST_OPERATOR void operator delete(void* p, std::size_t) noexcept { std::free(p); }

#endif
