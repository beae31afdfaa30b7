// blocq export: the weights of a GGUF file as compressed-tensors has them, in safetensors.
#include "architecture.hpp"
#include "command.hpp"
#include "files.hpp"
#include "measure.hpp"
#include "model.hpp"
#include "terminal.hpp"
#include "whole_tensor.hpp"

#include <blocq/elem/minifloat.hpp>
#include <blocq/format/all.hpp>
#include <blocq/format/split.hpp>
#include <blocq/safetensors/json.hpp>
#include <blocq/safetensors/writer.hpp>

#include <cmath>
#include <iostream>

namespace {

namespace fs = std::filesystem;
using blocq::safetensors::dtype;
using nlohmann::json;

// A part of a weight: a tensor with some bytes for each row, or with a few for all of it.
struct part {
  const char* suffix;
  dtype type;
  std::vector<std::uint64_t> shape;
  std::vector<std::byte> bytes = {};

  void allocate() {
    std::uint64_t bits = bits_of(type);
    for (const std::uint64_t d : shape) bits *= d;
    bytes.resize(static_cast<std::size_t>(bits / 8));
  }
};

// Rows of a matrix in a layout's codes and scales.
class layout {
 public:
  virtual ~layout() = default;
  virtual const char* format() const = 0;
  virtual json weights() const = 0;
  virtual bool fits(const model::tensor& t) const = 0;
  // The parts of a matrix, without their bytes.
  virtual std::vector<part> parts(const model::tensor& t) const = 0;
  // Sets what all rows share.
  virtual void start(const model::tensor&, std::vector<part>&) const {}
  // Row `row` of the file as row `to` of the parts. Adds how far it is off. Of several threads at once.
  virtual void put(const model::tensor& t, std::uint64_t row, std::uint64_t to, std::vector<part>& parts,
                   error_sums& error) const = 0;
};

[[noreturn]] void refuse(const model::tensor& t, std::uint64_t row, const std::string& why) {
  throw failure("tensor '" + printable(t.name) + "', row " + std::to_string(row) + ": " + why);
}

std::vector<float> row_of(const model::tensor& t, std::uint64_t row) {
  std::vector<float> numbers(t.row_elements());
  read_elements(t, static_cast<std::size_t>(row) * numbers.size(), numbers);
  for (const float x : numbers)
    if (!blocq::is_finite(x)) refuse(t, row, "a weight is not finite");
  return numbers;
}

// Layouts whose codes and scales are those of a format's blocks.
class block_layout : public layout {
 public:
  block_layout(const char* format, bool best) : block_(*find_format(format)), best_(best) {}

  bool fits(const model::tensor& t) const override { return t.row_elements() % block_.block_size == 0; }
  void put(const model::tensor& t, std::uint64_t row, std::uint64_t to, std::vector<part>& parts,
           error_sums& error) const override {
    std::vector<std::byte> blocks(block_.bytes_for(t.row_elements()));
    if (moves(t)) {
      read_rows(t, row, row + 1, blocks.data());
    } else {
      const std::vector<float> numbers = row_of(t, row);
      const float unit = unit_of(parts);
      const encode_settings settings{.best = best_};
      const auto made = unit == 1.0f ? block_.encode(numbers, blocks.data(), settings)
                                     : encode_nvfp4_blocks(numbers, unit, blocks.data(), settings);
      if (!made)
        refuse(t, row, std::string("it cannot be written as ") + std::string(block_.name) + ": " + made.message());
      std::vector<float> back(numbers.size());
      static_cast<void>(block_.decode(blocks.data(), back));
      for (float& x : back) x *= unit;
      error += measure(numbers, back);
    }
    const auto piece = [&](std::size_t i) {
      const std::size_t size = parts[i].bytes.size() / t.rows();
      return std::span(parts[i].bytes).subspan(to * size, size);
    };
    if (const auto split = take_apart(blocks, piece(0), piece(1)); !split)
      refuse(t, row, "a scale that the layout has not");
  }

