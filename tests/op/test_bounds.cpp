// Kernels read their operands and no further: the page after the last byte, or before the first, cannot be read.
#include <doctest/doctest.h>
#include <blocq/op/activations.hpp>
#include <blocq/op/dequantize.hpp>
#include <blocq/op/gemm.hpp>
#include <blocq/op/gemv.hpp>
#include <fenced.hpp>
#include <random_blocks.hpp>

#include <vector>

#ifdef BLOCQ_TEST_HAS_FENCED

namespace {

random_bytes next(23);

template <class B>
void run_kernels(std::size_t blocks, bool behind) {
  const std::size_t k = blocks * blocq::block_size<B>;
  const fenced<B> w(std::span<const B>(random_blocks<B>(blocks, next)), behind);
  std::vector<float> numbers(k);
  for (float& v : numbers) v = next.uniform();
  const fenced<float> x(std::span<const float>(numbers), behind);
  fenced<float> y(k, behind), one(1, behind);
  CHECK(blocq::dequantize(w.items, y.items));
  const blocq::matrix_view<const B> weights{w.items.data(), 1, blocks, blocks};
  blocq::gemv(weights, x.items, one.items);
  if constexpr (!std::is_same_v<B, blocq::q8_1> && !std::is_same_v<B, blocq::q8_k>) {
    fenced<std::byte> scratch(blocq::gemm_scratch<B>(1, k), behind);
    blocq::gemm(weights, blocq::matrix_view<const float>{x.items.data(), 1, k, k},
                blocq::matrix_view<float>{one.items.data(), 1, 1, 1}, scratch.items);
  }
  if constexpr (blocq::integer_format<B>) {
    using A = blocq::integer_operand_t<B>;
    fenced<A> operand(k / blocq::block_size<A>, behind);
    blocq::quantize_activations(x.items, operand.items);
    blocq::gemv(weights, operand.items, one.items);
    CHECK(one.items[0] == blocq::dot(w.items, operand.items));
  }
}

}  // namespace

TEST_CASE("kernels stay within their operands") {
  blocq::for_each(blocq::all_formats{}, []<class B> {
    for (const std::size_t blocks : {1u, 2u, 3u, 8u, 9u, 37u})
      for (const bool behind : {true, false}) run_kernels<B>(blocks, behind);
  });
}
#endif
