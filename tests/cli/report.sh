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

# A page about thirty layers is one that a browser shows at once.
"$HELPER" layers deep.gguf 30
expect 0 report deep.gguf -o deep.html
[ "$(wc -c <deep.html)" -lt 2000000 ] || fail "the page of thirty layers has $(wc -c <deep.html) bytes"

# With a text, what the mixes do to the predictions, what each matrix counts, and plans, which their commands carry out.
for i in 1 2 3 4 5 6 7 8 9; do echo "Line $i of a text, which is long enough for a few windows of tokens."; done >text
cp "$F/llama.gguf" "a model.gguf"
expect 0 report "a model.gguf" --text text --windows 2 --context 64 -o t.html
grep -q 'KL divergence' t.html || fail "the page has no divergence"
grep -q 'give another with' t.html || fail "the page does not say that one text serves for both"
"$HELPER" xml t.html || fail "the page with a text is not well-formed"
matrices=$(grep -o '<td data-i="[0-9]*"' t.html | wc -l)
[ "$(sed -n '/aria-label="Divergence by matrix"/,/<.tbody>/p' t.html | grep -c '^<tr>')" = "$matrices" ] ||
  fail "the sensitivity of some matrix is missing"
expect 0 report "a model.gguf" --calibration text --windows 2 --context 64 -o c.html
command=$(sed -n 's|.*<code>blocq \(quantize .*--target-bpw 7.0 [^<]*\)</code>.*|\1|p' c.html | sed "s/&apos;/'/g; s/&#39;/'/g")
eval "expect 0 $command"
types=$(sed -n '2p' out)
grep -qF ">7.0-bits <span class=\"soft types\">" c.html || fail "there is no plan"
grep -qF "$(awk '{ print $1, $2 }' <<<"${types//,/}")" c.html || fail "the plan of the page is not that of the command: $types"
[ -z "$(ls -d "${TMPDIR:-/tmp}"/blocq-report-$$-* 2>/dev/null)" ] || fail "copies were left behind"
expect 2 report "$F/ragged.gguf" --calibration text -o left.html

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
