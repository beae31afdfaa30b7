// Chromium without a window, spoken to over a pipe in the protocol of its developer tools: no package is needed.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

const name = ['chromium', 'chromium-browser', 'google-chrome'].find((n) => spawnSync(n, ['--version']).status === 0);

export const available = () => name !== undefined;

// Calls work(page) with a fresh browser; page.send(method, parameters) answers with the result.
export async function with_browser(work) {
  const profile = mkdtempSync(join(tmpdir(), 'blocq-pages-'));
  const child = spawn(name, ['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--remote-debugging-pipe',
    `--user-data-dir=${profile}`], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], detached: true });
  const waiting = new Map(), listeners = [];
  let last = 0, rest = '';
  child.stdio[4].setEncoding('utf8').on('data', (text) => {
    const parts = (rest + text).split('\0');
    rest = parts.pop();
    for (const message of parts.map((part) => JSON.parse(part))) {
      if (message.id === undefined) {
        for (const listen of listeners) listen(message);
        continue;
      }
      const { resolve, reject } = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error) reject(new Error(message.error.message));
      else resolve(message.result);
    }
  });
  child.on('exit', (code) => { for (const { reject } of waiting.values()) reject(new Error(`the browser ended: ${code}`)); });
  const call = (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
    waiting.set(++last, { resolve, reject });
    child.stdio[3].write(JSON.stringify({ id: last, method, params, sessionId }) + '\0');
  });
  try {
    const { targetId } = await call('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
    const page = {
      events: (listen) => listeners.push(listen),
      send: (method, params) => call(method, params, sessionId),
      async open(url, { scheme = 'light', width = 1200, height = 900 } = {}) {
        await page.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
        await page.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
        const loaded = new Promise((resolve) => listeners.push((m) => m.method === 'Page.loadEventFired' && resolve()));
        await page.send('Page.navigate', { url });
        await loaded;
      },
      // The value of an expression; promises are waited for.
      async value(expression) {
        const answer = await page.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
        if (answer.exceptionDetails) throw new Error(answer.exceptionDetails.exception?.description ?? 'the script failed');
        return answer.result.value;
      },
    };
    for (const domain of ['Page', 'Runtime', 'Log']) await page.send(`${domain}.enable`);
    return await work(page);
  } finally {
    try { process.kill(-child.pid, 'SIGKILL'); } catch {}  // the whole group: it may have ended by itself
    await new Promise((resolve) => (child.exitCode === null && child.signalCode === null ? child.on('exit', resolve) : resolve()));
    await remove(profile);
  }
}

// The browser's other processes write into its profile for a moment after it has ended.
async function remove(directory) {
  for (let attempt = 1; ; ++attempt) {
    try {
      return rmSync(directory, { recursive: true, force: true });
    } catch (error) {
      if (attempt === 50) throw error;
      await setTimeout(100);
    }
  }
}
