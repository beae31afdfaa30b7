#include "published.hpp"

#include "command.hpp"
#include "model.hpp"
#include "terminal.hpp"
#include "tokenizer.hpp"

#include <blocq/checkpoint/blocks.hpp>
#include <blocq/gguf/writer.hpp>

#include <algorithm>
#include <cmath>
#include <map>

namespace {

using blocq::checkpoint::layout;
using blocq::checkpoint::weight;
using blocq::safetensors::dtype;

template <class B>
blocq::result<void> rows_as(const weight& w, std::uint64_t matrix, std::uint64_t first, std::uint64_t last,
                            std::byte* out) {
  const auto blocks = static_cast<std::size_t>((last - first) * (w.columns / blocq::block_size<B>));
  return to_blocks(w, matrix, first, last, std::span(reinterpret_cast<B*>(out), blocks));
}

struct exact_type {
  const format_entry* format;
  exact_rows rows;
};

template <class... B>
std::vector<exact_type> types() {
  return {{find_format(blocq::format_traits<B>::name), rows_as<B>}...};
}

// The types of GGUF that may hold a layout, the smallest first.
std::vector<exact_type> exact_types(const weight& w) {
  switch (w.kind) {
    case layout::plain: return {};
    case layout::mxfp4: return types<blocq::mxfp4>();
    case layout::nvfp4: return types<blocq::nvfp4>();
    case layout::mxfp8:
    case layout::fp8:
    case layout::nvfp4_e5m3: return types<blocq::bf16, blocq::f16>();
    default: return types<blocq::q4_0, blocq::q5_0, blocq::q8_0, blocq::bf16, blocq::f16>();
  }
}

const char* plain_type(dtype type) {
  switch (type) {
    case dtype::f32: return "f32";
    case dtype::f16: return "f16";
    case dtype::bf16: return "bf16";
    default: return nullptr;
  }
}

// Of a tensor with `rows` rows in `heads` heads (see gguf_place), the published row that is row r of the output.
std::uint64_t published_row(std::size_t heads, std::uint64_t rows, std::uint64_t r) {
  if (heads == 0) return r;
  const std::uint64_t height = rows / heads, in_head = r % height;
  return r - in_head + in_head % 2 * (height / 2) + in_head / 2;
}

// The dimensions of a weight as GGUF has them.
std::vector<std::uint64_t> dims_of(const weight& w) {
  if (w.is_plain()) {
    const auto& shape = w.codes->shape;
    return shape.empty() ? std::vector<std::uint64_t>{1} : std::vector<std::uint64_t>(shape.rbegin(), shape.rend());
  }
  return w.stack == 1 ? std::vector{w.columns, w.rows} : std::vector{w.columns, w.rows, w.stack};
}

}  // namespace

void published_tensor::refuse(const part& p, const std::string& what) const {
  throw failure(printable(files_->file_of(*p.source->codes).string()) + ": " + what);
}

std::uint64_t published_tensor::rows() const {
  std::uint64_t n = 1;
  for (std::size_t i = 1; i < dims_.size(); ++i) n *= dims_[i];
  return n;
}

std::uint64_t published_tensor::source_row(std::uint64_t row) const {
  const std::uint64_t height = rows() / parts_.size();
  return published_row(place_.heads, height, row % height);
}

void published_tensor::read(std::size_t first, std::span<float> out) const {
  const auto columns = static_cast<std::size_t>(row_length());
  std::vector<float> row;
  while (!out.empty()) {
    const std::uint64_t r = first / columns;
    const std::size_t at = first % columns, n = std::min(columns - at, out.size());
    const part& p = part_of(r);
    const weight& w = *p.source;
    if (!is_matrix()) {  // a vector, whose elements are the rows of its heads
      for (std::size_t i = 0; i < n; ++i)
        out[i] = blocq::checkpoint::number_at(*w.codes, published_row(place_.heads, columns, at + i));
    } else if (w.is_plain()) {
      const std::uint64_t start = source_row(r) * columns + at;
      for (std::size_t i = 0; i < n; ++i) out[i] = blocq::checkpoint::number_at(*w.codes, start + i);
    } else {
      row.resize(columns);
      const bool whole = n == columns;
      const std::span<float> to = whole ? out.first(n) : std::span(row);
      const std::uint64_t from = source_row(r);
      const auto read = decode(w, p.matrix, from, from + 1, to, blocq::checkpoint::rounding::none);
      if (!read) refuse(p, read.message());
      if (!whole) std::copy_n(row.begin() + static_cast<std::ptrdiff_t>(at), n, out.begin());
    }
    first += n;
    out = out.subspan(n);
  }
}

