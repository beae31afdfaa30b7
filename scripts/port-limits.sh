#!/usr/bin/env bash
# What a processor's ports leave possible: for each format the operations of gemv's kernel for 256 weights, and the cycles
# that llvm-mca's model of a processor needs for them when nothing comes from farther than the first-level cache.
#
#   scripts/port-limits.sh [FLAG ...]
#
# FLAGs are for g++, -march=native by default; MCA_CPU names the model (icelake-server).
set -euo pipefail
cd "$(dirname "$0")/.."
command -v llvm-mca >/dev/null || scripts/setup.sh llvm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- -march=native

formats="q4_0 q4_1 q5_0 q5_1 q8_0 q1_0 q2_0 q2_k q3_k q4_k q5_k q6_k iq1_s iq1_m iq2_xxs iq2_xs iq2_s iq3_xxs iq3_s iq4_nl
         iq4_xs tq1_0 tq2_0 mxfp4 nvfp4 f16 bf16"
{
  cat <<'C'
#include <blocq/op/gemv.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {
template <class B>
struct unit {
  using X = typename decltype([] {
    if constexpr (integer_format<B>)
      return std::type_identity<integer_operand_t<B>>{};
    else
      return std::type_identity<float>{};
  }())::type;
  using K = detail::row_kernel<B, X>;
  using operand = typename K::template operand<K::in_place ? detail::reading::in_place : detail::reading::copied>;
  using sums = typename K::sums;
  static constexpr unsigned long elements = K::step * block_size<B>;

  BLOCQ_INLINE static void add(const B* w, const operand* x, sums (*s)[1]) {
    const operand* const xs[1] = {x};
    K::template add<1>(w, xs, *s);
  }
};
}
C
  for f in $formats; do
    echo "extern \"C\" void unit_$f(const blocq::$f* w, const blocq::unit<blocq::$f>::operand* x,"
    echo "    blocq::unit<blocq::$f>::sums (*s)[1]) { blocq::unit<blocq::$f>::add(w, x, s); }"
    echo "extern \"C\" const unsigned long elements_$f = blocq::unit<blocq::$f>::elements;"
  done
} >"$work/units.cpp"
g++ -std=c++20 -O3 "$@" -Iinclude -S -o "$work/units.s" "$work/units.cpp"

echo "| format | operations | cycles |"
echo "|---|---:|---:|"
for f in $formats; do
  elements=$(grep -A1 "^elements_$f:" "$work/units.s" | awk '/quad/ {print $2}')
  awk "/^unit_$f:/ {on = 1; next} /cfi_endproc/ {on = 0} on && /^\t[^.]/ && !/^\t(ret|vzeroupper)/" "$work/units.s" |
    llvm-mca -mcpu="${MCA_CPU:-icelake-server}" -iterations=100 2>/dev/null |
    awk -v f="$f" -v n="$elements" '
      /^Total uOps:/ {operations = $3} /^Total Cycles:/ {cycles = $3}
      END {printf "| %s | %.0f | %.1f |\n", f, operations / 100 * 256 / n, cycles / 100 * 256 / n}'
done
