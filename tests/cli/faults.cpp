// To be preloaded: the system refuses, or the process dies, at one of the calls by which a program changes files, or
// one of its allocations.
//   FAULT_AT=N       number N of those calls (from 1); 0 or nothing: none
//   FAULT_KIND       refuse: the call fails with ENOSPC; kill: the process is killed before it; memory: number N is an
//                    allocation instead, and fails; counted from when the file FAULT_AFTER is opened
//   FAULT_COUNT      a file, to which the number of calls is written at the end
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <atomic>
#include <new>

namespace {

enum class kind { refuse, kill, memory };

struct plan {
  long at = 0;
  kind what = kind::refuse;
  std::atomic<long> files{0}, allocations{0};
  std::atomic<bool> opened{false};

  plan() {
    if (const char* n = std::getenv("FAULT_AT")) at = std::atol(n);
    if (const char* k = std::getenv("FAULT_KIND"))
      what = std::strcmp(k, "kill") == 0 ? kind::kill : std::strcmp(k, "memory") == 0 ? kind::memory : kind::refuse;
  }
  ~plan() {
    const long count = what == kind::memory ? allocations : files;
    if (const char* path = std::getenv("FAULT_COUNT"))
      if (std::FILE* f = std::fopen(path, "w")) std::fprintf(f, "%ld\n", count), std::fclose(f);
    at = 0;
  }
};
plan& the_plan() {
  static plan p;
  return p;
}

// Whether this call on a file is the one that fails.
bool strikes() {
  plan& p = the_plan();
  if (p.what == kind::memory || ++p.files != p.at) return false;
  if (p.what == kind::kill) std::raise(SIGKILL);
  errno = ENOSPC;
  return true;
}

template <class F>
F next(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

}  // namespace

// Standard output and error are not files that could be lost.
#define FAULT_ON_DESCRIPTOR(result, name, parameters, arguments) \
  result name parameters {                                       \
    static const auto real = next<result(*) parameters>(#name);  \
    return fd > 2 && strikes() ? -1 : real arguments;            \
  }
#define FAULT_ON_PATH(name, parameters, arguments)           \
  int name parameters {                                      \
    static const auto real = next<int(*) parameters>(#name); \
    return strikes() ? -1 : real arguments;                  \
  }

extern "C" {
FAULT_ON_DESCRIPTOR(ssize_t, write, (int fd, const void* p, std::size_t n), (fd, p, n))
FAULT_ON_DESCRIPTOR(ssize_t, writev, (int fd, const iovec* p, int n), (fd, p, n))
FAULT_ON_DESCRIPTOR(ssize_t, pwrite, (int fd, const void* p, std::size_t n, off_t at), (fd, p, n, at))
FAULT_ON_DESCRIPTOR(ssize_t, pwrite64, (int fd, const void* p, std::size_t n, off64_t at), (fd, p, n, at))
FAULT_ON_DESCRIPTOR(int, ftruncate, (int fd, off_t n), (fd, n))
FAULT_ON_DESCRIPTOR(int, ftruncate64, (int fd, off64_t n), (fd, n))
FAULT_ON_DESCRIPTOR(int, fsync, (int fd), (fd))
FAULT_ON_PATH(rename, (const char* from, const char* to), (from, to))
FAULT_ON_PATH(link, (const char* from, const char* to), (from, to))
FAULT_ON_PATH(linkat, (int a, const char* from, int b, const char* to, int flags), (a, from, b, to, flags))
FAULT_ON_PATH(unlink, (const char* path), (path))
FAULT_ON_PATH(fchmod, (int fd, mode_t mode), (fd, mode))

int open(const char* path, int flags, ...) {
  static const auto real = next<int (*)(const char*, int, ...)>("open");
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  if (const char* after = std::getenv("FAULT_AFTER"); after != nullptr && std::strcmp(after, path) == 0)
    the_plan().opened = true;
  return (flags & (O_WRONLY | O_RDWR)) != 0 && strikes() ? -1 : real(path, flags, mode);
}
}

void* operator new(std::size_t size) {
  plan& p = the_plan();
  if (p.what == kind::memory && p.opened && ++p.allocations == p.at) throw std::bad_alloc();
  if (void* const memory = std::malloc(size != 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
