// What a plug-in must know of ggml: the structs that cross the border, declared here because no package ships their
// header, and the functions that it calls, looked up in the library that loads it. Versions 2 and 3 of the interface
// of plug-ins (ggml_backend_reg.api_version) differ in the functions of a buffer type and are otherwise the same.
#ifndef GGML_HPP
#define GGML_HPP

#include <cstddef>
#include <cstdint>

namespace ggml {

struct backend;
struct buffer;
struct buffer_type;
struct context;
struct device;
struct graph;
struct registration;
struct threadpool;

enum class status : int { allocation_failed = -2, failed = -1, success = 0, aborted = 1 };
enum class usage : int { any, weights, compute };
enum class device_type : int { cpu, gpu, integrated_gpu, accelerator, meta };

inline constexpr int f32 = 0, i32 = 26;  // of the types; those of blocks are GGUF's (format_traits<B>::gguf_id)

struct tensor {
  int type;
  ggml::buffer* buffer;
  std::int64_t ne[4];  // elements, and
  std::size_t nb[4];   // bytes from one to the next (from one block to the next, in a row)
  int op;
  std::int32_t op_params[16];
  std::int32_t flags;
  tensor* src[10];
  tensor* view_src;
  std::size_t view_offset;
  void* data;
  char name[64];
  void* extra;  // the buffer's own
  char padding[8];
};
static_assert(sizeof(tensor) == 336 && offsetof(tensor, op) == 80 && offsetof(tensor, src) == 152 &&
              offsetof(tensor, data) == 248 && offsetof(tensor, extra) == 320);

// ---- buffers ----

template <int ApiVersion>
struct buffer_type_functions;
template <>
struct buffer_type_functions<2> {
  const char* (*get_name)(buffer_type*);
  buffer* (*alloc_buffer)(buffer_type*, std::size_t size);
  std::size_t (*get_alignment)(buffer_type*);
  std::size_t (*get_max_size)(buffer_type*);  // may be null, as may the next
  std::size_t (*get_alloc_size)(buffer_type*, const tensor*);
  bool (*is_host)(buffer_type*);
};
template <>
struct buffer_type_functions<3> {
  const char* (*get_name)(buffer_type*);
  buffer* (*alloc_buffer)(buffer_type*, std::size_t size);
  buffer* (*alloc_buffer_n)(buffer_type*, tensor**, int count);  // may be null
  std::size_t (*get_alignment)(buffer_type*);
  std::size_t (*get_max_size)(buffer_type*);  // may be null, as may the next two
  std::size_t (*get_alloc_size)(buffer_type*, const tensor*);
  std::size_t (*get_alloc_size_n)(buffer_type*, tensor**, int count);
  bool (*is_host)(buffer_type*);
};
template <int ApiVersion>
struct buffer_type_of {
  buffer_type_functions<ApiVersion> functions;
  ggml::device* device;
  void* context;
};
static_assert(offsetof(buffer_type_of<2>, functions.is_host) == 0x28 && sizeof(buffer_type_of<2>) == 0x40);
static_assert(offsetof(buffer_type_of<3>, functions.is_host) == 0x38 && sizeof(buffer_type_of<3>) == 0x50);

struct buffer_functions {
  void (*free_buffer)(buffer*);
  void* (*get_base)(buffer*);
  status (*init_tensor)(buffer*, tensor*);  // may be null
  void (*memset_tensor)(buffer*, tensor*, std::uint8_t value, std::size_t offset, std::size_t size);
  void (*set_tensor)(buffer*, tensor*, const void* from, std::size_t offset, std::size_t size);
  void (*get_tensor)(buffer*, const tensor*, void* to, std::size_t offset, std::size_t size);
  void (*set_tensor_2d)();  // may be null, as may all that are declared like this here: they stay so
  void (*get_tensor_2d)();
  bool (*cpy_tensor)(buffer*, const tensor* from, tensor* to);  // may be null
  void (*clear)(buffer*, std::uint8_t value);
  void (*reset)();
};

struct buffer {
  buffer_functions functions;
  buffer_type* type;
  void* context;
  std::size_t size;
  ggml::usage usage;
};
static_assert(offsetof(buffer, functions.clear) == 0x48 && offsetof(buffer, usage) == 0x70);

// ---- a stream of graphs, a device, a plug-in ----

struct backend_functions {
  const char* (*get_name)(backend*);
  void (*free)(backend*);
  void (*set_tensor_async)();
  void (*get_tensor_async)();
  void (*set_tensor_2d_async)();
  void (*get_tensor_2d_async)();
  void (*cpy_tensor_async)();
  void (*synchronize)();
  void (*graph_plan_create)();
  void (*graph_plan_free)();
  void (*graph_plan_update)();
  void (*graph_plan_compute)();
  status (*graph_compute)(backend*, graph*);
  void (*event_record)();
  void (*event_wait)();
  void (*graph_optimize)();
};

struct backend {
  const std::uint8_t (*guid)[16];
  backend_functions functions;
  ggml::device* device;
  void* context;
};
static_assert(offsetof(backend, functions.graph_compute) == 0x68 && offsetof(backend, device) == 0x88);

struct device_properties {
  const char* name;
  const char* description;
  std::size_t memory_free, memory_total;
  device_type type;
  const char* id;
  bool async, host_buffer, buffer_from_host_pointer, events, memory_map;
};
static_assert(sizeof(device_properties) == 56);

struct device_functions {
  const char* (*get_name)(device*);
  const char* (*get_description)(device*);
  void (*get_memory)(device*, std::size_t* free, std::size_t* total);
  device_type (*get_type)(device*);
  void (*get_properties)(device*, device_properties*);
  backend* (*init_backend)(device*, const char* parameters);
  buffer_type* (*get_buffer_type)(device*);
  void (*get_host_buffer_type)();
  buffer* (*buffer_from_host_pointer)(device*, void*, std::size_t size, std::size_t largest_tensor);  // may be null
  bool (*supports_op)(device*, const tensor*);
  bool (*supports_buffer_type)(device*, buffer_type*);
  void (*offload_op)();
  void (*event_new)();
  void (*event_free)();
  void (*event_synchronize)();
};

struct device {
  device_functions functions;
  ggml::registration* registration;
  void* context;
};
static_assert(offsetof(device, functions.supports_op) == 0x48 && sizeof(device) == 0x88);

struct registration_functions {
  const char* (*get_name)(registration*);
  std::size_t (*get_device_count)(registration*);
  device* (*get_device)(registration*, std::size_t);
  void* (*get_proc_address)(registration*, const char* name);
};

struct registration {
  int api_version;
  registration_functions functions;
  void* context;
};
static_assert(offsetof(registration, functions.get_proc_address) == 0x20);

// ---- what is called ----

struct init_parameters {
  std::size_t memory_size;
  void* memory;
  bool no_data;
};

struct threadpool_parameters {
  bool processors[512];
  int threads, priority;
  std::uint32_t poll;
  bool strict, paused;
};
static_assert(sizeof(threadpool_parameters) == 528);

using custom_op = void (*)(tensor*, int thread, int threads, void* user_data);
inline constexpr int all_threads = -1;

struct library {
  std::size_t (*backend_reg_count)();
  registration* (*backend_reg_get)(std::size_t);
  const char* (*backend_reg_name)(registration*);
  device* (*backend_reg_dev_get)(registration*, std::size_t);
  void* (*backend_reg_get_proc_address)(registration*, const char* name);
  void (*backend_dev_get_props)(device*, device_properties*);
  bool (*backend_dev_supports_op)(device*, const tensor*);
  backend* (*backend_dev_init)(device*, const char* parameters);
  void (*backend_free)(backend*);
  status (*backend_graph_compute)(backend*, graph*);
  bool (*backend_buft_is_host)(buffer_type*);
  buffer* (*backend_buffer_init)(buffer_type*, buffer_functions, void* context, std::size_t size);
  tensor** (*graph_nodes)(graph*);
  int (*graph_n_nodes)(graph*);
  context* (*init)(init_parameters);
  void (*free)(context*);
  tensor* (*new_tensor_3d)(context*, int type, std::int64_t, std::int64_t, std::int64_t);
  tensor* (*mul_mat)(context*, tensor* weights, tensor* x);
  tensor* (*mul_mat_id)(context*, tensor* weights, tensor* x, tensor* ids);
  tensor* (*flash_attn_ext)(context*, tensor* q, tensor* k, tensor* v, tensor* mask, float, float, float);
  tensor* (*custom_4d)(context*, int type, std::int64_t, std::int64_t, std::int64_t, std::int64_t, tensor** args,
                       int count, custom_op, int threads, void* user_data);
  std::size_t (*nbytes)(const tensor*);
  void (*threadpool_params_init)(threadpool_parameters*, int threads);
};

// The functions of the ggml that `caller`, an address, lies in, or that its libraries bring along: where ggml is loaded
// for one user alone (RTLD_LOCAL, as plug-ins of node are) no other way leads to it. The name of what is missing, or
// null.
const char* find_library(const void* caller, library& to);

}  // namespace ggml

#endif
