. "${0%/*}/lib.sh"

story=${DEMO%.gguf}.txt
error() { "$BLOCQ" diff "$1" "$2" --json | "$HELPER" json /total/relative_rmse; }
within() { awk -v x="$1" -v low="$2" -v high="$3" 'BEGIN { exit !(x > low && x < high) }' || fail "$1 is not in $2 to $3"; }
perplexity() {
  expect 0 perplexity "$1" "$story" --windows 2
  awk '{ print $2; exit }' out
}

# NVFP4 is written with a scale beside each matrix that may have one; the embedding may not.
expect 0 quantize "$DEMO" nv.gguf -t nvfp4
says "15 scales of whole tensors written"
says "16 tensors quantized to nvfp4, 5 kept"
is_type nv.gguf blk.0.attn_q.scale f32
is_type nv.gguf output.scale f32
is_type nv.gguf token_embd.weight nvfp4
[ -z "$(type_of nv.gguf token_embd.scale)" ] || fail "the embedding has a scale"
for n in 1 5; do
  expect 0 quantize "$DEMO" again.gguf -t nvfp4 --threads $n
  same nv.gguf again.gguf
done

# Every command means the scaled weights.
expect 0 diff "$DEMO" nv.gguf
hushes scale
within "$(error "$DEMO" nv.gguf)" 0.07 0.1
expect 0 dequantize nv.gguf plain.gguf
says "15 scales of whole tensors multiplied into their weights and left out"
[ -z "$(type_of plain.gguf blk.0.attn_q.scale)" ] || fail "a scale was left"
expect 0 diff nv.gguf plain.gguf
grep -E '^all of them +0 +exact' out >/dev/null || fail "not the same weights"
awk -v a="$(perplexity nv.gguf)" -v b="$(perplexity plain.gguf)" 'BEGIN { exit !(a / b > 0.999 && a / b < 1.001) }' ||
  fail "other predictions with scales than with them multiplied in"
expect 0 quantize nv.gguf q8.gguf -t q8_0
says "multiplied into their weights"
within "$(error nv.gguf q8.gguf)" 0.003 0.007
expect 0 quantize nv.gguf some.gguf -t q8_0 --include attn_q
says "2 scales of whole tensors multiplied"
is_type some.gguf blk.0.attn_k.scale f32
expect 0 diff nv.gguf some.gguf
expect 0 compare nv.gguf --rows 4
expect 0 imatrix nv.gguf "$story" i.gguf --windows 1

# Weights as small as a scale makes them are not lost: a hundred thousandth of those, in one tensor and in stacked ones.
expect 0 quantize "$F/small.gguf" small.gguf -t nvfp4
says "2 scales of whole tensors written"
within "$(error "$F/small.gguf" small.gguf)" 0.05 0.12
expect 0 inspect small.gguf
grep -qE '^blk.0.ffn_up_exps.scale +f32 +3 ' out || fail "not a scale for each expert"
expect 0 quantize "$F/small.gguf" small.gguf -t nvfp4 --best
within "$(error "$F/small.gguf" small.gguf)" 0.05 0.11

# A scale of a matrix in any type, one for each expert; what is no scale is a tensor as others are.
expect 0 diff "$F/scaled.gguf" "$F/unscaled.gguf"
grep -E '^all of them +0 +exact' out >/dev/null || fail "not the same weights"
expect 0 diff "$F/unscaled.gguf" "$F/scaled.gguf"
expect 0 quantize "$F/scaled.gguf" a.gguf -t q8_0
expect 0 quantize "$F/unscaled.gguf" b.gguf -t q8_0
same <("$BLOCQ" inspect a.gguf | tail -n +4) <("$BLOCQ" inspect b.gguf | tail -n +4)
expect 0 diff a.gguf b.gguf
is_type a.gguf blk.0.ffn_gate_inp.scale f32

# Rounding to a text finds the units too, and starts from the scaled weights.
for i in 1 2 3 4 5 6 7 8 9; do echo "Line $i of a text, which is long enough for a few windows of tokens."; done >text
"$BLOCQ" quantize "$F/llama.gguf" gptq.gguf -t nvfp4 --method gptq --calibration text --context 64 >out 2>err || {
  grep -q Eigen err || fail "GPTQ onto nvfp4"
  exit 0
}
says "13 scales of whole tensors written"
within "$(error "$F/llama.gguf" gptq.gguf)" 0.05 0.15
expect 0 perplexity gptq.gguf text --context 64 --windows 4 --base "$F/llama.gguf"
expect 0 quantize gptq.gguf again.gguf -t q8_0 --method gptq --calibration text --context 64
within "$(error gptq.gguf again.gguf)" 0.002 0.02
