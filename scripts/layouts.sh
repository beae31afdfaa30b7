#!/usr/bin/env bash
# Writes docs/layouts.md anew, the bits of every format as the program finds them: layouts.sh BLOCQ [OUT]
set -euo pipefail
blocq=$1 out=${2:-$(dirname "$0")/../docs/layouts.md}
names=$("$blocq" formats | awk 'NR > 1 && $1 != "f32" && $1 !~ /^(nvfp4|nf4)_/ { print $1 }')
{
  cat <<'HEAD'
# Where the bits lie

Every block format bit by bit: what `blocq formats NAME` prints. None of it is written by hand. The program flips each bit
of a block and asks the library's own accessors which number it changed, and the decoder which weights; a test compares
this page with it (`cli.formats`). `scripts/docs.sh` makes a site with the same as pictures, in which a weight and its bits
light up together.

`q` is a code, `index` chooses a point of a table, `s` and `min` are the scale and the minimum of a group (`g` in a
formula); other names are members of the wire struct. A name without bits is a whole number. `d`, `dmin` and `m` are
binary16, but for q8_k's `d` and `absmax`, which are binary32. [formats.md](formats.md) explains the formats.

HEAD
  for name in $names; do printf '[%s](#%s)\n' "$name" "$name"; done | paste -sd' ' | fold -s -w 118
  for name in $names; do
    printf '\n## %s\n\n```\n' "$name"
    "$blocq" formats "$name" | sed -e '/^dot products with /,$d' -e '/^relative RMS/d' -e '1s/^[^:]*: //' | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
    printf '```\n'
  done
} | sed 's/ *$//' >"$out"
