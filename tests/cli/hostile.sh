#!/usr/bin/env bash
# Hostile copies of small llama models through `blocq perplexity`: each is refused with a sentence, or its figure is a
# number. Nothing crashes, hangs or takes a gigabyte.
#   hostile.sh BLOCQ HOSTILE HELPER [COPIES]     the programs blocq, hostile.cpp and helper.cpp; 1790 copies if not said
set -uo pipefail
blocq=$1 hostile=$2 helper=$3 copies=${4:-1790}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" && mkdir files && "$helper" files files || exit 1
for i in 1 2 3 4 5 6 7 8 9; do echo "Line $i of a text, which is long enough for a window of tokens."; done >text
models=(files/llama.gguf)
for type in q8_0 q4_0; do
  "$blocq" quantize files/llama.gguf $type.gguf -t $type >/dev/null || exit 1
  models+=($type.gguf)
done

# The address sanitizer reserves terabytes that it does not use.
bounded() {
  (
    nm -D "$blocq" 2>/dev/null | grep -q __asan_ || ulimit -v 1048576
    exec timeout 20 "$@"
  )
}

good=0 refused=0 bad=0
for ((n = 0; n < copies; ++n)); do
  model=${models[n % ${#models[@]}]}
  total=$("$hostile" "$model")
  number=$((n * total / copies))
  what=$("$hostile" "$model" $number copy.gguf) || exit 1
  bounded "$blocq" perplexity copy.gguf text --context 64 --windows 1 --threads 1 >out 2>err
  code=$? verdict=
  case $code in
    0)
      grep -qE '^perplexity [0-9.e+]+ \+- [0-9.e+-]+ over [1-9][0-9]* tokens' out && ! grep -qiE 'nan|inf' out ||
        verdict="success without a figure"
      good=$((good + 1))
      ;;
    1 | 2)
      [ -s err ] || verdict="refused without a word"
      grep -q '^perplexity' out && verdict="refused with a figure"
      refused=$((refused + 1))
      ;;
    124) verdict="does not end" ;;
    *) verdict="exit code $code" ;;
  esac
  if [ -n "$verdict" ]; then
    bad=$((bad + 1))
    echo "$model, copy $number ($what): $verdict"
    head -n 3 out err | head -n 12
  fi
done
echo "$copies hostile copies: $refused refused, $good run, $bad bad"
[ $bad = 0 ] && [ $good -gt 0 ] && [ $refused -gt 0 ]
