#include "cache.hpp"

#include <blocq/calib/hadamard.hpp>
#include <blocq/kv/all.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace llama {

namespace kv = blocq::kv;
using blocq::calib::rotation;

struct cache::any {
  virtual ~any() = default;
  virtual std::size_t size() const = 0;
  virtual std::size_t bytes() const = 0;
  virtual void clear() = 0;
  virtual void append(std::span<const float> key, std::span<const float> value) = 0;
  virtual void scores(std::span<const float> q, std::span<float> out) = 0;
  virtual void mix(std::span<const float> p, std::span<float> out) const = 0;
};

namespace {

template <class Any, class Cache>
struct held final : Any {
  explicit held(Cache c) : cache(std::move(c)) {}
  std::size_t size() const override { return cache.size(); }
  std::size_t bytes() const override { return cache.bytes(); }
  void clear() override { cache.clear(); }
  void append(std::span<const float> key, std::span<const float> value) override {
    // A key that is no number spoils its own scores, as it would in floats.
    static_cast<void>(cache.append(key, value));
  }
  void scores(std::span<const float> q, std::span<float> out) override {
    if constexpr (requires { cache.observe(q); }) cache.observe(q);
    cache.scores(q, out);
  }
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

// One layer of a cache that two share.
struct cache::layer_of_two final : any {
  layer_of_two(std::shared_ptr<kv::minicache> both, int number) : rows(std::move(both)), layer(number) {}
  std::size_t size() const override { return rows->size(layer); }
  std::size_t bytes() const override { return (rows->bytes() + static_cast<std::size_t>(layer)) / 2; }
  void clear() override { rows->clear(layer); }
  void append(std::span<const float> key, std::span<const float> value) override { rows->append(layer, key, value); }
  void scores(std::span<const float> q, std::span<float> out) override { rows->scores(layer, q, out); }
  void mix(std::span<const float> p, std::span<float> out) const override { rows->mix(layer, p, out); }

  std::shared_ptr<kv::minicache> rows;
  int layer;
};

cache cache::of_one_layer(const cache_kinds& kinds, std::size_t width, position_encoder positions) {
  std::unique_ptr<any> made;
  const auto hold = [&](auto created) {
    made = std::make_unique<held<any, std::remove_cvref_t<decltype(*created)>>>(taken(std::move(created)));
  };
  kind keys(kinds.keys, width), values(kinds.values, width);
  const auto hold_turned = [&]<class Cache>() {
    hold(kv::rotated<Cache, rotation>::create(width, std::move(keys.turn), std::move(values.turn)));
  };
  if (keys.name == values.name) {
    if (keys.name == "kivi4") hold_turned.template operator()<kv::kivi<4>>();
    if (keys.name == "kivi2") hold_turned.template operator()<kv::kivi<2>>();
    if (kinds.keys == "think") hold(kv::think::create(width));
  }
  if (const int k = kvquant_bits(kinds.keys), v = kvquant_bits(kinds.values); k != 0 && v != 0)
    hold(kv::kvquant<position_encoder>::create(width, {.key_bits = k, .value_bits = v}, std::move(positions)));
  if (made == nullptr)
    visit_row(keys.name, [&]<class K>() {
      visit_row(values.name, [&]<class V>() { hold_turned.template operator()<kv::rows<K, V>>(); });
    });
  if (made == nullptr)
    throw std::runtime_error("there is no cache with keys of the kind '" + kinds.keys + "' and values of the kind '" +
                             kinds.values + "'");
  return cache(std::move(made));
}

std::vector<cache> cache::make(const cache_kinds& kinds, std::size_t layers, std::size_t heads, std::size_t width,
                               const position_encoder& positions) {
  const bool shared = shares_layers(kinds.keys) && shares_layers(kinds.values);
  // The upper half of the layers in twos; the others, and one that is left over, have binary16.
  const std::size_t first = layers == 2 ? 0 : layers / 2;
  std::vector<cache> all;
  for (std::size_t l = 0; l < layers; ++l) {
    const bool second = l >= first && (l - first) % 2 == 1;
    const bool in_two = shared && l >= first && (second || l + 1 < layers);
    for (std::size_t head = 0; head < heads; ++head) {
      if (!in_two)
        all.push_back(of_one_layer(shared ? cache_kinds{"f16"} : kinds, width, positions));
      else if (second)
        all.push_back(cache(
            std::make_unique<layer_of_two>(static_cast<const layer_of_two&>(*all[all.size() - heads].any_).rows, 1)));
      else
        all.push_back(cache(
            std::make_unique<layer_of_two>(std::make_shared<kv::minicache>(taken(kv::minicache::create(width))), 0)));
    }
  }
  return all;
}
cache::cache(std::unique_ptr<any> a) : any_(std::move(a)) {}
cache::cache(cache&&) noexcept = default;
bool cache::takes_bare_keys(std::string_view kind) { return kvquant_bits(kind) != 0; }
bool cache::shares_layers(std::string_view kind) { return kind == "minicache"; }
std::size_t cache::kept_exact(std::string_view kind) {
  constexpr blocq::kvquant_options kvquant;
  if (kvquant_bits(kind) != 0) return kvquant.kept + kvquant.sample - 1;
  if (kind == "think") return blocq::think_options{}.sample - 1;
  return kind.starts_with("kivi") ? blocq::kivi_options{}.window - 1 : 0;
}
cache::~cache() = default;

std::size_t cache::size() const { return any_->size(); }
std::size_t cache::bytes() const { return any_->bytes(); }
void cache::clear() { any_->clear(); }
void cache::append(std::span<const float> key, std::span<const float> value) { any_->append(key, value); }
void cache::scores(std::span<const float> q, std::span<float> out) { any_->scores(q, out); }
void cache::mix(std::span<const float> p, std::span<float> out) const { any_->mix(p, out); }

}  // namespace llama
