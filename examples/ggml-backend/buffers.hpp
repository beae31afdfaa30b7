// Memory of ours that ggml puts weights into. By default the bytes as they lie in the file: mapped, and host memory to
// everybody.
#ifndef BUFFERS_HPP
#define BUFFERS_HPP

#include "ggml.hpp"

namespace buffers {

// The type of our buffers, for the version of the interface that `library` has. Called once, before all else here.
void initialize(const ggml::library&, int api_version, ggml::device*);

ggml::buffer_type* type() noexcept;
// A buffer over memory of somebody else's.
ggml::buffer* over(void* memory, std::size_t size) noexcept;

}  // namespace buffers

#endif
