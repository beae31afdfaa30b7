#!/usr/bin/env bash
# What scripts/add-format.sh writes compiles without a warning, is in every list, passes its own test and is written only
# once: add_format.sh COMPILER FLAG...
. "$(dirname "$0")/common.sh"

mkdir -p "$work/scripts" "$work/tests/format"
cp -r include "$work"
cp scripts/add-format.sh "$work/scripts"
add="$work/scripts/add-format.sh"
"$add" try_4 >/dev/null
"$add" a_try >/dev/null  # the first of the headers, and the list is longer by now
for name in try_4 q4_0 Try "a b" ""; do
  cp -r "$work/include" "$work/before"
  ! "$add" "$name" >/dev/null 2>"$work/said" || fail "accepted: $name"
  [ -s "$work/said" ] || fail "refused without a word: $name"
  diff -r "$work/before" "$work/include" || fail "refused, but written: $name"
  rm -rf "$work/before"
done

cat >"$work/listed.cpp" <<'END'
#include <blocq/blocq.hpp>
static_assert(blocq::all_formats::contains<blocq::try_4> && blocq::all_formats::contains<blocq::a_try>);
static_assert(blocq::encodable_format<blocq::a_try> && blocq::integer_format<blocq::a_try>);
END
"$@" $strict -I"$work/include" -Itests/support "$work"/tests/format/test_try_4.cpp "$work/listed.cpp" tests/support/main.cpp \
  -o "$work/program"
"$work/program" >"$work/said" || fail "its own test fails:"$'\n'"$(cat "$work/said")"
