/**
 * The scenario of round trips: idle, flooded, and beside a TCP stream that takes all there is.
 */

import { sleep } from '../lab/command.ts';
import { TSWG, WIREGUARD_GO } from './implementation.ts';
import { runLoad } from './iperf.ts';
import { roundTrips } from './pings.ts';
import type { Context, Scenario } from './scenario.ts';
import { mean, median, percentile } from './statistics.ts';
import { withTunnel } from './traffic.ts';
import { RIGHT, type Tunnel } from './tunnel.ts';

const INTERVAL_MS = 10;
/** Idle is a tunnel that has been up for a moment; how it begins is the row `launch`. */
const SETTLE_MS = 1_000;
/** The stream begins before the first ping and outlasts the last. */
const STREAM_LEAD_MS = 500;
const STREAM_EXTRA_S = 2;

export const latency: Scenario = {
  name: 'ping',
  rows: [
    ...['ping-idle', 'ping-idle-median', 'ping-idle-p99'],
    ...['ping-flood', 'ping-flood-median', 'ping-flood-p99'],
    ...['ping-load-median', 'ping-load-p99'],
  ],
  implementations: [WIREGUARD_GO, TSWG],
  measure: (context) =>
    withTunnel(context, async (tunnel) => {
      await sleep(SETTLE_MS);
      await measurePing(context, tunnel, 'ping-idle', INTERVAL_MS);
      await measurePing(context, tunnel, 'ping-flood', 0);
      await measureUnderLoad(context, tunnel);
    }),
};

async function measurePing(
  context: Context,
  tunnel: Tunnel,
  row: string,
  intervalMs: number,
): Promise<void> {
  await context.attempt([row, `${row}-median`, `${row}-p99`], async () => {
    const { seconds } = context.settings;
    const times = await roundTrips(tunnel.left.host, {
      address: RIGHT.inner4,
      intervalMs,
      seconds,
    });
    context.record(row, mean(times));
    context.record(`${row}-median`, median(times));
    context.record(`${row}-p99`, percentile(times, 99));
  });
}

async function measureUnderLoad(context: Context, tunnel: Tunnel): Promise<void> {
  await context.attempt(['ping-load-median', 'ping-load-p99'], async () => {
    const { host } = tunnel.left;
    const address = RIGHT.inner4;
    const { seconds } = context.settings;
    const stream = runLoad(host, tunnel.right.host, { address, seconds: seconds + STREAM_EXTRA_S });
    // Its own failure is reported below, once the pings are done.
    stream.catch(() => {});
    await sleep(STREAM_LEAD_MS);
    const times = await roundTrips(host, { address, intervalMs: INTERVAL_MS, seconds });
    await stream;
    context.record('ping-load-median', median(times));
    context.record('ping-load-p99', percentile(times, 99));
  });
}
