#include "model.hpp"

#include "command.hpp"
#include "files.hpp"
#include "terminal.hpp"

#include <blocq/gguf/weights.hpp>
#include <blocq/gguf/writer.hpp>
#include <blocq/packed/gguf.hpp>

#include <algorithm>
#include <cstring>
#include <deque>

namespace gguf = blocq::gguf;

struct model::storage {
  std::optional<published_model> published;
  std::vector<gguf::mapped_file> maps;
  std::vector<gguf::reader> readers;
  gguf::split_set set;

  // Of a file with packed matrices: `set` is of the header of the tensors that they are, and these are what is stored.
  std::vector<std::byte> header;
  std::vector<gguf::reader> stored_readers;
  gguf::split_set stored;
  std::deque<packed_weight> packed;
  std::deque<tensor> beside;
};

model::model(const std::string& path, const options& o) : storage_(std::make_unique<storage>()) {
  if (is_checkpoint(path)) {
    if (o.checkpoint == checkpoints::refused)
      throw failure(printable(path) + ": is a published checkpoint; 'blocq convert' makes a GGUF file of it");
    open_published(path, o);
    return;
  }
  const auto add = [&](const std::string& file) {
    auto map = open_input(file);
    auto parsed = gguf::reader::parse(map.bytes(), {.allow_big_endian = o.any_byte_order, .unknown_types = true});
    if (!parsed) throw failure(printable(file) + ": " + parsed.message());
    storage_->maps.push_back(std::move(map));
    storage_->readers.push_back(std::move(*parsed));
    files_.emplace_back(file);
  };
  add(path);
  if (const auto count = storage_->readers[0].get<std::uint32_t>("split.count"); count.value_or(1) > 1) {
    const auto name = gguf::parse_split_name(path);
    if (!name || name->count != *count)
      throw failure(printable(path) + ": is one of " + std::to_string(*count) +
                    " files of a set, but is not named NAME-00001-of-" + "0000N.gguf, so the others cannot be found");
    storage_ = std::make_unique<storage>();
    files_.clear();
    for (std::uint32_t i = 1; i <= name->count; ++i) add(shard_path({name->prefix, i, name->count}));
  }
  auto opened = gguf::split_set::open(storage_->readers);
  if (!opened) throw failure(printable(path) + ": " + opened.message());
  storage_->set = std::move(*opened);
  const auto is_packed_key = [](const gguf::key_value& kv) { return kv.key.starts_with(blocq::packed::key_prefix); };
  if (!reader().big_endian() && std::any_of(reader().metadata().begin(), reader().metadata().end(), is_packed_key)) {
    open_packed(path);
    return;
  }
  for (const gguf::tensor_info& t : set().tensors()) {
    tensor& added = tensors_.emplace_back(tensor{t, {}});
    if (t.data.empty()) continue;
    added.scale = find_scale(set(), t);
    added.scales = find_scaled(set(), t);
  }
  for (const auto& kv : reader().metadata())
    if (!kv.key.starts_with("split.")) metadata_.push_back(kv);
}

void model::open_published(const std::string& path, const options& o) {
  storage_->published.emplace(path, o.checkpoint == checkpoints::whole, o.pre, o.architecture_map);
  const published_model& p = *storage_->published;
  files_.emplace_back(path);
  auto parsed = gguf::reader::parse(p.header(), {.header_only = true});
  if (!parsed) throw failure(printable(path) + ": " + parsed.message());
  storage_->readers.push_back(std::move(*parsed));
  auto opened = gguf::split_set::open(storage_->readers);
  if (!opened) throw failure(printable(path) + ": " + opened.message());
  storage_->set = std::move(*opened);
  for (const gguf::tensor_info& t : set().tensors()) {
    const std::size_t i = tensors_.size(), n = p.tensors().size();
    tensor& added = tensors_.emplace_back(tensor{t, {}});
    if (i < n) {
      added.published = &p.tensors()[i];
    } else {
      added.data = p.numbers()[i - n].image;
      added.scales = find_scaled(set(), t);
    }
  }
  for (const auto& kv : reader().metadata()) metadata_.push_back(kv);
}

