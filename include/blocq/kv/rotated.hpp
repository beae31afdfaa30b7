// Keys and values rotated before a cache takes them, which spreads what a few channels hold over all of them, so that
// blocks lose less: q . k = (q R) . (k R), and a mixture of values v R is that of the values, times R. The same calls
// as those of the cache. QuaRot (Ashkboos et al., 2024) does this to its caches.
#ifndef BLOCQ_KV_ROTATED_HPP
#define BLOCQ_KV_ROTATED_HPP

#include <blocq/core/error.hpp>

#include <initializer_list>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::kv {

// Cache: rows, kivi. Rotation: an orthogonal map of rows of numbers with size(), apply(row) and undo(row), such as
// calib::rotation.
template <class Cache, class Rotation>
class rotated {
 public:
  // Rotates that which a rotation is given for. The cache's errors, and errc::size_mismatch if a rotation is for rows
  // of another width. `options` are the cache's.
  template <class... Options>
  static result<rotated> create(std::size_t width, std::optional<Rotation> keys, std::optional<Rotation> values,
                                const Options&... options) {
    for (const auto* r : {&keys, &values})
      if (*r && (*r)->size() != width)
        return error(errc::size_mismatch) << "a rotation of " << (*r)->size() << " channels for a width of " << width;
    auto cache = Cache::create(width, options...);
    if (!cache) return cache.error();
    return rotated(*std::move(cache), std::move(keys), std::move(values));
  }

  std::size_t size() const noexcept { return cache_.size(); }
  std::size_t width() const noexcept { return cache_.width(); }
  std::size_t bytes() const noexcept { return cache_.bytes(); }
  void clear() noexcept { cache_.clear(); }

  // As the cache's, a copy of what is rotated beside it: where there is no memory for that (std::bad_alloc) the cache
  // is as before.
  auto append(std::span<const float> keys, std::span<const float> values) {
    std::vector<float> k, v;
    return cache_.append(turned(keys_, keys, k), turned(values_, values, v));
  }
  // As the cache's, for a query in floats; std::bad_alloc if there is no memory for a copy of it.
  void scores(std::span<const float> q, std::span<float> out) const {
    std::vector<float> copy;
    cache_.scores(turned(keys_, q, copy), out);
  }
  void mix(std::span<const float> p, std::span<float> out) const {
    cache_.mix(p, out);
    if (values_) values_->undo(out);
  }

  // Token t as it is remembered, turned back. Precondition: out has width() numbers.
  void key(std::size_t t, std::span<float> out) const {
    cache_.key(t, out);
    if (keys_) keys_->undo(out);
  }
  void value(std::size_t t, std::span<float> out) const {
    cache_.value(t, out);
    if (values_) values_->undo(out);
  }

 private:
  rotated(Cache cache, std::optional<Rotation> keys, std::optional<Rotation> values)
      : cache_(std::move(cache)), keys_(std::move(keys)), values_(std::move(values)) {}

  // Rows as the cache is to take them: as they are, or rotated in `copy`.
  std::span<const float> turned(const std::optional<Rotation>& rotation, std::span<const float> rows,
                                std::vector<float>& copy) const {
    if (!rotation) return rows;
    copy.assign(rows.begin(), rows.end());
    for (std::size_t at = 0; at < copy.size(); at += width()) rotation->apply(std::span(copy).subspan(at, width()));
    return copy;
  }

  Cache cache_;
  std::optional<Rotation> keys_, values_;
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::kv

#endif
