. "${0%/*}/lib.sh"

# What is read is not written over: by no command, as no kind of output, under no name.
for i in 1 2 3 4 5 6 7 8 9; do echo "Line $i of a text, which is long enough for a few windows of tokens."; done >text
cp "$F/llama.gguf" m.gguf
cp text t.dat
ln m.gguf hard.gguf
ln -s m.gguf soft.gguf
expect 0 imatrix m.gguf text i.gguf --context 32
expect 0 quantize m.gguf q.gguf -t q8_0
mkdir split
cp "$F"/split-*.gguf split
sha256sum m.gguf t.dat i.gguf q.gguf split/* >before
spared() {
  expect 2 "$@"
  complains "the output is the input"
  sha256sum -c before >/dev/null 2>&1 || fail "blocq $* has written over an input"
}
for out in m.gguf ./m.gguf "$PWD/m.gguf" hard.gguf soft.gguf; do
  spared quantize m.gguf $out -t q8_0
  spared compare m.gguf --rows 1 --csv $out
  spared compare m.gguf --rows 1 --svg $out
  spared imatrix m.gguf text $out --context 32
done
spared imatrix m.gguf t.dat t.dat --context 32
spared quantize m.gguf i.gguf -t q4_0 --imatrix i.gguf
spared dequantize q.gguf q.gguf
spared quantize split/split-00001-of-00002.gguf split/split-00002-of-00002.gguf -t q8_0
if "$BLOCQ" quantize m.gguf x.gguf -t q8_0 --method awq --calibration text --context 32 --windows 1 >out 2>err; then
  spared quantize m.gguf t.dat -t q8_0 --method awq --calibration t.dat --context 32 --windows 1
fi
expect 2 compare m.gguf --rows 1 --csv both --svg ./both
complains "two outputs are one file"
[ ! -e both ] || fail "one of two outputs was written"
expect 0 compare m.gguf --rows 1 --csv /dev/null --svg /dev/null

# An output that is standard output, a pipe or another program: nothing but the file comes out.
expect 0 quantize m.gguf want.gguf -t q4_0
"$BLOCQ" quantize m.gguf /dev/stdout -t q4_0 2>err | cat >got.gguf
same want.gguf got.gguf
complains "quantized to q4_0"
"$BLOCQ" quantize m.gguf /dev/stdout -t q4_0 >got.gguf 2>err
same want.gguf got.gguf
"$BLOCQ" quantize m.gguf got.gguf -t q4_0 >got.gguf 2>err
same want.gguf got.gguf
mkfifo pipe
cat pipe >got.gguf &
expect 0 quantize m.gguf pipe -t q4_0
wait $!
same want.gguf got.gguf
"$BLOCQ" quantize m.gguf >(cat >got.gguf; touch done) -t q4_0 >out 2>err || fail "process substitution"
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -e done ] || sleep 0.2; done
same want.gguf got.gguf
"$BLOCQ" compare m.gguf --rows 1 --csv /dev/stdout 2>err | head -1 | grep -q '^format,' || fail "CSV to a pipe"

# A full or closed standard output: the file is there, and that is what is said.
rm -f got.gguf
"$BLOCQ" quantize m.gguf got.gguf -t q4_0 >/dev/full 2>err
code=$?
[ $code = 2 ] || fail "a full standard output should exit 2"
complains "standard output cannot be written; complete is got.gguf"
same want.gguf got.gguf
rm got.gguf
"$BLOCQ" quantize m.gguf got.gguf -t q4_0 >&- 2>err
code=$?
[ $code = 2 ] || fail "a closed standard output should exit 2"
complains "complete is got.gguf"
same want.gguf got.gguf
"$BLOCQ" quantize m.gguf got.gguf -t q4_0 >&- 2>&- <&-
same want.gguf got.gguf
"$BLOCQ" quantize missing.gguf got.gguf -t q4_0 >/dev/full 2>err
complains "missing.gguf"
grep -q complete err && fail "nothing was written"

# What the address sanitizer reserves is more than any limit.
starts_within() { (ulimit "$@"; "$BLOCQ" --version >/dev/null 2>&1); }

# More threads than there is room for.
if starts_within -v 400000; then
  (ulimit -v 400000; "$BLOCQ" quantize "$DEMO" x.gguf -t q4_0 --threads 1024 >out 2>err)
  code=$?
  [ $code = 0 ] || grep -qE -- "--threads|not enough memory" err || fail "no word about threads"
  [ $code = 0 ] || [ $code = 2 ] || fail "exit code $code"
fi

# Rows of any length in bounded memory: of two of 64 MiB in binary16, zeros that take no disk, none is held whole.
"$HELPER" long long.gguf 26 || exit 1
starts_within -d 90000 && for command in "quantize long.gguf q.gguf -t q4_0" "dequantize q.gguf f.gguf -t f16" "diff long.gguf q.gguf"; do
  (ulimit -d 90000; "$BLOCQ" $command --threads 1 >out 2>err) || fail "blocq $command takes more than 90 MB"
  rm -f f.gguf
done
rm -f q.gguf
