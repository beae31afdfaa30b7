# Commands other than convert that take published checkpoints as they take GGUF files.
. "${0%/*}/lib.sh"

for model in llama:bf16 qwen3:awq llama:nvfp4; do
  name=${model/:/_}
  "$CHECKPOINT" "${model%:*}" "${model#*:}" "$name" || fail "no checkpoint $name"
done

# diff across kinds, under the names that convert gives, in both directions.
expect 0 diff qwen3_awq qwen3_awq.gguf --json
json /differences '[]'
json /total/max_error 0.0
expect 0 diff llama_bf16.gguf llama_bf16 --threads 1
grep -E '^all of them +0 +exact +0$' out >/dev/null || fail "a checkpoint differs from what it means"
expect 0 diff qwen3_awq qwen3_awq
says "awq, 4 bits, groups of 32, zeros"
# The scale of a whole tensor is part of the weight; the order of two products changes the last bit.
expect 0 diff llama_nvfp4 llama_nvfp4.gguf --json
json /differences '[]'
"$HELPER" json /total/relative_rmse <out | awk '{ exit !($1 < 1e-7) }' || fail "scales are lost"
# How far a quantized copy is from the original, and what has no partner.
expect 0 quantize llama_bf16 q8.gguf --type q8_0
expect 0 diff llama_bf16 q8.gguf --json
"$HELPER" json /total/relative_rmse <out | awk '{ exit !($1 > 0.003 && $1 < 0.008) }' || fail "the error is not q8_0's"
cp out one
expect 0 diff llama_bf16 q8.gguf --json --threads 3
same out one
expect 1 diff llama_bf16 qwen3_awq
says "tensor 'output.weight' is only in llama_bf16"
says "tensor 'blk.0.attn_q_norm.weight' is only in qwen3_awq"

# Names that are not known are kept, and a sentence says why.
mkdir alone other
cp llama_bf16/model-00001-of-00002.safetensors alone/a.safetensors
expect 0 diff alone alone/a.safetensors
says "model.layers.1.input_layernorm.weight"
says "names are those of the checkpoint, because there is no config.json"
cp llama_bf16/* other
sed -i 's/LlamaForCausalLM/GrokForCausalLM/' other/config.json
expect 1 diff other llama_bf16.gguf
says "'GrokForCausalLM' is not known"
says "tensor 'lm_head.weight' is only in other"
expect 0 quantize other kept.gguf --type q8_0
says "'GrokForCausalLM' is not known: names are kept"
is_type kept.gguf lm_head.weight q8_0

# compare measures the same as on the GGUF file.
figures() { cut -d, -f1,5-7,10 "$1"; }
expect 0 compare qwen3_awq --rows 0 --csv a.csv
expect 0 compare qwen3_awq.gguf --rows 0 --csv b.csv
[ "$(figures a.csv)" = "$(figures b.csv)" ] || fail "a checkpoint gives other figures than its GGUF file"
expect 0 compare alone --rows 2

# quantize and dequantize write what they would write of the converted file; of NVFP4 but for the last bit, which may
# be the one that decides how a weight is rounded.
near() {
  expect 0 diff a.gguf b.gguf --json
  "$HELPER" json /total/relative_rmse <out | awk -v limit="$1" '{ exit !($1 < limit) }' || fail "$name means something else"
}
for name in qwen3_awq llama_nvfp4; do
  expect 0 convert $name $name.out.gguf --type f32
  for how in '--type q8_0' '--mix q4_k_m' '--type q4_0 --exclude ffn'; do
    expect 0 quantize $name a.gguf $how --threads 3
    expect 0 quantize $name.out.gguf b.gguf $how --threads 1
    [ $name = llama_nvfp4 ] || same a.gguf b.gguf
    near 1e-3
  done
  expect 0 dequantize $name a.gguf
  expect 0 dequantize $name.out.gguf b.gguf
  near 1e-7
done

# Layouts beyond those of the models here.
expect 0 inspect "$GOLDEN/checkpoint/hqq4.safetensors"
says "hqq, 4 bits, groups of 16, zeros, strided"
expect 2 inspect "$GOLDEN/checkpoint/mxfp6_e2m3.safetensors"
complains "fp6_e2m3 or fp6_e3m2"
layout() {  # NAME CONFIG: converts a golden file of a model that nobody knows
  mkdir "$1"
  cp "$GOLDEN/checkpoint/$1.safetensors" "$1"
  printf '{"model_type": "none", "quantization_config": %s}' "$2" >"$1/config.json"
  expect 0 convert "$1" "$1.gguf"
  says "there is no tokenizer.json"
}
layout mxfp6_e2m3 '{"global_quant_config": {"weight": {"dtype": "fp6_e2m3"}}}'
says "3 matrices exact, 0 rounded"
layout matmul_nbits4 '{"bits": 4}'
is_type matmul_nbits4.gguf b.MatMul.weight q5_0
expect 0 diff matmul_nbits4 matmul_nbits4.gguf
layout hqq4 '{"quant_method": "hqq"}'
is_type hqq4.gguf a.weight q4_0
is_type hqq4.gguf b.weight bf16

# What cannot be done.
expect 2 quantize llama_bf16 llama_bf16/model-00002-of-00002.safetensors --type q8_0
complains "the output is the input"
expect 2 quantize llama_bf16 refused.gguf --type q8_0 --method awq --calibration "$0"
complains "needs a GGUF file"
expect 2 perplexity llama_bf16 "$0"
complains "'blocq convert' makes a GGUF file of it"
"$CHECKPOINT" llama nan nan || fail "no checkpoint"
for command in 'diff nan nan' 'compare nan --rows 0' 'quantize nan refused.gguf --type q8_0'; do
  expect 2 $command
  complains "tensor 'model.layers.0.self_attn.q_proj.weight_packed'"
  complains ".safetensors"
done
[ ! -e refused.gguf ] || fail "something appeared"