 protected:
  // Whether the file has these blocks already.
  virtual bool moves(const model::tensor& t) const { return format_of(t) == &block_ && !t.scale; }
  virtual float unit_of(const std::vector<part>&) const { return 1.0f; }
  virtual blocq::status take_apart(std::span<const std::byte> blocks, std::span<std::byte> codes,
                                   std::span<std::byte> scales) const = 0;
  template <class B>
  static blocq::status split(std::span<const std::byte> blocks, std::span<std::byte> codes,
                             std::span<std::byte> scales) {
    const auto bytes = [](std::span<std::byte> s) {
      return std::span(reinterpret_cast<std::uint8_t*>(s.data()), s.size());
    };
    return split_scales(std::span(reinterpret_cast<const B*>(blocks.data()), blocks.size() / sizeof(B)), bytes(codes),
                        bytes(scales));
  }

  const format_entry& block_;
  bool best_;
};

class mxfp4_layout : public block_layout {
 public:
  explicit mxfp4_layout(bool best) : block_layout("mxfp4", best) {}
  const char* format() const override { return "mxfp4-pack-quantized"; }
  json weights() const override {
    return {{"num_bits", 4}, {"type", "float"}, {"strategy", "group"}, {"group_size", 32}, {"symmetric", true}};
  }
  std::vector<part> parts(const model::tensor& t) const override {
    const std::uint64_t k = t.row_elements(), n = t.rows();
    return {{"weight_packed", dtype::u8, {n, k / 2}}, {"weight_scale", dtype::u8, {n, k / 32}}};
  }

 protected:
  blocq::status take_apart(std::span<const std::byte> blocks, std::span<std::byte> codes,
                           std::span<std::byte> scales) const override {
    const auto done = split<blocq::mxfp4>(blocks, codes, scales);
    for (const std::byte e : scales)  // a number in GGUF, none elsewhere
      if (e == std::byte{255}) return {blocq::errc::bad_value, 0};
    return done;
  }
};

class nvfp4_layout : public block_layout {
 public:
  explicit nvfp4_layout(bool best) : block_layout("nvfp4", best) {}
  const char* format() const override { return "nvfp4-pack-quantized"; }
  json weights() const override {
    return {{"num_bits", 4}, {"type", "float"}, {"strategy", "tensor_group"}, {"group_size", 16}, {"symmetric", true}};
  }
  std::vector<part> parts(const model::tensor& t) const override {
    const std::uint64_t k = t.row_elements(), n = t.rows();
    return {{"weight_packed", dtype::u8, {n, k / 2}},
            {"weight_scale", dtype::f8_e4m3, {n, k / 16}},
            {"weight_global_scale", dtype::f32, {1}}};
  }
  void start(const model::tensor& t, std::vector<part>& parts) const override {
    float unit = t.scale[0];  // 1 if there is none
    if (!moves(t)) {
      float largest = 0;
      for (std::uint64_t r = 0; r < t.rows(); ++r)
        for (const float x : row_of(t, r)) largest = std::max(largest, std::abs(x));
      unit = nvfp4_unit(largest);
    }
    const float divisor = 1 / unit;
    if (!blocq::is_finite(divisor) || divisor == 0)
      throw failure("tensor '" + printable(t.name) + "': its scale is not a number that can divide");
    parts[2].bytes = image_of({&divisor, 1});
  }

 protected:
  bool moves(const model::tensor& t) const override { return format_of(t) == &block_; }
  float unit_of(const std::vector<part>& parts) const override {
    const auto word = blocq::load(*reinterpret_cast<const blocq::le32*>(parts[2].bytes.data()));
    return 1 / blocq::from_bits(word);
  }
  blocq::status take_apart(std::span<const std::byte> blocks, std::span<std::byte> codes,
                           std::span<std::byte> scales) const override {
    return split<blocq::nvfp4>(blocks, codes, scales);
  }
};

// Integers with a scale for 32: q4_0, q5_0, q8_0. The scales are F32, so that the product of code and scale is exact.
template <class B>
class integer_layout : public block_layout {
 public:
  explicit integer_layout(bool best) : block_layout(blocq::format_traits<B>::name, best) {}
  const char* format() const override { return "pack-quantized"; }
  json weights() const override {
    return {{"num_bits", bits}, {"type", "int"}, {"strategy", "group"}, {"group_size", 32}, {"symmetric", true}};
  }
  std::vector<part> parts(const model::tensor& t) const override {
    const std::uint64_t k = t.row_elements(), n = t.rows();
    return {{"weight_packed", dtype::i32, {n, k * bits / 32}},
            {"weight_scale", dtype::f32, {n, k / 32}},
            {"weight_shape", dtype::i64, {2}}};
  }
  void start(const model::tensor& t, std::vector<part>& parts) const override {
    const std::uint64_t shape[] = {t.rows(), t.row_elements()};
    for (std::size_t i = 0; i < 16; ++i)
      parts[2].bytes[i] = static_cast<std::byte>(shape[i / 8] >> (8 * (i % 8)) & 255u);
  }

