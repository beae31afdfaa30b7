// The MX encoders against golden blocks and scale tables, the policies for what is not finite, and every rounding of
// log2f that GGUF's mxfp4 depends on.
#include <doctest/doctest.h>
#include <blocq/blocq.hpp>
#include <golden.hpp>

#include <cmath>
#include <cstring>

using namespace blocq;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float a_nan = std::numeric_limits<float>::quiet_NaN();
constexpr float largest = std::numeric_limits<float>::max();
constexpr scale_rule rules[] = {
    scale_rule::floor,   scale_rule::ceil, scale_rule::even, scale_rule::rceil, scale_rule::compressed_tensors,
    scale_rule::modelopt};

template <class B>
std::string golden_name() {
  const std::string name = format_traits<B>::name;
  return name == "mxint8" ? "int8" : name == "mxfp4_ocp" ? "fp4_e2m1" : name.substr(2);
}

// One block that starts with `start` and goes on with ones (or with `rest`).
template <class B>
B encode_one(std::vector<float> start, scale_rule rule = scale_rule::floor, float rest = 1.0f) {
  start.resize(32, rest);
  B b;
  static_cast<void>(quantize(start, std::span(&b, 1), {.rule = rule}));
  return b;
}

}  // namespace

TEST_CASE_TEMPLATE("golden blocks under the floor rule", B, mxfp8_e4m3, mxfp8_e5m2, mxfp6_e2m3, mxfp6_e3m2, mxfp4_ocp,
                   mxint8) {
  const auto x = golden::array<float>("mx_blocks_in.f32");
  const auto expected = golden::array<std::uint8_t>("mx_blocks_" + golden_name<B>() + ".bin");
  std::vector<B> blocks(x.size() / 32);
  const status s = quantize(x, blocks);
  bool reported = false;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    std::uint8_t codes[32];
    get_codes(blocks[i], codes);
    CHECK(blocks[i].scale == expected[33 * i]);
    CHECK_MESSAGE(std::memcmp(codes, &expected[33 * i + 1], 32) == 0, "block " << i);
    if (!reported && expected[33 * i] == 0xff) {
      reported = true;
      CHECK(s.code == errc::not_finite);
      CHECK(s.at == i);
    }
  }
  CHECK(reported);
}

TEST_CASE("golden scales of all rules") {
  std::istringstream lines(golden::text("mx_scale_modes.txt"));
  int checked = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line[0] == '#') continue;
    std::istringstream fields(line);
    std::string format;
    std::uint32_t amax, byte[4];
    fields >> format >> std::hex >> amax >> byte[0] >> byte[1] >> byte[2] >> byte[3];
    for (int r = 0; r < 4; ++r) {
      const auto scale = [&]<class E>(E) { return shared_scale<E>(from_bits(amax), rules[r]); };
      const std::uint8_t got = format == "fp8_e5m2"   ? scale(float8_e5m2{})
                               : format == "fp8_e4m3" ? scale(float8_e4m3fn{})
                               : format == "fp6_e3m2" ? scale(float6_e3m2fn{})
                               : format == "fp6_e2m3" ? scale(float6_e2m3fn{})
                                                      : scale(float4_e2m1fn{});
      CHECK_MESSAGE(got == byte[r], line);
      ++checked;
    }
  }
  CHECK(checked == 4 * 1500);
}

TEST_CASE("scales of compressed-tensors and of ModelOpt") {
  // What generate_mx_scales of compressed-tensors 0.17.1 prints for MXFP8 and MXFP4, and 2^ceil(log2(amax / highest)).
  const struct {
    float amax;
    int theirs_8, theirs_4, modelopt_8, modelopt_4;
  } cases[] = {{1.0f, 119, 125, 119, 125},
               {1.5f, 119, 125, 119, 125},
               {1.74f, 119, 125, 119, 126},
               {1.75f, 120, 126, 119, 126},
               {1.76f, 120, 126, 120, 126},
               {2.0f, 120, 126, 120, 126},
               {6.0f, 121, 127, 121, 127},
               {6.5f, 121, 127, 121, 128},
               {7.0f, 122, 128, 121, 128},
               {448.0f, 128, 134, 127, 134},
               {448.5f, 128, 134, 128, 134},
               {480.0f, 128, 134, 128, 134},
               {0.0f, 0, 0, 0, 0},
               {0x1p-126f, 0, 0, 0, 0},
               {0x1p-117f, 2, 8, 2, 8},
               {0x1.bp127f, 246, 252, 246, 253},
               {0x1.cp127f, 255, 255, 246, 253},
               {infinity, 255, 255, 255, 255}};
  for (const auto& c : cases) {
    CAPTURE(c.amax);
    CHECK(shared_scale<float8_e4m3fn>(c.amax, scale_rule::compressed_tensors) == c.theirs_8);
    CHECK(shared_scale<float4_e2m1fn>(c.amax, scale_rule::compressed_tensors) == c.theirs_4);
    CHECK(shared_scale<float8_e4m3fn>(c.amax, scale_rule::modelopt) == c.modelopt_8);
    CHECK(shared_scale<float4_e2m1fn>(c.amax, scale_rule::modelopt) == c.modelopt_4);
  }
}

