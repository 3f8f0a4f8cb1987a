/** Recordings of soaks that were made up, for what is computed of them. */

import type { SoakEvent } from './losses.ts';
import type { Sample } from './samples.ts';
import { SIDES } from './site.ts';
import type { Recording } from './soak.ts';

export const BEGIN_MS = 5_000_000;
const MINUTES = 30;
export const MS_PER_MINUTE = 60_000;
const SAMPLE_MS = 5_000;
const KILL_MS = 60_000;
const BURST_MS = 120_000;
/** The left daemon is killed once, early, so that both processes grow old. */
export const KILLED: SoakEvent = {
  kind: 'kill',
  side: 'left',
  name: 'kill',
  fromMs: BEGIN_MS + 5 * MS_PER_MINUTE,
  toMs: BEGIN_MS + 5 * MS_PER_MINUTE + 900,
  failure: null,
};
export const BURST: SoakEvent = {
  ...KILLED,
  kind: 'burst',
  name: 'burst',
  fromMs: BEGIN_MS + BURST_MS,
  toMs: BEGIN_MS + BURST_MS + 1_500,
};

/** Nothing is wrong with it. */
export function goodRecording(): Recording {
  const samples = SIDES.flatMap((side) =>
    Array.from({ length: (MINUTES * MS_PER_MINUTE) / SAMPLE_MS }, (_, i): Sample => {
      const atMs = BEGIN_MS + i * SAMPLE_MS;
      const isSuccessor = side === 'left' && atMs > KILLED.fromMs;
      return {
        atMs,
        side,
        pid: isSuccessor ? 200 : 100,
        rssMb: 85 + (i % 3),
        descriptors: 29 + (i > 6 ? 1 : 0),
        threads: 11,
        cpuSeconds: i,
        isQuiet: true,
        handshakes: Math.floor(i / 20),
        drops: { unknownIndex: 2 },
      };
    }),
  );
  const lostMs = [KILLED.fromMs + 10, KILLED.fromMs + 30];
  const answeredMs = [BEGIN_MS + 10, KILLED.fromMs + 850];
  const stream = { bytesReceived: 1e9, stalls: [], broken: null };
  const datagrams = { sent: 1_000, received: 1_000, duplicates: 0, damaged: 0, lostMs: [] };
  const traffic = {
    streams: ['a', 'b'].map((name) => ({ name, ...stream })),
    datagrams: ['a', 'b'].map((name) => ({ name, ...datagrams })),
  };
  return {
    beginMs: BEGIN_MS,
    endMs: BEGIN_MS + MINUTES * MS_PER_MINUTE,
    planned: [
      { atMs: BURST_MS, kind: 'burst', side: 'left', name: 'burst', turn: 0 },
      { atMs: KILL_MS, kind: 'kill', side: 'left', name: 'kill', turn: 0 },
    ],
    events: [BURST, KILLED],
    samples,
    pings: [{ name: 'ping', sent: 4, sentMs: answeredMs, roundTripMs: [0.5, 0.5], lostMs }],
    traffic: { left: traffic, right: traffic },
    log: { left: [], right: [] },
  };
}
