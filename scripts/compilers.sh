#!/usr/bin/env bash
# Which compilers take the headers, and how: the table of docs/support.md.
#
#   scripts/compilers.sh [--root DIR] [--markdown] [--build-dir DIR] [COMPILER ...]
#
# Tries each COMPILER (all of g++-12 to 16 and clang++-14 to 22 that are installed) in each mode: all headers under
# -Werror in three versions of the language; and a program of two units, tests/compile/small, built and run without
# exceptions and run-time type information, with a precompiled header, as one unit, with link-time optimization, with
# libc++, and importing the module. --root: compilers of another system, in the folder DIR, by chroot. --markdown: the
# last result of every compiler in the build directory replaces the table of docs/support.md. Exits with 1 if something
# failed.
set -euo pipefail
cd "$(dirname "$0")/.."

markdown= root= out=build/compilers compilers=()
while [ $# -gt 0 ]; do
  case $1 in
    --root) root=$2; shift ;;
    --markdown) markdown=1 ;;
    --build-dir) out=$2; shift ;;
    -*) sed -n '2,/^set/{/^#/p}' "$0"; exit 2 ;;
    *) compilers+=("$1") ;;
  esac
  shift
done
mkdir -p "$out"
out=$(cd "$out" && pwd)
[ ${#compilers[@]} -gt 0 ] || compilers=(g++-{12..16} clang++-{14..22})

if [ -n "$root" ]; then  # the same script there
  there=$(mktemp -d "$root/tmp/compilers.XXXXXX")
  trap 'rm -rf "$there"' EXIT
  mkdir -p "$there/tests/compile"
  cp -r include module scripts "$there"
  cp -r tests/compile/small "$there/tests/compile"
  failed=0
  chroot "$root" "${there#"$root"}/scripts/compilers.sh" --build-dir "${there#"$root"}/out" "${compilers[@]}" || failed=1
  cp "$there"/out/*.row "$out"
else
  failed=0
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # Eigen is not looked for, and what is for one instruction set comes with the rest.
  (cd include && find blocq -name '*.hpp' | grep -v 'simd/primitive/' | LC_ALL=C sort | xargs grep -L '<blocq/calib/eigen.hpp>\|Eigen/' |
    grep -v 'blocq/calib/all.hpp' | sed 's/.*/#include <&>/') >"$work/all.cpp"
  small=tests/compile/small
  cat $small/other.cpp $small/main.cpp >"$work/unity.cpp"
fi

# The usual sets of template projects. -Wuseless-cast sees casts that are one for another argument of a template.
warnings=(-Werror -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast
  -Wcast-align -Wunused -Woverloaded-virtual -Wnull-dereference -Wdouble-promotion -Wformat=2 -Wimplicit-fallthrough)
gnu_warnings=(-Wmisleading-indentation -Wduplicated-cond -Wduplicated-branches -Wlogical-op)

headers() { "$compiler" "-std=$1" -Iinclude "${warnings[@]}" -fsyntax-only "$work/all.cpp"; }
# Compiles, links and runs the small program: FLAG ... SOURCE ...
program() { "$compiler" -std=c++20 -O1 -DNDEBUG -Iinclude "$@" -o "$work/program" && "$work/program"; }
precompiled() {
  local header=include/blocq/blocq.hpp flags=(-std=c++20 -O1 -DNDEBUG -Iinclude)
  case $compiler in
    clang*)
      "$compiler" "${flags[@]}" -x c++-header $header -o "$work/blocq.pch" &&
        program -include-pch "$work/blocq.pch" $small/main.cpp
      ;;
    *)
      mkdir -p "$work/pch/blocq" && cp $header "$work/pch/blocq/" &&
        "$compiler" "${flags[@]}" -x c++-header $header -o "$work/pch/blocq/blocq.hpp.gch" &&
        program -Winvalid-pch -include "$work/pch/blocq/blocq.hpp" $small/main.cpp
      ;;
  esac
}
module() {
  case $compiler in
    clang*)
      "$compiler" -std=c++20 -O1 -DNDEBUG -Iinclude --precompile module/blocq.cppm -o "$work/blocq.pcm" &&
        "$compiler" -O1 -c "$work/blocq.pcm" -o "$work/module.o" &&
        program -DBLOCQ_TEST_MODULE "-fmodule-file=blocq=$work/blocq.pcm" $small/main.cpp "$work/module.o"
      ;;
    *)
      (
        tree=$PWD
        cd "$work" && rm -rf gcm.cache &&
          "$compiler" -std=c++20 -fmodules-ts -O1 -DNDEBUG "-I$tree/include" -x c++ -c "$tree/module/blocq.cppm" -o module.o &&
          "$compiler" -std=c++20 -fmodules-ts -O1 -DNDEBUG -DBLOCQ_TEST_MODULE -c "$tree/$small/main.cpp" -o main.o &&
          "$compiler" main.o module.o -o program && ./program
      )
      ;;
  esac
}
# try FUNCTION ARGUMENT ...: adds a cell to the row.
try() {
  local said=$work/said
  if "$@" >"$said" 2>&1; then
    row+=" yes |"
  elif grep -qE "unrecognized command.line option|invalid value '.*' in|unknown argument" "$said"; then
    row+=" - |"  # it does not know the mode
  else
    row+=" no |" failed=1
    printf '%s, %s:\n' "$compiler" "$*" >&2
    grep -m 3 -E 'error|warning|undefined' "$said" >&2 || head -n 3 "$said" >&2
  fi
}

