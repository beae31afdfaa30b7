. "${0%/*}/lib.sh"

# Decoding to F32 loses nothing, and encoding the result again gives the same bytes where the format is idempotent.
expect 0 quantize "$DEMO" q8.gguf -t q8_0
expect 0 dequantize q8.gguf f32.gguf
is_type f32.gguf token_embd.weight f32
is_type f32.gguf blk.0.attn_norm.weight f32
expect 0 inspect f32.gguf --json
json /total/bits_per_weight 32.0
expect 0 diff q8.gguf f32.gguf
grep -E '^all of them +0 +exact' out >/dev/null || fail "not the same weights"
expect 0 dequantize q8.gguf f32_7.gguf --threads 7
same f32.gguf f32_7.gguf

for type in f16 bf16; do
  expect 0 dequantize q8.gguf $type.gguf --type $type
  is_type $type.gguf token_embd.weight $type
done
expect 2 dequantize q8.gguf none.gguf --type q4_0
expect 2 dequantize "$DEMO" none.gguf
complains "no tensor is in a block format"
expect 2 dequantize q8.gguf q8.gguf
complains "the output is the input"
[ ! -e none.gguf ] || fail "none.gguf is there"

# Every block format can be decoded.
"$BLOCQ" formats >formats
for type in $(awk '$2 ~ /^[0-9]/ && $3 > 1 && $1 !~ /q8_[1k]/ { print $1 }' formats); do
  expect 0 quantize "$DEMO" q.gguf -t $type --force
  expect 0 dequantize q.gguf f.gguf
  expect 0 diff q.gguf f.gguf
  grep -E '^all of them +0 +exact' out >/dev/null || fail "not the same weights"
done
