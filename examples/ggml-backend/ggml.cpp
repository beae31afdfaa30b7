#include "ggml.hpp"

#include <dlfcn.h>

namespace ggml {

const char* find_library(const void* caller, library& to) {
  Dl_info from{};
  void* handle = nullptr;
  if (dladdr(caller, &from) != 0) handle = dlopen(from.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  const char* missing = nullptr;
  const auto find = [&]<class F>(F*& f, const char* name) {
    void* p = handle != nullptr ? dlsym(handle, name) : nullptr;
    if (p == nullptr) p = dlsym(RTLD_DEFAULT, name);
    if (p == nullptr) missing = name;
    f = reinterpret_cast<F*>(p);
  };
#define FIND(name) find(to.name, "ggml_" #name)
  FIND(backend_reg_count);
  FIND(backend_reg_get);
  FIND(backend_reg_name);
  FIND(backend_reg_dev_get);
  FIND(backend_reg_get_proc_address);
  FIND(backend_dev_get_props);
  FIND(backend_dev_supports_op);
  FIND(backend_dev_init);
  FIND(backend_free);
  FIND(backend_graph_compute);
  FIND(backend_buft_is_host);
  FIND(backend_buffer_init);
  FIND(graph_nodes);
  FIND(graph_n_nodes);
  FIND(init);
  FIND(free);
  FIND(new_tensor_3d);
  FIND(mul_mat);
  FIND(mul_mat_id);
  FIND(flash_attn_ext);
  FIND(custom_4d);
  FIND(nbytes);
  FIND(threadpool_params_init);
#undef FIND
  if (handle != nullptr) dlclose(handle);
  return missing;
}

}  // namespace ggml
