. "${0%/*}/lib.sh"

# Methods whose result is packed matrices: written, shown, run, and turned back.
for i in 1 2 3 4 5 6 7 8 9; do echo "Line $i of a text, which is long enough for a few windows of tokens."; done >text
model=$F/llama.gguf
packed() {  # METHOD ARGUMENT...
  expect 0 quantize "$model" "$1.gguf" --method "$@"
  says "packed by $1, "
}
# It runs from what is stored, and gives what its floats do: but for the order of sums, or, where a product rounds its
# inputs, as that of blocks does, for less than MOST.
checked() {  # FILE WHAT [MOST]
  expect 0 inspect "$1"
  grep -qE "^blk.0.ffn_up.weight +$2 " out || fail "$1 is not shown as $2"
  hushes "blk.0.ffn_up.weight."
  expect 0 dequantize "$1" floats.gguf
  is_type floats.gguf blk.0.ffn_up.weight f32
  expect 0 diff "$1" floats.gguf
  grep -qE '^all of them +0 +exact' out || fail "$1 and its floats differ"
  expect 0 perplexity "$1" text --context 64 --windows 1 --base floats.gguf
  awk -v most="${3:-1e-8}" '/divergence/ { sub(/.*: /, ""); exit !($1 <= most) }' out || fail "$1 runs otherwise than its floats"
}

packed palette --with bits=3 --with group=8
checked palette.gguf 'palette bits=3 group=8'
packed power && checked power.gguf 'palette bits=4'
packed splitquant --with bits=2 && checked splitquant.gguf 'palette bits=4'
packed finequant && checked finequant.gguf 'row_groups bits=4'
packed lowrank --type q4_0 --with rank=3 && checked lowrank.gguf 'q4_0 \+ low_rank rank=3' 0.0001
packed bitstack --with levels=3 && checked bitstack.gguf 'bit_stack levels=3 rank=4'
packed abq && checked abq.gguf 'plane_groups bits=3 input_bits=8' 0.01
packed fp6 && checked fp6.gguf 'fp6_llm'

# One file of stacks, and three sizes of it: the smaller, the worse.
packed bitstack --with levels=8
last=
for bits in 4 7 12; do
  expect 0 quantize bitstack.gguf $bits.gguf --method bitstack --with bpw=$bits
  got=$(sed -n 's/.*bitstack, \([0-9.]*\) bits.*/\1/p' out)
  awk -v got="$got" -v most=$bits 'BEGIN { exit !(got <= most && got > 0.8 * most) }' || fail "$got bits for $bits"
  expect 0 diff "$model" $bits.gguf --json
  error=$("$HELPER" json /total/relative_rmse <out)
  [ -z "$last" ] || awk -v a="$error" -v b="$last" 'BEGIN { exit !(a < b) }' || fail "$error after $last"
  last=$error
done

# What stands beside blocks makes them better, and they are the blocks of --type.
expect 0 quantize "$model" plain.gguf --type q4_0
expect 0 diff "$model" plain.gguf --json
without=$("$HELPER" json /total/relative_rmse <out)
expect 0 diff "$model" lowrank.gguf --json
awk -v a="$("$HELPER" json /total/relative_rmse <out)" -v b="$without" 'BEGIN { exit !(0 < a && a < b) }' ||
  fail "low rank does not help"

# The number of threads changes nothing; what is left out stays as it is.
expect 0 quantize "$model" three.gguf --method palette --with bits=3 --with group=8 --threads 3
same palette.gguf three.gguf
expect 0 quantize "$model" some.gguf --method power --exclude 'ffn'
is_type some.gguf blk.0.ffn_up.weight f32
is_type some.gguf blk.0.attn_q.weight palette
expect 0 inspect some.gguf --json
says '"blk.0.attn_q.weight.codebook"'
# Packed weights are weights: they can be quantized.
expect 0 quantize palette.gguf again.gguf --type q8_0
is_type again.gguf blk.0.ffn_up.weight q8_0

# With a text, if this build can.
if "$BLOCQ" quantize --help | grep -q vptq; then
  for method in palette adadim dgq fmpq vptq spqr int8; do
    options=
    case $method in adadim | dgq) options='--with group=32' ;; vptq) options='--with bits=4' ;; esac
    expect 0 quantize "$model" $method.gguf --method $method --calibration text --context 64 --windows 8 $options
    expect 0 perplexity $method.gguf text --context 64 --windows 1 --base "$model"
    says "KL divergence"
  done
  checked vptq.gguf 'vectors length=4 bits=4 residual_bits=0 outlier_bits=0'
fi

mkdir left
refused() {
  expect 2 quantize "$model" left/x.gguf "${@:2}"
  complains "$1"
}
refused 'one of --type, --mix and --target-bpw is required'
refused 'bits is a whole number from 1 to 8' --method palette --with bits=9
refused 'bits is a whole number from 1 to 8' --method palette --with bits=3x
refused "did you mean 'bits'" --method palette --with bit=3
refused 'has no parameters' --method fp6 --with bits=3
refused 'has no meaning for it' --type q4_0 --with bits=3
refused 'makes no blocks' --method palette --type q4_0
refused '--type says of which format' --method lowrank
refused '--mix has no meaning' --method palette --mix q4_k_m
refused 'needs a text: --calibration' --method int8
refused 'fewer tokens than one window' --method int8 --calibration text --context 4096
refused 'no tensor would change' --method palette --include nothing
expect 2 quantize palette.gguf left/x.gguf --method power
complains 'is packed already'
expect 2 quantize palette.gguf left/x.gguf --method bitstack --with bpw=3
complains "tensor 'token_embd.weight': bit_stack: 'palette' is another scheme"
expect 2 quantize bitstack.gguf left/x.gguf --method bitstack --with bpw=0.5
complains 'one level of each matrix takes'
empty left
