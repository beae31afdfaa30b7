// From the tensors of a checkpoint to its weights: which tensors belong together, and in which layout. What decides are
// the tensors that are there, their types and shapes; the configuration is asked where those leave something open. What
// is not understood is an error: every tensor is part of a weight or is one that products do not need.
#ifndef BLOCQ_CHECKPOINT_RECOGNIZE_HPP
#define BLOCQ_CHECKPOINT_RECOGNIZE_HPP

#include <blocq/checkpoint/weight.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/format/int4_layouts.hpp>
#include <blocq/safetensors/shards.hpp>

namespace blocq::checkpoint::inline v0::inline BLOCQ_ISA {

namespace detail {
using blocq::detail::growing_array;
class recognizer;
}  // namespace detail

class weights {
 public:
  // `config` is the root of config.json, or of the file that stands for it (hf_quant_config.json, quantize_config.json,
  // quant_config.json); it may be missing. Tensors and texts must outlive the weights. Every error names the tensor.
  //   missing        codes without their scales, or scales without codes
  //   bad_type       a tensor that has another dtype than its layout wants
  //   size_mismatch  shapes that do not fit together
  //   unsupported    a layout that is known but cannot be read alone (scaled activations, low-rank parts)
  //   bad_value      a configuration that contradicts the tensors, or is needed and not there
  static result<weights> open(const safetensors::tensor_set& tensors, const safetensors::json& config = {}) noexcept;

  // In the order of their codes in the files.
  std::span<const weight> list() const noexcept { return {list_.data(), list_.size()}; }
  // Scales of activations and caches, which are no part of any weight.
  std::span<const safetensors::tensor_info* const> left_out() const noexcept {
    return {left_out_.data(), left_out_.size()};
  }

 private:
  friend class detail::recognizer;
  detail::growing_array<weight> list_;
  detail::growing_array<const safetensors::tensor_info*> left_out_;
};

namespace detail {

using safetensors::dtype;
using safetensors::json;
using safetensors::json_kind;
using safetensors::tensor_info;

// Takes `suffix` from the end of a name.
inline bool drop_suffix(std::string_view& name, std::string_view suffix) noexcept {
  if (name.size() < suffix.size()) return false;
  const std::string_view end(name.data() + (name.size() - suffix.size()), suffix.size());
  if (blocq::detail::compare_names(end, suffix) != 0) return false;
  name.remove_suffix(suffix.size());
  return true;
}
inline bool same(std::string_view a, std::string_view b) noexcept { return blocq::detail::compare_names(a, b) == 0; }

inline std::uint64_t ceil_div(std::uint64_t a, std::uint64_t b) noexcept { return a / b + (a % b != 0 ? 1 : 0); }

// A number of JSON as the nearest float, if the double that was written is a float: up to 19 digits are taken, and the
// error of two roundings to double does not reach a float's.
inline maybe<float> decimal(std::string_view text) noexcept {
  const fp_environment modes;
  std::uint64_t digits = 0;
  int exponent = 0, written = 0;
  std::size_t i = 0;
  const bool negative = !text.empty() && text[0] == '-';
  bool fraction = false, any = false;
  for (i = negative ? 1 : 0; i < text.size() && (safetensors::detail::is_digit(text[i]) || text[i] == '.'); ++i) {
    if (text[i] == '.') {
      fraction = true;
      continue;
    }
    any = true;
    const bool room = digits < 1000000000000000000u;
    if (room) digits = 10 * digits + static_cast<std::uint64_t>(text[i] - '0');
    if (room == fraction) exponent += fraction ? -1 : 1;
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    const bool down = ++i < text.size() && text[i] == '-';
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    for (; i < text.size() && written < 1000; ++i) written = 10 * written + (text[i] - '0');
    exponent += down ? -written : written;
  }
  if (!any || exponent > 60 || exponent < -60) return {};
  double scale = 1;  // exact up to 10^22
  for (int e = exponent < 0 ? -exponent : exponent; e > 0; --e) scale *= 10;
  const double magnitude = exponent < 0 ? static_cast<double>(digits) / scale : static_cast<double>(digits) * scale;
  return static_cast<float>(negative ? -magnitude : magnitude);
}

class recognizer {
 public:
  recognizer(const safetensors::tensor_set& set, const json& config) noexcept : set_(set) {
    for (const char* key : {"quantization_config", "compression_config", "quantization"})
      if (!config_) config_ = config[key];
    if (!config_) config_ = config;
    const json::iterator end;
    if (const json groups = config_["config_groups"]; groups.begin() != end) groups_ = groups;
  }

  result<weights> run() noexcept {
    result<weights> found = recognize();
    if (starved_) return error(errc::no_memory);  // a tensor may have been taken for missing
    return found;
  }

 private:
  result<weights> recognize() noexcept {
    if (!owned_.resize(set_.tensors().size())) return error(errc::no_memory);
    for (const tensor_info& t : set_.tensors())
      if (!quantized(t)) return error_;
    for (const tensor_info& t : set_.tensors())
      if (!owned_[position(t)] && !rest(t)) return error_;
    // In the order of the tensors: plain ones came last.
    growing_array<std::uint32_t> order;
    weights sorted;
    const auto not_after = [this](std::size_t a, std::size_t b) {
      return position(*to_.list_[a].codes) <= position(*to_.list_[b].codes);
    };
    if (!blocq::detail::sort_positions(to_.list_.size(), order, not_after)) return error(errc::no_memory);
    for (std::size_t i = 0; i < order.size(); ++i)
      if (!sorted.list_.append(to_.list_[order[i]])) return error(errc::no_memory);
    sorted.left_out_ = std::move(to_.left_out_);
    return sorted;
  }

