// Matrix times vector: a row of dots.
#include <doctest/doctest.h>
#include <blocq/encode/all.hpp>
#include <blocq/op/gemm.hpp>
#include <blocq/op/gemv.hpp>
#include <random_blocks.hpp>

#include <vector>

namespace {

random_bytes next(13);

}  // namespace

TEST_CASE("gemv is a row of dots, also where x takes more than one piece") {
  constexpr std::size_t blocks = 33, k = 33 * 256, rows = 9;
  const auto w = random_blocks<blocq::q4_k>(rows * blocks, next);
  const blocq::matrix_view<const blocq::q4_k> weights{w.data(), rows, blocks, blocks};
  std::vector<float> x(k), y(rows);
  for (float& v : x) v = next.uniform();
  std::vector<blocq::q8_k> operand(blocks);
  encode(x.data(), blocks, blocq::encode_context{}, operand.data());
  blocq::gemv(weights, operand, y);
  for (std::size_t m = 0; m < rows; ++m) CHECK(y[m] == blocq::dot(weights.row(m), operand));
}

TEST_CASE_TEMPLATE("with scratch gemv means what gemm means", B, blocq::q4_0, blocq::q6_k, blocq::mxfp4, blocq::bf16) {
  constexpr std::size_t k = 512, rows = 21, blocks = k / blocq::block_size<B>;
  auto w = random_blocks<B>(rows * blocks, next);
  const blocq::matrix_view<B> weights{w.data(), rows, blocks};
  std::vector<float> x(k), y(rows), z(rows);
  for (float& v : x) v = next.uniform();
  std::vector<std::byte> scratch(blocq::gemv_scratch<B>(k)), more(blocq::gemm_scratch<B>(1, k));
  blocq::gemv(weights, x, y, scratch);
  blocq::gemm(weights, blocq::matrix_view<float>{x.data(), 1, k}, blocq::matrix_view<float>{z.data(), 1, rows}, more);
  if constexpr (blocq::integer_format<B>) CHECK(y == z);
  blocq::gemv(weights, x, z);
  CHECK((y == z) == !blocq::integer_format<B>);
}
