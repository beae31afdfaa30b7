#!/usr/bin/env bash
# Builds and runs the library for one instruction set after the other, natively where the processor has it and in
# emulation where not, and prints what was run how:
#
#   scripts/test-isas.sh [--quick] [--install] [--markdown] [--build-dir DIR] [NAME ...]
#
# Every instruction set must give the results of the portable model (tests/isa/isa.cpp); then come the unit tests that
# its line below names. A line for the program blocq compares what it writes with what it writes here (tests/isa/program.sh).
# NAME chooses lines. --quick: only the former, with fewer formats. --install: scripts/setup.sh
# installs what is missing. --markdown: the last result of every line in the build directory replaces the table of
# docs/support.md. Exits with 1 if something failed.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

quick= install= markdown= out=build/isas names=()
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=1 ;;
    --install) install=1 ;;
    --markdown) markdown=1 ;;
    --build-dir) out=$2; shift ;;
    -*) sed -n '2,/^set/{/^#/p}' "$0"; exit 2 ;;
    *) names+=("$1") ;;
  esac
  shift
done
mkdir -p "$out"
out=$(cd "$out" && pwd)

# name | how it is run | compiler and flags | tests: rooms, or sources; or the program
#
# How: native, native if the processor has the flags named, an emulator, bochs, wine, or node.
arm="aarch64-linux-gnu-g++ -static"
isas=(
  "scalar           | native                           | g++ -DBLOCQ_NO_SIMD                       |"
  "sse2             | native                           | g++ -march=x86-64                         | simd codec"
  "nehalem          | qemu-x86_64 -cpu Nehalem         | g++ -march=nehalem -static                | simd codec op"
  "haswell          | native avx2 fma f16c             | g++ -march=haswell                        | simd codec"
  "haswell-qemu     | qemu-x86_64 -cpu Haswell         | g++ -march=haswell -static                | simd"
  "avx512           | native avx512f avx512bw avx512vl | g++ -march=skylake-avx512                 | simd"
  "avx512-vnni      | native avx512_vnni avx512vbmi    | g++ -march=icelake-server                 | simd"
  "avx512-bochs     | bochs                            | g++ -march=skylake-avx512 -static         | simd"
  "vnni-bochs       | bochs                            | g++ -march=icelake-server -static         | simd"
  "avx-vnni         | native avx_vnni                  | g++ -march=haswell -mavxvnni              | simd"
  "aarch64          | qemu-aarch64 -cpu cortex-a53     | $arm                                      | simd codec op"
  "aarch64-dotprod  | qemu-aarch64 -cpu max            | $arm -march=armv8.2-a+dotprod             | simd"
  "aarch64-i8mm     | qemu-aarch64 -cpu max            | $arm -march=armv8.6-a                     | simd op/test_gemm.cpp op/test_interleave.cpp packed/test_gemm.cpp"
  "sve-128          | qemu-aarch64 -cpu max,sve-max-vq=1  | $arm -march=armv8.2-a+sve              |"
  "sve-512          | qemu-aarch64 -cpu max,sve-max-vq=4  | $arm -march=armv8.2-a+sve              |"
  "sve-2048         | qemu-aarch64 -cpu max,sve-max-vq=16 | $arm -march=armv8.2-a+sve              |"
  "s390x            | qemu-s390x                       | s390x-linux-gnu-g++ -static               | core elem format codec gguf op kv/test_kivi.cpp"
  "ppc64le          | qemu-ppc64le                     | powerpc64le-linux-gnu-g++ -static         | core format"
  "riscv64          | qemu-riscv64                     | riscv64-linux-gnu-g++ -static             | core format"
  "i686             | native                           | i686-linux-gnu-g++ -static -DBLOCQ_NO_XSIMD | core elem format codec gguf"
  "i686-sse2        | native sse2                      | i686-linux-gnu-g++ -static -march=pentium4 -mfpmath=sse | simd"
  "wasm-simd128     | node                             | clang++ --target=wasm32-wasi -msimd128    | simd/test_vec.cpp codec"
  "windows          | wine                             | x86_64-w64-mingw32-g++ -static             | core simd codec gguf file/test_windows.cpp"
  "windows-haswell  | wine                             | x86_64-w64-mingw32-g++ -static -march=haswell -Wa,-muse-unaligned-vector-move | simd"
  "windows-program  | wine                             | x86_64-w64-mingw32-g++ -static             | program"
  "xsimd-13.2       | native avx2 fma f16c             | g++ -march=haswell xsimd=trixie           | simd"
  "xsimd-14.3       | native avx2 fma f16c             | g++ -march=haswell xsimd=sid              | simd"
  "xsimd-14.3-avx512 | native avx512f avx512bw avx512vl | g++ -march=skylake-avx512 xsimd=sid       | simd"
  "xsimd-14.3-sse2  | native                           | g++ -march=x86-64 xsimd=sid               | simd"
  "xsimd-14.3-clang | native avx2 fma f16c             | clang++ -march=haswell xsimd=sid          | simd"
)
packages() {  # what Debian calls the compiler and the emulator of this line
  case $flags in
    *wasm32*) echo clang lld wasi-libc libc++-dev-wasm32 libclang-rt-dev-wasm32 nodejs ;;
    clang++*) echo clang ;;
    *-mingw32-g++*) echo g++-mingw-w64-x86-64-posix ;;
    *-linux-gnu-g++*) echo "g++-${flags%%-g++*}" ;;
  esac
  case $how in
    qemu-*) echo qemu-user ;;
    bochs) echo bochs bochs-term ;;
    wine) echo wine wine64 ;;
  esac
}

