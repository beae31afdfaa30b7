// A second unit, for what has to go together with the first: files.
#include <blocq/blocq.hpp>
#include <blocq/checkpoint/all.hpp>
#include <blocq/gguf/all.hpp>
#include <blocq/safetensors/all.hpp>

bool read_nothing();
bool read_nothing() { return !blocq::gguf::reader::parse({}) && !blocq::safetensors::reader::parse({}); }
