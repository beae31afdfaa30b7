// A text as a llama model reads it when it is measured or calibrated.
#ifndef BLOCQ_EXAMPLES_WINDOWS_HPP
#define BLOCQ_EXAMPLES_WINDOWS_HPP

#include "../llama/tokenizer.hpp"
#include "command.hpp"
#include "terminal.hpp"

#include <blocq/gguf/file.hpp>

#include <algorithm>
#include <string>
#include <vector>

// At most `count` windows of `size` tokens, the first of each replaced by the one that begins a text. Throws failure if
// the text has fewer tokens than one window.
inline std::vector<std::vector<int>> windows_of(const std::string& path, const llama::tokenizer& tokenizer,
                                                std::size_t size, std::size_t count) {
  const auto text = blocq::gguf::mapped_file::open(path.c_str());
  if (!text) throw failure(text.message());
  // A token is a few bytes at most on average: no more of a book is read than can be needed.
  const std::size_t enough = std::min<std::size_t>(text->bytes().size(), count * size * 16);
  std::vector<int> tokens{tokenizer.bos()};
  for (const int t : tokenizer.encode({reinterpret_cast<const char*>(text->bytes().data()), enough}))
    tokens.push_back(t);
  std::vector<std::vector<int>> windows(std::min(count, tokens.size() / size));
  if (windows.empty()) throw failure(printable(path) + ": has fewer tokens than one window of " + std::to_string(size));
  for (std::size_t w = 0; w < windows.size(); ++w) {
    const auto first = tokens.begin() + static_cast<std::ptrdiff_t>(w * size);
    windows[w].assign(first, first + static_cast<std::ptrdiff_t>(size));
    windows[w].front() = tokenizer.bos();
  }
  return windows;
}

#endif
