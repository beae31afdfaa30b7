. "${0%/*}/lib.sh"

expect 0 inspect "$DEMO"
says "token_embd.weight"
says "256 x 512"
says "blocq stories"
expect 0 inspect "$DEMO" --json
json /metadata/0/key general.architecture
json /metadata/0/value llama
json /tensors/0/shape '[256,512]'
json /tensors/0/type f16
json /total/tensors 21
json /total/elements 1443072

# Foreign text cannot move the cursor, colour or reorder the line, and is valid UTF-8.
expect 0 inspect "$F/escape.gguf"
says 'na\x1b[31mme'
says '\x1b[2J\u{9b}1m\x0d\n\x09\\ \xff\xfe \u{202e} text é'
grep -q "$(printf '[\001-\010\013-\037\177]')" out && fail "a control byte came through"
iconv -f UTF-8 -t UTF-8 out >/dev/null || fail "not UTF-8"
expect 0 inspect "$F/escape.gguf" --json
json /metadata/0/value llama
grep -q "$(printf '[\001-\010\013-\037\177-\377]')" out && fail "JSON is not plain ASCII"

expect 0 inspect "$F/types.gguf"
says "-9000000000"
says "18446744073709551615"
expect 0 inspect "$F/types.gguf" --json
json /metadata/1/value true
json /metadata/3/value 18446744073709551615
json /metadata/5/value null

# Long arrays are cut unless asked for.
expect 0 inspect "$GOLDEN/gguf/kv_array.gguf" --full
says "["

expect 0 inspect "$F/big_endian.gguf"
says "big-endian"
says "77"

# A split set is one model, whichever of its files is named.
expect 0 inspect "$F/split-00002-of-00002.gguf" --json
json /files/0 "$F/split-00001-of-00002.gguf"
json /total/tensors 4
hushes split.count
cp "$F/split-00001-of-00002.gguf" alone-00001-of-00002.gguf
expect 2 inspect alone-00001-of-00002.gguf
complains "alone-00002-of-00002.gguf"
cp "$F/split-00001-of-00002.gguf" renamed.gguf
expect 2 inspect renamed.gguf
complains "renamed.gguf"
