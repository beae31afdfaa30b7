// ggml's C interface, loaded at run time from the shared libraries that its users get (npm package
// @node-llama-cpp/linux-x64): the oracle of the encoder tests and the peer of the benchmarks. Nothing of ggml is
// compiled or linked; the declarations here are what its public header promises about its binary interface.
#ifndef BLOCQ_TESTS_GGML_HPP
#define BLOCQ_TESTS_GGML_HPP

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace ggml {

// struct ggml_type_traits
struct type_traits {
  const char* name;
  std::int64_t block_size;
  std::int64_t block_size_interleave;
  std::size_t block_bytes;
  bool is_quantized;
  void (*to_float)(const void* blocks, float* out, std::int64_t elements);
  void (*from_float_ref)(const float* x, void* blocks, std::int64_t elements);
};

// A type id is a GGUF type id (format_traits<B>::gguf_id). ggml aborts the process when it is asked for something it
// cannot do, so ask `converts` and `needs_importance` first. A library that was opened is never closed.
class library {
 public:
  // `directory` holds libggml-base.so. If it cannot be loaded the object is false and error() says why.
  explicit library(const std::string& directory) {
    void* const base = dlopen((directory + "/libggml-base.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    if (base == nullptr) {
      error_ = dlerror();
      return;
    }
    symbol(base, "ggml_get_type_traits", traits_);
    symbol(base, "ggml_quantize_init", init_);
    symbol(base, "ggml_quantize_requires_imatrix", requires_imatrix_);
    symbol(base, "ggml_quantize_chunk", quantize_chunk_);
  }

  explicit operator bool() const { return error_.empty(); }
  const std::string& error() const { return error_; }

  const type_traits& traits(int type) const { return *traits_(type); }
  // What ggml decodes it also encodes. The activation formats are not among them: ggml only ever makes those.
  bool converts(int type) const { return traits(type).to_float != nullptr; }
  bool needs_importance(int type) const { return requires_imatrix_(type); }

  // Encodes rows * columns floats; `importance` is null or one weight per column. Returns the bytes written.
  std::size_t quantize(int type, const float* x, void* blocks, std::size_t rows, std::size_t columns,
                       const float* importance) const {
    init_(type);
    return quantize_chunk_(type, x, blocks, 0, static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns),
                           importance);
  }

 protected:
  template <class F>
  void symbol(void* handle, const char* name, F& function) {
    function = reinterpret_cast<F>(dlsym(handle, name));
    if (function == nullptr) error_ = std::string("no symbol ") + name;
  }
  std::string error_;

 private:
  const type_traits* (*traits_)(int) = nullptr;
  void (*init_)(int) = nullptr;
  bool (*requires_imatrix_)(int) = nullptr;
  std::size_t (*quantize_chunk_)(int, const float*, void*, std::int64_t, std::int64_t, std::int64_t,
                                 const float*) = nullptr;
};

}  // namespace ggml

#endif
