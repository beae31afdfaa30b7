// ggml's processor backend as its users run it: a graph with one product of matrices on one thread, and the row
// functions of its type traits. Everything is loaded at run time; the declarations are what the public headers promise.
#ifndef BLOCQ_BENCH_BACKEND_HPP
#define BLOCQ_BENCH_BACKEND_HPP

#include <ggml.hpp>

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace bench {

// struct ggml_type_traits_cpu
struct row_functions {
  void (*from_float)(const float* x, void* blocks, std::int64_t elements);
  void (*dot)(int elements, float* sum, std::size_t, const void* w, std::size_t, const void* x, std::size_t, int count);
  int dot_operand;
  std::int64_t at_once;
};

// The builds of the backend that come in the package, chosen by what this program was compiled for.
inline const char* library_name() {
#if defined(__AMX_INT8__) && defined(__AVX512BF16__)
  return "libggml-cpu-sapphirerapids.so";
#elif defined(__AVX512BF16__) && defined(__AVX512VNNI__)
  return "libggml-cpu-zen4.so";
#elif defined(__AVX512VBMI__) && defined(__AVX512VNNI__)
  return "libggml-cpu-icelake.so";
#elif defined(__AVX512F__)
  return "libggml-cpu-skylakex.so";
#elif defined(__AVX2__)
  return "libggml-cpu-haswell.so";
#elif defined(__ARM_FEATURE_MATMUL_INT8)
  return "libggml-cpu-armv8.6_1.so";
#elif defined(__ARM_FEATURE_DOTPROD)
  return "libggml-cpu-armv8.2_1.so";
#elif defined(__aarch64__)
  return "libggml-cpu-armv8.0_1.so";
#else
  return "libggml-cpu-x64.so";
#endif
}

class backend : public ggml::library {
 public:
  explicit backend(const std::string& directory) : library(directory) {
    if (!*this) return;
    void* const base = dlopen((directory + "/libggml-base.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    void* const cpu = dlopen((directory + '/' + library_name()).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (cpu == nullptr) {
      error_ = dlerror();
      return;
    }
    symbol(base, "ggml_init", init_context_);
    symbol(base, "ggml_free", free_context_);
    symbol(base, "ggml_new_tensor_2d", new_tensor_);
    symbol(base, "ggml_mul_mat", multiply_);
    symbol(base, "ggml_new_graph", new_graph_);
    symbol(base, "ggml_build_forward_expand", expand_);
    symbol(base, "ggml_backend_alloc_ctx_tensors_from_buft", allocate_);
    symbol(base, "ggml_backend_buffer_free", free_buffer_);
    symbol(base, "ggml_backend_get_default_buffer_type", default_buffers_);
    symbol(base, "ggml_backend_supports_op", supports_);
    symbol(base, "ggml_backend_tensor_set", set_);
    symbol(base, "ggml_backend_tensor_get", get_);
    symbol(base, "ggml_backend_graph_compute", compute_);
    symbol(cpu, "ggml_get_type_traits_cpu", row_functions_);
    void* (*make_backend)() = nullptr;
    void (*set_threads)(void*, int) = nullptr;
    void* (*registry)() = nullptr;
    void* (*device)(void*, std::size_t) = nullptr;
    void* (*find)(void*, const char*) = nullptr;
    symbol(cpu, "ggml_backend_cpu_init", make_backend);
    symbol(cpu, "ggml_backend_cpu_set_n_threads", set_threads);
    symbol(cpu, "ggml_backend_cpu_reg", registry);
    symbol(base, "ggml_backend_reg_dev_get", device);
    symbol(base, "ggml_backend_reg_get_proc_address", find);
    void (*set_log)(void (*)(int, const char*, void*), void*) = nullptr;
    symbol(base, "ggml_log_set", set_log);
    if (!*this) return;
    set_log([](int, const char*, void*) {}, nullptr);
    backend_ = make_backend();
    set_threads(backend_, 1);
    buffer_types_ = {default_buffers_(backend_)};
    const auto extra = reinterpret_cast<void** (*)(void*)>(find(registry(), "ggml_backend_dev_get_extra_bufts"));
    if (extra != nullptr)
      for (void** type = extra(device(registry(), 0)); type != nullptr && *type != nullptr; ++type)
        buffer_types_.push_back(*type);
  }

  const row_functions& rows_of(int type) const { return *row_functions_(type); }

  // Y = X * W^T, ready to run, for every type of buffer that takes W: as it is, and with the backend's own order of
  // the blocks. `weights` are the wire bytes of m rows of k elements.
  struct product {
    std::function<void()> run;
    std::function<void(float*)> result;  // n rows of m
  };
  std::vector<product> products(int type, const void* weights, std::size_t bytes, std::size_t m, std::size_t k,
                                const float* x, std::size_t n) const {
    std::vector<product> all;
    for (void* buffers : buffer_types_) {
      const auto g = std::make_shared<graph>(*this);
      const auto in = [](std::size_t v) { return static_cast<std::int64_t>(v); };
      void* const w = new_tensor_(g->weights, type, in(k), in(m));
      g->buffers[0] = allocate_(g->weights, buffers);
      void* const input = new_tensor_(g->rest, 0, in(k), in(n));
      void* const y = multiply_(g->rest, w, input);
      g->buffers[1] = allocate_(g->rest, buffer_types_[0]);
      if (g->buffers[0] == nullptr || g->buffers[1] == nullptr || !supports_(backend_, y)) continue;
      set_(w, weights, 0, bytes);
      set_(input, x, 0, n * k * sizeof(float));
      void* const nodes = new_graph_(g->rest);
      expand_(nodes, y);
      all.push_back({[this, g, nodes] { compute_(backend_, nodes); },
                     [this, g, y, m, n](float* out) { get_(y, out, 0, m * n * sizeof(float)); }});
    }
    return all;
  }

 private:
  struct parameters {
    std::size_t size;
    void* memory;
    bool no_alloc;
  };
  struct graph {
    const backend& owner;
    void *weights, *rest;
    void* buffers[2] = {};
    explicit graph(const backend& p) : owner(p) {
      weights = p.init_context_({1 << 16, nullptr, true});
      rest = p.init_context_({1 << 20, nullptr, true});
    }
    graph(const graph&) = delete;
    graph& operator=(const graph&) = delete;
    ~graph() {
      for (void* buffer : buffers)
        if (buffer != nullptr) owner.free_buffer_(buffer);
      owner.free_context_(weights);
      owner.free_context_(rest);
    }
  };

  void* backend_ = nullptr;
  std::vector<void*> buffer_types_;
  const row_functions* (*row_functions_)(int) = nullptr;
  void* (*init_context_)(parameters) = nullptr;
  void (*free_context_)(void*) = nullptr;
  void* (*new_tensor_)(void*, int, std::int64_t, std::int64_t) = nullptr;
  void* (*multiply_)(void*, void*, void*) = nullptr;
  void* (*new_graph_)(void*) = nullptr;
  void (*expand_)(void*, void*) = nullptr;
  void* (*allocate_)(void*, void*) = nullptr;
  void (*free_buffer_)(void*) = nullptr;
  void* (*default_buffers_)(void*) = nullptr;
  bool (*supports_)(void*, const void*) = nullptr;
  void (*set_)(void*, const void*, std::size_t, std::size_t) = nullptr;
  void (*get_)(const void*, void*, std::size_t, std::size_t) = nullptr;
  int (*compute_)(void*, void*) = nullptr;
};

}  // namespace bench

#endif
