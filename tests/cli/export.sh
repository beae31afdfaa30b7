# Checkpoints that export writes mean what the GGUF file means: read again by what is tested against compressed-tensors.
. "${0%/*}/lib.sh"

# Blocks of the layout's own format are moved.
ends='^token_embd|^output'
for how in mxfp4:mxfp4 nvfp4:nvfp4 pack-quantized:q4_0 pack-quantized:q5_0 pack-quantized:q8_0; do
  layout=${how%:*} type=${how#*:} bits=4
  case $type in q5_0) bits=5 ;; q8_0) bits=8 ;; esac
  expect 0 quantize "$DEMO" "$type.gguf" --type "$type" --exclude "$ends"
  expect 0 export "$type.gguf" "$type" --layout "$layout" --bits $bits
  grep -qE "^blk.0.attn_q.weight +$layout +exact$" out || fail "blocks of $type are not moved"
  says "note: names are GGUF's"
  expect 0 diff "$type.gguf" "$type" --json
  json /differences '[]'
  [ $type = nvfp4 ] && limit=1e-7 || limit=1e-30
  "$HELPER" json /total/relative_rmse <out | awk -v limit=$limit '{ exit !($1 < limit) }' || fail "$type is something else"
  # And made where they are not there yet, whatever the number of threads.
  [ $type = nvfp4 ] && continue
  expect 0 export "$DEMO" made --layout "$layout" --bits $bits --threads 3
  same made/model.safetensors "$type/model.safetensors"
  same made/config.json "$type/config.json"
done
"$HELPER" json /quantization_config/format <q8_0/config.json | grep -qx pack-quantized || fail "no format in config.json"
"$HELPER" json /quantization_config/config_groups/group_0/weights/num_bits <q8_0/config.json | grep -qx 8 || fail "no bits"
expect 0 export "$DEMO" fp8 --layout fp8
expect 0 diff "$DEMO" fp8 --json
"$HELPER" json /total/relative_rmse <out | awk '{ exit !($1 > 0.01 && $1 < 0.04) }' || fail "the error is not that of E4M3"
expect 0 export "$DEMO" nv --layout nvfp4
expect 0 diff "$DEMO" nv --json
"$HELPER" json /total/relative_rmse <out | awk '{ exit !($1 > 0.05 && $1 < 0.15) }' || fail "the error is not that of NVFP4"

# With the published config.json: its names, its order of rows, and back again.
"$CHECKPOINT" llama bf16 original || fail "no checkpoint"
expect 0 convert original model.gguf
expect 0 export model.gguf published --layout pack-quantized --bits 8 --config original/config.json
says "model.layers.0.self_attn.q_proj.weight"
hushes "note:"
expect 0 diff original published --json
json /differences '[]'
"$HELPER" json /total/relative_rmse <out | awk '{ exit !($1 < 0.008) }' || fail "rows are in another order"
expect 0 inspect published
says "packed-int, 8 bits, groups of 32"
cp original/tokenizer*.json published
expect 0 convert published back.gguf
expect 0 quantize model.gguf q8.gguf --type q8_0 --exclude "$ends"
expect 0 diff q8.gguf back.gguf --json
json /differences '[]'
json /total/max_error 0.0

# What cannot be done leaves nothing.
expect 2 export "$F/nan.gguf" refused --layout fp8
complains "tensor 'second.weight'"
[ ! -e refused ] || fail "something appeared"
expect 2 export "$DEMO" refused --layout int3
expect 2 export "$DEMO" refused --layout fp8 --bits 8
complains "--bits is for pack-quantized"
expect 2 export "$DEMO" refused --layout fp8 --config missing.json
complains missing.json
expect 2 export "$F/whole.gguf" refused --layout fp8 --config original/config.json
complains "has no tensor for"
"$CHECKPOINT" qwen3_moe bf16 experts || fail "no checkpoint"
expect 0 convert experts experts.gguf
expect 2 export experts.gguf refused --layout fp8 --config experts/config.json
complains "_exps.weight' is a stack of experts"
sed 's/"factor": 8.0/"factor": 4.0/' original/config.json >other.json
expect 2 export model.gguf refused --layout fp8 --config other.json
complains "rotary positions"
expect 2 export "$DEMO" model.gguf --layout fp8
[ ! -e refused ] || fail "something appeared"