  // Always false: "tensor 'name': <reason>".
  bool fail(errc code, const tensor_info& t, const char* reason) noexcept {
    error_ = error(code);
    error_ << "tensor ";
    error_.quote(t.name.data(), t.name.size()) << ": " << reason;
    return false;
  }
  std::size_t position(const tensor_info& t) const noexcept {
    return static_cast<std::size_t>(&t - set_.tensors().data());
  }
  // The tensor that is called so.
  const tensor_info* find(std::string_view module, std::string_view suffix) noexcept {
    if (!name_.resize(0) || !name_.append(module.data(), module.size()) ||
        !name_.append(suffix.data(), suffix.size())) {
      starved_ = true;
      return nullptr;
    }
    return set_.find({name_.data(), name_.size()});
  }
  const tensor_info* take(std::string_view module, std::string_view suffix) noexcept {
    const tensor_info* t = find(module, suffix);
    if (t != nullptr) owned_[position(*t)] = true;
    return t;
  }
  // The first of several that is there.
  template <std::size_t N>
  const tensor_info* take(std::string_view module, const char* const (&suffixes)[N]) noexcept {
    for (const char* suffix : suffixes)
      if (const tensor_info* t = take(module, suffix)) return t;
    return nullptr;
  }
  bool add(const weight& w) noexcept {
    if (!w.is_plain() && w.codes->elements() == 0) return fail(errc::size_mismatch, *w.codes, "it has no elements");
    owned_[position(*w.codes)] = true;
    if (to_.list_.append(w)) return true;
    error_ = error(errc::no_memory);
    return false;
  }

  static std::uint64_t dim(const tensor_info& t, std::size_t from_last) noexcept {
    return from_last < t.shape.size() ? t.shape[t.shape.size() - 1 - from_last] : 1;
  }
  // The dimensions before the last two, multiplied.
  static std::uint64_t stack_of(const tensor_info& t) noexcept {
    std::uint64_t n = 1;
    for (std::size_t i = 2; i < t.shape.size(); ++i) n *= dim(t, i);
    return n;
  }

  std::string_view config_text(const char* key) const noexcept {
    return config_[key].get<std::string_view>().value_or({});
  }

  // Tensors that hold codes: true also if t is none.
  bool quantized(const tensor_info& t) noexcept {
    std::string_view module = t.name;
    if (drop_suffix(module, ".weight_packed")) return t.type == dtype::i32 ? packed_int(t, module) : fp4(t, module);
    if (drop_suffix(module, ".qweight"))
      return t.type == dtype::u8 ? matmul_nbits(t, module, ".scales", ".qzeros", 0) : words(t, module);
    const bool integers = t.type == dtype::u8 || t.type == dtype::i32;
    if (drop_suffix(module, ".W_q") && (integers || find(module, ".nbits") != nullptr)) return hqq(t, module);
    module = t.name;
    for (const unsigned bits : {2u, 4u, 8u}) {
      const char* const suffix = bits == 2 ? "_Q2" : bits == 4 ? "_Q4" : "_Q8";
      if (t.type == dtype::u8 && t.shape.size() == 3 && drop_suffix(module, suffix))
        return matmul_nbits(t, module, "_scales", "_zero_points", bits);
    }
    if (drop_suffix(module, "_blocks") && find(module, "_scales") != nullptr) return gpt_oss(t, module);
    for (const char* kind : {".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4"})
      if (const tensor_info* state = take(t.name, kind)) return bitsandbytes(t, *state);
    std::string_view owner = t.name;  // `module` may not begin a line
    drop_suffix(owner, ".weight");
    switch (t.type) {
      case dtype::f8_e4m3:
      case dtype::f8_e5m2: return is_scale(t) || bytes(t, owner);
      case dtype::f4: return fp4(t, owner);
      case dtype::i8:
      case dtype::u8: {
        const tensor_info* scale = scale_of(owner, t.name);
        if (scale == nullptr) return true;
        owned_[position(*scale)] = false;
        if (t.type == dtype::u8 && dim(*scale, 1) == 2 * dim(t, 1)) return modelopt_int4(t, owner, *scale);
        const bool nibbles = t.type == dtype::u8 || scale->type == dtype::f8_e8m0 || scale->type == dtype::u8;
        return nibbles ? fp4(t, owner) : bytes(t, owner);
      }
      default: return true;
    }
  }
  // A scale may have the type of codes.
  bool is_scale(const tensor_info& t) noexcept {
    for (const char* suffix :
         {".weight_scale", ".weight_scale_inv", "_weight_scale", "_scale_inv", ".scale", "_scale"}) {
      std::string_view owner = t.name;
      if (!drop_suffix(owner, suffix)) continue;
      for (const char* codes : {".weight", ".weight_packed", ""})
        if (find(owner, codes) != nullptr) return true;
    }
    return false;
  }
  const tensor_info* scale_of(std::string_view module, std::string_view name) noexcept {
    const tensor_info* t = take(module, {".weight_scale", ".weight_scale_inv", ".scale"});
    return t != nullptr ? t : take(name, {"_scale_inv", "_scale", "_weight_scale"});
  }

  weight begin(const tensor_info& t, std::string_view module, layout kind) const noexcept {
    weight w;
    w.name = t.name;
    w.module = module;
    w.kind = kind;
    w.codes = &t;
    return w;
  }
  bool is_number(const tensor_info& t) const noexcept {
    return t.type == dtype::f32 || t.type == dtype::f16 || t.type == dtype::bf16;
  }

