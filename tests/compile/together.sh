#!/usr/bin/env bash
# All headers in one translation unit, every function template instantiated, under strict warnings and the given flags:
# together.sh COMPILER FLAG...
. "$(dirname "$0")/common.sh"

include_all >"$work/blocq_all.hpp"
"$@" $strict -Iinclude -I"$work" -c $here/everything.cpp -o "$work/everything.o"
