#!/usr/bin/env bash
# How much longer operations take without optimization: the table of docs/support.md, without its frame.
#
#   scripts/debug-figures.sh [COMPILER ...]
#
# Each COMPILER (g++ and clang++) builds one program at -O0 and at -O2; the times are CPU time, the shortest of many.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- g++ clang++

cat >"$work/times.cpp" <<'C'
#include <blocq/blocq.hpp>

#include <time.h>
#include <algorithm>
#include <cstdio>
#include <vector>

double now() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}
template <class F>
double seconds(F f) {
  double best = 1e9;
  for (double spent = 0; spent < 0.4;) {
    const double start = now();
    f();
    const double time = now() - start;
    best = std::min(best, time);
    spent += time + 1e-5;
  }
  return best;
}
template <class... B>
void row(blocq::type_list<B...>) {
  constexpr std::size_t rows = 4, cols = 2048;
  unsigned state = 1;
  const auto next = [&] {
    float sum = 0;
    for (int i = 0; i < 4; ++i) {
      state = state * 1664525u + 1013904223u;
      sum += static_cast<float>(state >> 8);
    }
    return (sum - 33554432.0f) * 1e-7f;
  };
  std::vector<float> weights(rows * cols), x(cols), y(rows);
  for (float& v : weights) v = next();
  for (float& v : x) v = next();
  const auto quantize = [&]<class T>() {
    std::vector<T> blocks(blocq::blocks_for<T>(weights.size()));
    return seconds([&] { static_cast<void>(blocq::quantize(weights, blocks)); });
  };
  const auto gemv = [&]<class T>() {
    using A = blocq::integer_operand_t<T>;
    std::vector<T> blocks(blocq::blocks_for<T>(weights.size()));
    std::vector<A> operand(blocq::blocks_for<A>(cols));
    static_cast<void>(blocq::quantize(weights, blocks));
    blocq::quantize_activations(x, operand);
    const blocq::matrix_view<const T> w{blocks.data(), rows, blocks.size() / rows};
    return seconds([&] { blocq::gemv(w, operand, y); });
  };
  std::printf("quantize");
  (std::printf(" %.9f", quantize.template operator()<B>()), ...);
  std::printf("\ngemv");
  (std::printf(" %.9f", gemv.template operator()<B>()), ...);
  std::printf("\n");
}
int main() {
  using namespace blocq;
  row(type_list<q4_0, q8_0, q4_k, q6_k, iq4_nl, mxfp4>{});
}
C

for compiler in "$@"; do
  for level in 0 2; do
    "$compiler" -std=c++20 -O$level -DNDEBUG -Iinclude "$work/times.cpp" -o "$work/times$level"
    "$work/times$level" >"$work/level$level"
  done
  paste -d' ' "$work/level0" "$work/level2" | awk -v compiler="$compiler" '{
    printf "| %s, %s |", $1, compiler
    for (i = 2; i <= NF / 2; ++i) printf " %.0f |", $i / $(i + NF / 2)
    print ""
  }'
done
