/**
 * The scenarios of a long way: TCP over a round trip of 20 ms, with and without loss, and the same
 * without a tunnel, which shows how much the way itself carries. Owns how the two hosts are moved
 * apart; delayline.ts holds their datagrams.
 */

import type { Host } from '../lab/host.ts';
import { compiledProgram } from '../lab/repository.ts';
import { TSWG, WIREGUARD_GO } from './implementation.ts';
import type { Load } from './iperf.ts';
import type { Context, Scenario } from './scenario.ts';
import { measureTcp } from './traffic.ts';
import { CABLE, RIGHT, Tunnel } from './tunnel.ts';

/** Each host holds what comes in for so long. */
const DELAY_MS = 10;
const SEED = 20_260_718;
const QUEUE = '0';
/** What a connection may have under way: four times what 5 Gbit/s take for a round trip. */
const TCP_BUFFERS = '4096 131072 67108864';
/** Until a connection has found its speed, over so long a way. */
const WARM_UP_SECONDS = 2;

interface Way {
  readonly id: string;
  readonly name: string;
  readonly lostPerMillion: number;
  /** CUBIC, Linux's default, takes every loss for a full way, and 35 Mbit/s is all it sends then. */
  readonly congestion: 'cubic' | 'bbr';
}

const WAYS: readonly Way[] = [
  { id: 'delay', name: 'TCP over 20 ms', lostPerMillion: 0, congestion: 'cubic' },
  { id: 'loss', name: 'TCP over 20 ms with loss', lostPerMillion: 1_000, congestion: 'bbr' },
];

export const distances: readonly Scenario[] = WAYS.map((way) => ({
  name: way.name,
  rows: [way.id, `${way.id}-reverse`, `${way.id}-bare`],
  implementations: [WIREGUARD_GO, TSWG],
  measure: async (context) => {
    const tunnel = await Tunnel.open(context.implementation, (host) => lengthen(host, way));
    try {
      await measureWay(context, tunnel, way);
    } finally {
      await tunnel.close();
    }
  },
}));

async function measureWay(context: Context, tunnel: Tunnel, way: Way): Promise<void> {
  const { id, congestion } = way;
  const measure = (row: string, more: Partial<Load> = {}): Promise<void> =>
    measureTcp(context, tunnel, row, { congestion, omittedSeconds: WARM_UP_SECONDS, ...more });
  await measure(id);
  await measure(`${id}-reverse`, { reverse: true });
  await measure(`${id}-bare`, { address: RIGHT.outer4 });
}

/** Before the daemon starts, so that it never sees a short way. */
async function lengthen(host: Host, { lostPerMillion }: Way): Promise<void> {
  await host.sysctl('net.ipv4.tcp_rmem', TCP_BUFFERS);
  await host.sysctl('net.ipv4.tcp_wmem', TCP_BUFFERS);
  const program = compiledProgram('test/lab/delayline.ts');
  const words = [program, QUEUE, `${DELAY_MS}`, `${lostPerMillion}`, `${SEED}`];
  await host.spawn(process.execPath, words).waitForOutput(/holding/);
  const rule = `-t mangle -A PREROUTING -i ${CABLE} -j NFQUEUE --queue-num ${QUEUE}`;
  await host.run('iptables', rule.split(' '));
}
