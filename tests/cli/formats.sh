. "${0%/*}/lib.sh"

expect 0 --version
says "blocq "
expect 0 --help
for c in formats inspect quantize dequantize diff compare; do
  says "$c"
  expect 0 $c --help
  says "Usage: blocq $c"
  expect 0 --help
done
expect 2
expect 2 nonsense
expect 2 formats --nonsense
expect 2 inspect

expect 0 formats
says "format"
grep -qE '^q8_0 +8 +32 +34 +8\.5000 +q8_0 +reference' out || fail "the line of q8_0"
grep -qE '^q4_k +12 +256 +144 +4\.5000 +q8_k ' out || fail "the line of q4_k"

expect 0 formats --json
json /0/name f32
json /0/gguf_id 0
rows=$("$HELPER" json "" <out | tr '{' '\n' | grep -c '"name"')
expect 0 formats
[ "$rows" = "$(($(wc -l <out) - 1))" ] || fail "table and JSON list different numbers of formats"
