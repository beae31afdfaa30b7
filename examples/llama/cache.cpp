#include "cache.hpp"

#include <blocq/calib/hadamard.hpp>
#include <blocq/kv/all.hpp>

#include <optional>
#include <stdexcept>
#include <string>

namespace llama {

namespace kv = blocq::kv;
using blocq::calib::rotation;

struct cache::any {
  virtual ~any() = default;
  virtual std::size_t size() const = 0;
  virtual void clear() = 0;
  virtual void append(std::span<const float> key, std::span<const float> value) = 0;
  virtual void scores(std::span<const float> q, std::span<float> out) const = 0;
  virtual void mix(std::span<const float> p, std::span<float> out) const = 0;
};

namespace {

template <class Any, class Cache>
struct held final : Any {
  explicit held(Cache c) : cache(std::move(c)) {}
  std::size_t size() const override { return cache.size(); }
  void clear() override { cache.clear(); }
  void append(std::span<const float> key, std::span<const float> value) override {
    // A key that is no number spoils its own scores, as it would in floats.
    static_cast<void>(cache.append(key, value));
  }
  void scores(std::span<const float> q, std::span<float> out) const override { cache.scores(q, out); }
  void mix(std::span<const float> p, std::span<float> out) const override { cache.mix(p, out); }

  Cache cache;
};

template <class Result>
auto taken(Result created) {
  if (!created) throw std::runtime_error(std::string("the attention heads do not fit the cache: ") + created.message());
  return *std::move(created);
}

// "q4_0+rotate" as what it is made of.
struct kind {
  std::string_view name;
  std::optional<rotation> turn;

  kind(std::string_view text, std::size_t width) : name(text) {
    constexpr std::string_view suffix = "+rotate";
    if (!text.ends_with(suffix)) return;
    name.remove_suffix(suffix.size());
    turn = taken(rotation::make(width));
  }
};

// Of a code; 0 if it is another kind.
int kvquant_bits(std::string_view name) {
  return name == "kvquant" ? 3 : name == "kvquant4" ? 4 : name == "kvquant2" ? 2 : 0;
}

// Calls f for the type of a row; false if it is none.
template <class F>
bool visit_row(std::string_view name, const F& f) {
  if (name == "f32") return f.template operator()<float>(), true;
  if (name == "f16") return f.template operator()<blocq::f16>(), true;
  if (name == "q8_0") return f.template operator()<blocq::q8_0>(), true;
  if (name == "q4_0") return f.template operator()<blocq::q4_0>(), true;
  return false;
}

}  // namespace

cache::cache(const cache_kinds& kinds, std::size_t width, position_encoder positions) {
  kind keys(kinds.keys, width), values(kinds.values, width);
  const auto make = [&]<class Cache>() {
    using turned = kv::rotated<Cache, rotation>;
    any_ =
        std::make_unique<held<any, turned>>(taken(turned::create(width, std::move(keys.turn), std::move(values.turn))));
  };
  if (keys.name == values.name) {
    if (keys.name == "kivi4") make.template operator()<kv::kivi<4>>();
    if (keys.name == "kivi2") make.template operator()<kv::kivi<2>>();
  }
  if (const int k = kvquant_bits(kinds.keys), v = kvquant_bits(kinds.values); k != 0 && v != 0) {
    using quantized = kv::kvquant<position_encoder>;
    any_ = std::make_unique<held<any, quantized>>(
        taken(quantized::create(width, {.key_bits = k, .value_bits = v}, std::move(positions))));
  }
  if (any_ == nullptr)
    visit_row(keys.name, [&]<class K>() {
      visit_row(values.name, [&]<class V>() { make.template operator()<kv::rows<K, V>>(); });
    });
  if (any_ == nullptr)
    throw std::runtime_error("there is no cache with keys of the kind '" + kinds.keys + "' and values of the kind '" +
                             kinds.values + "'");
}
cache::cache(cache&&) noexcept = default;
bool cache::takes_bare_keys(std::string_view kind) { return kvquant_bits(kind) != 0; }
std::size_t cache::kept_exact(std::string_view kind) {
  constexpr blocq::kvquant_options kvquant;
  if (kvquant_bits(kind) != 0) return kvquant.kept + kvquant.sample - 1;
  return kind.starts_with("kivi") ? blocq::kivi_options{}.window - 1 : 0;
}
cache::~cache() = default;

std::size_t cache::size() const { return any_->size(); }
void cache::clear() { any_->clear(); }
void cache::append(std::span<const float> key, std::span<const float> value) { any_->append(key, value); }
void cache::scores(std::span<const float> q, std::span<float> out) const { any_->scores(q, out); }
void cache::mix(std::span<const float> p, std::span<float> out) const { any_->mix(p, out); }

}  // namespace llama
