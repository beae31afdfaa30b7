#!/usr/bin/env bash
# What takes hours rather than minutes:
#
#   scripts/test-deep.sh [--minutes M] [--corpus DIR] [PART ...]
#
#   sanitize   every test of scripts/test.sh under the address and undefined behaviour sanitizers, with all formats
#   memory     headers under the memory sanitizer: nothing is read that was never written
#   threads    what runs on threads, under the thread sanitizer
#   integers   headers with no integer conversion, division or shift that loses something unsaid
#   optimized  what has code for an instruction set, for AVX2 and all formats, by g++ -O3
#   outlined   the library's functions as ordinary calls: what always_inline hides
#   hostile    1790 hostile models through the program
#   fuzz       every reader of foreign bytes, M minutes for all of them (10 if not said)
#   mutate     500 changes to the headers that the tests must notice: scripts/mutate.sh
#
# All parts but `mutate` unless some are named. What the fuzzers find worth keeping stays in DIR (build/corpus), where the
# next run goes on. Exits with 1 if a part failed, after all have run.
set -uo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

minutes=10 corpus=build/corpus parts=()
while [ $# -gt 0 ]; do
  case $1 in
    --minutes) minutes=$2; shift ;;
    --corpus) corpus=$2; shift ;;
    sanitize | memory | threads | integers | optimized | outlined | hostile | fuzz | mutate) parts+=("$1") ;;
    *) sed -n '2,/^set/{/^#/p}' "$0"; exit 2 ;;
  esac
  shift
