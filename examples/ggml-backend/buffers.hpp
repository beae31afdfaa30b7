// Memory of ours that ggml puts weights into: by default as they lie in the file, mapped, and host memory to everybody;
// or eight rows side by side (blocq/op/interleave.hpp), which only we can read: everybody else is given the file's
// bytes.
#ifndef BUFFERS_HPP
#define BUFFERS_HPP

#include "ggml.hpp"
#include "kernels.hpp"

namespace buffers {

// The type of our buffers, for the version of the interface that `library` has. Called once, before all else here.
void initialize(const ggml::library&, const kernel_table&, int api_version, ggml::device*, bool interleave);

ggml::buffer_type* type() noexcept;
// A buffer over memory of somebody else's; not where rows are interleaved.
ggml::buffer* over(void* memory, std::size_t size) noexcept;

// True if somebody other than we can read the tensors of such a buffer.
bool is_readable(ggml::buffer_type*) noexcept;
// True if t is a weight, or may become one, in a buffer of ours; if it may be interleaved there; and if it is.
bool is_ours(const ggml::tensor& t) noexcept;
bool may_interleave(const ggml::tensor& t) noexcept;
bool is_interleaved(const ggml::tensor& t) noexcept;
// The kernel that takes t's rows in that order; null if they stay as they are.
const kernel* interleaving(const ggml::tensor& t) noexcept;

}  // namespace buffers

#endif
