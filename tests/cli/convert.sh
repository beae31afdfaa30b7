. "${0%/*}/lib.sh"

has() {  # FILE 'KEY VALUE'...
  expect 0 inspect "$1" --json --full
  shift
  for pair; do
    grep -A3 "\"key\": \"${pair% *}\"" out | grep -qF "\"value\": ${pair#* }" ||
      grep -A3 "\"key\": \"${pair% *}\"" out | grep -qF "\"value\": \"${pair#* }\"" || fail "metadata: $pair"
  done
}

# Every architecture, and every layout, means what the helper says that it means.
for model in llama:bf16 mistral:mxfp4 qwen2:int4 qwen3:awq llama:nvfp4 mistral:awq qwen2:mxfp4 qwen3:fp8 \
  qwen3_moe:stacked qwen3_moe:nvfp4 qwen3_moe:awq gpt_oss:bf16 gpt_oss:mxfp4; do
  name=${model/:/_}
  "$CHECKPOINT" "${model%:*}" "${model#*:}" "$name" || fail "no checkpoint $name"
  expect 0 convert "$name" "$name.out.gguf" --type f32
  cp out "$name.txt"
  expect 0 diff "$name.gguf" "$name.out.gguf" --json
  json /differences '[]'
  json /total/max_error 0.0
done

# llama.cpp leaves out the scales of gpt-oss's experts: with them NVFP4 does not say what was meant.
"$CHECKPOINT" gpt_oss nvfp4 gpt_oss_nvfp4 || fail "no checkpoint"
expect 0 convert gpt_oss_nvfp4 gpt_oss_nvfp4.out.gguf --type f32
is_type gpt_oss_nvfp4.out.gguf blk.0.ffn_down_exps.weight f32
expect 0 diff gpt_oss_nvfp4.gguf gpt_oss_nvfp4.out.gguf --json
json /differences '[]'
"$HELPER" json /total/relative_rmse <out | awk '{ exit !($1 < 1e-7) }' || fail "scales are lost"
expect 0 quantize gpt_oss_bf16 scaled.gguf --type nvfp4
is_type scaled.gguf blk.0.ffn_up_exps.weight nvfp4
is_type scaled.gguf blk.0.ffn_up_exps.scale ''
is_type scaled.gguf blk.0.attn_q.scale f32

# A line for each matrix.
cp llama_bf16.txt out
says "16 matrices exact, 0 rounded"
cp mistral_mxfp4.txt out
grep -qE '^blk.0.attn_q.weight +mxfp4 +mxfp4 +exact$' out || fail "no line for a matrix"
is_type mistral_mxfp4.out.gguf blk.1.ffn_down.weight mxfp4
is_type mistral_mxfp4.out.gguf token_embd.weight bf16
is_type mistral_mxfp4.out.gguf blk.0.attn_norm.weight f32
is_type qwen2_int4.out.gguf blk.0.attn_k.weight q4_0
is_type qwen2_int4.out.gguf blk.0.attn_k.bias f32
is_type qwen3_awq.out.gguf blk.0.ffn_up.weight q5_0
is_type llama_nvfp4.out.gguf blk.0.attn_q.weight nvfp4
is_type llama_nvfp4.out.gguf blk.0.attn_q.scale f32
is_type qwen3_fp8.out.gguf blk.0.attn_q.weight f32
cp llama_nvfp4.txt out
hushes "left out"
is_type qwen3_moe_nvfp4.out.gguf blk.0.ffn_up_exps.weight nvfp4
is_type qwen3_moe_nvfp4.out.gguf blk.0.ffn_gate_inp.weight f32
is_type qwen3_moe_awq.out.gguf blk.1.ffn_down_exps.weight q5_0
is_type gpt_oss_mxfp4.out.gguf blk.1.ffn_gate_exps.weight mxfp4
is_type gpt_oss_mxfp4.out.gguf blk.1.ffn_gate_exps.bias f32
is_type gpt_oss_bf16.out.gguf blk.0.ffn_down_exps.weight bf16

# What nothing holds exactly is rounded to the type that is asked for, and the error said.
expect 0 convert qwen3_fp8 rounded.gguf
says "1 matrix exact, 14 rounded"
is_type rounded.gguf blk.0.attn_q.weight bf16
expect 0 convert qwen3_fp8 rounded.gguf --type q8_0 --threads 1
cp rounded.gguf one.gguf
expect 0 convert qwen3_fp8 rounded.gguf --type q8_0 --threads 3
same one.gguf rounded.gguf
is_type rounded.gguf blk.0.attn_q.weight q8_0

