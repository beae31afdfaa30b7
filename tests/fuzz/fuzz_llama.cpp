// Any bytes as the file of a llama model: refused with a sentence, or its predictions are numbers or none, whatever it
// says of itself.
#include "../../examples/llama/llama.hpp"
#include "../../examples/llama/tokenizer.hpp"

#include <blocq/gguf/split.hpp>

#include <cstdint>
#include <numeric>

static void run(const blocq::gguf::split_set& file) {
  const llama::model model(file);
  const llama::shape& s = model.shape();
  if (s.vocabulary > 4096) return;
  llama::session session(model, 8);
  std::vector<int> tokens(std::min<std::size_t>(s.vocabulary, 5));
  std::iota(tokens.begin(), tokens.end(), 0);
  if (session.append(tokens, 0).size() != tokens.size() * s.vocabulary) __builtin_trap();
  const llama::tokenizer words(file);
  for (const int token : words.encode("some text")) static_cast<void>(words.decode(token));
  static_cast<void>(words.decode(words.size() - 1));
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = blocq::gguf::reader::parse(std::as_bytes(std::span(data, size)));
  if (!file) return 0;
  const auto set = blocq::gguf::split_set::open({&*file, 1});
  if (!set) return 0;
  try {
    run(*set);
  } catch (const std::runtime_error& e) {
    if (*e.what() == 0) __builtin_trap();
  }
  return 0;
}
