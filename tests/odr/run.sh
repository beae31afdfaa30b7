#!/usr/bin/env bash
# Three translation units of one source, built for different instruction sets, in one program: run.sh COMPILER FLAG...
# Whichever is linked first, each must run its own code, and what the linker does share must run on both processors.
# BLOCQ_LEVELS: the optimization levels, "-O0 -O2" if unset, of the unit for the newest processor; the others are not
# optimized, which leaves the most functions for the linker to share.
. "$(dirname "$0")/../compile/common.sh"

# Without Eigen, whose solvers leave functions of their own, which calib/eigen.hpp says.
include_all | grep -vE "<($with_eigen|blocq/calib/all.hpp)>" >"$work/blocq_all.hpp"
functions() { readelf -sW "$1" | awk '$4 == "FUNC" && $5 == "WEAK" && $7 != "UND" { print $8 }' | LC_ALL=C sort -u; }

# Names of the functions of an object that hold an instruction which x86-64 does not have from the start.
beyond_baseline() {
  objdump -d --no-show-raw-insn "$1" | awk '
    /^[0-9a-f]+ <.*>:$/ { name = $2; gsub(/[<>:]/, "", name) }
    $2 ~ /^(v[a-z]|andn|bextr|bls|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx|lzcnt|tzcnt|popcnt|movbe)/ { print name }' |
    LC_ALL=C sort -u
}

compile() {  # UNIT FLAG...
  local unit=$1
  shift
  "${compiler[@]}" $strict -I"$tree" -I"$work" "$@" -DBLOCQ_TEST_KINDS -DUNIT=$unit -c tests/odr/unit.cpp -o "$work/$unit.o"
  functions "$work/$unit.o" >"$work/$unit.functions"
}
share() {  # OBJECT OBJECT: the weak functions that both define; none may be the library's
  LC_ALL=C comm -12 "$work/$1.functions" "$work/$2.functions" >"$work/shared"
  ! grep -E '^_ZZ*NK?5blocq' "$work/shared" >"$work/own" ||
    fail "functions of the library that the units $1 and $2 share:"$'\n'"$(c++filt <"$work/own")"
}

share_safely() {  # UNIT: what it shares with the unit for any processor runs on any
  share baseline "$1"
  beyond_baseline "$work/$1.o" >"$work/beyond"
  [ -s "$work/beyond" ] || fail "no vector instruction seen in $1: this check does not work"
  unsafe=$(LC_ALL=C comm -12 "$work/shared" "$work/beyond")
  [ -z "$unsafe" ] || fail "functions that $1 shares and that need more than x86-64:"$'\n'"$(c++filt <<<"$unsafe")"
}

compiler=("$@") levels=${BLOCQ_LEVELS:--O0 -O2}
"$@" -O1 -c tests/odr/main.cpp -o "$work/main.o"
compile baseline -O0 -march=x86-64
if [[ $levels == *-O0* ]]; then  # names, whatever the optimizer does
  # The next version of the library in the same program.
  cp -r "$tree/blocq" "$work"
  sed -i 's/\(VERSION_PATCH\) .*/\1 99/' "$work/blocq/version.hpp"
  tree=$work compile later -O0 -march=x86-64
  share baseline later
  if [ -e /usr/include/xsimd ]; then  # with and without it in one program
    compile scalar -O0 -march=x86-64 -DBLOCQ_NO_XSIMD
    share baseline scalar
  fi
fi
compile wide -O0 -march=x86-64-v3
share_safely wide
for level in $levels; do
  compile widest $level -march=x86-64-v4 -Wno-uninitialized  # in the compiler's own headers
  share_safely widest
  share wide widest

  for order in "baseline wide widest" "widest wide baseline"; do
    objects=$(printf "$work/%s.o " $order)
    "$@" "$work/main.o" $objects -o "$work/program"
    if command -v qemu-x86_64 >/dev/null; then
      qemu-x86_64 -cpu Nehalem "$work/program" 1 || fail "$level, $order: the baseline unit needs a newer processor"
    fi
    units=1
    if grep -qw avx2 /proc/cpuinfo; then units=2; fi
    if grep -qw avx512vl /proc/cpuinfo; then units=3; fi
    "$work/program" $units || fail "$level, $order: a unit ran code that is not its own"
  done
done
command -v qemu-x86_64 >/dev/null || echo "skipped: the baseline unit on an older processor (no qemu-x86_64)"