for compiler in "${compilers[@]}"; do
  [ -z "$root" ] || break
  command -v "$compiler" >/dev/null || continue
  all_warnings=("${warnings[@]}")
  [[ $compiler == clang* ]] || warnings+=("${gnu_warnings[@]}")
  major=${compiler##*-}
  row="| $("$compiler" --version | head -n 1 | sed 's/^Debian //; s/^g++-[0-9]*/g++/; s/ (.*) / /; s/(.*//; s/clang version \([0-9.]*\).*/clang++ \1/') |"
  for standard in c++20 c++2b c++2c; do try headers $standard; done
  try program -fno-exceptions -fno-rtti $small/main.cpp $small/other.cpp
  try precompiled
  try program "$work/unity.cpp"
  case $compiler in  # a linker that knows clang's intermediate code
    clang*) command -v "ld.lld-$major" >/dev/null && try program -flto "-fuse-ld=lld-$major" $small/{main,other}.cpp || row+=" |" ;;
    *) try program -flto $small/{main,other}.cpp ;;
  esac
  case $compiler in
    clang*)
      if echo '#include <span>' | "$compiler" -std=c++20 -stdlib=libc++ -x c++ -fsyntax-only - 2>/dev/null; then
        try program -stdlib=libc++ $small/{main,other}.cpp
      else
        row+=" |"
      fi
      ;;
    *) row+=" - |" ;;
  esac
  # Before these, modules of g++ and clang++ were experiments.
  case $compiler in
    clang*) [ "$major" -ge 19 ] && try module || row+=" - |" ;;
    *) [ "$major" -ge 16 ] && try module || row+=" - |" ;;
  esac
  warnings=("${all_warnings[@]}")
  echo "$row" | tee "$out/$compiler.row"
done

if [ -n "$markdown" ]; then
  {
    printf '| compiler | C++20 | C++23 | C++26 | no exceptions, no RTTI | precompiled | one unit | LTO | libc++ | module |\n'
    printf '|---|---|---|---|---|---|---|---|---|---|\n'
    for row in $(ls "$out"/*.row | sort -V); do cat "$row"; done
  } >"$out/table.md"
  awk -v table="$out/table.md" '
    /<!-- compilers.sh ends -->/ { skip = 0 }
    !skip { print }
    /<!-- compilers.sh begins -->/ { while ((getline row < table) > 0) print row; skip = 1 }
  ' docs/support.md >"$out/support.md"
  cp "$out/support.md" docs/support.md
fi
exit $failed
