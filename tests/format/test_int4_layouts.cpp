// AWQ, GPTQ and compressed-tensors: golden words, there and back, what a layout cannot hold, sizes.
#include <doctest/doctest.h>
#include <blocq/core/bits.hpp>
#include <blocq/format/int4_layouts.hpp>
#include <golden.hpp>

#include <limits>

using namespace blocq;

namespace {

constexpr int4_layout layouts[] = {int4_layout::awq, int4_layout::gptq, int4_layout::gptq_v2,
                                   int4_layout::compressed_tensors, int4_layout::gptq_nibbles};

// The golden matrix has its inputs in rows; here its outputs are.
std::vector<std::uint8_t> transposed(const std::vector<std::uint8_t>& a, std::size_t rows, std::size_t columns) {
  std::vector<std::uint8_t> t(a.size());
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < columns; ++c) t[c * rows + r] = a[r * columns + c];
  return t;
}

std::vector<le32> words(const std::string& file) { return golden::array<le32>(file); }

bool equal(const std::vector<le32>& a, const std::vector<le32>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), 4 * a.size()) == 0;
}

std::vector<le32> indices(const std::vector<std::uint32_t>& values) {
  std::vector<le32> out(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) store(out[i], values[i]);
  return out;
}

constexpr int4_shape shape{16, 16, 8};
const std::vector<std::uint8_t> codes = transposed(golden::array<std::uint8_t>("w4_q.u8"), 16, 16);
const std::vector<std::uint8_t> zeros = transposed(golden::array<std::uint8_t>("w4_z.u8"), 2, 16);

std::vector<float> golden_scales() {
  std::vector<float> scales;
  for (const le16& h : golden::array<le16>("w4_scales.f16")) scales.push_back(f16_to_f32(h));
  return scales;
}

}  // namespace

TEST_CASE("golden words of AWQ and GPTQ, written and read") {
  const struct {
    int4_layout layout;
    const char *codes, *zeros;
  } files[] = {{int4_layout::awq, "awq_qweight.u32", "awq_qzeros.u32"},
               {int4_layout::gptq, "gptq_qweight.u32", "gptq_qzeros_v1.u32"},
               {int4_layout::gptq_nibbles, "gptq_qweight.u32", "gptq_qzeros_v1.u32"},
               {int4_layout::gptq_v2, "gptq_qweight.u32", "gptq_qzeros_v2.u32"}};
  const auto scales = golden_scales();
  const auto dequantized = golden::array<float>("w4_dequant.f32");
  for (const auto& f : files) {
    const auto code_words = words(f.codes), zero_words = words(f.zeros);
    std::vector<le32> packed(code_words.size()), packed_zeros(zero_words.size());
    std::vector<std::uint8_t> q(256), z(32);
    REQUIRE(unpack_codes(f.layout, shape, code_words, q));
    REQUIRE(unpack_zeros(f.layout, shape, zero_words, z));
    CHECK(q == codes);
    CHECK(z == zeros);
    REQUIRE(pack_codes(f.layout, shape, codes, packed));
    REQUIRE(pack_zeros(f.layout, shape, zeros, packed_zeros));
    CHECK(equal(packed, code_words));
    CHECK(equal(packed_zeros, zero_words));

    std::vector<float> w(256);
    REQUIRE(decode_int4(f.layout, shape, {code_words, zero_words, scales, {}}, w));
    for (std::size_t n = 0; n < 16; ++n)
      for (std::size_t k = 0; k < 16; ++k) CHECK(w[n * 16 + k] == dequantized[k * 16 + n]);
  }
}

