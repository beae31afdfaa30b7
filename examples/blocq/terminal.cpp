#include "terminal.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <iostream>
#ifdef _WIN32
#ifndef NOMINMAX
#define NOMINMAX
#endif
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
// It needs the former.
#include <io.h>
#include <shellapi.h>
#endif

namespace {

// Length of the valid UTF-8 sequence at the front of `text` and its code point; length 0 if there is none.
struct decoded {
  std::size_t length;
  std::uint32_t point;
};

decoded first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {1, lead};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {0, 0};
  std::uint32_t point = lead & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {0, 0};
    point = (point << 6) | (byte(i) & 0x3fu);
  }
  const std::uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = point >= 0xd800 && point <= 0xdfff;
  return point < smallest[length] || point > 0x10ffff || surrogate ? decoded{0, 0} : decoded{length, point};
}

// Code points that move the cursor, reorder the line or show nothing.
bool is_invisible(std::uint32_t point) {
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0xad || (point >= 0x200b && point <= 0x200f) ||
         (point >= 0x2028 && point <= 0x202e) || (point >= 0x2060 && point <= 0x206f) || point == 0xfeff ||
         (point >= 0xfff9 && point <= 0xfffb) || (point >= 0xe0000 && point <= 0xe0fff);
}

template <class... Args>
std::string format_text(const char* pattern, Args... args) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, pattern, args...);
  return buffer;
}

volatile std::sig_atomic_t signal_seen = 0;

}  // namespace

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (i >= limit) return out += "...";
    const auto [length, point] = first_code_point(text.substr(i));
    if (length == 0)
      out += format_text("\\x%02x", static_cast<unsigned>(static_cast<std::uint8_t>(text[i])));
    else if (point == '\n')
      out += "\\n";
    else if (point == '\\')
      out += "\\\\";
    else if (is_invisible(point))
      out += format_text(point < 0x80 ? "\\x%02x" : "\\u{%x}", point);
    else
      out += text.substr(i, length);
    i += std::max<std::size_t>(length, 1);
  }
  return out;
}

std::string bytes_text(std::uint64_t bytes) {
  const char* const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1000) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  for (; value >= 999.5 && unit + 1 < std::size(units); ++unit) value /= 1000;
  return format_text(value < 9.995 ? "%.2f %s" : value < 99.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

std::string number_text(double value, int digits) {
  return std::isnan(value)   ? "-"
         : std::isinf(value) ? (value > 0 ? "inf" : "-inf")
                             : format_text("%.*f", digits, value);
}

std::string significant_text(double value, int digits) { return format_text("%.*g", digits, value); }

std::string count_text(std::uint64_t count) {
  std::string text = std::to_string(count);
  for (std::size_t i = text.size(); i > 3; i -= 3) text.insert(text.begin() + static_cast<std::ptrdiff_t>(i) - 3, ',');
  return text;
}

std::ostream& operator<<(std::ostream& out, const table& t) {
  // Columns are counted in code points: names may be UTF-8.
  const auto width = [](std::string_view s) {
    return static_cast<std::size_t>(std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xc0) != 0x80; }));
  };
  std::vector<std::size_t> widths;
  std::vector<std::string> titles = t.titles_;
  std::vector<bool> right;
  for (auto& title : titles) {
    right.push_back(title.starts_with('>'));
    if (right.back()) title.erase(0, 1);
    widths.push_back(width(title));
  }
  for (const auto& row : t.rows_)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string pad(widths[i] - width(cells[i]), ' ');
      text += (i == 0 ? "" : "  ") + (right[i] ? pad + cells[i] : cells[i] + pad);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out << text << '\n';
  };
  line(titles);
  for (const auto& row : t.rows_) line(row);
  return out;
}

namespace {

// Whether standard error is a terminal that knows the sequences which a bar of progress needs.
bool rewrites_lines() {
#ifdef _WIN32
  const HANDLE console = GetStdHandle(STD_ERROR_HANDLE);
  DWORD mode = 0;
  return GetConsoleMode(console, &mode) != 0 && SetConsoleMode(console, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING) != 0;
#else
  return isatty(STDERR_FILENO) == 1;
#endif
}

}  // namespace

progress::progress(std::string what, std::uint64_t total)
    : what_(std::move(what)), total_(std::max<std::uint64_t>(total, 1)), shown_(rewrites_lines()) {}

progress::~progress() {
  if (shown_) std::cerr << "\r\x1b[K" << std::flush;
}

void progress::advance(std::uint64_t done) {
  done_ += done;
  const auto now = clock::now();
  if (!shown_ || now < next_) return;
  next_ = now + std::chrono::milliseconds(100);
  const double share = static_cast<double>(done_) / static_cast<double>(total_);
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const auto filled = static_cast<std::size_t>(share * 24);
  std::string line = "\r\x1b[K" + what_ + " [" + std::string(filled, '#') +
                     std::string(24 - std::min<std::size_t>(filled, 24), '.') + format_text("] %3.0f%%", share * 100);
  if (elapsed > 0.5 && share > 0) {
    const auto left = static_cast<unsigned long>(elapsed / share - elapsed + 0.5);
    line += format_text("  %lu:%02lu left", left / 60, left % 60);
  }
  std::cerr << line << std::flush;
}

void stop_on_interrupt() {
#ifdef _WIN32
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int seen) { signal_seen = seen; });
#else
  struct sigaction act = {};
  act.sa_handler = [](int signal) { signal_seen = signal; };
  act.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction before = {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(signal, &act, nullptr);  // started with nohup or in the background
  }
#endif
}

void check_interrupt() {
  if (signal_seen != 0) throw interrupted{signal_seen};
}

void keep_standard_streams() {
#ifdef _WIN32
  _setmode(STDOUT_FILENO, _O_BINARY);  // bytes are written to it
  SetConsoleOutputCP(CP_UTF8);
#else
  while (true) {
    const int fd = open("/dev/null", O_RDONLY);
    if (fd > STDERR_FILENO) close(fd);
    if (fd < 0 || fd > STDERR_FILENO) return;
  }
#endif
}

command_arguments::command_arguments(int argc, char** argv) : texts_(argv, argv + argc) {
#ifdef _WIN32  // where they are in the code page of the system, which is seldom UTF-8
  int count = 0;
  LPWSTR* const wide = CommandLineToArgvW(GetCommandLineW(), &count);
  if (wide != nullptr) texts_.resize(static_cast<std::size_t>(count));
  for (std::size_t i = 0; wide != nullptr && i < texts_.size(); ++i) {
    const auto convert = [&](char* to, int size) {
      return WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, to, size, nullptr, nullptr);
    };
    texts_[i].resize(static_cast<std::size_t>(convert(nullptr, 0)));
    convert(texts_[i].data(), static_cast<int>(texts_[i].size()));
    texts_[i].pop_back();  // its NUL
  }
  LocalFree(wide);
#endif
  for (std::string& text : texts_) pointers_.push_back(text.data());
  pointers_.push_back(nullptr);
}
