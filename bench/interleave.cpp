// Products with interleaved weights. The peer is the same product with the blocks as they lie in the file. The
// activations are floats, and what is done to them is part of the time; what is done to the weights is not.
#include "data.hpp"
#include "limits.hpp"

#include <blocq/op/activations.hpp>
#include <blocq/op/gemv.hpp>
#include <blocq/op/interleave.hpp>

namespace bench {

namespace {

template <class B>
concept interleavable = multipliable<B> && blocq::interleavable<B>;

// multiply(view, x, y) with m rows of weights, and n rows of activations.
template <class B, class Multiply>
measurement prepare(std::size_t m, std::size_t n, double work, Multiply multiply) {
  constexpr std::size_t row = columns / blocq::block_size<B>;
  const auto w = encoded_rows<B>(m);
  const auto lanes = std::make_shared<std::vector<blocq::interleaved<B>>>(blocq::interleaved_blocks(m, row));
  const blocq::matrix_view<const B> direct{w->data(), m, row, row};
  blocq::interleave(direct, *lanes);
  const std::span<const float> x = activations().first(n * columns);
  const auto y = std::make_shared<std::vector<float>>(m * n), z = std::make_shared<std::vector<float>>(m * n);
  measurement result;
  result.blocq = {
      [=] {
        multiply(blocq::matrix_view<const blocq::interleaved<B>>{lanes->data(), (m + 7) / 8, row, row}, x, *y);
      },
      work};
  result.peers.push_back({[=, keep = w] { multiply(direct, x, *z); }, work});
  result.agrees = [=] { return close(*y, *z, 1e-5); };
  return result;
}

template <class B>
measurement prepare_gemv(std::size_t bytes) {
  const std::size_t m = bytes / (columns / blocq::block_size<B> * sizeof(B)) / 16 * 16;
  const double work = static_cast<double>(m * columns);
  measurement result = prepare<B>(m, 1, work, [](const auto& w, std::span<const float> x, std::vector<float>& y) {
    using A = blocq::integer_operand_t<B>;
    static std::vector<A> operand(columns / blocq::block_size<A>);
    blocq::quantize_activations(x, operand);
    blocq::gemv(w, operand, y);
  });
  result.limit = read_loop(m * columns / blocq::block_size<B> * sizeof(B) / sizeof(float));
  result.limit.work = work;
  return result;
}

template <class B>
measurement prepare_gemm(std::size_t n) {
  constexpr std::size_t m = 4096;
  const auto scratch = std::make_shared<std::vector<std::byte>>(blocq::gemm_scratch<B>(n, columns));
  measurement result = prepare<B>(m, n, 2.0 * static_cast<double>(m * n * columns),
                                  [=](const auto& w, std::span<const float> x, std::vector<float>& y) {
                                    blocq::gemm(w, blocq::matrix_view<const float>{x.data(), n, columns, columns},
                                                blocq::matrix_view<float>{y.data(), n, m, m}, *scratch);
                                  });
  result.limit = multiplication_loop<B>();
  return result;
}

}  // namespace

std::vector<entry> interleaved_entries() {
  std::vector<entry> entries;
  const auto add = [&](std::vector<entry> more) {
    for (entry& e : more) entries.push_back(std::move(e));
  };
  for (const auto& [shape, bytes] : {std::pair{"256 KB", 256 << 10}, {"160 MB", 160 << 20}})
    add(for_all_formats(
        {"gemv_interleaved", "", shape, million_elements, {}},
        [n = static_cast<std::size_t>(bytes)]<interleavable B>(const backend*) { return prepare_gemv<B>(n); }));
  for (const std::size_t n : {2u, 4u, 8u, 32u})
    add(for_all_formats({"gemm_interleaved", "", "N=" + std::to_string(n), billion_operations, {}},
                        [n]<interleavable B>(const backend*) { return prepare_gemm<B>(n); }));
  return entries;
}

}  // namespace bench
