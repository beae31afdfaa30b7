#include "checkpoint.hpp"

#include "command.hpp"
#include "files.hpp"
#include "terminal.hpp"

#include <blocq/file/file.hpp>

#include <algorithm>
#include <cctype>

namespace fs = std::filesystem;
namespace safetensors = blocq::safetensors;
using blocq::checkpoint::weight;

struct checkpoint_files::storage {
  std::vector<blocq::mapped_file> maps;  // of the shards
  std::vector<safetensors::reader> readers;
  std::vector<blocq::mapped_file> texts;  // what the views below go into
  std::optional<safetensors::tensor_set> tensors;
  std::optional<blocq::result<blocq::checkpoint::weights>> weights;
};

namespace {

constexpr const char* single = "model.safetensors";
constexpr const char* index_suffix = ".safetensors.index.json";

std::string_view text_of(const blocq::mapped_file& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// What a folder holds: one file of the usual name, an index, or one file of any name.
fs::path entry_of(const fs::path& folder) {
  if (fs::exists(folder / single)) return folder / single;
  std::vector<fs::path> indices, files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(index_suffix)) indices.push_back(entry.path());
    if (name.ends_with(".safetensors")) files.push_back(entry.path());
  }
  if (indices.size() == 1) return indices[0];
  if (indices.empty() && files.size() == 1) return files[0];
  throw failure(printable(folder.string()) + ": " +
                (indices.size() > 1 ? "has several indices of safetensors files; name one of them"
                 : files.empty()    ? "holds no safetensors file"
                                    : "has several safetensors files and no index; name one of them"));
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string type_text(safetensors::dtype type) { return lower(name_of(type)); }

}  // namespace

bool is_checkpoint(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored) || path.ends_with(".safetensors") || path.ends_with(index_suffix);
}

checkpoint_files::checkpoint_files(const std::string& path) : storage_(std::make_unique<storage>()) {
  const fs::path entry = fs::is_directory(path) ? entry_of(path) : fs::path(path);
  folder_ = entry.parent_path();
  std::optional<safetensors::shard_index> index;
  if (entry.string().ends_with(index_suffix)) {
    storage_->texts.push_back(open_input(entry.string()));
    auto parsed = safetensors::shard_index::parse(text_of(storage_->texts.back()));
    if (!parsed) throw failure(printable(entry.string()) + ": " + parsed.message());
    index.emplace(std::move(*parsed));
    for (const std::string_view name : index->files()) files_.push_back(folder_ / name);
  } else {
    files_.push_back(entry);
  }
  for (const fs::path& file : files_) {
    storage_->maps.push_back(open_input(file.string()));
    auto parsed = safetensors::reader::parse(storage_->maps.back().bytes());
    if (!parsed) throw failure(printable(file.string()) + ": " + parsed.message());
    storage_->readers.push_back(std::move(*parsed));
  }
  auto set = index ? safetensors::tensor_set::open(storage_->readers, *index)
                   : safetensors::tensor_set::open(storage_->readers);
  if (!set) throw failure(printable(entry.string()) + ": " + set.message());
  storage_->tensors.emplace(std::move(*set));

  safetensors::json config;
  for (const char* name : {"config.json", "hf_quant_config.json", "quantize_config.json", "quant_config.json"}) {
    if (config["quantization_config"] || config["compression_config"] || config["quantization"]) break;
    if (!fs::exists(folder_ / name)) continue;
    storage_->texts.push_back(open_input((folder_ / name).string()));
    const auto parsed = safetensors::json::parse(text_of(storage_->texts.back()));
    if (!parsed) throw failure(printable((folder_ / name).string()) + ": " + parsed.message());
    config = *parsed;
  }
  storage_->weights.emplace(blocq::checkpoint::weights::open(*storage_->tensors, config));
}

checkpoint_files::~checkpoint_files() = default;

const safetensors::tensor_set& checkpoint_files::tensors() const { return *storage_->tensors; }
const blocq::result<blocq::checkpoint::weights>& checkpoint_files::weights() const { return *storage_->weights; }

