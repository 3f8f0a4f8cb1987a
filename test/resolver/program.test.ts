/**
 * The resolver's process, with the starter that starts it and the daemon's side of it, on a host whose
 * name server is a test's. What a compromised one can do is test/e2e/resolversandbox.test.ts'.
 */

import path from 'node:path';
import { expect, it } from 'vitest';
import { type Child, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { NameServer, useNameServers } from '../lab/nameserver.ts';
import { compiledProgram, REPOSITORY } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';

const HOST = 'gw.example.net';
const TSWGD = path.join(REPOSITORY, 'bin', 'tswgd');

class Asker {
  readonly child: Child;

  constructor(host: Host, env: Readonly<Record<string, string>> = {}) {
    this.child = host.spawn('node', [compiledProgram('test/lab/asker.ts'), TSWGD], { env });
  }

  /** Asks, and resolves to the answer that comes next for the name. */
  async ask(name: string): Promise<string> {
    const before = this.answers(name).length;
    this.child.writeInput(`${name}\n`);
    await waitFor(() => this.answers(name).length > before, `an answer for ${name}`);
    return this.answers(name)[before];
  }

  answers(name: string): string[] {
    const lines = this.child.stdout.matchAll(/^answer \d+ (\S+) ?(.*)$/gm);
    return [...lines].filter(([, one]) => one === name).map(([, , answer]) => answer);
  }

  get notes(): string[] {
    return [...this.child.stdout.matchAll(/^(?:note|bug) (.*)$/gm)].map(([, note]) => note);
  }

  async stats(): Promise<[string, Record<string, string>, Record<string, number>, unknown[]]> {
    const lines = () => [...this.child.stdout.matchAll(/^stats (.*)$/gm)];
    const before = lines().length;
    this.child.writeInput('\n');
    await waitFor(() => lines().length > before, 'what there is to know');
    return JSON.parse(lines()[before][1]);
  }
}

/** Processes called so. */
async function resolvers(host: Host): Promise<number[]> {
  const { stdout } = await host.exec('pgrep', ['-x', 'tswgd-resolver']);
  return stdout.split('\n').filter(Boolean).map(Number);
}

async function withAsker(
  body: (host: Host, asker: Asker, server: NameServer) => Promise<void>,
): Promise<void> {
  await withLab({}, async (lab) => {
    const host = await lab.host('host');
    const server = await NameServer.start(host, ['127.0.0.1']);
    await useNameServers(host, ['127.0.0.1']);
    await server.set(HOST, ['192.0.2.1', '2001:db8::1']);
    await body(host, new Asker(host), server);
  });
}

describeInLab('the resolver of a confined daemon', ['pgrep'], () => {
  it('is started with the first name, and answers as the machine’s name service does', () =>
    withAsker(async (host, asker, server) => {
      await asker.child.waitForOutput(/ready/);
      expect(await resolvers(host)).toEqual([]);
      expect((await asker.ask(HOST)).split(' ').sort()).toEqual(['192.0.2.1', '2001:db8::1']);
      expect(await resolvers(host)).toHaveLength(1);
      // Of /etc/hosts, without a question to the server.
      expect(await asker.ask('localhost')).toMatch(/127\.0\.0\.1/);
      expect(server.queries('localhost')).toEqual([]);
      await server.set(HOST, { addresses: ['192.0.2.2'], overTcp: true });
      expect(await asker.ask(HOST)).toBe('192.0.2.2');
      expect(server.queries(HOST)).toContain('tcp A');
      expect(await asker.ask('unknown.example.net')).toBe('EAI_NONAME');
      await server.set(HOST, 'failing');
      expect(await asker.ask(HOST)).toBe('EAI_AGAIN');
      // A search domain, as every program of the machine would use it.
      await server.set(HOST, ['192.0.2.3']);
      await useNameServers(host, ['127.0.0.1'], ['search example.net']);
      expect(await asker.ask('gw')).toBe('192.0.2.3');
      const [fact, steps, outcomes, troubles] = await asker.stats();
      expect([fact, troubles]).toEqual(['runs', []]);
      expect(outcomes).toEqual({ answered: 4, EAI_NONAME: 1, EAI_AGAIN: 1 });
      for (const [step, text] of Object.entries(steps)) {
        expect(text, step).not.toMatch(/^no /);
      }
      expect(asker.notes).toEqual([]);
    }));

  it('asks the servers of a resolv.conf that has changed, beside those that are silent', () =>
    withAsker(async (host, asker, server) => {
      const old = await NameServer.start(host, ['127.0.0.2']);
      await old.set('*', 'silent');
      await useNameServers(host, ['127.0.0.2'], ['options timeout:20 attempts:2']);
      asker.child.writeInput(`${HOST}\n`);
      await waitFor(() => old.queries(HOST).length > 0, 'its question');
      const changed = performance.now();
      await useNameServers(host, ['127.0.0.1']);
      // Asked again, as the Device does when routes change; the first lookup waits for the old server.
      while (asker.answers(HOST).length === 0) {
        asker.child.writeInput(`${HOST}\n`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      console.log(
        `resolv.conf changed: ${(performance.now() - changed).toFixed(0)} ms to an answer`,
      );
      expect(asker.answers(HOST)[0]).toContain('192.0.2.1');
      expect(server.queries(HOST)).not.toEqual([]);
    }));

  it.each([
    ['of one domain', (i: number) => `silent${i}.example.org`],
    ['of a domain each', (i: number) => `gw.silent${i}.example`],
  ])('answers a new name beside twenty whose servers are silent, %s', (which, nameOf) =>
    withAsker(async (host, asker, server) => {
      const silent = Array.from({ length: 20 }, (_, i) => nameOf(i));
      for (const name of silent) await server.set(name, 'silent');
      await asker.ask('localhost');
      for (const name of silent) asker.child.writeInput(`${name}\n`);
      const asked = performance.now();
      expect(await asker.ask(HOST)).toContain('192.0.2.1');
      const ms = performance.now() - asked;
      expect(silent.flatMap((name) => asker.answers(name))).toEqual([]);
      console.log(`beside twenty silent names, ${which}: a new name after ${ms.toFixed(0)} ms`);
      // Of those, the first few have failed by then, and not all at once.
      const failed = await waitFor(
        () => silent.flatMap((name) => asker.answers(name))[0] ?? null,
        'a failure',
      );
      expect(failed).toBe('EAI_AGAIN');
      const [pid] = await resolvers(host);
      const { stdout } = await host.sh(`grep -E 'VmRSS|RssAnon|Threads' /proc/${pid}/status`);
      console.log(`the resolver then: ${stdout.trim().replaceAll(/\s+/g, ' ')}`);
    }),
  );

  it('is started again when it was killed, also in the midst of a lookup, and answers that', () =>
    withAsker(async (host, asker, server) => {
      await asker.ask('localhost');
      await server.set(HOST, 'silent');
      asker.child.writeInput(`${HOST}\n`);
      await waitFor(() => server.queries(HOST).length > 0, 'the lookup');
      const [first] = await resolvers(host);
      await host.run('kill', ['-KILL', `${first}`]);
      await server.set(HOST, ['192.0.2.9']);
      await waitFor(() => asker.answers(HOST).length > 0, 'the answer');
      expect(asker.answers(HOST)).toEqual(['192.0.2.9']);
      const second = await resolvers(host);
      expect(second).toHaveLength(1);
      expect(second).not.toEqual([first]);
      expect(asker.notes).toEqual([
        'The resolver, tswgd-resolver in `ps`, is replaced: it has ended',
      ]);
    }));

  it.each([
    ['SIGTERM', false],
    ['SIGKILL', false],
    ['SIGKILL', true],
  ] as const)('ends with its daemon, by %s, even while it is stopped: %s', (signal, isStopped) =>
    withAsker(async (host, asker) => {
      await asker.ask(HOST);
      const [pid] = await resolvers(host);
      // What a service manager or a terminal sends to all is the daemon's to answer.
      for (const one of ['-TERM', '-INT', '-HUP', '-USR1']) await host.run('kill', [one, `${pid}`]);
      expect(await asker.ask(HOST)).toContain('192.0.2.1');
      expect(await resolvers(host)).toEqual([pid]);
      if (isStopped) await host.run('kill', ['-STOP', `${pid}`]);
      asker.child.signal(signal);
      await host.waitForExit(pid);
      await waitFor(
        async () => (await host.exec('pgrep', ['-f', 'tswgd-'])).status !== 0,
        'the end of the starter',
      );
    }),
  );

  it('reads a resolv.conf that has moved to a folder that it could not know of', () =>
    withAsker(async (host, asker, server) => {
      await server.set(HOST, ['192.0.2.4']);
      await asker.ask(HOST);
      const [first] = await resolvers(host);
      const script = `mkdir -p /run/elsewhere; mv /etc/resolv.conf /run/elsewhere/resolv.conf
        ln -s /run/elsewhere/resolv.conf /etc/resolv.conf`;
      await host.run('sh', ['-euc', script]);
      expect(await asker.ask(HOST)).toBe('192.0.2.4');
      expect(await resolvers(host)).not.toEqual([first]);
      expect(asker.notes.join()).toMatch(/resolv\.conf is a link to another folder now/);
    }));
});
