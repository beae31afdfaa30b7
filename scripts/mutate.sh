#!/usr/bin/env bash
# How many changes to the headers do the tests notice?
#
#   scripts/mutate.sh [--count N] [--seed S] [--flags FLAGS] [--all-formats] [HEADER | FOLDER ...]
#
# HEADER is one of include/blocq, as gguf/reader, and FOLDER all of a folder; gguf, encode and op if nothing is named. A
# change makes an operator another or a constant one more. Each test of the header's room is built once, with all
# changes in it, each of which can be switched on at run time; so a change costs a run of the tests that come by it,
# until one fails. N of the changes that tests come by, chosen by S, are tried (all of them if N is not said). Survivors
# are printed with their line. Some change nothing that can be seen: a bound that is never met, a size that is only ever
# too large. What the compiler evaluates (sizes, tables, branches of templates) is not changed, nor && and ||.
# FLAGS go to the compiler: the instruction set, an optimization in place of -O1. Formats are the sample of
# tests/support/formats.hpp, or all.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

count= seed=1 extra=() formats=(-DBLOCQ_TEST_FEW) headers=()
while [ $# -gt 0 ]; do
  case $1 in
    --count) count=$2; shift ;;
    --seed) seed=$2; shift ;;
    --flags) read -ra extra <<<"$2"; shift ;;
    --all-formats) formats=() ;;
    -*) sed -n '2,/^set/{/^#/p}' "$0"; exit 2 ;;
    *) headers+=("$1") ;;
  esac
  shift
