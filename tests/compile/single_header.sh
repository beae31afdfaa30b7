#!/usr/bin/env bash
# The release file with everything in it compiles alone, without a warning, and does what the headers do:
#   single_header.sh COMPILER FLAG...
. "$(dirname "$0")/common.sh"

scripts/single-header.sh "$work/blocq/blocq.hpp" blocq/blocq.hpp blocq/gguf/all.hpp
! grep -n '#include <blocq/' "$work/blocq/blocq.hpp" || fail "it includes what it should contain"
"$@" $strict -I"$work" examples/ten_lines.cpp -o "$work/ten_lines"
"$work/ten_lines"
"$@" -O0 -I"$tree" examples/ten_lines.cpp -o "$work/expected"
[ "$("$work/ten_lines")" = "$("$work/expected")" ] || fail "another result than with the headers"
