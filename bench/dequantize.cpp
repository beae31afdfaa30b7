// Blocks to floats. The peer is the to_float of ggml's type traits.
#include "data.hpp"
#include "limits.hpp"
#include "registry.hpp"

#include <blocq/op/dequantize.hpp>

#include <cstring>

namespace bench {

namespace {

// Blocks of random codes with scales near one: what is decoded does not depend on an encoder.
template <class B>
std::vector<B> random_blocks() {
  std::vector<B> blocks(blocq::blocks_for<B>(elements));
  std::mt19937 engine(3);
  for (B& b : blocks) {
    auto* const bytes = reinterpret_cast<unsigned char*>(&b);
    do
      for (std::size_t i = 0; i < sizeof b; ++i) bytes[i] = static_cast<unsigned char>(engine());
    while (!is_valid(b));
  }
  return blocks;
}

template <class B>
measurement prepare(const backend* peer) {
  const auto blocks = std::make_shared<const std::vector<B>>(random_blocks<B>());
  const auto ours = std::make_shared<std::vector<float>>(elements);
  measurement m;
  m.blocq = {[=] { static_cast<void>(blocq::dequantize(*blocks, *ours)); }, elements};
  m.limit = write_loop(elements);
  if (const int type = peer_type<B>(peer); type >= 0) {
    const auto theirs = std::make_shared<std::vector<float>>(elements);
    const auto to_float = peer->traits(type).to_float;
    m.peers = {{[=] { to_float(blocks->data(), theirs->data(), elements); }, elements}};
    m.agrees = [=] { return std::memcmp(ours->data(), theirs->data(), elements * sizeof(float)) == 0; };
  }
  return m;
}

}  // namespace

std::vector<entry> dequantize_entries() {
  return for_all_formats(
      {"dequantize", "", rows_shape, million_elements, {}},
      []<class B>(const backend* peer) requires requires(const blocq::wire_t<B>& b, float* y) { decode(b, y); } {
        return prepare<B>(peer);
      });
}

}  // namespace bench
