// A model split over several GGUF files, model-00001-of-00003.gguf and so on: their names, and their tensors as one
// list. Opening the files is the caller's.
#ifndef BLOCQ_GGUF_SPLIT_HPP
#define BLOCQ_GGUF_SPLIT_HPP

#include <blocq/gguf/reader.hpp>

namespace blocq::gguf::inline v0 {

// What the name of a shard says: PREFIX-NUMBER-of-COUNT.gguf, both numbers with at least five digits.
struct split_name {
  std::string_view prefix;   // may contain directories
  std::uint32_t number = 1;  // from 1 to count
  std::uint32_t count = 1;
};

}  // namespace blocq::gguf::inline v0

namespace blocq::gguf::inline v0::inline BLOCQ_ISA {

namespace detail {

// Takes `-of-`, digits and the like from the end of a name.
struct name_tail {
  std::string_view rest;

  bool drop(std::string_view suffix) noexcept {
    if (rest.size() < suffix.size() || compare_names(rest.substr(rest.size() - suffix.size()), suffix) != 0)
      return false;
    rest.remove_suffix(suffix.size());
    return true;
  }
  // A number as it is written there: five digits, or more without a zero in front.
  bool drop_number(std::uint32_t& x) noexcept {
    std::size_t digits = 0;
    std::uint64_t value = 0, weight = 1;
    for (; digits < rest.size() && digits < 10; ++digits, weight *= 10) {
      const char c = rest[rest.size() - 1 - digits];
      if (c < '0' || c > '9') break;
      value += weight * static_cast<std::uint64_t>(c - '0');
    }
    if (digits < 5 || value > 0xffffffffu || (digits > 5 && value < weight / 10)) return false;
    x = static_cast<std::uint32_t>(value);
    rest.remove_suffix(digits);
    return true;
  }
};

}  // namespace detail

// Reads a shard's name; nothing if `path` is not one.
inline maybe<split_name> parse_split_name(std::string_view path) noexcept {
  split_name name{};
  detail::name_tail tail{path};
  if (!tail.drop(".gguf") || !tail.drop_number(name.count) || !tail.drop("-of-") || !tail.drop_number(name.number) ||
      !tail.drop("-") || name.number == 0 || name.number > name.count)
    return {};
  name.prefix = tail.rest;
  return name;
}

// Writes a shard's name to `out`, with a NUL behind it. Empty if it does not fit: prefix + 32 characters always do.
inline std::string_view format_split_name(const split_name& name, std::span<char> out) noexcept {
  std::size_t n = 0;
  const auto put = [&](char c) {
    if (n < out.size()) out[n] = c;
    ++n;
  };
  const auto put_text = [&](std::string_view s) {
    for (const char c : s) put(c);
  };
  const auto put_number = [&](std::uint32_t x) {
    std::uint32_t weight = 10000;
    while (x / weight >= 10) weight *= 10;
    for (; weight > 0; weight /= 10) put(static_cast<char>('0' + x / weight % 10));
  };
  put_text(name.prefix);
  put('-');
  put_number(name.number);
  put_text("-of-");
  put_number(name.count);
  put_text(".gguf");
  put('\0');
  return n <= out.size() ? std::string_view(out.data(), n - 1) : std::string_view();
}

// The shards of one model. The readers have to outlive it.
class split_set {
 public:
  // `shards` in order of their numbers; one file without split keys is a set as well. Errors:
  //   missing        a key split.no, split.count or split.tensors.count is not there or not an integer
  //   size_mismatch  a key disagrees with the shards at hand: one is missing, too many, or out of order
  //   duplicate      a tensor is in two shards
  static result<split_set> open(std::span<const reader> shards) noexcept;

  // Metadata are those of the first shard.
  const reader& first() const noexcept { return shards_[0]; }
  std::span<const reader> shards() const noexcept { return shards_; }

  // The tensors of all shards, in order. Offsets count from the data section of their own shard.
  std::span<const tensor_info> tensors() const noexcept { return {tensors_.data(), tensors_.size()}; }
  const tensor_info* find_tensor(std::string_view name) const noexcept {
    const std::size_t i = names_.find(name, [this](std::size_t t) { return tensors_[t].name; });
    return i < tensors_.size() ? &tensors_[i] : nullptr;
  }
  // The shard, from 0, that holds tensors()[tensor].
  std::size_t shard_of(std::size_t tensor) const noexcept {
    std::size_t shard = 0;
    while (tensor >= shards_[shard].tensors().size()) tensor -= shards_[shard++].tensors().size();
    return shard;
  }

 private:
  std::span<const reader> shards_;
  detail::growing_array<tensor_info> tensors_;
  detail::name_index names_;
};

inline result<split_set> split_set::open(std::span<const reader> shards) noexcept {
  split_set set;
  set.shards_ = shards;
  if (shards.empty()) return error(errc::missing) << "a model without a file";
  std::uint64_t total = 0;
  for (const reader& shard : shards) total += shard.tensors().size();
  if (total > 0xffffffffu) return error(errc::too_large);
  const bool split = shards.size() > 1 || shards[0].find("split.count") != nullptr;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const auto agrees = [&](const char* key, std::uint64_t wanted) -> result<void> {
      const maybe<std::uint64_t> found = shards[i].get<std::uint64_t>(key);
      if (found && *found == wanted) return {};
      error e(found ? errc::size_mismatch : errc::missing);
      e << key << " of shard " << i + 1;
      if (found)
        e << " is " << *found << ", not " << wanted;
      else
        e << " is not there, or not an integer";
      return e;
    };
    if (split) {
      if (auto r = agrees("split.no", i); !r) return r.error();
      if (auto r = agrees("split.count", shards.size()); !r) return r.error();
      if (auto r = agrees("split.tensors.count", total); !r) return r.error();
    }
    if (!set.tensors_.append(shards[i].tensors().data(), shards[i].tensors().size())) return error(errc::no_memory);
  }
  const auto name = [&](std::size_t t) { return set.tensors_[t].name; };
  switch (set.names_.build(set.tensors_.size(), name)) {
    case detail::name_index::outcome::unique: return set;
    case detail::name_index::outcome::no_memory: return error(errc::no_memory);
    case detail::name_index::outcome::duplicate: break;
  }
  const std::string_view twice = name(set.names_.duplicate());
  error e(errc::duplicate);
  e << "in two shards: tensor ";
  return e.quote(twice.data(), twice.size());
}

}  // namespace blocq::gguf::inline v0::inline BLOCQ_ISA

#endif
