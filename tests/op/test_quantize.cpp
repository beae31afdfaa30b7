// The public calls on the plainest format: sizes, refusals, round trip.
#include <doctest/doctest.h>
#include <blocq/blocq.hpp>

#include <array>
#include <vector>

TEST_CASE("quantize and dequantize take ranges and refuse what does not fit") {
  std::vector<float> row(64);
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>(i) - 31.5f;
  std::vector<blocq::q8_0> w(2);
  REQUIRE(blocq::quantize(row, w));
  std::array<float, 64> back{};
  REQUIRE(blocq::dequantize(w, back));
  for (std::size_t i = 0; i < row.size(); ++i) CHECK(back[i] == doctest::Approx(row[i]).epsilon(0.01));
  CHECK(blocq::quantize(std::span(row).first(33), w).code == blocq::errc::ragged);
  CHECK(blocq::quantize(std::span(row).first(32), w).code == blocq::errc::size_mismatch);
}
