. "${0%/*}/lib.sh"

# One file that needs nothing else, and is well-formed.
expect 0 report "$DEMO" -o r.html
says "r.html: "
says "at most 5.0 bits per weight: --mix "
"$HELPER" xml r.html || fail "the page is not well-formed"
"$HELPER" plot r.html || fail "labels of the plot overlap"
# Nothing is loaded: the only addresses are the names of two namespaces, and no element or style leads out of the page.
grep -oE '[a-z]+://[^"< ]*' r.html | sort -u >addresses
printf 'http://www.w3.org/1999/xhtml\nhttp://www.w3.org/2000/svg\n' >expected
same addresses expected
grep -qE '@import|url\(|<(img|iframe|object|embed)| src=' r.html && fail "the page loads something"
[ "$(grep -o 'href="[^#"]*"' r.html | sort -u)" = 'href="data:,"' ] || fail "a link leaves the page"
# Everything is in it.
for id in which formats mixes where sizes distribution matrices; do
  grep -q "<h2 id=\"$id\">" r.html || fail "there is no section $id"
done
for type in q4_k iq3_s mxfp6_e2m3 nvfp4; do grep -q "<tr><td>$type</td>" r.html || fail "the table lacks $type"; done
[ "$(grep -o '<td data-i="[0-9]*"' r.html | wc -l)" = 16 ] || fail "the heat map does not have each matrix once"
sed -n 's|.*id="data">\(.*\)</script>.*|\1|p' r.html >out
json /matrices/0/name token_embd.weight
[ "$(wc -c <r.html)" -lt 300000 ] || fail "the page is large"
# What is recommended can be done, and has the size and the error that the page says.
mix=$(sed -n 's|.*<code>blocq quantize .* --mix \([a-z0-9_]*\)</code>.*|\1|p' r.html | sed -n 2p)
expect 0 quantize "$DEMO" m.gguf --mix "$mix"
"$BLOCQ" report "$DEMO" -o r2.html --threads 3 >/dev/null || fail "three threads"
same r.html r2.html

# With a text, what the mixes do to the predictions.
expect 0 report "$DEMO" --text "${DEMO%.gguf}.txt" --windows 2 --context 64 -o t.html
grep -q 'KL divergence' t.html || fail "the page has no divergence"
[ -z "$(ls -d "${TMPDIR:-/tmp}"/blocq-report-$$-* 2>/dev/null)" ] || fail "copies were left behind"

# Names from a file are text, whatever is in them.
expect 0 report "$F/hostile_names.gguf" -o h.html
"$HELPER" xml h.html || fail "names break the page"
grep -q '<script>alert' h.html && fail "a name became markup"

expect 1 report "$F/nan.gguf" -o left.html
complains "'second.weight'"
expect 2 report "$F/integers.gguf" -o left.html
complains "no weight matrix"
expect 2 report "$DEMO" -o "$DEMO"
expect 2 report "$DEMO" -o missing/r.html
complains "missing/r.html"
[ ! -e left.html ] || fail "an output was left behind"
expect 0 report "$F/zeros.gguf" -o z.html
"$HELPER" xml z.html || fail "zeros break the page"
expect 0 report "$F/ragged.gguf" -o g.html
