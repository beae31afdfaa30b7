// Files of the operating system: one that is read through a memory map, and one that appears under its name only when
// it is complete. With windows.hpp the only header of the library that calls the operating system.
//
// Where there is neither POSIX nor Windows it makes do with the C library: a file is read into memory. A program that
// is killed leaves its temporary file behind, except on Linux.
#ifndef BLOCQ_FILE_FILE_HPP
#define BLOCQ_FILE_FILE_HPP

#include <blocq/core/error.hpp>
#include <blocq/file/storage.hpp>
#include <blocq/file/windows.hpp>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>

#if defined(__unix__) || defined(__APPLE__)
#define BLOCQ_POSIX_FILES 1
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#else
#define BLOCQ_POSIX_FILES 0
#endif
#if defined(_WIN32)
#define BLOCQ_WINDOWS_FILES 1
#else
#define BLOCQ_WINDOWS_FILES 0
#endif

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// "cannot open 'path': No such file or directory"; the reason is errno's unless one is given.
inline error file_error(const char* action, std::string_view path, const char* reason = nullptr) noexcept {
  if (reason == nullptr) reason = std::strerror(errno);
  error e(errc::io);
  e << "cannot " << action << ' ';
  e.quote(path.data(), path.size());
  return e << ": " << reason;
}

// A path: text with a NUL behind it.
struct path_text {
  growing_array<char> text = {};

  [[nodiscard]] bool assign(std::string_view a, std::string_view b = {}, std::string_view c = {}) noexcept {
    return text.resize(0) && text.append(a.data(), a.size()) && text.append(b.data(), b.size()) &&
           text.append(c.data(), c.size()) && text.append('\0');
  }
  const char* c_str() const noexcept { return text.size() != 0 ? text.data() : ""; }
  std::string_view view() const noexcept { return c_str(); }
};

// The file that `path` names behind all symbolic links, whether it is there yet or not. A link that leads to a file and
// to no name of one, as /dev/stdout does if that is a pipe, stays as it is.
inline result<path_text> follow_links(const char* path) noexcept {
  path_text file;
#if BLOCQ_POSIX_FILES
  if (char* real = ::realpath(path, nullptr)) {
    const bool stored = file.assign(real);
    std::free(real);
    if (!stored) return error(errc::no_memory);
    return file;
  }
  if (errno == ELOOP) return file_error("write", path);
#endif
  if (!file.assign(path)) return error(errc::no_memory);
#if BLOCQ_POSIX_FILES
  struct stat about = {};
  const bool nameless = ::stat(path, &about) == 0;
  char to[4096];
  for (int links = 0; !nameless && links < 40; ++links) {  // realpath has looked for circles
    const ssize_t size = ::readlink(file.c_str(), to, sizeof to);
    if (size <= 0 || size == sizeof to) break;
    const std::string_view name(to, static_cast<std::size_t>(size));
    path_text link = std::move(file);
    const std::string_view directory = link.view().substr(0, link.view().rfind('/') + 1);  // npos + 1 is 0
    if (!file.assign(name.front() == '/' ? std::string_view{} : directory, name)) return error(errc::no_memory);
  }
#endif
  return file;
}

// The n-th candidate for the name of a temporary file in `directory`, which ends with a slash.
inline bool temporary_name(path_text& name, std::string_view directory, unsigned long process, unsigned n) noexcept {
  char own[64];
  std::snprintf(own, sizeof own, ".blocq-%lu-%u", process, n);
  return name.assign(directory, own);
}

}  // namespace detail

// A whole file to read. The bytes do not change as long as nobody writes to the file. A mapped file that somebody
// shortens takes the program down when the lost part is touched: map only files that nobody else writes.
class mapped_file {
 public:
  // errc::io if the file cannot be read or is not a regular file, errc::truncated if it is empty. Never blocks.
  static result<mapped_file> open(const char* path) noexcept;

  std::span<const std::byte> bytes() const noexcept { return {data(), size()}; }