const fs::path& checkpoint_files::file_of(const safetensors::tensor_info& tensor) const {
  return files_[tensors().shard_of(static_cast<std::size_t>(&tensor - tensors().tensors().data()))];
}

std::uint64_t checkpoint_files::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& file : storage_->maps) sum += file.bytes().size();
  return sum;
}

std::optional<nlohmann::json> checkpoint_files::read_json(const char* name) const {
  if (!fs::exists(folder_ / name)) return {};
  const auto file = open_input((folder_ / name).string());
  // Depth and grammar are checked by a parser that does not recurse.
  if (const auto checked = safetensors::json::parse(text_of(file)); !checked)
    throw failure(printable((folder_ / name).string()) + ": " + checked.message());
  return nlohmann::json::parse(text_of(file));
}

void checkpoint_files::release(std::span<const std::byte> part) const {
  for (const auto& file : storage_->maps) {
    const auto bytes = file.bytes();
    if (part.data() >= bytes.data() && part.data() + part.size() <= bytes.data() + bytes.size()) file.release(part);
  }
}

std::string layout_text(const weight& w) {
  using blocq::checkpoint::code_kind;
  using blocq::checkpoint::layout;
  if (w.is_plain()) return type_text(w.codes->type);
  std::string text = name_of(w.kind);
  switch (w.kind) {
    case layout::fp8: {
      text += w.code == code_kind::e4m3 ? " e4m3, a " : " e5m2, a ";
      text += w.scale_code == blocq::checkpoint::scale_kind::e8m0 ? "e8m0" : type_text(w.scales.tensor->type);
      if (w.scales.rows > 1 || w.scales.columns < w.columns)
        text += w.scales.rows == w.rows && w.scales.columns == w.columns
                    ? " scale for all"
                    : " scale for " + std::to_string(w.scales.columns) + " x " + std::to_string(w.scales.rows);
      else
        text += " scale for a row";
      return text;
    }
    case layout::mxfp6: return text + (w.code == code_kind::e2m3 ? " e2m3" : " e3m2");
    case layout::mxfp8: return text + (w.code == code_kind::e4m3 ? " e4m3" : " e5m2");
    case layout::nvfp4:
    case layout::nvfp4_e5m3:
      return text + (w.tensor_scale == nullptr ? ""
                     : w.tensor_scale_divides  ? ", a divisor for all"
                                               : ", a factor for all");
    case layout::int8:
    case layout::packed_int:
    case layout::awq:
    case layout::gptq:
    case layout::gptq_nibbles:
    case layout::gptq_v2:
    case layout::modelopt_int4:
    case layout::matmul_nbits:
    case layout::hqq:
      if (w.kind != layout::int8) text += ", " + std::to_string(w.bits) + " bits";
      text += w.group < w.columns || w.kind == layout::hqq ? ", groups of " + std::to_string(w.group)
              : w.scales.rows == w.rows && w.rows > 1      ? ", one group"
                                                           : ", a group for a row";
      if (w.zeros != nullptr) text += ", zeros";
      if (w.g_idx != nullptr) text += ", act-order";
      if (w.strided) text += ", strided";
      return text;
    case layout::bnb_nf4:
    case layout::bnb_fp4:
      return text + ", blocks of " + std::to_string(w.group) + (w.nested_scales != nullptr ? ", nested scales" : "");
    default: return text;
  }
}

std::string shape_text(const weight& w) {
  if (w.is_plain()) {
    std::string text;
    for (std::size_t i = w.codes->shape.size(); i-- > 0;)
      text += std::to_string(w.codes->shape[i]) + (i == 0 ? "" : " x ");
    return text.empty() ? "1" : text;
  }
  const std::string text = std::to_string(w.columns) + " x " + std::to_string(w.rows);
  return w.stack == 1 ? text : text + " x " + std::to_string(w.stack);
}

std::uint64_t bytes_of(const weight& w) {
  std::uint64_t sum = 0;
  for (const auto* t :
       {w.codes, w.scales.tensor, w.zeros, w.tensor_scale, w.g_idx, w.table, w.nested_table, w.nested_scales})
    if (t != nullptr) sum += t->bytes;
  return sum;
}
