/** A daemon inside a program that is more than that: what it opens, and what it leaves alone. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { Child } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { compiledProgram } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';

const folder = mkdtempSync(join(tmpdir(), 'tswg-embedded-'));
const program = join(folder, 'program.mjs');
afterAll(() => rmSync(folder, { recursive: true }));

/** Tells what a program has of its own, on a line that begins with `when`. */
writeFileSync(
  program,
  `import { readdirSync, readFileSync } from 'node:fs';
   import { runDaemon } from ${JSON.stringify(compiledProgram('src/daemon/index.ts'))};
   const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGUSR2', 'uncaughtException'];
   const tell = (when) => {
     const status = readFileSync('/proc/self/status', 'utf8');
     console.log(when + ' ' + JSON.stringify({
       listeners: SIGNALS.map((name) => process.listenerCount(name)),
       kept: status.match(/^(Uid|CapEff|NoNewPrivs|Seccomp):.*$/gm),
       descriptors: readdirSync('/proc/self/fd').length,
     }));
   };
   const end = new AbortController();
   const times = Number(process.argv[2] ?? 1);
   if (times > 1) end.abort();
   process.stdin.on('data', () => end.abort());
   tell('before');
   for (let i = 0; i < times; i++) {
     const stop = i < times - 1 ? AbortSignal.abort() : end.signal;
     const code = await runDaemon({
       name: 'wg0', logLevel: 'error', writeLog: (line) => console.log('log ' + line), stop,
       ...(process.argv[3] === 'signals' ? { signals: true } : {}),
       onReady: () => { if (stop === end.signal) tell('ready'); },
     }).catch((error) => error.message);
     console.log('ended ' + code);
     tell('round');
   }
   tell('after');
   process.stdin.destroy();`,
);

const start = (host: Host, ...args: readonly string[]): Child =>
  host.spawn(process.execPath, [program, ...args], {
    env: { TSWG_SANDBOX: 'nonsense', TSWG_CRYPTO: 'nonsense' },
  });

async function told(child: Child, when: string): Promise<Record<string, unknown>> {
  const [, json] = await child.waitForOutput(new RegExp(`^${when} (.*)$`, 'm'));
  return JSON.parse(json!);
}

async function whenEnded(child: Child, code: string): Promise<void> {
  const [, found] = await child.waitForOutput(/^ended (.*)$/m);
  expect(found).toBe(code);
}

describeInLab('a daemon inside a program', ['wg'], () => {
  it('takes no right, no signal and no variable of the process, and gives all back', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const child = start(host);
      const before = await told(child, 'before');
      const { listeners, kept } = await told(child, 'ready');
      expect({ listeners, kept }).toEqual({ listeners: [0, 0, 0, 0], kept: before.kept });
      expect(await host.run('wg', ['show', 'wg0'])).toContain('interface: wg0');
      const ask = [compiledProgram('test/lab/uapirequest.ts'), '/run/wireguard/wg0.sock'];
      const stats = await host.run(process.execPath, ask, { input: 'stats=1\n\n' });
      expect(stats, child.stdout).toMatch(/^.*sandbox.*=.*not asked for it/m);
      child.writeInput('stop\n');
      await whenEnded(child, '0');
      const after = await told(child, 'after');
      expect({ ...after, descriptors: 0 }).toEqual({ ...before, descriptors: 0 });
      expect((await host.exec('ip', ['link', 'show', 'wg0'])).status).not.toBe(0);
      expect((await host.exec('ls', ['/run/wireguard', '/run/tswg'])).stdout).not.toMatch(/wg0/);
      // Nothing of it keeps the process alive.
      expect(await child.exited).toBe(0);
    }));

  it('takes the signals that it is given, of which SIGUSR2 upgrades nothing and ends nothing', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const child = start(host, '1', 'signals');
      const { listeners } = await told(child, 'ready');
      expect(listeners).toEqual([1, 1, 1, 1]);
      child.signal('SIGUSR2');
      expect(await host.run('wg', ['show', 'wg0'])).toContain('interface: wg0');
      child.signal('SIGTERM');
      await whenEnded(child, '0');
      expect((await told(child, 'after')).listeners).toEqual([0, 0, 0, 0]);
    }));

  it('ends at once when it was asked to before it began, and holds no descriptor after that', () =>
    withLab({}, async (lab) => {
      const child = start(await lab.host('host'), '6');
      await told(child, 'after');
      expect(child.stdout.match(/^ended 0$/gm)).toHaveLength(6);
      // The first leaves what every further one uses, such as the engine's own.
      const [, ...rounds] = [...child.stdout.matchAll(/^round (.*)$/gm)].map(([, json]) => json);
      expect(new Set(rounds)).toEqual(new Set([rounds[0]]));
    }));
});
