#!/usr/bin/env bash
# Machine code that typical uses add to a program, in kB: size.sh COMPILER FLAG...
. "$(dirname "$0")/common.sh"

text() {  # CODE
  printf '#include <blocq/blocq.hpp>\n#include <blocq/gguf/all.hpp>\nusing namespace blocq;\n%s\n' "$1" >"$work/a.cpp"
  "${compiler[@]}" -I"$tree" -w -c "$work/a.cpp" -o "$work/a.o"
  size -A "$work/a.o" | awk '$1 ~ /^\.(text|rodata|data)/ { n += $2 } END { printf "%.1f", n / 1000 }'
}
compiler=("$@")
dot='float f(std::span<const q4_k> w, std::span<const q8_k> x) { return dot(w, x); }'
gemv='void f(matrix_view<const q4_k> w, std::span<const float> x, std::span<float> y) { gemv(w, x, y); }'
gemm='void f(matrix_view<const q4_k> w, matrix_view<const float> x, matrix_view<float> y, std::span<std::byte> s) {
  gemm(w, x, y, s); }'
decode='status f(std::span<const q4_k> w, std::span<float> y) { return dequantize(w, y); }'
encode='status f(std::span<const float> x, std::span<q4_k> y) { return quantize(x, y); }'
each='template <class F> void each(F f) { for_each(all_formats{}, f); }'
read='bool f(std::span<const std::byte> b) { return bool(gguf::reader::parse(b)); }'
printf '%-44s %8s kB\n' \
  "included, nothing used" "$(text '')" \
  "dot of q4_k with q8_k" "$(text "$dot")" \
  "gemv of q4_k with floats" "$(text "$gemv")" \
  "gemm of q4_k with floats" "$(text "$gemm")" \
  "dequantize q4_k" "$(text "$decode")" \
  "quantize to q4_k" "$(text "$encode")" \
  "read a GGUF file" "$(text "$read")" \
  "dequantize every format" "$(text "$each"'
void f(const void* w, std::size_t n, std::span<float> y) {
  each([&]<class B> { static_cast<void>(dequantize(std::span(static_cast<const B*>(w), n), y)); }); }')" \
  "gemv of every format with floats" "$(text "$each"'
void f(const void* w, std::size_t m, std::size_t n, std::span<const float> x, std::span<float> y) {
  each([&]<class B> { gemv(matrix_view<const B>{static_cast<const B*>(w), m, n, n}, x, y); }); }')"
