// Keys and values rotated before a cache takes them, which spreads what a few channels hold over all of them, so that
// blocks lose less: q . k = (q R) . (k R), and a mixture of values v R is that of the values, times R. The same calls
// as those of the cache. QuaRot (Ashkboos et al., 2024) does this to its caches.
#ifndef BLOCQ_KV_ROTATED_HPP
#define BLOCQ_KV_ROTATED_HPP

#include <blocq/core/error.hpp>

#include <span>
#include <utility>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::kv {

// Cache: rows, kivi. Rotation: an orthogonal map of rows of numbers with size(), apply(row) and undo(row), such as
// calib::rotation.
template <class Cache, class Rotation>
class rotated {
 public:
  // The cache's errors, and errc::size_mismatch if the rotation is for rows of another width. `options` are the
  // cache's.
  template <class... Options>
  static result<rotated> create(std::size_t width, Rotation rotation, const Options&... options) {
    if (rotation.size() != width)
      return error(errc::size_mismatch) << "a rotation of " << rotation.size() << " channels for a width of " << width;
    auto cache = Cache::create(width, options...);
    if (!cache) return cache.error();
    return rotated(*std::move(cache), std::move(rotation));
  }

  std::size_t size() const noexcept { return cache_.size(); }
  std::size_t width() const noexcept { return cache_.width(); }
  std::size_t bytes() const noexcept { return cache_.bytes(); }
  void clear() noexcept { cache_.clear(); }

  // As the cache's, a copy of what is appended beside it: where there is no memory for that (std::bad_alloc) the cache
  // is as before.
  auto append(std::span<const float> keys, std::span<const float> values) {
    std::vector<float> k = all_rotated(keys), v = all_rotated(values);
    return cache_.append(k, v);
  }
  // As the cache's, for a query in floats; std::bad_alloc if there is no memory for `width` numbers.
  void scores(std::span<const float> q, std::span<float> out) const { cache_.scores(all_rotated(q), out); }
  void mix(std::span<const float> p, std::span<float> out) const {
    cache_.mix(p, out);
    rotation_.undo(out);
  }

  // Token t as it is remembered, turned back. Precondition: out has width() numbers.
  void key(std::size_t t, std::span<float> out) const {
    cache_.key(t, out);
    rotation_.undo(out);
  }
  void value(std::size_t t, std::span<float> out) const {
    cache_.value(t, out);
    rotation_.undo(out);
  }

 private:
  rotated(Cache cache, Rotation rotation) : cache_(std::move(cache)), rotation_(std::move(rotation)) {}

  std::vector<float> all_rotated(std::span<const float> rows) const {
    std::vector<float> out(rows.begin(), rows.end());
    for (std::size_t at = 0; at < out.size(); at += width()) rotation_.apply(std::span(out).subspan(at, width()));
    return out;
  }

  Cache cache_;
  Rotation rotation_;
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::kv

#endif
