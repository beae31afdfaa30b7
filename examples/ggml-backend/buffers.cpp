#include "buffers.hpp"

#include <cstdint>
#include <cstring>
#include <new>

namespace buffers {

namespace {

constexpr std::size_t alignment = 64;

const ggml::library* library;
ggml::buffer_type_of<2> type2;
ggml::buffer_type_of<3> type3;
ggml::buffer_type* the_type;

std::byte* at(const ggml::tensor* t, std::size_t offset) { return static_cast<std::byte*>(t->data) + offset; }

// ---- buffers ----

void free_nothing(ggml::buffer*) {}
void free_memory(ggml::buffer* b) { ::operator delete (b->context, std::align_val_t{alignment}); }
void* base(ggml::buffer* b) { return b->context; }
void memset_tensor(ggml::buffer*, ggml::tensor* t, std::uint8_t value, std::size_t offset, std::size_t size) {
  std::memset(at(t, offset), value, size);
}
void set_tensor(ggml::buffer*, ggml::tensor* t, const void* from, std::size_t offset, std::size_t size) {
  std::memcpy(at(t, offset), from, size);
}
void get_tensor(ggml::buffer*, const ggml::tensor* t, void* to, std::size_t offset, std::size_t size) {
  std::memcpy(to, at(t, offset), size);
}
bool copy_tensor(ggml::buffer*, const ggml::tensor* from, ggml::tensor* to) {
  const ggml::tensor* const owner = from->view_src != nullptr ? from->view_src : from;
  if (!library->backend_buft_is_host(owner->buffer->type)) return false;
  std::memcpy(to->data, from->data, library->nbytes(from));
  return true;
}
void clear(ggml::buffer* b, std::uint8_t value) { std::memset(b->context, value, b->size); }

ggml::buffer* make(void* memory, std::size_t size, void (*free_buffer)(ggml::buffer*)) {
  ggml::buffer_functions f{};
  f.free_buffer = free_buffer;
  f.get_base = base;
  f.memset_tensor = memset_tensor;
  f.set_tensor = set_tensor;
  f.get_tensor = get_tensor;
  f.cpy_tensor = copy_tensor;
  f.clear = clear;
  return library->backend_buffer_init(the_type, f, memory, size);
}

// ---- their type ----

const char* name(ggml::buffer_type*) { return "blocq"; }
ggml::buffer* allocate(ggml::buffer_type*, std::size_t size) {
  void* const memory = ::operator new (size != 0 ? size : 1, std::align_val_t{alignment}, std::nothrow);
  return memory != nullptr ? make(memory, size, free_memory) : nullptr;
}
std::size_t get_alignment(ggml::buffer_type*) { return alignment; }
bool is_host(ggml::buffer_type*) { return true; }

template <int ApiVersion>
void fill(ggml::buffer_type_of<ApiVersion>& type, ggml::device* device) {
  type.functions.get_name = name;
  type.functions.alloc_buffer = allocate;
  type.functions.get_alignment = get_alignment;
  type.functions.is_host = is_host;
  type.device = device;
  the_type = reinterpret_cast<ggml::buffer_type*>(&type);
}

}  // namespace

void initialize(const ggml::library& from, int api_version, ggml::device* device) {
  library = &from;
  if (api_version == 2)
    fill(type2, device);
  else
    fill(type3, device);
}

ggml::buffer_type* type() noexcept { return the_type; }
ggml::buffer* over(void* memory, std::size_t size) noexcept { return make(memory, size, free_nothing); }

}  // namespace buffers
