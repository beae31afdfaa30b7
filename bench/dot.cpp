// Dot products of rows of 4096: sixteen rows of weights, hot, with one row of activations in the operand format. The
// peer is the dot product of ggml's processor backend, on the same bytes.
#include "data.hpp"
#include "limits.hpp"
#include "registry.hpp"

#include <blocq/op/dot.hpp>
#include <blocq/op/quantize.hpp>

namespace bench {

namespace {

template <class B>
measurement prepare(const backend* peer) {
  using A = blocq::integer_operand_t<B>;
  const auto w = encoded_rows<B>(rows);
  const auto x = std::make_shared<std::vector<A>>(columns / blocq::block_size<A>);
  static_cast<void>(blocq::quantize(activations().first(columns), *x));
  const auto ours = std::make_shared<std::vector<float>>(rows);
  const std::size_t row = columns / blocq::block_size<B>;
  measurement m;
  m.blocq = {[=] {
               for (std::size_t r = 0; r < rows; ++r)
                 (*ours)[r] = blocq::dot(std::span<const B>(*w).subspan(r * row, row), *x);
             },
             elements};
  m.limit = read_loop(w->size() * sizeof(B) / sizeof(float));
  m.limit.work = elements;
  if (const int type = peer_type<B>(peer); type >= 0) {
    const row_functions& functions = peer->rows_of(type);
    if (functions.dot == nullptr || functions.dot_operand != blocq::format_traits<A>::gguf_id) return m;
    const auto theirs = std::make_shared<std::vector<float>>(rows);
    m.peers = {{[=, dot = functions.dot] {
                  for (std::size_t r = 0; r < rows; ++r)
                    dot(columns, &(*theirs)[r], 0, w->data() + r * row, 0, x->data(), 0, 1);
                },
                elements}};
    m.agrees = [=] { return close(*ours, *theirs, 1e-3); };
  }
  return m;
}

}  // namespace

std::vector<entry> dot_entries() {
  return for_all_formats(
      {"dot", "", rows_shape, million_elements, {}},
      []<multipliable B>(const backend* peer) requires(blocq::integer_format<B>) { return prepare<B>(peer); });
}

}  // namespace bench
