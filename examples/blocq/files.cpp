#include "files.hpp"

#include "command.hpp"
#include "terminal.hpp"

#include <sys/stat.h>
#include <filesystem>
#include <iostream>

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> inputs, outputs;
std::vector<std::string> committed;

// Whether two paths lead to one file, there or still to be made, in which the one would be lost for the other: any
// number of outputs go to a terminal or to /dev/null.
bool collide(const fs::path& a, const fs::path& b) {
  std::error_code ignored;
#ifdef _WIN32
  if (fs::exists(a, ignored) && fs::exists(b, ignored)) return fs::equivalent(a, b, ignored);
#else
  struct stat x = {}, y = {};  // std::filesystem::equivalent does not look at pipes
  if (::stat(a.c_str(), &x) == 0 && ::stat(b.c_str(), &y) == 0)
    return x.st_dev == y.st_dev && x.st_ino == y.st_ino && !S_ISCHR(x.st_mode);
#endif
  const auto name = [&](const fs::path& p) { return fs::weakly_canonical(fs::absolute(p, ignored), ignored); };
  return name(a) == name(b) && !fs::exists(a, ignored);
}

void refuse_if_any(const std::vector<fs::path>& files, const std::string& path, const char* reason) {
  for (const fs::path& file : files)
    if (collide(file, path)) throw failure(reason + printable(path));
}

blocq::gguf::output_file create(const std::string& path) {
  refuse_if_any(inputs, path, "the output is the input: ");
  refuse_if_any(outputs, path, "two outputs are one file: ");
  auto file = blocq::gguf::output_file::create(path.c_str());
  if (!file) throw failure(file.message());
  outputs.emplace_back(path);
  if (path == "/dev/stdout" || collide("/dev/stdout", path)) std::cout.rdbuf(std::cerr.rdbuf());
  return std::move(*file);
}

}  // namespace

blocq::gguf::mapped_file open_input(const std::string& path) {
  refuse_if_any(outputs, path, "the input is the output: ");
  auto file = blocq::gguf::mapped_file::open(path.c_str());
  if (!file) throw failure(file.message());
  inputs.emplace_back(path);
  return std::move(*file);
}

output::output(const std::string& path) : path_(path == "-" ? "/dev/stdout" : path), file_(create(path_)) {}

void output::check(const blocq::result<void>& written) {
  if (!written) throw failure(written.error().code == blocq::errc::io ? file_.commit().message() : written.message());
}

void output::commit() {
  check(file_.commit());
  std::erase(outputs, fs::path(path_));  // it is complete, and may be read
  committed.push_back(path_);
}

const std::vector<std::string>& written_files() { return committed; }
