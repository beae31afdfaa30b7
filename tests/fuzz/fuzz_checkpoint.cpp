// Any safetensors file as a checkpoint, its text "config" as the configuration: weights that are recognized decode, and
// become blocks, or are refused with a sentence.
#include <blocq/checkpoint/all.hpp>

#include <cstdint>
#include <vector>

namespace checkpoint = blocq::checkpoint;
namespace safetensors = blocq::safetensors;

static void check(bool holds) {
  if (!holds) __builtin_trap();
}

template <class B>
static void convert(const checkpoint::weight& w) {
  std::vector<B> blocks(w.columns / blocq::block_size<B>);
  const auto done = to_blocks(w, w.stack - 1, w.rows - 1, w.rows, blocks);
  check(done || (done.error().code != blocq::errc::ok && *done.message() != 0));
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = safetensors::reader::parse(std::as_bytes(std::span(data, size)));
  if (!file) return 0;
  const auto set = safetensors::tensor_set::open({&*file, 1});
  check(bool(set));
  safetensors::json config;
  for (const auto& [key, text] : file->metadata())
    if (const auto parsed = safetensors::json::parse(text); key == std::string_view("config") && parsed)
      config = *parsed;
  const auto weights = checkpoint::weights::open(*set, config);
  if (!weights) {
    check(weights.error().code != blocq::errc::ok && *weights.message() != 0);
    return 0;
  }
  for (const auto& w : weights->list()) {
    if (w.rows == 0 || w.stack == 0 || w.columns > 100000) continue;
    std::vector<float> row(w.columns);
    for (const std::uint64_t r : {std::uint64_t{0}, w.rows - 1}) {
      const auto done = decode(w, w.stack - 1, r, r + 1, row);
      check(done || (done.error().code != blocq::errc::ok && *done.message() != 0));
    }
    convert<blocq::mxfp4>(w);
    convert<blocq::mxfp6_e2m3>(w);
    convert<blocq::mxfp8_e4m3>(w);
    convert<blocq::nvfp4>(w);
    convert<blocq::q4_0>(w);
    convert<blocq::q5_0>(w);
    convert<blocq::q8_0>(w);
    convert<blocq::bf16>(w);
  }
  return 0;
}
