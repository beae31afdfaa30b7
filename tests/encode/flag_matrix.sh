#!/usr/bin/env bash
# Builds flag_matrix.cpp with g++ and clang++ under flags that are known to change floating-point results, runs every
# build and compares the hashes with those of the first build: one hash per format, whatever the flags.
#   flag_matrix.sh WORK_DIRECTORY [COMPILER-ARGUMENT ...]
set -euo pipefail
cd "$(dirname "$0")/../.."
export work=$1 arguments=${*:2}
mkdir -p "$work"

# A third of all combinations: every option meets both compilers, and the scalar model (BLOCQ_NO_XSIMD) the wildest.
# -masm=intel: the few instructions that the headers write out have to be there in both dialects. All formats with the
# wildest flags of one compiler; else those that reach every template (BLOCQ_TEST_FEW). What all formats are with the
# usual flags, test_all.cpp says.
few=-DBLOCQ_TEST_FEW
fast="-Ofast -funsafe-math-optimizations -ffp-contract=fast"
builds=(
  "clang++ $fast -mrecip -march=native"
  "g++ $fast -mrecip -march=x86-64-v3 $few"
  "g++ -O2 $few"
  "g++ -O0 -march=x86-64-v3 -masm=intel $few"
  "g++ -O1 -ffast-math -DBLOCQ_NO_XSIMD -masm=intel $few"
  "g++ $fast -mrecip -march=native -DBLOCQ_NO_XSIMD $few"
  "clang++ -O0 -ffast-math $few"
  "clang++ -O1 -march=native -masm=intel $few"
  "clang++ -O3 -march=x86-64-v3 -ffp-contract=fast -DBLOCQ_NO_XSIMD $few"
)

run_build() {  # NUMBER FLAGS: leaves the hashes in NUMBER.txt, or one line in NUMBER.skip or NUMBER.fail
  local out=$work/$1 command=$2 compiler=${2%% *}
  rm -f "$out".*
  command -v "$compiler" >/dev/null || { echo "no $compiler here" >"$out.skip"; return; }
  echo 'int main() {}' >"$out.cpp"
  $command "$out.cpp" -o "$out.bin" 2>/dev/null || { echo "$compiler refuses these flags" >"$out.skip"; return; }
  if [[ $command == *x86-64-v3* ]] && ! grep -qw avx2 /proc/cpuinfo; then
    echo "this processor has no AVX2" >"$out.skip"
    return
  fi
  $command -std=c++20 -w -Iinclude -Itests/support $arguments tests/encode/flag_matrix.cpp -o "$out.bin" 2>"$out.log" ||
    { echo "does not compile" >"$out.fail"; return; }
  "$out.bin" >"$out.txt" || echo "fails, or depends on the floating-point modes" >"$out.fail"
}
export -f run_build

for i in "${!builds[@]}"; do printf '%s\0%s\0' "$i" "${builds[i]}"; done |
  xargs -0 -P 2 -n 2 bash -c 'run_build "$@"' run_build

# The first list has all formats, the other those that its build has.
compare() { [ -s "$2" ] && awk 'NR == FNR { listed[$1]; next } $1 in listed' "$2" "$1" | diff - "$2"; }

failed=0 list=
for i in "${!builds[@]}"; do
  verdict=same
  if [ -e "$work/$i.skip" ]; then
    verdict="skipped: $(cat "$work/$i.skip")"
  elif [ -e "$work/$i.fail" ]; then
    verdict="FAILED: $(cat "$work/$i.fail")"
    failed=1
  elif ! compare "${list:=$work/$i.txt}" "$work/$i.txt" >"$work/$i.diff"; then
    verdict="FAILED: other hashes"
    failed=1
  fi
  printf '%-90s %s\n' "${builds[i]}" "$verdict"
  for report in log diff; do
    [[ $verdict != FAILED* ]] || [ ! -s "$work/$i.$report" ] || head -n 20 "$work/$i.$report"
  done
done
[ -n "$list" ] || { echo "no build ran"; failed=1; }
exit $failed
