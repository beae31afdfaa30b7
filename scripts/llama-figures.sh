#!/usr/bin/env bash
# What llama.cpp makes of the test models of the llama family: remakes tests/cli/figures.txt.
#   scripts/llama-figures.sh HELPER COMMAND... >tests/cli/figures.txt
# HELPER is the tests' cli_helper, COMMAND runs llama-perplexity. The caches are kept in floats, as the engine here keeps
# its own.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,5s/^# //p' "$0"; exit 2; }
helper=$(realpath "$1")
shift
data=$(cd "$(dirname "$0")/../examples/data" && pwd)
models=${MODELS:-$(mktemp -d)}
"$helper" variants "$data/story.gguf" "$models"
cp "$data/story.txt" "$models"
echo "# model, perplexity of llama.cpp on story.txt in two windows of 256 tokens, or - if it refuses the model"
for model in "$models"/*.gguf; do
  figure=-
  for _ in 1 2 3; do  # its last line is lost at times
    said=$("$@" -m "${MODELS_AS:-$models}/${model##*/}" -f "${MODELS_AS:-$models}/story.txt" -c 256 --chunks 2 -t 1 -ctk f32 -ctv f32 2>&1) || true
    found=$(sed -n 's/.*Final estimate: PPL = \([0-9.]*\).*/\1/p' <<<"$said")
    [ -z "$found" ] || { figure=$found; break; }
  done
  name=${model##*/}
  echo "${name%.gguf} $figure"
done
