// Mixes: the sizes that published models have, and the rules that these do not touch.
#include <doctest/doctest.h>
#include <blocq/calib/mix.hpp>
#include <cmath>
#include <initializer_list>
#include <string>
#include <utility>

using namespace blocq::calib;

namespace {

struct llama_shape {
  std::size_t width, hidden, kv_width, vocabulary, layers;
};

// Bits per weight of a whole file, norms in F32.
double bits(mix m, const llama_shape& s, bool importance) {
  const mix_model model{.layers = s.layers, .heads_per_kv = s.width / s.kv_width, .importance = importance};
  double bytes = 0, elements = 0;
  const auto add = [&](const std::string& name, std::size_t columns, std::size_t rows) {
    const auto* type = blocq::gguf::find_type(type_for(m, describe_tensor(name, columns), model));
    const double n = static_cast<double>(columns * rows);
    elements += n;
    bytes += n / static_cast<double>(type->block) * static_cast<double>(type->bytes);
  };
  add("token_embd.weight", s.width, s.vocabulary);
  add("output.weight", s.width, s.vocabulary);
  for (std::size_t i = 0; i < s.layers; ++i) {
    const std::string block = "blk." + std::to_string(i);
    add(block + ".attn_q.weight", s.width, s.width);
    add(block + ".attn_k.weight", s.width, s.kv_width);
    add(block + ".attn_v.weight", s.width, s.kv_width);
    add(block + ".attn_output.weight", s.width, s.width);
    add(block + ".ffn_gate.weight", s.width, s.hidden);
    add(block + ".ffn_up.weight", s.width, s.hidden);
    add(block + ".ffn_down.weight", s.hidden, s.width);
  }
  const double norms = static_cast<double>((2 * s.layers + 1) * s.width);
  return 8 * (bytes + 4 * norms) / (elements + norms);
}

struct published {
  mix m;
  double bits;
};

int id(std::string_view type) { return *blocq::gguf::find_type_id(type); }

}  // namespace

TEST_CASE("Llama-2-7B has its published sizes") {
  // That of Q2_K, 3.35, is of older rules.
  for (const auto& [m, expected] : std::initializer_list<published>{{mix::q2_k, 3.01},
                                                                    {mix::q3_k_s, 3.50},
                                                                    {mix::q3_k_m, 3.91},
                                                                    {mix::q3_k_l, 4.27},
                                                                    {mix::q4_k_s, 4.58},
                                                                    {mix::q4_k_m, 4.84},
                                                                    {mix::q5_k_s, 5.52},
                                                                    {mix::q5_k_m, 5.68},
                                                                    {mix::q6_k, 6.56}}) {
    const auto name = info_of(m).name;
    CAPTURE(name);
    CHECK(std::abs(bits(m, {4096, 11008, 4096, 32000, 32}, false) - expected) <= 0.005);
  }
}

TEST_CASE("Llama-3.1-8B has its published sizes, all that needs or is said to have importance weights with them") {
  for (const auto& [m, expected] : std::initializer_list<published>{
           {mix::iq1_s, 2.0042},  {mix::iq1_m, 2.1460},  {mix::iq2_xxs, 2.3824}, {mix::iq2_xs, 2.5882},
           {mix::iq2_s, 2.7403},  {mix::iq2_m, 2.9294},  {mix::iq3_xxs, 3.2548}, {mix::iq3_xs, 3.4977},
           {mix::iq3_s, 3.6606},  {mix::iq3_m, 3.7628},  {mix::iq4_xs, 4.4597},  {mix::iq4_nl, 4.6818},
           {mix::q2_k_s, 2.9697}, {mix::q2_k, 3.1593},   {mix::q3_k_s, 3.6429},  {mix::q3_k_l, 4.2979},
           {mix::q4_k_s, 4.6672}, {mix::q4_k_m, 4.8944}, {mix::q5_k_s, 5.5704},  {mix::q5_k_m, 5.7036},
           {mix::q6_k, 6.5633},   {mix::q8_0, 8.5008}}) {
    const auto name = info_of(m).name;
    CAPTURE(name);
    CHECK(std::abs(bits(m, {4096, 14336, 1024, 128256, 32}, m == mix::iq3_xxs) - expected) <= 0.00005);
  }
}

TEST_CASE("the table of mixes is in the order of the names, and finds them") {
  for (const mix_info& m : all_mixes()) {
    CHECK(find_mix(m.name) == &m);
    CHECK(&info_of(m.id) == &m);
    for (const mix_info& other : all_mixes()) CHECK((&m == &other || m.file_type != other.file_type));
  }
  CHECK(find_mix("q4_k") == nullptr);
  CHECK(find_mix("") == nullptr);
}

TEST_CASE("roles are read off the names") {
  const auto is = [](std::string_view name, tensor_role role, std::size_t layer) {
    const auto t = describe_tensor(name, 64);
    return t.role == role && t.layer == layer && t.columns == 64;
  };
  CHECK(is("token_embd.weight", tensor_role::token_embedding, 0));
  CHECK(is("output.weight", tensor_role::output, 0));
  CHECK(is("output_norm.weight", tensor_role::other, 0));
  CHECK(is("blk.17.attn_v.weight", tensor_role::attn_v, 17));
  CHECK(is("blk.3.attn_qkv.weight", tensor_role::attn_qkv, 3));
  CHECK(is("blk.3.attn_q_norm.weight", tensor_role::other, 3));
  CHECK(is("blk.203.ffn_down_exps.weight", tensor_role::ffn_down, 203));
  CHECK(is("blk.0.ffn_up_shexp.weight", tensor_role::ffn_up, 0));
  CHECK(is("blk.", tensor_role::other, 0));
  CHECK(describe_tensor("blk.1.ffn_up_exps.weight", 256, 8).stacked);
}

