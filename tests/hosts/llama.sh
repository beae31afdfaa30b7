#!/usr/bin/env bash
# Stock llama.cpp with and without the plug-in: the same numbers?
#   llama.sh PLUGIN BLOCQ MODEL TEXT [TYPE...]
# PLUGIN is libggml-blocq.so, BLOCQ the program, MODEL a llama model in GGUF with rows of a multiple of 256. Runs the
# llama.cpp of the directory BLOCQ_LLAMA_DIR (scripts/fetch-llama.sh), or the installed one. CHUNKS of the text are read
# (4); BLOCQ_TEST_ALL=1 runs all of ggml's own tests of products, of which some take gigabytes, rather than the usual ones.
set -euo pipefail
plugin=$(realpath -e "$1") blocq=$(realpath -e "$2") model=$(realpath -e "$3") text=$(realpath -e "$4")
shift 4
types=("$@") chunks=${CHUNKS:-4}
[ $# -gt 0 ] || types=(q4_0 q6_k iq4_xs mxfp4)
export OMP_WAIT_POLICY=passive  # threads that wait do not take turns with those that work
here=$(dirname "$(realpath "$0")")
if [ -n "${BLOCQ_LLAMA_DIR:-}" ]; then PATH=$BLOCQ_LLAMA_DIR:$PATH; fi
PATH=$PATH:$(echo /usr/libexec/*/llama.cpp-tests)
for program in llama-perplexity llama-completion test-backend-ops python3; do
  command -v $program >/dev/null || { echo "hosts skipped: there is no $program (scripts/fetch-llama.sh gets llama.cpp)"; exit 0; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*"; exit 1; }

with() { env GGML_BACKEND_PATH="$plugin" "$@"; }
without() { env -u GGML_BACKEND_PATH "$@"; }

# ---- ggml's own tests ----

declare -A usual=([MUL_MAT]='type_b=f32,(m=16,n=[0-9]+,k=256|.*per=\[0,[^1])' [MUL_MAT_ID]='type_b=f32,n_mats=4,.*k=256')
for operation in MUL_MAT MUL_MAT_ID; do
  choice=(-p "${usual[$operation]}")
  [ -z "${BLOCQ_TEST_ALL:-}" ] || choice=()
  with test-backend-ops test -b blocq -o $operation "${choice[@]}" >"$dir/log" 2>&1 || true
  passed=$(grep -oE '[0-9]+/[0-9]+ tests passed' "$dir/log" || true)
  ! grep -q FAIL "$dir/log" && [[ $passed == [1-9][0-9]* ]] ||
    { grep -E 'FAIL|error' "$dir/log" || tail -n 3 "$dir/log"; fail "test-backend-ops $operation"; }
  echo "test-backend-ops $operation: $passed"
done

# ---- what it says ----

# llama.cpp writes from a thread of its own, and what it has not written when the program ends is lost: once more then.
perplexity() {  # COMMAND... MODEL: the figure
  local figure
  for _ in {1..30}; do
    "${@:1:$#-1}" llama-perplexity -m "${@: -1}" -f "$text" -c 256 -b 256 --chunks "$chunks" >"$dir/err" 2>&1 ||
      { cat "$dir/err" >&2; return 1; }
    figure=$(grep -oE "\[$chunks\][0-9.]+" "$dir/err" | head -n 1 | cut -d']' -f2) || true
    [ -z "$figure" ] || break
  done
  echo "$figure"
}
tokens() {  # COMMAND... MODEL: a text without chance
  for _ in {1..30}; do
    "${@:1:$#-1}" llama-completion -m "${@: -1}" -p "Once there was" -n 40 --temp 0 --no-warmup -no-cnv </dev/null \
      >"$dir/text" 2>"$dir/err" || { cat "$dir/err" >&2; return 1; }
    ! grep -q 'total time' "$dir/err" || break
  done
  cat "$dir/text"
}
same_within() { awk -v a="$1" -v b="$2" -v limit="$3" 'BEGIN { exit !(a > 0 && b > 0 && a / b - 1 < limit && b / a - 1 < limit) }'; }

with_threads() { with env LLAMA_ARG_THREADS="$1" BLOCQ_VERBOSE=1 "${@:2}"; }
compare() {  # FILE NAME
  local ggml one two
  ggml=$(perplexity without "$1")
  one=$(perplexity with_threads 1 "$1")
  grep -q '^blocq: takes' "$dir/err" || fail "$2: nothing was taken"
  two=$(perplexity with_threads 2 "$1")
  echo "$2: perplexity $ggml without, $one with"
  same_within "$ggml" "$one" 0.001 || fail "$2: perplexities differ"
  [ -n "$two" ] && [ "$one" = "$two" ] || fail "$2: perplexity depends on the number of threads, $one and $two"
  tokens without "$1" >"$dir/expected"
  [ "$(wc -w <"$dir/expected")" -gt 10 ] || fail "$2: the model says nothing"
  for threads in 1 2; do
    tokens with_threads $threads "$1" >"$dir/said"
    cmp -s "$dir/expected" "$dir/said" || { diff "$dir/expected" "$dir/said"; fail "$2: another text, $threads threads"; }
  done
}
for type in "${types[@]}"; do
  "$blocq" quantize "$model" "$dir/model.gguf" --type "$type" >/dev/null
  compare "$dir/model.gguf" "$type"
done

if python3 "$here/make_model.py" moe "$here/../../examples/data/story.gguf" "$dir/moe.gguf"; then
  "$blocq" quantize "$dir/moe.gguf" "$dir/model.gguf" --type q4_0 >/dev/null
  compare "$dir/model.gguf" "experts, q4_0"
  grep -q 'takes blk.0.ffn_down_exps.weight' "$dir/err" || fail "experts were not taken"
fi

# ---- rows side by side ----

with_lanes() { with env BLOCQ_BUFFER=interleave LLAMA_ARG_THREADS=2 BLOCQ_VERBOSE=1 "$@"; }
plain=$(perplexity with "$dir/model.gguf")
lanes=$(perplexity with_lanes "$dir/model.gguf")
grep -q '^blocq: takes' "$dir/err" || fail "nothing was taken in rows side by side"
same_within "$plain" "$lanes" 0.001 || fail "perplexity of rows side by side: $lanes, not $plain"
echo "rows side by side: perplexity $lanes"

# ---- what is asked of it ----

asked() { with env "$1" BLOCQ_VERBOSE=1 "${@:2}" llama-perplexity -m "$dir/model.gguf" -f "$text" -c 256 --chunks 1 >"$dir/log" 2>&1; }
asked BLOCQ_OFF=q4_0,experts || fail "BLOCQ_OFF"
! grep -q 'takes.*q4_0' "$dir/log" || fail "BLOCQ_OFF=q4_0 was not heeded"
asked BLOCQ_OFF=q4 && grep -q "BLOCQ_OFF names 'q4'" "$dir/log" || fail "a wrong BLOCQ_OFF was not complained of"
asked BLOCQ_ISA=avx3 && grep -q "BLOCQ_ISA is 'avx3'" "$dir/log" || fail "a wrong BLOCQ_ISA was not complained of"
asked BLOCQ_BUFFER=rows && grep -q "BLOCQ_BUFFER is 'rows'" "$dir/log" || fail "a wrong BLOCQ_BUFFER was not complained of"

# ---- other hosts ----

if [ -n "${BLOCQ_ORACLE_DIR:-}" ]; then
  python3 "$here/buffers.py" "$plugin" "$BLOCQ_ORACLE_DIR" >"$dir/log" 2>&1 || { cat "$dir/log"; fail "buffers"; }
  echo "buffers: passed"
else
  echo "buffers skipped: BLOCQ_ORACLE_DIR is not set"
fi
if [ -n "${BLOCQ_NODE_DIR:-}" ]; then
  cp "$here/npm.mjs" "$BLOCQ_NODE_DIR"
  node "$BLOCQ_NODE_DIR/npm.mjs" "$dir/model.gguf" >"$dir/expected" 2>"$dir/log"
  with env BLOCQ_VERBOSE=1 node "$BLOCQ_NODE_DIR/npm.mjs" "$dir/model.gguf" >"$dir/said" 2>"$dir/log"
  grep -q '^blocq: takes' "$dir/log" || { cat "$dir/log"; fail "node-llama-cpp: nothing was taken"; }
  [ -s "$dir/said" ] && cmp -s "$dir/expected" "$dir/said" || fail "node-llama-cpp: another text"
  echo "node-llama-cpp: passed"
else
  echo "node-llama-cpp skipped: BLOCQ_NODE_DIR is not set"
fi
echo "passed"
