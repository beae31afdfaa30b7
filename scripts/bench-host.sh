#!/usr/bin/env bash
# llama.cpp with and without the plug-in on MODEL: tokens per CPU second with one thread, prompts of 128 tokens and 32
# tokens one by one, in turn, the median of five.
#   bench-host.sh [-n ROUNDS] [-i INSTRUCTION-SET] MODEL.gguf [TYPE...]
# With types, the model (in f16 or f32) is quantized to each of them first. Every TYPE may be blocq's (mxfp4, iq4_xs, ...).
# Runs the llama-bench of the directory BLOCQ_LLAMA_DIR (scripts/fetch-llama.sh), or the installed one, and
# build/lib/libggml-blocq.so (scripts/ggml-backend.sh) or $PLUGIN. CPU seconds are those of the program's threads, so that what
# else the machine does changes them little; those of loading and of the first run are taken off.
set -euo pipefail
rounds=5 isa=
while getopts n:i: option; do
  case $option in
    n) rounds=$OPTARG ;;
    i) isa=$OPTARG ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
model=$(realpath -e -- "${1:?usage: bench-host.sh [-n ROUNDS] [-i INSTRUCTION-SET] MODEL.gguf [TYPE...]}")
shift
cd "$(dirname "$0")/.."
plugin=$(realpath -e -- "${PLUGIN:-build/lib/libggml-blocq.so}") || { echo "bench-host: scripts/ggml-backend.sh builds the plug-in" >&2; exit 2; }
if [ -n "${BLOCQ_LLAMA_DIR:-}" ]; then PATH=$BLOCQ_LLAMA_DIR:$PATH; fi
command -v llama-bench >/dev/null || { echo "bench-host: there is no llama-bench; scripts/fetch-llama.sh gets it" >&2; exit 2; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
declare -A runs=([ggml]="" [blocq]="GGML_BACKEND_PATH=$plugin BLOCQ_ISA=$isa")
TIMEFORMAT='%U %S'

# seconds ENGINE REPETITIONS MODEL ARGUMENT...: CPU seconds of llama-bench
seconds() {
  local settings
  read -ra settings <<<"${runs[$1]}"
  { time env -u GGML_BACKEND_PATH "${settings[@]}" llama-bench -m "$3" -t 1 -r "$2" "${@:4}" >"$dir/log" 2>&1; } 2>&1 |
    awk '{ print $1 + $2 }'
  grep -qE '(pp|tg)[0-9]+' "$dir/log" || { cat "$dir/log" >&2; exit 1; }
}
# measure ENGINE MODEL TOKENS REPETITIONS ARGUMENT...: adds tokens per second to the engine's and test's list
measure() {
  local few many
  few=$(seconds "$1" 1 "$2" "${@:5}")
  many=$(seconds "$1" "$4" "$2" "${@:5}")
  awk -v few="$few" -v many="$many" -v n="$(($3 * ($4 - 1)))" 'BEGIN { printf "%.1f\n", n / (many - few) }' >>"$dir/$1.$3"
}
median() { sort -g "$1" | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2 }'; }

bench() {  # NAME MODEL
  rm -f "$dir"/{ggml,blocq}.{128,32}
  for ((i = 0; i < rounds; ++i)); do
    for engine in ggml blocq; do
      measure $engine "$2" 128 4 -p 128 -n 0
      measure $engine "$2" 32 4 -p 0 -n 32
    done
  done
  awk -v name="$1" -v a="$(median "$dir/ggml.128")" -v b="$(median "$dir/blocq.128")" -v c="$(median "$dir/ggml.32")" \
    -v d="$(median "$dir/blocq.32")" \
    'BEGIN { printf "| %s | %.0f | %.0f | %.2f | %.0f | %.0f | %.2f |\n", name, a, b, b / a, c, d, d / c }'
}

echo "| | prompt, ggml | blocq | times | generation, ggml | blocq | times |"
echo "|---|---|---|---|---|---|---|"
[ $# -gt 0 ] || bench "$(basename "$model" .gguf)" "$model"
for type in "$@"; do
  # Reference rounding: what is measured is speed.
  build/bin/blocq quantize "$model" "$dir/model.gguf" --type "$type" >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
  bench "$type" "$dir/model.gguf"
done