TEST_CASE_TEMPLATE("blocks that are not finite", B, mxfp8_e4m3, mxfp8_e5m2, mxfp6_e2m3, mxfp6_e3m2, mxfp4_ocp, mxint8) {
  for (const float bad : {a_nan, -a_nan, infinity, -infinity})
    for (const scale_rule rule : rules) {
      std::vector<float> x(96, 1.0f);
      x[40] = bad;
      std::vector<B> w(3);
      const status s = quantize(x, w, {.rule = rule});
      CHECK(s.code == errc::not_finite);
      CHECK(s.at == 1);
      CHECK(w[1].scale == 0xff);
      for (const std::uint8_t code : w[1].codes) CHECK(code == 0);
      const B alone = encode_one<B>({}, rule);
      CHECK(std::memcmp(&w[0], &alone, sizeof(B)) == 0);
      CHECK(std::memcmp(&w[2], &alone, sizeof(B)) == 0);
    }
}

TEST_CASE_TEMPLATE("finite blocks stay finite and near, over the whole range", B, mxfp8_e4m3, mxfp8_e5m2, mxfp6_e2m3,
                   mxfp6_e3m2, mxfp4_ocp, mxint8) {
  // Half a step of the largest octave, and under floor and even what saturation costs: up to a quarter of the largest.
  for (const scale_rule rule : rules)
    for (std::uint32_t pattern = 1; pattern < 0x7f800000u; pattern += 0x000fff1du) {
      const float amax = from_bits(pattern);
      std::vector<float> x{amax, -amax, amax / 3, 0.0f, -0.0f}, y(32);
      x.resize(32, amax / 7);
      std::vector<B> w(1);
      CHECK(quantize(x, w, {.rule = rule}));
      REQUIRE(dequantize(w, y));
      const float bound = std::fmax(amax / 4, 0x1p-127f);
      for (std::size_t i = 0; i < 32; ++i) CHECK(std::fabs(x[i] - y[i]) <= bound);
    }
  for (const scale_rule rule : rules) {
    const B top = encode_one<B>({largest, -largest}, rule);
    float y[32];
    decode(top, y);
    CHECK(y[0] >= largest * 0.74f);
    CHECK(y[1] == -y[0]);
    CHECK(is_valid(top));
  }
}

TEST_CASE("zero blocks") {
  const auto zeros = encode_one<mxfp8_e4m3>({-0.0f}, scale_rule::floor, 0.0f);
  CHECK(zeros.scale == 0);
  CHECK(zeros.codes[0] == 0x80);
  CHECK(zeros.codes[1] == 0);
  const auto integers = encode_one<mxint8>({-0.0f}, scale_rule::rceil, 0.0f);
  CHECK(integers.scale == 0);
  CHECK(integers.codes[0] == 0);
  const auto gguf = encode_one<mxfp4>({-0.0f}, scale_rule::floor, 0.0f);
  CHECK(gguf.e == 0);
  CHECK(gguf.qs[0] == 0);
}

TEST_CASE("mxfp4 of GGUF has the reference's bytes") {
  const auto check = [](const std::vector<float>& x, const golden::record& r) {
    std::vector<mxfp4> w(x.size() / 32);
    static_cast<void>(quantize(x, w));
    const auto expected = golden::array<mxfp4>(r["file"], r.number("off"), w.size());
    CHECK(std::memcmp(w.data(), expected.data(), sizeof(mxfp4) * w.size()) == 0);
  };
  for (const auto& r : golden::records("quant", "mxfp4")) check(golden::input(r["input"]), r);
  const auto extreme = golden::input("extreme256");
  for (const auto& r : golden::records("extreme", "mxfp4")) {
    const auto row = extreme.begin() + static_cast<std::ptrdiff_t>(256 * r.number("row"));
    check({row, row + 256}, r);
  }
  const auto streams = golden::records("stream", "mxfp4");
  REQUIRE(streams.size() == 2);
  const golden::stream s(streams[0].number("nsb"));
  std::vector<mxfp4> w(s.values.size() / 32);
  REQUIRE(quantize(s.values, w));
  CHECK(golden::fnv1a(std::span<const mxfp4>(w)) == streams[0].hash("out_fnv"));
}

