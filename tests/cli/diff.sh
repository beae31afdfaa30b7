. "${0%/*}/lib.sh"

expect 0 diff "$DEMO" "$DEMO"
grep -E '^all of them +0 +exact +0$' out >/dev/null || fail "a file differs from itself"

expect 0 quantize "$DEMO" q8.gguf -t q8_0
expect 0 quantize "$DEMO" q4.gguf -t q4_0
error() { "$BLOCQ" diff "$DEMO" "$1" --json | "$HELPER" json /total/relative_rmse; }
awk -v a="$(error q8.gguf)" -v b="$(error q4.gguf)" 'BEGIN { exit !(a > 0.004 && a < 0.007 && b > 0.06 && b < 0.12) }' ||
  fail "relative errors are $(error q8.gguf) and $(error q4.gguf)"
expect 0 diff "$DEMO" q8.gguf --threads 1
cp out one
expect 0 diff "$DEMO" q8.gguf --threads 7
same out one
expect 0 diff "$DEMO" q8.gguf --json
json /tensors/0/name token_embd.weight
json /tensors/0/type_b q8_0
json /differences '[]'

expect 1 diff "$F/whole.gguf" "$F/other_shape.gguf"
says "tensor 'b.weight' is 256 x 5 in one file and 256 x 6 in the other"
says "tensor 'c.weight' is only in $F/whole.gguf"
says "tensor 'e.weight' is only in $F/other_shape.gguf"
expect 1 diff "$F/whole.gguf" "$F/other_shape.gguf" --json
json /differences/0 "tensor 'b.weight' is 256 x 5 in one file and 256 x 6 in the other"
expect 0 diff "$F/whole.gguf" "$F/split-00002-of-00002.gguf"
expect 1 diff "$F/nan.gguf" "$F/nan.gguf"
says nan
complains "tensor 'second.weight'"
expect 1 diff "$F/zeros.gguf" "$F/whole.gguf"
complains "all weights of A are zero"
expect 0 diff "$F/zeros.gguf" "$F/zeros.gguf"
expect 0 diff "$F/integers.gguf" "$F/integers.gguf"
expect 2 diff "$F/whole.gguf" missing.gguf
complains missing.gguf
