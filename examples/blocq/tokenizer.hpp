// The tokenizer of a published model as the keys of a GGUF file.
#ifndef BLOCQ_EXAMPLES_TOKENIZER_HPP
#define BLOCQ_EXAMPLES_TOKENIZER_HPP

#include "checkpoint.hpp"

#include <blocq/gguf/writer.hpp>

// Reads tokenizer.json (byte-level BPE, or BPE with a byte fallback as SentencePiece's) and tokenizer_config.json, and
// adds tokenizer.ggml.*, with `size` tokens, or if that is 0 those that are there. `pre` names the way in which
// llama.cpp cuts a text before merging
// ("llama-bpe"); empty, it follows from the expression in tokenizer.json. Throws failure for a tokenizer that is not
// known.
void add_tokenizer(const checkpoint_files& files, const nlohmann::json& config, std::size_t size,
                   const std::string& pre, blocq::gguf::writer& out);

#endif
