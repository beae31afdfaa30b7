// What the user sees: tables, sizes, foreign text made safe, a progress line, and Ctrl-C.
#ifndef BLOCQ_EXAMPLES_TERMINAL_HPP
#define BLOCQ_EXAMPLES_TERMINAL_HPP

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

// Foreign text for a terminal: what is neither printable nor valid UTF-8 becomes \n, \x1b or \u{202e}; a backslash is
// doubled. At most `limit` bytes of input are shown, with "..." after them.
std::string printable(std::string_view text, std::size_t limit = static_cast<std::size_t>(-1));

std::string bytes_text(std::uint64_t bytes);                 // "1.83 MB"
std::string number_text(double value, int digits);           // fixed, "-" for NaN
std::string significant_text(double value, int digits = 3);  // 0.0123, 1.2e-07
std::string count_text(std::uint64_t count);                 // 917,504

// A table that lines its columns up. Cells of a column whose title starts with '>' are set flush right.
class table {
 public:
  explicit table(std::vector<std::string> titles) : titles_(std::move(titles)) {}
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }
  friend std::ostream& operator<<(std::ostream& out, const table& t);

 private:
  std::vector<std::string> titles_;
  std::vector<std::vector<std::string>> rows_;
};

// A line on standard error that shows how far `total` has come and how long the rest may take. Nothing is printed
// when standard error is not a terminal; the line is wiped at the end.
class progress {
 public:
  progress(std::string what, std::uint64_t total);
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  ~progress();
  void advance(std::uint64_t done);

 private:
  using clock = std::chrono::steady_clock;
  std::string what_;
  std::uint64_t total_, done_ = 0;
  bool shown_;
  clock::time_point start_ = clock::now(), next_ = start_;
};

// After stop_on_interrupt() the first SIGINT or SIGTERM makes the next check_interrupt() throw, so that destructors
// remove what is unfinished; a second signal ends the program at once.
struct interrupted {
  int signal;
};
void stop_on_interrupt();
void check_interrupt();

// If standard streams were closed when the program started, its files would get their numbers, and what is said would
// end up in a file. After this, writing to such a stream fails.
void keep_standard_streams();

// The arguments of main, in UTF-8 on every system.
class command_arguments {
 public:
  command_arguments(int argc, char** argv);
  int count() const { return static_cast<int>(texts_.size()); }
  char** values() { return pointers_.data(); }

 private:
  std::vector<std::string> texts_;
  std::vector<char*> pointers_;
};

#endif
