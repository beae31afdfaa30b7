// A model in several safetensors files: its index (model.safetensors.index.json), and the tensors of all files as one
// list. Opening the files is the caller's.
#ifndef BLOCQ_SAFETENSORS_SHARDS_HPP
#define BLOCQ_SAFETENSORS_SHARDS_HPP

#include <blocq/safetensors/reader.hpp>

namespace blocq::safetensors::inline v0::inline BLOCQ_ISA {

// {"metadata": {...}, "weight_map": {"tensor": "file", ...}}
class shard_index {
 public:
  struct entry {
    std::string_view tensor;
    std::uint32_t file;  // its position in files()
  };

  // `text` must outlive the index. Errors:
  //   bad_value  it is not JSON, or has no weight_map of texts
  //   bad_name   a file that does not lie beside the index: its name is empty or has a slash, a backslash or an escape
  //   no_memory
  static result<shard_index> parse(std::string_view text) noexcept;

  // Each file once, in the order of their numbers.
  std::span<const std::string_view> files() const noexcept { return {files_.data(), files_.size()}; }
  std::span<const entry> entries() const noexcept { return {entries_.data(), entries_.size()}; }

 private:
  detail::growing_array<std::string_view> files_;
  detail::growing_array<entry> entries_;
  detail::growing_array<char> text_;  // names with escapes
};

// The tensors of one or more files. The readers have to outlive it.
class tensor_set {
 public:
  // errc::duplicate if a tensor is in two files, errc::too_large, errc::no_memory.
  static result<tensor_set> open(std::span<const reader> shards) noexcept;

  // The same for shards[i] of index.files()[i]; errc::missing names a tensor that is not in the file that the index
  // says, errc::size_mismatch if there is not one reader for each file. What is in a file and not in the index is
  // there.
  static result<tensor_set> open(std::span<const reader> shards, const shard_index& index) noexcept;

  // File by file, in the order of their data. Offsets count from the data of their own file.
  std::span<const tensor_info> tensors() const noexcept { return {tensors_.data(), tensors_.size()}; }
  // Null if there is none. In O(log n).
  const tensor_info* find(std::string_view name) const noexcept {
    const std::size_t i = names_.find(name, [this](std::size_t t) { return tensors_[t].name; });
    return i < tensors_.size() ? &tensors_[i] : nullptr;
  }
  std::span<const reader> shards() const noexcept { return shards_; }
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

inline result<shard_index> shard_index::parse(std::string_view text) noexcept {
  const auto root = json::parse(text);
  if (!root) return root.error();
  const json map = (*root)["weight_map"];
  if (map.kind() != json_kind::object) return error(errc::bad_value) << "the index has no weight_map that is an object";

  shard_index index;
  detail::growing_array<std::string_view> names;  // the file of each entry
  std::size_t used = 0;
  for (const json_member& m : map) {
    const auto file = m.value.get<std::string_view>();
    if (m.value.kind() != json_kind::string) return error(errc::bad_value) << "the weight_map holds what is not a text";
    bool beside = file && detail::is_name(*file) && (*file)[0] != '.';
    for (const char c : file.value_or({})) beside = beside && c != '/' && c != '\\' && c != ':';
    if (!beside) {
      error e(errc::bad_name);
      e << "the index names a file that cannot lie beside it: ";
      return e.quote(m.value.text().data(), m.value.text().size());
    }
    std::string_view tensor;
    if (const auto plain = m.key.get<std::string_view>()) {
      tensor = *plain;
    } else {  // as in the reader, there are no more such names than the text has bytes
      if (index.text_.size() == 0 && !index.text_.resize(text.size())) return error(errc::no_memory);
      tensor = {index.text_.data() + used, m.key.unescape(index.text_.data() + used)};
      used += tensor.size();
    }
    if (!index.entries_.append({tensor, 0}) || !names.append(*file)) return error(errc::no_memory);
  }
  if (index.entries_.size() == 0) return error(errc::bad_value) << "the weight_map of the index is empty";
  if (index.entries_.size() > 0xffffffffu) return error(errc::too_large);

  detail::growing_array<std::uint32_t> order;
  const auto not_after = [&](std::size_t a, std::size_t b) {
    return blocq::detail::compare_names(names[a], names[b]) <= 0;
  };
  if (!detail::sort_positions(names.size(), order, not_after)) return error(errc::no_memory);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::string_view name = names[order[i]];
    const bool same = i != 0 && blocq::detail::compare_names(index.files_[index.files_.size() - 1], name) == 0;
    if (!same && !index.files_.append(name)) return error(errc::no_memory);
    index.entries_[order[i]].file = static_cast<std::uint32_t>(index.files_.size() - 1);
  }
  return index;
}

inline result<tensor_set> tensor_set::open(std::span<const reader> shards) noexcept {
  tensor_set set;
  set.shards_ = shards;
  for (const reader& shard : shards)
    if (!set.tensors_.append(shard.tensors().data(), shard.tensors().size())) return error(errc::no_memory);
  if (set.tensors_.size() > 0xffffffffu) return error(errc::too_large);
  const auto name = [&](std::size_t t) { return set.tensors_[t].name; };
  switch (set.names_.build(set.tensors_.size(), name)) {
    case detail::name_index::outcome::unique: return set;
    case detail::name_index::outcome::no_memory: return error(errc::no_memory);
    case detail::name_index::outcome::duplicate: break;
  }
  const std::string_view twice = name(set.names_.duplicate());
  error e(errc::duplicate);
  e << "in two files: tensor ";
  return e.quote(twice.data(), twice.size());
}

inline result<tensor_set> tensor_set::open(std::span<const reader> shards, const shard_index& index) noexcept {
  if (shards.size() != index.files().size())
    return error(errc::size_mismatch) << shards.size() << " files where the index names " << index.files().size();
  for (const shard_index::entry& e : index.entries()) {
    if (shards[e.file].find(e.tensor) != nullptr) continue;
    const std::string_view file = index.files()[e.file];
    error missing(errc::missing);
    missing << "tensor ";
    missing.quote(e.tensor.data(), e.tensor.size()) << " is not in ";
    return missing.quote(file.data(), file.size()) << ", where the index has it";
  }
  return open(shards);
}

}  // namespace blocq::safetensors::inline v0::inline BLOCQ_ISA

#endif
