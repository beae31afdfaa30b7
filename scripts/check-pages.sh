#!/usr/bin/env bash
# Can everybody use the pages? check-pages.sh [--offline] [PAGE...] opens each (build/site's index, one format and one document, and a
# report of the demo model, if none is named) in Chromium without a window, light and dark, and lets axe-core look at it.
# axe-core comes from npm, pinned, into a folder outside the tree ($BLOCQ_TOOLS or the user's cache), once; --offline only
# takes what is there.
set -euo pipefail
cd "$(dirname "$0")/.."
axe=4.10.3
tools=${BLOCQ_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/blocq}/axe-core-$axe
for program in node npm; do
  command -v $program >/dev/null || { echo "skipped: no $program"; exit 0; }
done
offline=
if [ "${1:-}" = --offline ]; then offline=1 && shift; fi
if [ ! -e "$tools/node_modules/axe-core/axe.min.js" ]; then
  [ -z "$offline" ] || { echo "skipped: no axe-core in $tools"; exit 0; }
  mkdir -p "$tools"
  npm install --prefix "$tools" --ignore-scripts --no-audit --no-fund "axe-core@$axe" >"$tools/npm.log" 2>&1 ||
    { echo "skipped: npm cannot fetch axe-core"; exit 0; }
fi
if [ $# = 0 ]; then
  mkdir -p build/pages
  "${BLOCQ:-build/bin/blocq}" report examples/data/story.gguf -o build/pages/report.html
  set -- build/pages/report.html
  for page in index formats/iq3_s cli; do
    for file in build/site/$page.html build/site/$page/index.html; do
      if [ -e "$file" ]; then set -- "$@" "$file"; fi
    done
  done
fi
exec node scripts/pages/check.mjs "$tools/node_modules/axe-core/axe.min.js" "$@"
