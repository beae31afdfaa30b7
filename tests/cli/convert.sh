. "${0%/*}/lib.sh"

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
is_type rounded.gguf blk.0.attn_v.weight q8_0  # q6_k
is_type rounded.gguf token_embd.weight bf16
expect 0 convert qwen3_fp8 same.gguf --type f32
expect 0 quantize same.gguf mixed.gguf --mix q4_k_m --exclude token_embd
expect 0 diff mixed.gguf rounded.gguf --json
json /total/max_error 0.0
expect 2 convert qwen3_fp8 refused.gguf --mix q4_k_n
complains "did you mean 'q4_k_m'?"
expect 2 convert qwen3_fp8 refused.gguf --mix q4_k_m --type q8_0

# Metadata and tokenizer.
has() {  # FILE 'KEY VALUE'...
  expect 0 inspect "$1" --json --full
  shift
  for pair; do
    grep -A3 "\"key\": \"${pair% *}\"" out | grep -qF "\"value\": ${pair#* }" ||
      grep -A3 "\"key\": \"${pair% *}\"" out | grep -qF "\"value\": \"${pair#* }\"" || fail "metadata: $pair"
  done
}
has llama_bf16.out.gguf 'general.architecture llama' 'llama.block_count 2' 'llama.attention.head_count_kv 2' \
  'llama.rope.dimension_count 16' 'tokenizer.ggml.pre llama-bpe' 'tokenizer.ggml.bos_token_id 0' \
  'tokenizer.ggml.add_bos_token true' 'general.file_type 32'
has qwen3_moe_awq.out.gguf 'qwen3moe.expert_count 4' 'qwen3moe.expert_used_count 2' 'tokenizer.ggml.pre qwen2' \
  'qwen3moe.expert_feed_forward_length 64'
has gpt_oss_mxfp4.out.gguf 'general.architecture gpt-oss' 'gpt-oss.attention.sliding_window 4' \
  'gpt-oss.rope.scaling.type yarn' 'gpt-oss.rope.scaling.yarn_beta_fast 32.0' 'gpt-oss.expert_used_count 2' \
  'tokenizer.ggml.pre gpt-4o' 'general.file_type 38'

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
