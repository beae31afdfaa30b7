// The header by itself: what gemv with scratch needs beside it, it includes.
#include <doctest/doctest.h>
#include <blocq/op/gemv.hpp>

#include <vector>

TEST_CASE("gemv with scratch rounds x as quantize_activations does") {
  using B = blocq::q8_0;
  constexpr std::size_t k = 64, row = k / blocq::block_size<B>;
  std::vector<B> w(row);
  for (B& b : w) {
    blocq::store(b.d, std::uint16_t{0x3c00});
    for (std::int8_t& q : b.qs) q = 1;
  }
  std::vector<float> x(k), y(1), wanted(1);
  for (std::size_t i = 0; i < k; ++i) x[i] = 0.3f * static_cast<float>(i) - 7.0f;
  const blocq::matrix_view<const B> weights{w.data(), 1, row, row};
  std::vector<std::byte> scratch(blocq::gemv_scratch<B>(k));
  blocq::gemv(weights, x, y, scratch);
  std::vector<blocq::q8_0> operand(row);
  blocq::quantize_activations(x, operand);
  blocq::gemv(weights, operand, wanted);
  CHECK(y[0] == wanted[0]);
  CHECK(y[0] == doctest::Approx(156.8).epsilon(0.01));
}
