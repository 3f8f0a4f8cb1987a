/**
 * The scenario of memory that must not grow: the heap of tswg, all garbage collected, before and
 * after a long transfer.
 */

import { waitFor } from '../lab/command.ts';
import { tswg } from './implementation.ts';
import type { Scenario } from './scenario.ts';
import { load, withTunnel } from './traffic.ts';
import type { Daemon } from './tunnel.ts';

const PROBE = new URL('./heapprobe.js', import.meta.url).href;
/** Before the first look: code is compiled, tables have their size. */
const WARM_UP_SECONDS = 2;
/** Even the portable fallback gets there in time. */
const TRANSFER_SECONDS_MAX = 300;
const PROBE_TIMEOUT_MS = 5_000;
const BYTES_PER_MB = 1e6;

interface Memory {
  readonly heapBytes: number;
  readonly rssBytes: number;
}

export const heap: Scenario = {
  name: 'memory during a long transfer',
  rows: ['heap', 'heap-rss'],
  implementations: [tswg('tswg', { TSWG_SANDBOX: 'off' }, ['--import', PROBE])],
  rounds: 1,
  measure: (context) =>
    withTunnel(context, (tunnel) =>
      context.attempt(['heap', 'heap-rss'], async () => {
        await load(context, tunnel, { seconds: WARM_UP_SECONDS });
        const before = await Promise.all(tunnel.daemons.map(look));
        const bytes = context.settings.heapBytes;
        await load(context, tunnel, { bytes, seconds: TRANSFER_SECONDS_MAX });
        const after = await Promise.all(tunnel.daemons.map(look));
        const growth = (field: keyof Memory): number =>
          Math.max(...after.map((memory, end) => memory[field] - before[end][field]));
        context.record('heap', growth('heapBytes') / BYTES_PER_MB);
        context.record('heap-rss', growth('rssBytes') / BYTES_PER_MB);
      }),
    ),
};

async function look(daemon: Daemon): Promise<Memory> {
  const seen = daemon.child.stdout.length;
  process.kill(daemon.pid, 'SIGHUP');
  const match = await waitFor(
    () => /heap (\d+) rss (\d+)\n/.exec(daemon.child.stdout.slice(seen)),
    'an answer of the heap probe',
    PROBE_TIMEOUT_MS,
  );
  return { heapBytes: Number(match[1]), rssBytes: Number(match[2]) };
}
