// Products of matrices: 4096 rows of weights, and rows of activations: 1 to 8, as when tokens are generated, 32 and
// 128, as when a text is read. The peer is a graph of ggml, which rounds the activations of bfloat16s to bfloat16s.
#include "limits.hpp"
#include "products.hpp"

#include <blocq/op/gemm.hpp>
#include <blocq/op/quantize.hpp>

namespace bench {

namespace {

template <class B>
measurement prepare(const backend* peer, std::size_t n) {
  constexpr std::size_t m = 4096, row = columns / blocq::block_size<B>;
  const auto scratch = std::make_shared<std::vector<std::byte>>(blocq::gemm_scratch<B>(n, columns));
  measurement result =
      prepare_product<B>(peer, m, n, 2.0 * static_cast<double>(m * n * columns),
                         [=](const std::vector<B>& w, std::span<const float> x, std::vector<float>& y) {
                           blocq::gemm(blocq::matrix_view<const B>{w.data(), m, row, row},
                                       blocq::matrix_view<const float>{x.data(), n, columns, columns},
                                       blocq::matrix_view<float>{y.data(), n, m, m}, *scratch);
                         });
  result.limit = multiplication_loop<B>();
  return result;
}

// With activations in bfloat16, the rounding included.
template <std::same_as<blocq::bf16> B>
measurement prepare_bf16(const backend* peer, std::size_t n) {
  constexpr std::size_t m = 4096;
  const auto scratch = std::make_shared<std::vector<std::byte>>(blocq::gemm_scratch<B>(n, columns));
  const auto rounded = std::make_shared<std::vector<B>>(n * columns);
  measurement result =
      prepare_product<B>(peer, m, n, 2.0 * static_cast<double>(m * n * columns),
                         [=](const std::vector<B>& w, std::span<const float> x, std::vector<float>& y) {
                           [[maybe_unused]] const blocq::status s = blocq::quantize(x, *rounded);
                           blocq::gemm(blocq::matrix_view<const B>{w.data(), m, columns, columns},
                                       blocq::matrix_view<const B>{rounded->data(), n, columns, columns},
                                       blocq::matrix_view<float>{y.data(), n, m, m}, *scratch);
                         });
  result.limit = multiplication_loop<B>();
  return result;
}

}  // namespace

std::vector<entry> gemm_entries() {
  std::vector<entry> entries;
  for (const std::size_t n : {1u, 2u, 4u, 8u, 32u, 128u})
    for (entry& e : for_all_formats({"gemm", "", "N=" + std::to_string(n), billion_operations, {}},
                                    [n]<multipliable B>(const backend* peer) { return prepare<B>(peer, n); }))
      entries.push_back(std::move(e));
  for (const std::size_t n : {8u, 32u, 128u})
    for (entry& e :
         for_all_formats({"gemm_bf16", "", "N=" + std::to_string(n), billion_operations, {}},
                         [n]<std::same_as<blocq::bf16> B>(const backend* peer) { return prepare_bf16<B>(peer, n); }))
      entries.push_back(std::move(e));
  return entries;
}

}  // namespace bench
