. "${0%/*}/lib.sh"

for i in 1 2 3 4 5 6 7 8 9; do echo "Line $i of a text, which is long enough for a few windows of tokens."; done >text

# A model that takes all of its 259 tokens for equally likely.
expect 0 perplexity "$F/uniform.gguf" text --context 32
says "perplexity 259.0000 +- 0.0000 over 405 tokens"

# Nothing depends on the number of threads, and a model is no distance from itself.
expect 0 perplexity "$F/llama.gguf" text --context 64 --windows 5 --base "$F/llama.gguf"
grep -v tokens/s out >one
says "over 155 tokens"
says "0 +- 0, same top token 100.0 %"
expect 0 perplexity "$F/llama.gguf" text --context 64 --windows 5 --base "$F/llama.gguf" --threads 3
grep -v tokens/s out >three
same one three

# Quantized weights are near it, the finer the nearer.
expect 0 quantize "$F/llama.gguf" q8.gguf -t q8_0
expect 0 quantize "$F/llama.gguf" q4.gguf -t q4_0
divergence() {
  expect 0 perplexity "$1" text --context 64 --windows 5 --base "$F/llama.gguf"
  awk '/divergence/ { sub(/.*: /, ""); print $1 }' out
}
awk -v q8="$(divergence q8.gguf)" -v q4="$(divergence q4.gguf)" 'BEGIN { exit !(0 < q8 && q8 < q4) }' ||
  fail "q8_0 is not nearer than q4_0"

expect 2 perplexity "$F/model.gguf" text
complains "lack a usable 'llama.embedding_length'"
echo short >short
expect 2 perplexity "$F/llama.gguf" short
complains "fewer tokens than one window"
expect 2 perplexity "$F/llama.gguf" missing
complains "missing"
