#include "model.hpp"

#include "command.hpp"
#include "terminal.hpp"

#include <blocq/gguf/file.hpp>
#include <blocq/gguf/weights.hpp>

namespace gguf = blocq::gguf;

struct model::storage {
  std::vector<gguf::mapped_file> maps;
  std::vector<gguf::reader> readers;
};

model::model(const std::string& path, bool any_byte_order) : storage_(std::make_unique<storage>()) {
  const auto add = [&](const std::string& file) {
    auto map = gguf::mapped_file::open(file.c_str());
    if (!map) throw failure(map.message());
    auto parsed = gguf::reader::parse(map->bytes(), {.allow_big_endian = any_byte_order});
    if (!parsed) throw failure(printable(file) + ": " + parsed.message());
    storage_->maps.push_back(std::move(*map));
    storage_->readers.push_back(std::move(*parsed));
    files_.emplace_back(file);
  };
  add(path);
  if (const auto count = reader().get<std::uint32_t>("split.count"); count.value_or(1) > 1) {
    const auto name = gguf::parse_split_name(path);
    if (!name || name->count != *count)
      throw failure(printable(path) + ": is one of " + std::to_string(*count) +
                    " files of a set, but is not named NAME-00001-of-" + "0000N.gguf, so the others cannot be found");
    *storage_ = {};
    files_.clear();
    for (std::uint32_t i = 1; i <= name->count; ++i) add(shard_path({name->prefix, i, name->count}));
  }
  const auto set = gguf::split_set::open(storage_->readers);
  if (!set) throw failure(printable(path) + ": " + set.message());
  tensors_.assign(set->tensors().begin(), set->tensors().end());
  for (const auto& kv : reader().metadata())
    if (!kv.key.starts_with("split.")) metadata_.push_back(kv);
}

model::model(model&&) noexcept = default;
model::~model() = default;

const gguf::reader& model::reader() const { return storage_->readers.front(); }

std::uint64_t model::file_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& map : storage_->maps) bytes += map.bytes().size();
  return bytes;
}

void model::release(std::span<const std::byte> part) const {
  for (const auto& map : storage_->maps) {
    const auto bytes = map.bytes();
    if (part.data() >= bytes.data() && part.data() + part.size() <= bytes.data() + bytes.size()) map.release(part);
  }
}

const gguf::tensor_info* model::find(std::string_view tensor) const {
  for (const gguf::reader& r : storage_->readers)
    if (const auto* found = r.find_tensor(tensor)) return found;
  return nullptr;
}

std::size_t model::file_of(std::size_t tensor) const {
  std::size_t file = 0;
  while (tensor >= storage_->readers[file].tensors().size()) tensor -= storage_->readers[file++].tensors().size();
  return file;
}

const format_entry* format_of(const gguf::tensor_info& tensor) { return find_format(tensor.type); }

bool is_weight_matrix(const model& m, const gguf::tensor_info& tensor) {
  const auto architecture = m.reader().get<std::string_view>("general.architecture");
  return format_of(tensor) != nullptr && gguf::is_weight(tensor, architecture.value_or(""));
}

std::string shard_path(const gguf::split_name& name) {
  std::string text(name.prefix.size() + 32, '\0');
  text.resize(gguf::format_split_name(name, text).size());
  return text;
}

void read_rows(const gguf::tensor_info& tensor, std::size_t first, std::size_t last, std::span<float> out) {
  const auto bytes = tensor.data.subspan(first * tensor.row_bytes(), (last - first) * tensor.row_bytes());
  if (const auto s = format_of(tensor)->decode(bytes.data(), out); !s) throw failure(s.message());
}

std::string shape_text(const gguf::tensor_info& tensor) {
  std::string text = std::to_string(tensor.dims[0]);
  for (unsigned i = 1; i < tensor.n_dims; ++i) text += " x " + std::to_string(tensor.dims[i]);
  return text;
}
