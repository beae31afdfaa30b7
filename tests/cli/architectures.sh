. "${0%/*}/lib.sh"

# The forms of the llama family give what llama.cpp 0.7.0 gives; what is not understood is refused, by name. The figures
# come from scripts/llama-figures.sh.
mkdir models
"$HELPER" variants "$DEMO" models || exit 1
story=${DEMO%.gguf}.txt
while read -r name figure; do
  case $name in
    '#') continue ;;
    no_*)
      expect 2 perplexity models/$name.gguf "$story" --windows 2
      grep -qE "'[a-z0-9_.]+'" err || fail "$name: the sentence names no key or tensor"
      ;;
    *)
      expect 0 perplexity models/$name.gguf "$story" --windows 2
      awk -v is="$(awk '{ print $2; exit }' out)" -v should="$figure" \
        'BEGIN { exit !(is / should > 0.998 && is / should < 1.002) }' || fail "$name should be $figure"
      ;;
  esac
done <"${0%/*}/figures.txt"
[ "$(grep -vc '^#' "${0%/*}/figures.txt")" = "$(ls models | wc -l)" ] || fail "not every model has a figure"

# A window within the sliding one is no other than without.
expect 0 perplexity models/no_window.gguf "$story" --windows 2 --context 64
cp out windowed
expect 0 perplexity models/plain.gguf "$story" --windows 2 --context 64
same <(head -1 windowed) <(head -1 out)

# Matrices in one, and with biases: importance weights and calibration know them too.
for pair in 'phi3:blk.1.attn_qkv|blk.1.ffn_down' 'qwen2_biases:blk.1.attn_[qkvo]'; do
  model=models/${pair%%:*}.gguf
  expect 0 imatrix $model "$story" i.gguf --windows 2 --context 64
  expect 0 quantize $model q.gguf -t q4_0 --imatrix i.gguf
  "$BLOCQ" quantize $model g.gguf -t q4_0 --method awq --calibration "$story" --windows 2 --context 64 \
    --include "${pair#*:}" >out 2>err || {
    grep -q Eigen err && continue
    fail "$model cannot be calibrated"
  }
  expect 0 perplexity $model "$story" --windows 2 --copies q.gguf g.gguf
done

# Rotated, each computes what it did: gains, biases, scales and shared heads are all in the right place.
for name in phi3 qwen2_biases joined_qkv_bias qwen3_narrow scales_and_biases; do
  "$BLOCQ" quantize models/$name.gguf turned.gguf -t f32 --method klt --calibration "$story" --windows 2 --context 64 \
    >out 2>err || {
    grep -q Eigen err && break
    fail "$name cannot be rotated"
  }
  expect 0 perplexity turned.gguf "$story" --windows 1 --context 64 --base models/$name.gguf
  awk '/divergence/ { sub(/.*: /, ""); exit !($1 < 1e-9) }' out || fail "$name is another model when it is rotated"
done