# Headers that cross compilers do not look for beside their own: linked into one folder each.
for header in doctest xsimd CLI nlohmann; do
  mkdir -p "$out/$header"
  for prefix in /usr/include /usr/local/include; do
    [ -e "$prefix/$header" ] && ln -sfn "$prefix/$header" "$out/$header/$header"
  done
done

# A version of xsimd from another suite of the mirror that apt uses, unpacked under $out: prints its include folder.
fetch_xsimd() {  # SUITE
  local dir=$out/xsimd-$1 mirror file
  if [ ! -e "$dir/usr/include/xsimd" ]; then
    mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE) $(CREATED_BY)' 2>/dev/null |
      awk '$1 ~ /debian\/?$/ && $3 == "Packages" { print $1; exit }')
    [ -n "$mirror" ] || return 1
    mkdir -p "$dir"
    file=$(curl -fsL --max-time 120 "${mirror%/}/dists/$1/main/binary-$(dpkg --print-architecture)/Packages.xz" |
      xz -dc | awk '$1 == "Package:" { on = $2 == "libxsimd-dev" } on && $1 == "Filename:" { print $2; exit }') || true
    [ -n "$file" ] || return 1
    curl -fsSL --max-time 120 "${mirror%/}/$file" -o "$dir/xsimd.deb" && dpkg -x "$dir/xsimd.deb" "$dir" || return 1
  fi
  echo "$dir/usr/include"
}

strip() { sed 's/^ *//; s/ *$//' <<<"$1"; }
if command -v ccache >/dev/null; then cache=ccache; else cache=; fi

