. "${0%/*}/lib.sh"

# How the program feels: help with examples, names that are nearly right, completion, the manual page.
commands="bench formats inspect quantize imatrix convert dequantize diff compare report perplexity probe explain completion man"
for c in $commands; do
  expect 0 $c --help
  says "Examples:"
  says "  blocq $c"
done
expect 0 --help
says "Exit codes:"
says "  128 + n  ended by signal n"

expect 2 quantise "$DEMO" q.gguf --type q9_k
complains "did you mean 'q"
expect 0 quantise "$DEMO" q.gguf --type q8_0
expect 2 quantize "$DEMO" q2.gguf -t q4_k_m
complains "'q4_k_m' is a mix of formats: --mix q4_k_m"
expect 2 quantize "$DEMO" q2.gguf --mix q4_km
complains "did you mean 'q4_k_m'?"
expect 2 quantize "$DEMO" q2.gguf --tpye q4_k
complains "did you mean '--type'?"
expect 2 compair "$DEMO"
complains "did you mean 'compare'?"
expect 2 xyzzyxyzzy
! grep -q 'did you mean' err || fail "a word that is like nothing"

# "-" is standard output.
"$BLOCQ" quantize "$DEMO" - --type q8_0 >piped.gguf 2>err || fail "no output to a pipe"
same piped.gguf q.gguf
complains "quantized to q8_0"

# JSON has the figures of the tables.
expect 0 compare "$DEMO" --rows 1 --json
json /sampled 4608
json /formats/0/name f16
expect 0 perplexity "$DEMO" "${DEMO%.gguf}.txt" --windows 1 --context 64 --json
"$HELPER" json /perplexity <out >/dev/null || fail "no perplexity"
expect 0 perplexity "$DEMO" "${DEMO%.gguf}.txt" --windows 1 --context 64 --json --copies q.gguf
"$HELPER" json /models/1/divergence <out >/dev/null || fail "no divergence"

# There are no colours, whatever the terminal says, so NO_COLOR has nothing to do.
NO_COLOR= TERM=xterm-256color expect 0 formats
! grep -q "$(printf '\033')" out || fail "an escape sequence"

# Completion in the shells themselves.
for shell in bash zsh fish; do "$BLOCQ" completion $shell >c.$shell || fail "completion for $shell"; done
complete_in_bash() {
  bash -c '. ./c.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _blocq; printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
}
[ "$(complete_in_bash blocq qua)" = quantize ] || fail "bash: a command"
[ "$(complete_in_bash blocq quantize in out --mix q4_k_ | paste -sd' ')" = "q4_k_s q4_k_m" ] || fail "bash: a mix"
[ "$(complete_in_bash blocq quantize --keep)" = --keep-split ] || fail "bash: an option"
[ "$(complete_in_bash blocq quantize in out --method aw | paste -sd' ')" = "awq awq+gptq" ] || fail "bash: a choice"
[ "$(complete_in_bash blocq formats iq3_ | paste -sd' ')" = "iq3_xxs iq3_s" ] || fail "bash: an argument"
[ -z "$(complete_in_bash blocq diff mod)" ] || fail "bash: files are left to the shell"
if command -v zsh >/dev/null; then zsh -n c.zsh || fail "zsh does not read its completion"; fi
if command -v fish >/dev/null; then
  fish -n c.fish || fail "fish does not read its completion"
  HOME=$PWD fish -c 'source c.fish; complete -C "blocq quantize a b --mix q4_k_"' >found 2>err || fail "fish"
  grep -q '^q4_k_m' found || fail "fish: a mix"
fi

# The manual page has every command and every option, and man reads it without a word.
"$BLOCQ" man >blocq.1 || fail "no manual page"
for c in $commands; do grep -q "^.SS \"blocq $c " blocq.1 || fail "the manual lacks $c"; done
for o in $("$BLOCQ" quantize --help | grep -o -- '--[a-z-]*' | sort -u); do
  [ "$o" = --help ] || grep -q -- "$(printf %s "$o" | sed 's/-/\\\\-/g')" blocq.1 || fail "the manual lacks $o"
done
if command -v man >/dev/null; then
  MANROFFSEQ= MANWIDTH=100 LC_ALL=C.UTF-8 man --warnings -l blocq.1 >page 2>err </dev/null || fail "man"
  [ ! -s err ] || fail "man has warnings"
  grep -q 'EXIT STATUS' page || fail "the page is not complete"
fi
