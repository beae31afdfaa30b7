// Products of matrices, weights times activations, as a user of either library computes them: the activations are
// floats, and what is done to them is part of the time.
#ifndef BLOCQ_BENCH_PRODUCTS_HPP
#define BLOCQ_BENCH_PRODUCTS_HPP

#include "data.hpp"
#include "registry.hpp"

namespace bench {

// Y = X * W^T: n rows of activations, m rows of weights in format B. compute(w, x, y) is blocq's way.
template <class B, class Compute>
measurement prepare_product(const backend* peer, std::size_t m, std::size_t n, double work, Compute compute) {
  const auto w = encoded_rows<B>(m);
  const std::span<const float> x = activations().first(n * columns);
  const auto ours = std::make_shared<std::vector<float>>(m * n);
  measurement result;
  result.blocq = {[=] { compute(*w, x, *ours); }, work};
  if (const int type = peer_type<B>(peer); type >= 0) {
    const auto products = peer->products(type, w->data(), w->size() * sizeof(B), m, columns, x.data(), n);
    for (const backend::product& p : products) result.peers.push_back({p.run, work});
    result.agrees = [=] {
      std::vector<float> theirs(m * n);
      bool same = true;
      for (const backend::product& p : products) {
        p.result(theirs.data());
        same = same && close(*ours, theirs, 0.02);
      }
      return same;
    };
  }
  return result;
}

}  // namespace bench

#endif
