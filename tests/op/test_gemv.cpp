// Matrix times vector: a row of dots.
#include <doctest/doctest.h>
#include <blocq/encode/all.hpp>
#include <blocq/op/gemv.hpp>
#include <random_blocks.hpp>

#include <vector>

namespace {

random_bytes next(13);

}  // namespace

TEST_CASE("gemv is a row of dots") {
  constexpr std::size_t blocks = 2, k = 512, rows = 40;
  const auto w = random_blocks<blocq::q4_k>(rows * blocks, next);
  const blocq::matrix_view<const blocq::q4_k> weights{w.data(), rows, blocks, blocks};
  std::vector<float> x(k), y(rows);
  for (float& v : x) v = next.uniform();
  std::vector<blocq::q8_k> operand(blocks);
  encode(x.data(), blocks, blocq::encode_context{}, operand.data());
  blocq::gemv(weights, operand, y);
  for (std::size_t m = 0; m < rows; ++m) CHECK(y[m] == blocq::dot(weights.row(m), operand));
}
