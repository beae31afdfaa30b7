// The codecs against the scalar decoders: any bytes, every format, the same floats.
#include <doctest/doctest.h>
#include <blocq/codec/columns.hpp>
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

// Rounded twice, also where the machine's registers hold more than a float.
const auto number = [](int code, const auto& s) {
  return (blocq::lane(static_cast<float>(code)) * blocq::lane(s.step) + blocq::lane(s.offset)).v;
};

TEST_CASE("a chunk's integers and steps make the decoder's numbers") {
  namespace vec = blocq::detail::vec;
  random_bytes next(5);
  blocq::for_each(blocq::all_formats{}, [&]<class B> {
    if constexpr (blocq::chunked_format<B> && !std::is_same_v<B, blocq::mxfp6_e3m2>) {
      constexpr int group = blocq::step_group<B>, lowest = blocq::values_of<B>.lowest;
      int different = 0;
      for (const B& b : random_blocks<B>(200, next)) {
        float want[blocq::block_size<B>];
        decode(b, want);
        const float d = blocq::block_scale(b), dmin = blocq::block_offset(b);
        for (int i = 0; i < static_cast<int>(blocq::block_size<B>); ++i) {
          const int c = i / 32;
          std::int8_t values[32];
          vec::store_bytes(values, blocq::chunk_values(b, c));
          const auto s = blocq::group_step(b, d, dmin, i / group);
          different += number(values[i % 32], s) != want[i];
          if constexpr (!blocq::full_bytes<B>) {
            std::uint8_t codes[32];
            vec::store_bytes(codes, blocq::chunk_codes(b, c));
            different += codes[i % 32] + lowest != values[i % 32];
          }
        }
      }
      CHECK_MESSAGE(different == 0, blocq::format_traits<B>::name);
    }
  });
}

TEST_CASE("columns of eight rows are the numbers of their blocks") {
  namespace vec = blocq::detail::vec;
  random_bytes next(6);
  blocq::for_each(blocq::all_formats{}, [&]<class B> {
    if constexpr (blocq::chunked_format<B> && !std::is_same_v<B, blocq::q8_k>) {
      int different = 0;
      for (int round = 0; round < 50; ++round) {
        const std::vector<B> blocks = random_blocks<B>(8, next);
        const B* rows[8];
        for (int r = 0; r < 8; ++r) rows[r] = &blocks[static_cast<std::size_t>(r * 5 % 8)];
        blocq::detail::column_reader<B>(rows).each_chunk([&](int chunk, const vec::bytes(&v)[8]) {
          for (int i = 0; i < 8; ++i) {
            int got[4][8];  // element 4i + e of row r
            if constexpr (blocq::full_bytes<B>) {
              vec::words words[2];
              blocq::detail::column_words<B>(v[i], words[0], words[1]);
              for (int e = 0; e < 4; ++e) {
                std::int16_t stored[16];
                vec::store_words(stored, words[e % 2]);
                for (int r = 0; r < 8; ++r) got[e][r] = stored[2 * r + e / 2];
              }
            } else {
              std::uint8_t stored[32];
              vec::store_bytes(stored, v[i]);
              for (int e = 0; e < 4; ++e)
                for (int r = 0; r < 8; ++r) got[e][r] = stored[4 * r + e] + blocq::values_of<B>.lowest;
            }
            for (int r = 0; r < 8; ++r) {
              float want[blocq::block_size<B>];
              decode(*rows[r], want);
              const auto s = blocq::group_step(*rows[r], blocq::block_scale(*rows[r]), blocq::block_offset(*rows[r]),
                                               (32 * chunk + 4 * i) / blocq::step_group<B>);
              for (int e = 0; e < 4; ++e)
                different += number(got[e][r], s) != want[32 * chunk + 4 * i + e];
            }
          }
        });
      }
      CHECK_MESSAGE(different == 0, blocq::format_traits<B>::name);
    }
  });
}