  // Scales of a matrix: one for all, one for each row, for a group of a row's columns, or for a block.
  bool set_scales(weight& w, const tensor_info& s) noexcept {
    const std::uint64_t n = s.elements(), down = dim(s, 1), across = dim(s, 0);
    w.scales.tensor = &s;
    w.scales.rows = w.rows;
    w.scales.columns = w.group = w.columns;
    if (n == 1) return true;
    const bool column = across == 1 || s.shape.size() == 1 || (s.shape.size() == 2 && w.stack > 1);
    if (column && n == w.stack && (w.stack > 1 || w.rows == 1)) {
      w.scales.stack_stride = 1;
      return true;
    }
    w.scales.rows = w.scales.row_stride = 1;
    w.scales.stack_stride = w.rows;
    if (column && n == w.stack * w.rows) return true;
    if (s.shape.size() < 2 || stack_of(s) != w.stack || n == 0) return misfit(s);
    w.scales.row_stride = across;
    w.scales.column_stride = 1;
    w.scales.stack_stride = down * across;
    json sizes = config_["weight_block_size"];
    for (const auto& m : groups_)
      if (!sizes) sizes = m.value["weights"]["block_structure"];
    std::uint64_t block[2] = {0, 0};
    std::size_t i = 0;
    for (const auto& m : sizes)
      if (i < 2) block[i++] = m.value.get<std::uint64_t>().value_or(0);
    const bool grouped = down == w.rows && w.columns % across == 0;
    if (block[0] == 0 || block[1] == 0) block[0] = block[1] = 128;
    const bool blocked = ceil_div(w.rows, block[0]) == down && ceil_div(w.columns, block[1]) == across;
    if (!grouped && !blocked) return misfit(s);
    w.scales.rows = blocked && (sizes || !grouped) ? block[0] : 1;
    w.scales.columns = w.group = blocked && (sizes || !grouped) ? block[1] : w.columns / across;
    return true;
  }
  bool misfit(const tensor_info& scales) noexcept {
    return fail(errc::size_mismatch, scales, "the shape of the scales does not fit that of the weight");
  }

  bool no_scale(const tensor_info& t) noexcept {
    return fail(errc::missing, t, "the scales of its codes are not there");
  }

  // What an engine has to do to the activations is no part of a weight.
  bool stands_alone(const tensor_info& t, std::string_view module) noexcept {
    if (find(module, ".pre_quant_scale") != nullptr)
      return fail(errc::unsupported, t, "its activations are scaled (pre_quant_scale)");
    return find(module, ".svdquant_lora_a") == nullptr ||
           fail(errc::unsupported, t, "it has a low-rank part (svdquant)");
  }

  // E2M1 codes: MXFP4 or NVFP4, which the scales tell apart.
  bool fp4(const tensor_info& t, std::string_view module) noexcept {
    const tensor_info* s = scale_of(module, t.name);
    if (s == nullptr) return no_scale(t);
    if (t.type != dtype::u8 && t.type != dtype::i8 && t.type != dtype::f4)
      return fail(errc::bad_type, t, "codes of 4 bits lie in U8, I8 or F4");
    if (!stands_alone(t, module)) return false;
    if (t.type != dtype::f4 && dim(t, 0) == 24 * dim(*s, 0)) return mxfp6(t, module, *s);
    weight w = begin(t, module, layout::mxfp4);
    w.place = packing::nibbles;
    w.code = code_kind::e2m1;
    w.bits = 4;
    w.result = dtype::bf16;
    w.stack = stack_of(t);
    w.rows = dim(t, 1);
    w.columns = t.type == dtype::f4 ? dim(t, 0) : 2 * dim(t, 0);
    const bool e8m0 = s->type == dtype::u8 || s->type == dtype::f8_e8m0;
    std::uint64_t scale_rows = dim(*s, 1), scale_columns = dim(*s, 0);
    if (t.shape.size() == 3 && s->shape.size() == 3 && dim(*s, 0) == dim(t, 0) && dim(*s, 1) * 8 == dim(t, 1)) {
      w.place = packing::nibble_columns;  // pairs along the second dimension: columns are contiguous
      w.rows = dim(t, 0);
      w.columns = 2 * dim(t, 1);
      scale_rows = dim(*s, 0);
      scale_columns = dim(*s, 1);
    }
    if (stack_of(*s) != w.stack || scale_rows != w.rows || scale_columns == 0 || w.columns % scale_columns != 0)
      return fail(errc::size_mismatch, *s,
                  "the shape of the scales does not fit that of the weight (tiled or padded?)");
    w.group = w.columns / scale_columns;
    const bool mx = w.group == 32 && e8m0;
    if (!mx && !(w.group == 16 && (s->type == dtype::f8_e4m3 || s->type == dtype::u8)))
      return fail(errc::bad_type, *s, "scales of 4-bit codes are E8M0 for 32 of them, or E4M3 or E5M3 for 16");
    if (mx) {
      w.scale_code = scale_kind::e8m0;
    } else {
      w.kind = s->type == dtype::u8 ? layout::nvfp4_e5m3 : layout::nvfp4;
      if (s->type == dtype::u8) w.scale_code = scale_kind::ue5m3;
    }
    const bool down = w.place == packing::nibble_columns;
    w.scales = {s, 1, w.group, w.rows * scale_columns, down ? 1 : scale_columns, down ? w.rows : 1};
    w.tensor_scale = take(module, {".weight_scale_2", "_weight_scale_2"});
    if (w.tensor_scale != nullptr) {
      w.result = dtype::f32;
    } else {
      w.tensor_scale = take(module, {".weight_global_scale", "_weight_global_scale"});
      w.tensor_scale_divides = true;
    }
    if (w.tensor_scale != nullptr) {
      const std::uint64_t n = w.tensor_scale->elements();
      if (w.tensor_scale->type != dtype::f32) return fail(errc::bad_type, *w.tensor_scale, "it is not F32");
      if (n != 1 && n != w.stack)
        return fail(errc::size_mismatch, *w.tensor_scale, "it is neither one nor one for each matrix");
    }
    return add(w);
  }

