// Which tensors of a model are weights, told by their names: those that a quantizer may put in a block format. The rule
// and its exceptions are those of llama-quantize 0.7.0, so that a file has the types that its users expect.
#ifndef BLOCQ_GGUF_WEIGHTS_HPP
#define BLOCQ_GGUF_WEIGHTS_HPP

#include <blocq/gguf/tensor.hpp>

namespace blocq::gguf::inline v0 {

enum class name_match : std::uint8_t { contains, starts_with, equals };

// Tensors that stay as they are although they are matrices and named like weights: they are small, and models are
// sensitive to them.
struct weight_exception {
  std::string_view text;
  std::string_view architecture = {};  // of this one only; of every one if it is empty
  name_match match = name_match::contains;
};

inline constexpr weight_exception weight_exceptions[] = {
    {"_norm.weight"},
    // Routers of experts, of 32-bit integers in one model. Not those of shared experts (ffn_gate_inp_shexp).
    {"ffn_gate_inp.weight"},
    {"ffn_gate_tid2eid.weight"},
    // Positions and segments.
    {"position_embd.weight", {}, name_match::equals},
    {"token_types.weight", {}, name_match::equals},
    {"attn_rel_b.weight"},
    // Gemma 3n's and MiniMax's small projections.
    {"altup"},
    {"laurel"},
    {"per_layer_model_proj"},
    {"indexer.k_proj.weight"},
    {"indexer.q_proj.weight"},
    // Convolutions of state-space models.
    {"ssm_conv1d"},
    {"shortconv.conv.weight"},
    // RWKV's small matrices.
    {"time_mix_first.weight"},
    {"time_mix_w0.weight"},
    {"time_mix_w1.weight"},
    {"time_mix_w2.weight"},
    {"time_mix_v0.weight"},
    {"time_mix_v1.weight"},
    {"time_mix_v2.weight"},
    {"time_mix_a0.weight"},
    {"time_mix_a1.weight"},
    {"time_mix_a2.weight"},
    {"time_mix_g1.weight"},
    {"time_mix_g2.weight"},
    {"time_mix_decay_w1.weight"},
    {"time_mix_decay_w2.weight"},
    {"time_mix_lerp_fused.weight"},
    // What sees and hears.
    {".position_embd"},
    {".rel_pos"},
    {".patch_embd"},
    {".patch_merger"},
    {"sam.pos_embd"},
    {"sam.neck."},
    {"sam.net_"},
    {"a.rvq.codebook"},
    {"mm.a.code_embd"},
    // Single models.
    {"decision.", "vllm-decision2", name_match::starts_with},
    {"hc_", "glm5-next"},
    {"attn_kv_a_mqa.weight", "glm5-next"},
    {"attn_k_b.weight", "glm5-next"},
    {"attn_v_b.weight", "glm5-next"},
    {"indexer.proj.weight", "glm5-next"},
    {"indexer.attn_k.weight", "glm5-next"},
    {"indexer.attn_q_b.weight", "glm5-next"},
    {"indexer_compressor_ape", "glm5-next"},
    {"indexer_compressor_gate", "glm5-next"},
    {"ssm_beta.weight", "glm5-next"},
    {"ssm_f_a.weight", "glm5-next"},
    {"ssm_f_b.weight", "glm5-next"},
    {"ssm_g_a.weight", "glm5-next"},
    {"ssm_g_b.weight", "glm5-next"},
};

// Whether a tensor of this name and shape (dims[0] is the length of a row) is a weight in a model of this architecture
// (the key "general.architecture"): a matrix or a stack of them whose name ends in "weight", and no exception. A name
// says nothing of the type: integers are nobody's weights.
BLOCQ_INLINE constexpr bool is_weight(std::string_view name, std::span<const std::uint64_t> dims,
                                      std::string_view architecture) noexcept {
  bool matrix = false;
  for (std::size_t i = 1; i < dims.size(); ++i) matrix |= dims[i] > 1;
  if (!matrix || !name.ends_with("weight")) return false;
  for (const weight_exception& e : weight_exceptions) {
    if (!e.architecture.empty() && e.architecture != architecture) continue;
    const std::size_t at = name.find(e.text);
    if (e.match == name_match::contains
            ? at != name.npos
            : at == 0 && (e.match == name_match::starts_with || e.text.size() == name.size()))
      return false;
  }
  return true;
}
BLOCQ_INLINE constexpr bool is_weight(const tensor_info& tensor, std::string_view architecture) noexcept {
  return is_weight(tensor.name, tensor.dims, architecture);
}

}  // namespace blocq::gguf::inline v0

#endif
