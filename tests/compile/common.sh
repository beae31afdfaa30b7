# Shared by the checks of this folder: sourced, with the compiler and its flags as the script's arguments.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tree=${BLOCQ_TREE:-include}  # the headers to check
strict="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The headers that need Eigen; where the compiler does not find it they are not there.
with_eigen=$(cd "$tree" && grep -rlE '^# *include <(Eigen/|blocq/calib/eigen.hpp)' blocq | paste -sd'|')
if printf '#if __has_include(<%s>) || __has_include(<%s>)\nfound\n#endif\n' {,eigen3/}Eigen/Cholesky |
  "${@:-cc}" -E -x c++ - 2>/dev/null | grep -q found; then left_out='-'; else left_out=$with_eigen; fi
headers() { (cd "$tree" && find blocq -name '*.hpp' | grep -vxE "$left_out" | LC_ALL=C sort); }
include_all() { headers | sed 's/.*/#include <&>/'; }

# Every other header that the library includes, where the compiler has it and it is for this machine.
include_foreign() {
  grep -rhoE '^ *# *include *<[^>]+>' "$tree" | grep -oE '<[^>]+>' | grep -vE 'blocq/|arm_|wasm_|<intrin.h>' | LC_ALL=C sort -u |
    sed 's/.*/#if __has_include(&)\n#include &\n#endif/'
}

fail() {
  echo "$@" >&2
  exit 1
}
