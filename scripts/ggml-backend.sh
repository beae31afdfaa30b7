#!/usr/bin/env bash
# Installs what is missing, builds build/lib/libggml-blocq.so, which puts blocq's products into a llama.cpp that is
# installed already, and prints the line to run. Extra arguments go to cmake:
#   scripts/ggml-backend.sh -DBLOCQ_GGML_BACKEND_ARCHS=avx2      compiles for one instruction set instead of all
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

scripts/setup.sh cmake ninja-build g++ libcli11-dev nlohmann-json3-dev  # the last two for what else is in examples
mkdir -p build
dir=build/ggml-backend
{ cmake -S . -B $dir -G Ninja -DCMAKE_BUILD_TYPE=Release -DBLOCQ_BUILD_TESTS=OFF -DBLOCQ_BUILD_GGML_BACKEND=ON "$@" &&
  cmake --build $dir -j "$(nproc)" --target ggml_blocq; } >$dir.log 2>&1 || { tail -n 40 $dir.log >&2; exit 1; }
mkdir -p build/lib
cp $dir/lib/libggml-blocq.so build/lib
echo "GGML_BACKEND_PATH=$PWD/build/lib/libggml-blocq.so llama-completion -m MODEL.gguf -p 'Once upon a time'"
