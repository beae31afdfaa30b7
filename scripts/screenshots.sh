#!/usr/bin/env bash
# Makes the pictures docs/*.png anew: of a report about the demo model, and of the site that scripts/docs.sh built.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh chromium nodejs pngquant
[ -e build/site/index.html ] || scripts/docs.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp examples/data/story.gguf "$work"
# One half of the text to plan with, the other to measure.
size=$(stat -c %s examples/data/story.txt)
head -c $((size / 2)) examples/data/story.txt >"$work/train.txt"
tail -c $((size / 2)) examples/data/story.txt >"$work/test.txt"
blocq=$(realpath "${BLOCQ:-build/bin/blocq}")
(cd "$work" && "$blocq" report story.gguf --calibration train.txt --text test.txt --context 64 --windows 8 -o report.html)
node scripts/pages/shoot.mjs "$work/report.html" build/site "$work"
for picture in "$work"/*.png; do
  pngquant --force --output "docs/$(basename "$picture")" 64 "$picture"
  echo "docs/$(basename "$picture"): $(($(stat -c %s "docs/$(basename "$picture")") / 1000)) kB"
done