void model::open_packed(const std::string& path) {
  storage& s = *storage_;
  s.stored_readers = std::move(s.readers);
  const auto check = [&](const auto& done) {
    if (!done) throw failure(printable(path) + ": " + done.message());
  };
  auto stored = gguf::split_set::open(s.stored_readers);
  check(stored);
  s.stored = std::move(*stored);
  struct entry {
    std::string_view name;
    const packed_weight* weight;
    bool listed;
  };
  std::vector<entry> entries;
  gguf::writer out;
  for (const auto& kv : s.stored_readers[0].metadata()) {
    if (kv.key.starts_with("split.")) continue;
    if (!kv.key.starts_with(blocq::packed::key_prefix)) {
      out.add(kv.key, kv.value);
      continue;
    }
    const std::string_view name = kv.key.substr(blocq::packed::key_prefix.size());
    try {
      const auto text = kv.value.get<std::string_view>();
      if (!text) throw failure("is no text");
      const auto parts = blocq::packed::find_parts(name, *text, s.stored.tensors());
      if (!parts) throw failure(parts.message());
      auto weight = packed_weight::from_parts(*parts);
      if (!weight) throw failure(weight.message());
      entries.push_back({name, &s.packed.emplace_back(std::move(*weight)), false});
    } catch (const failure& e) {
      throw failure(printable(path) + ": " + printable(kv.key) + ": " + e.what());
    }
  }
  std::vector<tensor> listed;
  for (const gguf::tensor_info& t : s.stored.tensors()) {
    const auto whose = std::find_if(entries.begin(), entries.end(), [&](const entry& e) {
      return t.name == e.name || !blocq::packed::part_name(t.name, e.name).empty();
    });
    if (whose == entries.end()) {
      tensor& plain = listed.emplace_back(tensor{t, {}});
      plain.scale = find_scale(s.stored, t);
      out.add_tensor(t.name, t.type, {t.dims, t.n_dims}, t.bytes());
      continue;
    }
    if (whose->listed) continue;
    whose->listed = true;
    tensor& whole = listed.emplace_back();
    whole.packed = whose->weight;
    if (const gguf::tensor_info* const blocks = s.stored.find_tensor(whose->name); blocks != nullptr) {
      require_known(*blocks);
      if (format_of(*blocks) == nullptr || blocks->row_elements() != whose->weight->cols() ||
          blocks->rows() != whose->weight->rows())
        throw failure(printable(path) + ": tensor '" + printable(blocks->name) + "' has another shape than its parts");
      whole.beside = &s.beside.emplace_back(tensor{*blocks, find_scale(s.stored, *blocks)});
    }
    const std::uint64_t dims[] = {whose->weight->cols(), whose->weight->rows()};
    out.add_tensor(whose->name, 0, dims);
  }
  check(out.plan());
  auto sink = [&](const void* data, std::size_t size) {
    const auto* const from = static_cast<const std::byte*>(data);
    s.header.insert(s.header.end(), from, from + size);
    return true;
  };
  check(out.begin(sink));
  auto parsed = gguf::reader::parse(s.header, {.header_only = true, .unknown_types = true});
  check(parsed);
  s.readers.clear();
  s.readers.push_back(std::move(*parsed));
  auto opened = gguf::split_set::open(s.readers);
  check(opened);
  s.set = std::move(*opened);
  for (std::size_t i = 0; i < listed.size(); ++i) {
    tensor& added = tensors_.emplace_back(listed[i]);
    const auto data = added.data;
    static_cast<gguf::tensor_info&>(added) = set().tensors()[i];
    added.data = data;
    added.scales = find_scaled(set(), set().tensors()[i]);
  }
  for (const auto& kv : reader().metadata()) metadata_.push_back(kv);
}

bool model::is_packed() const { return !storage_->packed.empty(); }
const gguf::split_set& model::stored() const { return is_packed() ? storage_->stored : storage_->set; }

const std::vector<std::string>& model::notes() const {
  static const std::vector<std::string> none;
  return storage_->published ? storage_->published->notes() : none;
}

model::model(model&&) noexcept = default;
model::~model() = default;

const gguf::split_set& model::set() const { return storage_->set; }

std::uint64_t model::file_bytes() const {
  std::uint64_t bytes = storage_->published ? storage_->published->files().bytes() : 0;
  for (const auto& map : storage_->maps) bytes += map.bytes().size();
  return bytes;
}

