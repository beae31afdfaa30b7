// Files of the operating system: what cannot be read says why, and what is written is there as a whole or not at all.
// Built three times: as it is, without files that have no name, and with the C library alone.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef BLOCQ_TEST_NO_TMPFILE
#undef O_TMPFILE
#endif
#ifdef BLOCQ_TEST_NO_POSIX
#undef __unix__
#endif

#include <blocq/file/file.hpp>
#include <blocq/gguf/all.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;
namespace gguf = blocq::gguf;
using blocq::errc;
using blocq::mapped_file;
using blocq::output_file;

namespace {

// A directory of its own, gone afterwards.
struct directory {
  fs::path path;
  directory() {
    std::string name = (fs::temp_directory_path() / "blocq-test-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  directory(const directory&) = delete;
  ~directory() { fs::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(path)) found.push_back(entry.path().filename().string());
    return found;
  }
};

void put(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }
std::string get(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
std::string refusal(const std::string& path) {
  const auto file = mapped_file::open(path.c_str());
  return file ? "" : file.message();
}
bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// Writes a file in one go; the error, or nothing.
std::string write_all(const std::string& path, const std::string& text) {
  auto out = output_file::create(path.c_str());
  if (!out) return out.message();
  const bool written = (*out)(text.data(), text.size());
  const auto committed = out->commit();
  CHECK((written || !committed));
  return committed ? "" : committed.message();
}

using names = std::vector<std::string>;

}  // namespace

TEST_CASE("a file is mapped as it is; what is not one says why, by name") {
  const directory d;
  put(d / "file", std::string("some\0bytes", 10));
  auto file = mapped_file::open((d / "file").c_str());
  REQUIRE(file);
  mapped_file moved(std::move(*file));
  CHECK(file->bytes().empty());
  const auto text = [&] {
    return std::string(reinterpret_cast<const char*>(moved.bytes().data()), moved.bytes().size());
  };
  CHECK(text() == std::string("some\0bytes", 10));
  moved.release(moved.bytes().subspan(3));
  moved.release({});
  CHECK(text() == std::string("some\0bytes", 10));
  moved = mapped_file();
  CHECK(moved.bytes().empty());

  put(d / "empty", "");
  CHECK(contains(refusal(d / "empty"), "it is empty"));
  CHECK(mapped_file::open((d / "empty").c_str()).error().code == errc::truncated);
  CHECK(contains(refusal(d / "missing.gguf"), "No such file"));
  CHECK(contains(refusal("nowhere/missing.gguf"), "'nowhere/missing.gguf'"));
  CHECK(contains(refusal(d.path.string()), "irectory"));
#if BLOCQ_POSIX_FILES
  REQUIRE(::mkfifo((d / "pipe").c_str(), 0600) == 0);
  CHECK(contains(refusal(d / "pipe"), "not a regular file"));  // and does not wait for a writer
  CHECK(contains(refusal("/dev/zero"), "not a regular file"));
#endif
}

TEST_CASE("a larger file is read whole") {
  const directory d;
  std::string text(3 * 1024 * 1024 + 17, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 / 7);
  put(d / "file", text);
  const auto file = mapped_file::open((d / "file").c_str());
  REQUIRE(file);
  CHECK(std::string_view(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()) == text);
}

TEST_CASE("a file appears when it is committed, and nothing appears otherwise") {
  const directory d;
  {
    auto out = output_file::create((d / "new").c_str());
    REQUIRE(out);
    CHECK((*out)("abc", 3));
    CHECK((*out)("", 0));
    CHECK((*out)("def", 3));
    CHECK_FALSE(fs::exists(d / "new"));
    REQUIRE(out->commit());
    CHECK(get(d / "new") == "abcdef");
    CHECK_FALSE(out->commit());
    CHECK_FALSE((*out)("x", 1));
  }
  CHECK(d.names() == names{"new"});
  {
    auto out = output_file::create((d / "other").c_str());
    REQUIRE(out);
    CHECK((*out)("abc", 3));
    output_file moved(std::move(*out));
    CHECK(moved("def", 3));
    CHECK_FALSE((*out)("x", 1));
  }
  CHECK(d.names() == names{"new"});
}

TEST_CASE("a file that is there stays as it is until it is replaced") {
  const directory d;
  put(d / "file", "old");
  {
    auto out = output_file::create((d / "file").c_str());
    REQUIRE(out);
    CHECK((*out)("new", 3));
    CHECK(get(d / "file") == "old");
  }
  CHECK(get(d / "file") == "old");
  CHECK(write_all(d / "file", "new") == "");
  CHECK(get(d / "file") == "new");
  CHECK(d.names() == names{"file"});
}

TEST_CASE("two at the same time do not disturb each other") {
  const directory d;
  auto a = output_file::create((d / "file").c_str()), b = output_file::create((d / "file").c_str());
  REQUIRE(a);
  REQUIRE(b);
  CHECK((*a)("aaaa", 4));
  CHECK((*b)("bb", 2));
  REQUIRE(a->commit());
  CHECK(get(d / "file") == "aaaa");
  REQUIRE(b->commit());
  CHECK(get(d / "file") == "bb");
  CHECK(d.names() == names{"file"});
}

TEST_CASE("paths without a directory, with a long name, in a directory that is not there") {
  const directory d;
  const fs::path before = fs::current_path();
  fs::current_path(d.path);
  CHECK(write_all("plain", "1") == "");
  fs::current_path(before);
  CHECK(get(d / "plain") == "1");
  const std::string longest(255, 'n');
  CHECK(write_all(d / longest.c_str(), "2") == "");
  CHECK(get(d / longest.c_str()) == "2");
  CHECK(contains(write_all(d / "nowhere/file", "3"), "No such file"));
  CHECK(contains(write_all("no/such/place", "3"), "'no/such/place'"));
  CHECK(contains(write_all(d.path.string(), "3"), "irectory"));
  CHECK(d.names().size() == 2);
}

TEST_CASE("a program that is killed leaves what was there") {
  const directory d;
  put(d / "file", "old");
  const pid_t child = ::fork();
  if (child == 0) {
    auto out = output_file::create((d / "file").c_str());
    if (out && (*out)("new", 3)) ::raise(SIGKILL);
    ::_exit(1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  CHECK(get(d / "file") == "old");
#if BLOCQ_POSIX_FILES && defined(O_TMPFILE)
  CHECK(d.names() == names{"file"});
#endif
}

#if BLOCQ_POSIX_FILES
TEST_CASE("permissions are those of the file that is replaced, and of the umask where there was none") {
  const directory d;
  const auto mode = [](const std::string& path) {
    struct stat about = {};
    REQUIRE(::stat(path.c_str(), &about) == 0);
    return about.st_mode & 07777;
  };
  const mode_t before = ::umask(027);
  CHECK(write_all(d / "file", "1") == "");
  CHECK(mode(d / "file") == 0640);
  REQUIRE(::chmod((d / "file").c_str(), 0604) == 0);
  CHECK(write_all(d / "file", "2") == "");
  ::umask(before);
  CHECK(mode(d / "file") == 0604);
  REQUIRE(::chmod((d / "file").c_str(), 0444) == 0);
  if (::geteuid() != 0) CHECK(contains(write_all(d / "file", "3"), "ermission"));
}

TEST_CASE("a symbolic link stays one") {
  const directory d;
  put(d / "file", "old");
  fs::create_symlink(d / "file", d / "link");
  CHECK(write_all(d / "link", "new") == "");
  CHECK(fs::is_symlink(d / "link"));
  CHECK(get(d / "file") == "new");

  fs::create_symlink("second", d / "first");
  fs::create_symlink(d / "not there yet", d / "second");
  CHECK(write_all(d / "first", "new") == "");
  CHECK(fs::is_symlink(d / "first"));
  CHECK(fs::is_symlink(d / "second"));
  CHECK(get(d / "not there yet") == "new");

  fs::create_symlink("itself", d / "itself");
  CHECK(write_all(d / "itself", "new") != "");
  CHECK(fs::is_symlink(d / "itself"));
}

TEST_CASE("a full disk is an error, and the target is as it was") {
  if (fs::exists("/dev/full")) CHECK(contains(write_all("/dev/full", "data"), "No space left"));
  CHECK(write_all("/dev/null", "data") == "");
  CHECK(fs::exists("/dev/null"));

  // A limit on the size of files stands in for a disk that fills up in the middle.
  const directory d;
  put(d / "file", "old");
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {10000, 10000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    auto out = output_file::create((d / "file").c_str());
    if (!out) ::_exit(1);
    const std::string piece(7000, 'x');
    if (!(*out)(piece.data(), piece.size())) ::_exit(2);
    if ((*out)(piece.data(), piece.size())) ::_exit(3);
    if ((*out)("x", 1)) ::_exit(4);
    const auto committed = out->commit();
    ::_exit(committed ? 5 : contains(committed.message(), "too large") ? 0 : 6);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(get(d / "file") == "old");
}

TEST_CASE("a target that goes away or becomes a directory is an error at the end") {
  const directory d;
  auto out = output_file::create((d / "file").c_str());
  REQUIRE(out);
  CHECK((*out)("data", 4));
  fs::create_directory(d / "file");
  CHECK_FALSE(out->commit());
  CHECK(d.names() == names{"file"});
}
#endif

TEST_CASE("a GGUF file goes to the disk and comes back") {
  const directory d;
  const std::uint64_t dims[] = {3};
  const float data[] = {1, 2, 3};
  {
    auto out = output_file::create((d / "model.gguf").c_str());
    REQUIRE(out);
    gguf::writer w;
    w.add("general.architecture", "test").add_tensor("t", 0, dims);
    REQUIRE(w.begin(*out));
    REQUIRE(w.write(0, std::as_bytes(std::span(data))));
    REQUIRE(w.finish());
    REQUIRE(out->commit());
    CHECK(fs::file_size(d / "model.gguf") == w.file_size());
  }
  const auto file = mapped_file::open((d / "model.gguf").c_str());
  REQUIRE(file);
  const auto r = gguf::reader::parse(file->bytes());
  REQUIRE(r);
  CHECK(std::memcmp(r->find_tensor("t")->data.data(), data, sizeof data) == 0);
}

#if BLOCQ_POSIX_FILES
TEST_CASE("a tensor beyond the first 4 GiB of a file is read where it is") {
  if constexpr (sizeof(std::size_t) < 8) return;
  const directory d;
  const std::uint64_t hole[] = {1u << 20, 1u << 11}, last[] = {2};  // 4 GiB of binary16 that are on no disk
  gguf::writer w;
  w.add_tensor("hole", 1, hole).add_tensor("last", 0, last);
  std::ofstream out(d / "file", std::ios::binary);
  auto sink = [&](const void* data, std::size_t size) {
    return bool(out.write(static_cast<const char*>(data), static_cast<std::streamsize>(size)));
  };
  REQUIRE(w.begin(sink));
  out.seekp(static_cast<std::streamoff>(w.data_offset() + w.tensors()[1].offset));
  out.write("ABCDEFGH", 8);
  out.close();
  if (!out) return;  // no such files here
  const auto file = mapped_file::open((d / "file").c_str());
  if (!file) return;
  const auto r = gguf::reader::parse(file->bytes());
  REQUIRE(r);
  CHECK(r->tensors()[1].offset == std::uint64_t{1} << 32);
  CHECK(std::string(reinterpret_cast<const char*>(r->tensors()[1].data.data()), 8) == "ABCDEFGH");
}

TEST_CASE("a link to an open pipe or to a file without a name is written directly") {
  int ends[2] = {};
  REQUIRE(::pipe(ends) == 0);
  const std::string link = "/dev/fd/" + std::to_string(ends[1]);
  if (::access(link.c_str(), W_OK) == 0) {
    CHECK(write_all(link, "abc") == "");
    char read[4] = {};
    CHECK(::read(ends[0], read, 3) == 3);
    CHECK(std::string(read) == "abc");
  }
  ::close(ends[0]);
  ::close(ends[1]);

  const directory d;
  put(d / "file", "longer than what comes");
  const int fd = ::open((d / "file").c_str(), O_RDWR);
  REQUIRE(fd >= 0);
  fs::remove(d / "file");
  const std::string nameless = "/dev/fd/" + std::to_string(fd);
  if (::access(nameless.c_str(), W_OK) == 0) {
    CHECK(write_all(nameless, "abc") == "");
    CHECK(get(nameless) == "abc");
  }
  CHECK(d.names().empty());
  ::close(fd);
}
#endif