done
[ ${#headers[@]} -gt 0 ] || headers=(gguf encode op)
mapfile -t headers < <(
  cd include/blocq
  for name in "${headers[@]}"; do
    if [ -d "$name" ]; then find "$name" -name '*.hpp' | LC_ALL=C sort; else echo "${name%.hpp}.hpp"; fi
  done
)

work=$PWD/build/mutate
rm -rf "$work" && mkdir -p "$work/reached"
cp -r include "$work"

# Lines "LINE COLUMN LENGTH", a change each: a binary operator between blanks, or a constant. Comments, directives,
# strings and what only the compiler sees are left alone.
changes() {  # HEADER
  awk '
    { line = $0; sub(/\/\/.*/, "", line) }
    defined { if (line ~ /^[^ ].*;$/) defined = 0; next }
    line ~ /^concept / { defined = line !~ /;$/; next }
    line ~ /^ *#|static_assert|BLOCQ_ASSERT|^ *template|operator|\[\[|asm| < .* >[.:]/ { next }
    line ~ /[.](units|where) [*] / { next }  # fields of bits, which no reference binds to
    {
      at = 1; rest = line
      while (match(rest, /"([^"\\]|\\.)*"|[A-Za-z_][A-Za-z_0-9]*|[0-9][0-9A-Za-z.\x27]*([ep][-+][0-9]+)?| (<=|>=|==|!=|<<|>>|<|>|[-+*\/%&|]) /)) {
        token = substr(rest, RSTART, RLENGTH); column = at + RSTART - 1; size = RLENGTH
        at += RSTART + RLENGTH - 1; rest = substr(rest, RSTART + RLENGTH)
        if (token ~ /^ /) { rest = " " rest; --at; print NR, column + 1, size - 2 }
        else if (token ~ /^([0-9]+[uU]?|true|false)$/ && substr(line, column - 1, 1) != "{") print NR, column, size
      }
    }' "include/blocq/$1"
}

# The changes as expressions: a + b is a + at<17> + b, and 4 is constant<17>(4).
cat >"$work/mutants.hpp" <<'END'
#pragma once
#include <cstdio>
#include <cstdlib>
namespace blocq_mutant {
inline const int chosen = [] { const char* s = std::getenv("BLOCQ_MUTANT"); return s ? std::atoi(s) : 0; }();
struct record {  // which changes are come by
  bool seen[65536] = {};
  ~record() {
    const char* path = std::getenv("BLOCQ_MUTANT_REACHED");
    std::FILE* file = path ? std::fopen(path, "w") : nullptr;
    for (int i = 0; file && i < 65536; ++i) if (seen[i]) std::fprintf(file, "%d\n", i);
    if (file) std::fclose(file);
  }
};
inline record reached;
inline bool on(int i) noexcept { reached.seen[i] = true; return chosen == i; }

template <int I, class T>
constexpr T constant(T v) noexcept {
  if (!__builtin_is_constant_evaluated() && on(I)) return static_cast<T>(v + 1);
  return v;
}
template <int I>
constexpr bool constant(bool v) noexcept {
  if (!__builtin_is_constant_evaluated() && on(I)) return !v;
  return v;
}
template <int I> struct place {};
template <int I> inline constexpr place<I> at{};
#define BLOCQ_MUTANT(NAME, OP, OTHER)                                                                    \
  template <int I, class T> struct NAME { T&& value; };                                                 \
  template <int I, class T> constexpr NAME<I, T> operator OP(T&& value, place<I>) noexcept {            \
    return {static_cast<T&&>(value)};                                                                    \
  }                                                                                                      \
  template <int I, class T, class U>                                                                     \
  constexpr decltype(auto) operator OP(NAME<I, T> a, U b) noexcept {                                     \
    using result = decltype(static_cast<T&&>(a.value) OP b);                                             \
    if constexpr (requires { static_cast<result>(a.value OTHER b); })                                    \
      if (!__builtin_is_constant_evaluated() && on(I)) return static_cast<result>(a.value OTHER b);      \
    return static_cast<result>(static_cast<T&&>(a.value) OP b);                                          \
  }
BLOCQ_MUTANT(add, +, -)
BLOCQ_MUTANT(subtract, -, +)
BLOCQ_MUTANT(multiply, *, +)
BLOCQ_MUTANT(divide, /, *)
BLOCQ_MUTANT(rest, %, *)
BLOCQ_MUTANT(both, &, |)
BLOCQ_MUTANT(either, |, &)
BLOCQ_MUTANT(left, <<, >>)
BLOCQ_MUTANT(right, >>, <<)
BLOCQ_MUTANT(less, <, <=)
BLOCQ_MUTANT(greater, >, >=)
BLOCQ_MUTANT(most, <=, <)
BLOCQ_MUTANT(least, >=, >)
BLOCQ_MUTANT(equal, ==, !=)
BLOCQ_MUTANT(other, !=, ==)
}
END

: >"$work/changes"  # lines "ID HEADER LINE COLUMN"
for header in "${headers[@]}"; do
  changes "$header" | awk -v header="$header" -v first="$(wc -l <"$work/changes")" -v list="$work/changes" '
    FILENAME == "-" { ++n; line[n] = $1; column[n] = $2; size[n] = $3; print first + n, header, $1, $2 >>list; next }
    FNR == 1 { k = 1 }
    {
      while (k <= n && line[k] == FNR) ++k
      for (i = k - 1; i > 0 && line[i] == FNR; --i) {
        token = substr($0, column[i], size[i])
        by = token ~ /^[0-9tf]/ ? "::blocq_mutant::constant<" first + i ">(" token ")" \
                                : token " ::blocq_mutant::at<" first + i "> " token
        $0 = substr($0, 1, column[i] - 1) by substr($0, column[i] + size[i])
      }
      print
    }' - "include/blocq/$header" >"$work/include/blocq/$header"
done

flags=(-std=c++20 -O1 -w -Wno-narrowing -fconstexpr-steps=100000000 "${formats[@]}" "-DBLOCQ_GOLDEN_DIR=\"$PWD/tests/golden\"" -include "$work/mutants.hpp"
  "-I$work/include" -Itests/support -pthread "${extra[@]}")
clang++ "${flags[@]}" -c tests/support/main.cpp -o "$work/main.o"
printf '#include <allocations.hpp>\nBLOCQ_TEST_COUNT_ALLOCATIONS\n' |
  clang++ "${flags[@]}" -c -x c++ - -o "$work/allocations.o"

# Runs a test with the changes that $BLOCQ_MUTANT chooses. Of two NaNs a sum takes the sign of the one that the compiler puts
# first, which changes that are not switched on move already: so not the one case that looks at it.
run() {  # TEST SECONDS
  { (ulimit -v 8388608; timeout "$2" "$work/$1" --minimal --abort-after=1 --test-case-exclude='a NaN or an infinity*') \
    >/dev/null 2>&1; } 2>/dev/null
}
for room in $(printf '%s\n' "${headers[@]%%/*}" | sort -u); do
  for source in tests/"$room"/test_*.cpp; do
    name=$room.$(basename "$source" .cpp)
    clang++ "${flags[@]}" -MM "$source" | grep -F "$(printf "$work/include/blocq/%s\n" "${headers[@]}")" >/dev/null || continue
    objects=("$work/main.o")
    grep -q '^BLOCQ_TEST_COUNT_ALLOCATIONS' "$source" || objects+=("$work/allocations.o")
    for calls in encoders kernels; do  # what it shares with other tests
      grep -q "^#include <$calls.hpp>" "$source" || continue
      [ -e "$work/$calls.o" ] || clang++ "${flags[@]}" -c "tests/support/$calls.cpp" -o "$work/$calls.o"
      objects+=("$work/$calls.o")
    done
    clang++ "${flags[@]}" "$source" "${objects[@]}" -ldl -o "$work/$name"
    start=${EPOCHREALTIME/./}
    BLOCQ_MUTANT_REACHED=$work/reached/$name run "$name" 600 || { echo "mutate: $source does not pass as it is" >&2; exit 1; }
    echo "$((${EPOCHREALTIME/./} - start)) $name" >>"$work/times"
  done
done

sort -nu "$work"/reached/* >"$work/all"

# The numbers from 1 to N in an order that SEED chooses, by Lehmer's generator: awks have several of their own.
shuffle() {  # N SEED
  awk -v n="$1" -v state="$2" 'BEGIN {
    for (i = 1; i <= n; ++i) order[i] = i
    state = state * 7919 % 2147483646 + 1
    for (i = 1; i <= n; ++i) {
      state = state * 48271 % 2147483647
      k = i + int(state / 2147483647 * (n - i + 1))
      print order[k]
      order[k] = order[i]
    }
  }'
}

tried=0 killed=0
while read -r id; do
  outcome=0
  while read -r time name; do
    grep -qx "$id" "$work/reached/$name" || continue
    BLOCQ_MUTANT=$id run "$name" $((10 + time / 100000)) || { outcome=1; break; }
  done < <(sort -n "$work/times")
  tried=$((tried + 1)) killed=$((killed + outcome))
  [ $outcome = 0 ] || continue
  read -r header line column < <(sed -n "${id}s/^[0-9]* //p" "$work/changes")
  text=$(sed -n "${line}p" "include/blocq/$header")
  printf 'not noticed: %s:%s: %s>>%s\n' "$header" "$line" "$(sed 's/^ *//' <<<"${text:0:column - 1}")" "${text:column - 1}"
done < <(
  shuffle "$(wc -l <"$work/changes")" "$seed" |
    awk -v count="$count" 'NR == FNR { reached[$1]; next } $1 in reached && (count == "" || n++ < count)' "$work/all" -
)
echo "$tried changes of the $(wc -l <"$work/all") that tests come by: $killed noticed, $((tried - killed)) not"
[ $tried -gt 0 ]
