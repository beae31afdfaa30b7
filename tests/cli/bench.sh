. "${0%/*}/lib.sh"

# That something was measured, not how much: every figure is a number above zero.
quick="--seconds 0.02 --memory 4 --threads 2"
expect 0 bench Q4_K q8_0 mxfp8_e4m3 $quick --json
json /threads 2
json /memory_bytes 4194304
json /formats/0/name q4_k
json /formats/2/name mxfp8_e4m3
json /formats/1/model_bytes 7159283712.0
json /instruction_sets/0/name baseline
json /instruction_sets/0/runs_here true
for figure in memory_bytes_per_second formats/{0,1,2}/{memory_bytes,cache_bytes,tokens,prompt_tokens}_per_second; do
  value=$("$HELPER" json /$figure <out) || fail "no $figure"
  awk -v v="$value" 'BEGIN { exit !(v > 0) }' || fail "$figure is $value"
done
chosen=$("$HELPER" json /instruction_set <out)

# The estimate follows from what was measured: weights per second over those that a token meets.
awk -v rate="$("$HELPER" json /formats/0/memory_bytes_per_second <out)" \
  -v tokens="$("$HELPER" json /formats/0/tokens_per_second <out)" \
  'BEGIN { wanted = rate * 8 / 4.5 / 6607077376; exit !(tokens > 0.9999 * wanted && tokens < 1.0001 * wanted) }' ||
  fail "tokens per second do not follow"

# The newest that runs here is taken, unless another is asked for.
expect 0 bench q4_0 $quick
says "instructions: $chosen (this program has baseline"
says "bound by"
grep -qE '^q4_0 +4.5000 ' out || fail "no line for the format"
expect 0 bench q4_0 $quick --instructions baseline --json
json /instruction_set baseline

expect 2 bench q4_0 $quick --instructions mmx
complains "it was for baseline"
expect 2 bench q9_k
complains "did you mean 'q"
expect 2 bench q8_k
complains "q8_k"
expect 2 bench q4_0 --seconds 0
