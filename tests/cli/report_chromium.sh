. "${0%/*}/lib.sh"

# The page in a browser: it runs, says nothing on the console, and does what its controls say.
browser=$(command -v chromium || command -v chromium-browser) || { echo "skipped: no Chromium"; exit 0; }
expect 0 report "$DEMO" -o r.html
cat >check.js <<'JS'
window.addEventListener('error', (e) => faults.push(e.message));
const faults = [], check = (ok, what) => { if (!ok) faults.push(what); };
console.error = console.warn = (...words) => faults.push(words.join(' '));
window.addEventListener('load', () => {
  const table = document.querySelector('#formats ~ .wide table'), head = table.querySelectorAll('th')[1];
  const column = () => [...table.tBodies[0].rows].map((row) => +row.cells[1].dataset.v);
  const sorted = (up) => column().every((v, i, all) => i === 0 || (up ? all[i - 1] <= v : all[i - 1] >= v));
  head.querySelector('button').click();
  check(sorted(true) && head.getAttribute('aria-sort') === 'ascending', 'a table does not sort');
  head.querySelector('button').click();
  check(sorted(false) && head.getAttribute('aria-sort') === 'descending', 'a table does not sort downwards');

  const cell = document.querySelector('.heat td[data-i="3"]'), choice = document.getElementById('heat-choice');
  choice.value = [...choice.options].find((o) => o.text === 'q8_0').value;
  choice.onchange();
  const fine = +cell.textContent;
  choice.value = [...choice.options].find((o) => o.text === 'q2_k').value;
  choice.onchange();
  check(fine > 0 && +cell.textContent > 10 * fine, 'the heat map does not follow its choice');

  const matrix = document.getElementById('dist-matrix'), path = document.querySelector('.dist .w'), before = path.getAttribute('d');
  matrix.onchange();
  check(path.getAttribute('d') === before, 'script and program draw the first matrix differently');
  matrix.value = '5';
  matrix.onchange();
  check(path.getAttribute('d') !== before, 'the distribution does not follow its choice');

  const labels = [...document.querySelectorAll('.plot .label')].map((l) => [l.textContent, l.getBBox()]);
  labels.forEach(([a, p], i) => labels.slice(0, i).forEach(([b, q]) => check(
    p.x >= q.x + q.width || q.x >= p.x + p.width || p.y + 3 >= q.y + q.height - 3 || q.y + 3 >= p.y + p.height - 3, a + ' lies on ' + b)));
  check(labels.length > 25, 'labels are missing');
  const names = [...document.querySelectorAll('button, select, .point, [role=region]')];
  check(names.every((e) => e.tabIndex >= 0), 'something cannot be reached by keyboard');
  check([...document.querySelectorAll('select')].every((s) => s.labels.length === 1), 'a choice has no label');
  check(performance.getEntriesByType('resource').every((r) => r.name.startsWith('data:')), 'something was loaded');
  check(document.documentElement.scrollWidth <= innerWidth, 'the page is wider than the window');
  document.title = faults.length === 0 ? 'all is well' : faults.join('; ');
});
JS
# In front of the page's own script, so that it sees errors of that.
awk '/<script>\/\/<!\[CDATA\[/ && !done { print "<script>"; while ((getline line <"check.js") > 0) print line; print "</script>"; done = 1 } { print }' r.html >checked.html
timeout 120 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$PWD/profile" --window-size=1200,900 \
  --virtual-time-budget=5000 --dump-dom "file://$PWD/checked.html" >dom 2>log || { echo "skipped: Chromium does not run here"; exit 0; }
title=$(grep -o '<title>[^<]*' dom | head -1)
[ "$title" = '<title>all is well' ] || { echo "FAILED: $title"; exit 1; }
