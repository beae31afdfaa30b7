#include "whole_tensor.hpp"

#include <blocq/blocq.hpp>

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