void published_tensor::read_rows(std::uint64_t first, std::uint64_t last, std::byte* out) const {
  const auto columns = static_cast<std::size_t>(row_length());
  const std::size_t row_bytes = format_->bytes_for(columns);
  std::vector<float> row(is_exact() ? 0 : columns);
  const std::uint64_t in_part = rows() / parts_.size();
  for (std::uint64_t end; first < last; out += (end - first) * row_bytes, first = end) {
    const part& p = part_of(first);
    // Rows that follow each other in both orders.
    end = place_.heads == 0 ? std::min(last, (first / in_part + 1) * in_part) : first + 1;
    const std::uint64_t from = source_row(first), to = from + (end - first);
    if (exact_ != nullptr) {
      if (const auto made = exact_(*p.source, p.matrix, from, to, out); !made) refuse(p, made.message());
    } else if (copies_) {
      std::copy_n(p.source->codes->data.data() + (p.matrix * in_part + from) * row_bytes, (end - first) * row_bytes,
                  out);
    } else {
      end = first + 1;
      read(static_cast<std::size_t>(first) * columns, row);
      if (const auto s = format_->encode(row, out, {}); !s)
        refuse(p, "tensor '" + printable(p.source->name) + "': " + s.message());
    }
  }
}

void published_tensor::release() const {
  for (const part& p : parts_)
    for (const auto* t : {p.source->codes, p.source->scales.tensor, p.source->zeros})
      if (t != nullptr) files_->release(t->data);
}

// Whether every block comes out. A number that no type holds ends the program.
bool published_tensor::holds(exact_rows type, const format_entry& format) const {
  const weight& one = *parts_.front().source;
  if (one.columns % format.block_size != 0) return false;
  // Codes and scales of these layouts are those of the blocks: what can go wrong is said while they are written.
  if (one.kind == layout::mxfp4 || one.kind == layout::nvfp4) return true;
  const std::size_t row = format.bytes_for(one.columns);
  const std::uint64_t step = std::max<std::size_t>(1, (std::size_t{1} << 20) / row), height = rows() / parts_.size();
  std::vector<std::byte> scratch(static_cast<std::size_t>(std::min(step, height)) * row);
  for (const part& p : parts_)
    for (std::uint64_t first = 0; first < height; first += step) {
      const auto made = type(*p.source, p.matrix, first, std::min(height, first + step), scratch.data());
      if (made) continue;
      if (made.error().code == blocq::errc::not_finite) refuse(p, made.message());
      return false;
    }
  return true;
}

// `look`: for a type that holds the codes.
void published_tensor::choose_type(bool look) {
  const weight& w = *parts_.front().source;
  format_ = find_format("f32");
  if (w.is_plain()) {
    const char* const same = plain_type(w.codes->type);
    if (is_matrix()) format_ = find_format(same);
    copies_ = parts_.size() == 1 && format_ == find_format(same) && (is_matrix() || place_.heads == 0);
    return;
  }
  if (!look) return;
  for (const exact_type& type : exact_types(w)) {
    if (!holds(type.rows, *type.format)) continue;
    format_ = type.format;
    exact_ = type.rows;
    return;
  }
}

published_model::published_model(const std::string& path, bool whole, const std::string& pre)
    : files_(path), whole_(whole) {
  const nlohmann::json config = files_.read_json("config.json").value_or(nlohmann::json());
  if (whole && config.is_null()) throw failure(printable(files_.folder().string()) + ": config.json is not there");
  try {
    architecture_.emplace(config);
    notes_ = architecture_->notes();
  } catch (const failure& f) {
    if (whole) throw;
    notes_.push_back(printable(path) + ": names are those of the checkpoint, because " +
                     (config.is_null() ? "there is no config.json" : f.what()));
  }
  const auto& weights = files_.weights();
  if (!weights) throw failure(printable(path) + ": " + weights.message());
  progress bar("looking", weights->list().size());
  for (const weight& w : weights->list()) {
    add(w);
    bar.advance(1);
  }
  if (whole) {
    check();
    for (const published_tensor& t : tensors_) add_scales(t);
  }
  if (architecture_ && !architecture_->rope_factors().empty())
    add_numbers("rope_freqs.weight", architecture_->rope_factors());
  write_header(config, pre);
  if (const std::size_t left_out = weights->left_out().size() - kept_scales_; whole && left_out != 0)
    notes_.insert(notes_.begin(), std::to_string(left_out) + " scales of activations or caches are left out");
}

