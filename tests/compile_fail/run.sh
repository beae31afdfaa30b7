#!/usr/bin/env bash
# Misuse is refused with a sentence: run.sh COMPILER FLAG...
# Each file is compiled twice: as it is it must compile; with -DBAD it must not, and the compiler must say one of the
# sentences named in the first line (separated by " | "). A line "only there:" names further flags for both.
. "$(dirname "$0")/../compile/common.sh"

# Most include the whole library, which both compilers read faster once they have read it before.
echo '#include <blocq/blocq.hpp>' >"$work/before.hpp"
"$@" $strict -I"$tree" -x c++-header "$work/before.hpp" -o "$work/before.hpp.gch"

count=0
for file in tests/compile_fail/*.cpp; do
  count=$((count + 1))
  sentences=$(sed -nE '1s|^// must say: ||p' "$file" | sed 's/ | /\n/g')
  [ -n "$sentences" ] || fail "$file: the first line must state what the compiler must say"
  flags=$(sed -nE 's|^// only there: ||p' "$file")
  if [ -z "$flags" ] && grep -qF '<blocq/blocq.hpp>' "$file"; then flags="-include $work/before.hpp"; fi
  "$@" $flags $strict -I"$tree" -fsyntax-only "$file" || fail "$file: the good twin does not compile"
  ! "$@" $flags $strict -I"$tree" -fsyntax-only -DBAD "$file" 2>"$work/said" || fail "$file: the misuse compiles"
  grep -qF -e "$sentences" "$work/said" || fail "$file: refused, but not with: $sentences"$'\n'"$(head -n 20 "$work/said")"
done
[ "$count" -gt 5 ] || fail "only $count files"
echo "$count kinds of misuse refused with their sentence"
