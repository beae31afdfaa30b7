#include "published.hpp"

#include "architecture_map.hpp"
#include "command.hpp"
#include "model.hpp"
#include "terminal.hpp"
#include "tokenizer.hpp"
#include "whole_tensor.hpp"

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
    case layout::mxfp6:
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

// The file of the tensor that a message begins with; `otherwise` if it begins with none.
std::string file_of_message(const checkpoint_files& files, std::string_view message, const std::string& otherwise) {
  for (const auto& t : files.tensors().tensors())
    if (message.starts_with("tensor '" + std::string(t.name) + "'")) return printable(files.file_of(t).string());
  return printable(otherwise);
}

// The dimensions of a weight as GGUF has them.
std::vector<std::uint64_t> dims_of(const weight& w) {
  if (w.is_plain()) {
    const auto& shape = w.codes->shape;
    return shape.empty() ? std::vector<std::uint64_t>{1} : std::vector<std::uint64_t>(shape.rbegin(), shape.rend());
  }
  return w.stack == 1 ? std::vector{w.columns, w.rows} : std::vector{w.columns, w.rows, w.stack};
}

// Matrices of a weight.
std::uint64_t stack_of(const weight& w) {
  std::uint64_t n = w.stack;
  const auto& shape = w.codes->shape;
  for (std::size_t i = 0; w.is_plain() && i + 2 < shape.size(); ++i) n *= shape[i];
  return n;
}

