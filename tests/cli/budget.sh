. "${0%/*}/lib.sh"

for i in 1 2 3 4 5 6 7 8 9; do echo "Line $i of a text, which is long enough for a few windows of tokens."; done >text
types=q4_0,q5_0,q8_0
planned() {  # BITS OUT ARGUMENT...
  expect 0 quantize "$F/llama.gguf" "$2" --target-bpw "$1" --types $types "${@:3}"
}
measured() { planned "$@" --calibration text --context 64 --windows 4; }
bits_of() { "$BLOCQ" inspect "$1" | awk '$1 == "all" { print $NF }'; }
divergence() {
  expect 0 perplexity "$1" text --context 64 --windows 6 --base "$F/llama.gguf"
  awk '/divergence/ { sub(/.*: /, ""); print $1 }' out
}

# No file is larger than its budget, and more bits are put to use. What is planned is what is written.
last=0
for bits in 6.5 7.5 9.5; do
  planned $bits out.gguf
  says "bits per weight"
  awk -v is="$(bits_of out.gguf)" -v most=$bits -v least=$last 'BEGIN { exit !(least < is && is <= most) }' ||
    fail "$bits bits become $(bits_of out.gguf)"
  last=$(bits_of out.gguf)
  expect 0 quantize "$F/llama.gguf" --target-bpw $bits --types $types --dry-run
  says "($last bits per weight)"
done

# With a text, types go by what they cost: nearer to the model than one type of no fewer bytes. The plan depends neither
# on threads nor on what was measured before, and what was interrupted goes on.
measured 7.5 plan.gguf --measurements kept
says "KL divergence to expect on the calibration text: about"
[ "$(head -1 kept)" = "blocq measurements 1" ] || fail "no file of measurements"
lines=$(wc -l <kept)
cp kept all
measured 7.5 again.gguf --measurements kept --threads 3
same plan.gguf again.gguf
same kept all
head -c -7 all >kept
measured 7.5 again.gguf --measurements kept
same plan.gguf again.gguf
[ "$(wc -l <kept)" = "$lines" ] || fail "a line that was cut is not measured again"
measured 7.5 again.gguf --threads 3
same plan.gguf again.gguf
# Under other circumstances nothing is taken from it.
planned 7.5 other.gguf --measurements kept --calibration text --context 64 --windows 3
[ "$(wc -l <kept)" -gt "$lines" ] || fail "measurements of another text are taken"
expect 0 quantize "$F/llama.gguf" q5_0.gguf --type q5_0
measured "$(bits_of q5_0.gguf)" plan.gguf
awk -v plan="$(divergence plan.gguf)" -v one="$(divergence q5_0.gguf)" 'BEGIN { exit !(0 < plan && plan < one) }' ||
  fail "the plan is worse than one type"

# Tensors that an option names or leaves out keep their type, and count.
planned 9 out.gguf --tensor-type attn_v=f16 --exclude ffn_down
is_type out.gguf blk.0.attn_v.weight f16
is_type out.gguf blk.1.ffn_down.weight f32
awk -v is="$(bits_of out.gguf)" 'BEGIN { exit !(is <= 9) }' || fail "what is left alone does not count"

# Types of less than three bits are taken only where there are weights for them.
expect 0 quantize "$DEMO" --target-bpw 5 --types iq2_xs,q4_k,q6_k --dry-run
hushes iq2_xs
expect 0 quantize "$DEMO" --target-bpw 3.5 --types iq2_xs,q4_k,q6_k --dry-run --force
says iq2_xs

mkdir left
refused() {  # SENTENCE ARGUMENT...
  expect 2 quantize "$F/llama.gguf" left/x.gguf "${@:2}"
  complains "$1"
  empty left
}
refused "bits per weight at least" --target-bpw 4 --types $types
refused "no format 'q9'" --target-bpw 8 --types q9
refused "scales of nvfp4" --target-bpw 8 --types nvfp4,q8_0
refused "is for --target-bpw" --type q8_0 --types q8_0
refused "is for --target-bpw" --type q8_0 --measurements left/kept
refused "at most 32" --target-bpw 33
refused "--pure" --target-bpw 8 --pure
refused "fewer tokens than one window" --target-bpw 8 --calibration text --context 4096
refused "is not a file of measurements" --target-bpw 8 --measurements text
printf 'blocq measurements 1\n0.5 error\n-1 error q4_k\n' >wrong
refused "wrong, line 3: is not a measurement" --target-bpw 8 --measurements wrong
expect 2 quantize "$F/llama.gguf" fresh --target-bpw 8 --types $types --measurements fresh
complains "the output is the input"
expect 2 quantize "$F/nan.gguf" left/x.gguf --target-bpw 8
complains "tensor 'second.weight', near row 7"
expect 2 quantize "$F/model.gguf" left/x.gguf --target-bpw 8 --calibration text
complains "lack a usable"
empty left
