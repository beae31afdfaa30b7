// Which tensors make a weight, and what is said where they do not.
#include <doctest/doctest.h>
#include <allocations.hpp>
#include <blocq/checkpoint/recognize.hpp>
#include <checkpoint_files.hpp>

#include <cstring>

namespace checkpoint = blocq::checkpoint;
using blocq::errc;
using checkpoint::layout;
using checkpoint_files::described;
using checkpoint_files::dtype;
using checkpoint_files::make;

BLOCQ_TEST_COUNT_ALLOCATIONS

namespace {

struct refusal {
  errc code;
  const char* says;
};

void refuses(const std::vector<described>& tensors, const refusal& expected, const char* config = "") {
  const auto file = make(tensors, config);
  const auto weights = file.weights();
  REQUIRE(!weights);
  CAPTURE(weights.message());
  CHECK(weights.error().code == expected.code);
  CHECK(std::strstr(weights.message(), expected.says) != nullptr);
}

layout kind_of(const std::vector<described>& tensors, const char* config = "", const char* module = "x") {
  const auto file = make(tensors, config);
  const auto weights = file.weights();
  if (!weights) FAIL(weights.message());
  REQUIRE(weights->list().size() == 1);
  CHECK(weights->list()[0].module == module);
  return weights->list()[0].kind;
}

const described gptq_codes{"x.qweight", dtype::i32, {8, 32}}, gptq_scales{"x.scales", dtype::f16, {2, 32}},
    gptq_zeros{"x.qzeros", dtype::i32, {2, 4}};

}  // namespace

TEST_CASE("a byte of codes is told by what is beside it") {
  CHECK(kind_of({{"x.weight", dtype::u8, {4, 32}}, {"x.weight_scale", dtype::u8, {4, 2}}}) == layout::mxfp4);
  CHECK(kind_of({{"x.weight", dtype::u8, {4, 32}}, {"x.weight_scale", dtype::f8_e8m0, {4, 2}}}) == layout::mxfp4);
  CHECK(kind_of({{"x.weight", dtype::i8, {4, 32}}, {"x.scale", dtype::f8_e8m0, {4, 2}}}) == layout::mxfp4);
  CHECK(kind_of({{"x.weight", dtype::f4, {4, 64}}, {"x.weight_scale", dtype::f8_e8m0, {4, 2}}}) == layout::mxfp4);
  CHECK(kind_of({{"x.weight", dtype::u8, {4, 32}}, {"x.weight_scale", dtype::f8_e4m3, {4, 4}}}) == layout::nvfp4);
  CHECK(kind_of({{"x.weight_packed", dtype::u8, {4, 32}}, {"x.weight_scale", dtype::u8, {4, 4}}}) ==
        layout::nvfp4_e5m3);
  CHECK(kind_of({{"x.weight", dtype::u8, {2, 64}}, {"x.weight_scale", dtype::f16, {4, 2}}}) == layout::modelopt_int4);
  CHECK(kind_of({{"x.weight", dtype::i8, {4, 64}}, {"x.weight_scale", dtype::bf16, {4, 1}}}) == layout::int8);
  CHECK(kind_of({{"x.weight", dtype::f8_e4m3, {4, 64}}, {"x.weight_scale", dtype::u8, {4, 2}}}) == layout::mxfp8);
  CHECK(kind_of({{"x.weight", dtype::f8_e5m2, {4, 64}}, {"x.weight_scale", dtype::f32, {}}}) == layout::fp8);
  CHECK(kind_of({{"x.weight", dtype::f8_e4m3, {300, 129}}, {"x.weight_scale_inv", dtype::f8_e8m0, {3, 2}}}) ==
        layout::fp8);
  CHECK(kind_of({{"x_blocks", dtype::u8, {2, 4, 3, 16}}, {"x_scales", dtype::u8, {2, 4, 3}}}) == layout::mxfp4);
  CHECK(kind_of({{"x", dtype::f8_e4m3, {2, 8, 16}}, {"x_scale_inv", dtype::f32, {2, 1, 1}}}) == layout::fp8);
  CHECK(kind_of({gptq_codes, gptq_scales, gptq_zeros}) == layout::gptq);
  CHECK(kind_of({gptq_codes, gptq_scales, gptq_zeros}, R"({"checkpoint_format": "gptq_v2"})") == layout::gptq_v2);
  CHECK(kind_of({{"x.qweight", dtype::i32, {64, 4}}, gptq_scales, gptq_zeros}) == layout::awq);
}