// How many rows lie one after the other in the bytes of the codes; 0 if a row does not lie together.
std::uint64_t rows_in_order(const weight& w) {
  using blocq::checkpoint::packing;
  switch (w.place) {
    case packing::elements:
    case packing::nibbles:
    case packing::stream:
    case packing::words: return w.stack * w.rows;
    default: return 0;
  }
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

// The row of a published matrix that is row r of one with `height` of them.
std::uint64_t published_tensor::chosen(std::uint64_t height, std::uint64_t r) const {
  switch (place_.rows) {
    case row_share::even: return 2 * r;
    case row_share::odd: return 2 * r + 1;
    case row_share::second_half: return height + r;
    default: return published_row(place_.heads, height, r);
  }
}

std::uint64_t published_tensor::source_row(std::uint64_t row) const {
  return is_bias_ ? row % part_height() : chosen(part_height(), row % part_height());
}

bool published_tensor::chooses_rows() const { return place_.heads != 0 || place_.rows != row_share::all; }
bool published_tensor::is_contiguous() const {
  return place_.heads == 0 && place_.rows != row_share::even && place_.rows != row_share::odd;
}

// The number of an element of plain numbers.
std::uint64_t published_tensor::element_of(const part& p, std::uint64_t row, std::uint64_t column) const {
  const auto& shape = p.source->codes->shape;
  const std::uint64_t across = shape.empty() ? 1 : shape[shape.size() - 1];
  const std::uint64_t start = p.matrix * across * (shape.size() < 2 ? 1 : shape[shape.size() - 2]);
  if (is_bias_) return start + source_row(row) * across + chosen(row_length(), column);
  return place_.transposed ? start + column * across + source_row(row) : start + source_row(row) * across + column;
}

void published_tensor::read(std::size_t first, std::span<float> out) const {
  const auto columns = static_cast<std::size_t>(row_length());
  std::vector<float> row;
  while (!out.empty()) {
    const std::uint64_t r = first / columns;
    const std::size_t at = first % columns, n = std::min(columns - at, out.size());
    const part& p = part_of(r);
    const weight& w = *p.source;
    if (w.is_plain()) {
      const bool steps = is_bias_ || place_.transposed;
      const std::uint64_t start = element_of(p, r, at);
      for (std::size_t i = 0; i < n; ++i)
        out[i] = blocq::checkpoint::number_at(*w.codes, steps ? element_of(p, r, at + i) : start + i);
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
  const bool moves = copies_ || exact_ != nullptr;
  std::vector<float> row(moves ? 0 : columns);
  const std::uint64_t in_part = part_height();
  for (std::uint64_t end; first < last; out += (end - first) * row_bytes, first = end) {
    const part& p = part_of(first);
    // Rows that follow each other in both orders.
    end = is_contiguous() && moves ? std::min(last, (first / in_part + 1) * in_part) : first + 1;
    const std::uint64_t from = source_row(first), to = from + (end - first);
    if (exact_ != nullptr) {
      if (const auto made = exact_(*p.source, p.matrix, from, to, out); !made) refuse(p, made.message());
    } else if (copies_) {
      const std::uint64_t start = element_of(p, first, 0) / columns;
      std::copy_n(p.source->codes->data.data() + start * row_bytes, (end - first) * row_bytes, out);
    } else {
      read(static_cast<std::size_t>(first) * columns, row);
      if (const auto s = format_->encode(row, out, {}); !s)
        refuse(p, "tensor '" + printable(p.source->name) + "': " + s.message());
    }
  }
}

void published_tensor::release(std::uint64_t first, std::uint64_t last) const {
  const auto drop = [&](const blocq::safetensors::tensor_info* t, std::uint64_t from, std::uint64_t to,
                        std::uint64_t of) {
    if (t == nullptr) return;
    const auto at = [&](std::uint64_t row) { return static_cast<std::size_t>(t->data.size() / of * row); };
    files_->release(t->data.subspan(at(from), at(to) - at(from)));
  };
  const std::uint64_t height = part_height();
  for (std::uint64_t begin = first, end; begin < last; begin = end) {
    const std::size_t i = static_cast<std::size_t>(begin / height);
    end = std::min(last, (i + 1) * height);
    const part& p = parts_[i];
    const weight& w = *p.source;
    const std::uint64_t all = is_bias_ || place_.transposed || place_.heads != 0 ? 0 : rows_in_order(w);
    if (all != 0) {
      const std::uint64_t base = p.matrix * (all / stack_of(w));
      const std::uint64_t from = base + source_row(begin), to = base + source_row(end - 1) + 1;
      drop(w.codes, from, to, all);
      if (w.scales.rows == 1 && w.scales.column_stride == 1) drop(w.scales.tensor, from, to, all);
    }
    const bool done = end == (i + 1) * height && (i + 1 == parts_.size() || parts_[i + 1].source != &w);
    if (done)
      for (const auto* t : {w.codes, w.scales.tensor, w.zeros}) drop(t, 0, 1, 1);
  }
}

// Whether every block comes out. A number that no type holds ends the program.
bool published_tensor::holds(exact_rows type, const format_entry& format) const {
  if (row_length() % format.block_size != 0) return false;
  const weight& one = *parts_.front().source;
  const bool alike = std::ranges::all_of(parts_, [&](const part& p) { return p.source->kind == one.kind; });
  // Codes and scales of these layouts are those of the blocks: what can go wrong is said while they are written.
  if (alike && (one.kind == layout::mxfp4 || one.kind == layout::nvfp4)) return true;
  const std::size_t row = format.bytes_for(static_cast<std::size_t>(row_length()));
  const std::uint64_t step = std::max<std::size_t>(1, (std::size_t{1} << 20) / row), height = one.rows;
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
void published_tensor::choose_type(bool look, std::string_view architecture) {
  const weight& w = *parts_.front().source;
  format_ = find_format("f32");
  if (w.is_plain()) {
    const auto all_are = [&](auto&& what) { return std::ranges::all_of(parts_, what); };
    const bool alike = all_are([&](const part& p) { return p.source->codes->type == w.codes->type; });
    const format_entry* const same = alike ? find_format(plain_type(w.codes->type)) : format_;
    // What llama.cpp wants in floats only stays so.
    if (is_matrix() && !is_bias_ && !name_.ends_with("ffn_gate_inp.weight")) format_ = same;
    holds_plain_ = all_are([](const part& p) { return p.source->is_plain(); });
    copies_ = alike && format_ == same && !place_.transposed && !(is_bias_ && chooses_rows());
    return;
  }
  if (!look) return;
  for (const exact_type& type : exact_types(w)) {
    if (!holds(type.rows, *type.format)) continue;
    // A scale that has no place, or is left out there, is part of the numbers.
    const bool needs_scale = type.rows == rows_as<blocq::nvfp4> && !is_unscaled();
    if (needs_scale && (ignores_scale(name_, architecture) || !name_.ends_with(".weight"))) continue;
    format_ = type.format;
    exact_ = type.rows;
    return;
  }
}

// Whether the scales of whole matrices go without saying.
bool published_tensor::is_unscaled() const {
  return std::ranges::all_of(parts_, [](const part& p) { return tensor_scale(*p.source, p.matrix) == 1.0f; });
}

// From the place and the parts.
void published_tensor::set_shape() {
  const weight& w = *parts_.front().source;
  dims_ = dims_of(w);
  is_bias_ = dims_.size() == 1 || name_.ends_with(".bias");
  const bool knows_rows = w.kind == layout::mxfp4 || w.kind == layout::nvfp4 || w.kind == layout::nvfp4_e5m3;
  place_.transposed = place_.transposed && !knows_rows;
  if (place_.transposed) {
    if (!w.is_plain() || is_bias_)
      refuse(parts_.front(), "tensor '" + printable(w.name) + "' would have to be transposed, which is not known of " +
                                 (is_bias_ ? "a vector" : name_of(w.kind)));
    std::swap(dims_[0], dims_[1]);
  }
  std::uint64_t& height = is_bias_ ? dims_[0] : dims_[1];
  const std::uint64_t divisor = place_.heads != 0 ? 2 * place_.heads : place_.rows != row_share::all ? 2 : 1;
  if (height % divisor != 0)
    refuse(parts_.front(),
           "tensor '" + printable(w.name) + "' has rows that are no whole " + (place_.heads != 0 ? "heads" : "pairs"));
  if (place_.rows != row_share::all) height /= 2;
}

published_model::published_model(const std::string& path, bool whole, const std::string& pre, const std::string& map)
    : files_(path), whole_(whole) {
  const nlohmann::json config = files_.read_json("config.json").value_or(nlohmann::json());
  choose_architecture(config, path, map);
  const auto& weights = files_.weights();
  if (!weights) throw failure(file_of_message(files_, weights.message(), path) + ": " + weights.message());
  for (const weight& w : weights->list()) add(w);
  finish_stacks();
  progress bar("looking", tensors_.size());
  for (published_tensor& t : tensors_) {
    t.choose_type(whole_, architecture_ ? architecture_->name() : "");
    bar.advance(1);
  }
  if (whole) {
    check();
    for (const published_tensor& t : tensors_) add_scales(t);
  }
  if (architecture_ && !architecture_->rope_factors().empty())
    add_numbers("rope_freqs.weight", architecture_->rope_factors());
  write_header(config, pre);
  if (whole) note_kept_names();
  if (const std::size_t left_out = weights->left_out().size() - kept_scales_.size(); whole && left_out != 0)
    notes_.insert(notes_.begin(), std::to_string(left_out) + " scales of activations or caches are left out");
}

void published_model::choose_architecture(const nlohmann::json& config, const std::string& path,
                                          const std::string& map) {
  if (whole_ && config.is_null()) throw failure(printable(files_.folder().string()) + ": config.json is not there");
  if (!map.empty() || (whole_ && !known_architecture::names_one(config))) {
    architecture_ = std::make_unique<mapped_architecture>(config, map);
  } else {
    try {
      architecture_ = std::make_unique<known_architecture>(config);
    } catch (const failure& f) {
      if (whole_) throw;
      notes_.push_back(printable(path) + ": names are those of the checkpoint, because " +
                       (config.is_null() ? "there is no config.json" : f.what()));
      return;
    }
  }
  notes_ = architecture_->notes();
}

void published_model::add(const weight& w) {
  published_tensor t;
  t.files_ = &files_;
  const std::string name = w.is_plain() ? std::string(w.name) : std::string(w.module) + ".weight";
  t.parts_ = {{&w, 0}};
  std::vector<gguf_place> places = {{name}};
  try {
    if (architecture_) places = architecture_->places_of(name);
  } catch (const failure& f) {
    if (whole_) t.refuse(t.parts_[0], f.what());
  }
  if (places.empty()) return;
  if (w.is_plain() && plain_type(w.codes->type) == nullptr) {
    const std::string what =
        "tensor '" + printable(w.name) + "' is of the type " + name_of(w.codes->type) + ", not F32, F16 or BF16";
    if (whole_) t.refuse(t.parts_[0], what);
    notes_.push_back(what + ": it is left out");
    return;
  }
  for (const gguf_place& p : places) {
    published_tensor placed = t;
    placed.name_ = p.name;
    placed.place_ = p;
    place(placed, w);
  }
}

// A tensor of its own, or a matrix of a stack.
void published_model::place(published_tensor& t, const weight& w) {
  t.set_shape();
  const std::optional<std::uint32_t> matrix = t.place_.matrix;
  const auto [found, is_new] = by_name_.try_emplace(t.name_, nullptr);
  if (!is_new && (!matrix || !found->second->place_.matrix)) throw failure("two tensors for " + t.name_);
  if (!matrix) {
    for (std::uint64_t s = 1; !t.is_bias_ && s < stack_of(w); ++s) t.parts_.push_back({&w, s});
    found->second = &tensors_.emplace_back(std::move(t));
    return;
  }
  if (*matrix > 65535) t.refuse(t.parts_[0], "tensor '" + printable(w.name) + "' has a number beyond 65535");
  if (t.dims_.size() > (t.is_bias_ ? 1u : 2u))
    t.refuse(t.parts_[0], "tensor '" + printable(w.name) + "' is a stack where one of its matrices is expected");
  if (is_new) {
    found->second = &tensors_.emplace_back(t);
    found->second->parts_.clear();
  }
  published_tensor& all = *found->second;
  if (all.dims_ != t.dims_)
    t.refuse(t.parts_[0], "tensor '" + printable(w.name) + "' has another shape than the others of its stack");
  if (all.parts_.size() <= *matrix) all.parts_.resize(*matrix + 1);
  if (all.parts_[*matrix].source != nullptr)
    t.refuse(t.parts_[0], "tensor '" + printable(w.name) + "' is in its stack twice");
  all.parts_[*matrix] = t.parts_[0];
}

void published_model::finish_stacks() {
  for (published_tensor& t : tensors_) {
    if (!t.place_.matrix) continue;
    for (std::size_t i = 0; i < t.parts_.size(); ++i)
      if (t.parts_[i].source == nullptr)
        throw failure("the checkpoint has no tensor for matrix " + std::to_string(i) + " of " + t.name_);
    t.dims_.push_back(t.parts_.size());
  }
}

void published_model::check() const {
  tensor_shapes shapes;
  for (const published_tensor& t : tensors_) shapes[t.name()] = t.dims();
  architecture_->check(shapes);
}

void published_model::note_kept_names() {
  const auto keeps = [](const published_tensor& t) {
    const weight& w = *t.parts_.front().source;
    return t.name_ == w.name || t.name_ == std::string(w.module) + ".weight";
  };
  const auto kept = std::ranges::count_if(tensors_, keeps);
  if (kept == 0) return;
  notes_.push_back(std::to_string(kept) + " of " + std::to_string(tensors_.size()) +
                   " tensors keep the names of the checkpoint, '" +
                   printable(std::ranges::find_if(tensors_, keeps)->name_) + "' first");
}

void published_model::add_numbers(const std::string& name, std::span<const float> numbers) {
  numbers_.push_back({name, image_of(numbers)});
}

// llama.cpp multiplies by these two where they are there; 1 goes without saying.
void published_model::add_scales(const published_tensor& t) {
  if (t.exact_ != rows_as<blocq::nvfp4> || !t.name().ends_with(".weight")) return;
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
  std::set<const blocq::safetensors::tensor_info*> of_activations;
  for (const auto& p : t.parts_) {
    scales.push_back(tensor_scale(*p.source, p.matrix));
    for (const char* suffix : {".input_scale", ".input_global_scale"}) {
      const auto* input = files_.tensors().find(std::string(p.source->module) + suffix);
      if (input == nullptr || input->type != dtype::f32 || input->elements() != 1) continue;
      const float value = blocq::checkpoint::number_at(*input, 0);
      of_activations.insert(input);
      inputs.push_back(suffix == std::string_view(".input_scale") ? value : 1.0f / value);
    }
  }
  add("scale", scales);
  if (inputs.size() != t.parts_.size()) return;
  add("input_scale", inputs);
  kept_scales_.merge(of_activations);
}

void published_model::write_header(const nlohmann::json& config, const std::string& pre) {
  blocq::gguf::writer out;
  if (architecture_) architecture_->add_metadata(out);
  if (whole_) {
    out.add("general.file_type", 0u);
    out.add("general.type", "model").add("general.quantization_version", std::uint32_t{2});
    const std::string name = std::filesystem::absolute(files_.folder() / "").parent_path().filename().string();
    if (!name.empty()) out.add("general.name", std::string_view(name));
    if (architecture_->needs_tokenizer() || files_.read_json("tokenizer.json"))
      add_tokenizer(files_, config, architecture_->vocabulary(), pre, out);
    else
      notes_.push_back("there is no tokenizer.json, and the file has no vocabulary");
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
