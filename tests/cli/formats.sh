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

# One format: the diagram, the same as in docs/layouts.md, and as JSON what each bit is.
expect 0 formats Q5_K
says "y = d s[g] q - dmin min[g]"
says "16 + j   q[j + 224] bit 4 | q[j + 192] bit 4 | ... | q[j] bit 4"
"$LAYOUTS" "$BLOCQ" layouts.md && same layouts.md "${LAYOUTS%/*}/../docs/layouts.md"
# Bit 4 of weight 137 is bit 4 of byte 16 + 137 % 32.
expect 0 formats q5_k --json
json /bits/204/name q
json /bits/204/index 137
json /bits/204/place 4
json /bits/204/weights "[137]"
json /fields/4/offset 48
# What no plane has: a high bit of an index, a sign, a group's scale in two places, a digit in base 3.
expect 0 formats iq3_s --json
json /bits/$((8 * 67 + 3))/name index
json /bits/$((8 * 67 + 3))/index 11
json /bits/$((8 * 67 + 3))/place 8
json /bits/$((8 * 67 + 3))/weights "[44,45,46,47]"
json /bits/$((8 * 80 + 5))/name sign
json /bits/$((8 * 80 + 5))/weights "[53]"
expect 0 formats q4_k --json
json /bits/$((8 * 5 + 7))/name s
json /bits/$((8 * 5 + 7))/index 5
json /bits/$((8 * 5 + 7))/place 5
expect 0 formats iq2_xxs --json
json /bits/$((8 * 6))/weights "[0,7]"
expect 0 formats tq1_0 --json
json /bits/0/others "[32,64,96,128]"
json /bits/0/place -1
# Every bit of every format belongs to something, and to no more weights than there are.
for type in $("$BLOCQ" formats | awk 'NR > 1 && $1 != "f32" && $1 !~ /^(nvfp4|nf4)_/ { print $1 }'); do
  expect 0 formats $type --json --svg $type.svg
  [ "$("$HELPER" json /bits <out | grep -o '"name":""' | wc -l)" = 0 ] || fail "$type has bits that are nothing"
  "$HELPER" xml $type.svg || fail "the picture of $type is not well-formed"
done
expect 2 formats q4k_m
complains "did you mean 'q4_k'?"
expect 2 formats nvfp4_two_level
complains "no format of rows of blocks"
expect 2 formats --svg x.svg
[ ! -e x.svg ] || fail "an output was left behind"