TEST_CASE("blocks and scales of gpt-oss's experts") {
  const described blocks{"x_blocks", dtype::u8, {2, 4, 3, 16}}, scales{"x_scales", dtype::u8, {2, 4, 3}};
  refuses({blocks}, {errc::missing, "'x_blocks'"});
  refuses({{"x_blocks", dtype::i32, {2, 4, 3, 16}}, scales}, {errc::bad_type, "'x_blocks'"});
  refuses({blocks, {"x_scales", dtype::f32, {2, 4, 3}}}, {errc::bad_type, "'x_blocks'"});
  refuses({{"x_blocks", dtype::u8, {2, 4, 3, 15}}, scales}, {errc::size_mismatch, "'x_blocks'"});
  refuses({blocks, {"x_scales", dtype::u8, {2, 4, 2}}}, {errc::size_mismatch, "'x_blocks'"});
}

TEST_CASE("6 bits are of the kind that the configuration names") {
  const auto mxfp6 = [](const char* type, const char* layer = "fp6_e3m2") {
    return std::string(R"({"global_quant_config": {"weight": {"dtype": ")") + type +
           R"("}}, "layer_quant_config": {"*head": {"weight": {"dtype": ")" + layer + R"("}}}})";
  };
  const std::vector<described> tensors = {{"x.weight", dtype::u8, {4, 48}}, {"x.weight_scale", dtype::u8, {4, 2}}};
  CHECK(kind_of(tensors, mxfp6("fp6_e3m2").c_str()) == layout::mxfp6);
  CHECK(kind_of(tensors, mxfp6("fp6_e2m3", "fp8").c_str()) == layout::mxfp6);
  refuses(tensors, {errc::bad_value, "'x.weight'"}, mxfp6("fp6_e2m3").c_str());
  refuses(tensors, {errc::bad_value, "fp6_e2m3 or fp6_e3m2"});
  refuses({{"x.weight", dtype::u8, {4, 48}}, {"x.weight_scale", dtype::u8, {3, 2}}},
          {errc::size_mismatch, "'x.weight_scale'"});
  refuses({{"x.weight", dtype::u8, {4, 48}}}, {errc::missing, "'x.weight'"});
  refuses({{"x.weight", dtype::u8, {4, 48}}, {"x.weight_scale", dtype::f16, {4, 2}}},
          {errc::bad_type, "'x.weight_scale'"}, mxfp6("fp6_e3m2").c_str());
  refuses({{"x.weight", dtype::u8, {4, 47}}, {"x.weight_scale", dtype::u8, {4, 2}}},
          {errc::bad_type, "'x.weight_scale'"}, mxfp6("fp6_e3m2").c_str());
}

TEST_CASE("arrays of MatMulNBits") {
  const described codes{"x.qweight", dtype::u8, {4, 3, 16}}, scales{"x.scales", dtype::f32, {4, 3}};
  const char* const four = R"({"bits": 4})";
  CHECK(kind_of({codes, scales}, four) == layout::matmul_nbits);
  CHECK(kind_of({codes, {"x.scales", dtype::f16, {12}}, {"x.qzeros", dtype::u8, {8}}}) == layout::matmul_nbits);
  CHECK(kind_of({{"x.weight_Q4", dtype::u8, {4, 3, 16}}, {"x.weight_scales", dtype::f32, {4, 3}}}) ==
        layout::matmul_nbits);
  refuses({codes, scales}, {errc::bad_value, "how many bits"});
  refuses({codes, scales}, {errc::unsupported, "2, 4 and 8"}, R"({"bits": 5})");
  refuses({codes}, {errc::missing, "'x.qweight'"}, four);
  refuses({{"x_Q4", dtype::u8, {4, 3, 16}}}, {errc::missing, "'x_Q4'"});
  refuses({codes, {"x.scales", dtype::f32, {4, 2}}}, {errc::size_mismatch, "'x.scales'"}, four);
  refuses({codes, {"x.scales", dtype::i64, {4, 3}}}, {errc::bad_type, "'x.scales'"}, four);
  refuses({{"x.qweight", dtype::u8, {4, 48}}, scales}, {errc::size_mismatch, "'x.qweight'"}, four);
  refuses({codes, scales, {"x.qzeros", dtype::u8, {4, 3}}}, {errc::size_mismatch, "'x.qzeros'"}, four);
  refuses({codes, scales, {"x.qzeros", dtype::f16, {4, 3}}}, {errc::bad_type, "'x.qzeros'"}, four);
  refuses({codes, scales, {"x.g_idx", dtype::i32, {96}}}, {errc::unsupported, "order"}, four);
}

