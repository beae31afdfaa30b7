#include "buffers.hpp"

#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

namespace buffers {

namespace {

constexpr std::size_t alignment = 64;
constexpr char interleaved_mark = 0;  // its address, in a tensor's `extra`

const ggml::library* library;
const kernel_table* kernels;
bool interleave_weights;
ggml::buffer_type_of<2> type2;
ggml::buffer_type_of<3> type3;
ggml::buffer_type* the_type;

std::byte* at(const ggml::tensor* t, std::size_t offset) { return static_cast<std::byte*>(t->data) + offset; }
const ggml::tensor* owner_of(const ggml::tensor* t) { return t->view_src != nullptr ? t->view_src : t; }

// ---- the file's bytes of interleaved tensors ----

// One matrix after the other: the experts of a layer.
template <class Change>
void change_order(const ggml::tensor& t, const std::byte* from, std::byte* to, Change change) {
  const kernel& k = *interleaving(t);
  const auto columns = static_cast<std::size_t>(t.ne[0]) / k.block_size, rows = static_cast<std::size_t>(t.ne[1]);
  for (std::int64_t i = 0; i < t.ne[2] * t.ne[3]; ++i) {
    const std::size_t matrix = static_cast<std::size_t>(i) * t.nb[2];
    (k.*change)(from + matrix, rows, columns, to + matrix);
  }
}
void interleave(ggml::tensor* t, const void* from) {
  change_order(*t, static_cast<const std::byte*>(from), at(t, 0), &kernel::interleave);
  t->extra = const_cast<char*>(&interleaved_mark);
}
std::vector<std::byte> bytes_of(const ggml::tensor& t) {
  std::vector<std::byte> all(library->nbytes(&t));
  change_order(t, at(&t, 0), all.data(), &kernel::deinterleave);
  return all;
}
// f changes the bytes of t, or of what t is a view of, from `offset` of t on.
template <class F>
void edit(ggml::tensor* t, std::size_t offset, F&& f) {
  ggml::tensor* const owner = t->view_src != nullptr ? t->view_src : t;
  if (!is_interleaved(*owner)) return f(at(t, offset));
  std::vector<std::byte> all = bytes_of(*owner);
  f(all.data() + (at(t, offset) - at(owner, 0)));
  interleave(owner, all.data());
}

// ---- buffers ----

void free_nothing(ggml::buffer*) {}
void free_memory(ggml::buffer* b) { ::operator delete (b->context, std::align_val_t{alignment}); }
void* base(ggml::buffer* b) { return b->context; }
void memset_tensor(ggml::buffer*, ggml::tensor* t, std::uint8_t value, std::size_t offset, std::size_t size) {
  edit(t, offset, [&](std::byte* to) { std::memset(to, value, size); });
}
void set_tensor(ggml::buffer* b, ggml::tensor* t, const void* from, std::size_t offset, std::size_t size) {
  const bool whole = offset == 0 && t->view_src == nullptr && size == library->nbytes(t);
  if (whole && b->usage == ggml::usage::weights && interleaving(*t) != nullptr) return interleave(t, from);
  edit(t, offset, [&](std::byte* to) { std::memcpy(to, from, size); });
}
void get_tensor(ggml::buffer*, const ggml::tensor* t, void* to, std::size_t offset, std::size_t size) {
  const ggml::tensor* const owner = owner_of(t);
  if (is_interleaved(*owner))
    std::memcpy(to, bytes_of(*owner).data() + (at(t, offset) - at(owner, 0)), size);
  else
    std::memcpy(to, at(t, offset), size);
}
bool copy_tensor(ggml::buffer*, const ggml::tensor* from, ggml::tensor* to) {
  if (!library->backend_buft_is_host(owner_of(from)->buffer->type)) return false;
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
  f.cpy_tensor = interleave_weights ? nullptr : copy_tensor;
  f.clear = clear;
  return library->backend_buffer_init(the_type, f, memory, size);
}

// ---- their type ----

const char* name(ggml::buffer_type*) { return interleave_weights ? "blocq_interleaved" : "blocq"; }
ggml::buffer* allocate(ggml::buffer_type*, std::size_t size) {
  void* const memory = ::operator new (size != 0 ? size : 1, std::align_val_t{alignment}, std::nothrow);
  return memory != nullptr ? make(memory, size, free_memory) : nullptr;
}
std::size_t get_alignment(ggml::buffer_type*) { return alignment; }
bool is_host(ggml::buffer_type*) { return !interleave_weights; }

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

void initialize(const ggml::library& from, const kernel_table& table, int api_version, ggml::device* device,
                bool interleave) {
  library = &from;
  kernels = &table;
  interleave_weights = interleave;
  if (api_version == 2)
    fill(type2, device);
  else
    fill(type3, device);
}

ggml::buffer_type* type() noexcept { return the_type; }
ggml::buffer* over(void* memory, std::size_t size) noexcept { return make(memory, size, free_nothing); }

bool is_readable(ggml::buffer_type* t) noexcept { return library->backend_buft_is_host(t); }
bool is_ours(const ggml::tensor& t) noexcept {
  const ggml::buffer* const b = owner_of(&t)->buffer;
  return b != nullptr && b->type == the_type && b->usage != ggml::usage::compute;
}
bool may_interleave(const ggml::tensor& t) noexcept { return interleave_weights && is_ours(t); }
bool is_interleaved(const ggml::tensor& t) noexcept { return t.extra == &interleaved_mark; }
const kernel* interleaving(const ggml::tensor& t) noexcept {
  const kernel* const k = interleave_weights ? kernels->find(t.type) : nullptr;
  if (k == nullptr || k->interleave == nullptr || t.ne[1] % 8 != 0) return nullptr;
  const bool dense = t.nb[1] == static_cast<std::size_t>(t.ne[0]) / k->block_size * k->block_bytes &&
                     t.nb[2] == t.nb[1] * static_cast<std::size_t>(t.ne[1]);
  return dense ? k : nullptr;
}

}  // namespace buffers
