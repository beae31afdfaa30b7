#!/usr/bin/env bash
# Downloads the prebuilt ggml libraries that the oracle test and the side-by-side benchmarks compare with, from npm's
# @node-llama-cpp/linux-x64 (or of another platform), and prints the directory that holds them.
#   fetch-oracle.sh [DIRECTORY [PLATFORM]]     build/oracle unless named; linux-arm64, ...
#   BLOCQ_ORACLE_DIR=$(scripts/fetch-oracle.sh) ctest --test-dir build/test -R oracle --verbose
set -euo pipefail
cd "$(dirname "$0")/.."
version=3.22.1  # ggml 0.25.1
mkdir -p "${1:-build/oracle}"
cd "${1:-build/oracle}"

platform=${2:-linux-x64}
libraries=package/bins/$platform
if [ ! -e $libraries/libggml-base.so ]; then
  command -v npm >/dev/null || { echo "fetch-oracle: npm is not installed (Debian package npm)" >&2; exit 1; }
  archive=$(npm pack --silent "@node-llama-cpp/$platform@$version") ||
    { echo "fetch-oracle: npm could not download the package" >&2; exit 1; }
  tar xzf "$archive" $libraries package/LICENSE
  rm "$archive"
fi
echo "$PWD/$libraries"