  // Says that a part of bytes() will not be read soon: it no longer counts as memory of the process. It stays what it
  // is, and reading it again takes longer.
  void release(std::span<const std::byte> part) const noexcept;

#if BLOCQ_POSIX_FILES || BLOCQ_WINDOWS_FILES
  mapped_file() = default;
  mapped_file(mapped_file&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  mapped_file& operator=(mapped_file&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~mapped_file() {
#if BLOCQ_WINDOWS_FILES
    if (data_ != nullptr) detail::windows::unmap(data_);
#else
    if (data_ != nullptr) ::munmap(data_, size_);
#endif
  }

 private:
  const std::byte* data() const noexcept { return static_cast<const std::byte*>(data_); }
  std::size_t size() const noexcept { return size_; }

  void* data_ = nullptr;
  std::size_t size_ = 0;
#else

 private:
  const std::byte* data() const noexcept { return contents_.data(); }
  std::size_t size() const noexcept { return contents_.size(); }

  detail::growing_array<std::byte> contents_;
#endif
};

// A file to write, and a sink for the writers. Its bytes go to a temporary file in the directory of `path`; commit puts
// it under its name in one step, in place of what was there, with the permissions of what was there. Without commit
// everything is as before. On Linux the temporary file has no name until commit, so that a program that is killed
// leaves nothing behind. A symbolic link is followed, except on Windows, where it is replaced; a device or a pipe is
// written directly, commit or not. Paths are UTF-8 on Windows, and what the system takes them for elsewhere.
class output_file {
 public:
  static result<output_file> create(const char* path) noexcept;

  // Writes all bytes or gives false; then commit says why.
  bool operator()(const void* data, std::size_t size) noexcept;

  // Makes the file durable and visible. errc::io, also if an earlier write failed (a full disk, for one): the target
  // is as it was. Nothing can be written afterwards.
  result<void> commit() noexcept;

  output_file(output_file&& other) noexcept { swap(other); }
  output_file& operator=(output_file&& other) noexcept {
    swap(other);
    return *this;
  }
  ~output_file() { close(); }

 private:
  output_file() = default;
  result<void> open() noexcept;
  void close() noexcept;
  void swap(output_file& other) noexcept {
    std::swap(target_, other.target_);
    std::swap(temporary_, other.temporary_);
    std::swap(directory_, other.directory_);
    std::swap(handle_, other.handle_);
    std::swap(direct_, other.direct_);
    std::swap(error_, other.error_);
  }
  bool fail(const char* action) noexcept {
    if (error_.code == errc::ok) error_ = detail::file_error(action, target_.view());
    return false;
  }

#if BLOCQ_POSIX_FILES || BLOCQ_WINDOWS_FILES
  using handle = int;
  static constexpr handle closed = -1;
  template <class Make>
  bool make_temporary(Make&& make) noexcept;
#else
  using handle = std::FILE*;
  static constexpr handle closed = nullptr;
#endif
  detail::path_text target_;
  detail::path_text temporary_;  // empty: there is no such name
  detail::path_text directory_;  // of the target, with a slash, or what is one, behind it unless empty
  handle handle_ = closed;
  bool direct_ = false;  // the target itself is open
  error error_{errc::ok};
};

#if BLOCQ_POSIX_FILES || BLOCQ_WINDOWS_FILES

namespace detail::os {
#if BLOCQ_POSIX_FILES
using ::close;
using ::unlink;
using ::write;
inline unsigned long process() noexcept { return static_cast<unsigned long>(::getpid()); }
#else
using windows::close;
using windows::unlink;
using windows::write;
inline unsigned long process() noexcept { return 0; }
#endif
}  // namespace detail::os

// Tries names until `make` succeeds with one; it gives false with errno set.
template <class Make>
bool output_file::make_temporary(Make&& make) noexcept {
  for (unsigned n = 0; n < 10000; ++n) {
    if (!detail::temporary_name(temporary_, directory_.view(), detail::os::process(), n)) {
      errno = ENOMEM;
      break;
    }
    if (make(temporary_.c_str())) return true;
    if (errno != EEXIST) break;
  }
  static_cast<void>(temporary_.text.resize(0));
  return false;
}

inline bool output_file::operator()(const void* data, std::size_t size) noexcept {
  const char* p = static_cast<const char*>(data);
  if (handle_ == closed || error_.code != errc::ok) return false;
  while (size > 0) {
    const std::ptrdiff_t n = detail::os::write(handle_, p, size < (std::size_t{1} << 30) ? size : std::size_t{1} << 30);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail("write");
    p += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

inline void output_file::close() noexcept {
  if (handle_ != closed) detail::os::close(std::exchange(handle_, closed));
  if (!temporary_.view().empty()) detail::os::unlink(temporary_.c_str());
  static_cast<void>(temporary_.text.resize(0));
}

#endif

#if BLOCQ_POSIX_FILES

inline result<mapped_file> mapped_file::open(const char* path) noexcept {
  // O_NONBLOCK: opening a pipe that nobody writes to would wait.
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return detail::file_error("open", path);
  mapped_file file;
  error failure(errc::ok);
  struct stat about = {};
  if (::fstat(fd, &about) != 0) {
    failure = detail::file_error("read", path);
  } else if (!S_ISREG(about.st_mode)) {
    failure =
        detail::file_error("read", path, S_ISDIR(about.st_mode) ? "it is a directory" : "it is not a regular file");
  } else if (about.st_size == 0) {
    failure = detail::file_error("read", path, "it is empty");
    failure.code = errc::truncated;
  } else if (static_cast<std::uint64_t>(about.st_size) > static_cast<std::uint64_t>(PTRDIFF_MAX)) {
    failure = detail::file_error("read", path, "it does not fit into the address space");
  } else {
    const auto size = static_cast<std::size_t>(about.st_size);
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
      failure = detail::file_error("map", path);
    } else {
      file.data_ = data;
      file.size_ = size;
    }
  }
  ::close(fd);
  if (failure.code != errc::ok) return failure;
  return file;
}

inline void mapped_file::release(std::span<const std::byte> part) const noexcept {
  if (part.empty()) return;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto from = static_cast<std::size_t>(part.data() - data()) / page * page;
  const auto to = static_cast<std::size_t>(part.data() + part.size() - data());
  static_cast<void>(::madvise(static_cast<std::byte*>(data_) + from, to - from, MADV_DONTNEED));
}

inline result<void> output_file::open() noexcept {
  mode_t mode = 0666;
  struct stat about = {};
  const bool replaces = ::stat(target_.c_str(), &about) == 0;
  if (replaces && S_ISDIR(about.st_mode)) return detail::file_error("write", target_.view(), "it is a directory");
  if (replaces && (!S_ISREG(about.st_mode) || about.st_nlink == 0)) {
    direct_ = true;
    handle_ = ::open(target_.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY);
  } else {
    if (replaces && ::access(target_.c_str(), W_OK) != 0) return detail::file_error("write", target_.view());
#ifdef O_TMPFILE
    if (::access("/proc/self/fd", X_OK) == 0)
      handle_ = ::open(directory_.view().empty() ? "." : directory_.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
#endif
    if (handle_ == closed)
      make_temporary([&](const char* name) {
        handle_ = ::open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
        return handle_ != closed;
      });
    if (handle_ != closed && replaces) static_cast<void>(::fchmod(handle_, about.st_mode & 0777));
  }
  if (handle_ == closed) return detail::file_error("write", target_.view());
  return {};
}

inline result<void> output_file::commit() noexcept {
  if (error_.code != errc::ok) return error_;
  if (handle_ == closed) return detail::file_error("write", target_.view(), "it was committed already");
  const auto refuse = [&] {
    fail("write");
    close();
    return error_;
  };
  if (!direct_) {
    if (::fsync(handle_) != 0) return refuse();
    if (temporary_.view().empty()) {
      char self[64];
      std::snprintf(self, sizeof self, "/proc/self/fd/%d", handle_);
      const bool named = make_temporary(
          [&](const char* name) { return ::linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0; });
      if (!named) return refuse();
    }
  }
  const int fd = std::exchange(handle_, closed);
  if (::close(fd) != 0) return refuse();
  if (direct_) return {};
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) return refuse();
  static_cast<void>(temporary_.text.resize(0));
  const int directory = ::open(directory_.view().empty() ? "." : directory_.c_str(), O_RDONLY | O_CLOEXEC);
  if (directory >= 0) {
    ::fsync(directory);
    ::close(directory);
  }
  return {};
}

#elif BLOCQ_WINDOWS_FILES

inline result<mapped_file> mapped_file::open(const char* path) noexcept {
  namespace windows = detail::windows;
  windows::status_of_file about = {};
  if (windows::stat(path, &about) == 0 && windows::is_directory(about))  // which cannot be opened
    return detail::file_error("read", path, "it is a directory");
  const int fd = windows::open(path, _O_RDONLY);
  if (fd < 0) return detail::file_error("open", path);
  mapped_file file;
  error failure(errc::ok);
  if (windows::fstat(fd, &about) != 0) {
    failure = detail::file_error("read", path);
  } else if (!windows::is_regular(about)) {
    failure = detail::file_error("read", path, "it is not a regular file");
  } else if (about.st_size == 0) {
    failure = detail::file_error("read", path, "it is empty");
    failure.code = errc::truncated;
  } else if (static_cast<std::uint64_t>(about.st_size) > static_cast<std::uint64_t>(PTRDIFF_MAX)) {
    failure = detail::file_error("read", path, "it does not fit into the address space");
  } else if (void* data = windows::map(fd)) {
    file.data_ = data;
    file.size_ = static_cast<std::size_t>(about.st_size);
  } else {
    failure = detail::file_error("map", path);
  }
  windows::close(fd);
  if (failure.code != errc::ok) return failure;
  return file;
}

inline void mapped_file::release(std::span<const std::byte> part) const noexcept {
  if (!part.empty()) detail::windows::release(part.data(), part.size());
}

inline result<void> output_file::open() noexcept {
  namespace windows = detail::windows;
  if (target_.view() == "/dev/stdout") {  // the name that it has elsewhere
    direct_ = true;
    handle_ = windows::standard_output();
    if (handle_ == closed) return detail::file_error("write", target_.view());
    return {};
  }
  windows::status_of_file about = {};
  const bool replaces = windows::stat(target_.c_str(), &about) == 0;
  if (replaces && windows::is_directory(about)) return detail::file_error("write", target_.view(), "it is a directory");
  if (replaces && !windows::is_regular(about)) {
    direct_ = true;
    handle_ = windows::open(target_.c_str(), _O_WRONLY);
  } else if (replaces && (about.st_mode & _S_IWRITE) == 0) {
    errno = EACCES;
  } else {
    make_temporary([&](const char* name) {
      handle_ = windows::open(name, _O_CREAT | _O_EXCL | _O_WRONLY);
      return handle_ != closed;
    });
  }
  if (handle_ == closed) return detail::file_error("write", target_.view());
  return {};
}

inline result<void> output_file::commit() noexcept {
  if (error_.code != errc::ok) return error_;
  if (handle_ == closed) return detail::file_error("write", target_.view(), "it was committed already");
  bool done = direct_ || detail::windows::fsync(handle_) == 0;
  done = detail::windows::close(std::exchange(handle_, closed)) == 0 && done;
  if (done && !direct_) done = detail::windows::rename(temporary_.c_str(), target_.c_str()) == 0;
  if (done)
    static_cast<void>(temporary_.text.resize(0));
  else
    fail("write");
  close();
  return error_;
}

#else

inline void mapped_file::release(std::span<const std::byte>) const noexcept {}

inline result<mapped_file> mapped_file::open(const char* path) noexcept {
  std::FILE* in = std::fopen(path, "rb");
  if (in == nullptr) return detail::file_error("open", path);
  mapped_file file;
  error failure(errc::ok);
  for (std::size_t read = 1, size = 0; read != 0; size += read) {
    constexpr std::size_t piece = std::size_t{1} << 20;
    read = 0;
    if (!file.contents_.resize(size + piece)) {
      failure = error(errc::no_memory);
      break;
    }
    read = std::fread(file.contents_.data() + size, 1, piece, in);
    static_cast<void>(file.contents_.resize(size + read));
  }
  if (failure.code == errc::ok && std::ferror(in)) failure = detail::file_error("read", path);
  std::fclose(in);
  if (failure.code == errc::ok && file.contents_.size() == 0) {
    failure = detail::file_error("read", path, "it is empty");
    failure.code = errc::truncated;
  }
  if (failure.code != errc::ok) return failure;
  return file;
}

inline result<void> output_file::open() noexcept {
  for (unsigned n = 0; n < 10000 && handle_ == closed; ++n) {
    if (!detail::temporary_name(temporary_, directory_.view(), 0, n)) return error(errc::no_memory);
    handle_ = std::fopen(temporary_.c_str(), "wbx");
    if (handle_ == nullptr && errno != EEXIST) break;
  }
  if (handle_ != closed) return {};
  static_cast<void>(temporary_.text.resize(0));
  return detail::file_error("write", target_.view());
}

inline bool output_file::operator()(const void* data, std::size_t size) noexcept {
  if (handle_ == closed || error_.code != errc::ok) return false;
  return std::fwrite(data, 1, size, handle_) == size || fail("write");
}

inline result<void> output_file::commit() noexcept {
  if (error_.code != errc::ok) return error_;
  if (handle_ == closed) return detail::file_error("write", target_.view(), "it was committed already");
  bool done = std::fclose(std::exchange(handle_, closed)) == 0;
  if (done && std::rename(temporary_.c_str(), target_.c_str()) != 0)  // some systems do not rename over a file
    done = std::remove(target_.c_str()) == 0 && std::rename(temporary_.c_str(), target_.c_str()) == 0;
  if (done) static_cast<void>(temporary_.text.resize(0));
  if (!done) fail("write");
  close();
  return error_;
}

inline void output_file::close() noexcept {
  if (handle_ != closed) std::fclose(std::exchange(handle_, closed));
  if (!temporary_.view().empty()) std::remove(temporary_.c_str());
  static_cast<void>(temporary_.text.resize(0));
}

#endif

inline result<output_file> output_file::create(const char* path) noexcept {
  output_file file;
  auto followed = detail::follow_links(path);
  if (!followed) return followed.error();
  file.target_ = std::move(*followed);
  const std::string_view target = file.target_.view();
  const std::size_t slash = target.find_last_of(BLOCQ_WINDOWS_FILES ? "/\\:" : "/");
  if (!file.directory_.assign(target.substr(0, slash + 1))) return error(errc::no_memory);  // npos + 1 is 0
  if (auto opened = file.open(); !opened) return opened.error();
  return file;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
