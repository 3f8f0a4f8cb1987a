/**
 * Round trips through the tunnel, every one of them: ping writes to a file of the host, so that
 * nobody reads along while it runs.
 */

import type { Host } from '../lab/host.ts';

const RESULT = '/run/bench-ping.txt';
const MS_PER_S = 1_000;
const GRACE_MS = 10_000;

export interface Train {
  readonly address: string;
  /** 0 floods: the next request leaves as soon as the answer is there, as with `ping -f`. */
  readonly intervalMs: number;
  readonly seconds: number;
}

/** Milliseconds of every round trip. @throws {Error} when nothing was answered */
export async function roundTrips(host: Host, train: Train): Promise<number[]> {
  // `-i 0` is the timing of `-f`; but `-f` prints only a summary, without a percentile.
  const words = `-n -i ${train.intervalMs / MS_PER_S} -w ${Math.ceil(train.seconds)}`;
  await host.run('sh', ['-c', `ping ${words} "$1" >${RESULT}`, 'sh', train.address], {
    timeoutMs: train.seconds * MS_PER_S + GRACE_MS,
  });
  const times = parseRoundTrips(await host.run('cat', [RESULT]));
  if (times.length === 0) throw new Error(`ping: no answer from ${train.address}`);
  return times;
}

export function parseRoundTrips(text: string): number[] {
  return Array.from(text.matchAll(/ time=([\d.]+) ms/g), (match) => Number(match[1]));
}
