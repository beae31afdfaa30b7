#!/usr/bin/env bash
# Changes one operator, comparison or constant of a header at a time, and counts the changes that no test notices:
#
#   scripts/mutate.sh [--every N] [--first K] [HEADER ...]
#
# HEADER is one of include/blocq/gguf, encode or op, as gguf/reader; all of them if none is named. Every Nth change from
# number K on is tried (every one, from 0). The header's own test is built and run first, then the others of its room
# until one fails, with the sample of formats (tests/support/formats.hpp). Survivors are printed with their line. Some
# change nothing that can be seen: a bound that is never met, a size that is only ever too large.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

every=1 first=0 headers=()
while [ $# -gt 0 ]; do
  case $1 in
    --every) every=$2; shift ;;
    --first) first=$2; shift ;;
    -*) sed -n '2,/^set/{/^#/p}' "$0"; exit 2 ;;
    *) headers+=("${1%.hpp}") ;;
  esac
  shift
done
[ ${#headers[@]} -gt 0 ] || mapfile -t headers < <(cd include/blocq && ls {gguf,encode,op}/*.hpp | sed 's/[.]hpp$//')

work=$PWD/build/mutate
rm -rf "$work" && mkdir -p "$work"
cp -r include "$work"
flags=(-std=c++20 -O0 -w -DBLOCQ_TEST_FEW "-DBLOCQ_GOLDEN_DIR=\"$PWD/tests/golden\"" "-I$work/include" -Itests/support -pthread)
g++ "${flags[@]}" -c tests/support/main.cpp -o "$work/main.o"
printf '#include <allocations.hpp>\nBLOCQ_TEST_COUNT_ALLOCATIONS\n' |
  g++ "${flags[@]}" -c -x c++ - -o "$work/allocations.o"

# Lines "LINE COLUMN LENGTH REPLACEMENT", a change each. Comments, directives, strings and what only the compiler sees are
# left alone.
changes() {
  awk '
    BEGIN {
      n = split("<=:< >=:> ==:!= !=:== &&:|| ||:&& <:<= >:>= +:- -:+ *:/ /:* %:/ &:| |:& <<:>> >>:<< true:false false:true", list, " ")
      for (i = 1; i <= n; ++i) { k = index(list[i], ":"); other[substr(list[i], 1, k - 1)] = substr(list[i], k + 1) }
    }
    { line = $0; sub(/\/\/.*/, "", line) }
    line ~ /^ *#|static_assert|BLOCQ_ASSERT|^ *template|operator|\[\[/ { next }
    {
      gsub(/"([^"\\]|\\.)*"/, "&", line)
      at = 1; rest = line
      while (match(rest, /"([^"\\]|\\.)*"|[A-Za-z_][A-Za-z_0-9]*|[0-9][0-9A-Za-z.\x27]*| (<=|>=|==|!=|&&|\|\||<<|>>|<|>|[-+*\/%&|]) /)) {
        token = substr(rest, RSTART, RLENGTH); column = at + RSTART - 1; size = RLENGTH
        at += RSTART + RLENGTH - 1; rest = substr(rest, RSTART + RLENGTH)
        if (token ~ /^ /) { rest = " " rest; --at; token = substr(token, 2, size - 2); ++column; size -= 2 }
        if (token in other) print NR, column, size, other[token]
        else if (token ~ /^[0-9]+[uU]?$/) print NR, column, size, token + 1
      }
    }' "$1"
}

tests_of() {  # ROOM NAME: the header's own test, then those of its room
  local own=tests/$1/test_$2.cpp source
  [ ! -e "$own" ] || echo "$own"
  for source in tests/"$1"/test_*.cpp; do [ "$source" = "$own" ] || echo "$source"; done
}
# Builds one source of tests with the headers as they are in the copy, and runs it.
passes() {  # SOURCE: 1 if it fails, 2 if it does not compile
  local objects=("$work/main.o")
  grep -q '^BLOCQ_TEST_COUNT_ALLOCATIONS' "$1" || objects+=("$work/allocations.o")
  g++ "${flags[@]}" "$1" "${objects[@]}" -ldl -o "$work/test" 2>/dev/null || return 2
  { (ulimit -v 8388608; timeout 120 "$work/test" --minimal --abort-after=1) >/dev/null 2>&1; } 2>/dev/null || return 1
}
declare -A sound=()  # sources that pass with the headers unchanged
noticed() {  # HEADER: 0 if a test fails, 1 if none does, 2 if the first does not compile
  local source outcome copy=$work/include/blocq/$1.hpp first=1
  while read -r source; do
    outcome=0
    passes "$source" || outcome=$?
    [ $outcome = 2 ] && [ $first = 1 ] && return 2
    first=0
    [ $outcome != 0 ] || continue
    if [ -z "${sound[$source]:-}" ]; then
      mv "$copy" "$work/changed.hpp"
      cp "include/blocq/$1.hpp" "$copy"
      passes "$source" || { echo "mutate: $source does not pass as it is" >&2; exit 1; }
      mv "$work/changed.hpp" "$copy"
      sound[$source]=1
    fi
    return 0
  done < <(tests_of "${1%%/*}" "${1##*/}")
  return 1
}

number=0 killed=0 survived=0 stillborn=0
for header in "${headers[@]}"; do
  original=include/blocq/$header.hpp copy=$work/include/blocq/$header.hpp
  while read -r line column size replacement; do
    chosen=$((number++))
    [ $chosen -ge "$first" ] && [ $(((chosen - first) % every)) = 0 ] || continue
    awk -v line="$line" -v column="$column" -v size="$size" -v by="$replacement" \
      'NR == line { $0 = substr($0, 1, column - 1) by substr($0, column + size) } { print }' "$original" >"$copy"
    outcome=0
    noticed "$header" || outcome=$?
    case $outcome in
      0) killed=$((killed + 1)) ;;
      2) stillborn=$((stillborn + 1)) ;;
      1)
        survived=$((survived + 1))
        printf 'survived: %s.hpp:%s: %s\n' "$header" "$line" "$(sed -n "${line}s/^ *//p" "$copy")"
        ;;
    esac
  done < <(changes "$original")
  cp "$original" "$copy"
done
tried=$((killed + survived))
echo "$tried changes: $killed noticed, $survived not; $stillborn did not compile"
[ $tried -gt 0 ]
