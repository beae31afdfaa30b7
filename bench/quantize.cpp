// Floats to blocks: `encode`, and `encode_importance` with importance weights. The peer is ggml_quantize_chunk.
#include "data.hpp"
#include "limits.hpp"
#include "registry.hpp"

#include <blocq/op/quantize.hpp>

#include <cstring>

namespace bench {

namespace {

template <class B>
concept encodable = requires(const float* x, blocq::wire_t<B>* blocks) {
  encode(x, std::size_t{}, blocq::encode_context{}, blocks);
};

template <class B>
measurement prepare(const backend* peer, std::span<const float> weight) {
  using blocks = std::vector<B>;
  const auto ours = std::make_shared<blocks>(blocq::blocks_for<B>(elements));
  measurement m;
  m.blocq = {[ours, weight] { static_cast<void>(blocq::quantize(weights(), *ours, {.importance = weight})); },
             elements};
  m.limit = read_loop(elements);
  if (const int type = peer_type<B>(peer); type >= 0 && !(weight.empty() && peer->needs_importance(type))) {
    const auto theirs = std::make_shared<blocks>(ours->size());
    const float* const w = weight.empty() ? nullptr : weight.data();
    m.peers = {{[=] { peer->quantize(type, weights().data(), theirs->data(), rows, columns, w); }, elements}};
    m.agrees = [=] { return std::memcmp(ours->data(), theirs->data(), ours->size() * sizeof(B)) == 0; };
  }
  return m;
}

}  // namespace

std::vector<entry> quantize_entries() {
  const entry model{"encode", "", rows_shape, million_elements, {}};
  std::vector<entry> entries = for_all_formats(
      model, []<encodable B>(const backend* peer) requires(!blocq::detail::requires_importance<B>) {
        return prepare<B>(peer, {});
      });
  entry with_importance = model;
  with_importance.operation = "encode_importance";
  for (entry& e : for_all_formats(
           with_importance, []<encodable B>(const backend* peer) requires(blocq::format_traits<B>::importance) {
             return prepare<B>(peer, importance());
           }))
    entries.push_back(std::move(e));
  return entries;
}

}  // namespace bench