  // 4 codes in 3 bytes: U8 [rows, 3 * columns / 4] and U8 [rows, columns / 32].
  bool mxfp6(const tensor_info& t, std::string_view module, const tensor_info& s) noexcept {
    if (s.type != dtype::u8 && s.type != dtype::f8_e8m0) return fail(errc::bad_type, s, "scales of MXFP6 are E8M0");
    if (stack_of(s) != stack_of(t) || dim(s, 1) != dim(t, 1)) return misfit(s);
    weight w = begin(t, module, layout::mxfp6);
    bool named[2] = {};  // E2M3, E3M2
    const auto look = [&](const json& spec) {
      const std::string_view type = spec["weight"]["dtype"].get<std::string_view>().value_or({});
      if (same(type, "fp6_e2m3")) named[0] = true;
      if (same(type, "fp6_e3m2")) named[1] = true;
    };
    look(config_["global_quant_config"]);
    for (const char* key : {"layer_quant_config", "layer_type_quant_config"})
      for (const auto& m : config_[key]) look(m.value);
    if (named[0] == named[1])
      return fail(errc::bad_value, t, "the configuration does not say whether its codes are fp6_e2m3 or fp6_e3m2");
    w.code = named[0] ? code_kind::e2m3 : code_kind::e3m2;
    w.place = packing::byte_stream;
    w.scale_code = scale_kind::e8m0;
    w.bits = 6;
    w.result = dtype::bf16;
    w.stack = stack_of(t);
    w.rows = dim(t, 1);
    w.columns = 32 * dim(s, 0);
    w.group = 32;
    w.scales = {&s, 1, 32, w.rows * dim(s, 0), dim(s, 0), 1};
    return add(w);
  }

  // ONNX Runtime's: codes U8 [rows, blocks, bytes of a block], scales [rows, blocks] or [rows * blocks], zeros of the
  // scales' type in that order, or U8 packed row by row. Without zeros they are half of all codes. The number of
  // columns is an attribute of the node that these arrays belong to: here rows are whole blocks.
  bool matmul_nbits(const tensor_info& t, std::string_view module, const char* scales, const char* zeros,
                    unsigned bits) noexcept {
    const tensor_info* s = take(module, scales);
    const tensor_info* z = take(module, zeros);
    if (s == nullptr) return no_scale(t);
    if (find(module, ".g_idx") != nullptr)
      return fail(errc::unsupported, t, "its columns are in an order of their own");
    if (!is_number(*s)) return fail(errc::bad_type, *s, "scales are F32, F16 or BF16");
    if (t.shape.size() != 3) return fail(errc::size_mismatch, t, "its codes are not rows of blocks of bytes");
    const std::uint64_t rows = dim(t, 2), blocks = dim(t, 1), bytes = dim(t, 0);
    const bool flat = s->shape.size() == 1 && rows != 0 && dim(*s, 0) / rows == blocks && dim(*s, 0) % rows == 0;
    if (!flat && !(s->shape.size() == 2 && dim(*s, 1) == rows && dim(*s, 0) == blocks)) return misfit(*s);
    const bool packed = z != nullptr && z->type == dtype::u8;
    const auto fits = [&](unsigned width) {
      const std::uint64_t row = ceil_div(blocks * width, 8), last = dim(*z, 0);
      return z->shape.size() == 1 ? rows != 0 && last / rows == row && last % rows == 0
                                  : z->shape.size() == 2 && dim(*z, 1) == rows && last == row;
    };
    if (bits == 0) bits = config_["bits"].get<unsigned>().value_or(0);
    if (bits == 0 && packed) {
      unsigned choices = 0;
      for (const unsigned width : {2u, 4u, 8u})
        if (fits(width)) bits = width, ++choices;
      if (choices != 1) bits = 0;
    }
    if (bits == 0) return fail(errc::bad_value, t, "the configuration does not say how many bits a code has");
    if (bits != 2 && bits != 4 && bits != 8) return fail(errc::unsupported, t, "codes of 2, 4 and 8 bits are known");
    if (packed && !fits(bits)) return fail(errc::size_mismatch, *z, "its shape does not fit that of the scales");
    if (z != nullptr && !packed && (z->type != s->type || z->elements() != s->elements()))
      return fail(errc::bad_type, *z, "zeros are U8, or as many and of the type of the scales");
    weight w = begin(t, module, layout::matmul_nbits);
    drop_suffix(w.module, ".weight");
    w.place = bits == 4 ? packing::nibbles : bits == 8 ? packing::elements : packing::byte_stream;
    w.code = code_kind::unsigned_integer;
    w.bits = bits;
    w.zero = 1 << (bits - 1);
    w.zeros = z;
    w.result = s->type;
    w.rows = rows;
    w.group = bytes * 8 / bits;
    w.columns = blocks * w.group;
    w.scales = {s, 1, w.group, 0, blocks, 1};
    return add(w);
  }

  // One number of a tensor; nothing if it is none.
  static maybe<std::uint64_t> scalar(const tensor_info* t) noexcept {
    if (t == nullptr || t->elements() != 1 || t->data.size() != t->bytes) return {};
    if (t->type != dtype::u8 && t->type != dtype::i32 && t->type != dtype::i64) return {};
    std::uint64_t x = 0;
    for (std::size_t i = 0; i < t->data.size(); ++i) x |= std::to_integer<std::uint64_t>(t->data[i]) << (8 * i);
    return x;
  }

