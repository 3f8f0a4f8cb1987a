/**
 * Data that goes to a peer and that nothing comes back for but keepalives: those say that it arrives,
 * and its silence that nobody there has an answer, or that answers do not find their way.
 *
 * It is looked at when a keepalive comes, which the other end sends ten seconds after data that it
 * has nothing to say to; so nothing is done per packet.
 */

import { dataReceived, dataSent, type Traffic } from './traffic.ts';

/** For so long, before it is told: traffic that needs no answer has pauses. */
const TOLD_MS = 120_000;
/** A longer pause between two of those keepalives is the end of it. */
const PAUSE_MS = 60_000;

export class Monologue {
  /** The first keepalive that answered data, and the last one (monotonic ms). */
  #since = Number.NEGATIVE_INFINITY;
  #at = Number.NEGATIVE_INFINITY;
  /** Data packets that had come by then. */
  #received = 0;
  /** Those that had been sent when it began, and by the last keepalive. */
  #sentBefore = 0;
  #sent = 0;

  /** Call when an empty packet came; it is counted already. */
  keepaliveReceived(now: number, traffic: Traffic): void {
    const [sent, received] = [dataSent(traffic), dataReceived(traffic)];
    const isAnswer = sent !== this.#sent;
    const isNew = received !== this.#received;
    if (isNew || (isAnswer && now - this.#at > PAUSE_MS)) {
      this.#received = received;
      this.#sentBefore = isNew ? sent : this.#sent;
      this.#since = now;
    }
    this.#sent = sent;
    if (isAnswer) this.#at = now;
  }

  /** When a keepalive last answered data, and nothing else did for minutes before; null if not so. */
  lastAt(traffic: Traffic): number | null {
    const isLong = this.#at - this.#since >= TOLD_MS;
    return isLong && dataReceived(traffic) === this.#received ? this.#at : null;
  }

  /** How long it had lasted by then, ms. */
  get lastedMs(): number {
    return this.#at - this.#since;
  }

  /** How many packets were sent meanwhile. */
  get packets(): number {
    return this.#sent - this.#sentBefore;
  }
}