TEST_CASE("compressed-tensors: outputs in rows, inputs and zeros in natural order, ragged ends filled with 0") {
  const int4_shape ragged{11, 9, 4};
  std::vector<std::uint8_t> q(99), z(27), q_back(99), z_back(27);
  for (std::size_t i = 0; i < 99; ++i) q[i] = static_cast<std::uint8_t>(i * 7 % 16);
  for (std::size_t i = 0; i < 27; ++i) z[i] = static_cast<std::uint8_t>(i * 5 % 16);
  std::vector<le32> code_words(18), zero_words(6);
  constexpr auto layout = int4_layout::compressed_tensors;
  REQUIRE(pack_codes(layout, ragged, q, code_words));
  REQUIRE(pack_zeros(layout, ragged, z, zero_words));
  CHECK(load(code_words[0]) == 0x1a3c5e70u);
  CHECK(static_cast<int>(load(code_words[1])) == (q[8] | q[9] << 4 | q[10] << 8));
  std::uint32_t first = 0;  // the zeros of outputs 0 to 7 in group 0
  for (std::size_t n = 0; n < 8; ++n) first |= static_cast<std::uint32_t>(z[3 * n]) << (4 * n);
  CHECK(load(zero_words[0]) == first);
  CHECK(load(zero_words[3]) == z[24]);  // output 8 alone
  REQUIRE(unpack_codes(layout, ragged, code_words, q_back));
  REQUIRE(unpack_zeros(layout, ragged, zero_words, z_back));
  CHECK(q_back == q);
  CHECK(z_back == z);

  const std::vector<float> scales(27, 0.5f);
  std::vector<float> w(99);
  REQUIRE(decode_int4(layout, ragged, {code_words, zero_words, scales, {}}, w));
  CHECK(w[11 * 8 + 10] == 0.5f * static_cast<float>(q[98] - z[26]));
  REQUIRE(decode_int4(layout, ragged, {code_words, {}, scales, {}}, w));
  CHECK(w[11 * 8 + 10] == 0.5f * static_cast<float>(q[98] - 8));
}

TEST_CASE("act-order: an input belongs to the group that g_idx names") {
  std::vector<std::uint32_t> groups(16);
  for (std::uint32_t k = 0; k < 16; ++k) groups[k] = k % 2;
  const auto code_words = words("gptq_qweight.u32"), zero_words = words("gptq_qzeros_v1.u32");
  const auto scales = golden_scales();
  std::vector<float> w(256, 7.0f);
  auto g_idx = indices(groups);
  REQUIRE(decode_int4(int4_layout::gptq, shape, {code_words, zero_words, scales, g_idx}, w));
  for (std::size_t n = 0; n < 16; ++n)
    for (std::size_t k = 0; k < 16; ++k)
      CHECK(w[n * 16 + k] == static_cast<float>(codes[n * 16 + k] - zeros[n * 2 + k % 2]) * scales[k % 2 * 16 + n]);

  w.assign(256, 7.0f);
  for (const std::uint32_t bad : {2u, 0xffffffffu}) {
    groups[5] = bad;
    g_idx = indices(groups);
    const status s = decode_int4(int4_layout::gptq, shape, {code_words, zero_words, scales, g_idx}, w);
    CHECK(s.code == errc::bad_value);
    CHECK(s.at == 5);
    CHECK(w[0] == 7.0f);
  }
}

TEST_CASE("zeros that a layout cannot hold are refused") {
  for (const int4_layout layout : layouts) {
    const bool each = layout == int4_layout::gptq_nibbles;
    std::vector<std::uint8_t> z(32, 8), back(32);
    std::vector<le32> w(4);
    for (const int good : {each ? 1 : 0, each ? 16 : 15}) {
      z[3] = static_cast<std::uint8_t>(good);
      REQUIRE(pack_zeros(layout, shape, z, w));
      REQUIRE(unpack_zeros(layout, shape, w, back));
      CHECK(back == z);
    }
    const auto before = w;
    for (const int bad : {each ? 0 : 16, 17, 255}) {
      z[3] = static_cast<std::uint8_t>(bad);
      const status s = pack_zeros(layout, shape, z, w);
      CHECK(s.code == errc::bad_value);
      CHECK(s.at == 3);
      CHECK(equal(w, before));
    }
  }
}

TEST_CASE("GPTQ's first version: GPTQModel borrows across a word, AutoGPTQ counts from 1 in each nibble") {
  const int4_shape row{8, 8, 8};
  const std::vector<std::uint8_t> written{0, 8, 8, 0, 0, 7, 3, 15};
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < 8; ++i) word |= std::uint32_t{written[i]} << (4 * i);
  std::vector<std::uint8_t> z(8);
  std::vector<le32> packed(1);
  for (const std::uint32_t meant : {word, 0u, 0xffffffffu, 0x88888888u, 0x00000001u, 0x10000000u}) {
    const auto stored = indices({meant - 0x11111111u});  // as GPTQModel writes it
    REQUIRE(unpack_zeros(int4_layout::gptq, row, stored, z));
    for (std::size_t i = 0; i < 8; ++i) CHECK(std::uint32_t{z[i]} == (meant >> (4 * i) & 15u));
    REQUIRE(pack_zeros(int4_layout::gptq, row, z, packed));
    CHECK(equal(packed, stored));
    std::vector<float> w(64);
    const std::vector<float> scales(8, 0.5f);
    const std::vector<le32> packed_codes(8);
    REQUIRE(decode_int4(int4_layout::gptq, row, {packed_codes, stored, scales, {}}, w));
    for (std::size_t n = 0; n < 8; ++n) CHECK(w[8 * n] == -0.5f * static_cast<float>(z[n]));
  }
  REQUIRE(unpack_zeros(int4_layout::gptq_nibbles, row, indices({0xf7777770u}), z));
  CHECK(z == std::vector<std::uint8_t>{1, 8, 8, 8, 8, 8, 8, 16});
}

