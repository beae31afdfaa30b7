#include "whole_tensor.hpp"

#include <blocq/blocq.hpp>

#include <algorithm>
#include <cmath>

namespace {

template <class T>
std::span<T> take(std::byte*& from, std::size_t count) {
  const std::span<T> part(reinterpret_cast<T*>(from), count);
  from += part.size_bytes();
  return part;
}

// What the two forms store, laid over a buffer: floats first, so that all are aligned.
struct nvfp4_parts {
  static std::size_t bytes(std::size_t elements) { return 4 + elements / 16 + elements / 2; }
  nvfp4_parts(std::byte* at, std::size_t elements)
      : unit(take<float>(at, 1)[0]),
        scales(take<std::uint8_t>(at, elements / 16)),
        codes(take<std::uint8_t>(at, elements / 2)) {}

  float& unit;
  std::span<std::uint8_t> scales, codes;
};

struct nf4_parts {
  static std::size_t groups(std::size_t elements) { return (elements / 64 + 255) / 256; }
  static std::size_t bytes(std::size_t elements) { return 4 + 4 * groups(elements) + elements / 64 + elements / 2; }
  nf4_parts(std::byte* at, std::size_t elements)
      : offset(take<float>(at, 1)[0]),
        units(take<float>(at, groups(elements))),
        scales(take<std::uint8_t>(at, elements / 64)),
        codes(take<std::uint8_t>(at, elements / 2)) {}

  float& offset;
  std::span<float> units;
  std::span<std::uint8_t> scales, codes;
};

blocq::status encode_nvfp4_tensor(std::span<const float> x, std::byte* out, const encode_settings& settings) {
  const nvfp4_parts parts(out, x.size());
  const auto unit = blocq::fit_nvfp4(x);
  parts.unit = unit.value;
  const blocq::status s = blocq::encode_nvfp4(x, unit, parts.codes, parts.scales);
  if (!s || !settings.best) return s;
  return blocq::improve_nvfp4<blocq::native_lane>(x, unit, settings.importance, parts.codes, parts.scales);
}

blocq::status decode_nvfp4_tensor(const std::byte* in, std::span<float> y) {
  const nvfp4_parts parts(const_cast<std::byte*>(in), y.size());
  return blocq::decode_nvfp4(parts.codes, parts.scales, {parts.unit}, y);
}

blocq::status encode_nf4_tensor(std::span<const float> x, std::byte* out, const encode_settings& settings) {
  const nf4_parts parts(out, x.size());
  std::vector<blocq::nf4> blocks(x.size() / 64);
  std::vector<float> absmax(blocks.size());
  blocq::quantize_options options{.importance = settings.importance};
  if (settings.best) options.quality = blocq::quality_level::best;
  if (const auto s = blocq::quantize(x, blocks, options); !s) return s;
  if (const auto s = blocq::split_scales(blocks, parts.codes, absmax); !s) return s;
  return blocq::encode_nested_scales(absmax, parts.scales, parts.units, parts.offset);
}

blocq::status decode_nf4_tensor(const std::byte* in, std::span<float> y) {
  const nf4_parts parts(const_cast<std::byte*>(in), y.size());
  std::vector<blocq::nf4> blocks(y.size() / 64);
  std::vector<float> absmax(blocks.size());
  if (const auto s = blocq::decode_nested_scales(parts.scales, parts.units, parts.offset, absmax); !s) return s;
  if (const auto s = blocq::join_scales(parts.codes, absmax, blocks); !s) return s;
  return blocq::dequantize(blocks, y);
}

}  // namespace

format_entry nvfp4_two_level() {
  format_entry e{};
  e.name = "nvfp4_two_level";
  e.block_size = 16;
  e.block_bytes = 9;
  e.kind = number_kind::floating;
  e.vectorized = "-";
  e.encode = encode_nvfp4_tensor;
  e.decode = decode_nvfp4_tensor;
  e.tensor_bytes = nvfp4_parts::bytes;
  return e;
}

format_entry nf4_nested() {
  format_entry e{};
  e.name = "nf4_nested";
  e.block_size = 64;
  e.block_bytes = 33;
  e.kind = number_kind::codebook;
  e.vectorized = "-";
  e.encode = encode_nf4_tensor;
  e.decode = decode_nf4_tensor;
  e.tensor_bytes = nf4_parts::bytes;
  return e;
}

bool ignores_scale(std::string_view tensor, std::string_view architecture) {
  return architecture == "gpt-oss" && tensor.ends_with("_exps.weight");
}

bool may_have_scale(std::string_view tensor, std::string_view architecture) {
  if (ignores_scale(tensor, architecture)) return false;
  if (tensor == "output.weight") return true;
  if (!tensor.starts_with("blk.") || !tensor.ends_with(".weight")) return false;
  const std::size_t name = tensor.find('.', 4);
  if (name == tensor.npos || name + 8 > tensor.size()) return false;
  constexpr std::string_view scaled[] = {"attn_q",         "attn_k",        "attn_v",
                                         "attn_output",    "attn_qkv",      "attn_gate",
                                         "ffn_gate",       "ffn_up",        "ffn_down",
                                         "ffn_gate_shexp", "ffn_up_shexp",  "ffn_down_shexp",
                                         "ffn_gate_exps",  "ffn_up_exps",   "ffn_down_exps",
                                         "ssm_in",         "ssm_out",       "ssm_alpha",
                                         "ssm_beta",       "nextn.eh_proj", "nextn.shared_head_head"};
  const std::string_view stem = tensor.substr(name + 1, tensor.size() - name - 8);
  return std::find(std::begin(scaled), std::end(scaled), stem) != std::end(scaled);
}

std::string scale_name(std::string_view tensor) {
  return std::string(tensor.substr(0, tensor.size() - std::string_view("weight").size())) + "scale";
}

float nvfp4_unit(float largest) {
  const float unit = blocq::fit_nvfp4({&largest, 1}).value;
  return std::abs(unit - 1) <= 1e-6f ? 1.0f : unit;
}

blocq::status encode_nvfp4_blocks(std::span<const float> x, float unit, std::byte* blocks,
                                  const encode_settings& settings) {
  std::vector<std::uint8_t> codes(x.size() / 2), scales(x.size() / 16);
  const blocq::nvfp4_tensor_scale whole{unit};
  blocq::status s = blocq::encode_nvfp4(x, whole, codes, scales);
  if (s && settings.best) s = blocq::improve_nvfp4<blocq::native_lane>(x, whole, settings.importance, codes, scales);
  if (!s) return {s.code, s.at / 4};  // a block has four groups
  return blocq::join_scales(codes, scales, std::span(reinterpret_cast<blocq::nvfp4*>(blocks), x.size() / 64));
}
