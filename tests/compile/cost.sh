#!/usr/bin/env bash
# Prints what including the umbrellas, the reader and xsimd costs over an empty file. Never fails on a time:
# cost.sh COMPILER FLAG...
. "$(dirname "$0")/common.sh"

TIMEFORMAT=%U
cost() {  # TEXT: the best of five, CPU seconds
  echo "$1" >"$work/unit.cpp"
  for _ in 1 2 3 4 5; do time "${compiler[@]}" -I"$tree" -fsyntax-only "$work/unit.cpp"; done 2>&1 | sort -n | head -n 1
}
compiler=("$@")
empty=$(cost '')
for header in blocq/format/all blocq/gguf/reader blocq/gguf/all blocq/safetensors/reader blocq/checkpoint/all blocq/blocq xsimd/xsimd; do
  printf '%-22s %s s over an empty file\n' "$header.hpp" \
    "$(cost "#include <$header.hpp>" | awk -v empty="$empty" '{ printf "%.2f", $1 - empty }')"
done
