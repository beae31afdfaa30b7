// Style and script of the page that `report` writes. The page is XHTML too: no bare '&' and no bare '<' in the style.
#ifndef BLOCQ_EXAMPLES_REPORT_ASSETS_HPP
#define BLOCQ_EXAMPLES_REPORT_ASSETS_HPP

inline constexpr const char* report_style = R"css(
:root { color-scheme: light dark; --back: #fff; --text: #1d1f23; --soft: #5b6068; --line: #d9dce1; --box: #f4f5f7;
  --link: #0b5cad; --bar: #0072b2; --mark: #d55e00; }
@media (prefers-color-scheme: dark) {
  :root { --back: #16181b; --text: #e4e6ea; --soft: #a2a8b0; --line: #3a3e45; --box: #212429; --link: #7db7f0;
    --bar: #4aa3df; --mark: #f0894a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 16px 24px 64px; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 28px; margin: 8px 0; overflow-wrap: anywhere; }
h2 { margin: 40px 0 8px; border-bottom: 1px solid var(--line); }
p { max-width: 76ch; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 12px 0; }
a { color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 1px; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .88em; background: var(--box); padding: 1px 4px;
  border-radius: 3px; overflow-wrap: anywhere; }
.wide { overflow: auto; max-height: 560px; border: 1px solid var(--line); border-radius: 4px; }
.wide.all { max-height: none; border: 0; }
table { border-collapse: collapse; font-size: 14.5px; width: 100%; }
th, td { padding: 3px 10px; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
thead th { background: var(--box); position: sticky; top: 0; z-index: 1; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
th button { all: unset; cursor: pointer; font-weight: 700; }
th button:focus-visible { outline: 2px solid var(--link); }
th[aria-sort=ascending] button::after { content: " \2191"; }
th[aria-sort=descending] button::after { content: " \2193"; }
select { font: inherit; color: inherit; background: var(--box); border: 1px solid var(--line); border-radius: 4px;
  padding: 3px 6px; max-width: 100%; }
.heat { width: auto; }
.heat td { text-align: right; font-variant-numeric: tabular-nums; border: 1px solid var(--back);
  background: color-mix(in oklab, #00306f, #fbe64d calc(var(--v) * 100%)); color: #fff; }
.heat td[colspan] { text-align: center; }
.heat td.light { color: #000; }
.heat td.none { background: none; }
.bar { display: inline-block; height: 11px; background: var(--bar); vertical-align: middle; }
.plot { max-width: 100%; height: auto; }
.dist { width: 100%; height: auto; background: var(--box); border-radius: 4px; }
.dist .w { fill: var(--bar); }
.dist .l { stroke: var(--mark); stroke-width: 3; fill: none; }
.dist text { fill: var(--soft); font-size: 12px; }
.key { display: inline-block; width: 14px; height: 11px; }
.soft { color: var(--soft); }
.types { display: block; white-space: normal; font-size: .9em; }
@media print { nav, select { display: none; } .wide { max-height: none; overflow: visible; } body { max-width: none; } }
)css";

// Without it the page shows everything but other choices than the first and other orders.
inline constexpr const char* report_script = R"js(
'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const percent = (e) => e === null ? '' : e === 0 ? '0' : (100 * e).toPrecision(3);

for (const table of document.querySelectorAll('table.sort')) {
  const body = table.tBodies[0];
  table.querySelectorAll('thead th').forEach((head, column) => {
    head.querySelector('button').onclick = () => {
      const up = head.getAttribute('aria-sort') !== 'ascending', rows = [...body.rows];
      const value = (row) => { const c = row.cells[column], v = c.dataset.v ?? c.textContent; return v === '' || isNaN(v) ? v : +v; };
      rows.sort((a, b) => {
        const x = value(a), y = value(b);
        const order = typeof x === typeof y ? (x < y ? -1 : x > y ? 1 : 0) : typeof x === 'number' ? -1 : 1;
        return up ? order : -order;
      });
      for (const other of table.querySelectorAll('th')) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      body.append(...rows);
    };
  });
}

const heat = document.getElementById('heat-choice');
const error_under = (choice, i) => {
  if (choice.startsWith('f')) return data.matrices[i].errors[+choice.slice(1)];
  const format = data.mixes[+choice.slice(1)].formats[i];
  return format < 0 ? 0 : data.matrices[i].errors[format];
};
heat.onchange = () => {
  const cells = [...document.querySelectorAll('.heat td[data-i]')];
  const errors = cells.map((cell) => error_under(heat.value, +cell.dataset.i));
  const logs = errors.filter((e) => e > 0).map(Math.log), low = Math.min(...logs), span = Math.max(Math.max(...logs) - low, Math.log(1.25));
  cells.forEach((cell, k) => {
    const v = errors[k] > 0 ? (Math.log(errors[k]) - low) / span : 0;
    cell.style.setProperty('--v', v.toFixed(3));
    cell.className = errors[k] === null ? 'none' : v > 0.399 ? 'light' : '';
    cell.textContent = percent(errors[k]);
    const i = +cell.dataset.i, mix = heat.value.startsWith('m') ? data.mixes[+heat.value.slice(1)].formats[i] : +heat.value.slice(1);
    cell.title = data.matrices[i].name + (mix < 0 ? ' as it is' : ' as ' + data.formats[mix].name) + ': ' + percent(errors[k]) + ' %';
  });
};

const matrix = document.getElementById('dist-matrix'), format = document.getElementById('dist-format');
const heights = (counts) => { const most = Math.max(...counts, 1); return counts.map((c) => Math.sqrt(c / most)); };
matrix.onchange = format.onchange = () => {
  const wide = 960 / 121;
  document.querySelector('.dist .w').setAttribute('d', heights(data.matrices[+matrix.value].weights).map((h, i) =>
    h === 0 ? '' : `M${(20 + i * wide).toFixed(1)} 220v${(-200 * h).toFixed(1)}h${(wide - 1).toFixed(1)}V220z`).join(''));
  document.querySelector('.dist .l').setAttribute('d', heights(data.formats[+format.value].levels).map((h, i) =>
    h === 0 ? '' : `M${(20 + (i + 0.5) * wide).toFixed(1)} 220v${(-200 * h).toFixed(1)}`).join(''));
};
)js";

#endif