# Compiles SOURCE ... to one program, one after the other on each processor.
build() {  # PROGRAM SOURCE ...
  local program=$1 source
  shift
  rm -rf "$program.d"
  mkdir -p "$program.d"
  printf '%s\0' "$@" | xargs -0 -P "$(nproc)" -I SOURCE bash -c '
    program=$1 source=$2 object=$1.d/$(tr / _ <<<"$2").o
    shift 2
    "$@" -c "$source" -o "$object" >"$object.log" 2>&1 || { head -n 20 "$object.log" >&2; exit 255; }
  ' build "$program" SOURCE $cache "${command[@]}" &&
    "${command[@]}" "$program".d/*.o "${libraries[@]}" -o "$program"
}

run() {  # PROGRAM ARGUMENT ...
  case $how in
    native*) "$@" ;;
    node) node --no-warnings tests/isa/wasi.mjs "$@" ;;
    bochs) tests/isa/bochs/run.sh "$@" ;;
    wine) WINEPREFIX=$out/wine WINEDEBUG=-all wine "$@" | tr -d '\r' ;;
    *) $how "$@" ;;
  esac
}

test_isa() {  # sets `verdict` and `tested`
  local compiler=${flags%% *} flag sources=() room include level=-O1
  verdict= tested=
  [ -z "$install" ] || scripts/setup.sh $(packages) || true
  command -v "$compiler" >/dev/null || { verdict="skipped: no $compiler"; return; }

  # Loops over arrays, where there are no vectors, take the optimizer five times as long as all else.
  if [ -n "$quick" ] && [[ $compiler =~ ^(s390x|powerpc64le|riscv64)- ]]; then level=-O0; fi
  command=($flags -std=c++20 $level -w -Iinclude -Itests/support)
  libraries=()
  include=$out/xsimd
  if [[ $flags == *xsimd=* ]]; then
    command=()
    for flag in $flags; do
      if [[ $flag == xsimd=* ]]; then
        include=$(fetch_xsimd "${flag#xsimd=}") ||
          { verdict="skipped: the mirror of apt has no xsimd of ${flag#xsimd=}"; return; }
      else
        command+=("$flag")
      fi
    done
    command+=(-std=c++20 $level -w -Iinclude -Itests/support)
  fi
  command+=(-isystem "$include" -isystem "$out/doctest" "-DBLOCQ_GOLDEN_DIR=\"$PWD/tests/golden\"")
  # Bochs 2.7 takes the wrong byte from memory in vpinsrb with an EVEX prefix, which only these registers need.
  if [ "$how" = bochs ]; then command+=(-ffixed-xmm{16..31}); fi
  if [[ $flags == *wasm32* ]]; then
    command+=(-fno-exceptions -D_WASI_EMULATED_SIGNAL -DDOCTEST_CONFIG_NO_EXCEPTIONS_BUT_WITH_ALL_ASSERTS
      -DDOCTEST_CONFIG_NO_POSIX_SIGNALS)
    libraries=(-lwasi-emulated-signal -Wl,-z,stack-size=4194304)
    for flag in /usr/lib/llvm-*/include/wasm32-wasi/c++/v1; do
      command+=(-isystem "$flag")
      libraries+=("-L${flag%/include/*}/lib/wasm32-wasi")
    done
  else
    libraries=(-pthread)
  fi

  sources=(tests/isa/isa.cpp)
  [ -z "$quick" ] || command+=(-DBLOCQ_TEST_FEW)
  build "$out/$name.isa" "${sources[@]}" || { verdict="FAILED: does not compile"; return; }
  if [[ $how == native* ]]; then
    for flag in ${how#native}; do
      grep -qw "$flag" /proc/cpuinfo || { verdict="compiled only: this processor has no $flag"; return; }
    done
  elif ! command -v "${how%% *}" >/dev/null; then
    verdict="compiled only: no ${how%% *}"
    return
  fi
  run "$out/$name.isa" >"$out/$name.txt" || { verdict="FAILED: ends with an error"; return; }
  if ! diff "$model.txt" "$out/$name.txt" >"$out/$name.diff"; then
    verdict="FAILED: other results than the portable model"
    head -n 20 "$out/$name.diff" >&2
    return
  fi
  tested="all operations${quick:+, 20 formats}"
  if [ -z "$quick" ] && [ -n "$tests" ]; then
    sources=(tests/support/main.cpp)
    for room in $tests; do
      if [[ $room == *.cpp ]]; then
        sources+=("tests/$room")
      else
        for source in tests/"$room"/test_*.cpp; do
          [[ $source == */test_minifloat_sweep.cpp ]] || sources+=("$source")
        done
      fi
    done
    for source in encoders kernels; do  # what several of them call for each format
      ! grep -qs "^#include <$source.hpp>" "${sources[@]}" || sources+=("tests/support/$source.cpp")
    done
    build "$out/$name.tests" "${sources[@]}" || { verdict="FAILED: the tests do not compile"; return; }
    run "$out/$name.tests" >"$out/$name.log" ||
      { verdict="FAILED: unit tests"; tail -n 30 "$out/$name.log" >&2; return; }
    tested+="; tests of $tests"
  fi
  verdict=passed
}

# The program, whole, with CMake as its users build it; the same for this machine is what it is compared with.
test_program() {  # sets `verdict` and `tested`
  local compiler=${flags%% *} linked=${flags#* } side options package
  verdict= tested=
  [ -z "$install" ] || scripts/setup.sh $(packages) || true
  command -v "$compiler" >/dev/null || { verdict="skipped: no $compiler"; return; }
  command -v "${how%% *}" >/dev/null || { verdict="skipped: no ${how%% *}"; return; }
  mkdir -p "$out/packages"
  for package in CLI11:CLI11::CLI11 nlohmann_json:nlohmann_json::nlohmann_json xsimd:xsimd; do
    printf 'add_library(%s INTERFACE IMPORTED)\ntarget_include_directories(%s INTERFACE "%s")\n' \
      "${package#*:}" "${package#*:}" "$out/CLI;$out/nlohmann;$out/xsimd" >"$out/packages/${package%%:*}Config.cmake"
  done
  for side in here there; do
    options=(-DCMAKE_BUILD_TYPE=Release "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG" -DBLOCQ_BUILD_TESTS=OFF -DBLOCQ_BUILD_BENCH=OFF
      -DBLOCQ_BUILD_EXAMPLES=ON -DBLOCQ_INSTALL=OFF ${cache:+-DCMAKE_CXX_COMPILER_LAUNCHER=$cache} -DCMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON)
    [ $side = here ] || options+=(-DCMAKE_SYSTEM_NAME=Windows -DCMAKE_SYSTEM_PROCESSOR=x86_64
      "-DCMAKE_CXX_COMPILER=$compiler" "-DCMAKE_EXE_LINKER_FLAGS=$linked" "-DCLI11_DIR=$out/packages"
      "-Dnlohmann_json_DIR=$out/packages" "-Dxsimd_DIR=$out/packages")
    { cmake -S . -B "$out/$name.$side" "${options[@]}" && cmake --build "$out/$name.$side" -j "$(nproc)" --target blocq_program; } \
      >"$out/$name.$side.log" 2>&1 || { verdict="FAILED: does not compile"; tail -n 20 "$out/$name.$side.log" >&2; return; }
  done
  command=(g++ -std=c++20 -O1 -w -Iinclude -Itests/support) libraries=()
  build "$out/checkpoint" tests/cli/checkpoint_helper.cpp || { verdict="FAILED: no model to convert"; return; }
  CHECKPOINT=$out/checkpoint WINEPREFIX=$out/wine WINEDEBUG=-all tests/isa/program.sh "$out/$name.files" "$out/$name.here/bin/blocq" \
    "${how%% *}" "$out/$name.there/bin/blocq.exe" || { verdict="FAILED: other files"; return; }
  tested="the program's files and figures" verdict=passed
}

model=$out/model${quick:+.quick}
if [ ! -s "$model.txt" ] || [ -n "$(find include tests/isa tests/support -newer "$model.txt" -type f -print -quit)" ]; then
  command=(g++ -DBLOCQ_NO_SIMD ${quick:+-DBLOCQ_TEST_FEW} -std=c++20 -O0 -w -Iinclude -Itests/support) libraries=()
  build "$model" tests/isa/isa.cpp
  "$model" >"$model.txt"
fi

failed=0
for line in "${isas[@]}"; do
  IFS='|' read -r name how flags tests <<<"$line"
  name=$(strip "$name") how=$(strip "$how") flags=$(strip "$flags") tests=$(strip "$tests")
  [ ${#names[@]} -eq 0 ] || [[ " ${names[*]} " == *" $name "* ]] || continue
  if [ "$tests" = program ]; then test_program; else test_isa; fi
  case $verdict in FAILED*) failed=1 ;; esac
  printf '%-17s %-32s %s%s\n' "$name" "$how" "$verdict" "${tested:+ ($tested)}"
  echo "| $name | \`$flags\` | $how | $tested | $verdict |" >"$out/$name.row"
done

if [ -n "$markdown" ]; then
  {
    printf '| name | compiler and flags | run by | what ran | result |\n|---|---|---|---|---|\n'
    for line in "${isas[@]}"; do
      name=$(strip "${line%%|*}")
      cat "$out/$name.row" 2>/dev/null || echo "| $name | | | | not run |"
    done
  } >"$out/table.md"
  awk -v table="$out/table.md" '
    /<!-- test-isas.sh ends -->/ { skip = 0 }
    !skip { print }
    /<!-- test-isas.sh begins -->/ { while ((getline row < table) > 0) print row; skip = 1 }
  ' docs/support.md >"$out/support.md"
  cp "$out/support.md" docs/support.md
fi
exit $failed