  // HQQ: the matrix as rows of a group each (axis 1), or as columns of one (axis 0), of which sections share bytes;
  // what is said of it lies in tensors of one number.
  bool hqq(const tensor_info& t, std::string_view module) noexcept {
    const tensor_info* s = take(module, ".scale");
    const tensor_info* z = take(module, ".zero");
    const tensor_info* shape = take(module, ".shape");
    if (s == nullptr || z == nullptr) return no_scale(t);
    const auto about = [&](const char* key) { return scalar(take(module, key)); };
    const auto bits = about(".nbits"), axis = about(".axis"), size = about(".group_size");
    for (const char* key : {".quant_scale", ".quant_zero", ".view_as_float"})
      if (about(key).value_or(0) != 0)
        return fail(errc::unsupported, t, "its scales are quantized, or its codes are called floats");
    const tensor_info* type = take(module, ".compute_dtype");
    for (const char* key : {".packing", ".unpack_view_dtype", ".offload_meta", ".encoded_state_dict",
                            ".stores_quant_config", ".channel_wise", ".optimize", ".round_zero"})
      static_cast<void>(take(module, key));
    if (!bits || !axis || *axis > 1 || (*bits != 2 && *bits != 3 && *bits != 4 && *bits != 8))
      return fail(errc::bad_value, t, "its nbits or its axis is not there, or not known");
    if (shape == nullptr || shape->type != dtype::i64 || shape->elements() != 2 || shape->data.size() != 16)
      return fail(errc::missing, t, "its shape is not there, or not that of a matrix");
    if (t.type != (*bits == 3 ? dtype::i32 : dtype::u8))
      return fail(errc::bad_type, t, "codes are U8, or I32 of 3 bits");
    if (!is_number(*s) || z->type != s->type || !of_type(type, s->type))
      return fail(errc::bad_type, *s, "scales and zeros are not of one type, that of the computation");
    weight w = begin(t, module, layout::hqq);
    w.place = packing::sections;
    w.code = code_kind::unsigned_integer;
    w.bits = static_cast<unsigned>(*bits);
    w.result = s->type;
    std::uint64_t dims[2] = {};
    for (unsigned i = 0; i < 16; ++i) dims[i / 8] |= std::to_integer<std::uint64_t>(shape->data[i]) << (8 * (i % 8));
    constexpr std::uint64_t most = std::uint64_t{1} << 31;
    const std::uint64_t groups = s->elements();
    if (dims[0] == 0 || dims[1] == 0 || dims[0] > most || dims[1] > most || t.shape.size() != 2 || groups == 0 ||
        z->elements() != groups || dims[0] * dims[1] % groups != 0)
      return fail(errc::size_mismatch, t, "codes, scales, zeros and shape do not fit together");
    w.rows = dims[0];
    w.columns = dims[1];
    w.group = w.rows * w.columns / groups;
    w.strided = *axis == 0;
    const std::uint64_t width = w.strided ? groups : w.group, lines = w.rows * w.columns / width;
    const std::uint64_t sections = *bits == 3 ? 10 : 8 / *bits;
    const bool whole = *bits == 3 ? dim(t, 1) == ceil_div(lines, sections) : dim(t, 1) * sections == lines;
    if (!whole || dim(t, 0) != width || size.value_or(w.group) != w.group)
      return fail(errc::size_mismatch, t, "codes, scales, zeros and shape do not fit together");
    w.zeros = z;
    w.scales = {s, w.rows, w.group, 0, 0, 1};
    return add(w);
  }
  // Whether a tensor has the name of a type in torch, if there is one.
  static bool of_type(const tensor_info* text, dtype type) noexcept {
    if (text == nullptr) return true;
    const std::string_view name(reinterpret_cast<const char*>(text->data.data()), text->data.size());
    return same(name, type == dtype::f16 ? "torch.float16" : type == dtype::bf16 ? "torch.bfloat16" : "torch.float32");
  }

  // Blocks U8 [experts, rows, columns / 32, 16] beside scales U8 [experts, rows, columns / 32].
  bool gpt_oss(const tensor_info& t, std::string_view module) noexcept {
    const tensor_info* s = take(module, "_scales");
    if (t.type != dtype::u8 || (s->type != dtype::u8 && s->type != dtype::f8_e8m0))
      return fail(errc::bad_type, t, "blocks and scales are not U8");
    bool fits = t.shape.size() >= 3 && dim(t, 0) == 16 && s->shape.size() + 1 == t.shape.size();
    for (std::size_t i = 0; fits && i < s->shape.size(); ++i) fits = s->shape[i] == t.shape[i];
    if (!fits) return fail(errc::size_mismatch, t, "blocks and scales have shapes that do not fit together");
    weight w = begin(t, module, layout::mxfp4);
    w.place = packing::nibbles;
    w.code = code_kind::e2m1;
    w.scale_code = scale_kind::e8m0;
    w.bits = 4;
    w.result = dtype::bf16;
    w.columns = 32 * dim(*s, 0);
    w.rows = dim(*s, 1);
    w.stack = stack_of(*s);
    w.group = 32;
    w.scales = {s, 1, 32, w.rows * dim(*s, 0), dim(*s, 0), 1};
    std::string_view gate_up = module;
    w.interleaved = drop_suffix(gate_up, "gate_up_proj");
    return add(w);
  }

