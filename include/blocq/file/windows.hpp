// The calls of Windows that file.hpp makes, under the names and with the results of their counterparts in POSIX. Paths
// are UTF-8. Of what the C library lacks the functions of the system are declared here: <windows.h> would leave macros
// like min, near and ERROR in every program that reads a file. Empty elsewhere.
#ifndef BLOCQ_FILE_WINDOWS_HPP
#define BLOCQ_FILE_WINDOWS_HPP

#if defined(_WIN32)

#include <blocq/core/error.hpp>
#include <blocq/file/storage.hpp>

#include <fcntl.h>
#include <io.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <wchar.h>

#include <cerrno>
#include <cstddef>

// The types are those of <windows.h>, so that both may be included.
struct _SECURITY_ATTRIBUTES;
extern "C" {
__declspec(dllimport) int __stdcall MultiByteToWideChar(unsigned, unsigned long, const char*, int, wchar_t*, int);
__declspec(dllimport) int __stdcall MoveFileExW(const wchar_t*, const wchar_t*, unsigned long);
__declspec(dllimport) void* __stdcall CreateFileMappingW(void*, _SECURITY_ATTRIBUTES*, unsigned long, unsigned long,
                                                         unsigned long, const wchar_t*);
__declspec(dllimport) void* __stdcall MapViewOfFile(void*, unsigned long, unsigned long, unsigned long, std::size_t);
__declspec(dllimport) int __stdcall UnmapViewOfFile(const void*);
__declspec(dllimport) int __stdcall VirtualUnlock(void*, std::size_t);
__declspec(dllimport) int __stdcall CloseHandle(void*);
__declspec(dllimport) unsigned long __stdcall GetLastError();
}

namespace blocq::inline v0::inline BLOCQ_ISA::detail::windows {

// A path in UTF-16, or nullptr with errno set.
class wide_path {
 public:
  explicit wide_path(const char* utf8) noexcept {
    constexpr unsigned code_page_utf8 = 65001;
    constexpr unsigned long refuse_invalid = 8;
    const int size = MultiByteToWideChar(code_page_utf8, refuse_invalid, utf8, -1, nullptr, 0);
    if (size <= 0)
      errno = EILSEQ;
    else if (!text_.resize(static_cast<std::size_t>(size)))
      errno = ENOMEM;
    else
      MultiByteToWideChar(code_page_utf8, refuse_invalid, utf8, -1, text_.data(), size);
  }
  const wchar_t* c_str() const noexcept { return text_.data(); }

 private:
  growing_array<wchar_t> text_;
};

// errno for the last failure of a function of the system.
inline int last_error() noexcept {
  switch (GetLastError()) {
    case 2:
    case 3: return ENOENT;  // not found
    case 5:
    case 32:
    case 33:
    case 1224: return EACCES;  // denied, open elsewhere, mapped
    case 8:
    case 14: return ENOMEM;
    case 17: return EXDEV;
    case 39:
    case 112: return ENOSPC;
    default: return EIO;
  }
}

using status_of_file = struct _stat64;
inline int stat(const char* path, status_of_file* about) noexcept {
  const wide_path wide(path);
  return wide.c_str() == nullptr ? -1 : ::_wstat64(wide.c_str(), about);
}
inline int fstat(int fd, status_of_file* about) noexcept { return ::_fstat64(fd, about); }
inline bool is_regular(const status_of_file& about) noexcept { return (about.st_mode & _S_IFMT) == _S_IFREG; }
inline bool is_directory(const status_of_file& about) noexcept { return (about.st_mode & _S_IFMT) == _S_IFDIR; }

inline int open(const char* path, int flags) noexcept {
  const wide_path wide(path);
  if (wide.c_str() == nullptr) return -1;
  return ::_wopen(wide.c_str(), flags | _O_BINARY | _O_NOINHERIT, _S_IREAD | _S_IWRITE);
}
inline int standard_output() noexcept {
  const int fd = ::_dup(1);
  if (fd >= 0) ::_setmode(fd, _O_BINARY);
  return fd;
}
inline std::ptrdiff_t write(int fd, const void* data, std::size_t size) noexcept {
  return ::_write(fd, data, static_cast<unsigned>(size));
}
inline int fsync(int fd) noexcept { return ::_commit(fd); }
inline int close(int fd) noexcept { return ::_close(fd); }
inline int unlink(const char* path) noexcept {
  const wide_path wide(path);
  return wide.c_str() == nullptr ? -1 : ::_wunlink(wide.c_str());
}
// Takes the place of a file in one step, and is durable.
inline int rename(const char* from, const char* to) noexcept {
  const wide_path a(from), b(to);
  if (a.c_str() == nullptr || b.c_str() == nullptr) return -1;
  constexpr unsigned long replace_existing = 1, write_through = 8;
  if (MoveFileExW(a.c_str(), b.c_str(), replace_existing | write_through) != 0) return 0;
  errno = last_error();
  return -1;
}

// The bytes of an open file, or nullptr with errno set. They stay when the file is closed.
inline void* map(int fd) noexcept {
  constexpr unsigned long read_only = 2, read = 4;
  void* const file = reinterpret_cast<void*>(::_get_osfhandle(fd));
  void* const mapping = CreateFileMappingW(file, nullptr, read_only, 0, 0, nullptr);
  void* const data = mapping != nullptr ? MapViewOfFile(mapping, read, 0, 0, 0) : nullptr;
  if (data == nullptr) errno = last_error();
  if (mapping != nullptr) CloseHandle(mapping);
  return data;
}
inline void unmap(const void* data) noexcept { UnmapViewOfFile(data); }
// Pages that were never locked leave the memory of the process.
inline void release(const void* data, std::size_t size) noexcept {
  static_cast<void>(VirtualUnlock(const_cast<void*>(data), size));
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::detail::windows

#endif

#endif
