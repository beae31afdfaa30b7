#!/usr/bin/env bash
# Macros, in both directions: macros.sh COMPILER FLAG...
# None without the prefix BLOCQ_ leaves the headers, and the ones that windows.h is known for do no harm inside.
. "$(dirname "$0")/common.sh"

names() { "$@" -I"$tree" -dM -E "$work/unit.cpp" | sed -E 's/^#define ([A-Za-z0-9_]+).*/\1/' | LC_ALL=C sort; }

include_foreign >"$work/unit.cpp"
names "$@" >"$work/before"
include_all >>"$work/unit.cpp"
names "$@" >"$work/after"
[ "$(grep -c '^BLOCQ_' "$work/after")" -gt 10 ] || fail "no macro of the library seen: this check does not work"
leaks=$(LC_ALL=C comm -13 "$work/before" "$work/after" | grep -v '^BLOCQ_' || true)
[ -z "$leaks" ] || fail "macros without the prefix BLOCQ_:" $leaks

{
  include_foreign
  for name in near far small interface IN OUT IGNORE ERROR DELETE STRICT VOID CONST TRUE FALSE BOOL BYTE CHAR INT \
    FLOAT DIFFERENCE NO_ERROR ERROR_SUCCESS DOMAIN OVERFLOW UNDERFLOW PASCAL CALLBACK THIS RELATIVE ABSOLUTE \
    OPAQUE TRANSPARENT GetObject GetMessage CreateFile Yield I; do
    echo "#undef $name"
    echo "#define $name a macro of some other header"
  done
  echo '#define min(a, b) ((a) < (b) ? (a) : (b))'
  echo '#define max(a, b) ((a) > (b) ? (a) : (b))'
  include_all
} >"$work/unit.cpp"
"$@" -I"$tree" -fsyntax-only "$work/unit.cpp"
