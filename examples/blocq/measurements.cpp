#include "measurements.hpp"

#include "command.hpp"
#include "files.hpp"
#include "terminal.hpp"

#include <charconv>
#include <cmath>
#include <filesystem>

namespace {

constexpr std::string_view title = "blocq measurements 1\n";

}  // namespace

measurements::measurements(const std::string& path) : path_(path) {
  if (path.empty()) return;
  std::string text;
  if (std::filesystem::exists(path)) {
    const auto file = open_input(path);
    text.assign(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  }
  if (!std::string_view(text).starts_with(title) && !title.starts_with(text))
    throw failure(printable(path) + ": is not a file of measurements");
  // A last line without an end was being written when the program was ended.
  const std::size_t whole = text.find_last_of('\n') + 1;
  if (whole < text.size()) std::filesystem::resize_file(path, whole);
  const std::string_view lines = text;
  std::size_t number = 1;
  for (std::size_t at = title.size(), end; at < whole; at = end + 1) {
    end = lines.find('\n', at);
    ++number;
    double value = 0;
    const auto [rest, error] = std::from_chars(lines.data() + at, lines.data() + end, value);
    if (error != std::errc() || rest == lines.data() + end || *rest != ' ' || !std::isfinite(value) || value < 0)
      throw failure(printable(path) + ", line " + std::to_string(number) + ": is not a measurement");
    values_[std::string(rest + 1, lines.data() + end)] = value;
  }
  file_.open(path, std::ios::binary | std::ios::app);
  if (whole == 0) file_ << title << std::flush;
  if (!file_) throw failure(printable(path) + ": cannot be written");
  static_cast<void>(open_input(path));  // no output is to take its place
}

std::optional<double> measurements::find(const std::string& what) const {
  const auto found = values_.find(what);
  return found == values_.end() ? std::nullopt : std::optional(found->second);
}

void measurements::add(const std::string& what, double value) {
  values_[what] = value;
  if (path_.empty()) return;
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  file_ << std::string_view(digits, static_cast<std::size_t>(end - digits)) << ' ' << what << '\n' << std::flush;
  if (!file_) throw failure(printable(path_) + ": cannot be written");
}

std::string fingerprint::text() const {
  std::string out(16, '0');
  for (std::size_t i = 0; i < 16; ++i) out[i] = "0123456789abcdef"[state_ >> (60 - 4 * i) & 15];
  return out;
}
