// A text as a llama model reads it when it is measured or calibrated.
#ifndef BLOCQ_EXAMPLES_WINDOWS_HPP
#define BLOCQ_EXAMPLES_WINDOWS_HPP

#include "../llama/llama.hpp"
#include "../llama/tokenizer.hpp"
#include "command.hpp"
#include "files.hpp"
#include "terminal.hpp"

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

// At most `count` windows of `size` tokens, the first of each replaced by the one that begins a text if the vocabulary
// wants one there. Throws failure if the text has fewer tokens than one window; says so if the model was made for less.
inline std::vector<std::vector<int>> windows_of(const std::string& path, const llama::shape& model,
                                                const llama::tokenizer& tokenizer, std::size_t size,
                                                std::size_t count) {
  const auto text = open_input(path);
  // A token is a few bytes at most on average: no more of a book is read than can be needed.
  const std::size_t enough = std::min<std::size_t>(text.bytes().size(), count * size * 16);
  std::vector<int> tokens;
  if (tokenizer.bos_first()) tokens.push_back(tokenizer.bos());
  for (const int t : tokenizer.encode({reinterpret_cast<const char*>(text.bytes().data()), enough}))
    tokens.push_back(t);
  std::vector<std::vector<int>> windows(std::min(count, tokens.size() / size));
  if (windows.empty()) throw failure(printable(path) + ": has fewer tokens than one window of " + std::to_string(size));
  for (std::size_t w = 0; w < windows.size(); ++w) {
    const auto first = tokens.begin() + static_cast<std::ptrdiff_t>(w * size);
    windows[w].assign(first, first + static_cast<std::ptrdiff_t>(size));
    if (tokenizer.bos_first()) windows[w].front() = tokenizer.bos();
  }
  if (size > model.context)
    std::cerr << "blocq: windows of " << size << " tokens are longer than the context of the model, " << model.context
              << " tokens: its predictions get worse beyond\n";
  return windows;
}

#endif
