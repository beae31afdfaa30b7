// Safetensors files in memory: reading, writing, shards. The operating system's files are in <blocq/file/file.hpp>,
// which this header leaves out.
#ifndef BLOCQ_SAFETENSORS_ALL_HPP
#define BLOCQ_SAFETENSORS_ALL_HPP

#include <blocq/safetensors/reader.hpp>
#include <blocq/safetensors/shards.hpp>
#include <blocq/safetensors/writer.hpp>

#endif
