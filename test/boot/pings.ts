/** What a train of pings says of the time since it was answered first. */

import type { Host } from '../lab/host.ts';
import { PingTrain } from '../lab/probes.ts';

export const PING_INTERVAL_MS = 100;

export interface Losses {
  /** Sent since the first one that was answered; none was before the machine had booted. */
  readonly sent: number;
  readonly lost: number;
}

/** Pings a machine from before its boot on, and counts what is lost once it answers. */
export class Pings {
  readonly #train: PingTrain;

  constructor(from: Host, to: string) {
    this.#train = new PingTrain(from, to, PING_INTERVAL_MS);
  }

  get answered(): number {
    return this.#train.received;
  }

  async stop(): Promise<Losses> {
    const { text, sent } = await this.#train.stop();
    const numbers = [...text.matchAll(/bytes from .* icmp_seq=(\d+)/g)].map(([, n]) => Number(n));
    if (numbers.length === 0) return { sent: 0, lost: 0 };
    // The last one may be under way.
    const since = Math.max(numbers.at(-1)!, sent - 1) - numbers[0] + 1;
    return { sent: since, lost: since - new Set(numbers).size };
  }
}
