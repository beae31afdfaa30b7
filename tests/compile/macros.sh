#!/usr/bin/env bash
# Macros, in both directions: macros.sh COMPILER FLAG...
# None without the prefix BLOCQ_ leaves the headers; and the ones that other headers are known for, neighbours.txt, are
# no identifiers here and do no harm inside, nor in xsimd, when they come first.
. "$(dirname "$0")/common.sh"

names() { "$@" -I"$tree" -dM -E "$work/unit.cpp" | sed -E 's/^#define ([A-Za-z0-9_]+).*/\1/' | LC_ALL=C sort; }

include_foreign >"$work/unit.cpp"
names "$@" >"$work/before"
include_all >>"$work/unit.cpp"
names "$@" >"$work/after"
[ "$(grep -c '^BLOCQ_' "$work/after")" -gt 10 ] || fail "no macro of the library seen: this check does not work"
leaks=$(LC_ALL=C comm -13 "$work/before" "$work/after" | grep -v '^BLOCQ_' || true)
[ -z "$leaks" ] || fail "macros without the prefix BLOCQ_:" $leaks

mapfile -t neighbours < <(grep -v '^#' tests/compile/neighbours.txt | cut -d: -f2 | tr ' ' '\n' | grep .)
[ "${#neighbours[@]}" -gt 100 ] || fail "no list of neighbours' macros: this check does not work"

# Comments, strings and include lines aside; for instruction sets that this compiler does not see, too.
pattern=$(IFS='|' && echo "${neighbours[*]}")
clashes=$(cd "$tree" && find blocq -name '*.hpp' | while read -r header; do
  sed -E 's,//.*,,; s,"([^"\\]|\\.)*",,g; /^ *# *(include|undef|pragma)/d' "$header" | grep -wE "$pattern" | sed "s,^,$header: ," || true
done)
[ -z "$clashes" ] || fail "identifiers that are macros of a neighbour:"$'\n'"$clashes"

{
  include_foreign | sed '/^#if.*xsimd/,/^#endif/d'  # xsimd comes with the library, under these macros
  for name in "${neighbours[@]}"; do
    echo "#undef $name"
    echo "#define $name a macro of some other header"
  done
  echo '#define min(a, b) ((a) < (b) ? (a) : (b))'
  echo '#define max(a, b) ((a) > (b) ? (a) : (b))'
  include_all
} >"$work/unit.cpp"
"$@" -I"$tree" -fsyntax-only "$work/unit.cpp"
