#!/usr/bin/env bash
# NVIDIA's front end takes every header in host code of a .cu file, of the primitives those that the flags choose:
# nvcc.sh NVCC FLAG...
. "$(dirname "$0")/common.sh"

include_all | grep -v 'simd/primitive/' >"$work/all.cu"
"$@" -I"$tree" -c "$work/all.cu" -o "$work/all.o" >"$work/said" 2>&1 ||
  fail "refused:"$'\n'"$(grep -m 5 error "$work/said")"
