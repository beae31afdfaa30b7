#!/usr/bin/env bash
# What the headers leave in an object file: symbols.sh COMPILER FLAG...
#   1. Including them leaves nothing: no definition that could clash and no code that runs before main.
#   2. Using them leaves functions in the namespace of the instruction set only (core/config.hpp says why).
#   3. Every function template compiles under strict warnings, in one translation unit.
. "$(dirname "$0")/common.sh"

# Eigen itself leaves initializers.
include_all | grep -vE "<($with_eigen|blocq/calib/all.hpp)>" >"$work/blocq_all.hpp"
"$@" -I"$tree" -O0 -c -x c++ "$work/blocq_all.hpp" -o "$work/included.o"
left=$(nm -C "$work/included.o" | grep -E ' [TDBC] |_GLOBAL__|__cxx_global_var_init|init_array' || true)
[ -z "$left" ] || fail "merely including the headers defines:"$'\n'"$left"

# At -O0 whatever is used and not always inlined is emitted. Always inlined functions are marked hidden beforehand:
# a compiler that emits one too shows it by that.
include_all >"$work/blocq_all.hpp"
for unit in everything kinds; do
  [ $unit = kinds ] && sample=-DBLOCQ_TEST_KINDS || sample=
  "$@" $sample -I"$tree" -I"$work" -E tests/compile/everything.cpp -o "$work/$unit.ii"
  sed -i 's/__attribute__((always_inline))/__attribute__((always_inline, visibility("hidden")))/' "$work/$unit.ii"
done

isa='^[A-Z]+ _ZZ*NK?5blocq([0-9]+[a-z_]+)?2v0[0-9]+(x86_64|x86|arm64|wasm|generic)'
functions() {  # UNIT FLAG...: the library's functions in the object file, with their visibility
  local unit=$1
  shift
  "${compiler[@]}" $strict -Wno-attributes -O0 "$@" -c "$work/$unit.ii" -o "$work/$unit.o"
  readelf -sW "$work/$unit.o" | awk '$4 == "FUNC" && $7 != "UND" { print $6, $8 }' |
    grep -E '^[A-Z]+ _ZZ*NK?5blocq' | LC_ALL=C sort -u >"$work/$unit.functions"
  [ "$(grep -cE "$isa" "$work/$unit.functions")" -gt 100 ] || fail "few functions emitted: this check does not work"
}
stray() { grep -vE "$isa" "$work/$1.functions" || true; }

compiler=("$@")
functions everything
# A lambda in an always inlined function inherits the mark but not the inlining.
stray everything | grep -E '^DEFAULT|^HIDDEN _ZZ' >"$work/found" || true
# g++ can be asked for the functions that nobody calls too; one format of each kind will do. That includes constructors which no
# source line wrote and lambdas which only run at compile time, so those do not count here. Once: without xsimd nothing is
# added.
case "$("$@" --version) $*" in
  *clang* | *-DBLOCQ_NO_XSIMD*) ;;
  *)
    functions kinds -fkeep-inline-functions
    stray kinds | grep '^DEFAULT' | grep -vE '[CD][012]Ev$|UlvE|^[A-Z]+ _ZZ' >>"$work/found" || true
    ;;
esac
[ ! -s "$work/found" ] ||
  fail "functions outside the namespace of the instruction set:"$'\n'"$(cut -d' ' -f2 "$work/found" | c++filt | sort -u)"
