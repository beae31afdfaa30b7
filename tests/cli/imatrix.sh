. "${0%/*}/lib.sh"

for i in 1 2 3 4 5 6 7 8 9; do echo "Line $i of a text, which is long enough for a few windows of tokens."; done >text

# Both forms say the same, whatever the number of threads.
expect 0 imatrix "$F/llama.gguf" text one.gguf --context 32
says "14 matrices, 864 tokens"
expect 0 imatrix "$F/llama.gguf" text three.gguf --context 32 --threads 3
same one.gguf three.gguf
expect 0 imatrix "$F/llama.gguf" text one.dat --context 32
expect 0 inspect one.gguf
says "blk.1.ffn_down.weight.in_sum2"
! grep -q '^output' out || fail "the output has weights"
expect 0 quantize "$F/llama.gguf" gguf.gguf --type q4_0 --imatrix one.gguf
says "importance weights for 14 of them"
expect 0 quantize "$F/llama.gguf" dat.gguf --type q4_0 --imatrix one.dat
same_weights gguf.gguf dat.gguf
expect 0 quantize "$F/llama.gguf" plain.gguf --type q4_0
other_weights gguf.gguf plain.gguf

# What weighs the columns by their use brings the model nearer to the float one.
divergence() {
  expect 0 perplexity "$1" text --context 64 --windows 6 --base "$F/llama.gguf"
  awk '/divergence/ { sub(/.*: /, ""); print $1 }' out
}
awk -v with="$(divergence gguf.gguf)" -v without="$(divergence plain.gguf)" 'BEGIN { exit !(0 < with && with < without) }' ||
  fail "importance weights do not help"

mkdir left
expect 2 imatrix "$F/llama.gguf" text left/x.bin
complains "is a .gguf or"
expect 2 imatrix "$F/llama.gguf" text left/x.gguf --context 2048
complains "fewer tokens than one window"
expect 2 imatrix "$F/model.gguf" text left/x.gguf
complains "lack a usable"
expect 2 imatrix "$F/llama.gguf" missing left/x.gguf
complains "missing"
empty left
