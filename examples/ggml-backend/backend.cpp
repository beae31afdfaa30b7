// The plug-in: a registration with one device, an accelerator beside the CPU, whose backend runs graphs on ggml's own
// CPU backend with blocq's products in them.
//
//   BLOCQ_OFF=q4_k,f16,...   formats that are left to ggml; `experts` for products by expert, `all` for everything
//   BLOCQ_ISA=avx2           the newest instruction set to use
//   BLOCQ_BUFFER=interleave  weights eight rows side by side, in memory of their own, instead of the mapped file
//   BLOCQ_VERBOSE=1          says on standard error what is taken
#include "buffers.hpp"
#include "ggml.hpp"
#include "kernels.hpp"
#include "products.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace {

using blocq::dispatch::arch;

struct plugin {
  ggml::library ggml;
  operations numbers;
  std::optional<kernel_table> kernels;
  ggml::registration* cpu = nullptr;
  ggml::device* cpu_device = nullptr;
  bool openmp = false;
  bool verbose = false;
  std::string description;

  ggml::registration registration{};
  ggml::device device{};
};
plugin self;

const char* environment(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

template <class F>
F* cpu_function(const char* name) {
  return reinterpret_cast<F*>(self.ggml.backend_reg_get_proc_address(self.cpu, name));
}

// ---- the backend ----

struct stream {
  ggml::backend handle{};
  ggml::backend* cpu = nullptr;
  ggml::threadpool* threads = nullptr;
  int thread_count = 0, pool_size = 0;
  products work{self.ggml, self.numbers, *self.kernels};
  std::set<std::string> told;  // what has been said to be taken

  stream() = default;
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;
  ~stream() {
    if (cpu != nullptr) self.ggml.backend_free(cpu);
    free_threads();
  }

  void free_threads() {
    const auto free = cpu_function<void(ggml::threadpool*)>("ggml_threadpool_free");
    if (threads != nullptr) free(threads);
    threads = nullptr;
  }
  // ggml makes threads for each graph unless it is given some to keep; with OpenMP it has them anyway.
  void set_threads(int count) {
    thread_count = std::max(count, 1);
    cpu_function<void(ggml::backend*, int)>("ggml_backend_set_n_threads")(cpu, thread_count);
    const auto make = cpu_function<ggml::threadpool*(ggml::threadpool_parameters*)>("ggml_threadpool_new");
    const auto set = cpu_function<void(ggml::backend*, ggml::threadpool*)>("ggml_backend_cpu_set_threadpool");
    const auto free = cpu_function<void(ggml::threadpool*)>("ggml_threadpool_free");
    if (self.openmp || thread_count <= std::max(pool_size, 1) || make == nullptr || set == nullptr || free == nullptr)
      return;
    ggml::threadpool_parameters parameters{};
    self.ggml.threadpool_params_init(&parameters, thread_count);
    set(cpu, nullptr);
    free_threads();
    threads = make(&parameters);
    set(cpu, threads);
    pool_size = thread_count;
  }
};

stream& stream_of(ggml::backend* b) { return *static_cast<stream*>(b->context); }

void tell(stream& s, ggml::graph* graph) {
  ggml::tensor** const nodes = self.ggml.graph_nodes(graph);
  for (int i = 0; i < self.ggml.graph_n_nodes(graph); ++i) {
    const kernel* const k = kernel_for(self.numbers, *self.kernels, *nodes[i]);
    if (k == nullptr) continue;
    const ggml::tensor& w = *nodes[i]->src[0];
    if (s.told.insert(w.name).second)
      std::fprintf(stderr, "blocq: takes %s, %s, %lld x %lld x %lld\n", w.name, k->name,
                   static_cast<long long>(w.ne[0]), static_cast<long long>(w.ne[1]),
                   static_cast<long long>(w.ne[2] * w.ne[3]));
  }
}

ggml::status compute(ggml::backend* b, ggml::graph* graph) {
  stream& s = stream_of(b);
  try {
    if (self.verbose) tell(s, graph);
    s.work.replace(graph, s.thread_count);
  } catch (const std::bad_alloc&) {
    return ggml::status::allocation_failed;
  }
  const ggml::status status = self.ggml.backend_graph_compute(s.cpu, graph);
  s.work.restore(graph);
  return status;
}

// ---- the device ----

constexpr const char* plugin_name = "blocq";

const char* device_name(ggml::device*) { return plugin_name; }
const char* device_description(ggml::device*) { return self.description.c_str(); }

void device_properties(ggml::device*, ggml::device_properties* to) {
  self.ggml.backend_dev_get_props(self.cpu_device, to);
  to->name = plugin_name;
  to->description = self.description.c_str();
  to->type = ggml::device_type::accelerator;
  to->buffer_from_host_pointer = self.device.functions.buffer_from_host_pointer != nullptr;
}
void device_memory(ggml::device* d, std::size_t* free, std::size_t* total) {
  ggml::device_properties p{};
  device_properties(d, &p);
  *free = p.memory_free;
  *total = p.memory_total;
}

ggml::backend* device_backend(ggml::device* device, const char*) {
  static constexpr std::uint8_t guid[16] = {0xb1, 0x0c, 0x90, 0x67, 0x67, 0x6d, 0x6c, 0x4d,
                                            0x85, 0x3e, 0x1d, 0x52, 0xa9, 0x0f, 0x37, 0xc4};
  try {
    auto s = std::make_unique<stream>();
    s->cpu = self.ggml.backend_dev_init(self.cpu_device, nullptr);
    if (s->cpu == nullptr) return nullptr;
    s->set_threads(4);  // as many as ggml takes unless it is told
    s->handle.guid = &guid;
    s->handle.functions.get_name = [](ggml::backend*) { return plugin_name; };
    s->handle.functions.free = [](ggml::backend* b) { delete &stream_of(b); };
    s->handle.functions.graph_compute = compute;
    s->handle.device = device;
    s->handle.context = s.get();
    return &s.release()->handle;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

// All that the CPU can is taken, so that a graph need not change hands. But where the CPU's threads are OpenMP's, and a
// change is cheap, attention is left to it: llama.cpp by itself uses flash attention only if it runs on the device that
// has the layer.
bool supports_op(ggml::device*, const ggml::tensor* op) {
  if (self.openmp && op->op == self.numbers.flash_attn_ext) return false;
  const bool is_product = op->op == self.numbers.mul_mat || op->op == self.numbers.mul_mat_id;
  const bool taken = kernel_for(self.numbers, *self.kernels, *op) != nullptr;
  // Weights that blocq does not multiply are better off where ggml packs them.
  if (is_product && !taken && op->src[0] != nullptr && buffers::is_ours(*op->src[0])) return false;
  for (const ggml::tensor* source : op->src)
    if (source != nullptr && buffers::may_interleave(*source) && (source != op->src[0] || !taken)) return false;
  return self.ggml.backend_dev_supports_op(self.cpu_device, op);
}

// ---- the registration ----

void set_threads(ggml::backend* b, int threads) { stream_of(b).set_threads(threads); }
void set_abort_callback(ggml::backend* b, bool (*callback)(void*), void* data) {
  const auto set = cpu_function<void(ggml::backend*, bool (*)(void*), void*)>("ggml_backend_set_abort_callback");
  if (set != nullptr) set(stream_of(b).cpu, callback, data);
}
void* get_function(ggml::registration*, const char* name) {
  if (std::strcmp(name, "ggml_backend_set_n_threads") == 0) return reinterpret_cast<void*>(set_threads);
  if (std::strcmp(name, "ggml_backend_set_abort_callback") == 0) return reinterpret_cast<void*>(set_abort_callback);
  return nullptr;
}

bool has_openmp() {
  struct feature {
    const char *name, *value;
  };
  const auto features = cpu_function<feature*(ggml::registration*)>("ggml_backend_get_features");
  if (features == nullptr) return false;
  for (const feature* f = features(self.cpu); f->name != nullptr; ++f)
    if (std::strcmp(f->name, "OPENMP") == 0) return true;
  return false;
}

// The number of an operation, of a node made for the purpose; and whether ggml's tensors are what we think they are.
bool ask_numbers() {
  ggml::context* const context = self.ggml.init({std::size_t{1} << 14, nullptr, true});
  if (context == nullptr) return false;
  ggml::tensor* const w = self.ggml.new_tensor_3d(context, ggml::f32, 8, 16, 2);
  ggml::tensor* const x = self.ggml.new_tensor_3d(context, ggml::f32, 8, 4, 2);
  ggml::tensor* const ids = self.ggml.new_tensor_3d(context, ggml::i32, 4, 2, 1);
  const ggml::tensor* const product = self.ggml.mul_mat(context, w, x);
  const ggml::tensor* const by_expert = self.ggml.mul_mat_id(context, w, x, ids);
  const ggml::tensor* const attention = self.ggml.flash_attn_ext(context, x, x, x, nullptr, 1, 0, 0);
  const auto is = [](const ggml::tensor* t, std::int64_t n0, std::int64_t n1, std::int64_t n2) {
    return t->type == ggml::f32 && t->ne[0] == n0 && t->ne[1] == n1 && t->ne[2] == n2 && t->ne[3] == 1 &&
           t->nb[0] == 4 && t->nb[1] == 4 * static_cast<std::size_t>(n0) && t->buffer == nullptr &&
           t->data == nullptr && t->view_src == nullptr && t->extra == nullptr;
  };
  const bool known = is(w, 8, 16, 2) && is(product, 16, 4, 2) && product->src[0] == w && product->src[1] == x &&
                     product->src[2] == nullptr && is(by_expert, 16, 4, 2) && by_expert->src[2] == ids &&
                     ids->type == ggml::i32;
  self.numbers = {product->op, by_expert->op, attention->op, true};
  self.ggml.free(context);
  return known;
}

std::optional<arch> arch_called(std::string_view wanted) {
  for (int i = 0; i <= static_cast<int>(arch::i8mm); ++i)
    if (wanted == name(static_cast<arch>(i))) return static_cast<arch>(i);
  return std::nullopt;
}

ggml::registration* refuse(const std::string& why) {
  std::fprintf(stderr, "blocq: not loaded: %s\n", why.c_str());
  return nullptr;
}

// Takes what the list names off the table.
std::optional<std::string> turn_off(std::string_view list) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view entry = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    bool found = entry == "all";
    if (entry == "experts") self.numbers.by_expert = false, found = true;
    for (const kernel*& k : self.kernels->of_type)
      if (k != nullptr && (entry == "all" || entry == k->name)) k = nullptr, found = true;
    if (!found) return "BLOCQ_OFF names '" + std::string(entry) + "', which is no format that is multiplied here";
  }
  return std::nullopt;
}

ggml::registration* load(const void* caller) {
  if (self.registration.api_version != 0) return &self.registration;
  if (const char* missing = ggml::find_library(caller, self.ggml))
    return refuse("this ggml has no function " + std::string(missing));
  for (std::size_t i = 0; i < self.ggml.backend_reg_count() && self.cpu == nullptr; ++i)
    if (ggml::registration* r = self.ggml.backend_reg_get(i); std::strcmp(self.ggml.backend_reg_name(r), "CPU") == 0)
      self.cpu = r;
  if (self.cpu == nullptr) return refuse("ggml's CPU backend has to be loaded before");
  const int version = self.cpu->api_version;
  if (version != 2 && version != 3)
    return refuse("this ggml's interface of plug-ins is of version " + std::to_string(version) + "; 2 and 3 are known");
  self.cpu_device = self.ggml.backend_reg_dev_get(self.cpu, 0);
  self.openmp = has_openmp();
  if (cpu_function<void()>("ggml_backend_set_n_threads") == nullptr)
    return refuse("the number of threads of this ggml's CPU backend cannot be set");
  if (!ask_numbers()) return refuse("this ggml's tensors are not laid out as known");

  arch limit = arch::i8mm;
  if (const char* wanted = environment("BLOCQ_ISA"); *wanted != 0) {
    const auto found = arch_called(wanted);
    if (!found) return refuse("BLOCQ_ISA is '" + std::string(wanted) + "', which is no instruction set");
    limit = *found;
  }
  self.kernels.emplace(limit);
  if (const auto wrong = turn_off(environment("BLOCQ_OFF"))) return refuse(*wrong);
  const char* const verbose = environment("BLOCQ_VERBOSE");
  self.verbose = *verbose != 0 && std::strcmp(verbose, "0") != 0;
  self.description = "blocq " + std::to_string(BLOCQ_VERSION_MAJOR) + "." + std::to_string(BLOCQ_VERSION_MINOR) + "." +
                     std::to_string(BLOCQ_VERSION_PATCH) + ", " + name(self.kernels->chosen);
  if (self.verbose) {
    std::fprintf(stderr, "%s: loaded; multiplies", self.description.c_str());
    for (const kernel* k : self.kernels->of_type)
      if (k != nullptr) std::fprintf(stderr, " %s", k->name);
    std::fprintf(stderr, "\n");
  }

  const std::string_view buffer = environment("BLOCQ_BUFFER");
  const bool interleave = buffer == "interleave";
  if (!interleave && !buffer.empty() && buffer != "file")
    return refuse("BLOCQ_BUFFER is '" + std::string(buffer) + "'; it may be 'file' or 'interleave'");
  buffers::initialize(self.ggml, *self.kernels, version, &self.device, interleave);
  ggml::device_functions& d = self.device.functions;
  d.get_name = device_name;
  d.get_description = device_description;
  d.get_memory = device_memory;
  d.get_type = [](ggml::device*) { return ggml::device_type::accelerator; };
  d.get_properties = device_properties;
  d.init_backend = device_backend;
  d.get_buffer_type = [](ggml::device*) { return buffers::type(); };
  if (!interleave)
    d.buffer_from_host_pointer = [](ggml::device*, void* memory, std::size_t size, std::size_t) {
      return buffers::over(memory, size);
    };
  d.supports_op = supports_op;
  d.supports_buffer_type = [](ggml::device*, ggml::buffer_type* t) {
    return t == buffers::type() || buffers::is_readable(t);
  };
  self.device.registration = &self.registration;

  ggml::registration_functions& r = self.registration.functions;
  r.get_name = [](ggml::registration*) { return plugin_name; };
  r.get_device_count = [](ggml::registration*) { return std::size_t{1}; };
  r.get_device = [](ggml::registration*, std::size_t) { return &self.device; };
  r.get_proc_address = get_function;
  self.registration.api_version = version;
  return &self.registration;
}

}  // namespace

// What ggml looks for in a plug-in.
extern "C" __attribute__((visibility("default"))) ggml::registration* ggml_backend_init() {
  try {
    return load(__builtin_return_address(0));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
