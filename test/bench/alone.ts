/**
 * The scenario of one end alone: a daemon that only sends, with the whole machine to itself, since
 * what it sends is dropped where it arrives. It shows what one end can do, where all other rows of
 * throughput share two cores between both ends and iperf3.
 */

import { readFileSync } from 'node:fs';
import type { Host } from '../lab/host.ts';
import { compiledProgram } from '../lab/repository.ts';
import { IFNAME, TSWG, WIREGUARD_GO } from './implementation.ts';
import { gigabitsPerSecond } from './iperf.ts';
import type { Context, Scenario } from './scenario.ts';
import type { Taken } from './source.ts';
import { withTunnel } from './traffic.ts';
import { CABLE, type Daemon, LEFT, RIGHT } from './tunnel.ts';

const BYTES_PER_GB = 1e9;
const MS_PER_S = 1_000;
const GRACE_MS = 10_000;

export const alone: Scenario = {
  name: 'one end alone',
  rows: ['alone', 'alone-4', 'alone-cpu'],
  implementations: [WIREGUARD_GO, TSWG],
  measure: (context) =>
    withTunnel(context, async ({ left, right }) => {
      await drop(right.host);
      await context.attempt(['alone', 'alone-cpu'], async () => {
        const taken = await sendFrom(context, left, 1);
        context.record('alone', gigabitsPerSecond(taken));
        context.record('alone-cpu', taken.cpuSeconds / (taken.bytes / BYTES_PER_GB));
      });
      await context.attempt(['alone-4'], async () => {
        context.record('alone-4', gigabitsPerSecond(await sendFrom(context, left, 4)));
      });
    }),
};

/** From now on nothing that comes in gets as far as a socket. */
async function drop(host: Host): Promise<void> {
  await host.run('iptables', ['-t', 'raw', '-A', 'PREROUTING', '-i', CABLE, '-j', 'DROP']);
}

/** @throws {Error} when less went out than was read: then something was dropped on the way */
async function sendFrom(context: Context, daemon: Daemon, flows: number): Promise<Taken> {
  const { seconds } = context.settings;
  const program = compiledProgram('test/bench/source.ts');
  const ways = [IFNAME, `${pidOnHost(daemon)}`, LEFT.inner4, RIGHT.inner4];
  const printed = await daemon.host.run(
    process.execPath,
    [program, ...ways, `${flows}`, `${seconds}`, CABLE],
    { timeoutMs: seconds * MS_PER_S + GRACE_MS },
  );
  const taken = JSON.parse(printed) as Taken;
  if (taken.bytes === 0 || taken.outerBytes < taken.bytes) {
    throw new Error(`one end alone: ${taken.bytes} bytes read, ${taken.outerBytes} sent`);
  }
  return taken;
}

/** The daemon's PID in the namespace of its host. */
function pidOnHost({ pid }: Daemon): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^NSpid:.*?(\d+)$/m.exec(status)?.[1]);
}
