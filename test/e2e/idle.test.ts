/**
 * What an idle daemon costs: its own processor time and its own wake-ups, which a busy machine does
 * not add to. They are printed; asserted is what any machine can keep.
 */

import { expect, it } from 'vitest';
import { sleep } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { firstPing } from '../lab/probes.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { buildPair, createKeyPair, INNER, OUR_DAEMON } from '../lab/tunnel.ts';

const RIGHT = INNER[4][1];
/** Wake-ups of all its threads, of which it has one or two: a daemon that polls has more. */
const IDLE_WAKE_UPS_PER_S = 10;
/** Hundreds of times what it has: a loop that spins has all of a core, or its share of one. */
const IDLE_MS_PER_S = 100;
/** Past the last keepalive of the only session. */
const SETTLE_MS = 12_000;
const IDLE_WINDOW_S = 6;
const IDLE_WINDOWS = 5;
const NS_PER_MS = 1e6;

describeInLab('an idle daemon with 10 peers', ['wg'], () => {
  it('sleeps', () =>
    withLab({}, async (lab) => {
      const { left } = await buildPair(lab);
      for (let i = 0; i < 9; i++) {
        const { publicKey } = createKeyPair();
        await left.addPeer({ publicKey, allowedIps: [`10.20.${i}.0/24`], endpoint: '192.0.2.9:9' });
      }
      await firstPing(left.host, RIGHT);
      await sleep(SETTLE_MS);
      const busyMs: number[] = [];
      const wakeUps: number[] = [];
      for (let window = 0; window < IDLE_WINDOWS; window++) {
        const before = await activity(left.host);
        await sleep(IDLE_WINDOW_S * 1000);
        const after = await activity(left.host);
        busyMs.push((after.cpuMs - before.cpuMs) / IDLE_WINDOW_S);
        wakeUps.push((after.wakeUps - before.wakeUps) / IDLE_WINDOW_S);
      }
      console.info(
        `ms of CPU time in a second of an idle daemon: ${busyMs.map((ms) => ms.toFixed(1))}`,
      );
      console.info(`wake-ups in a second of an idle daemon: ${wakeUps.map((n) => n.toFixed(1))}`);
      // The least: V8 tidies up once or twice in the first half minute, and then no more.
      expect(Math.min(...wakeUps), `${wakeUps}`).toBeLessThan(IDLE_WAKE_UPS_PER_S);
      expect(Math.min(...busyMs), `${busyMs}`).toBeLessThan(IDLE_MS_PER_S);
    }));
});

/** Of all threads of the host's daemon, which is the process with the control socket. */
async function activity(host: Host): Promise<{ cpuMs: number; wakeUps: number }> {
  const pattern = `[${OUR_DAEMON[0]}]${OUR_DAEMON.slice(1)} .*wg0`;
  const { stdout } = await host.sh(`
    for process in /proc/[0-9]*; do
      tr '\\0' ' ' <$process/cmdline | grep -q '${pattern}' || continue
      sed 's/^/ns: /' $process/task/*/schedstat
      grep -h ^voluntary $process/task/*/status
    done`);
  const sum = (name: string) => {
    const counts = stdout.matchAll(new RegExp(`^${name}:\\s+(\\d+)`, 'gm'));
    return Array.from(counts, ([, count]) => Number(count)).reduce((total, one) => total + one, 0);
  };
  return { cpuMs: sum('ns') / NS_PER_MS, wakeUps: sum('voluntary_ctxt_switches') };
}
