// Any bytes as blocks of any format, and any floats to blocks: the first byte chooses the format and the way.
#include <blocq/blocq.hpp>
#include <formats.hpp>

#include <cstdint>
#include <cstring>
#include <vector>

static void check(bool holds) {
  if (!holds) __builtin_trap();
}

// Wherever the blocks lie, they decode to the same bits.
template <class B>
static void decode_bytes(const std::uint8_t* data, std::size_t size) {
  const std::size_t count = size / sizeof(B), n = count * blocq::block_size<B>;
  std::vector<B> aligned(count);
  if (count != 0) std::memcpy(aligned.data(), data, count * sizeof(B));
  std::vector<float> in_place(n), copied(n);
  check(bool(blocq::dequantize(std::span(reinterpret_cast<const B*>(data), count), in_place)));
  check(bool(blocq::dequantize(aligned, copied)));
  check(n == 0 || std::memcmp(in_place.data(), copied.data(), n * sizeof(float)) == 0);
  for (const B& b : aligned) static_cast<void>(is_valid(b));
}

// Without an error every block is valid and decodes to finite numbers, and the same bytes come out again.
template <class B>
static void encode_floats(const std::uint8_t* data, std::size_t size, bool weighted) {
  std::vector<float> x(size / sizeof(float) / blocq::block_size<B> * blocq::block_size<B>), weights;
  if (!x.empty()) std::memcpy(x.data(), data, x.size() * sizeof(float));
  if (weighted && x.size() >= 2 * blocq::block_size<B>) {  // the last row is the weights of the others
    weights.assign(x.end() - static_cast<std::ptrdiff_t>(blocq::block_size<B>), x.end());
    x.resize(x.size() - blocq::block_size<B>);
  }
  std::vector<B> blocks(x.size() / blocq::block_size<B>), again(blocks.size());
  const blocq::status done = blocq::quantize(x, blocks, {.importance = weights});
  const blocq::status repeated = blocq::quantize(x, again, {.importance = weights});
  check(done.code == repeated.code && done.at == repeated.at);
  check(blocks.empty() || std::memcmp(blocks.data(), again.data(), blocks.size() * sizeof(B)) == 0);
  if (done)
    for (const B& b : blocks) check(is_valid(b));
  check(bool(blocq::dequantize(blocks, x)));
  if (done)
    for (const float y : x) check(blocq::is_finite(y));
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::size_t choice = data[0] % test::formats::size;
  ++data, --size;
  blocq::for_each(test::formats{}, [&]<class B> {
    if (choice-- != 0) return;
    decode_bytes<B>(data, size);
    if constexpr (blocq::encodable_format<B>) {
      encode_floats<B>(data, size, false);
      if constexpr (blocq::format_traits<B>::importance) encode_floats<B>(data, size, true);
    }
  });
  return 0;
}
