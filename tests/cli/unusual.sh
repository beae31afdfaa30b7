. "${0%/*}/lib.sh"

# Files as other programs write them.

# Without the padding of the last tensor; what is written has it.
size=$(wc -c <"$F/ragged.gguf")
head -c $((size - 16)) "$F/ragged.gguf" >cut.gguf  # 7 rows of 172 floats: 16 bytes of padding
expect 0 inspect cut.gguf
expect 0 diff "$F/ragged.gguf" cut.gguf
expect 0 quantize cut.gguf a.gguf -t q8_0
expect 0 quantize "$F/ragged.gguf" b.gguf -t q8_0
same a.gguf b.gguf
head -c $((size - 17)) "$F/ragged.gguf" >cut.gguf
expect 2 inspect cut.gguf
complains "inside the data"

# Long names, written as they were read.
name=model.diffusion_model.input_blocks.2.1.transformer_blocks.0.attn2.to_q.weight
expect 0 quantize "$F/names.gguf" names.gguf -t q8_0
is_type names.gguf $name q8_0
expect 0 diff "$F/names.gguf" names.gguf
says $name

# Types of other engines: named, copied where nobody asks for their numbers, refused where somebody does.
expect 0 inspect "$F/foreign.gguf"
says "type 139 (iq4_k)"
says "type 200"
says "type 31 (q4_0_4_4)"
expect 0 inspect "$F/foreign.gguf" --json
json /tensors/1/type "type 139 (iq4_k)"
json /tensors/1/bytes 160
expect 2 quantize "$F/foreign.gguf" none.gguf -t q8_0
complains "tensor 'blk.0.attn_q.weight' is of type 139 (iq4_k), which cannot be decoded"
expect 2 dequantize "$F/foreign.gguf" none.gguf
complains "cannot be decoded"
expect 0 quantize "$F/foreign.gguf" copy.gguf -t q8_0 --include token_embd
says "1 tensor quantized to q8_0, 3 kept"
expect 0 diff "$F/foreign.gguf" copy.gguf
says token_embd.weight
expect 1 diff "$F/foreign.gguf" "$F/foreign_changed.gguf"
says "tensor 'blk.0.attn_q.weight' (type 139 (iq4_k), type 139 (iq4_k)) is different; by how much is not known"
expect 0 compare "$F/foreign.gguf" --rows 1
says "tensor 'blk.0.attn_k.weight' is left out: type 200"

# Alignments, metadata of every kind, no tensors, and locales in which a comma stands before decimals.
for alignment in 8 128; do
  expect 0 quantize "$F/align$alignment.gguf" out.gguf -t q8_0
  expect 0 inspect out.gguf --json
  json /alignment $alignment
  expect 0 diff "$F/align$alignment.gguf" out.gguf
done
expect 0 inspect "$F/odd.gguf" --full
says "[]"
says "nan"
says "[true, false]"
expect 0 inspect "$F/odd.gguf" --json
json /metadata/1/value '[]'
expect 0 quantize "$F/odd.gguf" out.gguf -t q8_0
odd() { "$BLOCQ" inspect --full "$1" | grep '^odd' | tr -s ' '; }
[ "$(odd out.gguf)" = "$(odd "$F/odd.gguf")" ] || fail "metadata were not copied"
expect 0 inspect "$F/vocabulary.gguf"
says "tokenizer.ggml.tokens"
expect 0 quantize "$DEMO" q4.gguf -t q4_0
expect 0 diff "$DEMO" q4.gguf --json
cp out plain
for locale in de_DE.UTF-8 fr_FR.UTF-8; do
  LC_ALL=$locale expect 0 diff "$DEMO" q4.gguf --json
  same out plain
done

# A tensor beyond the first 4 GiB of a file; the rest is a hole.
if "$HELPER" large large.gguf 2>/dev/null; then
  expect 0 inspect large.gguf
  says "4,294,967,296"
  rm large.gguf
fi

# A context that the model was not made for, and a cache that never has to quantize.
for i in 1 2 3 4 5 6 7 8 9; do echo "Line $i of a text, which is long enough for a few windows of tokens."; done >text
warned=1 expect 0 perplexity "$F/llama.gguf" text --context 128
complains "longer than the context of the model, 64"
warned=1 expect 0 imatrix "$F/llama.gguf" text i.gguf --context 128
complains "longer than the context of the model"
warned=1 expect 0 perplexity "$DEMO" "${DEMO%.gguf}.txt" --context 64 --windows 1 --cache kivi2
complains "in binary16"
expect 0 perplexity "$DEMO" "${DEMO%.gguf}.txt" --context 129 --windows 1 --cache kivi2

# Predictions that are no numbers are no figure.
for poison in nan inf; do
  expect 1 perplexity "$F/llama_$poison.gguf" text --context 32
  complains "not numbers"
  expect 1 perplexity "$F/llama.gguf" text --context 32 --base "$F/llama_$poison.gguf"
  expect 1 perplexity "$F/llama.gguf" text --context 32 --copies "$F/llama_$poison.gguf"
  expect 1 imatrix "$F/llama_$poison.gguf" text none.gguf --context 32
done
[ ! -e none.gguf ] || fail "an output was left behind"
