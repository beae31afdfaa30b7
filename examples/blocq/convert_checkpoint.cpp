// blocq convert: a published checkpoint as a GGUF file. Codes and scales are moved into blocks wherever a type of GGUF
// holds them; only what none holds is rounded, to the type that the user names.
#include "architecture.hpp"
#include "catalog.hpp"
#include "checkpoint.hpp"
#include "command.hpp"
#include "convert.hpp"
#include "measure.hpp"
#include "terminal.hpp"
#include "tokenizer.hpp"

#include <blocq/checkpoint/blocks.hpp>
#include <blocq/file/file.hpp>
#include <blocq/gguf/writer.hpp>

#include <algorithm>
#include <iostream>
#include <map>

namespace {

using blocq::checkpoint::layout;
using blocq::checkpoint::weight;

// Bytes that are made, and written, at once.
constexpr std::size_t chunk_bytes = std::size_t{1} << 20;

// Rows of a weight as blocks of one type, without a loss.
using exact_rows = blocq::result<void> (*)(const weight& w, std::uint64_t first, std::uint64_t last, std::byte* out);

template <class B>
blocq::result<void> rows_as(const weight& w, std::uint64_t first, std::uint64_t last, std::byte* out) {
  const auto blocks = static_cast<std::size_t>((last - first) * (w.columns / blocq::block_size<B>));
  return to_blocks(w, 0, first, last, std::span(reinterpret_cast<B*>(out), blocks));
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

// A tensor of the output.
struct output_tensor {
  gguf_place place;
  const weight* source = nullptr;  // null: `numbers`
  std::vector<float> numbers = {};
  const format_entry* format = nullptr;
  exact_rows exact = nullptr;  // null: a plain weight of the same type is copied, anything else goes through floats
  bool copies = false;
  std::vector<std::uint64_t> dims = {};
  error_sums error = {};
};

// Of a tensor with `rows` rows in `heads` heads (see gguf_place), the published row that is row r of the output.
std::uint64_t source_row(std::size_t heads, std::uint64_t rows, std::uint64_t r) {
  if (heads == 0) return r;
  const std::uint64_t height = rows / heads, in_head = r % height;
  return r - in_head + in_head % 2 * (height / 2) + in_head / 2;
}

class conversion_of_checkpoint {
 public:
  explicit conversion_of_checkpoint(const convert_options& o) : o_(o), files_(o.in) {
    const auto config = files_.read_json("config.json");
    if (!config) throw failure(printable(files_.folder().string()) + ": config.json is not there");
    config_ = *config;
    architecture_.emplace(config_);
    const auto& weights = files_.weights();
    if (!weights) throw failure(printable(o.in) + ": " + weights.message());
    for (const auto& file : files_.files()) {
      std::error_code ignored;
      if (std::filesystem::equivalent(file, o.out, ignored))
        throw failure("the output is the input: " + printable(o.out));
    }
    rest_ = &output_type(o.type);
    progress bar("looking", weights->list().size());
    for (const weight& w : weights->list()) {
      plan(w);
      bar.advance(1);
    }
    std::map<std::string, std::vector<std::uint64_t>> shapes;
    for (const output_tensor& t : tensors_)
      if (!shapes.emplace(t.place.name, t.dims).second) throw failure("two tensors for " + t.place.name);
    architecture_->check(shapes);
    if (!architecture_->rope_factors().empty()) add_numbers("rope_freqs.weight", architecture_->rope_factors());
  }

  void write();
  void report() const;

 private:
  [[noreturn]] void refuse(const weight& w, const std::string& what) const {
    throw failure(printable(files_.file_of(*w.codes).string()) + ": " + what);
  }
  void add_numbers(const std::string& name, const std::vector<float>& numbers) {
    output_tensor t;
    t.place.name = name;
    t.numbers = numbers;
    t.format = find_format("f32");
    t.dims = {numbers.size()};
    tensors_.push_back(std::move(t));
  }
  void plan(const weight& w);
  void add_scale(const weight& w, const gguf_place& place, const char* what, float value);
  void choose_type(output_tensor& t) const;
  bool holds(const output_tensor& t, const exact_type& type) const;
  void make_rows(output_tensor& t, std::uint64_t first, std::uint64_t last, std::byte* out, error_sums& error) const;

  const convert_options& o_;
  checkpoint_files files_;
  nlohmann::json config_;
  std::optional<architecture> architecture_;
  const format_entry* rest_ = nullptr;
  std::vector<output_tensor> tensors_;
  std::size_t kept_scales_ = 0;  // of activations
  std::uint64_t written_ = 0;
};

void conversion_of_checkpoint::plan(const weight& w) {
  const std::string name = w.is_plain() ? std::string(w.name) : std::string(w.module) + ".weight";
  std::optional<gguf_place> place;
  try {
    place = architecture_->place_of(name);
  } catch (const failure& f) {
    refuse(w, f.what());
  }
  if (!place) return;
  if (w.stack != 1 || (w.is_plain() && w.codes->shape.size() > 2))
    refuse(w, "tensor '" + printable(w.name) + "' has more dimensions than its part of the architecture");
  output_tensor t;
  t.place = *place;
  t.source = &w;
  if (t.place.heads != 0) {
    const std::uint64_t rows = w.is_plain() && w.codes->shape.size() < 2 ? w.columns : w.rows;
    if (rows % (2 * t.place.heads) != 0)
      refuse(w, "tensor '" + printable(w.name) + "' has rows that are no whole heads");
  }
  t.dims = {w.columns};
  if (!w.is_plain() || w.codes->shape.size() == 2) t.dims.push_back(w.rows);
  choose_type(t);
  tensors_.push_back(std::move(t));
  if (w.kind != layout::nvfp4 || tensors_.back().exact != rows_as<blocq::nvfp4>) return;
  // llama.cpp multiplies by these two where they are there.
  add_scale(w, *place, "scale", tensor_scale(w, 0));
  for (const char* suffix : {".input_scale", ".input_global_scale"}) {
    const auto* input = files_.tensors().find(std::string(w.module) + suffix);
    if (input == nullptr || input->type != blocq::safetensors::dtype::f32 || input->elements() != 1) continue;
    const float value = blocq::checkpoint::number_at(*input, 0);
    add_scale(w, *place, "input_scale", suffix == std::string_view(".input_scale") ? value : 1.0f / value);
    ++kept_scales_;
  }
}

// A number beside a matrix; 1 goes without saying.
void conversion_of_checkpoint::add_scale(const weight& w, const gguf_place& place, const char* what, float value) {
  if (!blocq::is_finite(value))
    refuse(w, "tensor '" + printable(w.name) + "': its " + what + " for all of it is not a number");
  std::string name = place.name;
  name.replace(name.size() - std::string_view("weight").size(), std::string::npos, what);
  if (std::abs(value - 1.0f) >= 1e-6f) add_numbers(name, {value});
}

// Whether every block comes out. A number that no type holds ends the program.
bool conversion_of_checkpoint::holds(const output_tensor& t, const exact_type& type) const {
  const weight& w = *t.source;
  if (w.columns % type.format->block_size != 0) return false;
  // Codes and scales of these layouts are those of the blocks: what can go wrong is said while they are written.
  if (w.kind == layout::mxfp4 || w.kind == layout::nvfp4) return true;
  const std::size_t row = type.format->bytes_for(w.columns);
  const std::size_t step = std::max<std::size_t>(1, chunk_bytes / row);
  std::vector<std::byte> scratch(std::min<std::size_t>(step, w.rows) * row);
  for (std::uint64_t first = 0; first < w.rows; first += step) {
    const auto made = type.rows(w, first, std::min<std::uint64_t>(w.rows, first + step), scratch.data());
    if (made) continue;
    if (made.error().code == blocq::errc::not_finite) refuse(w, made.message());
    return false;
  }
  return true;
}

void conversion_of_checkpoint::choose_type(output_tensor& t) const {
  const weight& w = *t.source;
  if (w.is_plain()) {
    const bool vector = t.dims.size() == 1;
    const char* same = nullptr;
    switch (w.codes->type) {
      case blocq::safetensors::dtype::f32: same = "f32"; break;
      case blocq::safetensors::dtype::f16: same = "f16"; break;
      case blocq::safetensors::dtype::bf16: same = "bf16"; break;
      default:
        refuse(w, "tensor '" + printable(w.name) + "' is of the type " + name_of(w.codes->type) +
                      ", not F32, F16 or BF16");
    }
    t.format = find_format(vector ? "f32" : same);
    t.copies = t.format == find_format(same);
    return;
  }
  for (const exact_type& type : exact_types(w)) {
    if (!holds(t, type)) continue;
    t.format = type.format;
    t.exact = type.rows;
    return;
  }
  t.format = w.columns % rest_->block_size == 0 ? rest_ : find_format("f16");
}

// Rows [first, last) of the output.
void conversion_of_checkpoint::make_rows(output_tensor& t, std::uint64_t first, std::uint64_t last, std::byte* out,
                                         error_sums& error) const {
  const weight& w = *t.source;
  const auto check = [&](const blocq::result<void>& r) {
    if (!r) refuse(w, r.message());
  };
  if (t.dims.size() == 1) {  // a vector, whose elements are the rows of its heads
    std::vector<float> numbers(w.columns), ordered(w.columns);
    check(decode(w, 0, 0, 1, numbers));
    for (std::uint64_t i = 0; i < w.columns; ++i) ordered[i] = numbers[source_row(t.place.heads, w.columns, i)];
    if (const auto s = t.format->encode(ordered, out, {}); !s) refuse(w, s.message());
    return;
  }
  const std::size_t row_bytes = t.format->bytes_for(w.columns);
  if (t.place.heads == 0 && t.exact != nullptr) return check(t.exact(w, first, last, out));
  std::vector<float> numbers(t.exact == nullptr && !t.copies ? w.columns : 0), back(numbers.size());
  for (std::uint64_t r = first; r < last; ++r, out += row_bytes) {
    const std::uint64_t from = source_row(t.place.heads, w.rows, r);
    if (t.exact != nullptr) {
      check(t.exact(w, from, from + 1, out));
    } else if (t.copies) {
      std::copy_n(w.codes->data.data() + from * row_bytes, row_bytes, out);
    } else {
      check(decode(w, 0, from, from + 1, numbers, blocq::checkpoint::rounding::none));
      if (const auto s = t.format->encode(numbers, out, {.best = o_.best}); !s)
        refuse(w, "tensor '" + printable(w.name) + "', row " + std::to_string(from) + ": it cannot be written as " +
                      std::string(t.format->name) + ": " + s.message());
      if (const auto s = t.format->decode(out, back); !s) refuse(w, s.message());
      error += measure(numbers, back);
    }
  }
}

void conversion_of_checkpoint::write() {
  blocq::gguf::writer out;
  architecture_->add_metadata(out);
  std::map<const format_entry*, std::uint64_t> sizes;
  for (const output_tensor& t : tensors_)
    if (t.dims.size() > 1) sizes[t.format] += t.dims[0] * t.dims[1];
  const auto largest =
      std::max_element(sizes.begin(), sizes.end(), [](auto& a, auto& b) { return a.second < b.second; });
  out.add("general.file_type", largest == sizes.end() ? 0u : file_type_of(*largest->first));
  out.add("general.type", "model").add("general.quantization_version", std::uint32_t{2});
  const std::string name = std::filesystem::absolute(files_.folder() / "").parent_path().filename().string();
  if (!name.empty()) out.add("general.name", std::string_view(name));
  add_tokenizer(files_, config_, architecture_->vocabulary(), o_.pre, out);
  for (const output_tensor& t : tensors_) out.add_tensor(t.place.name, *t.format->gguf_id, t.dims);
  if (const auto planned = out.plan(); !planned) throw failure(printable(o_.out) + ": " + planned.message());

  auto file = blocq::output_file::create(o_.out.c_str());
  if (!file) throw failure(file.message());
  const auto check = [&](const blocq::result<void>& r) {  // commit says why a write failed
    if (!r) throw failure(r.error().code == blocq::errc::io ? file->commit().message() : r.message());
  };
  check(out.begin(*file));
  progress bar("converting", out.file_size());
  std::vector<std::byte> chunk;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    output_tensor& t = tensors_[i];
    if (t.source == nullptr) {
      chunk.resize(4 * t.numbers.size());
      if (const auto s = t.format->encode(t.numbers, chunk.data(), {}); !s) throw failure(s.message());
      check(out.write(i, chunk));
      continue;
    }
    const std::uint64_t rows = t.source->rows;
    const std::size_t row_bytes = t.format->bytes_for(t.source->columns);
    const std::uint64_t step = std::max<std::uint64_t>(1, chunk_bytes * o_.threads / row_bytes);
    for (std::uint64_t first = 0; first < rows; first += step) {
      check_interrupt();
      const auto count = static_cast<std::size_t>(std::min(step, rows - first));
      chunk.resize(count * row_bytes);
      std::vector<error_sums> errors(count);  // one for each row, so that their order of summation is always the same
      parallel_ranges(o_.threads, count, [&](std::size_t begin, std::size_t end) {
        if (t.exact != nullptr || t.copies)
          return make_rows(t, first + begin, first + end, chunk.data() + begin * row_bytes, errors[begin]);
        for (std::size_t r = begin; r < end; ++r)
          make_rows(t, first + r, first + r + 1, chunk.data() + r * row_bytes, errors[r]);
      });
      for (const error_sums& e : errors) t.error += e;
      check(out.write(i, chunk));
      bar.advance(chunk.size());
    }
    for (const auto* part : {t.source->codes, t.source->scales.tensor, t.source->zeros})
      if (part != nullptr) files_.release(part->data);
  }
  check(out.finish());
  check(file->commit());
  written_ = out.file_size();
}

void conversion_of_checkpoint::report() const {
  table t({"tensor", "layout", "type", ">relative RMSE"});
  std::size_t vectors = 0, exact = 0, rounded = 0;
  for (const output_tensor& o : tensors_) {
    if (o.source == nullptr || o.dims.size() < 2) {
      ++vectors;
      continue;
    }
    const bool same = o.exact != nullptr || o.copies || o.error.noise == 0;
    ++(same ? exact : rounded);
    t.row({printable(o.place.name), layout_text(*o.source), std::string(o.format->name),
           same ? "exact" : number_text(100 * o.error.relative_rmse(), 4) + " %"});
  }
  std::cout << t;
  std::cout << printable(o_.out) << ": " << exact << (exact == 1 ? " matrix exact, " : " matrices exact, ") << rounded
            << " rounded, " << vectors << " vectors; " << bytes_text(written_) << ", was " << bytes_text(files_.bytes())
            << '\n';
  const std::size_t left_out = files_.weights()->left_out().size() - kept_scales_;
  if (left_out != 0) std::cout << left_out << " scales of activations or caches are left out\n";
  for (const std::string& note : architecture_->notes()) std::cout << "note: " << note << '\n';
}

}  // namespace

int convert_checkpoint(const convert_options& o) {
  conversion_of_checkpoint work(o);
  work.write();
  work.report();
  return exit_done;
}
