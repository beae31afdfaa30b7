#!/usr/bin/env bash
# All headers in one translation unit, every function template instantiated, under strict warnings and the given flags:
# together.sh COMPILER FLAG...
. "$(dirname "$0")/common.sh"

include_all >"$work/blocq_all.hpp"
"$@" $strict -I"$tree" -I"$work" -c tests/compile/everything.cpp -o "$work/everything.o"
