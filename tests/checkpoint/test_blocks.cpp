// Weights to blocks: the same numbers, or an error that says what would be lost.
#include <doctest/doctest.h>
#include <blocq/checkpoint/blocks.hpp>
#include <checkpoint_files.hpp>

#include <cstring>

namespace checkpoint = blocq::checkpoint;
using blocq::errc;
using checkpoint_files::dtype;
using checkpoint_files::golden_checkpoint;
using checkpoint_files::make;

namespace {

// The first weight of a golden checkpoint whose rows are whole blocks becomes blocks of B that decode to the numbers
// that its codes and scales stand for; the error's code otherwise.
template <class B>
errc converts(const checkpoint_files::opened& file) {
  const auto weights = file.weights();
  REQUIRE(weights);
  for (const auto& w : weights->list()) {
    if (w.columns % blocq::block_size<B> != 0) continue;
    for (std::uint64_t s = 0; s < w.stack; ++s) {
      std::vector<B> blocks(w.rows * w.columns / blocq::block_size<B>);
      if (const auto done = to_blocks(w, s, 0, w.rows, blocks); !done) {
        CHECK(std::strstr(done.message(), "tensor '") == done.message());
        return done.error().code;
      }
      std::vector<float> x(w.rows * w.columns), y(x.size());
      REQUIRE(decode(w, s, 0, w.rows, x, checkpoint::rounding::none));
      for (std::size_t i = 0; i < blocks.size(); ++i) decode(blocks[i], y.data() + i * blocq::block_size<B>);
      const float all = blocq::block_size<B> == 64 ? tensor_scale(w, s) : 1.0f;  // nvfp4 leaves it to another tensor
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const float difference = y[i] * all - x[i];
        wrong += all == 1.0f ? difference != 0
                             : difference > 1e-6f * x[i] * x[i] + 1e-6f || difference < -1e-6f * x[i] * x[i] - 1e-6f;
      }
      CHECK(wrong == 0);
    }
  }
  return errc::ok;
}
template <class B>
errc converts(const char* name) {
  CAPTURE(name);
  return converts<B>(golden_checkpoint(name));
}

}  // namespace

TEST_CASE("what GGUF's formats hold exactly") {
  for (const char* name : {"mxfp4_compressed_tensors", "mxfp4_gpt_oss", "mxfp4_deepseek"}) {
    CHECK(converts<blocq::mxfp4>(name) == errc::ok);
    CHECK(converts<blocq::mxfp4_ocp>(name) == errc::ok);
    CHECK(converts<blocq::bf16>(name) == errc::ok);
  }
  CHECK(converts<blocq::mxfp8_e4m3>("mxfp8_compressed_tensors") == errc::ok);
  CHECK(converts<blocq::bf16>("mxfp8_compressed_tensors") == errc::ok);
  CHECK(converts<blocq::nvfp4>("nvfp4_compressed_tensors") == errc::ok);
  CHECK(converts<blocq::nvfp4>("nvfp4_modelopt") == errc::ok);
  CHECK(converts<blocq::q4_0>("packed_int4") == errc::ok);
  CHECK(converts<blocq::q8_0>("packed_int4") == errc::ok);
  CHECK(converts<blocq::q8_0>("packed_int4_zeros") == errc::ok);
  CHECK(converts<blocq::q5_0>("awq") == errc::ok);
  CHECK(converts<blocq::q8_0>("awq") == errc::ok);
  CHECK(converts<blocq::q8_0>("packed_int7") == errc::ok);
  CHECK(converts<blocq::q8_0>("int8_channel") == errc::ok);
  CHECK(converts<blocq::mxfp6_e2m3>("mxfp6_e2m3") == errc::ok);
  CHECK(converts<blocq::mxfp6_e3m2>("mxfp6_e3m2") == errc::ok);
  CHECK(converts<blocq::bf16>("mxfp6_e3m2") == errc::ok);
}

TEST_CASE("what they would round") {
  CHECK(converts<blocq::q4_0>("awq") == errc::unsupported);          // other zeros
  CHECK(converts<blocq::q4_0>("packed_int7") == errc::unsupported);  // wider codes
  CHECK(converts<blocq::q5_0>("packed_int5") == errc::scale_range);  // scales in F32
  CHECK(converts<blocq::q8_0>("gptq4") == errc::unsupported);        // columns in an order of their own
  CHECK(converts<blocq::mxfp4>("nvfp4_modelopt") == errc::unsupported);
  CHECK(converts<blocq::nvfp4>("mxfp4_gpt_oss") == errc::unsupported);
  CHECK(converts<blocq::q4_0>("fp8_tensor") == errc::unsupported);
  CHECK(converts<blocq::mxfp8_e5m2>("mxfp8_compressed_tensors") == errc::unsupported);
  CHECK(converts<blocq::bf16>("fp8_tensor") == errc::scale_range);
  CHECK(converts<blocq::mxfp6_e3m2>("mxfp6_e2m3") == errc::unsupported);
  CHECK(converts<blocq::mxfp4>("mxfp6_e2m3") == errc::unsupported);
  CHECK(converts<blocq::q4_0>("matmul_nbits8") != errc::ok);
  CHECK(converts<blocq::f16>("nvfp4_modelopt") == errc::scale_range);
}

