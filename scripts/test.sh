#!/usr/bin/env bash
# Installs what is missing, builds and runs every test: the unit tests by g++, the same tests by clang++ under the
# address and undefined behaviour sanitizers, and the checks of the build itself. Extra arguments go to ctest.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

scripts/setup.sh cmake ninja-build g++ clang libclang-rt-dev libxsimd-dev doctest-dev libcli11-dev nlohmann-json3-dev \
  libeigen3-dev
scripts/setup.sh qemu-user g++-aarch64-linux-gnu g++-s390x-linux-gnu ||
  echo "test: other instruction sets are left out" >&2

jobs=$(nproc)
build() {  # DIRECTORY CMAKE-ARGUMENT...
  local dir=$1
  shift
  cmake -S . -B "$dir" -G Ninja "$@" >"$dir.log" 2>&1 || { cat "$dir.log" >&2; return 1; }
  cmake --build "$dir" -j "$jobs"
}

mkdir -p build
# -O1 compiles in half the time of -O3, which scripts/test-deep.sh has; the flag matrix and odr are optimized further. The
# compiler collects its garbage less often than it would.
build build/test -DCMAKE_CXX_COMPILER=g++ -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS="--param ggc-min-heapsize=524288" \
  -DCMAKE_CXX_FLAGS_RELEASE="-O1 -DNDEBUG" -DBLOCQ_PROGRAM_ARCHS=
# Pointers are the address sanitizer's: what the other says of them too takes half of the time (scripts/test-deep.sh has it).
build build/test-sanitize --preset asan-ubsan -DBLOCQ_TEST_HOUSE=OFF -DBLOCQ_BUILD_FUZZERS=OFF -DBLOCQ_PROGRAM_ARCHS=

failed=0
# Undefined behaviour traps there, which compiles faster than messages do: this says where it was.
export ASAN_OPTIONS=handle_sigill=1
ctest --test-dir build/test-sanitize -j "$jobs" --output-on-failure "$@" || failed=1
ctest --test-dir build/test -j "$jobs" --output-on-failure "$@" || failed=1
exit $failed