void model::release(const tensor& t, std::size_t first, std::size_t last) const {
  if (t.published != nullptr) {
    const std::size_t row = t.row_elements();
    t.published->release(first / row, last / row);
    return;
  }
  if (t.packed != nullptr) return;
  const format_entry* const format = format_of(t);
  const auto part =
      format == nullptr ? t.data : t.data.subspan(format->bytes_for(first), format->bytes_for(last - first));
  for (const auto& map : storage_->maps) {
    const auto bytes = map.bytes();
    if (part.data() >= bytes.data() && part.data() + part.size() <= bytes.data() + bytes.size()) map.release(part);
  }
}

const model::tensor* model::find(std::string_view name) const {
  const gguf::tensor_info* const found = set().find_tensor(name);
  return found == nullptr ? nullptr : &tensors_[static_cast<std::size_t>(found - set().tensors().data())];
}

std::size_t model::file_of(std::size_t index) const {
  std::size_t file = 0;
  while (index >= storage_->readers[file].tensors().size()) index -= storage_->readers[file++].tensors().size();
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

void read_elements(const model::tensor& tensor, std::size_t first, std::span<float> out) {
  if (tensor.published != nullptr) return tensor.published->read(first, out);
  if (tensor.packed != nullptr) {
    const std::size_t columns = tensor.packed->cols();
    std::vector<float> row(columns);
    for (std::size_t done = 0; done < out.size();) {
      const std::size_t r = (first + done) / columns, from = (first + done) % columns;
      const std::size_t count = std::min(columns - from, out.size() - done);
      if (tensor.beside != nullptr)
        read_elements(*tensor.beside, r * columns, row);
      else
        std::fill(row.begin(), row.end(), 0.0f);
      tensor.packed->add_row(r, row);
      std::copy_n(row.begin() + static_cast<std::ptrdiff_t>(from), count,
                  out.begin() + static_cast<std::ptrdiff_t>(done));
      done += count;
    }
    return;
  }
  const format_entry& format = *format_of(tensor);
  const auto bytes = tensor.data.subspan(format.bytes_for(first), format.bytes_for(out.size()));
  if (const auto s = format.decode(bytes.data(), out); !s) throw failure(s.message());
  if (!tensor.scale) return;
  const std::size_t matrix = tensor.dims[0] * tensor.dims[1];
  for (std::size_t i = 0; i < out.size(); ++i) out[i] *= tensor.scale[(first + i) / matrix];
}

void read_rows(const model::tensor& tensor, std::uint64_t first, std::uint64_t last, std::byte* out) {
  if (tensor.published != nullptr) return tensor.published->read_rows(first, last, out);
  if (tensor.packed != nullptr) {
    std::vector<float> row(tensor.packed->cols());
    for (std::uint64_t r = first; r < last; ++r) {
      read_elements(tensor, r * row.size(), row);
      const auto image = image_of(row);
      out = std::copy(image.begin(), image.end(), out);
    }
    return;
  }
  const std::size_t row = static_cast<std::size_t>(tensor.row_bytes());
  std::copy_n(tensor.data.data() + first * row, (last - first) * row, out);
}

std::vector<std::byte> image_of(std::span<const float> values) {
  std::vector<std::byte> image(4 * values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    blocq::le32 word;
    store(word, blocq::to_bits(values[i]));
    std::memcpy(image.data() + 4 * i, &word, 4);
  }
  return image;
}

std::string type_text(const model::tensor& tensor) {
  if (tensor.published != nullptr) return tensor.published->layout();
  if (tensor.packed != nullptr)
    return (tensor.beside == nullptr ? "" : type_text(*tensor.beside) + " + ") + tensor.packed->text();
  return type_text(static_cast<const gguf::tensor_info&>(tensor));
}

std::string type_text(const gguf::tensor_info& tensor) {
  const char* const name = gguf::find_type_name(tensor.type);
  if (tensor.is_known()) return name;
  return "type " + std::to_string(static_cast<std::uint32_t>(tensor.type)) +
         (name == nullptr ? "" : " (" + std::string(name) + ")");
}

void require_known(const gguf::tensor_info& tensor) {
  if (!tensor.is_known())
    throw failure("tensor '" + printable(tensor.name) + "' is of " + type_text(tensor) + ", which cannot be decoded");
}

std::string shape_text(const gguf::tensor_info& tensor) {
  std::string text = std::to_string(tensor.dims[0]);
  for (unsigned i = 1; i < tensor.n_dims; ++i) text += " x " + std::to_string(tensor.dims[i]);
  return text;
}