TEST_CASE("which of GPTQ's layouts a checkpoint has") {
  static_assert(gptq_layout("gptq", "gptqmodel:1.4.5") == int4_layout::gptq);
  static_assert(gptq_layout("", "optimum:1.24.0 GPTQModel:2.0") == int4_layout::gptq);
  static_assert(gptq_layout("", "AutoGPTQ") == int4_layout::gptq_nibbles);
  static_assert(gptq_layout("gptq", "auto_gptq:0.7.1") == int4_layout::gptq_nibbles);
  static_assert(gptq_layout("gptq", "auto-gptq") == int4_layout::gptq_nibbles);
  static_assert(gptq_layout("", "") == int4_layout::gptq);
  static_assert(gptq_layout("gptq_v2", "autogptq") == int4_layout::gptq_v2);
}

TEST_CASE("codes above 15, groups of nothing and sizes that do not fit are refused and nothing is written") {
  for (const int4_layout layout : layouts) {
    std::vector<std::uint8_t> q(256, 3), z(32, 3);
    std::vector<le32> w(32, le32{{9, 9, 9, 9}}), zw(4);
    std::vector<float> out(256, 7.0f);
    const std::vector<float> scales(32, 1.0f);
    q[255] = 16;
    CHECK(pack_codes(layout, shape, q, w).at == 255);
    CHECK(pack_codes(layout, shape, q, w).code == errc::bad_value);
    q[255] = 3;
    const std::span<const le32> cw(w);
    const int4_tensors t{w, zw, scales, {}};
    CHECK(pack_codes(layout, {16, 16, 0}, q, w).code == errc::bad_value);
    CHECK(pack_zeros(layout, {16, 16, 0}, z, zw).code == errc::bad_value);
    CHECK(pack_codes(layout, {16, 15, 8}, q, w).code != errc::ok);
    CHECK(pack_codes(layout, shape, std::span(q).first(255), w).code == errc::size_mismatch);
    CHECK(pack_codes(layout, shape, q, std::span(w).first(31)).code == errc::size_mismatch);
    CHECK(unpack_codes(layout, shape, cw.first(31), q).code == errc::size_mismatch);
    CHECK(pack_zeros(layout, shape, z, std::span(zw).first(3)).code == errc::size_mismatch);
    CHECK(unpack_zeros(layout, shape, zw, std::span(z).first(31)).code == errc::size_mismatch);
    CHECK(decode_int4(layout, shape, t, std::span(out).first(255)).code == errc::size_mismatch);
    CHECK(decode_int4(layout, shape, {cw.first(31), zw, scales, {}}, out).code == errc::size_mismatch);
    CHECK(decode_int4(layout, shape, {w, std::span(zw).first(3), scales, {}}, out).code == errc::size_mismatch);
    CHECK(decode_int4(layout, shape, {w, zw, std::span(scales).first(31), {}}, out).code == errc::size_mismatch);
    CHECK(decode_int4(layout, shape, {w, zw, scales, cw.first(15)}, out).code == errc::size_mismatch);
    // A product that wraps to the right size.
    const std::size_t half = std::size_t{1} << (std::numeric_limits<std::size_t>::digits / 2);
    CHECK(pack_codes(layout, {half, half, 8}, {}, {}).code == errc::size_mismatch);
    CHECK(decode_int4(layout, {half, half, 8}, {}, {}).code == errc::size_mismatch);
    CHECK(load(w[0]) == 0x09090909u);
    CHECK(out[0] == 7.0f);
    CHECK(pack_codes(layout, {0, 0, 8}, {}, {}));
    CHECK(decode_int4(layout, {0, 16, 8}, {}, {}));
  }
  std::vector<std::uint8_t> q(12 * 8);
  std::vector<le32> w(16);
  CHECK(pack_codes(int4_layout::gptq, {12, 8, 4}, q, w).code == errc::ragged);
  CHECK(pack_codes(int4_layout::awq, {8, 12, 4}, q, w).code == errc::ragged);
  CHECK(pack_codes(int4_layout::awq, {12, 8, 4}, q, std::span(w).first(12)));
}
