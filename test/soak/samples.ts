/** What a daemon's process and its host's network are at one moment, out of /proc and `stats`. */

import { readdirSync, readFileSync } from 'node:fs';
import { cpuTime, rssMb } from '../bench/processes.ts';
import { sleep } from '../lab/command.ts';
import { IFNAME } from './keeper.ts';
import type { End, Side } from './site.ts';

export interface Sample {
  readonly atMs: number;
  readonly side: Side;
  readonly pid: number;
  readonly rssMb: number;
  readonly descriptors: number;
  readonly threads: number;
  readonly cpuSeconds: number;
  /** Whether nobody else was asking the daemon anything. */
  readonly isQuiet: boolean;
  /** Handshakes with the other side that this process has completed. */
  readonly handshakes: number;
  /** Dropped packets by reason, the daemon's and the kernel's. */
  readonly drops: Readonly<Record<string, number>>;
}

const DROP_PREFIX = 'drop_';
const SETTLE_MS = 200;
/** Of a line of /proc/net/dev, behind the name. */
const RECEIVE_DROP_COLUMN = 3;
const TRANSMIT_DROP_COLUMN = 11;

/** @param isQuiet whether nobody asked the daemon anything since `atMs` */
export async function takeSample(end: End, atMs: number, isQuiet: () => boolean): Promise<Sample> {
  const stats = await end.keeper.stats();
  const { counters, peers } = stats;
  const pid = end.keeper.pidOf(stats);
  // The daemon has the question's own connection for a moment longer.
  await sleep(SETTLE_MS);
  const peer = peers.find(({ publicKey }) => toBase64(publicKey) === end.peerKey);
  const { userSeconds, systemSeconds } = cpuTime(pid);
  const ownDrops = Object.entries(counters)
    .filter(([name]) => name.startsWith(DROP_PREFIX))
    .map(([name, count]) => [name.slice(DROP_PREFIX.length), count] as const);
  return {
    atMs,
    side: end.side,
    pid,
    rssMb: rssMb(pid),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
    cpuSeconds: userSeconds + systemSeconds,
    isQuiet: isQuiet(),
    handshakes: peer?.counters.handshakes_completed ?? 0,
    drops: { ...Object.fromEntries(ownDrops), ...kernelDrops(end.host.pid) },
  };
}

/** What the kernel itself dropped on a host: at its interfaces, and before full sockets. */
function kernelDrops(pid: number): Record<string, number> {
  const read = (name: string): string => readFileSync(`/proc/${pid}/net/${name}`, 'utf8');
  const drops: Record<string, number> = {};
  for (const [, name, columns] of read('dev').matchAll(/^\s*(\w+):\s*(.*)$/gm)) {
    const counts = columns.split(/\s+/).map(Number);
    const side = name === IFNAME ? 'the interface' : name;
    drops[`kernel: to ${side}`] = counts[TRANSMIT_DROP_COLUMN];
    drops[`kernel: from ${side}`] = counts[RECEIVE_DROP_COLUMN];
  }
  const [, names, values] = /^Udp: (.*InDatagrams.*)\nUdp: (.*)$/m.exec(read('snmp'))!;
  const column = names.split(' ').indexOf('RcvbufErrors');
  drops['kernel: full UDP socket'] = Number(values.split(' ')[column]);
  const udp6 = /^Udp6RcvbufErrors\s+(\d+)$/m.exec(read('snmp6'));
  drops['kernel: full UDP socket (IPv6)'] = Number(udp6?.[1] ?? 0);
  return Object.fromEntries(Object.entries(drops).filter(([, count]) => count > 0));
}

function toBase64(key: Uint8Array): string {
  return Buffer.from(key).toString('base64');
}

/** How much each counter grew from one sample to the next; those of another process began at 0. */
export function growth(before: Sample | undefined, after: Sample): Record<string, number> {
  return Object.fromEntries(
    Object.entries(after.drops)
      .map(([name, count]): [string, number] => {
        const earlier = before?.drops[name] ?? 0;
        return [name, count >= earlier ? count - earlier : count];
      })
      .filter(([, count]) => count > 0),
  );
}
