// Files of the operating system, under the names that they had when only GGUF files were read and written.
#ifndef BLOCQ_GGUF_FILE_HPP
#define BLOCQ_GGUF_FILE_HPP

#include <blocq/file/file.hpp>

namespace blocq::gguf::inline v0::inline BLOCQ_ISA {

using blocq::mapped_file;
using blocq::output_file;

}  // namespace blocq::gguf::inline v0::inline BLOCQ_ISA

#endif
