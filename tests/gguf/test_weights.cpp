// Which tensors are weights: the rule, and every line of its exceptions. tests/calib/test_mix.cpp holds it against
// llama-quantize on all names that llama.cpp knows.
#include <doctest/doctest.h>
#include <blocq/gguf/weights.hpp>

#include <initializer_list>
#include <iterator>
#include <span>
#include <string>

using blocq::gguf::is_weight;

namespace {

bool weight(std::string_view name, std::string_view architecture = "llama") {
  constexpr std::uint64_t matrix[] = {256, 2};
  return is_weight(name, matrix, architecture);
}

struct line {
  std::string_view kept, quantized;                     // the latter is nearly the former
  std::string_view architecture = "llama", other = {};  // where `kept` is a weight, unless it is empty
};

// In the order of the exceptions.
constexpr line lines[] = {
    {"blk.0.attn_norm.weight", "blk.0.attn_norm_2.weight"},
    {"blk.0.ffn_gate_inp.weight", "blk.0.ffn_gate_inp_shexp.weight"},
    {"blk.0.ffn_gate_tid2eid.weight", "blk.0.ffn_gate_tid.weight"},
    {"position_embd.weight", "xposition_embd.weight"},
    {"token_types.weight", "v.token_types.weight"},
    {"dec.blk.0.attn_rel_b.weight", "dec.blk.0.attn_rel_pos.weight"},
    {"altup_proj.weight", "alt_up_proj.weight"},
    {"blk.0.laurel_l.weight", "blk.0.laure_l.weight"},
    {"per_layer_model_proj.weight", "per_layer_token_embd.weight"},
    {"blk.0.indexer.k_proj.weight", "blk.0.k_proj.weight"},
    {"blk.0.indexer.q_proj.weight", "blk.0.q_proj.weight"},
    {"blk.0.ssm_conv1d_q.weight", "blk.0.ple_conv1d.weight"},
    {"blk.0.shortconv.conv.weight", "blk.0.shortconv.in_proj.weight"},
    {"blk.0.time_mix_first.weight", "blk.0.time_mix_key.weight"},
    {"blk.0.time_mix_w0.weight", "blk.0.time_mix_w.weight"},
    {"blk.0.time_mix_w1.weight", "blk.0.time_mix_w1x.weight"},
    {"blk.0.time_mix_w2.weight", "blk.0.time_mix_w3.weight"},
    {"blk.0.time_mix_v0.weight", "blk.0.time_mix_v.weight"},
    {"blk.0.time_mix_v1.weight", "blk.0.time_mix_value.weight"},
    {"blk.0.time_mix_v2.weight", "blk.0.time_mix_v3.weight"},
    {"blk.0.time_mix_a0.weight", "blk.0.time_mix_a.weight"},
    {"blk.0.time_mix_a1.weight", "blk.0.time_mix_k_a.weight"},
    {"blk.0.time_mix_a2.weight", "blk.0.time_mix_a3.weight"},
    {"blk.0.time_mix_g1.weight", "blk.0.time_mix_gate.weight"},
    {"blk.0.time_mix_g2.weight", "blk.0.time_mix_g3.weight"},
    {"blk.0.time_mix_decay_w1.weight", "blk.0.time_mix_decay.weight"},
    {"blk.0.time_mix_decay_w2.weight", "blk.0.time_mix_decay_w.weight"},
    {"blk.0.time_mix_lerp_fused.weight", "blk.0.time_mix_lerp_x.weight"},
    {"v.position_embd.weight", "v.vision_pos_embed.weight"},
    {"v.blk.0.rel_pos_h.weight", "v.blk.0.attn_rel_pos_emb.weight"},
    {"v.patch_embd.weight", "patch_embd.weight"},
    {"v.patch_merger.weight", "v.vit_merger.attn_q.weight"},
    {"sam.pos_embd.weight", "v.pos_embd.weight"},
    {"sam.neck.0.weight", "sam.necks.weight"},
    {"sam.net_2.weight", "sam.net.weight"},
    {"a.rvq.codebook.weight", "a.gen.wav.quant.first.codebook.weight"},
    {"mm.a.code_embd.weight", "a.gen.code.embd.weight"},
    {"decision.scorer.weight", "a.decision.scorer.weight", "vllm-decision2", "llama"},
    {"blk.0.hc_attn_fn.weight", "blk.0.attn_fn.weight", "glm5-next", "llama"},
    {"blk.0.attn_kv_a_mqa.weight", "blk.0.attn_kv_b.weight", "glm5-next", "deepseek2"},
    {"blk.0.attn_k_b.weight", "blk.0.attn_q_b.weight", "glm5-next", "deepseek2"},
    {"blk.0.attn_v_b.weight", "blk.0.attn_v.weight", "glm5-next", "deepseek2"},
    {"blk.0.indexer.proj.weight", "blk.0.indexer.projx.weight", "glm5-next", "llama"},
    {"blk.0.indexer.attn_k.weight", "blk.0.attn_k.weight", "glm5-next", "llama"},
    {"blk.0.indexer.attn_q_b.weight", "blk.0.attn_q_b.weight", "glm5-next", "llama"},
    {"blk.0.indexer_compressor_ape.weight", "blk.0.indexer_compressor_kv.weight", "glm5-next", "llama"},
    {"blk.0.indexer_compressor_gate.weight", "blk.0.attn_compressor_gate.weight", "glm5-next", "llama"},
    {"blk.0.ssm_beta.weight", "blk.0.ssm_alpha.weight", "glm5-next", "qwen35"},
    {"blk.0.ssm_f_a.weight", "blk.0.ssm_in.weight", "glm5-next", "kimi-linear"},
    {"blk.0.ssm_f_b.weight", "blk.0.ssm_out.weight", "glm5-next", "kimi-linear"},
    {"blk.0.ssm_g_a.weight", "blk.0.ssm_x.weight", "glm5-next", "kimi-linear"},
    {"blk.0.ssm_g_b.weight", "blk.0.ssm_g.weight", "glm5-next", "kimi-linear"},
};

}  // namespace

