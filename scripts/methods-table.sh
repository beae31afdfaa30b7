#!/usr/bin/env bash
# Every method of the library on one model: writes docs/methods.md and docs/methods.svg.
#   methods-table.sh MODEL TEXT CALIBRATION
# MODEL is a GGUF file of the llama family in floats; CALIBRATION a text that shares nothing with TEXT. What is compared is
# what the program says that it has: formats with each encoder, methods, caches. In the environment: BLOCQ, the program;
# WINDOWS and CALIBRATION_WINDOWS of 256 tokens each, 8; TYPES, the formats if not all; KEEP, a folder for the files, where those of an
# earlier run are taken as they are.
set -euo pipefail
[ $# -eq 3 ] || { sed -n '2,7s/^# //p' "$0"; exit 2; }
model=$(realpath -e -- "$1") text=$(realpath -e -- "$2") calibration=$(realpath -e -- "$3")
cd "$(dirname "$0")/.."
blocq=$(realpath -e -- "${BLOCQ:-build/bin/blocq}") docs=$PWD/docs
windows=${WINDOWS:-8} calibrate=${CALIBRATION_WINDOWS:-8}
work=${KEEP:-$(mktemp -d)}
mkdir -p "$work"
work=$(realpath -- "$work")
[ -n "${KEEP:-}" ] || trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir -p plain best importance calibrated packed
touch seconds
# Of the method parameters that a table can use: what a method does not have it refuses.
variants=("" bits=2 bits=3 bits=4 bpw=2 bpw=3)
block_types=(q4_0 q3_k)

# make FILE OPTION...: notes how many seconds of processors it took; else the log says why not.
TIMEFORMAT='%U %S'
make() {
  local out=$1
  shift
  [ ! -e "$out" ] || return 0
  { time "$blocq" quantize "$model" "$out" "$@" --threads 1 >log 2>&1; } 2>"$work/time" || return 1
  awk -v name="${out%.gguf}" '{ printf "%s %.2f\n", name, $1 + $2 }' "$work/time" >>seconds
}
must() { "$@" || { cat log >&2; exit 1; }; }
choices() { "$blocq" "$1" --help | sed -n "s/.*--$2 [A-Z]*:{\([^}]*\)}.*/\1/p" | tr , '\n'; }

"$blocq" formats --json >formats.json
"$blocq" imatrix "$model" "$calibration" importance.gguf --windows "$calibrate" >log 2>&1
python3 - ${TYPES:-} >types <<'PYTHON'
import json
import sys
for f in json.load(open("formats.json")):
    if f["name"] in ("q8_1", "q8_k") or (sys.argv[1:] and f["name"] not in sys.argv[1:]):
        continue
    if f.get("gguf_id") is not None and f["encode"] and f["block_size"] > 1:
        print(f["name"], int(f["importance"]), int(f["importance_required"]))
PYTHON
while read -r type weighs required; do
  if [ "$required" = 0 ]; then
    must make "plain/$type.gguf" --type "$type" --force
    must make "best/$type.gguf" --type "$type" --force --best
  fi
  [ "$weighs$required" = 00 ] || must make "importance/$type.gguf" --type "$type" --imatrix importance.gguf --force
done <types

given=(--calibration "$calibration" --windows "$calibrate")
for method in $(choices quantize method); do
  [ "$method" != rtn ] || continue
  if make "calibrated/${block_types[0]}-$method.gguf" --method "$method" --type "${block_types[0]}" "${given[@]}"; then
    for type in "${block_types[@]:1}"; do
      must make "calibrated/$type-$method.gguf" --method "$method" --type "$type" "${given[@]}"
    done
    # One that stands beside blocks is a packed one.
    ! "$blocq" inspect "calibrated/${block_types[0]}-$method.gguf" --json | grep '"type": ".* + ' >/dev/null ||
      for file in calibrated/*-"$method".gguf; do
        sed -i "s|^${file%.gguf} |packed/$(basename "${file%.gguf}") |" seconds
        mv "$file" packed/
      done
    continue
  fi
  grep -q "makes no blocks" log || { cat log >&2; exit 1; }
  for variant in "${variants[@]}"; do
    out=packed/$method${variant:+-${variant/=/}}.gguf
    if make "$out" --method "$method" ${variant:+--with "$variant"} "${given[@]}"; then
      # The usual value again?
      [ -z "$variant" ] || ! cmp -s "$out" "packed/$method.gguf" || rm "$out"
    else
      grep -q "has no such parameter\|has no parameters\|is a whole number from\|one level of each matrix" log || { cat log >&2; exit 1; }
    fi
  done
done

"$blocq" perplexity "$model" "$text" --windows "$windows" --json --svg "$docs/methods.svg" \
  --copies plain/*.gguf best/*.gguf importance/*.gguf calibrated/*.gguf packed/*.gguf >models.json
mapfile -t types < <(cut -d' ' -f1 types)
"$blocq" bench "${types[@]}" --threads 1 --seconds 0.3 --memory 64 --json >bench.json
: >caches
for cache in $(choices perplexity cache); do
  case $cache in f32 | f32+rotate) continue ;; esac
  "$blocq" perplexity "$model" "$text" --windows "$windows" --base "$model" --cache "$cache" --json >cache.json 2>log
  echo "$cache $(tr -d '\n' <cache.json)" >>caches
done

python3 - "$(basename "$model")" "$windows" "$calibrate" "${TYPES:-}" >methods.md <<'PYTHON'
import json
import os
import sys

model, windows, calibrated, types = sys.argv[1:]
types = f"TYPES='{types}' " if types else ""
seconds = dict(line.split() for line in open("seconds"))
speed = {f["name"]: f["cache_bytes_per_second"] / f["bits_per_weight"] for f in json.load(open("bench.json"))["formats"]}
own, *copies = json.load(open("models.json"))["models"]
for c in copies:
    c["name"] = c["file"].removesuffix(".gguf")
    c["how"], c["label"] = c["name"].split("/")
copies.sort(key=lambda c: (c["divergence"], c["bits_per_weight"]))
least = float("inf")
for c in sorted(copies, key=lambda c: (c["bits_per_weight"], c["divergence"])):
    c["front"] = c["divergence"] < least
    least = min(least, c["divergence"])

count = int(windows) * 127
print(f"""# Every method on one model

Written by [scripts/methods-table.sh](../scripts/methods-table.sh), which makes a copy of a model with each format and
method that the program has and measures it:

```
{types}WINDOWS={windows} CALIBRATION_WINDOWS={calibrated} scripts/methods-table.sh MODEL TEXT CALIBRATION
```

The model is {model}, its perplexity {own["perplexity"]:.4f} over {count} tokens of a text (a standard error of {own["perplexity_error"]:.2f}, which the
divergences, of the same tokens for all, do not have). What is calibrated saw {int(calibrated) * 256} tokens of another
text, and methods have their usual parameters where the name says nothing else ([calibration.md](calibration.md)). So this
says what a method does for a small model and with little calibration; where two are near each other, measure on your own
model.

- *plain*: the reference encoder; *best*: `--best`, both also where a mix would ask for importance; *importance*: the reference encoder with `--imatrix` (the
  embedding, which has none, without);
  *calibrated*: `--method` that writes blocks; *packed*: `--method` with a container of its own.
- bits per weight count all that is stored of the matrices; bytes are the file's.
- seconds: of one processor, to make the file, the reading of the calibration text included.
- products: weights multiplied by `gemv` in a second, relative to q4_0, from the cache (`blocq bench`); packed matrices have
  products that this program does not measure.
- **front**: nothing smaller has less divergence.

![divergence against bits per weight](methods.svg)

| format or method | how | bits per weight | KL divergence | perplexity | bytes | seconds | products | |
|---|---|---|---|---|---|---|---|---|""")
for c in copies:
    product = "-" if c["how"] == "packed" else f'{speed[c["label"].split("-")[0]] / speed["q4_0"]:.2f}'
    print(f'| {c["label"]} | {c["how"]} | {c["bits_per_weight"]:.3f} | {c["divergence"]:.3g} | {c["perplexity"]:.4f} | {c["bytes"]} | '
          f'{float(seconds[c["name"]]):.1f} | {product} | {"front" if c["front"] else ""} |')
print("""
## Caches

Keys and values of the same model and tokens, in windows of 256 tokens, the weights in floats (`blocq perplexity --cache`).
Bits are of a number at the end of a window: KIVI has the latest 128 tokens in binary16, so that on a text this short it is
mostly that.

| cache | bits per number | KL divergence | perplexity | same favourite |
|---|---|---|---|---|""")
rows = []
for line in open("caches"):
    name, figures = line.split(" ", 1)
    rows.append((json.loads(figures), name))
for f, name in sorted(rows, key=lambda r: r[0]["divergence"]):
    print(f'| {name} | {f["cache_bits_per_number"]:.2f} | {f["divergence"]:.3g} | {f["perplexity"]:.4f} | {f["same_top_percent"]:.1f} % |')
PYTHON
mv methods.md "$docs/methods.md"
echo "docs/methods.md: $(grep -c . seconds) copies"
