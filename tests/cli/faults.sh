. "${0%/*}/lib.sh"

# The system fails the program, or ends it, at any of the calls by which it changes files, and at allocations: what was
# there is there as it was, or the new file whole; nothing half, and a sentence.
[ -n "${FAULTS:-}" ] && [ -e "$FAULTS" ] || { echo "skipped: no library to preload"; exit 0; }

faulty() {  # KIND NUMBER ARGUMENT...: with that call failing; exit code in $code
  local kind=$1 number=$2
  shift 2
  { FAULT_KIND=$kind FAULT_AT=$number FAULT_COUNT=$PWD/count FAULT_AFTER=$2 LD_PRELOAD=$FAULTS "$BLOCQ" "$@" >out 2>err; } 2>/dev/null
  code=$?
}
every() {  # COUNT: numbers 1 to COUNT, some twenty of them
  local step=$(($1 / 20 + 1)) i
  for ((i = 1; i <= $1; i += step)); do echo $i; done
}
try() {  # OUTPUT ARGUMENT...: a command that makes OUTPUT
  local output=$1 i fresh
  shift
  expect 0 "$@"
  cp "$output" whole
  faulty refuse 0 "$@"
  [ $code = 0 ] || fail "with nothing failing"
  local calls=$(cat count)
  [ "$calls" -gt 2 ] || fail "$calls calls seen: this test does not work"
  faulty memory 0 "$@"
  local allocations=$(cat count)
  for fresh in yes no; do
    for i in $(every "$calls"); do
      begin $fresh "$output"
      faulty refuse $i "$@"
      [ $code = 0 ] || { [ $code = 2 ] && [ -s err ]; } || fail "$*: call $i refused: exit code $code"
      kept $fresh "$output" "call $i refused"
      [ -z "$(ls -A made | grep -v "^${output#made/}\$")" ] || fail "$*: call $i refused: left behind: $(ls -A made)"

      begin $fresh "$output"
      faulty kill $i "$@"
      [ $code = 137 ] || [ $code = 0 ] || fail "$*: killed at call $i: exit code $code"
      kept $fresh "$output" "killed at call $i"
    done
    for i in $(every "$allocations"); do
      begin $fresh "$output"
      faulty memory $i "$@"
      [ $code = 0 ] || { [ $code = 2 ] && [ -s err ]; } || fail "$*: allocation $i failed: exit code $code"
      kept $fresh "$output" "allocation $i failed"
    done
  done
}
begin() {  # FRESH OUTPUT
  rm -rf made && mkdir made
  [ "$1" = yes ] || echo before >"$2"
}
kept() {  # FRESH OUTPUT WHEN
  if cmp -s "$2" whole; then return; fi
  [ $code != 0 ] || fail "$3: success without the output"
  if [ "$1" = yes ]; then
    [ ! -e "$2" ] || fail "$3: half an output"
  else
    [ "$(cat "$2")" = before ] || fail "$3: what was there is lost"
  fi
}

mkdir made
try made/q.gguf quantize "$F/model.gguf" made/q.gguf -t q8_0 --threads 1
cp whole q.gguf
try made/d.gguf dequantize q.gguf made/d.gguf --threads 1
for i in 1 2 3; do echo "Line $i of a text, which is long enough for a window of tokens."; done >text
try made/i.gguf imatrix "$F/llama.gguf" text made/i.gguf --context 32 --windows 1 --threads 1
