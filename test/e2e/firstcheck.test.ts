/**
 * docs/first-check.md: each command as it is typed there, on the host that its prompt names, with the
 * answer that is shown; and what its tables say of a tunnel that is broken in the middle.
 */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import { buildHandbook, type HandbookNetwork } from '../lab/handbook.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { PingTrain, ping } from '../lab/probes.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { createKeyPair, createPresharedKey } from '../lab/tunnel.ts';

const PAGE = readFileSync(path.join(REPOSITORY, 'docs/first-check.md'), 'utf8');
const COMMANDS_MIN = 15;

interface Typed {
  readonly prompt: string;
  readonly command: string;
  readonly answer: string;
}

/** What is typed in the page's blocks, in its order, each with what follows up to the next. */
function typedIn(page: string): Typed[] {
  const blocks = page.match(/(?<=\n\n)(?: {4}.*\n+)+/g)!;
  const lines = blocks.flatMap((block) => block.replaceAll(/^ {4}/gm, '').split('\n'));
  const typed: { prompt: string; command: string; lines: string[] }[] = [];
  for (const line of lines) {
    const [, prompt, command] = /^((?:site|host)-[ab])[#$] (.*)$/.exec(line) ?? [];
    if (prompt !== undefined) typed.push({ prompt, command: command!, lines: [] });
    else typed.at(-1)?.lines.push(line);
  }
  return typed.map(({ prompt, command, lines: answer }) => {
    return { prompt, command, answer: answer.join('\n') };
  });
}

/** Without what differs each time: times, keys, numbers of processes and links, and counts of bytes. */
function shape(text: string): string {
  return text
    .replaceAll(/[\w+/]{43}=/g, 'KEY')
    .replaceAll(/(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d(\.\d+)?/g, 'TIME')
    .replaceAll(/time=[\d.]+ ms|time \d+ms|\(\d+\.\d s\)/g, 'TIME')
    .replaceAll(/rtt min.*/g, 'RTT')
    .replaceAll(/\bid \d+|\bindex \d+|^\d+(?=: wg0)/gm, 'NUMBER')
    .replaceAll(/ +/g, ' ')
    .replaceAll(/(?<=[RT]X:.*\n) [\d ]+/g, 'COUNTS')
    .replaceAll(/^\s*\n/gm, '')
    .trimEnd();
}

async function build(lab: Lab): Promise<HandbookNetwork> {
  const network = await buildHandbook(lab);
  const [keysA, keysB] = [createKeyPair(), createKeyPair()];
  for (const [site, name, other, own, theirs] of [
    [network.siteA, 'site-a', 'site-b', keysA, keysB],
    [network.siteB, 'site-b', 'site-a', keysB, keysA],
  ] as const) {
    await site.gateway.writeFile('/etc/wg/private.key', `${own.privateKey}\n`);
    await site.gateway.writeFile(`/etc/wg/${other}.pub`, `${theirs.publicKey}\n`);
    await site.gateway.run('sh', [path.join(REPOSITORY, 'examples', `${name}.sh`)]);
  }
  return network;
}

/** `tcpdump` in a window of its own: started, and read when it has ended. */
async function startWatching(host: Host, command: string): Promise<() => Promise<string>> {
  const child = host.spawn('sh', ['-euc', `exec ${command}`]);
  await waitFor(() => child.stderr.includes('listening on'), command);
  return async () => {
    expect(await child.exited, child.stderr).toBe(0);
    return child.stdout;
  };
}

/** Both sides of the line, without times: `> 148` is from site A to site B. */
class Line {
  readonly #seen: readonly (() => string)[];

  private constructor(seen: readonly (() => string)[]) {
    this.#seen = seen;
  }

  static async watch({ siteA, siteB }: HandbookNetwork): Promise<Line> {
    const seen = [siteA, siteB].map(async ({ gateway }) => {
      const child = gateway.spawn('tcpdump', ['-lni', 'wan', 'udp', 'port', '51820']);
      await waitFor(() => child.stderr.includes('listening on'), 'tcpdump');
      return () => child.stdout;
    });
    return new Line(await Promise.all(seen));
  }

  /** What sites A and B have seen so far, each kind once. */
  get kinds(): readonly (readonly string[])[] {
    return this.#seen.map((text) => {
      const packets = text().matchAll(/IP (\S+)\.51820 > .* length (\d+)/g);
      const kinds = Array.from(packets, ([, from, length]) =>
        from === '198.51.100.10' ? `> ${length}` : `< ${length}`,
      );
      return [...new Set(kinds)].sort();
    });
  }
}

