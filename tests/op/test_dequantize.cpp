// The public call: refusals leave the destination alone, floating-point modes do not matter, foreign structs work.
#include <doctest/doctest.h>
#include <blocq/format/all.hpp>
#include <blocq/op/dequantize.hpp>

#include <cstring>
#include <engine_q4.hpp>
#include <modes.hpp>
#include <random.hpp>
#include <string>
#include <vector>

using namespace blocq;

TEST_CASE("sizes that do not fit are refused and the destination is left as it was") {
  const std::vector<q4_0> blocks(2);
  std::vector<float> y(65, 7.0f);
  const status ragged = dequantize(blocks, std::span(y).first(63));
  CHECK(ragged.code == errc::ragged);
  CHECK(ragged.at == 0);
  CHECK(dequantize(blocks, std::span(y).first(32)).code == errc::size_mismatch);
  CHECK(dequantize(blocks, std::span(y).first(0)).code == errc::size_mismatch);
  for (const float v : y) CHECK(v == 7.0f);
  CHECK(dequantize(blocks, std::span(y).first(64)));
  CHECK(y[63] == 0.0f);
  CHECK(y[64] == 7.0f);
  CHECK(dequantize(std::span<const q4_0>(), std::span<float>()));
}

TEST_CASE("an engine's own struct is read through the format it names") {
  engine_q4 block{0, {0x69}};
  const std::uint8_t half[2] = {0x00, 0x38};
  std::memcpy(&block.scale, half, 2);
  float y[32];
  CHECK(dequantize(std::span(&block, 1), y));
  CHECK(y[0] == 0.5f);
  CHECK(y[16] == -1.0f);
}

TEST_CASE("rounding, flushing and traps do not reach the result, and are left as they were") {
  test::random_bits source{11};
  int changed = 0, different = 0;
  for_each(all_formats{}, [&]<class B> {
    constexpr std::size_t count = 16;
    std::vector<B> blocks;
    for (std::size_t i = 0; i < count; ++i) blocks.push_back(test::random_block<B>(source));
    std::vector<float> expected(count * block_size<B>), y(count * block_size<B>);
    CHECK(dequantize(blocks, expected));
    modes::for_each([&] {
      const std::uint64_t before = modes::current();
      const bool done = static_cast<bool>(dequantize(blocks, y));
      changed += modes::current() != before;
      different += !done || std::memcmp(y.data(), expected.data(), y.size() * sizeof(float)) != 0;
    });
  });
  CHECK(changed == 0);
  CHECK(different == 0);
}
