// Rows of activations to the formats that weights are multiplied with. The peer is the from_float of ggml's processor
// backend.
#include "data.hpp"
#include "limits.hpp"
#include "registry.hpp"

#include <blocq/op/activations.hpp>

namespace bench {

namespace {

template <class B>
measurement prepare(const backend* peer) {
  const std::span<const float> x = activations().first(elements);
  const auto ours = std::make_shared<std::vector<B>>(elements / blocq::block_size<B>);
  measurement m;
  m.blocq = {[=] { blocq::quantize_activations(x, *ours); }, elements};
  m.limit = read_loop(elements);
  if (peer == nullptr) return m;
  const auto theirs = std::make_shared<std::vector<B>>(*ours);
  const auto from_float = peer->rows_of(blocq::format_traits<B>::gguf_id).from_float;
  m.peers = {{[=] { from_float(x.data(), theirs->data(), elements); }, elements}};
  m.agrees = [=] {
    std::vector<float> a(elements), b(elements);
    for (std::size_t i = 0; i < ours->size(); ++i) {
      decode((*ours)[i], &a[i * blocq::block_size<B>]);
      decode((*theirs)[i], &b[i * blocq::block_size<B>]);
    }
    return close(a, b, 1e-3);
  };
  return m;
}

}  // namespace

std::vector<entry> activation_entries() {
  return for_all_formats(
      {"activations", "", rows_shape, million_elements, {}},
      []<class B>(const backend* peer) requires(std::is_same_v<B, blocq::q8_0> || std::is_same_v<B, blocq::q8_1> ||
                                                std::is_same_v<B, blocq::q8_k>) { return prepare<B>(peer); });
}

}  // namespace bench