TEST_CASE("mxfp4 of GGUF: the exponent is that of a correctly rounded log2f") {
  // All floats within 256 steps of a power of two; the two logarithms differ in nothing that survives rounding.
  for (int k = -149; k <= 128; ++k) {
    const std::uint32_t power = k == 128 ? 0x7f800000u : to_bits(std::ldexp(1.0f, k));
    for (std::uint32_t pattern = power > 256 ? power - 256 : 1; pattern < power + 256 && pattern < 0x7f800000u;
         ++pattern) {
      const float x = from_bits(pattern);
      const float log = static_cast<float>(std::log2(static_cast<double>(x)));
      CHECK_MESSAGE(detail::floor_log2f(x) == static_cast<int>(std::floor(log)), pattern);
    }
  }
}

TEST_CASE("mxfp4 of GGUF: tiny blocks wrap, one octave of them into an invalid scale") {
  const auto exponent = [](float amax) { return encode_one<mxfp4>({amax}, scale_rule::floor, 0.0f).e; };
  CHECK(exponent(0x1p-125f) == 0);
  CHECK(exponent(0x1p-126f) == 0xff);
  CHECK(exponent(0x1p-127f) == 0xfe);
  CHECK(exponent(0x1p-149f) == 232);
  std::vector<mxfp4> w(2);
  std::vector<float> x(64, 1.0f), y(64);
  for (std::size_t i = 32; i < 64; ++i) x[i] = 0x1.8p-126f;
  const status s = quantize(x, w);
  CHECK(s.code == errc::scale_range);
  CHECK(s.at == 1);
  REQUIRE(dequantize(w, y));
  CHECK(y[0] == 1.0f);
  CHECK(y[32] == 0.0f);
}

TEST_CASE("mxfp4 of GGUF with a rule of its own has the numbers of mxfp4_ocp; formats without such scales refuse one") {
  const auto x = golden::input("rows256");
  std::vector<mxfp4> gguf(x.size() / 32), reference(gguf.size());
  std::vector<mxfp4_ocp> ocp(gguf.size());
  std::vector<float> a(x.size()), b(x.size());
  static_cast<void>(quantize(x, reference));
  for (const scale_rule rule : rules) {
    if (rule == scale_rule::floor) continue;
    CAPTURE(static_cast<int>(rule));
    quantize_options options;
    options.rule = rule;
    const status s = quantize(x, gguf, options), t = quantize(x, ocp, options);
    CHECK(s.code == t.code);
    CHECK(s.at == t.at);
    CHECK(std::memcmp(gguf.data(), reference.data(), gguf.size() * sizeof gguf[0]) != 0);
    for (std::size_t i = 0; i < gguf.size(); ++i) {
      CHECK(gguf[i].e == ocp[i].scale);
      if (!is_valid(gguf[i])) continue;
      float y[32], z[32];
      decode(gguf[i], y);
      decode(ocp[i], z);
      CHECK(std::equal(y, y + 32, z));
    }
    std::vector<q8_0> other(x.size() / 32);
    CHECK(quantize(x, other, options).code == errc::unsupported);
  }
}

TEST_CASE("mxfp4 of GGUF: what is not finite gets code 0 and only that") {
  const mxfp4 b = encode_one<mxfp4>({a_nan, 3.0f, -3.0f}, scale_rule::floor, 1.0f);
  float y[32];
  decode(b, y);
  CHECK(y[0] == 0.0f);
  CHECK(y[1] == 3.0f);
  CHECK(y[2] == -3.0f);
  CHECK(y[3] == 1.0f);
  const mxfp4 lost = encode_one<mxfp4>({infinity});
  CHECK(lost.e == 0);
  decode(lost, y);
  for (const float v : y) CHECK(v == 0.0f);
}

TEST_CASE_TEMPLATE("native lanes give the bytes of the scalar model", B, mxfp4) {
  const auto x = golden::input("rows256");
  std::vector<B> a(x.size() / block_size<B>), b(a.size());
  encode<lane>(x.data(), a.size(), {}, a.data());
  encode<native_lane>(x.data(), b.size(), {}, b.data());
  CHECK(std::memcmp(a.data(), b.data(), sizeof(B) * a.size()) == 0);
}
