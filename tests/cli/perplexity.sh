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

# Several copies at once: the same figures in a table.
expect 0 perplexity "$F/llama.gguf" text --context 64 --windows 5 --base "$F/llama.gguf"
exact=$(awk '{ print $2; exit }' out)
expect 0 perplexity q4.gguf text --context 64 --windows 5 --base "$F/llama.gguf"
q4="$(awk '{ print $2; exit }' out) $(awk '/divergence/ { sub(/.*: /, ""); print $1 }' out)"
expect 0 perplexity "$F/llama.gguf" text --context 64 --windows 5 --copies q8.gguf q4.gguf
[ "$(awk '$1 == "llama.gguf" { print $2, $3, $4, $6 }' out)" = "32.0000 0 $exact 0" ] || fail "the model itself"
[ "$(awk '$1 == "q4.gguf" { print $2, $5, $7 }' out)" = "4.5000 $q4" ] || fail "q4 is not $q4"
mkdir other
cp q8.gguf other/
expect 0 perplexity "$F/llama.gguf" text --context 64 --windows 5 --copies q8.gguf q4.gguf other/q8.gguf --svg plot.svg --json
json /models/1/bits_per_weight 8.5
for word in '>q4<' '>q8<' '>copies<' '>other<' 'KL divergence'; do
  grep -q "$word" plot.svg || fail "no $word in the plot"
done
expect 2 perplexity "$F/llama.gguf" text --svg plot.svg
expect 2 perplexity "$F/llama.gguf" text --context 64 --copies q8.gguf "$F/model.gguf"
complains "embedding_length"
expect 2 perplexity "$F/llama.gguf" text --context 64 --base q8.gguf --copies q4.gguf

# The model of the demo has learnt its stories, and loses some of that in two bits.
story=${DEMO%.gguf}.txt
expect 0 quantize "$DEMO" q8.gguf -t q8_0
expect 0 quantize "$DEMO" q2.gguf -t q2_k
expect 0 perplexity "$DEMO" "$story" --windows 4 --copies q8.gguf q2.gguf
column() { awk -v name="$1" -v n="$2" '$1 == name { print $n }' out; }
awk -v own="$(column story.gguf 4)" -v q8="$(column q8.gguf 5)" -v q2="$(column q2.gguf 5)" \
  'BEGIN { exit !(1 < own && own < 2.5 && q8 < 1.01 * own && q2 > 1.01 * own) }' || fail "perplexities of the demo"

# Keys and values in fewer bits cost something, in q8_0 next to nothing.
cached() {
  expect 0 perplexity "$DEMO" "$story" --windows 2 --base "$DEMO" --cache $1
  awk '/divergence/ { sub(/.*: /, ""); print $1 }' out
}
awk -v q8="$(cached q8_0)" -v q4="$(cached q4_0)" -v k4="$(cached kivi4)" -v k2="$(cached kivi2)" \
  'BEGIN { exit !(0 < q8 && q8 < q4 && 0 < k4 && k4 < k2) }' || fail "divergences of caches"
# A rotation before that changes nothing in floats, and lets blocks lose less.
awk -v f32="$(cached f32+rotate)" -v q4="$(cached q4_0)" -v turned="$(cached q4_0+rotate)" \
  'BEGIN { exit !(f32 < 1e-9 && 0 < turned && turned < q4) }' || fail "divergences of rotated caches"
# KVQuant: the more bits the better, of keys and values by themselves too; what fits in binary16 is no measurement.
awk -v k2="$(cached kvquant2)" -v k3="$(cached kvquant)" -v k4="$(cached kvquant4)" \
  -v k42="$(cached "kvquant4 --cache-v kvquant2")" \
  'BEGIN { exit !(0 < k4 && k4 < k3 && k3 < k2 && k4 < k42 && k42 < k2) }' || fail "divergences of KVQuant"
expect 2 perplexity "$DEMO" "$story" --cache kvquant --cache-v q8_0
complains "keys of the kind 'kvquant' and values of the kind 'q8_0'"
warned=1 expect 0 perplexity "$DEMO" "$story" --context 64 --windows 1 --cache kvquant
complains "up to 127 tokens in binary16"
# ThinK and MiniCache; what they take is said.
for cache in think minicache; do
  awk -v d="$(cached $cache)" 'BEGIN { exit !(d > 1e-6) }' || fail "divergence of $cache"
  awk -v bits="$(awk '/bits for a number/ { print $1 }' out)" 'BEGIN { exit !(bits < 16 && bits > 8) }' || fail "bits of $cache"
  expect 2 perplexity "$DEMO" "$story" --cache $cache --cache-v f16
  complains "keys of the kind '$cache' and values of the kind 'f16'"
done
# Keys and values by themselves.
[ "$(cached "f32 --cache-k q4_0 --cache-v q4_0")" = "$(cached q4_0)" ] || fail "q4_0 is not q4_0"
awk -v both="$(cached q4_0)" -v keys="$(cached "q4_0 --cache-v f32")" -v values="$(cached "q4_0 --cache-k f16+rotate")" \
  'BEGIN { exit !(0 < keys && keys < both && 0 < values && values < both && keys != values) }' || fail "halves of a cache"
expect 2 perplexity "$DEMO" "$story" --cache kivi4 --cache-v q8_0
complains "keys of the kind 'kivi4' and values of the kind 'q8_0'"
expect 2 perplexity "$F/llama.gguf" text --context 64 --cache q8_0+rotate
complains "a width of 16 channels is not whole blocks of 32"
expect 2 perplexity "$F/llama.gguf" text --context 64 --cache q8_0
complains "a width of 16 channels is not whole blocks of 32"

expect 2 perplexity "$F/model.gguf" text
complains "lack a usable 'llama.embedding_length'"
expect 2 perplexity "$F/unnamed.gguf" text
complains "the model has 264 tokens and the file's vocabulary 259"
echo short >short
expect 2 perplexity "$F/llama.gguf" short
complains "fewer tokens than one window"
expect 2 perplexity "$F/llama.gguf" missing
complains "missing"