TEST_CASE("codes and scales keep their bits") {
  std::string codes, scales;
  for (int i = 0; i < 256; ++i) codes += static_cast<char>(i);
  for (int i = 0; i < 16; ++i) scales += static_cast<char>(i * 15);
  const auto file = make({{"x.weight", dtype::u8, {4, 64}, codes}, {"x.weight_scale", dtype::u8, {4, 4}, scales}});
  const auto weights = file.weights();
  REQUIRE(weights);
  std::vector<blocq::mxfp4> blocks(16);
  REQUIRE(to_blocks(weights->list()[0], 0, 0, 4, blocks));
  std::vector<std::uint8_t> codes_again(256), scales_again(16);
  REQUIRE(split_scales(blocks, codes_again, scales_again));
  CHECK(std::memcmp(codes.data(), codes_again.data(), 256) == 0);
  CHECK(std::memcmp(scales.data(), scales_again.data(), 16) == 0);
}

TEST_CASE("integers whose zeros are floats, and groups that run over rows") {
  const auto of = []<class B>(B, const char* name, const char* module) {
    const auto file = golden_checkpoint(name);
    const auto weights = file.weights();
    REQUIRE(weights);
    for (const auto& w : weights->list()) {
      if (w.module != module) continue;
      std::vector<B> blocks(w.rows * w.columns / blocq::block_size<B>);
      if (const auto done = to_blocks(w, 0, 0, w.rows, blocks); !done) return done.error().code;
      std::vector<float> x(w.rows * w.columns), y(x.size());
      REQUIRE(decode(w, 0, 0, w.rows, x, checkpoint::rounding::none));
      for (std::size_t i = 0; i < blocks.size(); ++i) decode(blocks[i], y.data() + i * blocq::block_size<B>);
      return x == y ? errc::ok : errc::bad_value;
    }
    return errc::missing;
  };
  CHECK(of(blocq::q4_0{}, "hqq4", "a") == errc::ok);
  CHECK(of(blocq::q8_0{}, "hqq4", "a") == errc::ok);
  CHECK(of(blocq::q8_0{}, "hqq3", "a") == errc::ok);
  CHECK(of(blocq::q4_0{}, "hqq8", "a") == errc::unsupported);  // codes of 8 bits
  CHECK(of(blocq::q8_0{}, "hqq4", "b") == errc::ragged);       // groups of every n-th element
  CHECK(of(blocq::q8_0{}, "hqq4", "c") == errc::unsupported);  // zeros between whole numbers
  CHECK(of(blocq::bf16{}, "hqq4", "c") == errc::scale_range);
  CHECK(of(blocq::q5_0{}, "matmul_nbits4", "b.MatMul") == errc::ok);
  CHECK(of(blocq::q4_0{}, "matmul_nbits4", "a.MatMul") == errc::scale_range);  // scales of binary32
  CHECK(of(blocq::q8_0{}, "matmul_nbits4", "c.MatMul") == errc::unsupported);
}

TEST_CASE("scales that are no numbers, and sizes that do not fit") {
  const auto refusal = []<class B>(B, const checkpoint_files::opened& file) {
    const auto weights = file.weights();
    REQUIRE(weights);
    const auto& w = weights->list()[0];
    std::vector<B> blocks(w.rows * w.columns / blocq::block_size<B>);
    return to_blocks(w, 0, 0, w.rows, blocks).error().code;
  };
  const auto mx = [](const char* scale, char code) {
    return make(
        {{"x.weight", dtype::u8, {1, 16}, std::string(16, code)}, {"x.weight_scale", dtype::u8, {1, 1}, scale}});
  };
  CHECK(refusal(blocq::mxfp4{}, mx("\xff", 0)) == errc::not_finite);
  CHECK(refusal(blocq::mxfp4{}, mx("\xfe", '\x77')) == errc::not_finite);  // 6 * 2^127
  CHECK(refusal(blocq::mxfp4{}, mx("\xfe", '\x22')) == errc::ok);
  CHECK(refusal(blocq::nvfp4{}, make({{"x.weight", dtype::u8, {1, 32}},
                                      {"x.weight_scale", dtype::f8_e4m3, {1, 4}, "\x01\x02\x7f\x03"}})) ==
        errc::not_finite);
  CHECK(refusal(blocq::nvfp4{}, make({{"x.weight", dtype::u8, {1, 32}},
                                      {"x.weight_scale", dtype::f8_e4m3, {1, 4}, "\x01\x02\x80\x03"}})) ==
        errc::not_finite);
  const auto narrow = make({{"x.weight", dtype::u8, {1, 8}}, {"x.weight_scale", dtype::f8_e4m3, {1, 1}, "\x01"}});
  CHECK(refusal(blocq::nvfp4{}, narrow) == errc::ragged);
  const auto file = mx("\x7f", 0);
  std::vector<blocq::mxfp4> blocks(2);
  const auto weights = file.weights();
  CHECK(to_blocks(weights->list()[0], 0, 0, 1, blocks).error().code == errc::size_mismatch);
  CHECK(to_blocks(weights->list()[0], 0, 0, 2, blocks).error().code == errc::size_mismatch);
}
