// Goes on writing where a prompt ends: generate MODEL.gguf [PROMPT [TOKENS [CACHE]]]. Always the likeliest token.
// CACHE is how keys and values are remembered, for example q8_0: cache.hpp has the names.
#include "llama.hpp"
#include "tokenizer.hpp"

#include <blocq/gguf/file.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  if (argc < 2) return std::fputs("usage: generate MODEL.gguf [PROMPT [TOKENS [CACHE]]]\n", stderr), 2;
  const auto file = blocq::gguf::mapped_file::open(argv[1]);
  if (!file) return std::fprintf(stderr, "generate: %s\n", file.message()), 2;
  const auto parsed = blocq::gguf::reader::parse(file->bytes());
  if (!parsed) return std::fprintf(stderr, "generate: %s\n", parsed.message()), 2;
  const auto set = blocq::gguf::split_set::open({&*parsed, 1});
  if (!set) return std::fprintf(stderr, "generate: %s\n", set.message()), 2;
  try {
    const llama::model model(*set);
    const llama::tokenizer tokenizer(*set);
    std::vector<int> tokens;
    if (tokenizer.bos_first()) tokens.push_back(tokenizer.bos());
    for (const int t : tokenizer.encode(argc > 2 ? argv[2] : "Once upon a time")) tokens.push_back(t);
    if (tokens.empty()) tokens.push_back(tokenizer.bos());
    const std::size_t wanted = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 100;
    const std::size_t length = std::min(model.shape().context, tokens.size() + wanted);

    llama::session session(model, std::max(length, tokens.size()), {argc > 4 ? argv[4] : "f32"});
    for (const int t : tokens) std::fputs(t == tokenizer.bos() ? "" : tokenizer.decode(t).c_str(), stdout);
    for (std::size_t n = tokens.size(); n < length; ++n) {
      const auto logits = session.append(tokens, tokens.size() - 1);
      const int next = static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
      if (next == tokenizer.eos() || next == tokenizer.bos()) break;
      std::fputs(tokenizer.decode(next).c_str(), stdout);
      std::fflush(stdout);
      tokens = {next};
    }
    std::puts("");
  } catch (const std::exception& e) {
    return std::fprintf(stderr, "generate: %s\n", e.what()), 2;
  }
}
