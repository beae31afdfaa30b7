// check.mjs AXE PAGE...: opens each page, light and dark, and says when it first painted (median of five), how large
// it is, what was said on its console and what axe-core finds. Fails on an error of the console and on findings that
// axe-core calls serious or critical.
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { available, with_browser } from './browser.mjs';

const [axe_path, ...pages] = process.argv.slice(2);
if (!available()) {
  console.log('skipped: no Chromium');
  process.exit(0);
}
const axe = readFileSync(axe_path, 'utf8');
let faults = 0;
for (const path of pages) {
  for (const scheme of ['light', 'dark']) {
    const said = [];
    const { painted, violations } = await with_browser(async (page) => {
      page.events(({ method, params }) => {
        if (method === 'Runtime.exceptionThrown') said.push(params.exceptionDetails.exception?.description);
        if (method === 'Runtime.consoleAPICalled' && ['error', 'warning'].includes(params.type)) said.push(params.args.map((a) => a.value).join(' '));
        if (method === 'Log.entryAdded' && params.entry.level === 'error') said.push(params.entry.text);
      });
      const paints = [];
      for (let i = 0; i < 5; ++i) {
        await page.open(pathToFileURL(resolve(path)).href, { scheme });
        paints.push(await page.value(`new Promise((done) => {
          const look = () => { const [p] = performance.getEntriesByName('first-contentful-paint'); p ? done(p.startTime) : setTimeout(look, 10); };
          look();
        })`));
      }
      const painted = paints.sort((a, b) => a - b)[2];
      await page.value(axe + ';0');
      const violations = await page.value(`axe.run(document, { resultTypes: ['violations'], preload: false }).then((r) => r.violations.map((v) => (
        { id: v.id, impact: v.impact, help: v.help, count: v.nodes.length, first: v.nodes[0].html.slice(0, 160), why: v.nodes[0].failureSummary })))`);
      return { painted, violations };
    });
    console.log(`${path}, ${scheme}: ${Math.round(statSync(path).size / 1000)} kB, first paint after ${Math.round(painted)} ms, ` +
      `${violations.length === 0 ? 'axe-core finds nothing' : violations.length + ' findings of axe-core'}`);
    for (const v of violations) {
      const grave = ['serious', 'critical'].includes(v.impact);
      faults += grave;
      console.log(`  ${v.impact}: ${v.id}, ${v.count} times: ${v.help}\n    ${v.first}\n    ${v.why.replace(/\s+/g, ' ')}`);
    }
    for (const line of said) console.log(`  console: ${line}`);
    faults += said.length;
  }
}
if (faults > 0) console.log(`FAILED: ${faults} faults`);
process.exit(faults > 0 ? 1 : 0);