# Or by its role to what a mix has for it; one that is exact stays so.
expect 0 convert qwen3_fp8 rounded.gguf --mix q4_k_m
is_type rounded.gguf blk.0.attn_q.weight q5_0  # q4_k in rows of 64
is_type rounded.gguf blk.1.attn_v.weight q8_0  # q6_k
is_type rounded.gguf token_embd.weight bf16
expect 0 convert qwen3_fp8 same.gguf --type f32
expect 0 quantize same.gguf mixed.gguf --mix q4_k_m --exclude token_embd
expect 0 diff mixed.gguf rounded.gguf --json
json /total/max_error 0.0
has rounded.gguf 'general.file_type 15'
expect 2 convert qwen3_fp8 refused.gguf --mix q4_k_mm
complains "did you mean 'q4_k_m'?"
expect 2 convert qwen3_fp8 refused.gguf --mix q4_k_m --type q8_0

# Metadata and tokenizer.
has llama_bf16.out.gguf 'general.architecture llama' 'llama.block_count 2' 'llama.attention.head_count_kv 2' \
  'llama.rope.dimension_count 16' 'tokenizer.ggml.pre llama-bpe' 'tokenizer.ggml.bos_token_id 0' \
  'tokenizer.ggml.add_bos_token true' 'general.file_type 32'
has qwen3_moe_awq.out.gguf 'qwen3moe.expert_count 4' 'qwen3moe.expert_used_count 2' 'tokenizer.ggml.pre qwen2' \
  'qwen3moe.expert_feed_forward_length 64'
has gpt_oss_mxfp4.out.gguf 'general.architecture gpt-oss' 'gpt-oss.attention.sliding_window 4' \
  'gpt-oss.rope.scaling.type yarn' 'gpt-oss.rope.scaling.yarn_beta_fast 32.0' 'gpt-oss.expert_used_count 2' \
  'tokenizer.ggml.pre gpt-4o' 'general.file_type 38'

# Architectures that a file describes: of what is known, it gives the same.
cat >map.json <<'END'
{
  "architecture": "llama",
  "tensors": {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "model.layers.{n}.self_attn.q_proj.weight": {"name": "blk.{n}.attn_q.weight", "heads": "$num_attention_heads"},
    "model.layers.{n}.self_attn.k_proj.weight": {"name": "blk.{n}.attn_k.weight", "heads": "$num_key_value_heads"},
    "model.layers.{n}.self_attn.v_proj.weight": "blk.{n}.attn_v.weight",
    "model.layers.{n}.self_attn.o_proj.weight": "blk.{n}.attn_output.weight",
    "model.layers.{n}.mlp.gate_proj.weight": "blk.{n}.ffn_gate.weight",
    "model.layers.{n}.mlp.up_proj.weight": "blk.{n}.ffn_up.weight",
    "model.layers.{n}.mlp.down_proj.weight": "blk.{n}.ffn_down.weight",
    "model.layers.{n}.input_layernorm.weight": "blk.{n}.attn_norm.weight",
    "model.layers.{n}.post_attention_layernorm.weight": "blk.{n}.ffn_norm.weight"
  },
  "metadata": {
    "llama.block_count": "$num_hidden_layers",
    "llama.context_length": "$max_position_embeddings",
    "llama.embedding_length": "$hidden_size",
    "llama.feed_forward_length": "$intermediate_size",
    "llama.attention.head_count": "$num_attention_heads",
    "llama.attention.head_count_kv": "$num_key_value_heads",
    "llama.attention.layer_norm_rms_epsilon": {"f32": "$rms_norm_eps"},
    "llama.rope.freq_base": {"f32": "$rope_theta"},
    "llama.rope.dimension_count": 16,
    "general.description": "tiny"
  }
}
END
sed -i 's/MistralForCausalLM/OtherForCausalLM/' mistral_mxfp4/config.json
expect 0 convert mistral_mxfp4 mapped.gguf --arch-map map.json
says "names and settings are those of map.json"
hushes "keep the names"
expect 0 diff mistral_mxfp4.out.gguf mapped.gguf --json
json /differences '[]'
json /total/max_error 0.0
has mapped.gguf 'general.architecture llama' 'llama.block_count 2' 'llama.rope.freq_base 10000.0' \
  'general.description tiny'
