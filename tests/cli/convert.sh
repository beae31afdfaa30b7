. "${0%/*}/lib.sh"

# Every architecture, and every layout, means what the helper says that it means.
for model in llama:bf16 mistral:mxfp4 qwen2:int4 qwen3:awq llama:nvfp4 mistral:awq qwen2:mxfp4 qwen3:fp8; do
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

# What nothing holds exactly is rounded to the type that is asked for, and the error said.
expect 0 convert qwen3_fp8 rounded.gguf
says "1 matrix exact, 14 rounded"
is_type rounded.gguf blk.0.attn_q.weight bf16
expect 0 convert qwen3_fp8 rounded.gguf --type q8_0 --threads 1
cp rounded.gguf one.gguf
expect 0 convert qwen3_fp8 rounded.gguf --type q8_0 --threads 3
same one.gguf rounded.gguf
is_type rounded.gguf blk.0.attn_q.weight q8_0

# Metadata and tokenizer.
expect 0 inspect llama_bf16.out.gguf --json --full
json /metadata/0/value llama
for pair in 'llama.block_count 2' 'llama.attention.head_count_kv 2' 'llama.rope.dimension_count 16' \
  'tokenizer.ggml.pre llama-bpe' 'tokenizer.ggml.bos_token_id 0' 'tokenizer.ggml.add_bos_token true' 'general.file_type 32'; do
  grep -A3 "\"key\": \"${pair% *}\"" out | grep -qF "\"value\": ${pair#* }" ||
    grep -A3 "\"key\": \"${pair% *}\"" out | grep -qF "\"value\": \"${pair#* }\"" || fail "metadata: $pair"
done

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
sed -i 's/LlamaForCausalLM/GrokForCausalLM/' llama_bf16/config.json
refused "'GrokForCausalLM' is not known" llama_bf16
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