  // A code in a byte: FP8, MXFP8, int8.
  bool bytes(const tensor_info& t, std::string_view module) noexcept {
    const tensor_info* s = scale_of(module, t.name);
    if (s == nullptr) return no_scale(t);
    if (!stands_alone(t, module)) return false;
    weight w = begin(t, module, t.type == dtype::i8 ? layout::int8 : layout::fp8);
    w.code = t.type == dtype::i8        ? code_kind::signed_integer
             : t.type == dtype::f8_e4m3 ? code_kind::e4m3
                                        : code_kind::e5m2;
    w.bits = 8;
    w.stack = stack_of(t);
    w.rows = dim(t, 1);
    w.columns = dim(t, 0);
    if (s->type == dtype::u8 || s->type == dtype::f8_e8m0)
      w.scale_code = scale_kind::e8m0;
    else if (!is_number(*s))
      return fail(errc::bad_type, *s, "scales are F32, F16, BF16 or E8M0");
    if (!set_scales(w, *s)) return false;
    if (w.scale_code == scale_kind::e8m0 && w.group == 32 && w.scales.rows == 1 && w.kind == layout::fp8) {
      w.kind = layout::mxfp8;
      w.result = dtype::bf16;
    } else {
      w.result = w.scale_code == scale_kind::number ? s->type : dtype::f32;
    }
    w.zeros = take(module, ".weight_zero_point");
    if (w.zeros != nullptr && (w.kind != layout::int8 || w.zeros->type != dtype::i8))
      return fail(errc::bad_type, *w.zeros, "zero points belong to I8 codes and are I8");
    if (w.zeros != nullptr && w.zeros->elements() != s->elements())
      return fail(errc::size_mismatch, *w.zeros, "there is not one zero point for each scale");
    return add(w);
  }

  // Two rows to a byte, a scale for a group of each row's columns.
  bool modelopt_int4(const tensor_info& t, std::string_view module, const tensor_info& s) noexcept {
    owned_[position(s)] = true;
    if (!is_number(s)) return fail(errc::bad_type, s, "scales are F32, F16 or BF16");
    if (!stands_alone(t, module)) return false;
    weight w = begin(t, module, layout::modelopt_int4);
    w.place = packing::nibble_rows;
    w.code = code_kind::signed_integer;
    w.bits = 4;
    w.stack = stack_of(t);
    w.rows = 2 * dim(t, 1);
    w.columns = dim(t, 0);
    return set_scales(w, s) && add(w);
  }

  // Codes U8 [rows * columns / 2, 1] of the whole tensor; what they mean is JSON in a tensor of bytes.
  bool bitsandbytes(const tensor_info& t, const tensor_info& state) noexcept {
    const auto parsed = json::parse({reinterpret_cast<const char*>(state.data.data()), state.data.size()});
    if (!parsed) return fail(errc::bad_value, state, "it is not JSON");
    const json& about = *parsed;
    const std::string_view kind = about["quant_type"].get<std::string_view>().value_or({});
    weight w = begin(t, t.name, same(kind, "nf4") ? layout::bnb_nf4 : layout::bnb_fp4);
    drop_suffix(w.module, ".weight");
    if (w.kind == layout::bnb_fp4 && !same(kind, "fp4"))
      return fail(errc::bad_value, state, "a quant_type that is not known");
    w.place = packing::flat_nibbles;
    w.code = code_kind::table;
    w.bits = 4;
    const std::string_view type = about["dtype"].get<std::string_view>().value_or({});
    w.result = same(type, "bfloat16") ? dtype::bf16 : same(type, "float16") ? dtype::f16 : dtype::f32;
    if (w.result == dtype::f32 && !same(type, "float32"))
      return fail(errc::bad_value, state, "a dtype that is not known");
    std::uint64_t dims[2] = {}, n = 0;
    for (const auto& m : about["shape"]) {
      const auto d = m.value.get<std::uint32_t>();
      if (n < 2 && d) dims[n] = *d;
      ++n;
    }
    w.rows = dims[0];
    w.columns = dims[1];
    w.group = about["blocksize"].get<std::uint32_t>().value_or(0);
    const std::uint64_t elements = w.rows * w.columns;
    if (n != 2 || w.group == 0 || t.type != dtype::u8 || t.bytes != ceil_div(elements, 2))
      return fail(errc::size_mismatch, t, "it is not a matrix of the shape that its state says");
    const tensor_info* s = take(t.name, ".absmax");
    w.table = take(t.name, ".quant_map");
    if (s == nullptr || w.table == nullptr) return fail(errc::missing, t, "its absmax or its quant_map is not there");
    if (w.table->type != dtype::f32 || w.table->elements() != 16)
      return fail(errc::bad_type, *w.table, "it is not 16 F32");
    if (s->elements() != ceil_div(elements, w.group)) return misfit(*s);
    w.scales = {s, w.rows, w.group, 0, 0, 1};
    if (s->type == dtype::f32) return add(w);
    w.scale_code = scale_kind::nested;
    w.nested_scales = take(t.name, ".nested_absmax");
    w.nested_table = take(t.name, ".nested_quant_map");
    w.nested_group = about["nested_blocksize"].get<std::uint32_t>().value_or(0);
    const auto offset = decimal(about["nested_offset"].text());
    if (s->type != dtype::u8 || w.nested_scales == nullptr || w.nested_table == nullptr || w.nested_group == 0 ||
        !offset)
      return fail(errc::missing, t, "its nested scales are not whole");
    w.nested_offset = *offset;
    if (w.nested_table->type != dtype::f32 || w.nested_table->elements() != 256)
      return fail(errc::bad_type, *w.nested_table, "it is not 256 F32");
    if (w.nested_scales->type != dtype::f32 || w.nested_scales->elements() != ceil_div(s->elements(), w.nested_group))
      return misfit(*w.nested_scales);
    return add(w);
  }

