// The tables agree with each other: order, symmetry, thresholds between neighbours.
#include <doctest/doctest.h>
#include <blocq/elem/codebook.hpp>
#include <blocq/elem/minifloat.hpp>
#include <golden.hpp>

using namespace blocq;

TEST_CASE("nf4 ascends and its thresholds are the midpoints") {
  for (int i = 0; i < 15; ++i) {
    const double a = static_cast<double>(nf4_code::values[i]), b = static_cast<double>(nf4_code::values[i + 1]);
    CHECK(a < b);
    CHECK(nf4_code::thresholds[i] == static_cast<float>((a + b) / 2));
  }
}

TEST_CASE("bnb_fp4 is symmetric and ascends in the order that its table names") {
  for (int i = 0; i < 8; ++i)
    CHECK(to_bits(bnb_fp4_code::values[i + 8]) == (to_bits(bnb_fp4_code::values[i]) ^ 0x80000000u));
  for (int i = 0; i < 7; ++i) {
    const float a = bnb_fp4_code::values[bnb_fp4_code::ascending[i]];
    const float b = bnb_fp4_code::values[bnb_fp4_code::ascending[i + 1]];
    CHECK(a < bnb_fp4_code::thresholds[i]);
    CHECK(bnb_fp4_code::thresholds[i] < b);
    CHECK(bnb_fp4_code::thresholds[i] == doctest::Approx((a + b) / 2).epsilon(1e-6));
  }
}

TEST_CASE("the doubled table is twice float4_e2m1fn") {
  for (std::uint8_t code = 0; code < 16; ++code)
    CHECK(static_cast<float>(e2m1_doubled_code::values[code]) == 2 * float4_e2m1fn{code}.to_float());
}

TEST_CASE("iq4_nl ascends") {
  for (int i = 0; i < 15; ++i) CHECK(iq4_nl_code::values[i] < iq4_nl_code::values[i + 1]);
}

TEST_CASE("the dynamic code of bitsandbytes ascends and is the table that PyTorch 2.14.1 gives it") {
  const auto& values = bnb_dynamic.values;
  for (int i = 0; i < 255; ++i) CHECK(values[i] < values[i + 1]);
  CHECK(values[0] == -0.992968738f);
  CHECK(values[20] == -0.711718798f);
  CHECK(values[75] == -0.0676562563f);
  CHECK(values[126] == -(1e-6f * 0.55f));
  CHECK(values[127] == 0.0f);
  CHECK(values[255] == 1.0f);
  CHECK(golden::fnv1a(std::span<const float>(values)) == 0xd677f22a96665bc4u);
}
