/**
 * What names cost a daemon that has a thousand of them: time, memory, and how long its loop is held up;
 * also while every answer is another one. Figures are printed, and judged by nobody here.
 */

import { expect, it } from 'vitest';
import { sleep, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { NameServer, useNameServers } from '../lab/nameserver.ts';
import { compiledProgram } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { createKeyPair, TunnelEnd } from '../lab/tunnel.ts';

const NAMES = 1_000;
const ROUNDS = 4;
/** A name is asked for again after that, when the network changes. */
const ROUND_MS = 10_500;
/** A leak of all that has been answered would be some megabytes a round; what is collected late is less. */
const GROWTH_MAX = 24 * 1024 * 1024;

const nameOf = (index: number): string => `peer${index}.zone${index % 40}.example`;

function request(host: Host, lines: readonly string[]): Promise<string> {
  const program = compiledProgram('test/lab/uapirequest.ts');
  const socket = '/var/run/wireguard/wg0.sock';
  return host.run('node', [program, socket], { input: `${lines.join('\n')}\n\n` });
}

/** By the names of `tswg wg0 stats`. */
async function stat(host: Host, name: string): Promise<number> {
  const text = await host.run('tswg', ['wg0', 'stats']);
  return Number(new RegExp(`^\\s*([\\d.]+) {2}${name}$`, 'm').exec(text)?.[1] ?? 0);
}

async function memoryOf(host: Host, pid: string): Promise<number> {
  const { stdout } = await host.sh(`grep VmRSS /proc/${pid}/status`);
  return Number(/\d+/.exec(stdout)?.[0]) * 1024;
}

describeInLab('a thousand names', ['wg', 'tswg', 'pgrep'], () => {
  it('are answered, and answered otherwise, and hold nothing up', () =>
    withLab({}, async (lab) => {
      const [host, far] = await lab.hosts('hub', 'far');
      await host.connect('wan', far, 'wan');
      await far.configure('wan', '192.0.2.2/24');
      await host.configure('wan', '192.0.2.1/24');
      const server = await NameServer.start(host, ['127.0.0.1']);
      await useNameServers(host, ['127.0.0.1']);
      const indexes = Array.from({ length: NAMES }, (_, index) => index);
      const answer = (round: number) =>
        Object.fromEntries(
          indexes.map((i) => [
            nameOf(i),
            { addresses: [`10.${round}.${i >> 8}.${i & 255}`, `10.100.${round}.${i & 255}`] },
          ]),
        );
      await server.setAll(answer(0));
      const hub = await TunnelEnd.start(host, ['10.9.0.1/16']);
      const keys = indexes.map(() => Buffer.from(createKeyPair().publicKey, 'base64'));
      const lines = keys.flatMap((key, i) => [
        `public_key=${key.toString('hex')}`,
        `tswg_way=${nameOf(i)}:51820`,
      ]);
      const [daemon] = (await host.run('pgrep', ['-x', 'tswgd'])).split('\n');
      const before = await memoryOf(host, daemon);
      const begun = performance.now();
      expect(await request(host, ['set=1', ...lines])).toContain('errno=0');
      await waitFor(async () => (await stat(host, 'lookups answered')) >= NAMES, 'all answers');
      const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
      const lag = ((await stat(host, 'loop lag seconds')) * 1_000).toFixed(0);
      const [resolver] = (await host.run('pgrep', ['-x', 'tswgd-resolver'])).split('\n');
      const show = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
      const first = await memoryOf(host, daemon);
      console.log(
        `${NAMES} names: answered after ${seconds} s, loop lag at most ${lag} ms, daemon ${show(before)} before, ${show(first)} after, resolver ${show(await memoryOf(host, resolver))}`,
      );
      const sizes = [first];
      for (let round = 1; round <= ROUNDS; round++) {
        await server.setAll(answer(round));
        await sleep(ROUND_MS);
        await host.ip(`route add 203.0.113.${round}/32 dev wan`);
        const wanted = NAMES * (round + 1);
        await waitFor(async () => (await stat(host, 'lookups answered')) >= wanted, 'answers');
        sizes.push(await memoryOf(host, daemon));
      }
      const last = ((await stat(host, 'loop lag seconds')) * 1_000).toFixed(0);
      console.log(
        `${NAMES} names answered otherwise ${ROUNDS} times: loop lag ${last} ms, daemon ${sizes.map(show).join(', ')}, resolver ${show(await memoryOf(host, resolver))}`,
      );
      // The first round is warm-up: buffers and code grow to their size.
      expect(sizes.at(-1)! - sizes[1]).toBeLessThan(GROWTH_MAX);
      expect(await host.run('tswg', ['wg0'])).toContain(`(10.${ROUNDS}.`);
      expect(hub.daemon.status).toBeNull();
      await host.run('tswg', ['wg0', 'destroy']);
    }));
});
