. "${0%/*}/lib.sh"

expect 0 compare "$DEMO" --rows 8 --csv c.csv --svg c.svg
says "36,864 of 1,441,792 weights in 16 tensors"
head -1 c.csv | grep -q '^format,gguf_id,block_size,block_bytes,bits_per_weight,relative_rmse,snr_db,encode' || fail "CSV"
# Every format that can be encoded takes part, with and without a GGUF id.
for type in $("$BLOCQ" formats | awk '$0 ~ "reference" && $1 != "f32" { print $1 }'); do
  grep -qE "^$type " out || fail "the table lacks $type"
  grep -q "^$type," c.csv || fail "the CSV lacks $type"
done
[ "$(awk -F, 'NF != 10' c.csv)" = "" ] || fail "a line of the CSV has other than ten fields"
awk -F, 'NR > 1 && $3 > 1 && !($6 > 0 && $6 < 1.1) { exit 1 }' c.csv || fail "an error is out of bounds"
grep -q '</svg>' c.svg || fail "the SVG is not complete"
grep -q '>Q8_0</text>' c.svg || fail "the SVG lacks a label"
"$HELPER" xml c.svg || fail "the SVG is not well-formed"
"$HELPER" plot c.svg || fail "labels overlap"
# A family has its sign whatever else is in the plot: NVFP4 the fifth, bitsandbytes the seventh.
grep -q 'class="point".*>NVFP4: ' c.svg || fail "NVFP4 is not in the plot"
sign_of() { sed -n "s|.*<title>$1: .*class=\"\(s[0-7]\)\".*|\1|p" c.svg; }
[ "$(sign_of NVFP4) $(sign_of NF4) $(sign_of Q4_K)" = "s4 s6 s1" ] || fail "signs"

# Formats whose blocks do not fit are named, values out of a format's range too.
expect 0 compare "$F/ragged.gguf" --rows 0
says "q8_0"
expect 0 compare "$F/huge.gguf"
says "q8_0: left out, tensor 'only.weight' is outside its range"
says "bf16"

# Zeros are exact in every format, and there is nothing to plot.
expect 0 compare "$F/zeros.gguf" --rows 0 --csv zeros.csv
grep -qi nan zeros.csv && fail "nan in the CSV"
grep -q '^q8_0,.*,0,inf,' zeros.csv || fail "q8_0 is not exact for zeros"
expect 2 compare "$F/zeros.gguf" --csv left.csv --svg left.svg
complains "nothing to plot"
[ ! -e left.csv ] && [ ! -e left.svg ] || fail "an output was left behind"

expect 1 compare "$F/nan.gguf"
complains "'second.weight'"
expect 2 compare "$F/integers.gguf"
complains "no weight matrix"
expect 2 compare "$DEMO" --rows 1 --csv missing/c.csv
complains "missing/c.csv"
expect 2 compare "$DEMO" --rows 1 --svg /dev/full

# An adapter's factors, the second of which is zero when its training begins.
expect 0 compare "$F/adapter.gguf" --rows 0 --csv adapter.csv
grep -q '^q8_0,.*,0,inf,' adapter.csv || fail "the factors of an adapter were left out"
