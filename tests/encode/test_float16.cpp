#include <doctest/doctest.h>
#include <blocq/blocq.hpp>

#include <vector>

using namespace blocq;

TEST_CASE_TEMPLATE("16-bit floats round, keep subnormals and report what becomes infinite", B, f16, bf16) {
  const std::vector<float> x{1.0f, -1.00001f, 0x1p-24f, 0x1p-26f, -0.0f, 65504.0f};
  std::vector<B> w(x.size());
  std::vector<float> y(x.size());
  CHECK(quantize(x, w));
  REQUIRE(dequantize(w, y));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float expected = element_t<B>::from_float(x[i]).to_float();
    CHECK(to_bits(y[i]) == to_bits(expected));
  }
  const std::vector<float> large{1.0f, 3.4e38f};
  w.resize(2);
  const status s = quantize(large, w);
  CHECK(s.code == errc::scale_range);
  CHECK(s.at == 1);
}
