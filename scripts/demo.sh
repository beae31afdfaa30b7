#!/usr/bin/env bash
# Installs what is missing, builds the program blocq and shows what it does: demo.sh [MODEL.gguf [TEXT]]
# Without an argument it works on the little model in examples/data. Results go to build/demo.
set -euo pipefail
file=${1:-} text=${2:-}
[ -z "$file" ] || file=$(realpath -e -- "$file")
[ -z "$text" ] || text=$(realpath -e -- "$text")
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
[ -n "$file" ] || text=examples/data/story.txt
file=${file:-examples/data/story.gguf}
types=(q8_0 q6_k q5_k q4_k mxfp4 nvfp4 q3_k q2_k)

title "What is in the file"
show $blocq inspect "$file" | awk 'NR <= 40 { print } NR == 41 { print "..." } { last = $0 } END { if (NR > 40) print last }'

title "The same weights in block formats"
for type in "${types[@]}"; do
  show $blocq quantize "$file" build/demo/$type.gguf --type $type
done

title "How far the weights have moved: F16 against q4_k"
show $blocq diff "$file" build/demo/q4_k.gguf | awk 'NR <= 12 { print } NR == 13 { print "..." } { last = $0 } END { if (NR > 12) print last }'

title "Every format on these weights"
show $blocq compare "$file" --csv build/demo/compare.csv --svg build/demo/compare.svg

if [ -n "$text" ]; then
  title "What that does to the model's predictions"
  show $blocq perplexity "$file" "$text" --copies $(printf 'build/demo/%s.gguf ' "${types[@]}")
fi

title "Done in $SECONDS s, the build included"
cat <<EOF
  build/demo/compare.svg   error against size of every format, as a picture: the plot to look at
  build/demo/compare.csv   the table
  build/demo/*.gguf        the quantized files

Next:
  scripts/demo.sh MODEL.gguf TEXT                               the same with a llama model and a text of yours
  $blocq quantize MODEL.gguf OUT.gguf --type q4_k --imatrix IMATRIX
  $blocq formats                                        what there is to choose from
  scripts/test.sh                                               all tests
EOF
