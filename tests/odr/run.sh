#!/usr/bin/env bash
# Two translation units of one source, built for different instruction sets, in one program: run.sh COMPILER FLAG...
# Whichever is linked first, each must run its own code, and what the linker does share must run on both processors.
. "$(dirname "$0")/../compile/common.sh"

include_all >"$work/blocq_all.hpp"
functions() { readelf -sW "$1" | awk '$4 == "FUNC" && $5 == "WEAK" && $7 != "UND" { print $8 }' | LC_ALL=C sort -u; }

# Names of the functions of an object that hold an instruction which x86-64 does not have from the start.
beyond_baseline() {
  objdump -d --no-show-raw-insn "$1" | awk '
    /^[0-9a-f]+ <.*>:$/ { name = $2; gsub(/[<>:]/, "", name) }
    $2 ~ /^(v[a-z]|andn|bextr|bls|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx|lzcnt|tzcnt|popcnt|movbe)/ { print name }' |
    LC_ALL=C sort -u
}

"$@" -O1 -c tests/odr/main.cpp -o "$work/main.o"
for level in -O0 -O2; do
  for unit in baseline:x86-64 wide:x86-64-v3; do
    "$@" -Iinclude -I"$work" $level -march=${unit#*:} -DUNIT=${unit%:*} -c tests/odr/unit.cpp -o "$work/${unit%:*}.o"
    functions "$work/${unit%:*}.o" >"$work/${unit%:*}.functions"
  done
  LC_ALL=C comm -12 "$work/baseline.functions" "$work/wide.functions" >"$work/shared"
  own=$(grep -E '^_ZZ*NK?5blocq' "$work/shared" || true)
  [ -z "$own" ] || fail "$level: functions of the library that both units share:"$'\n'"$(c++filt <<<"$own")"
  beyond_baseline "$work/wide.o" >"$work/beyond"
  [ -s "$work/beyond" ] || fail "$level: no vector instruction seen: this check does not work"
  unsafe=$(LC_ALL=C comm -12 "$work/shared" "$work/beyond")
  [ -z "$unsafe" ] || fail "$level: shared functions that need more than x86-64:"$'\n'"$(c++filt <<<"$unsafe")"

  for order in "baseline wide" "wide baseline"; do
    objects=$(printf "$work/%s.o " $order)
    "$@" "$work/main.o" $objects -o "$work/program"
    if command -v qemu-x86_64 >/dev/null; then
      qemu-x86_64 -cpu Nehalem "$work/program" baseline || fail "$level, $order: the baseline unit needs a newer processor"
    fi
    grep -qw avx2 /proc/cpuinfo || continue
    "$work/program" || fail "$level, $order: a unit ran code that is not its own"
  done
done
command -v qemu-x86_64 >/dev/null || echo "skipped: the baseline unit on an older processor (no qemu-x86_64)"