void published_model::add(const weight& w) {
  published_tensor t;
  t.files_ = &files_;
  const std::string name = w.is_plain() ? std::string(w.name) : std::string(w.module) + ".weight";
  t.parts_ = {{&w, 0}};
  std::optional<gguf_place> place = gguf_place{name};
  try {
    if (architecture_) place = architecture_->place_of(name);
  } catch (const failure& f) {
    if (whole_) t.refuse(t.parts_[0], f.what());
  }
  if (!place) return;
  if (w.is_plain() && plain_type(w.codes->type) == nullptr) {
    const std::string what =
        "tensor '" + printable(w.name) + "' is of the type " + name_of(w.codes->type) + ", not F32, F16 or BF16";
    if (whole_) t.refuse(t.parts_[0], what);
    notes_.push_back(what + ": it is left out");
    return;
  }
  t.name_ = place->name;
  t.place_ = *place;
  t.dims_ = dims_of(w);
  for (std::uint64_t s = 1; s < w.stack; ++s) t.parts_.push_back({&w, s});
  if (t.place_.heads != 0 && (t.is_matrix() ? w.rows : w.columns) % (2 * t.place_.heads) != 0)
    t.refuse(t.parts_[0], "tensor '" + printable(w.name) + "' has rows that are no whole heads");
  t.choose_type(whole_);
  tensors_.push_back(std::move(t));
}

void published_model::check() const {
  std::map<std::string, std::vector<std::uint64_t>> shapes;
  for (const published_tensor& t : tensors_)
    if (!shapes.emplace(t.name(), t.dims()).second) throw failure("two tensors for " + t.name());
  architecture_->check(shapes);
}

void published_model::add_numbers(const std::string& name, std::span<const float> numbers) {
  numbers_.push_back({name, image_of(numbers)});
}

// llama.cpp multiplies by these two where they are there; 1 goes without saying.
void published_model::add_scales(const published_tensor& t) {
  if (t.exact_ != rows_as<blocq::nvfp4>) return;
  const auto add = [&](const char* what, const std::vector<float>& values) {
    for (std::size_t i = 0; i < values.size(); ++i)
      if (!blocq::is_finite(values[i]))
        t.refuse(t.parts_[i], "tensor '" + printable(t.parts_[i].source->name) + "': its " + what +
                                  " for all of it is not a number");
    if (std::all_of(values.begin(), values.end(), [](float v) { return std::abs(v - 1.0f) < 1e-6f; })) return;
    const std::size_t stem = t.name().size() - std::string_view("weight").size();
    add_numbers(t.name().substr(0, stem) + what, values);
  };
  std::vector<float> scales, inputs;
  for (const auto& p : t.parts_) {
    scales.push_back(tensor_scale(*p.source, p.matrix));
    for (const char* suffix : {".input_scale", ".input_global_scale"}) {
      const auto* input = files_.tensors().find(std::string(p.source->module) + suffix);
      if (input == nullptr || input->type != dtype::f32 || input->elements() != 1) continue;
      const float value = blocq::checkpoint::number_at(*input, 0);
      inputs.push_back(suffix == std::string_view(".input_scale") ? value : 1.0f / value);
    }
  }
  add("scale", scales);
  if (inputs.size() != t.parts_.size()) return;
  add("input_scale", inputs);
  kept_scales_ += inputs.size();
}

void published_model::write_header(const nlohmann::json& config, const std::string& pre) {
  blocq::gguf::writer out;
  if (architecture_) architecture_->add_metadata(out);
  if (whole_) {
    out.add("general.file_type", 0u);
    out.add("general.type", "model").add("general.quantization_version", std::uint32_t{2});
    const std::string name = std::filesystem::absolute(files_.folder() / "").parent_path().filename().string();
    if (!name.empty()) out.add("general.name", std::string_view(name));
    add_tokenizer(files_, config, architecture_->vocabulary(), pre, out);
  }
  for (const published_tensor& t : tensors_) out.add_tensor(t.name(), *t.format().gguf_id, t.dims());
  for (const number_tensor& n : numbers_)
    out.add_tensor(n.name, *find_format("f32")->gguf_id, std::vector<std::uint64_t>{n.image.size() / sizeof(float)});
  const auto written = out.plan();
  if (!written) throw failure(printable(files_.folder().string()) + ": as a GGUF file: " + written.message());
  const auto sink = [&](const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::byte*>(data);
    header_.insert(header_.end(), bytes, bytes + size);
    return true;
  };
  if (const auto begun = out.begin(sink); !begun) throw failure(begun.message());
}