# Experts: rows that take turns, and matrices with a number each.
cat >experts.json <<'END'
{
  "architecture": "moe",
  "tensors": {
    "model.layers.{n}.mlp.experts.gate_up_proj.weight": [{"name": "blk.{n}.ffn_gate_exps.weight", "rows": "even"},
                                                         {"name": "blk.{n}.ffn_up_exps.weight", "rows": "odd"}],
    "model.layers.{n}.mlp.experts.gate_up_proj_bias": [{"name": "blk.{n}.ffn_gate_exps.bias", "rows": "even"},
                                                       {"name": "blk.{n}.ffn_up_exps.bias", "rows": "odd"}],
    "model.layers.{n}.mlp.experts.{expert}.up_proj.weight": "blk.{n}.ffn_up_exps.weight",
    "model.layers.{n}.mlp.experts.{expert}.gate_proj.weight": "blk.{n}.ffn_gate_exps.weight",
    "model.layers.{n}.mlp.experts.down_proj.weight": null
  }
}
END
for name in gpt_oss_mxfp4 qwen3_moe_awq; do
  expect 0 convert $name mapped.gguf --arch-map experts.json
  says "keep the names of the checkpoint, 'model.embed_tokens.weight' first"
  expect 1 diff $name.out.gguf mapped.gguf
  for part in gate up; do
    grep -qE "^blk.1.ffn_${part}_exps.weight .* exact " out || fail "$name: other experts"
  done
done
# Without a file, names are kept; a vocabulary is of use but not needed.
expect 0 convert mistral_mxfp4 kept.gguf
says "the architecture 'OtherForCausalLM' is not known: names are kept"
is_type kept.gguf model.layers.0.self_attn.q_proj.weight mxfp4
has kept.gguf 'general.architecture mistral' 'tokenizer.ggml.model llama'
mv mistral_mxfp4/tokenizer.json .
expect 0 convert mistral_mxfp4 kept.gguf
says "there is no tokenizer.json"
mv tokenizer.json mistral_mxfp4
# What is wrong with a map is said with its entry.
wrong() {  # SENTENCE JSON
  printf '%s' "$2" >wrong.json
  expect 2 convert mistral_mxfp4 refused.gguf --arch-map wrong.json
  complains "wrong.json: $1"
  [ ! -e refused.gguf ] || fail "something appeared"
}
wrong "'architecture'" '{"tensors": {}}'
wrong "'tensor'" '{"architecture": "a", "tensor": {}}'
wrong "'a.{b': its braces" '{"architecture": "a", "tensors": {"a.{b": "c"}}'
wrong "'a.{b}': it has no {c}" '{"architecture": "a", "tensors": {"a.{b}": "c.{c}"}}'
wrong "'a.{b}.{c}': only one" '{"architecture": "a", "tensors": {"a.{b}.{c}": "c"}}'
wrong "'a': 'rows' are" '{"architecture": "a", "tensors": {"a": {"name": "b", "rows": "some"}}}'
wrong "'a': 'hole' is not known" '{"architecture": "a", "tensors": {"a": {"name": "b", "hole": 1}}}'
wrong "'a.b': config.json has no 'c'" '{"architecture": "a", "metadata": {"a.b": "$c"}}'
wrong "'a.b': its value is no u32" '{"architecture": "a", "metadata": {"a.b": {"u32": -1}}}'
wrong "'a.b': types are" '{"architecture": "a", "metadata": {"a.b": {"u16": 1}}}'
expect 2 convert mistral_mxfp4 refused.gguf --arch-map absent.json
complains "absent.json"
printf '{"architecture": "a", "tensors": {"lm_head.weight": "model.norm.weight"}}' >wrong.json
expect 2 convert mistral_mxfp4 refused.gguf --arch-map wrong.json
complains "two tensors for model.norm.weight"
sed -i 's/OtherForCausalLM/MistralForCausalLM/' mistral_mxfp4/config.json

# inspect names layouts, of folders, indices and files.
expect 0 inspect qwen2_int4
says "packed-int, 4 bits, groups of 32"
expect 0 inspect qwen3_fp8/model.safetensors.index.json --json
json /total/weights 24
json /weights/0/layout bf16
expect 0 inspect llama_bf16/model-00001-of-00002.safetensors

