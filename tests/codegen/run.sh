#!/usr/bin/env bash
# Each kernel's hot loop holds the instruction that it was written for: run.sh COMPILER FLAG...
# A kernel that quietly falls back to something slower still computes the right numbers, so no other test sees it.
. "$(dirname "$0")/../compile/common.sh"

flags=("$@")
loops_of() {  # OBJDUMP OBJECT: lines "FUNCTION MNEMONIC" for every instruction inside of a loop
  "$1" -d --no-show-raw-insn "$2" | awk '
    function finish(  i, j, inside) {
      for (i = 0; i < count; ++i) {
        inside = 0
        for (j = 0; j < jumps && !inside; ++j) inside = at[i] >= target[j] && at[i] <= from[j]
        if (inside) print name, mnemonic[i]
      }
      count = jumps = 0
    }
    function padded(hex) { return sprintf("%16s", hex) }
    { sub(/[ \t]*\/\/.*$/, "") }  # what objdump says about an instruction of AArch64
    /^[0-9a-f]+ <.*>:$/ { finish(); name = substr($2, 2, length($2) - 3); next }
    NF > 1 && $1 ~ /:$/ {
      at[count] = padded(substr($1, 1, length($1) - 1))
      mnemonic[count++] = $2
      if ($NF ~ ("^<" name "[+].*>$") && padded($(NF - 1)) <= at[count - 1]) {  # a jump backwards
        target[jumps] = padded($(NF - 1))
        from[jumps++] = at[count - 1]
      }
    }
    END { finish() }'
}
expect() {  # LEVEL MANGLED-FUNCTION INSTRUCTION...
  local level=$1 function=$2 instruction
  shift 2
  for instruction in "$@"; do
    grep -qE "^[^ ]*$function[^ ]* $instruction\$" "$work/$level.loops" ||
      fail "$level: no $instruction in a loop of $function"
  done
}
look() {  # LEVEL OBJDUMP COMPILER FLAG...
  local level=$1 objdump=$2
  shift 2
  "$@" -std=c++20 -O3 -w -I"$tree" -DBLOCQ_NO_XSIMD -c tests/codegen/kernels.cpp -o "$work/$level.o"
  loops_of "$objdump" "$work/$level.o" >"$work/$level.loops"
}

look avx2 objdump "${flags[@]}" -mavx2 -mfma -mf16c
expect avx2 'dot_blocks.*4q4_k' vpmaddubsw vpmaddwd
expect avx2 'dot_blocks.*6iq4_xs' vpshufb vpmaddubsw
expect avx2 'dot_blocks.*4q8_0' vpsignb vpmaddubsw
expect avx2 'multiply.*kernel' vpmaddubsw vpaddw vpmaddwd

look vnni objdump "${flags[@]}" -march=icelake-server
expect vnni 'dot_blocks.*4q8_0' vpdpbusd
expect vnni 'multiply.*kernel' vpdpbusd vpmulld

look sse4 objdump "${flags[@]}" -msse4.1
expect sse4 'dot_blocks.*4q4_k' pmaddubsw pmaddwd
expect sse4 'dot_blocks.*6iq4_xs' pshufb pmaddubsw
expect sse4 'dot_blocks.*4q8_0' psignb pmaddubsw
expect sse4 'multiply.*kernel' pmaddubsw paddw pmaddwd

if command -v aarch64-linux-gnu-g++ >/dev/null; then
  look neon aarch64-linux-gnu-objdump aarch64-linux-gnu-g++
  expect neon 'dot_blocks.*4q4_k' smull smull2 addp
  expect neon 'dot_blocks.*6iq4_xs' tbl smull2 addp
  expect neon 'dot_blocks.*4q8_0' smull smull2 addp
  expect neon 'multiply.*kernel' smull smull2 addp
  look dotprod aarch64-linux-gnu-objdump aarch64-linux-gnu-g++ -march=armv8.2-a+dotprod
  expect dotprod 'dot_blocks.*4q8_0' sdot
  expect dotprod 'multiply.*kernel' sdot
  look i8mm aarch64-linux-gnu-objdump aarch64-linux-gnu-g++ -march=armv8.2-a+dotprod+i8mm
  expect i8mm 'dot_blocks.*4q8_0' sdot
  expect i8mm 'multiply.*kernel' smmla
else
  echo "NEON not looked at: no aarch64-linux-gnu-g++"
fi
