// Whatever modes a caller has set, they do not matter inside the scope and are found again after it.
#include <doctest/doctest.h>
#include <blocq/core/bits.hpp>
#include <blocq/core/fp_environment.hpp>

#include <modes.hpp>

namespace {

// One bit per operation whose result is the one under the default modes. Volatile, so that it is computed here and now.
unsigned default_results() {
  volatile float one = 1, three = 3, five = 5, zero = 0, smallest = blocq::from_bits(0x00800000), half = 0.5f;
  volatile float third = one / three, minus_third = -one / three, five_thirds = five / three, pole = one / zero,
                 subnormal = smallest * half, normal = subnormal * three;
  const float result[] = {third, minus_third, five_thirds, pole, subnormal, normal};
  const std::uint32_t expected[] = {0x3eaaaaab, 0xbeaaaaab, 0x3fd55555, 0x7f800000, 0x00400000, 0x00c00000};
  unsigned same = 0;
  for (int i = 0; i < 6; ++i) same |= static_cast<unsigned>(blocq::to_bits(result[i]) == expected[i]) << i;
  return same;
}

}  // namespace

TEST_CASE("an fp_environment sets the default modes and puts back what it found, flags included") {
  int runs = 0;
  modes::for_each([&] {
    const std::uint64_t before = modes::current();
    unsigned same = 0;
    {
      const blocq::fp_environment defaults;
      same = default_results();
    }
    const std::uint64_t after = modes::current();
    const blocq::fp_environment quiet;  // for the assertions below
    CHECK(same == 0x3f);
    CHECK(after == before);
    ++runs;
  });
  CHECK(runs >= 4);
}

TEST_CASE("the modes of this test do change results outside the scope") {
  unsigned worst = 0x3f;
  for (const int rounding : {FE_UPWARD, FE_DOWNWARD}) {
    std::fesetround(rounding);
    worst &= default_results();
    std::fesetround(FE_TONEAREST);
  }
  CHECK((worst & 7) == 0);
}
