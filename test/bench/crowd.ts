/**
 * What a crowd of peers costs a daemon: how long an operator waits for it, how long the loop stands
 * still meanwhile, its memory after one configuration and after three, and the pause of an upgrade
 * in place. `measureCrowd` measures one daemon; crowdmain.ts is the command around it.
 *
 * The standstill is the longest silence in a train of pings through a tunnel of the same daemon: it
 * counts what is lost as well as what is late. On a machine that is busy otherwise it is that
 * machine's.
 */

import { createHash } from 'node:crypto';
import path from 'node:path';
import { sleep } from '../lab/command.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { IFNAME, type Implementation } from './implementation.ts';
import { peakRssMb, rssMb } from './processes.ts';
import { RIGHT, Tunnel } from './tunnel.ts';

/** Prefixes of each peer: 15 of IPv4, 5 of IPv6. */
const PREFIXES_4 = 15;
const PREFIXES_6 = 5;
const CONFIGURATION = '/run/crowd.conf';
const CHANGED = '/run/crowd.changed.conf';
const PINGS = '/run/crowd.pings';
const PING_MS = 2;
const COMMAND_TIMEOUT_MS = 120_000;
const SETTLE_MS = 1_500;
/** Pings before the step and after it. */
const LEAD_MS = 300;
const TRAIL_MS = 500;
const STOP_GRACE_MS = 2_000;
const MS_PER_S = 1_000;
const TSWG = path.join(REPOSITORY, 'bin', 'tswg');

/** Of one step: how long the operator waited, and the longest silence meanwhile (ms). */
export interface Step {
  readonly ms: number;
  readonly silenceMs: number;
}

export interface CrowdCost {
  readonly peers: number;
  /** In the order in which they were made. */
  readonly steps: Readonly<Record<string, Step>>;
  /** Resident, before, after one configuration and after three (MB); and the most there ever was. */
  readonly rssBeforeMb: number;
  readonly rssOnceMb: number;
  readonly rssThriceMb: number;
  readonly peakMb: number;
  /** In which no packet moved, as the daemon says (ms); null for one that cannot. */
  readonly upgradePauseMs: number | null;
}

/** `count`: peers, the one at the other end of the tunnel among them. */
export async function measureCrowd(
  implementation: Implementation,
  count: number,
): Promise<CrowdCost> {
  const tunnel = await Tunnel.open(implementation);
  try {
    const isOurs = implementation.side === 'tswg';
    const { pid } = tunnel.left;
    await writeConfigurations(tunnel, count);
    const steps: Record<string, Step> = {};
    const time = async (name: string, command: string): Promise<void> => {
      steps[name] = await timed(tunnel, command);
    };
    await sleep(SETTLE_MS);
    const rssBeforeMb = rssMb(pid);
    await time('setconf', `wg setconf ${IFNAME} ${CONFIGURATION}`);
    await sleep(SETTLE_MS);
    const rssOnceMb = rssMb(pid);
    await time('dump', `wg show ${IFNAME} dump >/dev/null`);
    if (isOurs) await time('tswg', `${process.execPath} ${TSWG} ${IFNAME} >/dev/null`);
    await time('syncconf', `wg syncconf ${IFNAME} ${CONFIGURATION}`);
    await time('syncconf of 1 % changed', `wg syncconf ${IFNAME} ${CHANGED}`);
    await sleep(SETTLE_MS);
    const rssThriceMb = rssMb(pid);
    await time('setconf again', `wg setconf ${IFNAME} ${CONFIGURATION}`);
    await expectPeers(tunnel, count);
    const peakMb = peakRssMb(pid);
    const upgradePauseMs = isOurs ? await upgrade(tunnel) : null;
    await time('removal of all', `wg setconf ${IFNAME} /run/bench.conf`);
    return { peers: count, steps, rssBeforeMb, rssOnceMb, rssThriceMb, peakMb, upgradePauseMs };
  } finally {
    await tunnel.close();
  }
}

