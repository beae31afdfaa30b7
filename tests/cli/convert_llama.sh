# Converted models in stock llama.cpp against transformers, where both are installed.
. "${0%/*}/lib.sh"
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 0; }

for model in llama mistral qwen2 qwen3 qwen3_moe gpt_oss; do
  "$CHECKPOINT" $model bf16 $model || fail "no checkpoint $model"
  expect 0 convert $model $model.gguf
  expect 0 quantize $model.gguf $model.f32.gguf --type f32
  python3 "${0%/*}/check_logits.py" $model $model.f32.gguf || fail "$model differs"
done
# Layouts whose codes llama.cpp reads itself.
command -v llama-completion >/dev/null || { echo "skipped: no llama-completion"; exit 0; }
for model in llama:nvfp4 mistral:mxfp4 qwen2:int4 qwen3:awq qwen3_moe:nvfp4 gpt_oss:mxfp4; do
  name=${model/:/_}
  "$CHECKPOINT" "${model%:*}" "${model#*:}" "$name" || fail "no checkpoint $name"
  expect 0 convert "$name" "$name.gguf"
  llama-completion -m "$name.gguf" -p "the rain" -n 4 --temp 0 -c 64 -no-cnv >out 2>err </dev/null ||
    fail "llama.cpp does not run $name"
done
