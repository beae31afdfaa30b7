// The codecs against the scalar decoders: any bytes, every format, the same floats.
#include <doctest/doctest.h>
#include <blocq/op/dequantize.hpp>
#include <random_blocks.hpp>

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
      different +=
          blocq::to_bits(want[i]) != blocq::to_bits(got[i]) && !(blocq::is_nan(want[i]) && blocq::is_nan(got[i]));
    CHECK_MESSAGE(different == 0, blocq::format_traits<B>::name, ": ", different, " of ", got.size(), " differ");
  });
}

TEST_CASE("a chunk's integers and steps make the decoder's numbers") {
  namespace vec = blocq::detail::vec;
  random_bytes next(5);
  blocq::for_each(blocq::all_formats{}, [&]<class B> {
    if constexpr (blocq::chunked_format<B>) {
      constexpr int group = blocq::step_group<B>, lowest = blocq::values_of<B>.lowest;
      int different = 0;
      for (const B& b : random_blocks<B>(200, next)) {
        float want[blocq::block_size<B>];
        decode(b, want);
        const float d = blocq::block_scale(b), dmin = blocq::block_offset(b);
        for (int i = 0; i < static_cast<int>(blocq::block_size<B>); ++i) {
          const int c = i / 32;
          vec::words halves[2];
          blocq::chunk_words(b, c, halves);
          std::int16_t words[16];
          vec::store_words(words, halves[i % 32 / 16]);
          const auto s = blocq::group_step(b, d, dmin, i / group);
          different += static_cast<float>(words[i % 16]) * s.step + s.offset != want[i];
          if constexpr (!blocq::full_bytes<B>) {
            std::uint8_t codes[32];
            vec::store_bytes(codes, blocq::chunk_codes(b, c));
            different += codes[i % 32] + lowest != words[i % 16];
          }
        }
      }
      CHECK_MESSAGE(different == 0, blocq::format_traits<B>::name);
    }
  });
}