describeInLab('docs/first-check.md', ['nft', 'tcpdump', 'stdbuf'], () => {
  it('shows what a person sees who follows it', () =>
    withLab({}, async (lab) => {
      const network = await build(lab);
      const { siteA, siteB } = network;
      const hosts: Readonly<Record<string, Host>> = {
        'site-a': siteA.gateway,
        'site-b': siteB.gateway,
        'host-a': siteA.host,
      };
      const typed = typedIn(PAGE);
      expect(typed.length).toBeGreaterThanOrEqual(COMMANDS_MIN);
      let windows: { shown: Typed; end: () => Promise<string> }[] = [];
      for (const shown of typed) {
        const { prompt, command, answer } = shown;
        if (command.startsWith('tcpdump')) {
          windows.push({ shown, end: await startWatching(hosts[prompt]!, command) });
          continue;
        }
        const { stdout, stderr } = await hosts[prompt]!.exec('sh', ['-c', command]);
        expect(`${prompt}: ${command}\n${shape(stdout)}${stderr}`).toBe(
          `${prompt}: ${command}\n${shape(answer)}`,
        );
        for (const { shown: watched, end } of windows) {
          expect(shape(await end()), watched.command).toBe(shape(watched.answer));
        }
        windows = [];
      }
    }));

  const drop = (what: string, hook: string): string =>
    `table ip broken { chain broken { type filter hook ${hook} priority 0; ${what} drop; }; }`;
  it.concurrent.each<[string, (network: HandbookNetwork) => Promise<unknown>, string[], string[]]>([
    [
      'lost on the way',
      ({ router }) => router.nft(drop('ip saddr 198.51.100.10', 'forward')),
      ['> 148'],
      [],
    ],
    [
      'dropped by the firewall of site B',
      ({ siteB }) => siteB.gateway.nft(drop('udp dport 51820', 'input')),
      ['> 148'],
      ['> 148'],
    ],
    [
      'answered, and the answer is lost on the way',
      ({ router }) => router.nft(drop('ip saddr 203.0.113.10', 'forward')),
      ['> 148'],
      ['< 92', '> 148'],
    ],
    [
      'answered, and the answer is not accepted: the preshared keys differ',
      async ({ siteB }) => {
        await siteB.gateway.writeFile('/etc/wg/psk', `${createPresharedKey()}\n`);
        const shown = await siteB.gateway.run('tswg', ['wg0']);
        const [, key] = /wgpeer (\S+)/.exec(shown)!;
        await siteB.gateway.run('tswg', ['wg0', 'wgpeer', key!, 'wgpskfile', '/etc/wg/psk']);
      },
      ['< 92', '> 148'],
      ['< 92', '> 148'],
    ],
  ])('says what is seen outside when a call is %s', (_, breakIt, atA, atB) =>
    withLab({}, async (lab) => {
      const network = await build(lab);
      await breakIt(network);
      const line = await Line.watch(network);
      const train = new PingTrain(network.siteA.gateway, '10.99.0.2', 200);
      const calls = async () =>
        Number(
          /(\d+) {2}initiations sent/.exec(
            await network.siteA.gateway.run('tswg', ['wg0', 'stats']),
          )?.[1],
        );
      await waitFor(async () => (await calls()) > 1, 'a second call');
      await waitFor(() => line.kinds[0]!.length === atA.length, 'what site A sees');
      await waitFor(() => line.kinds[1]!.length === atB.length, 'what site B sees');
      await train.stop();
      expect(line.kinds).toEqual([atA, atB]);
    }),
  );

  it.concurrent.each<[string, (network: HandbookNetwork) => Promise<unknown>, string[], string[]]>([
    [
      'no route into the tunnel',
      ({ siteA }) => siteA.gateway.ip('route delete 10.20.0.0/24 dev wg0'),
      [],
      [],
    ],
    [
      'no forwarding at site A',
      ({ siteA }) => siteA.gateway.sysctl('net.ipv4.ip_forward', 0),
      [],
      [],
    ],
    [
      'no wgaip at site A',
      async ({ siteA }) => {
        const [, key] = /wgpeer (\S+)/.exec(await siteA.gateway.run('tswg', ['wg0']))!;
        await siteA.gateway.run('tswg', ['wg0', 'wgpeer', key!, '-wgaip', '10.20.0.0/24']);
      },
      ['request'],
      [],
    ],
    [
      'no wgaip at site B',
      async ({ siteB }) => {
        const [, key] = /wgpeer (\S+)/.exec(await siteB.gateway.run('tswg', ['wg0']))!;
        await siteB.gateway.run('tswg', ['wg0', 'wgpeer', key!, '-wgaip', '10.0.0.0/24']);
      },
      ['request'],
      [],
    ],
    [
      'no forwarding at site B',
      ({ siteB }) => siteB.gateway.sysctl('net.ipv4.ip_forward', 0),
      ['request'],
      ['request'],
    ],
  ])('says what is seen inside when there is %s', (_, breakIt, atA, atB) =>
    withLab({}, async (lab) => {
      const network = await build(lab);
      const { siteA, siteB } = network;
      expect((await ping(siteA.host, siteB.hostAddress)).received).toBe(1);
      await breakIt(network);
      const windows = [siteA, siteB].map(({ gateway }) =>
        gateway.spawn('tcpdump', [
          ...['--immediate-mode', '-lni', 'wg0', 'icmp[0] == 8 or icmp[0] == 0'],
        ]),
      );
      for (const one of windows)
        await waitFor(() => one.stderr.includes('listening on'), 'tcpdump');
      const { received } = await ping(siteA.host, siteB.hostAddress, { deadlineMs: 2000 });
      expect(received).toBe(0);
      const seen = () =>
        windows.map(({ stdout }) => [
          ...new Set(Array.from(stdout.matchAll(/echo (\w+)/g), ([, kind]) => kind)),
        ]);
      const isRead = () => seen()[0]!.length >= atA.length && seen()[1]!.length >= atB.length;
      await waitFor(isRead, `${atA} at site A, ${atB} at site B`);
      expect(seen()).toEqual([atA, atB]);
    }),
  );

  it.concurrent.each([
    ['net.ipv4.ip_forward', 0, /No route to host/, '10.0.0.5'],
    // Which of the two it is depends on the kernel.
    ['net.ipv4.conf.lan.rp_filter', 1, /Invalid (argument|cross-device link)/, '10.20.0.5'],
  ] as const)('says what the kernel answers when %s is %i', (name, value, answer, source) =>
    withLab({}, async (lab) => {
      const { gateway } = (await build(lab)).siteA;
      await gateway.sysctl(name, value);
      const words = ['route', 'get', '10.20.0.6', 'from', source, 'iif', 'lan'];
      expect((await gateway.exec('ip', words)).stderr).toMatch(answer);
      expect(PAGE).toMatch(answer);
    }),
  );
});
