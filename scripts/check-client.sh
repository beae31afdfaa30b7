#!/usr/bin/env bash
# Do files that blocq writes work elsewhere? check-client.sh MODEL.gguf [TEXT] quantizes the model to five types, reads
# every result with the npm package @huggingface/gguf and loads it in llama.cpp (npm package node-llama-cpp). With a
# text it also measures the perplexity on its first 40 windows of 256 tokens, of each window the second half, so that
# the damage done by a type can be compared with published figures. Needs node and npm, and the network once.
set -euo pipefail
model=$(realpath -e -- "${1:?usage: check-client.sh MODEL.gguf [TEXT]}")
text=${2:+$(realpath -e -- "$2")}
cd "$(dirname "$0")/.."
[ -x build/bin/blocq ] || { echo "check-client: build/bin/blocq is not there; scripts/demo.sh builds it" >&2; exit 2; }
command -v npm >/dev/null || { echo "check-client: cannot run: npm is not installed" >&2; exit 2; }

dir=build/check-client
mkdir -p $dir
cp scripts/check-client.mjs $dir
[ -d $dir/node_modules/@huggingface/gguf ] ||
  npm install --prefix $dir --ignore-scripts --no-audit --no-fund node-llama-cpp@3 @huggingface/gguf >$dir/npm.log 2>&1 ||
  { tail -n 5 $dir/npm.log >&2; echo "check-client: cannot run: npm could not download the packages" >&2; exit 2; }

files=("$model")
for type in q8_0 q4_0 q4_k q6_k mxfp4; do
  build/bin/blocq quantize "$model" $dir/$type.gguf --type $type | head -n 1
  files+=("$PWD/$dir/$type.gguf")
done
node $dir/check-client.mjs "$text" "${files[@]}"
