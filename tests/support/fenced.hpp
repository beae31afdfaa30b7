// Memory that ends, or begins, at a page that cannot be read. Where there is POSIX: BLOCQ_TEST_HAS_FENCED.
#ifndef BLOCQ_TEST_FENCED_HPP
#define BLOCQ_TEST_FENCED_HPP

#if __has_include(<sys/mman.h>)
#define BLOCQ_TEST_HAS_FENCED

#include <doctest/doctest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <span>

// Room for elements of T up against the page, which lies behind them or in front of them.
template <class T>
class fenced {
 public:
  fenced(std::size_t count, bool behind) : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    const std::size_t bytes = count * sizeof(T), pages = (bytes + page_ - 1) / page_;
    size_ = (pages + 2) * page_;
    memory_ = static_cast<char*>(mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(mprotect(memory_ + page_, pages * page_, PROT_READ | PROT_WRITE) == 0);
    items = {reinterpret_cast<T*>(memory_ + page_ + (behind ? pages * page_ - bytes : 0)), count};
  }
  fenced(std::span<const T> from, bool behind) : fenced(from.size(), behind) {
    std::memcpy(static_cast<void*>(items.data()), from.data(), from.size() * sizeof(T));
  }
  fenced(const fenced&) = delete;
  ~fenced() { munmap(memory_, size_); }

  std::span<T> items;

 private:
  std::size_t page_, size_ = 0;
  char* memory_ = nullptr;
};

#endif
#endif
