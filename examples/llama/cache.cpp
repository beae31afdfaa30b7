#include "cache.hpp"

#include <blocq/calib/hadamard.hpp>
#include <blocq/kv/all.hpp>

#include <stdexcept>
#include <string>
#include <variant>

namespace llama {

namespace kv = blocq::kv;
using blocq::calib::rotation;

namespace {

// Each kind, and the same behind a rotation.
template <class... Caches>
using with_rotated = std::variant<Caches..., kv::rotated<Caches, rotation>...>;

}  // namespace

struct cache::any {
  with_rotated<kv::rows<float>, kv::rows<blocq::f16>, kv::rows<blocq::q8_0>, kv::rows<blocq::q4_0>, kv::kivi<4>,
               kv::kivi<2>>
      is;
};

namespace {

constexpr std::string_view rotate = "+rotate";

template <class Result>
auto taken(Result created) {
  if (!created) throw std::runtime_error(std::string("the attention heads do not fit the cache: ") + created.message());
  return *std::move(created);
}

template <class Cache, class Any>
std::unique_ptr<Any> make(std::size_t width, bool rotated) {
  if (!rotated) return std::make_unique<Any>(Any{taken(Cache::create(width))});
  return std::make_unique<Any>(Any{taken(kv::rotated<Cache, rotation>::create(width, taken(rotation::make(width))))});
}

}  // namespace

cache::cache(std::string_view kind, std::size_t width) {
  const bool rotated = kind.ends_with(rotate);
  const std::string_view plain = rotated ? kind.substr(0, kind.size() - rotate.size()) : kind;
  if (plain == "f32") any_ = make<kv::rows<float>, any>(width, rotated);
  if (plain == "f16") any_ = make<kv::rows<blocq::f16>, any>(width, rotated);
  if (plain == "q8_0") any_ = make<kv::rows<blocq::q8_0>, any>(width, rotated);
  if (plain == "q4_0") any_ = make<kv::rows<blocq::q4_0>, any>(width, rotated);
  if (plain == "kivi4") any_ = make<kv::kivi<4>, any>(width, rotated);
  if (plain == "kivi2") any_ = make<kv::kivi<2>, any>(width, rotated);
  if (any_ == nullptr) throw std::runtime_error("there is no cache of the kind '" + std::string(kind) + "'");
}
cache::cache(cache&&) noexcept = default;
std::size_t cache::kept_exact(std::string_view kind) {
  return kind.starts_with("kivi") ? blocq::kivi_options{}.window - 1 : 0;
}
cache::~cache() = default;

std::size_t cache::size() const {
  return std::visit([](const auto& c) { return c.size(); }, any_->is);
}
void cache::clear() {
  std::visit([](auto& c) { c.clear(); }, any_->is);
}
void cache::append(std::span<const float> key, std::span<const float> value) {
  // A key that is no number spoils its own scores, as it would in floats.
  std::visit([&](auto& c) { static_cast<void>(c.append(key, value)); }, any_->is);
}
void cache::scores(std::span<const float> q, std::span<float> out) const {
  std::visit([&](const auto& c) { c.scores(q, out); }, any_->is);
}
void cache::mix(std::span<const float> p, std::span<float> out) const {
  std::visit([&](const auto& c) { c.mix(p, out); }, any_->is);
}

}  // namespace llama