TEST_CASE("every exception keeps its tensors and none beside them") {
  REQUIRE(std::size(lines) == std::size(blocq::gguf::weight_exceptions));
  for (std::size_t i = 0; i < std::size(lines); ++i) {
    const line& l = lines[i];
    CAPTURE(std::string(l.kept));
    CHECK(l.kept.find(blocq::gguf::weight_exceptions[i].text) != l.kept.npos);
    CHECK_FALSE(weight(l.kept, l.architecture));
    CHECK(weight(l.quantized, l.architecture));
    CHECK(weight(l.kept, l.other) == !l.other.empty());
  }
}

TEST_CASE("a weight is a matrix whose name ends in 'weight'") {
  const auto shaped = [](std::initializer_list<std::uint64_t> dims) {
    return is_weight("blk.0.attn_q.weight", {dims.begin(), dims.size()}, "llama");
  };
  CHECK(shaped({256, 2}));
  CHECK(shaped({256, 1, 2}));
  CHECK(shaped({256, 2, 3, 1}));
  CHECK(shaped({1, 2}));
  CHECK_FALSE(shaped({256}));
  CHECK_FALSE(shaped({256, 1, 1, 1}));
  CHECK_FALSE(shaped({}));
  constexpr std::uint64_t more[] = {256, 1, 2};  // what lies behind the shape is none of it
  CHECK_FALSE(is_weight("blk.0.attn_q.weight", std::span(more).first(2), "llama"));
  for (const char* name : {"blk.0.ffn_up_exps.bias", "blk.0.ssm_a", "blk.0.ssm_d", "v.class_embd", "blk.0.attn_q.scale",
                           "blk.0.attn_q.weight_scale", "weights", "abcde", ""})
    CHECK_FALSE(weight(name));
  for (const char* name : {"weight", "token_embd.weight", "output.weight", "norm.weight"}) CHECK(weight(name));
}
