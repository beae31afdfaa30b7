#!/usr/bin/env bash
# Writes formats, encoders and operations (or the headers named) as one file: single-header.sh OUT.hpp [HEADER...]
# xsimd stays outside: the file includes it where it is found, as the headers do.
set -euo pipefail
out=${1:?usage: single-header.sh OUT.hpp [HEADER...]}
shift
[ $# -gt 0 ] || set -- blocq/blocq.hpp
cd "$(dirname "$0")/.."

temporary=$(mktemp)
trap 'rm -f "$temporary"' EXIT
{
  echo "// blocq $(scripts/version.sh) in one file, made by scripts/single-header.sh from: $*"
  sed 's|^|// |; s|[ ]*$||' LICENSE
  awk -v headers="$*" '
    function fail(message) { print "single-header: " message >"/dev/stderr"; failed = 1; exit 1 }
    # A header that only one branch of an #if sees does not stand for an include elsewhere: there it comes again, and
    # its guard decides.
    function emit(name, guarded,    path, line, depth, inner) {
      if (name in seen) return
      if (!guarded) seen[name]
      path = "include/" name
      depth = 0
      while ((status = (getline line < path)) > 0) {
        if (line ~ /^#if/) ++depth
        if (line ~ /^#endif/) --depth
        if (line ~ /^#include <blocq\//) {
          inner = line
          sub(/^#include </, "", inner)
          sub(/>.*/, "", inner)
          emit(inner, guarded || depth > 1)  # the include guard is the first level
        } else
          print line
      }
      if (status < 0) fail("cannot read " path)
      close(path)
    }
    BEGIN {
      n = split(headers, list, " ")
      for (i = 1; i <= n; ++i) emit(list[i], 0)
    }
    END { exit failed }'
} >"$temporary"
mkdir -p "$(dirname "$out")"
mv "$temporary" "$out"
chmod 644 "$out"
