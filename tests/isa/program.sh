#!/usr/bin/env bash
# What the program blocq makes of a small model on another system is what it makes of it here:
# program.sh DIRECTORY PROGRAM OTHER-PROGRAM [ARGUMENT ...]
# The other one is given paths as they are on Windows, with letters beyond ASCII. CHECKPOINT is tests/cli/checkpoint_helper.cpp.
set -euo pipefail
cd "$(dirname "$0")/../.."
data=$PWD/examples/data work=$1 here=$2
shift 2
rm -rf "$work"
mkdir -p "$work"/{here,there}/models

session() {  # DIRECTORY SEPARATOR PROGRAM ...
  local s=$2 quantized=models$2größe-模型.gguf
  cd "$work/$1"
  shift 2
  cp "$data"/story.gguf "$data"/story.txt .
  "$@" inspect story.gguf --json >inspect.json
  "$@" formats q4_k >formats.txt
  "$@" quantize story.gguf "$quantized" -t q4_0 >/dev/null
  "$@" quantize story.gguf models/split.gguf -t q8_0,q4_0 >/dev/null
  "$@" imatrix story.gguf story.txt imatrix.gguf --windows 2 >/dev/null
  "$@" quantize story.gguf ".${s}weighted.gguf" -t q4_0 --imatrix imatrix.gguf >/dev/null
  "$@" quantize story.gguf ".${s}weighted.gguf" -t q8_0 --imatrix imatrix.gguf >/dev/null  # in its place
  "$@" dequantize "$quantized" floats.gguf >/dev/null
  "$@" dequantize "$quantized" - >floats.copy 2>/dev/null
  "$@" export "$quantized" exported --layout fp8 >/dev/null
  "$CHECKPOINT" llama bf16 checkpoint
  "$@" convert checkpoint converted.gguf -t q8_0 >/dev/null
  "$@" diff story.gguf "$quantized" --json >diff.json || [ $? = 1 ]
  "$@" perplexity "$quantized" story.txt --windows 2 --base story.gguf | grep -v tokens/s >perplexity.txt
  ! "$@" quantize "$quantized" "$quantized" -t q8_0 2>/dev/null || { echo "the input was written over" >&2; return 1; }
  rm story.gguf story.txt imatrix.gguf  # of which the last is sums of results of the C library's functions
  cmp floats.gguf floats.copy
  [ -z "$(find . -name '.blocq*')" ] || { echo "temporary files are left" >&2; return 1; }
}
(session here / "$here")
(session there '\' "$@")
sed -i 's/\r$//' "$work"/there/*.{json,txt}
diff -r "$work/here" "$work/there"