 protected:
  static constexpr unsigned bits = blocq::element_t<B>::bits;

  blocq::status take_apart(std::span<const std::byte> blocks, std::span<std::byte> codes,
                           std::span<std::byte> scales) const override {
    const auto* const from = reinterpret_cast<const B*>(blocks.data());
    for (std::size_t i = 0; i < blocks.size() / sizeof(B); ++i) {
      const float d = blocq::f16_to_f32(load(from[i].d));
      if (!blocq::is_finite(d)) return {blocq::errc::not_finite, i};
      const auto image = image_of({&d, 1});
      std::copy(image.begin(), image.end(), scales.begin() + static_cast<std::ptrdiff_t>(4 * i));
      std::uint8_t q[32];
      get_codes(from[i], q);
      if constexpr (bits == 8)
        for (std::uint8_t& code : q) code = static_cast<std::uint8_t>(code ^ 128u);
      blocq::impl::pack_dense<bits>(q, 32, reinterpret_cast<std::uint8_t*>(&codes[4 * bits * i]));
    }
    return {};
  }
};

class fp8_layout : public layout {
 public:
  const char* format() const override { return "float-quantized"; }
  json weights() const override {
    return {{"num_bits", 8}, {"type", "float"}, {"strategy", "channel"}, {"symmetric", true}};
  }
  bool fits(const model::tensor&) const override { return true; }
  std::vector<part> parts(const model::tensor& t) const override {
    const std::uint64_t k = t.row_elements(), n = t.rows();
    return {{"weight", dtype::f8_e4m3, {n, k}}, {"weight_scale", dtype::f32, {n, 1}}};
  }
  void put(const model::tensor& t, std::uint64_t row, std::uint64_t to, std::vector<part>& parts,
           error_sums& error) const override {
    const std::vector<float> numbers = row_of(t, row);
    float largest = 0;
    for (const float x : numbers) largest = std::max(largest, std::abs(x));
    // The largest magnitude becomes the largest number there is; what is too small for that is 0.
    float scale = largest / 448;
    if (!(scale >= 0x1p-126f)) scale = 1;
    std::vector<float> back(numbers.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto code = blocq::float8_e4m3fn::from_float(numbers[i] / scale);
      parts[0].bytes[to * numbers.size() + i] = static_cast<std::byte>(code.code);
      back[i] = code.to_float() * scale;
    }
    const auto image = image_of({&scale, 1});
    std::copy(image.begin(), image.end(), parts[1].bytes.begin() + static_cast<std::ptrdiff_t>(4 * to));
    error += measure(numbers, back);
  }
};

std::unique_ptr<layout> make_layout(const export_options& o) {
  if (o.bits != 4 && o.layout != "pack-quantized")
    throw failure("--bits is for pack-quantized; codes of " + o.layout + " have a width of their own");
  if (o.layout == "mxfp4") return std::make_unique<mxfp4_layout>(o.best);
  if (o.layout == "nvfp4") return std::make_unique<nvfp4_layout>(o.best);
  if (o.layout == "fp8") return std::make_unique<fp8_layout>();
  if (o.bits == 4) return std::make_unique<integer_layout<blocq::q4_0>>(o.best);
  if (o.bits == 5) return std::make_unique<integer_layout<blocq::q5_0>>(o.best);
  return std::make_unique<integer_layout<blocq::q8_0>>(o.best);
}

json read_config(const std::string& path) {
  if (path.empty()) return json::object();
  const auto file = open_input(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (const auto checked = blocq::safetensors::json::parse(text); !checked)
    throw failure(printable(path) + ": " + checked.message());
  return json::parse(text);
}

// The row of a GGUF file that is row r of the published matrix (see gguf_place).
std::uint64_t gguf_row(std::size_t heads, std::uint64_t rows, std::uint64_t r) {
  if (heads == 0) return r;
  const std::uint64_t height = rows / heads, in_head = r % height;
  return r - in_head + in_head % (height / 2) * 2 + in_head / (height / 2);
}

class exporter {
 public:
  explicit exporter(const export_options& o)
      : o_(o), source_(o.in), layout_(make_layout(o)), config_(read_config(o.config)) {
    std::map<std::string, gguf_place> names;
    if (!o.config.empty()) names = check_config();
    for (const model::tensor& t : source_.tensors()) {
      if (t.scales != nullptr || (!o.config.empty() && t.name == "rope_freqs.weight")) continue;  // it follows
      require_known(t);
      if (format_of(t) == nullptr) throw failure("tensor '" + printable(t.name) + "' does not hold floats");
      exported e{&t, {std::string(t.name)}};
      if (!o.config.empty()) {
        const auto found = names.find(e.place.name);
        if (found == names.end())
          throw failure("tensor '" + printable(t.name) + "' " +
                        (t.name.find("_exps.") != t.name.npos
                             ? "is a stack of experts, which is not exported under published names"
                             : "is not known in the architecture of " + printable(o.config)));
        e.place = found->second;
      }
      const std::uint64_t rows = t.rows() == 1 ? t.row_elements() : t.rows();
      if (e.place.heads != 0 && rows % (2 * e.place.heads) != 0)
        throw failure("tensor '" + printable(t.name) + "' has rows that are no whole heads");
      const bool end = t.name == "token_embd.weight" || t.name == "output.weight";
      const bool matrix = is_weight_matrix(source_, t) && t.n_dims == 2 && t.name.ends_with(".weight");
      e.quantized = matrix && !end && layout_->fits(t);
      // Modules that are a Linear to who reads it, and are not quantized.
      if (matrix && !e.quantized && t.name != "token_embd.weight") ignored_.push_back(module_of(e));
      tensors_.push_back(std::move(e));
    }
  }

  int run() {
    std::error_code problem;
    const bool made = fs::create_directories(o_.folder, problem);
    if (problem) throw failure(printable(o_.folder) + ": " + problem.message());
    try {
      write();
    } catch (...) {
      if (made) fs::remove(o_.folder, problem);
      throw;
    }
    report();
    return exit_done;
  }

 private:
  struct exported {
    const model::tensor* source;
    gguf_place place;  // the published name
    bool quantized = false;
    error_sums error = {};
  };
  // The published names. Throws failure if config.json is not that of this model.
  std::map<std::string, gguf_place> check_config() const {
    const known_architecture a(config_);
    std::map<std::string, std::vector<std::uint64_t>> shapes;
    for (const model::tensor& t : source_.tensors()) shapes[std::string(t.name)].assign(t.dims, t.dims + t.n_dims);
    a.check(shapes);
    std::vector<float> factors;
    if (const model::tensor* t = source_.find("rope_freqs.weight"); t != nullptr && format_of(*t) != nullptr) {
      factors.resize(t->elements());
      read_elements(*t, 0, factors);
    }
    if (factors != a.rope_factors())
      throw failure(printable(o_.config) + ": its rotary positions are not those of " + printable(o_.in));
    return a.published_names();
  }
  static std::string module_of(const exported& e) {
    return e.place.name.substr(0, e.place.name.size() - std::string_view(".weight").size());
  }
  static const char* plain_format(const model::tensor& t) {
    const auto name = format_of(t)->name;
    return t.scale || (name != "f16" && name != "bf16") ? "f32" : name == "f16" ? "f16" : "bf16";
  }

  // Rows in the published order, some at a time.
  void write_plain(const exported& e, std::size_t index, blocq::safetensors::writer& out, output& file) const {
    const model::tensor& t = *e.source;
    const format_entry& format = *find_format(plain_format(t));
    const bool vector = t.rows() == 1;
    const std::size_t columns = vector ? 1 : t.row_elements(), rows = t.elements() / columns;
    const std::size_t step = std::max<std::size_t>(1, (std::size_t{1} << 18) / columns);
    std::vector<float> all(vector ? rows : 0), numbers;
    if (vector) read_elements(t, 0, all);
    std::vector<std::byte> bytes;
    for (std::size_t first = 0; first < rows; first += step) {
      const std::size_t count = std::min(step, rows - first);
      numbers.resize(count * columns);
      bytes.resize(format.bytes_for(numbers.size()));
      for (std::size_t r = 0; r < count; ++r) {
        const auto from = static_cast<std::size_t>(gguf_row(e.place.heads, rows, first + r));
        if (vector)
          numbers[r] = all[from];
        else
          read_elements(t, from * columns, std::span(numbers).subspan(r * columns, columns));
      }
      if (const auto made = format.encode(numbers, bytes.data(), {}); !made) refuse(t, first, made.message());
      file.check(out.write(index, bytes));
    }
  }

  void write() {
    const fs::path folder = o_.folder;
    output file((folder / "model.safetensors").string()), config((folder / "config.json").string());
    blocq::safetensors::writer out;
    out.add_metadata("format", "pt");
    for (const exported& e : tensors_) {
      const model::tensor& t = *e.source;
      if (!e.quantized) {
        const std::string_view name = plain_format(t);
        std::vector<std::uint64_t> shape(t.dims, t.dims + t.n_dims);
        out.add(e.place.name,
                name == "f32"   ? dtype::f32
                : name == "f16" ? dtype::f16
                                : dtype::bf16,
                std::vector<std::uint64_t>(shape.rbegin(), shape.rend()));
        continue;
      }
      for (const part& p : layout_->parts(t)) out.add(module_of(e) + "." + p.suffix, p.type, p.shape);
    }
    file.check(out.begin(file));
    progress bar("exporting", elements());
    std::size_t index = 0;
    for (exported& e : tensors_) {
      const model::tensor& t = *e.source;
      if (!e.quantized) {
        write_plain(e, index++, out, file);
      } else {
        std::vector<part> parts = layout_->parts(t);
        for (part& p : parts) p.allocate();
        layout_->start(t, parts);
        // One for each row, so that their order of summation is always the same.
        std::vector<error_sums> errors(t.rows());
        parallel_ranges(o_.threads, errors.size(), [&](std::size_t begin, std::size_t end) {
          for (std::size_t r = begin; r < end; ++r) {
            check_interrupt();
            layout_->put(t, gguf_row(e.place.heads, errors.size(), r), r, parts, errors[r]);
          }
        });
        for (const error_sums& sums : errors) e.error += sums;
        for (const part& p : parts) file.check(out.write(index++, p.bytes));
      }
      source_.release(t, 0, t.elements());
      bar.advance(t.elements());
    }
    file.check(out.finish());
    const std::string text = quantized_config().dump(2) + "\n";
    static_cast<void>(config(text.data(), text.size()));  // commit says if it went wrong
    file.commit();
    config.commit();
  }

  std::uint64_t elements() const {
    std::uint64_t sum = 0;
    for (const exported& e : tensors_) sum += e.source->elements();
    return sum;
  }

  nlohmann::ordered_json quantized_config() const {
    nlohmann::ordered_json config = config_;
    json weights = layout_->weights();
    config["quantization_config"] = {{"quant_method", "compressed-tensors"},
                                     {"format", layout_->format()},
                                     {"quantization_status", "compressed"},
                                     {"config_groups", {{"group_0", {{"targets", {"Linear"}}, {"weights", weights}}}}},
                                     {"ignore", ignored_}};
    return config;
  }

  void report() const {
    table list({"tensor", "layout", ">relative RMSE"});
    std::size_t quantized = 0, plain = 0;
    for (const exported& e : tensors_) {
      ++(e.quantized ? quantized : plain);
      if (!e.quantized) continue;
      list.row({printable(e.place.name), o_.layout,
                e.error.noise == 0 ? "exact" : number_text(100 * e.error.relative_rmse(), 4) + " %"});
    }
    if (!list.empty()) std::cout << list;
    std::cout << printable(o_.folder) << ": " << quantized << (quantized == 1 ? " matrix" : " matrices") << " as "
              << layout_->format() << ", " << plain << " tensors of plain floats\n";
    if (o_.config.empty())
      std::cout << "note: names are GGUF's, and config.json says only how the weights lie; --config makes it a model\n";
  }

  const export_options& o_;
  model source_;
  std::unique_ptr<layout> layout_;
  json config_;
  std::vector<exported> tensors_;
  std::vector<std::string> ignored_;
};

}  // namespace

int export_checkpoint(const export_options& o) { return exporter(o).run(); }
