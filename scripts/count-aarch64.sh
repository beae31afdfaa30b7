#!/usr/bin/env bash
# Counts the instructions that products of matrices take on 64-bit ARM, blocq's and ggml's, in qemu, where every run gives
# the same numbers, and prints a table in Markdown: instructions for 256 weights and one column of activations.
#
#   scripts/count-aarch64.sh [FLAG ...]     flags for the compiler, after -O3
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

scripts/setup.sh g++ g++-aarch64-linux-gnu qemu-user
out=build/count-aarch64
mkdir -p $out
mark=25196  # no system call
g++ -std=c++20 -O2 -shared -fPIC -DBLOCQ_MARK=$mark bench/qemu_counter.cpp -o $out/counter.so
ggml=$(scripts/fetch-oracle.sh $out linux-arm64)

levels=(NEON:armv8-a dotprod:armv8.2-a+dotprod i8mm:armv8.6-a+dotprod)
for level in "${levels[@]}"; do
  program=$out/${level%%:*}
  aarch64-linux-gnu-g++ -std=c++20 -O3 -DNDEBUG -march=${level#*:} "$@" -DBLOCQ_MARK=$mark -Iinclude -Itests/support \
    bench/instructions.cpp -o "$program" -ldl
  for peer in "" "$ggml"; do  # vectors of ggml's SVE code have 128 bits
    qemu-aarch64 -cpu max,sve-max-vq=1 -L /usr/aarch64-linux-gnu -plugin $out/counter.so "$program" $peer \
      2>"$program${peer:+-ggml}.txt" || { tail -n 3 "$program${peer:+-ggml}.txt" >&2; exit 1; }
  done
done

# Of ggml's ways to one product the first is that of the blocks as they lie in the file; of the others, one for each order
# that it puts them in, the shortest.
awk '
  FNR == 1 { ++column }
  NF == 3 {
    product = $1 " | " $2
    if (!(product in units)) order[++products] = product
    units[product] = $3
    from = ""
    next
  }
  from == "" { from = $1; next }
  {
    count = sprintf("%.0f", ($1 - from) / units[product])
    if (!((product, column) in plain)) plain[product, column] = count
    else if (!((product, column) in own) || count + 0 < own[product, column] + 0) own[product, column] = count
  }
  END {
    print "| | | NEON | ggml | dotprod | ggml | i8mm | ggml |"
    print "|---|---|---:|---:|---:|---:|---:|---:|"
    for (i = 1; i <= products; ++i) {
      line = "| " order[i]
      for (c = 1; c <= column; ++c) {
        line = line " | " plain[order[i], c]
        if ((order[i], c) in own) line = line " / " own[order[i], c]
      }
      print line " |"
    }
  }' $(for level in "${levels[@]}"; do echo $out/${level%%:*}.txt $out/${level%%:*}-ggml.txt; done)
