// The OCP MX formats against the golden blocks, and where the codes and scales of all of them lie.
#include <doctest/doctest.h>
#include <blocq/format/mx.hpp>
#include <golden.hpp>

#include <cmath>

using namespace blocq;

namespace {

template <class B>
std::string golden_name() {
  const std::string name = format_traits<B>::name;
  return name == "mxint8" ? "int8" : name == "mxfp4_ocp" ? "fp4_e2m1" : name.substr(2);
}

// Golden blocks have one code per byte.
template <class B>
std::vector<B> golden_blocks() {
  const auto bytes = golden::array<std::uint8_t>("mx_blocks_" + golden_name<B>() + ".bin");
  std::vector<B> blocks(bytes.size() / 33);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    blocks[i].scale = bytes[33 * i];
    set_codes(blocks[i], &bytes[33 * i + 1]);
  }
  return blocks;
}

}  // namespace

TEST_CASE_TEMPLATE("golden MX blocks decode bit for bit", B, mxfp8_e4m3, mxfp8_e5m2, mxfp6_e2m3, mxfp6_e3m2, mxfp4_ocp,
                   mxint8) {
  const auto blocks = golden_blocks<B>();
  const auto expected = golden::array<std::uint32_t>("mx_dq_" + golden_name<B>() + ".f32");
  REQUIRE(blocks.size() == 98);
  REQUIRE(expected.size() == 98 * 32);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    float y[32];
    decode(blocks[i], y);
    bool finite = true;
    for (std::size_t j = 0; j < 32; ++j) {
      CHECK(to_bits(y[j]) == expected[32 * i + j]);
      finite = finite && is_finite(y[j]);
    }
    CHECK(is_valid(blocks[i]) == finite);
  }
}

TEST_CASE("codes of 4 and 6 bits lie densely, the first in the lowest bits") {
  std::uint8_t codes[32] = {};
  mxfp6_e2m3 six{};
  codes[0] = 0x3f;
  codes[2] = 0x2a;
  codes[31] = 0x21;
  set_codes(six, codes);
  CHECK(six.codes[0] == 0x3f);
  CHECK(six.codes[1] == 0xa0);  // the low four bits of code 2 in the high half
  CHECK(six.codes[2] == 0x02);
  CHECK(six.codes[23] == 0x84);
  mxfp4_ocp four{};
  for (std::uint8_t i = 0; i < 32; ++i) codes[i] = i & 15;
  set_codes(four, codes);
  CHECK(four.codes[0] == 0x10);
  CHECK(four.codes[15] == 0xfe);
  mxfp4 gguf{};
  set_codes(gguf, codes);
  CHECK(gguf.qs[0] == 0x00);
  CHECK(gguf.qs[15] == 0xff);
}

TEST_CASE_TEMPLATE("codes that are packed are read back", B, mxfp8_e4m3, mxfp6_e2m3, mxfp4_ocp, mxfp4, mxint8) {
  std::uint8_t codes[32], back[32];
  for (unsigned i = 0; i < 32; ++i)
    codes[i] = static_cast<std::uint8_t>((i * 37 + 11) & ((1u << element_t<B>::bits) - 1));
  B b;
  set_codes(b, codes);
  get_codes(b, back);
  for (int i = 0; i < 32; ++i) CHECK(back[i] == codes[i]);
}

TEST_CASE_TEMPLATE("a scale of 0xff makes every element a NaN", B, mxfp8_e4m3, mxfp8_e5m2, mxfp6_e2m3, mxfp4_ocp,
                   mxint8) {
  B b{};
  b.scale = 0xff;
  float y[32];
  decode(b, y);
  for (const float v : y) CHECK(to_bits(v) == quiet_nan_bits);
  CHECK_FALSE(is_valid(b));
}

TEST_CASE("both ends of the scale") {
  mxfp4_ocp ocp{};
  mxfp4 gguf{};
  std::uint8_t codes[32];
  for (std::uint8_t i = 0; i < 32; ++i) codes[i] = i & 15;
  set_codes(ocp, codes);
  set_codes(gguf, codes);
  for (int e = 0; e < 255; ++e) {
    ocp.scale = gguf.e = static_cast<std::uint8_t>(e);
    float a[32], b[32];
    decode(ocp, a);
    decode(gguf, b);
    for (std::size_t i = 0; i < 32; ++i) {
      CHECK(a[i] == std::ldexp(float4_e2m1fn{codes[i]}.to_float(), e - 127));
      CHECK(a[i] == b[i]);
    }
    CHECK(is_valid(ocp) == (e < 253));
    CHECK(is_valid(gguf) == (e < 253));
  }
  float y[32];
  gguf.e = 0xff;
  decode(gguf, y);
  CHECK(y[1] == std::ldexp(1.0f, 127));
  CHECK(y[8] == 0.0f);
  CHECK(std::isinf(y[2]));
  CHECK_FALSE(is_valid(mxfp4{0xff, {}}));
}
