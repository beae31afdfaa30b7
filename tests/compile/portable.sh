#!/usr/bin/env bash
# The headers as a compiler without the extensions of g++ and clang++ reads them, cl.exe for one: portable.sh COMPILER FLAG...
# They hold no attribute, no statement of assembly, no vector and no builtin but __builtin_bit_cast; all of them compile; and
# the small program runs.
. "$(dirname "$0")/common.sh"

mkdir "$work/tree"
cp -r "$tree/blocq" "$work/tree"
sed -i 's/^#if defined(__GNUC__) || defined(__clang__)$/#if 0/' "$work/tree/blocq/core/config.hpp"
grep -q '^#if 0$' "$work/tree/blocq/core/config.hpp" || fail "core/config.hpp no longer says where the extensions are"
# What MSVC's header of that name declares and is used.
cat >"$work/tree/intrin.h" <<'C'
#include <immintrin.h>
inline void __cpuid(int*, int) {}
inline void __cpuidex(int*, int, int) {}
#ifndef _xgetbv
inline unsigned long long _xgetbv(unsigned) { return 0; }
#endif
C

include_all | grep -v 'simd/primitive/' >"$work/all.cpp"
for flags in "" "-mavx2 -mfma -mf16c"; do
  "$@" $flags -DBLOCQ_NO_XSIMD -I"$work/tree" -w -E "$work/all.cpp" |
    awk -v tree="$work/tree/blocq/" '
      /^# [0-9]+ "/ { line = $2; file = $3; next }
      index(file, tree) { print substr(file, length(tree) + 2) ":" line ": " $0 }
      { ++line }' | sed -E 's/__builtin_(bit_cast|ia32_|prefetch)//g' >"$work/lines"  # the others are intrinsics, as macros
  [ "$(wc -l <"$work/lines")" -gt 10000 ] || fail "few lines of the library: this check does not work"
  ! grep -E '__attribute__|__asm__|__builtin_|vector_size|__typeof|__int128' "$work/lines" | head -n 5 | grep . ||
    fail "extensions of g++ and clang++ outside of BLOCQ_GNU"
done
"$@" -DBLOCQ_NO_XSIMD -I"$work/tree" -w -fsyntax-only "$work/all.cpp"
"$@" -DBLOCQ_NO_XSIMD -DNDEBUG -I"$work/tree" -w tests/compile/small/main.cpp -o "$work/small"
"$work/small" || fail "other products"