TEST_CASE("HQQ's tensors, and what they say of the codes") {
  const auto number = [](char n) { return std::string(1, n) + std::string(3, '\0'); };
  const auto tensors = [&](char bits, char axis) {
    std::string shape(16, '\0');
    shape[0] = 4, shape[8] = 64;
    return std::vector<described>{
        {"x.W_q", dtype::u8, {4, 32}},
        {"x.scale", dtype::f16, {8, 1}},
        {"x.zero", dtype::f16, {8, 1}},
        {"x.shape", dtype::i64, {2}, shape},
        {"x.nbits", dtype::i32, {}, number(bits)},
        {"x.axis", dtype::i32, {}, number(axis)},
        {"x.group_size", dtype::i32, {}, number(32)},
        {"x.compute_dtype", dtype::u8, {13}, "torch.float16"},
        {"x.quant_zero", dtype::u8, {}, std::string(1, '\0')},
    };
  };
  const auto without = [&](std::size_t i) {
    auto all = tensors(4, 1);
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(i));
    return all;
  };
  const auto with = [&](std::size_t i, const described& other) {
    auto all = tensors(4, 1);
    all[i] = other;
    return all;
  };
  CHECK(kind_of(tensors(4, 1)) == layout::hqq);
  CHECK(kind_of(without(6)) == layout::hqq);
  for (const std::size_t i : {1u, 2u, 3u}) refuses(without(i), {errc::missing, "'x.W_q'"});
  for (const std::size_t i : {4u, 5u}) refuses(without(i), {errc::bad_value, "'x.W_q'"});
  refuses(with(0, {"x.W_q", dtype::f16, {4, 32}}), {errc::bad_type, "U8"});
  CHECK(kind_of({{"x.W_q", dtype::f16, {4, 32}}}, "", "x.W_q") == layout::plain);
  refuses(tensors(5, 1), {errc::bad_value, "nbits"});
  refuses(tensors(2, 1), {errc::size_mismatch, "'x.W_q'"});
  refuses(tensors(3, 1), {errc::bad_type, "I32"});
  refuses(tensors(4, 0), {errc::size_mismatch, "'x.W_q'"});
  refuses(with(6, {"x.group_size", dtype::i32, {}, number(16)}), {errc::size_mismatch, "'x.W_q'"});
  refuses(with(7, {"x.compute_dtype", dtype::u8, {14}, "torch.bfloat16"}), {errc::bad_type, "'x.scale'"});
  refuses(with(8, {"x.quant_zero", dtype::u8, {}, "\x01"}), {errc::unsupported, "quantized"});
  refuses(with(2, {"x.zero", dtype::f16, {4, 1}}), {errc::size_mismatch, "'x.W_q'"});
  refuses(with(3, {"x.shape", dtype::i64, {2}, std::string(16, '\xff')}), {errc::size_mismatch, "'x.W_q'"});
}

TEST_CASE("who wrote GPTQ's first format decides how its zeros are stored") {
  const auto by = [](const std::string& quantizer, const std::string& format = "gptq") {
    const std::string config = R"({"quantization_config": {"checkpoint_format": ")" + format +
                               R"(", "meta": {"quantizer": )" + quantizer + "}}}";
    return kind_of({gptq_codes, gptq_scales, gptq_zeros}, config.c_str());
  };
  CHECK(by(R"("autogptq:0.7.1")") == layout::gptq_nibbles);
  CHECK(by(R"(["optimum:1.24.0", "auto_gptq:0.7.1"])") == layout::gptq_nibbles);
  CHECK(by(R"(["gptqmodel:1.4.5", "autogptq:0.7.1"])") == layout::gptq);
  CHECK(by(R"("gptqmodel:1.4.5")") == layout::gptq);
  CHECK(by("null") == layout::gptq);
  CHECK(by(R"("autogptq:0.7.1")", "gptq_v2") == layout::gptq_v2);
}

