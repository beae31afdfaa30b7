. "${0%/*}/lib.sh"

# What axe-core says of a report, light and dark, and whether the console stays empty; where scripts/check-pages.sh has
# fetched axe-core before.
"$HELPER" layers deep.gguf 30
expect 0 report deep.gguf -o deep.html
expect 0 report "$F/llama.gguf" -o plain.html
timeout 120 "${LAYOUTS%/*}/check-pages.sh" --offline "$PWD/deep.html" "$PWD/plain.html"
