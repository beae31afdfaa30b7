#!/usr/bin/env bash
# Prints what including the umbrellas costs over an empty file; budget 0.3 s each with g++ 12. Never fails on a time:
# cost.sh COMPILER FLAG...
. "$(dirname "$0")/common.sh"

TIMEFORMAT=%U
cost() {  # TEXT: the best of five, CPU seconds
  echo "$1" >"$work/unit.cpp"
  for _ in 1 2 3 4 5; do time "${compiler[@]}" -I"$tree" -fsyntax-only "$work/unit.cpp"; done 2>&1 | sort -n | head -n 1
}
compiler=("$@")
empty=$(cost '')
for header in format/all gguf/all blocq; do
  printf '%-16s %s s over an empty file\n' "$header.hpp" \
    "$(cost "#include <blocq/$header.hpp>" | awk -v empty="$empty" '{ printf "%.2f", $1 - empty }')"
done
