. "${0%/*}/lib.sh"
mkdir left

# Hostile files: an error that names the file, nothing written, no crash.
for file in "$GOLDEN"/gguf/*.gguf; do
  name=$(basename "$file" .gguf)
  verdict=$(awk -v name="$name" '$1 == name { print $4 }' "$GOLDEN/gguf/cases.txt")
  "$BLOCQ" inspect "$file" >out 2>err
  code=$?
  [ $code -le 2 ] || fail "inspect $name"
  # Read all the same: a long name, a last tensor without padding. The types that are not known can be looked at.
  case $name in
    t_name64 | t_data_short_pad)
      [ $code = 0 ] || fail "inspect refuses $name"
      continue
      ;;
    t_type4 | t_type31 | t_type36 | t_type43 | t_type_neg)
      [ $code = 0 ] || fail "inspect refuses $name"
      for command in "quantize -t q8_0" dequantize; do
        expect 2 $command "$file" left/x.gguf
        complains "cannot be decoded"
      done
      continue
      ;;
  esac
  if [ "$verdict" = 0 ]; then
    [ $code = 2 ] || [ "$name" = v_bigendian ] || fail "inspect accepts $name"
    expect 2 quantize "$file" left/x.gguf -t q8_0
    complains "$name.gguf"
    expect 2 dequantize "$file" left/x.gguf
    expect 2 diff "$file" "$DEMO"
    expect 2 compare "$file"
  fi
done
for cut in 1 100 900 1000 100000; do
  head -c $cut "$DEMO" >cut.gguf
  for c in inspect "quantize -t q8_0 --" dequantize compare; do
    out=left/x.gguf
    case $c in inspect | compare) out= ;; esac
    expect 2 $c cut.gguf $out
    complains cut.gguf
  done
done
for file in missing.gguf . /dev/null; do
  expect 2 inspect $file
  expect 2 quantize $file left/x.gguf -t q8_0
  complains "$file"
done

# Weights that no format can hold: which tensor, and where in it.
for type in q8_0 q4_k mxfp4 f16; do
  expect 2 quantize "$F/nan.gguf" left/x.gguf -t $type --threads 3
  complains "tensor 'second.weight', row 7, column 33: nan"
  expect 2 quantize "$F/infinite.gguf" left/x.gguf -t $type
  complains "tensor 'only.weight', row 7, column 33: -inf"
done
for type in q8_0 q4_k f16; do
  expect 2 quantize "$F/huge.gguf" left/x.gguf -t $type --threads 2
  complains "tensor 'only.weight', row 7, column 33: -1e+30 cannot be written as $type"
done

# Outputs that cannot be.
cp "$F/model.gguf" model.gguf
expect 2 quantize model.gguf model.gguf -t q8_0
complains "the output is the input"
same model.gguf "$F/model.gguf"
ln -s model.gguf link.gguf
expect 2 quantize model.gguf link.gguf -t q8_0
complains "the output is the input"
cp "$F"/split-*.gguf .
expect 2 quantize split-00001-of-00002.gguf split-00002-of-00002.gguf -t q8_0
expect 2 quantize model.gguf left -t q8_0
expect 2 quantize model.gguf missing/x.gguf -t q8_0
complains "missing/x.gguf"
expect 2 quantize "$DEMO" /dev/full -t q8_0
complains "No space left"
"$BLOCQ" formats >/dev/full 2>err && fail "a full standard output is no success"

# A disk that fills up. The limit on the size of files stands in for it where nothing can be mounted.
echo before >left/kept
(trap '' XFSZ; ulimit -f 100; "$BLOCQ" quantize "$DEMO" left/kept -t q8_0 >out 2>err)
code=$?
[ $code = 2 ] || fail "a write beyond the limit should exit 2"
complains "left/kept"
[ "$(cat left/kept)" = before ] || fail "the file that was there has changed"
rm left/kept
mkdir disk
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=256k tmpfs disk 2>/dev/null; then
  "$BLOCQ" quantize "$DEMO" disk/x.gguf -t q8_0 >out 2>err
  code=$?
  remains=$(ls -A disk)
  umount disk
  [ $code = 2 ] || fail "a full disk should exit 2"
  complains "No space left"
  [ -z "$remains" ] || fail "left behind on the full disk: $remains"
fi

# A signal: the program stops between two writes and removes what it has begun.
mkfifo pipe
exec 3<>pipe
"$BLOCQ" quantize "$DEMO" pipe -t q8_0 >out 2>err &
writer=$!
sleep 0.3
kill -TERM $writer
cat <&3 >/dev/null &
reader=$!
wait $writer
code=$?
kill $reader
[ $code = 143 ] || fail "a terminated run should exit 143"
complains interrupted
for delay in 0 0.005 0.01 0.02; do
  "$BLOCQ" quantize "$DEMO" left/x.gguf -t q8_0 --threads 1 >out 2>err &
  sleep $delay
  kill -TERM $! 2>/dev/null
  wait $!
  code=$?
  if [ -e left/x.gguf ]; then
    [ $code = 0 ] || fail "a terminated run left a file"
    expect 0 diff "$DEMO" left/x.gguf
    rm left/x.gguf
  fi
done
empty left
