// shoot.mjs REPORT SITE FOLDER: the pictures of docs/ as PNG files.
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { available, with_browser } from './browser.mjs';

const [report, site, folder] = process.argv.slice(2).map((path) => resolve(path));
if (!available()) {
  console.log('skipped: no Chromium');
  process.exit(0);
}
const shots = [
  { name: 'report', page: report, scheme: 'light', height: 920 },
  { name: 'report-formats', page: report, scheme: 'dark', height: 800, at: '#formats' },
  { name: 'report-where', page: report, scheme: 'light', height: 620, at: '#where' },
  { name: 'site-format', page: join(site, 'formats/iq3_s.html'), scheme: 'light', height: 860, at: 'svg.bits', light: '.q77' },
  { name: 'site-formats', page: join(site, 'formats/index.html'), scheme: 'dark', height: 700 },
  { name: 'site-search', page: join(site, 'index.html'), scheme: 'light', height: 700, search: 'gemm scratch' },
];
await with_browser(async (page) => {
  for (const { name, page: path, scheme, height, at, light, search } of shots) {
    await page.open(pathToFileURL(path).href, { scheme, width: 1100, height });
    if (at) await page.value(`document.querySelector('${at}').scrollIntoView({ block: 'start' }), scrollBy(0, -12)`);
    if (light) {
      const { x, y } = await page.value(`(() => { const r = document.querySelector('${light}').getBoundingClientRect(); return { x: r.x + r.width / 2, y: r.y + r.height / 2 }; })()`);
      await page.send('Input.dispatchMouseEvent', { type: 'mouseMoved', x, y });
    }
    if (search) {
      await page.value(`document.getElementById('search').focus()`);
      await new Promise((done) => setTimeout(done, 500));
      await page.send('Input.insertText', { text: search });
      await new Promise((done) => setTimeout(done, 1000));
    }
    const { data } = await page.send('Page.captureScreenshot', { format: 'png' });
    writeFileSync(join(folder, name + '.png'), Buffer.from(data, 'base64'));
  }
});