# What cannot be done says why, and nothing appears.
refused() {  # SENTENCE ARGUMENT...
  local sentence=$1
  shift
  expect 2 convert "$@" refused.gguf
  complains "$sentence"
  [ ! -e refused.gguf ] || fail "something appeared"
}
rm -r qwen2_mxfp4/model-00002-of-00002.safetensors
refused "model-00002-of-00002.safetensors" qwen2_mxfp4
refused "there is no format 'q9'" qwen3_fp8 --type q9
for change in 'norm_topk_prob": true/norm_topk_prob": false/' 'mlp_only_layers": \[\]/mlp_only_layers": [1]/' \
  'num_experts_per_tok": 2/num_experts_per_tok": 5/'; do
  cp -r qwen3_moe_stacked changed
  sed -i "s/\"$change" changed/config.json
  refused "config.json: " changed
  rm -r changed
done
for change in 'swiglu_limit": 7.0/swiglu_limit": 6.0/' 'sliding_window": 4/sliding_window": 0/' \
  '"full_attention"/"sliding_attention"/' '"rope_type": "yarn"/"rope_type": "yarn", "attention_factor": 2/'; do
  cp -r gpt_oss_mxfp4 changed
  sed -i "s/$change" changed/config.json
  refused "config.json: " changed
  rm -r changed
done
sed -i 's/"truncate": true/"truncate": false/' gpt_oss_bf16/config.json
expect 0 convert gpt_oss_bf16 noted.gguf
says "which llama.cpp rounds"
# Experts that are not all there, or not all alike.
cp -r qwen3_moe_awq changed
sed -i 's/experts.3.up_proj.qweight/experts.9.up_proj.qweight/; s/experts.3.up_proj.qzeros/experts.9.up_proj.qzeros/
        s/experts.3.up_proj.scales/experts.9.up_proj.scales/' changed/*
refused "mlp.experts.9.up_proj.weight' is not known" changed
sed -i 's/experts.9.up_proj/experts.2.up_projj/g' changed/*
refused ".safetensors" changed
rm -r changed
sed -i 's/{1,3}/{1,4}/' llama_nvfp4/tokenizer.json
refused "--pre NAME" llama_nvfp4
expect 0 convert llama_nvfp4 named.gguf --pre llama-bpe
rm llama_nvfp4/tokenizer.json
refused "tokenizer.json is not there" llama_nvfp4
mkdir nothing
refused "holds no safetensors file" nothing
expect 2 inspect nothing
"$CHECKPOINT" llama nan nan || fail "no checkpoint"
refused "tensor 'model.layers.0.self_attn.q_proj.weight_packed': a scale or a weight that is not a number (row 2, column 32)" nan
"$CHECKPOINT" gpt_oss nan nan_experts || fail "no checkpoint"
refused "_proj_blocks': a scale or a weight that is not a number (row " nan_experts
complains "-of-00002.safetensors: tensor"
sed -i 's/1.mlp.experts.down_proj_scales/1.mlp.experts.down_proj_scalez/' nan_experts/*
refused "tensor 'model.layers.1.mlp.experts.down_proj_blocks': the weight that it belongs to is not whole" nan_experts
complains "-of-00002.safetensors: tensor"
# Scales under another name, and an index that names a file that is not there.
"$CHECKPOINT" qwen2 mxfp4 bad || fail "no checkpoint"
sed -i 's/model.layers.0.self_attn.q_proj.weight_scale/model.layers.0.self_attn.q_proj.weight_scalf/' bad/*.safetensors
refused "model.layers.0.self_attn.q_proj" bad
sed -i 's/weight_scalf/weight_scale/; s/"weight_map": {/"weight_map": { "absent": "model-00003-of-00003.safetensors",/' bad/*.json
refused "model-00003-of-00003.safetensors" bad
empty nothing
# Shapes and tensors follow from config.json.
sed -i 's/"num_hidden_layers": 2/"num_hidden_layers": 3/' mistral_awq/config.json
refused "no tensor for blk.2.attn_q.weight" mistral_awq
sed -i 's/"num_hidden_layers": 3/"num_hidden_layers": 2/; s/"vocab_size": 3/"vocab_size": 4/' mistral_awq/config.json
refused "token_embd.weight has not the shape" mistral_awq