done
[ ${#parts[@]} -gt 0 ] || parts=(sanitize memory threads integers optimized outlined hostile fuzz)
scripts/setup.sh cmake ninja-build g++ clang libclang-rt-dev libxsimd-dev doctest-dev libcli11-dev nlohmann-json3-dev \
  libeigen3-dev || exit 1
jobs=$(nproc)
mkdir -p build

configure() {  # NAME CXX-FLAGS CMAKE-ARGUMENT...: a build in build/deep-NAME, by clang++ if nothing else is said
  local dir=build/deep-$1 flags=$2
  shift 2
  cmake -S . -B "$dir" -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_CXX_FLAGS="$flags" -DBLOCQ_TEST_HOUSE=OFF \
    -DBLOCQ_TEST_ALL_FORMATS=ON -DBLOCQ_BUILD_FUZZERS=OFF -DBLOCQ_PROGRAM_ARCHS= "$@" >"$dir.log" 2>&1 || { cat "$dir.log" >&2; return 1; }
}
build() { cmake --build "build/deep-$1" -j "$jobs" --target "${@:2}"; }  # NAME TARGET...
test_rooms() {  # NAME ROOM...: builds and runs the tests of these rooms
  local name=$1 room
  shift
  build "$name" $(printf 'test_%s ' "$@") || return 1
  for room in "$@"; do "build/deep-$name/bin/test_$room" --minimal || return 1; done
}
lines="-gline-tables-only -fno-omit-frame-pointer"
address="-O1 $lines -fsanitize=address,undefined -fsanitize-trap=undefined -fsanitize-address-outline-instrumentation"

sanitize() {
  configure sanitize "$address" && cmake --build build/deep-sanitize -j "$jobs" &&
    ASAN_OPTIONS=handle_sigill=1 ctest --test-dir build/deep-sanitize -j "$jobs" --output-on-failure
}

# The C++ library is not instrumented: what it writes counts as never written. So programs that keep to vectors: every
# operation on every format, for two instruction sets, and the fuzzers that need no strings.
memory() {
  local target flags="-std=c++20 -O1 $lines -w -Iinclude -Itests/support" dir=build/deep-memory arch
  mkdir -p "$dir"
  for arch in x86-64 native; do
    clang++ $flags -fsanitize=memory -march=$arch tests/isa/isa.cpp -o "$dir/isa" && "$dir/isa" >"$dir/$arch.txt" || return 1
  done
  cmp "$dir/x86-64.txt" "$dir/native.txt" || return 1
  for target in blocks packed; do
    clang++ $flags -fsanitize=fuzzer,memory tests/fuzz/fuzz_$target.cpp -o "$dir/$target" || return 1
    mkdir -p "$corpus/$target"
    "$dir/$target" -max_total_time=60 -timeout=20 -verbosity=0 "$corpus/$target" || return 1
  done
}

# The rooms that have threads; those whose tests count allocations do not link with it.
threads() {
  configure threads "-O1 $lines -fsanitize=thread" -DBLOCQ_BUILD_EXAMPLES=OFF && test_rooms threads dispatch op
}

# Sums and shifts of unsigned numbers wrap on purpose, in hashes above all; and so do sizes in the C++ library.
integers() {
  printf 'src:/usr/*\n' >build/integers.txt
  configure integers "-O1 $lines -fsanitize=integer -fno-sanitize=unsigned-integer-overflow,unsigned-shift-base \
    -fno-sanitize-recover=all -fsanitize-ignorelist=$PWD/build/integers.txt" -DBLOCQ_BUILD_EXAMPLES=OFF &&
    test_rooms integers core elem format codec encode op gguf safetensors checkpoint
}

optimized() {
  configure optimized "-O3 -DNDEBUG" -DCMAKE_CXX_COMPILER=g++ -DBLOCQ_BUILD_EXAMPLES=OFF &&
    test_rooms optimized {simd,codec,encode,op,kv,packed}_avx2
}

# Its own copy of the header that says what inlining is, included before everything.
outlined() {
  local config=$PWD/build/outlined.hpp
  sed -E 's/__attribute__\(\(always_inline\)\)//' include/blocq/core/config.hpp >"$config"
  ! cmp -s "$config" include/blocq/core/config.hpp || return 1
  configure outlined "-O1 -include $config" -DBLOCQ_BUILD_EXAMPLES=OFF &&
    test_rooms outlined simd codec encode op kv
}

hostile() {
  configure sanitize "$address" && build sanitize blocq_program cli_helper cli_hostile &&
    tests/cli/hostile.sh $(printf "$PWD/build/deep-sanitize/bin/%s " blocq cli_hostile cli_helper)
}

fuzz() {
  local targets=(gguf split imatrix llama safetensors checkpoint blocks packed) target failed=0 seconds
  seconds=$((minutes * 60 / ${#targets[@]}))
  configure sanitize "$address" -DBLOCQ_BUILD_FUZZERS=ON || return 1
  build sanitize cli_helper $(printf 'fuzz_%s ' "${targets[@]}") || return 1
  seed
  for target in "${targets[@]}"; do
    echo "fuzz: $target, $seconds s"
    mkdir -p "$corpus/$target" "$corpus/found"
    "build/deep-sanitize/bin/fuzz_$target" -max_total_time=$seconds -timeout=20 -rss_limit_mb=2048 -max_len=400000 \
      -print_final_stats=1 -verbosity=0 -artifact_prefix="$corpus/found/$target-" "$corpus/$target" \
      2>"$corpus/$target.log" || { failed=1; tail -n 40 "$corpus/$target.log"; }
    grep -E 'number_of_executed_units|new_units_added' "$corpus/$target.log"
  done
  return $failed
}
# What the corpora begin with: the golden files, and those of the program's tests.
seed() {
  local files=build/deep-sanitize/files golden=tests/golden file
  mkdir -p "$corpus"/{gguf,split,imatrix,llama,safetensors,checkpoint} "$files"
  build/deep-sanitize/bin/cli_helper files "$files" || return 1
  cp -n "$golden"/gguf/*.gguf "$corpus/gguf"
  cp -n "$golden"/safetensors/* "$corpus/safetensors"
  cp -n "$golden"/checkpoint/* "$corpus/checkpoint"
  for file in "$files"/*imatrix* "$files"/*.dat; do [ ! -f "$file" ] || cp -n "$file" "$corpus/imatrix"; done
  cp -n "$files/llama.gguf" "$files/uniform.gguf" "$corpus/llama"
  { cat "$files/split-00001-of-00002.gguf" && printf '\nNEXT\n' && cat "$files/split-00002-of-00002.gguf"; } \
    >"$corpus/split/two"
}

mutate() { scripts/mutate.sh --count 500; }

failed=()
for part in "${parts[@]}"; do
  echo "== $part"
  "$part" || failed+=("$part")
done
[ ${#failed[@]} -eq 0 ] && echo "deep: all right" && exit
echo "deep: failed: ${failed[*]}"
exit 1
