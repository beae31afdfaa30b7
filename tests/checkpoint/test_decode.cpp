// Weights to floats, bit for bit as the libraries that read the layouts give them: golden/checkpoint, which
// make_golden.py makes.
#include <doctest/doctest.h>
#include <blocq/checkpoint/decode.hpp>
#include <blocq/elem/codebook.hpp>
#include <checkpoint_files.hpp>

#include <cstring>
#include <limits>

namespace checkpoint = blocq::checkpoint;
using blocq::errc;
using checkpoint::layout;
using checkpoint_files::dtype;
using checkpoint_files::golden_checkpoint;
using checkpoint_files::make;

namespace {

struct golden_layout {
  const char* name;
  layout kind;
};
constexpr golden_layout layouts[] = {
    {"mxfp4_compressed_tensors", layout::mxfp4},
    {"mxfp4_gpt_oss", layout::mxfp4},
    {"mxfp4_deepseek", layout::mxfp4},
    {"mxfp8_compressed_tensors", layout::mxfp8},
    {"nvfp4_compressed_tensors", layout::nvfp4},
    {"nvfp4_modelopt", layout::nvfp4},
    {"fp8_tensor", layout::fp8},
    {"fp8_channel", layout::fp8},
    {"fp8_block", layout::fp8},
    {"int8_channel", layout::int8},
    {"packed_int2", layout::packed_int},
    {"packed_int3", layout::packed_int},
    {"packed_int4", layout::packed_int},
    {"packed_int5", layout::packed_int},
    {"packed_int6", layout::packed_int},
    {"packed_int7", layout::packed_int},
    {"packed_int8", layout::packed_int},
    {"packed_int3_zeros", layout::packed_int},
    {"packed_int4_zeros", layout::packed_int},
    {"awq", layout::awq},
    {"gptq2", layout::gptq},
    {"gptq3", layout::gptq},
    {"gptq4", layout::gptq},
    {"gptq8", layout::gptq_v2},
    {"mxfp6_e2m3", layout::mxfp6},
    {"mxfp6_e3m2", layout::mxfp6},
    {"matmul_nbits2", layout::matmul_nbits},
    {"matmul_nbits4", layout::matmul_nbits},
    {"matmul_nbits8", layout::matmul_nbits},
    {"hqq2", layout::hqq},
    {"hqq3", layout::hqq},
    {"hqq4", layout::hqq},
    {"hqq8", layout::hqq},
};

std::vector<float> decoded(const checkpoint::weight& w, checkpoint::rounding mode = checkpoint::rounding::as_library) {
  std::vector<float> all, part(w.rows * w.columns);
  for (std::uint64_t s = 0; s < w.stack; ++s) {
    const auto done = decode(w, s, 0, w.rows, part, mode);
    CHECK(std::string(done.message()) == "success");
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace

TEST_CASE("every layout, as its library reads it") {
  for (const golden_layout& known : layouts) {
    const std::string name = known.name;
    CAPTURE(name);
    const auto file = golden_checkpoint(name), expected = golden_checkpoint(std::string(name) + ".expected");
    const auto weights = file.weights();
    if (!weights) FAIL(weights.message());
    std::size_t found = 0;
    for (const auto& w : weights->list()) {
      CAPTURE(std::string(w.module));
      CHECK(w.kind == known.kind);
      const auto* t = expected.tensors->find(w.module);
      REQUIRE(t != nullptr);
      const auto y = decoded(w);
      REQUIRE(t->elements() == y.size());
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < y.size(); ++i)
        wrong += blocq::to_bits(y[i]) != blocq::to_bits(checkpoint::number_at(*t, i));
      CHECK(wrong == 0);
      // Any rows alone are the same.
      std::vector<float> row(w.columns);
      REQUIRE(decode(w, w.stack - 1, w.rows - 1, w.rows, row));
      CHECK(std::memcmp(row.data(), y.data() + y.size() - w.columns, w.columns * sizeof(float)) == 0);
      ++found;
    }
    CHECK(found == expected.tensors->tensors().size());
  }
}

TEST_CASE("plain floats come as they are, infinities too, and integers not") {
  const std::string f16("\x00\x3c\x00\x7c\x01\x00", 6), f64("\0\0\0\0\0\0\xf8\x3f", 8);
  const auto file = make({{"a.weight", dtype::f16, {3}, f16},
                          {"b.weight", dtype::f64, {1}, f64},
                          {"c", dtype::i64, {2}},
                          {"d.weight", dtype::bf16, {2, 2, 4}}});
  const auto weights = file.weights();
  REQUIRE(weights);
  REQUIRE(weights->list().size() == 4);
  const auto& [a, b, c, d] = std::tie(weights->list()[0], weights->list()[1], weights->list()[2], weights->list()[3]);
  CHECK(decoded(a) == std::vector<float>{1, std::numeric_limits<float>::infinity(), 0x1p-24f});
  CHECK(decoded(b) == std::vector<float>{1.5f});
  CHECK(d.rows == 4);
  CHECK(d.module == "d");
  float out[2];
  CHECK(decode(c, 0, 0, 1, out).error().code == errc::unsupported);
  CHECK(decode(a, 0, 0, 1, out).error().code == errc::size_mismatch);
  CHECK(decode(a, 1, 0, 1, out).error().code == errc::size_mismatch);
  CHECK(decode(a, 0, 0, 2, out).error().code == errc::size_mismatch);
}

TEST_CASE("scales and codes that are no numbers are named with their place") {
  const auto refuses = [](const checkpoint_files::opened& file, const char* place) {
    const auto weights = file.weights();
    REQUIRE(weights);
    const auto& w = weights->list()[0];
    std::vector<float> out(w.rows * w.columns);
    const auto done = decode(w, 0, 0, w.rows, out);
    CHECK(done.error().code == errc::not_finite);
    CHECK(std::strstr(done.message(), "'x.weight") != nullptr);
    CHECK(std::strstr(done.message(), place) != nullptr);
  };
  refuses(make({{"x.weight", dtype::u8, {2, 32}}, {"x.weight_scale", dtype::u8, {2, 2}, "\x7f\x7f\x7f\xff"}}),
          "row 1, column 32");
  refuses(
      make({{"x.weight", dtype::u8, {1, 16}, std::string(16, '\x66')}, {"x.weight_scale", dtype::u8, {1, 1}, "\xfe"}}),
      "row 0, column 0");
  refuses(make({{"x.weight", dtype::u8, {2, 8}}, {"x.weight_scale", dtype::f8_e4m3, {2, 1}, "\x10\x7f"}}), "row 1");
  refuses(make({{"x.weight", dtype::u8, {2, 24}}, {"x.weight_scale", dtype::u8, {2, 1}, "\x7f\xff"}},
               R"({"global_quant_config": {"weight": {"dtype": "fp6_e2m3"}}})"),
          "row 1");
  refuses(make({{"x.weight_Q8", dtype::u8, {2, 1, 4}},
                {"x.weight_scales", dtype::f16, {2, 1}, std::string("\0\0\0\x7e", 4)}}),
          "row 1");
  refuses(make({{"x.weight_Q8", dtype::u8, {2, 1, 4}},
                {"x.weight_scales", dtype::f16, {2, 1}},
                {"x.weight_zero_points", dtype::f16, {2, 1}, std::string("\0\0\0\x7c", 4)}}),
          "row 1, column 0");
  refuses(make({{"x.weight", dtype::f8_e4m3, {2, 4}, std::string("\0\0\0\0\0\0\x7f", 7)},
                {"x.weight_scale", dtype::f32, {}, "\0\0\x80\x3f"}}),
          "row 1, column 2");
  refuses(make({{"x.weight", dtype::i8, {2, 4}}, {"x.weight_scale", dtype::f16, {2, 1}, std::string("\0\0\0\x7c", 4)}}),
          "row 1");
}

TEST_CASE("blocks of scales at ragged edges, and scales of a row that look like blocks") {
  // 130 x 257 in blocks of 128: the last block of each dimension is not whole.
  std::string scales;
  for (const float s : {1.0f, 2.0f, 4.0f, 8.0f, 16.0f, 32.0f}) {
    const auto bytes = golden::in_file(s);
    scales.append(reinterpret_cast<const char*>(bytes.data()), 4);
  }
  const auto file = make({{"x.weight", dtype::f8_e4m3, {130, 257}, std::string(130 * 257, '\x38')},
                          {"x.weight_scale_inv", dtype::f32, {2, 3}, scales}});
  const auto weights = file.weights();
  REQUIRE(weights);
  const auto y = decoded(weights->list()[0]);
  CHECK(y[0] == 1);
  CHECK(y[127 * 257 + 256] == 4);
  CHECK(y[128 * 257 + 127] == 8);
  CHECK(y[129 * 257 + 128] == 16);
  CHECK(y[129 * 257 + 256] == 32);

  // 256 x 16384 has as many blocks as rows.
  const auto wide = make({{"x.weight", dtype::f8_e4m3, {256, 16384}}, {"x.weight_scale_inv", dtype::f32, {2, 128}}});
  REQUIRE(wide.weights());
  CHECK(wide.weights()->list()[0].scales.rows == 128);
}

TEST_CASE("zeros of GPTQ's first format by its two writers") {
  // 32 columns, codes of 0, scales of 1: weights are minus the zeros. A word of zeros that ends in 0xf, 0xf, 0x7.
  const auto zeros = [](unsigned bits, const std::string& quantizer, const std::string& words) {
    const std::uint64_t rows = words.size() * 8 / bits;
    const auto file = make({{"x.qweight", dtype::i32, {bits, rows}, std::string(4 * bits * rows, '\0')},
                            {"x.scales",
                             dtype::f32,
                             {1, rows},
                             [&] {
                               std::string ones;
                               for (std::uint64_t r = 0; r < rows; ++r) ones += std::string("\0\0\x80\x3f", 4);
                               return ones;
                             }()},
                            {"x.qzeros", dtype::i32, {1, words.size() / 4}, words}},
                           (R"({"meta": {"quantizer": ")" + quantizer + R"("}})").c_str());
    const auto weights = file.weights();
    if (!weights) FAIL(weights.message());
    const auto y = decoded(weights->list()[0]);
    std::vector<int> found;
    for (std::uint64_t r = 0; r < rows; ++r) found.push_back(-static_cast<int>(y[r * 32]));
    return found;
  };
  using list = std::vector<int>;
  // Stored by GPTQModel for the zeros 0, 0, 8, 8 and so on: 0x88888800 - 0x11111111.
  const std::string borrowed("\xef\x76\x77\x77", 4);
  CHECK(zeros(4, "gptqmodel:5.0", borrowed) == list{0, 0, 8, 8, 8, 8, 8, 8});
  CHECK(zeros(4, "autogptq:0.7", borrowed) == list{16, 15, 7, 8, 8, 8, 8, 8});
  CHECK(zeros(4, "autogptq:0.7", "\x0f\x21\x43\x65") == list{16, 1, 2, 3, 4, 5, 6, 7});
  CHECK(zeros(8, "autogptq:0.7", "\xff\x01\x02\x7f") == list{256, 2, 3, 128});
  CHECK(zeros(8, "gptqmodel:5.0", "\xff\x01\x02\x7f") == list{0, 3, 3, 128});
  const list threes = zeros(3, "autogptq:0.7", std::string("\xff\xff\xff\xff\0\0\0\0\0\0\0\0", 12));
  CHECK(list(threes.begin(), threes.begin() + 12) == list{8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 4, 1});
}

TEST_CASE("bitsandbytes, with its tables in the file, plain and nested") {
  const auto text_of = [](const auto& values) {
    std::string text;
    for (const auto& v : values)
      for (const unsigned char byte : golden::in_file(v)) text += static_cast<char>(byte);
    return text;
  };
  for (const std::string kind : {"nf4", "fp4"}) {
    const auto codes = golden::array<std::uint8_t>("bnb_" + kind + ".codes");
    const auto absmax = golden::array<float>("bnb_" + kind + ".absmax");
    const auto expected = golden::array<float>("bnb_" + kind + ".dq");
    std::vector<float> map;
    for (int i = 0; i < 16; ++i)
      map.push_back(kind == "nf4" ? blocq::nf4_code::values[i] : blocq::bnb_fp4_code::values[i]);
    const std::uint64_t blocks = absmax.size();
    const std::string state = R"({"quant_type": ")" + kind + R"(", "blocksize": 64, "dtype": "float32", "shape": [)" +
                              std::to_string(blocks * 2) + ", 32]}";
    const auto file = make({{"x.weight", dtype::u8, {codes.size(), 1}, text_of(codes)},
                            {"x.weight.absmax", dtype::f32, {blocks}, text_of(absmax)},
                            {"x.weight.quant_map", dtype::f32, {16}, text_of(map)},
                            {"x.weight.quant_state.bitsandbytes__" + kind, dtype::u8, {state.size()}, state}});
    const auto weights = file.weights();
    if (!weights) FAIL(weights.message());
    REQUIRE(weights->list().size() == 1);
    CHECK(weights->list()[0].module == "x");
    const auto y = decoded(weights->list()[0]);
    REQUIRE(y.size() == expected.size());
    CHECK(std::memcmp(y.data(), expected.data(), y.size() * sizeof(float)) == 0);
  }

  // Rows of 48 that no blocks of 64 fill, and scales in 8 bits.
  std::vector<float> table(256), map(16);
  for (int i = 0; i < 256; ++i) table[static_cast<std::size_t>(i)] = static_cast<float>(i - 128) / 64;
  for (int i = 0; i < 16; ++i) map[static_cast<std::size_t>(i)] = static_cast<float>(i);
  const std::string state = R"({"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [4, 48],
    "nested_blocksize": 256, "nested_offset": 0.10000000149011612})";
  const auto file = make({{"x.weight", dtype::u8, {96, 1}, std::string(96, '\x12')},
                          {"x.weight.absmax", dtype::u8, {3}, "\x80\xc0\xff"},
                          {"x.weight.nested_absmax", dtype::f32, {1}, text_of(std::vector<float>{0.5f})},
                          {"x.weight.nested_quant_map", dtype::f32, {256}, text_of(table)},
                          {"x.weight.quant_map", dtype::f32, {16}, text_of(map)},
                          {"x.weight.quant_state.bitsandbytes__nf4", dtype::u8, {state.size()}, state}});
  const auto weights = file.weights();
  if (!weights) FAIL(weights.message());
  const auto y = decoded(weights->list()[0], checkpoint::rounding::none);
  CHECK(y[0] == 0.1f);
  CHECK(y[1] == 0.2f);
  CHECK(y[63] == 0.2f);  // row 1, column 15: still the first block
  const float second = 1.0f * 0.5f + 0.1f;
  CHECK(y[64] == second);
  CHECK(y[127] == 2 * second);
  CHECK(y[128] == 127.0f / 64 * 0.5f + 0.1f);
}
