# Exported checkpoints as compressed-tensors reads them, where it is installed.
. "${0%/*}/lib.sh"
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 0; }

for how in mxfp4:mxfp4:4 nvfp4:nvfp4:4 pack-quantized:q4_0:4 pack-quantized:q5_0:5 pack-quantized:q8_0:8 fp8:f16:4; do
  IFS=: read -r layout type bits <<<"$how"
  cp "$DEMO" "$type.gguf"
  [ $type = f16 ] || expect 0 quantize "$DEMO" "$type.gguf" --type "$type" --exclude '^token_embd|^output'
  expect 0 export "$type.gguf" "$type" --layout "$layout" --bits "$bits"
  python3 "${0%/*}/check_export.py" "$type" "$type.gguf" "$BLOCQ" || fail "$type is read as something else"
done
