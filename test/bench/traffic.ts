/**
 * The scenarios of moving data: TCP in every direction, family and MTU, UDP, the variants of tswg,
 * and what it costs in CPU time and memory.
 */

import { TSWG, TSWG_PLAIN, TSWG_PORTABLE, WIREGUARD_GO } from './implementation.ts';
import { type Delivery, gigabitsPerSecond, type Load, runLoad } from './iperf.ts';
import { cpuTime, machineBusySeconds, peakRssMb } from './processes.ts';
import type { Context, Scenario } from './scenario.ts';
import { DEFAULT_MTU, RIGHT, Tunnel } from './tunnel.ts';

const BYTES_PER_GB = 1e9;
const BOTH = [WIREGUARD_GO, TSWG];

export const streams: Scenario = {
  name: 'TCP streams',
  rows: [
    ...['launch', 'tcp', 'tcp-reverse', 'tcp-4', 'tcp-both', 'tcp-v6', 'tcp-v6-reverse'],
    ...['cpu', 'cpu-machine', 'rss'],
  ],
  implementations: BOTH,
  measure: (context) =>
    withTunnel(context, async (tunnel) => {
      context.record('launch', tunnel.launchMs);
      await measureStreamAndCost(context, tunnel);
      await measureTcp(context, tunnel, 'tcp-reverse', { reverse: true });
      await measureTcp(context, tunnel, 'tcp-4', { streams: 4 });
      await measureTcp(context, tunnel, 'tcp-both', { both: true });
      await measureTcp(context, tunnel, 'tcp-v6', { address: RIGHT.inner6 });
      await measureTcp(context, tunnel, 'tcp-v6-reverse', { address: RIGHT.inner6, reverse: true });
      if (!context.wants('rss')) return;
      context.record('rss', Math.max(...tunnel.daemons.map(({ pid }) => peakRssMb(pid))));
    }),
};

export const paths: Scenario = {
  name: 'TCP over other paths',
  rows: ['tcp-outer-v6', 'tcp-1280', 'tcp-8920'],
  implementations: BOTH,
  measure: (context) =>
    withTunnel(context, async (tunnel) => {
      if (context.wants('tcp-outer-v6')) {
        await tunnel.setOuterFamily(6);
        await measureTcp(context, tunnel, 'tcp-outer-v6');
        await tunnel.setOuterFamily(4);
      }
      for (const mtu of [1280, 8920]) {
        await tunnel.setMtu(mtu);
        await measureTcp(context, tunnel, `tcp-${mtu}`);
      }
      await tunnel.setMtu(DEFAULT_MTU);
    }),
};

/**
 * The sender is unpaced, so it takes a part of the two cores from the daemons that it loads; what
 * is counted is what the receiver read.
 */
export const datagrams: Scenario = {
  name: 'UDP',
  rows: ['udp-64', 'udp-1300'],
  implementations: BOTH,
  measure: (context) =>
    withTunnel(context, async (tunnel) => {
      for (const datagramBytes of [64, 1300]) {
        const row = `udp-${datagramBytes}`;
        await context.attempt([row], async () => {
          const delivery = await load(context, tunnel, { datagramBytes });
          context.record(row, delivery.bytes / datagramBytes / delivery.seconds);
        });
      }
    }),
};

export const variants: Scenario[] = [
  { row: 'tcp-portable', implementation: TSWG_PORTABLE },
  { row: 'tcp-plain', implementation: TSWG_PLAIN },
].map(({ row, implementation }) => ({
  name: 'TCP, 1 stream',
  rows: [row],
  implementations: [implementation],
  measure: (context) => withTunnel(context, (tunnel) => measureTcp(context, tunnel, row)),
}));

/**
 * One TCP stream, with what it cost. The daemons' own CPU time leaves out what the kernel does for
 * them in interrupts; that of the whole machine has everything in it, iperf3 too.
 */
async function measureStreamAndCost(context: Context, tunnel: Tunnel): Promise<void> {
  await context.attempt(['tcp', 'cpu', 'cpu-machine'], async () => {
    const daemonsBefore = daemonSeconds(tunnel);
    const machineBefore = machineBusySeconds();
    const delivery = await load(context, tunnel, {});
    const gigabytes = delivery.bytes / BYTES_PER_GB;
    context.record('cpu', (daemonSeconds(tunnel) - daemonsBefore) / gigabytes);
    context.record('cpu-machine', (machineBusySeconds() - machineBefore) / gigabytes);
    context.record('tcp', gigabitsPerSecond(delivery));
  });
}

export async function measureTcp(
  context: Context,
  tunnel: Tunnel,
  row: string,
  more: Partial<Load> = {},
): Promise<void> {
  await context.attempt([row], async () => {
    context.record(row, gigabitsPerSecond(await load(context, tunnel, more)));
  });
}

export function load(context: Context, tunnel: Tunnel, more: Partial<Load>): Promise<Delivery> {
  const { seconds } = context.settings;
  return runLoad(tunnel.left.host, tunnel.right.host, { address: RIGHT.inner4, seconds, ...more });
}

/** Opens a tunnel of the context's implementation, measures, and closes it whatever happens. */
export async function withTunnel(
  context: Context,
  measure: (tunnel: Tunnel) => Promise<void>,
): Promise<void> {
  const tunnel = await Tunnel.open(context.implementation);
  try {
    await measure(tunnel);
  } finally {
    await tunnel.close();
  }
}

function daemonSeconds(tunnel: Tunnel): number {
  const times = tunnel.daemons.map(({ pid }) => cpuTime(pid));
  return times.reduce(
    (sum, { userSeconds, systemSeconds }) => sum + userSeconds + systemSeconds,
    0,
  );
}
