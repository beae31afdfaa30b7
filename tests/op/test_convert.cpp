// Conversion is decoding and encoding.
#include <doctest/doctest.h>
#include <blocq/op/convert.hpp>
#include <random_blocks.hpp>

#include <cstring>
#include <limits>
#include <vector>

namespace {

random_bytes next(19);

template <class From, class To>
void check_conversion() {
  constexpr std::size_t elements = 2048 + 256;
  const auto src = random_blocks<From>(elements / blocq::block_size<From>, next);
  std::vector<To> got(elements / blocq::block_size<To>), want(got.size());
  std::vector<float> y(elements);
  REQUIRE(blocq::dequantize(src, y));
  const blocq::status expected = blocq::quantize(y, want), outcome = blocq::convert(src, got);
  CHECK(outcome.code == expected.code);
  CHECK(outcome.at == expected.at);
  CHECK(std::memcmp(got.data(), want.data(), got.size() * sizeof(To)) == 0);
}

}  // namespace

TEST_CASE("conversion is decoding and encoding") {
  check_conversion<blocq::mxfp8_e4m3, blocq::mxfp4>();
  check_conversion<blocq::q4_k, blocq::f16>();
  check_conversion<blocq::iq3_s, blocq::bf16>();
  check_conversion<blocq::f16, blocq::q8_0>();
  check_conversion<blocq::nf4, blocq::q1_0>();
  check_conversion<blocq::q6_k, blocq::nvfp4>();
}

TEST_CASE("sizes that do not fit are refused, and the block of dst that cannot hold its values is named") {
  std::vector<blocq::q4_0> small(3);
  std::vector<blocq::q4_k> large(1);
  CHECK(blocq::convert(small, large).code == blocq::errc::ragged);
  small.resize(16);
  CHECK(blocq::convert(small, large).code == blocq::errc::size_mismatch);
  std::vector<blocq::bf16> numbers(4096);
  store(numbers[3000].code, blocq::f32_to_bf16(1e30f));
  store(numbers[4000].code, blocq::f32_to_bf16(std::numeric_limits<float>::infinity()));
  std::vector<blocq::q8_0> blocks(128);
  const blocq::status s = blocq::convert(numbers, blocks);
  CHECK(s.code == blocq::errc::scale_range);
  CHECK(s.at == 3000 / 32);
}
