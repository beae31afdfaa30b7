#!/usr/bin/env bash
# How many templates clang instantiates for five programs, against instantiations.txt: 3 % more is an error that names the
# program. Counts, unlike times, are the same in every run; they are of one compiler with one standard library, which the
# list begins with, and elsewhere nothing is compared.
#   instantiations.sh CLANG FLAG...      UPDATE=1: writes the list anew
. "$(dirname "$0")/common.sh"

list=tests/compile/instantiations.txt
compiler=("$@")
with="clang $(echo __clang_major__ | "$@" -E -P -x c++ -), libstdc++ $(printf '#include <cstddef>\n_GLIBCXX_RELEASE' | "$@" -E -P -x c++ - | tail -n 1)"
[ -n "${UPDATE:-}" ] || [ "$(head -n 1 "$list")" = "# $with" ] || { echo "skipped: the list is not of $with"; exit 0; }

count() {  # CODE
  printf '#include <blocq/blocq.hpp>\nusing namespace blocq;\n%s\n' "$1" >"$work/a.cpp"
  "${compiler[@]}" -DBLOCQ_NO_XSIMD -I"$tree" -w -O0 -ftime-trace -ftime-trace-granularity=0 -c "$work/a.cpp" -o "$work/a.o" || exit 1
  grep -oE '"Instantiate(Function|Class)"' "$work/a.json" | wc -l
}
gemm='void f(matrix_view<const B> w, matrix_view<const float> x, matrix_view<float> y, std::span<std::byte> s) { gemm(w, x, y, s); }'
five=
for format in q4_0 q4_k q6_k iq4_xs mxfp4; do five+=${gemm/B/$format}$'\n'; done
{
  echo "# $with"
  echo "included $(count '')"
  echo "gemv-of-one $(count 'void f(matrix_view<const q4_k> w, std::span<const float> x, std::span<float> y) { gemv(w, x, y); }')"
  echo "gemm-of-five $(count "$five")"
  echo "quantize-to-one $(count 'status f(std::span<const float> x, std::span<q4_k> y) { return quantize(x, y); }')"
  echo "decode-all $(count 'void f(const void* w, std::size_t n, std::span<float> y) {
  for_each(all_formats{}, [&]<class B> { static_cast<void>(dequantize(std::span(static_cast<const B*>(w), n), y)); }); }')"
} >"$work/now.txt"
[ "$(awk '$2 > 100' "$work/now.txt" | wc -l)" -ge 5 ] || fail "few templates counted: this check does not work"
cat "$work/now.txt"
[ -z "${UPDATE:-}" ] || cp "$work/now.txt" "$list"
awk 'NR == FNR { was[$1] = $2; next }
     $1 != "#" && $2 > was[$1] * 1.03 { printf "%s: %d templates, were %d\n", $1, $2, was[$1]; bad = 1 }
     END { exit bad }' "$list" "$work/now.txt" ||
  fail "compiling has become more expensive; if that is worth it: UPDATE=1 tests/compile/instantiations.sh ${compiler[*]}"
