// The codecs against the scalar decoders: any bytes, every format, the same floats.
#include <blocq/op/dequantize.hpp>
#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <vector>

TEST_CASE("dequantize gives what the scalar decoder gives, for any bytes") {
  std::uint64_t state = 1;
  const auto random_byte = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint8_t>(state >> 56);
  };
  blocq::for_each(blocq::all_formats{}, [&]<class B> {
    constexpr std::size_t count = 500, n = blocq::block_size<B>;
    std::vector<B> blocks(count);
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t k = 0; k < sizeof(B); ++k) {
        const std::uint8_t byte = i == 0 ? 0 : i == 1 ? 255 : random_byte();
        std::memcpy(reinterpret_cast<unsigned char*>(&blocks[i]) + k, &byte, 1);
      }
    std::vector<float> want(count * n), got(count * n);
    for (std::size_t i = 0; i < count; ++i) decode(blocks[i], want.data() + i * n);
    REQUIRE(blocq::dequantize(blocks, got));
    std::size_t different = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
      different += blocq::to_bits(want[i]) != blocq::to_bits(got[i]) && !(blocq::is_nan(want[i]) && blocq::is_nan(got[i]));
    CHECK_MESSAGE(different == 0, blocq::format_traits<B>::name, ": ", different, " of ", got.size(), " differ");
  });
}
