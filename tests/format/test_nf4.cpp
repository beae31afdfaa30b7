// NF4 and the FP4 of bitsandbytes: golden decodes, the order of the nibbles, both arrays of a checkpoint, nested
// scales.
#include <doctest/doctest.h>
#include <blocq/format/nf4.hpp>
#include <golden.hpp>

#include <cstring>

using namespace blocq;

TEST_CASE_TEMPLATE("golden blocks of bitsandbytes decode bit for bit", B, nf4, bnb_fp4) {
  const std::string file = std::is_same_v<B, nf4> ? "bnb_nf4" : "bnb_fp4";
  const auto codes = golden::array<std::uint8_t>(file + ".codes");
  const auto absmax = golden::array<float>(file + ".absmax");
  const auto expected = golden::array<std::uint32_t>(file + ".dq");
  std::vector<B> blocks(absmax.size());
  REQUIRE(blocks.size() == 11);
  REQUIRE(join_scales(codes, absmax, blocks));
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    float y[64];
    decode(blocks[i], y);
    for (std::size_t j = 0; j < 64; ++j) CHECK(to_bits(y[j]) == expected[64 * i + j]);
    CHECK(is_valid(blocks[i]));
  }

  std::vector<std::uint8_t> codes_back(codes.size());
  std::vector<float> absmax_back(absmax.size());
  REQUIRE(split_scales(blocks, codes_back, absmax_back));
  CHECK(codes_back == codes);
  CHECK(absmax_back == absmax);
  const std::span<const std::uint8_t> c(codes);
  CHECK(join_scales(c.first(31), absmax, blocks).code == errc::size_mismatch);
  CHECK(join_scales(c.first(320), absmax, blocks).code == errc::size_mismatch);
  CHECK(join_scales(c, std::span(absmax).first(10), blocks).code == errc::size_mismatch);
  CHECK(split_scales(std::span(blocks).first(10), codes_back, absmax_back).code == errc::size_mismatch);
}

TEST_CASE("the first of two elements is in the high nibble, in blocks of any even size") {
  codebook_block<nf4_code, 4> b{};
  store(b.absmax, to_bits(2.0f));
  const std::uint8_t codes[4] = {15, 7, 0, 7};
  set_codes(b, codes);
  CHECK(b.codes[0] == 0xf7);
  CHECK(b.codes[1] == 0x07);
  std::uint8_t back[4];
  get_codes(b, back);
  CHECK(std::memcmp(back, codes, 4) == 0);
  float y[4];
  decode(b, y);
  CHECK(y[0] == 2.0f);
  CHECK(y[2] == -2.0f);
  CHECK(sizeof b == 6);
  CHECK(block_size<decltype(b)> == 4);
}

TEST_CASE("a scale that is not finite makes a block invalid") {
  nf4 b{};
  for (const std::uint32_t bits : {0x7f800000u, 0xff800000u, 0x7fc00000u}) {
    store(b.absmax, bits);
    CHECK_FALSE(is_valid(b));
  }
}

TEST_CASE("nested scales") {
  std::vector<std::uint8_t> codes(300, 255);
  codes[0] = 127;
  codes[256] = 0;
  const std::vector<float> scales{2.0f, 4.0f};
  std::vector<float> absmax(300);
  REQUIRE(decode_nested_scales(codes, scales, 0.5f, absmax));
  CHECK(absmax[0] == 0.5f);
  CHECK(absmax[255] == 2.5f);
  CHECK(absmax[256] == 4.0f * -0.99296875f + 0.5f);
  CHECK(absmax[299] == 4.5f);
  CHECK(decode_nested_scales(codes, std::span(scales).first(1), 0.5f, absmax).code == errc::size_mismatch);
  CHECK(decode_nested_scales(codes, scales, 0.5f, std::span(absmax).first(299)).code == errc::size_mismatch);
  CHECK(decode_nested_scales({}, {}, 0.5f, {}));
}
