#include <doctest/doctest.h>
#include <blocq/elem/fixed_point.hpp>

#include <cmath>

using namespace blocq;

TEST_CASE("fixed8_6 decodes every code") {
  for (int q = -128; q < 128; ++q)
    CHECK(fixed8_6{static_cast<std::uint8_t>(q)}.to_float() == static_cast<float>(q) / 64.0f);
}

TEST_CASE("fixed8_6 rounds to nearest even and ends at +-127") {
  // Every float of stride 251 against the C library's rounding in double.
  for (std::uint64_t pattern = 0; pattern < std::uint64_t{1} << 32; pattern += 251) {
    const float x = from_bits(static_cast<std::uint32_t>(pattern));
    const double q =
        std::isnan(x) ? 0.0 : std::fmin(127.0, std::fmax(-127.0, std::nearbyint(64.0 * static_cast<double>(x))));
    if (fixed8_6::from_float(x).code != static_cast<std::uint8_t>(static_cast<int>(q))) FAIL(x);
  }
  for (int twice = -260; twice <= 260; ++twice) {  // every code and every tie
    const double q = std::fmin(127.0, std::fmax(-127.0, std::nearbyint(twice / 2.0)));
    CHECK(fixed8_6::from_float(static_cast<float>(twice) / 128.0f).code ==
          static_cast<std::uint8_t>(static_cast<int>(q)));
  }
}
