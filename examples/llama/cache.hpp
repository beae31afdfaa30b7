// The keys and values of one attention head in one layer, as floats or quantized.
#ifndef LLAMA_CACHE_HPP
#define LLAMA_CACHE_HPP

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llama {

// f32, f16, q8_0 or q4_0 each, with "+rotate" behind it after a Hadamard transform of a head's numbers; kivi4 or kivi2
// for both, also rotated; kvquant (3 bits), kvquant4 or kvquant2 each; think or minicache for both.
struct cache_kinds {
  std::string keys = "f32", values = keys;
};

// Encodes the position t of a token in its key. Does not throw.
using position_encoder = std::function<void(std::size_t t, std::span<float> key)>;

// What blocq/kv has, behind a name that a user can give. The kernels are instantiated in cache.cpp and nowhere else.
class cache {
 public:
  // Of so many layers, the lowest first, one for each head. `positions`: needed by caches that take bare keys. Throws
  // std::runtime_error if there are no such caches for heads of this width.
  static std::vector<cache> make(const cache_kinds& kinds, std::size_t layers, std::size_t heads, std::size_t width,
                                 const position_encoder& positions);
  cache(cache&&) noexcept;
  // Whether keys come without their positions, which the cache encodes when it compares them.
  static bool takes_bare_keys(std::string_view kind);
  // Whether layers share a cache, so that a token is what it will be only when all layers have it: what is to be
  // measured comes token by token.
  static bool shares_layers(std::string_view kind);
  // How many tokens a cache of this kind holds in binary16 before it quantizes any; 0 for most kinds.
  static std::size_t kept_exact(std::string_view kind);
  ~cache();

  std::size_t size() const;
  std::size_t bytes() const;
  void clear();
  void append(std::span<const float> key, std::span<const float> value);
  // out[t] = q . key t
  void scores(std::span<const float> q, std::span<float> out);
  // out = sum of p[t] * value t
  void mix(std::span<const float> p, std::span<float> out) const;

 private:
  struct any;
  struct layer_of_two;
  explicit cache(std::unique_ptr<any> a);
  static cache of_one_layer(const cache_kinds& kinds, std::size_t width, position_encoder positions);

  std::unique_ptr<any> any_;
};

}  // namespace llama

#endif