/** `wg show` knows of all of them and of all their prefixes. */
async function expectPeers({ left }: Tunnel, count: number): Promise<void> {
  const shown = await left.host.run('sh', [
    '-c',
    `wg show ${IFNAME} allowed-ips | awk '{ peers++; prefixes += NF - 1 } END { print peers, prefixes }'`,
  ]);
  const expected = `${count} ${count * (PREFIXES_4 + PREFIXES_6) + 2 - PREFIXES_4 - PREFIXES_6}`;
  if (shown.trim() !== expected) throw new Error(`crowd: ${shown.trim()}: expected ${expected}`);
}

/** That of the tunnel with a crowd before and after the peer at the other end. */
async function writeConfigurations({ left }: Tunnel, count: number): Promise<void> {
  const own = await left.host.run('cat', ['/run/bench.conf']);
  for (const [file, salt] of [
    [CONFIGURATION, 0],
    [CHANGED, 1],
  ] as const) {
    const others = Array.from({ length: count - 1 }, (_, i) =>
      section(i, i % 100 === 0 ? salt : 0),
    );
    await left.host.writeFile(file, `${own}${others.join('')}`);
  }
}

/** `salt`: of another one the prefixes are others. */
function section(i: number, salt: number): string {
  // Any 32 bytes are a public key; these belong to nobody.
  const key = createHash('sha256').update(`${i}`).digest('base64');
  const prefixes4 = Array.from({ length: PREFIXES_4 }, (_, k) => {
    const host = i * PREFIXES_4 + k;
    return `10.${128 + salt * 64 + (host >> 16)}.${(host >> 8) & 255}.${host & 255}/32`;
  });
  const prefixes6 = Array.from(
    { length: PREFIXES_6 },
    (_, k) => `fd80:${salt}::${i.toString(16)}:${k}/128`,
  );
  const endpoint =
    i % 2 === 1 ? `Endpoint = 192.0.2.${3 + (i % 200)}:${1024 + (i % 60_000)}\n` : '';
  return `[Peer]\nPublicKey = ${key}\n${endpoint}AllowedIPs = ${[...prefixes4, ...prefixes6].join(', ')}\n`;
}

async function timed(tunnel: Tunnel, command: string): Promise<Step> {
  const { host } = tunnel.left;
  const pings = host.spawn('sh', [
    '-c',
    `exec ping -D -n -i ${PING_MS / MS_PER_S} -w 100 "$1" >${PINGS}`,
    'sh',
    RIGHT.inner4,
  ]);
  await sleep(LEAD_MS);
  const begun = performance.now();
  await host.run('sh', ['-c', command], { timeoutMs: COMMAND_TIMEOUT_MS });
  const ms = performance.now() - begun;
  await sleep(TRAIL_MS);
  await pings.stop('SIGINT', STOP_GRACE_MS);
  return { ms, silenceMs: longestSilence(await host.run('cat', [PINGS])) };
}

/** Of the answers in what `ping -D` printed; ms beyond the interval. */
function longestSilence(text: string): number {
  const times = Array.from(text.matchAll(/^\[([\d.]+)\].* time=/gm), (match) => Number(match[1]));
  let longest = 0;
  for (let i = 1; i < times.length; i++) longest = Math.max(longest, times[i] - times[i - 1]);
  if (times.length < 2) throw new Error('crowd: no ping was answered');
  return Math.max(0, longest * MS_PER_S - PING_MS);
}

async function upgrade({ left }: Tunnel): Promise<number> {
  const answer = await left.host.run(process.execPath, [TSWG, IFNAME, 'upgrade'], {
    timeoutMs: COMMAND_TIMEOUT_MS,
  });
  const pause = /(\d+) ms/.exec(answer)?.[1];
  if (pause === undefined) throw new Error(`crowd: upgrade: ${answer}`);
  return Number(pause);
}
