// Codes and scales apart: the order of both, lossless in both directions, refusals; tiles of scales.
#include <doctest/doctest.h>
#include <blocq/format/split.hpp>

#include <cstring>
#include <vector>

using namespace blocq;

namespace {

std::vector<std::uint8_t> bytes(std::size_t n, unsigned seed) {
  std::vector<std::uint8_t> b(n);
  for (auto& v : b) v = static_cast<std::uint8_t>((seed = seed * 1664525u + 1013904223u) >> 24);
  return b;
}

template <class B>
constexpr std::size_t scale_bytes_per_block = std::is_same_v<B, nvfp4> ? 4 : 1;

}  // namespace

TEST_CASE("published MXFP4 has neighbours in one byte, GGUF has halves of the block") {
  std::vector<std::uint8_t> codes(16), scales{0x81};
  for (unsigned i = 0; i < 16; ++i) codes[i] = static_cast<std::uint8_t>((2 * i) % 16 | ((2 * i + 1) % 16) << 4);
  std::vector<mxfp4> gguf(1);
  std::vector<mxfp4_ocp> ocp(1);
  REQUIRE(join_scales(codes, scales, gguf));
  REQUIRE(join_scales(codes, scales, ocp));
  CHECK(gguf[0].e == 0x81);
  for (unsigned i = 0; i < 16; ++i) CHECK(gguf[0].qs[i] == (i | i << 4));
  CHECK(std::memcmp(ocp[0].codes, codes.data(), 16) == 0);
  float a[32], b[32];
  decode(gguf[0], a);
  decode(ocp[0], b);
  for (int i = 0; i < 32; ++i) CHECK(a[i] == b[i]);
}

TEST_CASE_TEMPLATE("any bytes go there and back", B, mxfp4, mxfp4_ocp, mxfp6_e2m3, mxfp6_e3m2, mxfp8_e4m3, mxint8,
                   nvfp4) {
  constexpr std::size_t n = 5, per_block = scale_bytes_per_block<B>;
  const auto codes = bytes(n * (sizeof(B) - per_block), 1);
  auto scales = bytes(n * per_block, 2);
  if (std::is_same_v<B, nvfp4>)
    for (auto& s : scales) s %= 0x7f;
  std::vector<B> blocks(n);
  REQUIRE(join_scales(codes, scales, blocks));
  std::vector<std::uint8_t> codes_back(codes.size()), scales_back(scales.size());
  REQUIRE(split_scales(blocks, codes_back, scales_back));
  CHECK(codes_back == codes);
  CHECK(scales_back == scales);

  const auto before = blocks;
  const std::span<const std::uint8_t> c(codes), s(scales);
  CHECK(join_scales(c.first(codes.size() - 1), s, blocks).code == errc::size_mismatch);
  CHECK(join_scales(c, s.first(scales.size() - 1), blocks).code == errc::size_mismatch);
  CHECK(join_scales(c, s, std::span(blocks).first(4)).code == errc::size_mismatch);
  CHECK(std::memcmp(before.data(), blocks.data(), sizeof(B) * n) == 0);
  CHECK(split_scales(std::span(blocks).first(4), codes_back, scales_back).code == errc::size_mismatch);
  CHECK(join_scales({}, {}, std::span<B>{}));
}

TEST_CASE("two-level NVFP4 and GGUF's blocks hold the same numbers") {
  const auto codes = bytes(64, 3);
  auto scales = bytes(8, 4);
  for (auto& s : scales) s %= 0x7f;
  std::vector<nvfp4> blocks(2);
  REQUIRE(join_scales(codes, scales, blocks));
  std::vector<float> y(128);
  REQUIRE(decode_nvfp4(codes, scales, {}, y));
  for (std::size_t b = 0; b < 2; ++b) {
    float z[64];
    decode(blocks[b], z);
    for (std::size_t i = 0; i < 64; ++i) CHECK(z[i] == y[64 * b + i]);
  }
}

TEST_CASE("group scales that mean something else in GGUF are refused") {
  const std::vector<std::uint8_t> codes(64, 0x11);
  for (const unsigned bad : {0x7fu, 0x80u, 0xffu}) {
    std::vector<std::uint8_t> scales(8, 0x38);
    scales[6] = static_cast<std::uint8_t>(bad);
    std::vector<nvfp4> blocks(2);
    const status s = join_scales(codes, scales, blocks);
    CHECK(s.code == errc::bad_value);
    CHECK(s.at == 1);
    CHECK(blocks[0].d[0] == 0);
    blocks[1].d[3] = static_cast<std::uint8_t>(bad);
    std::vector<std::uint8_t> codes_back(64);
    CHECK(split_scales(blocks, codes_back, scales).code == errc::bad_value);
  }
}

TEST_CASE("tiles of scales") {
  CHECK(tiled_scales_size(128, 4) == 512);
  CHECK(tiled_scales_size(129, 5) == 2048);
  CHECK(tiled_scales_size(0, 4) == 0);
  const std::size_t rows = 200, columns = 6;
  auto scales = bytes(rows * columns, 5);
  for (auto& s : scales) s |= 1;
  std::vector<std::uint8_t> tiles(tiled_scales_size(rows, columns), 0xaa), back(scales.size());
  REQUIRE(tile_scales(scales, rows, columns, tiles));
  CHECK(tiles[0] == scales[0]);
  CHECK(tiles[3] == scales[3]);
  CHECK(tiles[16] == scales[columns]);          // row 1
  CHECK(tiles[4] == scales[32 * columns]);      // row 32
  CHECK(tiles[512] == scales[4]);               // column 4: the next tile
  CHECK(tiles[1024] == scales[128 * columns]);  // row 128: the next row of tiles
  std::size_t zeros = 0;
  for (const std::uint8_t t : tiles) zeros += t == 0;
  CHECK(zeros == tiles.size() - scales.size());
  REQUIRE(untile_scales(tiles, rows, columns, back));
  CHECK(back == scales);
  CHECK(tile_scales(scales, rows, columns + 1, tiles).code == errc::size_mismatch);
  CHECK(tile_scales(scales, rows, columns, std::span(tiles).first(1024)).code == errc::size_mismatch);
  CHECK(untile_scales(tiles, rows - 1, columns, back).code == errc::size_mismatch);
}
