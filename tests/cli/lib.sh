# Shared by the tests of the command-line program. Each runs in an empty directory with $BLOCQ, $HELPER, $DEMO and
# $GOLDEN set; $F holds the helper's files. A test fails with the line that failed.
set -uo pipefail
F=$PWD/files
mkdir "$F" && "$HELPER" files "$F" || exit 1

fail() {
  echo "FAILED at line ${BASH_LINENO[1]}: $*"
  echo "--- exit code ${code:-none}, standard output and error:"
  cat out err 2>/dev/null
  exit 1
}

# expect CODE ARGUMENT...: runs blocq, keeps what it says in ./out and ./err. Exit code 1 may come with a sentence, 0
# with one only where `warned` is set.
expect() {
  local wanted=$1
  shift
  "$BLOCQ" "$@" >out 2>err
  code=$?
  [ "$code" = "$wanted" ] || fail "blocq $* should exit $wanted"
  case $wanted in
    2) [ -s err ] || fail "blocq $* failed without a word" ;;
    0) [ -n "${warned:-}" ] || [ ! -s err ] || fail "blocq $* wrote to standard error" ;;
  esac
}
says() { grep -qF -- "$1" out || fail "standard output lacks: $1"; }
hushes() { ! grep -qF -- "$1" out || fail "standard output has: $1"; }
complains() { grep -qF -- "$1" err || fail "standard error lacks: $1"; }
same() { cmp -s "$1" "$2" || fail "$1 and $2 differ"; }
differ() { ! cmp -s "$1" "$2" || fail "$1 and $2 are the same"; }
# Files of the same tensors, whatever their metadata.
same_weights() {
  expect 0 diff "$1" "$2" --json
  json /total/relative_rmse 0.0
}
other_weights() {
  expect 0 diff "$1" "$2" --json
  [ "$("$HELPER" json /total/relative_rmse <out)" != 0.0 ] || fail "$1 and $2 have the same weights"
}
json() {
  local found
  found=$("$HELPER" json "$1" <out) || fail "no JSON, or none at $1"
  [ "$found" = "$2" ] || fail "$1 is $found, not $2"
}
# type_of FILE TENSOR: prints the type that inspect shows.
type_of() { "$BLOCQ" inspect "$1" | awk -v name="$2" '$1 == name { print $2; exit }'; }
is_type() {
  local found
  found=$(type_of "$1" "$2")
  [ "$found" = "$3" ] || fail "$2 in $1 is $found, not $3"
}
# A directory that holds nothing, hidden files included.
empty() { [ -z "$(ls -A "$1")" ] || fail "left behind: $(ls -A "$1")"; }
