. "${0%/*}/lib.sh"

for i in 1 2 3 4 5 6 7 8 9; do echo "Line $i of a text, which is long enough for a few windows of tokens."; done >text
calibrated() {  # METHOD OUT ARGUMENT...
  expect 0 quantize "$F/llama.gguf" "$2" --type q4_0 --method "$1" --calibration text --context 64 --windows 8 "${@:3}"
}
divergence() {
  expect 0 perplexity "$1" text --context 64 --windows 6 --base "$F/llama.gguf"
  awk '/divergence/ { sub(/.*: /, ""); print $1 }' out
}

# Every method brings the model nearer to the float one than plain rounding does, in files of the same size, whatever
# the number of threads.
expect 0 quantize "$F/llama.gguf" rtn.gguf --type q4_0
for method in gptq awq awq+gptq; do
  calibrated $method $method.gguf
  calibrated $method three.gguf --threads 3
  same $method.gguf three.gguf
  [ "$(wc -c <$method.gguf)" = "$(wc -c <rtn.gguf)" ] || fail "$method changes the size"
  is_type $method.gguf blk.1.ffn_down.weight q4_0
  is_type $method.gguf blk.1.ffn_norm.weight f32
  awk -v with="$(divergence $method.gguf)" -v without="$(divergence rtn.gguf)" 'BEGIN { exit !(0 < with && with < without) }' ||
    fail "$method does not help"
done

# A rotated model computes the same. It is another one in every matrix, in the types that are asked for.
expect 0 quantize "$F/llama.gguf" turned.gguf --type f32 --method klt --calibration text --context 64 --windows 8
awk -v d="$(divergence turned.gguf)" 'BEGIN { exit !(d < 1e-6) }' || fail "the rotated model is another one"
expect 0 diff "$F/llama.gguf" turned.gguf --json
awk -v e="$("$HELPER" json /total/relative_rmse <out)" 'BEGIN { exit !(e > 0.5) }' || fail "nothing was rotated"
for method in klt klt+gptq; do
  calibrated $method $method.gguf --exclude ffn_up
  calibrated $method three.gguf --exclude ffn_up --threads 3
  same $method.gguf three.gguf
  is_type $method.gguf blk.1.ffn_down.weight q4_0
  is_type $method.gguf token_embd.weight q4_0
  is_type $method.gguf blk.1.ffn_up.weight f32
done
awk -v with="$(divergence klt+gptq.gguf)" -v without="$(divergence rtn.gguf)" 'BEGIN { exit !(0 < with && with < without) }' ||
  fail "klt+gptq does not help"

# What is left out stays as it is, and the embedding is rounded as ever.
calibrated gptq some.gguf --exclude 'ffn|output.weight'
is_type some.gguf blk.0.ffn_up.weight f32
is_type some.gguf blk.0.attn_q.weight q4_0
expect 0 diff rtn.gguf gptq.gguf
grep -qE '^token_embd.weight .* exact' out || fail "the embedding changed"
expect 0 quantize "$F/llama.gguf" mix.gguf --mix q4_k_m --method gptq --calibration text --context 64
is_type mix.gguf blk.0.ffn_down.weight q5_0

mkdir left
expect 2 quantize "$F/llama.gguf" left/x.gguf --type q4_0 --method gptq
complains "--calibration"
expect 2 quantize "$F/llama.gguf" left/x.gguf --type q4_0 --method best --calibration text
expect 2 quantize "$F/llama.gguf" left/x.gguf --type q4_0 --method gptq --calibration text --context 4096
complains "fewer tokens than one window"
expect 2 quantize "$F/model.gguf" left/x.gguf --type q4_0 --method gptq --calibration text
complains "lack a usable"
expect 2 quantize "$DEMO" left/x.gguf --type iq3_s --method gptq --calibration text --context 8
complains "stand for one element each"
head -c 300 "$F/llama.gguf" >cut.gguf
expect 2 quantize cut.gguf left/x.gguf --type q4_0 --method gptq --calibration text
empty left
