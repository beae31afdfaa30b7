. "${0%/*}/lib.sh"

# The rules of a mix by themselves.
expect 0 explain q4_k_m
says "q4_k_m: q4_k, but the first that applies of"
grep -qE '^values +q6_k +the first and last eighth, and every third between' out || fail "values"
grep -qE '^output +q6_k +always' out || fail "output"
expect 0 explain Q8_0
says "q8_0: q8_0"
expect 0 explain iq3_m --json
json /type iq3_s
"$HELPER" json /rules/0/matrices <out >/dev/null || fail "no rules"

# Of a model: what quantize does, for every mix.
for mix in q4_k_m q2_k iq3_xs q3_k_l q5_0; do
  expect 0 explain $mix "$F/llama256.gguf" --json
  cp out explained
  expect 0 quantize "$F/llama256.gguf" --mix $mix --dry-run
  awk '$1 ~ /weight$/ && $6 != "" { print $1, $6 }' out | while read -r name type; do
    grep -A2 "\"name\": \"$name\"" explained | grep -q "\"type\": \"$type\"" || { echo "$mix: $name is not $type"; exit 1; }
  done || fail "$mix is explained otherwise than done"
done
expect 0 explain q4_k_m "$F/ragged.gguf"
says "rows of 160 are not whole blocks of q4_k"
expect 2 explain q4_m
complains "did you mean 'q4_"
expect 2 explain q4_k_m missing.gguf
complains "missing.gguf"
