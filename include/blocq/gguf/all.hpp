// GGUF files in memory: reading, writing, split sets, validation, which tensors are weights. The operating system's files are in
// <blocq/gguf/file.hpp>, which this header leaves out.
#ifndef BLOCQ_GGUF_ALL_HPP
#define BLOCQ_GGUF_ALL_HPP

#include <blocq/gguf/reader.hpp>
#include <blocq/gguf/scale.hpp>
#include <blocq/gguf/split.hpp>
#include <blocq/gguf/validate.hpp>
#include <blocq/gguf/weights.hpp>
#include <blocq/gguf/writer.hpp>

#endif