  // Whether `words` words of 32 bits hold n codes of some bits as a stream, or as whole codes to a word.
  static bool fits_stream(std::uint64_t words, std::uint64_t n, unsigned bits) noexcept {
    return words == ceil_div(n * bits, 32);
  }
  static bool fits_words(std::uint64_t words, std::uint64_t n, unsigned bits) noexcept {
    return words == ceil_div(n, 32 / bits);
  }

  // compressed-tensors' pack-quantized.
  bool packed_int(const tensor_info& t, std::string_view module) noexcept {
    const tensor_info* s = take(module, ".weight_scale");
    const tensor_info* shape = take(module, ".weight_shape");
    if (s == nullptr) return no_scale(t);
    if (shape == nullptr) return fail(errc::missing, t, "its weight_shape is not there");
    if (!is_number(*s)) return fail(errc::bad_type, *s, "scales are F32, F16 or BF16");
    const std::uint64_t rank = shape->elements();
    if (shape->type != dtype::i64 || shape->data.size() != 8 * rank || rank != t.shape.size() || rank < 2)
      return fail(errc::bad_type, *shape, "it is not I64 with a number for each dimension");
    weight w = begin(t, module, layout::packed_int);
    w.code = code_kind::unsigned_integer;
    w.stack = stack_of(t);
    w.rows = dim(t, 1);
    std::uint64_t dims[2] = {};  // the last two that weight_shape has
    for (unsigned i = 0; i < 16; ++i)
      dims[i / 8] |= std::to_integer<std::uint64_t>(shape->data[8 * (rank - 2) + i]) << (8 * (i % 8));
    w.columns = dims[1];
    if (dims[0] != w.rows || w.columns == 0 || w.columns > std::uint64_t{1} << 40)
      return fail(errc::size_mismatch, *shape, "it is not the shape of the packed codes");
    if (!choose_bits(w, t)) return false;

    const std::uint64_t across = dim(*s, 0);
    if (stack_of(*s) != w.stack || dim(*s, 1) != w.rows || across == 0) return misfit(*s);
    if (across == 1) w.group = w.columns;
    for (const auto& m : groups_) {
      const std::uint64_t size = m.value["weights"]["group_size"].get<std::uint64_t>().value_or(0);
      if (size == 0 || ceil_div(w.columns, size) != across || across == 1) continue;
      if (w.group != 0 && w.group != size)
        return fail(errc::bad_value, t, "the configuration leaves open which group size it has");
      w.group = size;
    }
    if (w.group == 0 && w.columns % across == 0) w.group = w.columns / across;
    if (w.group == 0) return fail(errc::bad_value, t, "the configuration does not say which group size it has");
    w.scales = {s, 1, w.group, w.rows * across, across, 1};
    w.result = s->type;

    w.zero = 1 << (w.bits - 1);
    w.zeros = take(module, ".weight_zero_point");
    if (w.zeros != nullptr) {
      if (w.zeros->type != dtype::i32) return fail(errc::bad_type, *w.zeros, "it is not I32");
      const std::uint64_t down = dim(*w.zeros, 1);
      const bool fits =
          w.place == packing::stream ? fits_stream(down, w.rows, w.bits) : fits_words(down, w.rows, w.bits);
      if (!fits || dim(*w.zeros, 0) != across || w.stack != 1 || stack_of(*w.zeros) != 1)
        return fail(errc::size_mismatch, *w.zeros, "its shape does not fit that of the scales");
    }
    w.g_idx = take(module, ".weight_g_idx");
    return check_g_idx(w) && add(w);
  }
  // The width whose codes fill the words, of those that the configuration has.
  bool choose_bits(weight& w, const tensor_info& t) noexcept {
    bool named[9] = {}, any = false;
    for (const auto& m : groups_) {
      const auto bits = m.value["weights"]["num_bits"].get<unsigned>().value_or(0);
      if (bits >= 1 && bits <= 8) named[bits] = any = true;
    }
    unsigned choices = 0;
    for (unsigned bits = 1; bits <= 8; ++bits) {
      if (any && !named[bits]) continue;
      const bool stream = fits_stream(dim(t, 0), w.columns, bits), whole = fits_words(dim(t, 0), w.columns, bits);
      if (!stream && !whole) continue;
      if (stream && whole && 32 % bits != 0 && w.columns > 32 / bits)
        return fail(errc::unsupported, t, "its rows are too short to tell a stream of codes from whole codes in words");
      ++choices;
      w.bits = bits;
      w.place = stream ? packing::stream : packing::words;
    }
    if (choices == 1) return true;
    return choices == 0 ? fail(errc::size_mismatch, t, "no width of codes fills its words")
                        : fail(errc::bad_value, t, "the configuration does not say how many bits a code has");
  }

