. "${0%/*}/lib.sh"

for i in 1 2 3 4 5 6 7 8 9; do echo "Line $i of a text, which is long enough for a few windows of tokens."; done >text
figure() { "$HELPER" json "$1" <out || fail "no JSON, or none at $1"; }
holds() { awk "BEGIN { exit !($1) }" || fail "$1"; }

# The weights alone; of normally distributed numbers 4 bits keep 19.26 dB as integers, 5.58 dB as a quarter of them.
expect 0 probe "$DEMO"
grep -qE '^blk.1.ffn_down.weight( +[0-9.]+){9}$' out || fail "no line for a matrix"
grep -qE '^\(normal\) +- +3.00 .* 19.26 +5.58$' out || fail "normal numbers"
hushes "inputs of"
hushes "layer"
expect 0 probe "$DEMO" --json
for i in 0 1 2; do
  holds "$(figure /matrices/6/reduced/$i/rounded_db) > $(figure /matrices/6/reduced/$i/pruned_db)"
done
expect 0 probe "$F/uniform.gguf"
grep -qE '^output.weight( +(-|0)){9}$' out || fail "zeros have figures"

# With a text: nothing depends on the number of threads.
quick="--context 32 --windows 9"
expect 0 probe "$F/llama.gguf" text $quick --parts 2 --json
cp out one
expect 0 probe "$F/llama.gguf" text $quick --parts 2 --json --threads 3
same one out
for layer in 0 1; do holds "0 < $(figure /block_importance/$layer) && $(figure /block_importance/$layer) < 2"; done
json /calibration/type q4_0
json /calibration/matrices 15
json /calibration/tokens 96
a=$(figure /calibration/divergences/0) b=$(figure /calibration/divergences/1)
mean=$(figure /calibration/mean) deviation=$(figure /calibration/standard_deviation)
holds "$a != $b && ($a + $b) / 2 / $mean > 0.9999 && ($a + $b) / 2 / $mean < 1.0001"
holds "($a - $b) ^ 2 / 2 / $deviation ^ 2 > 0.999 && ($a - $b) ^ 2 / 2 / $deviation ^ 2 < 1.001"
for name in together without; do holds "$(figure /calibration/$name) > 0"; done
for figure in inputs/peak_ratio inputs/kurtosis divergence/noise divergence/clipping divergence_of_inputs/noise \
  divergence_of_inputs/clipping; do
  holds "$(figure /matrices/3/$figure) > 0"
done

# More of a disturbance disturbs more. A matrix that is looked up has no inputs.
expect 0 probe "$F/llama.gguf" text $quick --noise 0.1 --type iq4_nl
says "or its inputs, are disturbed by 0.1 of their energy"
says "iq4_nl in 15 matrices, with importance from 32 tokens, 4 times"
[ "$(awk '/^layer/ { on = 1 } on && /^[0-9]/' out | wc -l)" = 2 ] || fail "not two layers"
grep -qE '^token_embd.weight( +-){3}( +[0-9.e-]+){3}( +-){3}$' out || fail "the embedding"
more=$(awk '/^inputs/ { on = 1 } on && $1 == "blk.0.attn_v.weight" { print $5 }' out)
holds "$more > $("$HELPER" json /matrices/3/divergence/noise <one)"
more=$(awk '/^inputs/ { on = 1 } on && $1 == "blk.0.attn_v.weight" { print $8 }' out)
holds "$more > $("$HELPER" json /matrices/3/divergence_of_inputs/noise <one)"
[ "$("$HELPER" json /matrices/3/name <one)" = blk.0.attn_v.weight ] || fail "another matrix"

# A model that takes all tokens for equally likely does so whatever its other weights are.
expect 0 probe "$F/uniform.gguf" text $quick
grep -qE '^blk.1.ffn_up.weight( +[0-9.e+]+){3}( +0 +0 +-){2}$' out || fail "the predictions of a model that has none"

expect 1 probe "$F/nan.gguf"
complains "tensor 'second.weight', row 7"
expect 2 probe "$F/llama.gguf" text $quick --type q8_0
complains "q8_0 is rounded to without importance"
expect 2 probe "$F/llama.gguf" text $quick --type q3_k
complains "no matrix has rows of whole blocks of q3_k"
expect 2 probe "$F/llama.gguf" text $quick --parts 9
complains "9 windows of 32 tokens are too few for 9 parts"
expect 2 probe "$F/model.gguf" text
complains "lack a usable"
expect 2 probe "$F/llama.gguf" missing
complains "missing"
