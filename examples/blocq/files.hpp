// The files of a command, all of them opened here: what is read is not written over, whichever command and whichever
// option names it, and the program can say what it has written.
#ifndef BLOCQ_EXAMPLES_FILES_HPP
#define BLOCQ_EXAMPLES_FILES_HPP

#include <blocq/gguf/file.hpp>

#include <string>
#include <vector>

// A whole file to read. Throws failure with the path and the reason.
blocq::gguf::mapped_file open_input(const std::string& path);

// A file to write, which appears when it is committed and may be read from then on; "-" is standard output. Throws
// failure if the path is that of a file that the command reads, or writes already, by whatever name. What the command
// says goes to standard error from then on if this is standard output.
class output {
 public:
  explicit output(const std::string& path);

  // A sink for the library's writers. What it could not take fails at commit.
  bool operator()(const void* data, std::size_t size) { return file_(data, size); }
  // Throws failure if a writer failed, with the system's reason if it was the file.
  void check(const blocq::result<void>& written);
  void commit();

 private:
  std::string path_;
  blocq::gguf::output_file file_;
};

// The outputs that were committed.
const std::vector<std::string>& written_files();

#endif
