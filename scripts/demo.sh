#!/usr/bin/env bash
# Installs what is missing, builds the program blocq and shows what it does: demo.sh [FILE.gguf]
# Without an argument it works on the weights in examples/data. Results go to build/demo.
set -euo pipefail
file=${1:-}
[ -z "$file" ] || file=$(realpath -e -- "$file")
cd "$(dirname "$0")/.."
exec </dev/null

scripts/setup.sh cmake ninja-build g++ libxsimd-dev libcli11-dev nlohmann-json3-dev

bold= plain=
[ ! -t 1 ] || { bold=$'\e[1m' plain=$'\e[0m'; }
title() { printf '\n%s== %s%s\n' "$bold" "$1" "$plain"; }
show() { printf '%s$ %s%s\n' "$bold" "$*" "$plain" && "$@"; }
quietly() { "$@" >build/demo/build.log 2>&1 || { tail -n 40 build/demo/build.log >&2; return 1; }; }

mkdir -p build/demo
SECONDS=0
[ -e build/CMakeCache.txt ] ||
  quietly cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DBLOCQ_BUILD_TESTS=OFF -DCMAKE_CXX_FLAGS=-march=native
quietly cmake --build build --target blocq_program -j "$(nproc)"
echo "build/bin/blocq is built ($SECONDS s)"

blocq=build/bin/blocq
file=${file:-examples/data/demo.gguf}

title "What is in the file"
show $blocq inspect "$file" | awk 'NR <= 40 { print } NR == 41 { print "..." } { last = $0 } END { if (NR > 40) print last }'

title "The same weights in block formats"
for type in q8_0 q6_k q4_k mxfp4 nvfp4 q2_k; do
  show $blocq quantize "$file" build/demo/$type.gguf --type $type
done

title "How far the weights have moved: F16 against q4_k"
show $blocq diff "$file" build/demo/q4_k.gguf | awk 'NR <= 12 { print } NR == 13 { print "..." } { last = $0 } END { if (NR > 12) print last }'

title "Every format on these weights"
show $blocq compare "$file" --csv build/demo/compare.csv --svg build/demo/compare.svg

title "Done in $SECONDS s, the build included"
cat <<EOF
  build/demo/compare.svg   error against size, as a picture
  build/demo/compare.csv   the table
  build/demo/*.gguf        the quantized files

Next:
  scripts/demo.sh MODEL.gguf                                    the same with a model of yours
  $blocq quantize MODEL.gguf OUT.gguf --type q4_k --importance IMATRIX
  $blocq formats                                        what there is to choose from
  scripts/test.sh                                               all tests
EOF