TEST_CASE("what the sizes of dense models do not show") {
  const auto type = [](mix m, std::string_view name, const mix_model& model, std::size_t matrices = 1) {
    return type_for(m, describe_tensor(name, 256, matrices), model);
  };
  const mix_model moe{.layers = 32, .heads_per_kv = 4, .experts = 8}, tied{.layers = 32, .tied_output = true};
  CHECK(type(mix::q4_k_m, "blk.9.attn_v.weight", moe) == id("q8_0"));
  CHECK(type(mix::q4_k_m, "blk.9.attn_k.weight", moe) == id("q8_0"));
  CHECK(type(mix::q4_k_m, "blk.9.attn_output.weight", moe) == id("q5_k"));
  CHECK(type(mix::q3_k_l, "blk.9.attn_output.weight", moe) == id("q3_k"));
  CHECK(type(mix::iq2_xs, "blk.9.attn_k.weight", moe) == id("q4_k"));
  CHECK(type(mix::iq2_xs, "blk.9.attn_output.weight", moe) == id("q5_k"));
  CHECK(type(mix::iq1_s, "blk.9.attn_v.weight", {.layers = 32, .experts = 4}) == id("q4_k"));
  CHECK(type(mix::mxfp4, "blk.9.ffn_up_exps.weight", moe, 8) == id("mxfp4"));
  CHECK(type(mix::mxfp4, "blk.9.attn_q.weight", moe) == id("q8_0"));
  CHECK(type(mix::mxfp4, "output.weight", moe) == id("q8_0"));

  CHECK(type(mix::iq2_xs, "token_embd.weight", tied) == id("q5_k"));
  CHECK(type(mix::iq2_xs, "token_embd.weight", {}) == id("q2_k"));
  CHECK(type(mix::tq2_0, "token_embd.weight", {}) == id("q4_k"));
  CHECK(type(mix::q8_0, "output.weight", {}) == id("q8_0"));
  CHECK(type(mix::q4_0, "output.weight", {}) == id("q6_k"));
  CHECK(type_for(mix::q4_k_m, describe_tensor("output.weight", 160), {}) == id("q8_0"));
  CHECK(type_for(mix::q4_0, describe_tensor("output.weight", 160), {}) == id("q8_0"));
  CHECK(type_for(mix::q4_k_m, describe_tensor("output.weight", 172), {}) == id("f16"));

  // Eighty layers.
  const mix_model large{.layers = 80, .heads_per_kv = 8};
  for (const mix m : {mix::q2_k, mix::q3_k_s, mix::q3_k_m, mix::q4_k_s, mix::q4_k_m, mix::iq3_xs})
    CHECK(type(m, "blk.40.attn_v.weight", large) == id("q5_k"));
  CHECK(type(mix::q4_k_m, "blk.0.attn_v.weight", large) == id("q6_k"));
  CHECK(type(mix::iq2_xs, "blk.40.attn_v.weight", large) == id("q4_k"));

  // With importance weights and without.
  const mix_model plain{.layers = 16}, weighted{.layers = 16, .importance = true};
  CHECK(type(mix::q4_0, "blk.1.ffn_down.weight", weighted) == id("q4_1"));
  CHECK(type(mix::q4_0, "blk.1.ffn_down.weight", plain) == id("q4_0"));
  CHECK(type(mix::q5_0, "blk.2.ffn_down.weight", weighted) == id("q5_0"));
  CHECK(type(mix::iq3_xxs, "blk.1.ffn_down.weight", plain) == id("q4_k"));
  CHECK(type(mix::iq3_xxs, "blk.8.ffn_down.weight", plain) == id("q3_k"));
  CHECK(type(mix::iq3_xxs, "blk.8.ffn_down.weight", weighted) == id("iq3_xxs"));
  CHECK(type(mix::iq3_xxs, "blk.8.attn_v.weight", plain) == id("iq3_s"));
  CHECK(type(mix::iq4_xs, "blk.1.ffn_down.weight", plain) == id("q5_k"));
  CHECK(type(mix::iq4_xs, "blk.1.ffn_down.weight", weighted) == id("iq4_xs"));
}

TEST_CASE("rows that are not whole blocks") {
  for (const auto& [wanted, instead] : std::initializer_list<std::pair<const char*, const char*>>{{"q2_k", "q4_0"},
                                                                                                  {"q3_k", "q4_0"},
                                                                                                  {"tq1_0", "q4_0"},
                                                                                                  {"q4_k", "q5_0"},
                                                                                                  {"q5_k", "q5_1"},
                                                                                                  {"q6_k", "q8_0"},
                                                                                                  {"iq1_s", "iq4_nl"},
                                                                                                  {"iq4_xs", "iq4_nl"},
                                                                                                  {"q4_0", "q4_0"}}) {
    CHECK(fallback_type(id(wanted), 160) == id(instead));
    CHECK(fallback_type(id(wanted), 512) == id(wanted));
    CHECK(fallback_type(id(wanted), 172) == id("f16"));
  }
  CHECK(fallback_type(id("nvfp4"), 96) == id("f16"));
  for (const int unknown : {-1, 4, 1000}) CHECK(fallback_type(unknown, 256) == id("f16"));
  CHECK(type_for(mix::q3_k_m, describe_tensor("blk.0.attn_v.weight", 160), {}) == id("q5_1"));
  static_assert(type_for(mix::q4_k_m, describe_tensor("blk.0.ffn_down.weight", 256), {.layers = 32}) == 14);
}