  // AWQ and GPTQ: qweight, scales [groups, rows] and zeros across the rows.
  bool words(const tensor_info& t, std::string_view module) noexcept {
    const tensor_info* s = take(module, ".scales");
    const tensor_info* z = take(module, ".qzeros");
    if (s == nullptr) return no_scale(t);
    if (z == nullptr) return fail(errc::missing, t, "its qzeros are not there");
    if (t.type != dtype::i32 || z->type != dtype::i32) return fail(errc::bad_type, t, "qweight and qzeros are not I32");
    if (!is_number(*s)) return fail(errc::bad_type, *s, "scales are F32, F16 or BF16");
    if (t.shape.size() != 2 || s->shape.size() != 2 || z->shape.size() != 2 || dim(*z, 1) != dim(*s, 1) ||
        dim(*s, 1) == 0)
      return fail(errc::size_mismatch, t, "qweight, scales and qzeros have shapes that do not fit together");
    weight w = begin(t, module, layout::gptq);
    w.code = code_kind::unsigned_integer;
    w.rows = dim(*s, 0);
    const std::uint64_t groups = dim(*s, 1);
    const std::string_view method = config_text("quant_method");
    if (dim(t, 0) * 8 == w.rows && dim(*z, 0) == dim(t, 0)) {
      if (!method.empty() && same(method, "gptq"))
        return fail(errc::bad_value, t, "it is AWQ's, the configuration says gptq");
      const std::string_view version = config_text("version");
      if (!version.empty() && !same(version, "gemm") && !same(version, "GEMM"))
        return fail(errc::unsupported, t, "of AWQ's versions only gemm is known");
      w.kind = layout::awq;
      w.place = packing::awq;
      w.bits = 4;
      w.columns = dim(t, 1);
    } else if (dim(t, 0) == w.rows) {
      if (!method.empty() && same(method, "awq"))
        return fail(errc::bad_value, t, "it is GPTQ's, the configuration says awq");
      w.place = packing::column_stream;
      for (const unsigned bits : {2u, 3u, 4u, 8u})
        if (dim(*z, 0) * 32 == w.rows * bits) w.bits = bits;
      if (w.bits == 0 || dim(t, 1) % (w.bits == 3 ? 3 : 1) != 0)
        return fail(errc::size_mismatch, *z, "its width is not that of zeros of 2, 3, 4 or 8 bits");
      w.columns = dim(t, 1) * 32 / w.bits;
      std::string_view format = config_text("checkpoint_format");
      if (format.empty()) format = config_text("format");
      if (!format.empty() && !same(format, "gptq") && !same(format, "gptq_v2"))
        return fail(errc::unsupported, t, "of GPTQ's formats only gptq and gptq_v2 are known");
      switch (gptq_layout(format, config_["meta"]["quantizer"].text())) {  // of a list, the text of all of it
        case int4_layout::gptq_v2: w.kind = layout::gptq_v2; break;
        case int4_layout::gptq_nibbles: w.kind = layout::gptq_nibbles; break;
        default: break;
      }
    } else {
      return fail(errc::size_mismatch, t, "it has the shape of neither AWQ nor GPTQ");
    }
    const auto size = config_["group_size"].get<std::int64_t>();
    w.group = size && *size > 0         ? static_cast<std::uint64_t>(*size)
              : groups == 1 || size     ? w.columns
              : w.columns % groups == 0 ? w.columns / groups
                                        : 0;
    if (w.group == 0 || ceil_div(w.columns, w.group) != groups)
      return fail(errc::size_mismatch, *s, "its groups are not those of the configuration");
    w.scales = {s, 1, w.group, 0, 1, w.rows};
    w.zeros = z;
    w.result = s->type;
    w.g_idx = take(module, ".g_idx");
    return check_g_idx(w) && add(w);
  }

  bool check_g_idx(weight& w) noexcept {
    if (w.g_idx == nullptr) return true;
    const tensor_info& g = *w.g_idx;
    if (g.type != dtype::i32 || g.data.size() != 4 * g.elements())
      return fail(errc::bad_type, g, "it is not I32 with data");
    if (g.elements() != w.columns) return fail(errc::size_mismatch, g, "it has not one group for each column");
    const std::uint64_t groups = w.groups();
    bool in_order = true;
    for (std::uint64_t k = 0; k < w.columns; ++k) {
      const std::uint32_t group = load(reinterpret_cast<const le32*>(g.data.data())[k]);
      if (group >= groups) return fail(errc::bad_value, g, "it names a group that is not there");
      in_order = in_order && group == k / w.group;
    }
    if (in_order) w.g_idx = nullptr;
    return true;
  }

  // What is no code and belongs to none.
  bool rest(const tensor_info& t) noexcept {
    for (const char* suffix :
         {".input_scale", "_input_scale", ".input_global_scale", "_input_global_scale", ".activation_scale",
          ".output_scale", ".k_scale", ".v_scale", ".q_scale", ".kv_scale", ".qscale_act"}) {
      std::string_view owner = t.name;
      if (!drop_suffix(owner, suffix)) continue;
      if (to_.left_out_.append(&t)) return true;
      error_ = error(errc::no_memory);
      return false;
    }
    for (const char* suffix :
         {".weight_scale", ".weight_scale_inv", ".weight_scale_2", ".weight_global_scale", ".weight_zero_point",
          ".weight_shape", ".weight_g_idx", ".qzeros", ".scales", ".g_idx"}) {
      std::string_view owner = t.name;
      if (drop_suffix(owner, suffix)) return fail(errc::missing, t, "the weight that it belongs to is not there");
    }
    std::string_view owner = t.name;
    if (t.type == dtype::u8 && (drop_suffix(owner, "_blocks") || drop_suffix(owner, "_scales")))
      return fail(errc::missing, t, "the weight that it belongs to is not whole");
    weight w = begin(t, t.name, layout::plain);
    drop_suffix(w.module, ".weight");
    w.bits = bits_of(t.type);
    w.result = t.type;
    w.columns = dim(t, 0);
    w.rows = 1;
    for (std::size_t i = 1; i < t.shape.size(); ++i) w.rows *= dim(t, i);
    const bool low = w.bits < 16 && t.type != dtype::boolean;
    if (low && w.module.size() != t.name.size()) return no_scale(t);
    return add(w);
  }

  const safetensors::tensor_set& set_;
  json config_, groups_;
  growing_array<bool> owned_;
  growing_array<char> name_;
  weights to_;
  bool starved_ = false;  // a name could not be put together
  error error_{errc::ok};
};

}  // namespace detail

inline result<weights> weights::open(const safetensors::tensor_set& tensors, const safetensors::json& config) noexcept {
  return detail::recognizer(tensors, config).run();
}

}  // namespace blocq::checkpoint::inline v0::inline BLOCQ_ISA

#endif