TEST_CASE("what belongs to activations is left out, by name") {
  const auto file = make({{"x.weight", dtype::f8_e4m3, {4, 64}},
                          {"x.weight_scale", dtype::f32, {}},
                          {"x.input_scale", dtype::f32, {}},
                          {"x.k_scale", dtype::f32, {}},
                          {"bulk_scale", dtype::f32, {3}}});
  const auto weights = file.weights();
  REQUIRE(weights);
  CHECK(weights->list().size() == 2);
  CHECK(weights->list()[1].name == "bulk_scale");
  CHECK(weights->left_out().size() == 2);
}

TEST_CASE("a scale that is not there, and codes that are not") {
  refuses({{"x.weight", dtype::f8_e4m3, {4, 64}}}, {errc::missing, "tensor 'x.weight': the scales"});
  refuses({{"x.weight", dtype::u8, {4, 64}}}, {errc::missing, "'x.weight'"});
  refuses({{"x.weight_packed", dtype::u8, {4, 64}}}, {errc::missing, "'x.weight_packed'"});
  refuses({{"x.weight_packed", dtype::i32, {4, 8}}}, {errc::missing, "'x.weight_packed'"});
  refuses({{"x.weight_packed", dtype::i32, {4, 8}}, {"x.weight_scale", dtype::f16, {4, 1}}},
          {errc::missing, "weight_shape"});
  refuses({gptq_codes, gptq_zeros}, {errc::missing, "'x.qweight'"});
  refuses({gptq_codes, gptq_scales}, {errc::missing, "qzeros"});
  refuses({{"x.weight_scale", dtype::f32, {}}}, {errc::missing, "'x.weight_scale'"});
  refuses({{"x_scales", dtype::u8, {4, 2}}}, {errc::missing, "'x_scales'"});
}

TEST_CASE("shapes and types that do not fit") {
  refuses({{"x.weight", dtype::u8, {4, 32}}, {"x.weight_scale", dtype::u8, {3, 2}}},
          {errc::size_mismatch, "'x.weight_scale'"});
  refuses({{"x.weight", dtype::u8, {4, 32}}, {"x.weight_scale", dtype::f8_e4m3, {128, 4}}},
          {errc::size_mismatch, "tiled"});
  refuses({{"x.weight", dtype::u8, {4, 32}}, {"x.weight_scale", dtype::f16, {4, 2}}},
          {errc::bad_type, "'x.weight_scale'"});
  refuses({{"x.weight", dtype::f8_e4m3, {300, 300}}, {"x.weight_scale_inv", dtype::f32, {2, 3}}},
          {errc::size_mismatch, "'x.weight_scale_inv'"});
  refuses({{"x.weight", dtype::f8_e4m3, {4, 64}}, {"x.weight_scale", dtype::i64, {}}},
          {errc::bad_type, "'x.weight_scale'"});
  refuses({{"x.weight", dtype::u8, {4, 32}},
           {"x.weight_scale", dtype::f8_e4m3, {4, 4}},
           {"x.weight_scale_2", dtype::f32, {3}}},
          {errc::size_mismatch, "'x.weight_scale_2'"});
  refuses({{"x.weight", dtype::f8_e4m3, {0, 64}}, {"x.weight_scale", dtype::f32, {}}},
          {errc::size_mismatch, "no elements"});
  refuses({gptq_codes, gptq_scales, {"x.qzeros", dtype::i32, {2, 5}}}, {errc::size_mismatch, "'x.qzeros'"});
  refuses({gptq_codes, gptq_scales, gptq_zeros, {"x.g_idx", dtype::i32, {63}}}, {errc::size_mismatch, "'x.g_idx'"});
  refuses({gptq_codes, gptq_scales, gptq_zeros, {"x.g_idx", dtype::i32, {64}, "\x02"}}, {errc::bad_value, "'x.g_idx'"});
  refuses({gptq_codes, {"x.scales", dtype::f16, {2, 33}}, gptq_zeros}, {errc::size_mismatch, "'x.qweight'"});
}

