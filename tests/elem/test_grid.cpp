#include <doctest/doctest.h>
#include <blocq/elem/grid.hpp>

using namespace blocq;

TEST_CASE("signs and ternary digits stand for what they say") {
  CHECK(binary::value(0) == binary::lowest);
  CHECK(binary::value(1) == binary::highest);
  for (int digit = 0; digit < ternary::entries; ++digit) CHECK(ternary::value(digit) == digit - 1);
  CHECK(ternary::value(2) == ternary::highest);
}
