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
isa='^[A-Z]+ _ZZ*NK?5blocq([0-9]+[a-z_]+)?2v0[0-9]+(x86_64|x86|arm64|wasm|generic)'
stray() {  # SOURCE FLAG...: the library's functions outside the namespace that the compiler emits, with their visibility
  "${compiler[@]}" -I"$tree" -I"$work" -E -x c++ "$1" -o "$work/unit.ii"
  sed -i 's/__attribute__((always_inline))/__attribute__((always_inline, visibility("hidden")))/' "$work/unit.ii"
  "${compiler[@]}" $strict -Wno-attributes -O0 "${@:2}" -c "$work/unit.ii" -o "$work/unit.o"
  readelf -sW "$work/unit.o" | awk '$4 == "FUNC" && $7 != "UND" { print $6, $8 }' |
    grep -E '^[A-Z]+ _ZZ*NK?5blocq' | LC_ALL=C sort -u >"$work/functions"
  [ "$(grep -cE "$isa" "$work/functions")" -gt 100 ] || fail "few functions emitted: this check does not work"
  grep -vE "$isa" "$work/functions" || true
}
refuse() {  # LINES of what was found
  [ -z "$1" ] ||
    fail "functions outside the namespace of the instruction set:"$'\n'"$(cut -d' ' -f2 <<<"$1" | c++filt | LC_ALL=C sort -u)"
}

compiler=("$@")
# g++ can be asked for the functions that nobody calls too. That includes constructors which no source line wrote and
# lambdas which only run at compile time, so those do not count here. Once: without xsimd nothing is added.
case "$("$@" --version) $*" in
  *clang* | *-DBLOCQ_NO_XSIMD*) ;;
  *)
    stray "$work/blocq_all.hpp" -fkeep-inline-functions >"$work/found"
    refuse "$(grep '^DEFAULT' "$work/found" | grep -vE '[CD][012]Ev$|UlvE|^[A-Z]+ _ZZ' || true)"
    ;;
esac
# A lambda in an always inlined function inherits the mark but not the inlining.
include_all >"$work/blocq_all.hpp"
stray tests/compile/everything.cpp >"$work/found"
refuse "$(grep -E '^DEFAULT|^HIDDEN _ZZ' "$work/found" || true)"