TEST_CASE("what cannot be read alone, and configurations that do not agree") {
  refuses({{"x.weight", dtype::u8, {4, 32}},
           {"x.weight_scale", dtype::f8_e4m3, {4, 4}},
           {"x.pre_quant_scale", dtype::f32, {64}}},
          {errc::unsupported, "pre_quant_scale"});
  refuses({gptq_codes, gptq_scales, gptq_zeros}, {errc::bad_value, "awq"},
          R"({"quantization_config": {"quant_method": "awq"}})");
  refuses({gptq_codes, gptq_scales, gptq_zeros}, {errc::unsupported, "gptq_v2"}, R"({"checkpoint_format": "marlin"})");
  refuses({gptq_codes, gptq_scales, gptq_zeros}, {errc::size_mismatch, "groups"}, R"({"group_size": 16})");
}

TEST_CASE("widths of packed integers") {
  const auto tensors = [](std::uint64_t words, char columns) {
    std::string shape(16, '\0');
    shape[0] = 4;
    shape[8] = columns;
    return std::vector<described>{{"x.weight_packed", dtype::i32, {4, words}},
                                  {"x.weight_scale", dtype::f16, {4, 1}},
                                  {"x.weight_shape", dtype::i64, {2}, shape}};
  };
  const auto packing = [&](std::uint64_t words, char columns, const char* config = "") {
    const auto file = make(tensors(words, columns), config);
    const auto weights = file.weights();
    if (!weights) FAIL(weights.message());
    return weights->list()[0];
  };
  CHECK(packing(8, 64).bits == 4);
  CHECK(packing(6, 64).bits == 3);
  CHECK(packing(6, 64).place == checkpoint::packing::stream);
  CHECK(packing(7, 64).place == checkpoint::packing::words);
  const char* config = R"({"quantization_config": {"config_groups": {"a": {"weights": {"num_bits": 8}}}}})";
  CHECK(packing(16, 64, config).bits == 8);
  refuses(tensors(9, 64), {errc::size_mismatch, "no width"});
  refuses(tensors(16, 64), {errc::bad_value, "how many bits"});  // 8, or 7 with whole codes in words
  refuses(tensors(4, 40), {errc::unsupported, "too short"});
}

TEST_CASE("bitsandbytes' state and what it names") {
  const auto tensors = [](const std::string& state) {
    return std::vector<described>{{"x.weight", dtype::u8, {64, 1}},
                                  {"x.weight.absmax", dtype::f32, {2}},
                                  {"x.weight.quant_map", dtype::f32, {16}},
                                  {"x.weight.quant_state.bitsandbytes__nf4", dtype::u8, {state.size()}, state}};
  };
  const std::string right = R"({"quant_type": "nf4", "blocksize": 64, "dtype": "float16", "shape": [4, 32]})";
  CHECK(kind_of(tensors(right)) == layout::bnb_nf4);
  refuses(tensors("{"), {errc::bad_value, "not JSON"});
  refuses(tensors(R"({"quant_type": "int4"})"), {errc::bad_value, "quant_type"});
  refuses(tensors(R"({"quant_type": "nf4", "blocksize": 64, "dtype": "float16", "shape": [4, 33]})"),
          {errc::size_mismatch, "'x.weight'"});
  auto broken = tensors(right);
  broken[1].shape = {3};
  refuses(broken, {errc::size_mismatch, "'x.weight.absmax'"});
  broken = tensors(right);
  broken[1].type = dtype::u8;
  refuses(broken, {errc::missing, "nested"});
  broken = tensors(right);
  broken.erase(broken.begin() + 2);
  refuses(broken, {errc::missing, "quant_map"});

  using checkpoint::detail::decimal;
  CHECK(*decimal("0.10000000149011612") == 0.1f);
  CHECK(*decimal("-1.5e-3") == -0.0015f);
  CHECK(*decimal("123456789012345678901234") == 123456789012345678901234.0f);
  CHECK(*decimal("0") == 0);
  CHECK_FALSE(decimal(""));
  CHECK_FALSE(decimal("null"));
  CHECK_FALSE(decimal("1e99"));
}

TEST_CASE("every allocation may fail") {
  const auto file = checkpoint_files::golden_checkpoint("packed_int4_zeros");
  const auto config = blocq::safetensors::json::parse(file.config);
  REQUIRE(config);
  const int n = allocations::fail_each(errc::ok, errc::no_memory, [&] {
    const auto weights = checkpoint::weights::open(*file.tensors, *config);
    if (weights && weights->list()[0].zeros == nullptr) return errc::missing;
    return weights ? errc::ok : weights.error().code;
  });
  CHECK(n > 5);
}
