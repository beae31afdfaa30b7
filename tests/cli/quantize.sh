. "${0%/*}/lib.sh"

# What is quantized, and what is not.
expect 0 quantize "$F/model.gguf" q8.gguf --type Q8_0
says "3 tensors quantized to q8_0, 3 kept"
says " s reading, "
says " s encoding, "
says " s writing; "
is_type q8.gguf token_embd.weight q8_0
is_type q8.gguf blk.1.attn_q.weight q8_0
is_type q8.gguf blk.0.attn_norm.weight f32
is_type q8.gguf blk.0.ffn_norm.weight f32
is_type q8.gguf blk.0.ffn_gate_inp.weight f32
expect 0 inspect q8.gguf --json
json /metadata/1/key general.file_type
json /metadata/1/value 7
json /metadata/2/value -5
json /metadata/3/key general.quantization_version
json /metadata/3/value 2

expect 0 quantize "$F/model.gguf" plan.gguf -t q8_0,q4_0 --dry-run --json
json /outputs/0/type q8_0
json /outputs/1/type q4_0
json /outputs/1/quantized 3
expect 0 quantize "$F/model.gguf" written.gguf -t q8_0 --json
json /outputs/0/files/0 written.gguf
json /outputs/0/bytes $(stat -c %s q8.gguf)
json /outputs/0/tensors/0/becomes q8_0

# The same bytes for every number of threads, and for every way to the same file.
for type in q8_0 q4_k iq3_s mxfp4; do
  expect 0 quantize "$DEMO" one.gguf -t $type --threads 1
  for n in 2 3 7; do
    expect 0 quantize "$DEMO" many.gguf -t $type --threads $n
    same one.gguf many.gguf
  done
done
expect 0 quantize "$F/split-00001-of-00002.gguf" joined.gguf -t q8_0
expect 0 quantize "$F/whole.gguf" whole.gguf -t q8_0
same joined.gguf whole.gguf

# Which tensors.
expect 0 quantize "$F/model.gguf" some.gguf -t q8_0 --include 'attn_q' --exclude '^blk\.1'
says "1 tensor quantized"
is_type some.gguf blk.0.attn_q.weight q8_0
is_type some.gguf blk.1.attn_q.weight f32
is_type some.gguf token_embd.weight f32
expect 2 quantize "$F/model.gguf" none.gguf -t q8_0 --include nothing
complains "no tensor would change"
expect 2 quantize "$F/model.gguf" none.gguf -t q8_0 --include '('
complains "regular expression"
expect 2 quantize "$F/integers.gguf" none.gguf -t q8_0

# Rows that are not whole blocks.
for pair in q2_k:q4_0 q3_k:q4_0 q4_k:q5_0 q5_k:q5_1 q6_k:q8_0 iq4_xs:iq4_nl tq1_0:q4_0; do
  expect 0 quantize "$F/ragged.gguf" ragged.gguf -t ${pair%:*}
  says "by32.weight"
  is_type ragged.gguf by256.weight ${pair%:*}
  is_type ragged.gguf by32.weight ${pair#*:}
  is_type ragged.gguf by4.weight f16
done

# A longer search finds a smaller error in the same format.
expect 0 quantize "$DEMO" plain.gguf -t q4_0 --include attn_k
expect 0 quantize "$DEMO" best.gguf -t q4_0 --include attn_k --best
error() { "$BLOCQ" diff "$DEMO" "$1" --json | "$HELPER" json /total/relative_rmse; }
awk -v a="$(error plain.gguf)" -v b="$(error best.gguf)" 'BEGIN { exit !(b > 0 && b < 0.98 * a) }' ||
  fail "--best gives $(error best.gguf), the reference $(error plain.gguf)"

# From formats other than floats; and what is already in the format is copied.
expect 0 quantize q8.gguf q4.gguf -t q4_0
is_type q4.gguf token_embd.weight q4_0
expect 2 quantize q8.gguf again.gguf -t q8_0
complains "no tensor would change"

# Formats that no GGUF file has, and those that are not for weights.
for type in $("$BLOCQ" formats | awk '$2 == "-" { print $1 }'); do
  expect 2 quantize "$F/model.gguf" none.gguf -t $type
  complains "GGUF has no type id"
done
for pair in mxfp4_ocp:mxfp4 mxfp6_e2m3:q6_k mxfp6_e3m2:q6_k mxfp8_e4m3:q8_0 mxint8:q8_0 \
  nvfp4_two_level:nvfp4 nf4:iq4_nl nf4_nested:iq4_xs; do
  expect 2 quantize "$F/model.gguf" none.gguf -t ${pair%:*}
  complains "nearest type is ${pair#*:}"
done
expect 2 quantize "$F/model.gguf" none.gguf -t q8_k
complains "for activations"
expect 2 quantize "$F/model.gguf" none.gguf -t q9_9
complains "'q9_9'"
for type in $("$BLOCQ" formats | awk '$0 ~ "decode only" { print $1 }'); do
  expect 2 quantize "$F/model.gguf" none.gguf -t $type
  complains "only decode"
done
[ ! -e none.gguf ] || fail "none.gguf is there"

# Several types, read once: a file of each, with the bytes that it has alone.
mkdir several
expect 0 quantize "$DEMO" several/m.gguf --type q4_k,Q8_0 --type nvfp4
for type in q4_k q8_0 nvfp4; do
  expect 0 quantize "$DEMO" alone.gguf --type $type
  same alone.gguf several/m-$type.gguf
done
expect 0 quantize "$F/ragged.gguf" several/r --mix q4_k_m,q2_k --threads 3
for mix in q4_k_m q2_k; do
  expect 0 quantize "$F/ragged.gguf" alone.gguf --mix $mix
  same alone.gguf several/r-$mix
done
rm -r several alone.gguf
expect 0 quantize --type q4_0 --tensor-type attn_k=q8_0 "$DEMO" alone.gguf
is_type alone.gguf blk.0.attn_k.weight q8_0
rm alone.gguf
mkdir several
cp "$DEMO" several/m-q8_0.gguf
expect 2 quantize several/m-q8_0.gguf several/m.gguf --type q4_k,q8_0
complains "the output is the input: several/m-q8_0.gguf"
same "$DEMO" several/m-q8_0.gguf
rm several/m-q8_0.gguf
expect 2 quantize "$DEMO" several/m.gguf --type q4_k,Q4_K
complains "two outputs are one file: several/m-q4_k.gguf"
expect 2 quantize "$DEMO" - --type q4_k,q8_0
expect 2 quantize "$DEMO" several/m.gguf --type q4_k,q9_k
expect 2 quantize "$F/nan.gguf" several/m.gguf --type q8_0,f16
empty several
