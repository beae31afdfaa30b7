#!/usr/bin/env bash
# Each header alone, included twice, under strict warnings: headers.sh COMPILER FLAG...
. "$(dirname "$0")/common.sh"

count=0 bad=0
for header in $(headers); do
  count=$((count + 1))
  printf '#include <%s>\n#include <%s>\n' "$header" "$header" >"$work/alone.cpp"
  "$@" $strict -I"$tree" -fsyntax-only "$work/alone.cpp" 2>"$work/errors" && continue
  bad=$((bad + 1))
  echo "$header does not stand alone:"
  head -n 15 "$work/errors"
  [ $bad -lt 5 ] || break
done
echo "$count headers, $bad bad"
[ "$bad" = 0 ] && [ "$count" -gt 0 ]
