// Files on Windows: paths in UTF-8 and with all separators, and what file.hpp promises everywhere. Empty elsewhere.
#if defined(_WIN32)

#include <doctest/doctest.h>

#include <blocq/file/file.hpp>

#include <windows.h>  // after the library and in one source with it

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;
using blocq::errc;
using blocq::mapped_file;
using blocq::output_file;

namespace {

// A directory of its own, the current one as long as it is there.
struct directory {
  fs::path before = fs::current_path(), path;
  directory() {
    path = fs::temp_directory_path() / ("blocq-test-" + std::to_string(GetCurrentProcessId()));
    fs::create_directory(path);
    fs::current_path(path);
  }
  directory(const directory&) = delete;
  ~directory() {
    fs::current_path(before);
    fs::remove_all(path);
  }
};

std::vector<std::string> names(const fs::path& path) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(path)) found.push_back(entry.path().filename().string());
  return found;
}

void put(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }
std::string text_of(const mapped_file& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}
std::string contents(const char* path) {
  const auto file = mapped_file::open(path);
  return file ? text_of(*file) : file.message();
}
std::string refusal(const char* path) {
  const auto file = mapped_file::open(path);
  return file ? "" : file.message();
}
bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

std::string write_all(const char* path, const std::string& text) {
  auto out = output_file::create(path);
  if (!out) return out.message();
  (*out)(text.data(), text.size());
  const auto committed = out->commit();
  return committed ? "" : committed.message();
}

}  // namespace

TEST_CASE("the temporary file is in the folder of the target, whatever separates the two") {
  const directory d;
  fs::create_directory("sub");
  const std::string drive = d.path.string().substr(0, 2);  // C: and so on, whose current directory is d
  REQUIRE(drive[1] == ':');
  for (const std::string& path :
       {std::string("sub\\file"), std::string("sub/file"), drive + "sub\\file", (d.path / "sub" / "file").string()}) {
    CAPTURE(path);
    auto out = output_file::create(path.c_str());
    REQUIRE(out);
    CHECK((*out)("abc", 3));
    CHECK(names("sub").size() == 1);
    CHECK(names(".").size() == 1);
    REQUIRE(out->commit());
    CHECK(names("sub") == std::vector<std::string>{"file"});
    CHECK(contents(path.c_str()) == "abc");
    fs::remove("sub/file");
  }
  CHECK(write_all((drive + "file").c_str(), "abc") == "");
  CHECK(contents("file") == "abc");
}

TEST_CASE("paths are UTF-8") {
  const directory d;
  const char* const path =
      "gr\xc3\xb6\xc3\x9f"
      "e-\xe6\xa8\xa1\xe5\x9e\x8b-\xf0\x9f\x92\xbe.gguf";
  CHECK(write_all(path, "abc") == "");
  CHECK(fs::exists(L"gr\u00f6\u00dfe-\u6a21\u578b-\U0001f4be.gguf"));
  CHECK(contents(path) == "abc");
  CHECK(refusal("\xff.gguf") != "");
  CHECK(write_all("\xff.gguf", "abc") != "");
  CHECK(names(".").size() == 1);
}

TEST_CASE("a file is replaced in one step or stays as it was") {
  const directory d;
  put("file", "old");
  {
    auto out = output_file::create("file");
    REQUIRE(out);
    CHECK((*out)("new", 3));
    CHECK(contents("file") == "old");
  }
  CHECK(names(".").size() == 1);
  CHECK(contents("file") == "old");
  CHECK(write_all("file", std::string("new\r\n\x1a\0", 7)) == "");
  CHECK(contents("file") == std::string("new\r\n\x1a\0", 7));

  SetFileAttributesW(L"file", FILE_ATTRIBUTE_READONLY);
  CHECK(contains(write_all("file", "other"), "denied"));
  SetFileAttributesW(L"file", FILE_ATTRIBUTE_NORMAL);
  CHECK(contents("file") == std::string("new\r\n\x1a\0", 7));
  CHECK(contains(write_all("nowhere\\file", "x"), "No such file"));
  fs::create_directory("folder");
  CHECK(contains(write_all("folder", "x"), "it is a directory"));
  CHECK(names(".").size() == 2);
}

TEST_CASE("a file is mapped as it is; what is not one says why") {
  const directory d;
  std::string text(3 * 1024 * 1024 + 17, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 / 7);
  put("file", text);
  auto file = mapped_file::open("file");
  REQUIRE(file);
  CHECK(text_of(*file) == text);
  file->release(file->bytes().subspan(5000));
  file->release({});
  CHECK(text_of(*file) == text);

  put("empty", "");
  CHECK(contains(refusal("empty"), "it is empty"));
  CHECK(mapped_file::open("empty").error().code == errc::truncated);
  CHECK(contains(refusal("missing"), "No such file"));
  CHECK(contains(refusal("."), "it is a directory"));
}

#endif
