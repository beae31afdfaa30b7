#!/usr/bin/env bash
# Shows that the checks of this folder find what they look for, each on a copy of the headers with one offence in it:
# self_test.sh COMPILER FLAG...
. "$(dirname "$0")/common.sh"

must_fail() {  # SCRIPT SENTENCE TEXT: with TEXT at the end of core/bits.hpp the script must fail and say SENTENCE
  rm -rf "$work/tree"
  cp -r include "$work/tree"
  echo "$3" >>"$work/tree/blocq/core/bits.hpp"
  ! BLOCQ_TREE=$work/tree "tests/compile/$1.sh" "${compiler[@]}" >"$work/said" 2>&1 || fail "$1 does not find: $3"
  grep -qF -e "$2" "$work/said" || fail "$1 finds, but does not name: $3"$'\n'"$(head -n 20 "$work/said")"
}

compiler=("$@")
must_fail headers "blocq/blocq.hpp does not stand alone" "inline int twice() { return 1; }"
must_fail macros "LEAK" "#define LEAK 1"
must_fail macros "small" "namespace blocq { struct sizes { int small; }; }"
must_fail symbols "defines" "#ifndef ONCE
#define ONCE
int strong() { return 1; }
#endif"
must_fail symbols "defines" "#ifndef ONCE
#define ONCE
int before_main = [] { volatile int x = 1; return x; }();
#endif"
must_fail symbols "blocq::v0::outside" "#ifndef ONCE
#define ONCE
namespace blocq::inline v0 { inline int outside(int x) { return x + 1; } }
#endif"
