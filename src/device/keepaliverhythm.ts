/**
 * The interval at which a peer sends keepalives of its own accord: its own `persistent-keepalive`,
 * which nobody tells us, so that it is learnt from what comes. Knows when they are missing.
 *
 * Of the two reasons for an empty packet the other one is an answer to data. Such an answer is
 * followed by at most one more before data moves again, so three equal intervals in a row without
 * data are no answers.
 *
 * A keepalive that comes so late that the session is to be replaced has a handshake of its own.
 */

import { REKEY_AFTER_TIME_MS } from '../noise/constants.ts';
import { dataReceived, dataSent, type Traffic } from './traffic.ts';

/** Equal intervals in a row that make one known. */
const GAPS = 3;
/** By how much of itself an interval may differ: timers of a kernel are coarse, and so are networks. */
const TOLERANCE = 1 / 4;
/** Missing after so many intervals, */
const INTERVALS = 3;
/** and not earlier than what else is unanswered. */
const MISSING_MS_MIN = 15_000;

/** What is counted of a peer: its handshakes, too. */
interface Counts extends Traffic {
  readonly initiationsReceived: number;
  readonly responsesReceived: number;
}

export class KeepaliveRhythm {
  #intervalMs = 0;
  #gaps = 0;
  /** When the last keepalive came, or a later moment since which nothing has moved (monotonic ms). */
  #at = Number.NEGATIVE_INFINITY;
  #isOfKeepalive = false;
  /** How much had moved by then. */
  #data = 0;
  #handshakes = 0;
  #sent = 0;

  /** ms; 0 while it is not known. */
  get intervalMs(): number {
    return this.#gaps < GAPS ? 0 : this.#intervalMs;
  }

  /** One that was known to a predecessor; 0 for none. */
  continue(now: number, intervalMs: number, traffic: Counts): void {
    if (intervalMs <= 0) return;
    this.#intervalMs = intervalMs;
    this.#gaps = GAPS;
    this.#look(now, traffic);
    this.#isOfKeepalive = false;
  }

  /** Call when an empty packet came; it is counted already. */
  keepaliveReceived(now: number, traffic: Counts): void {
    const gapMs = now - this.#at;
    const isGap = this.#isOfKeepalive;
    const [data, handshakes, sent] = [this.#data, this.#handshakes, this.#sent];
    this.#look(now, traffic);
    this.#isOfKeepalive = true;
    if (this.#data !== data) {
      // What is known stays so; what is being learnt begins from here.
      if (this.#gaps < GAPS) this.#gaps = 0;
      return;
    }
    // Either of these puts the peer's next keepalive off, unless the handshake was for this one.
    const isDisturbed = this.#handshakes !== handshakes && gapMs < REKEY_AFTER_TIME_MS;
    if (!isGap || isDisturbed || this.#sent !== sent) return;
    const isEqual = Math.abs(gapMs - this.#intervalMs) <= TOLERANCE * this.#intervalMs;
    this.#gaps = isEqual ? Math.min(GAPS, this.#gaps + 1) : 1;
    if (!isEqual) this.#intervalMs = gapMs;
  }

  /**
   * When keepalives have been missing for too long if nothing moves until then; Infinity when none
   * are expected.
   *
   * @param ownSeconds our own interval, 0 for none: the peer sends none while ours come earlier
   */
  missingAt(ownSeconds: number): number {
    const { intervalMs } = this;
    if (intervalMs === 0) return Number.POSITIVE_INFINITY;
    const isOursEarlier = ownSeconds !== 0 && ownSeconds * 1_000 <= (1 + TOLERANCE) * intervalMs;
    if (isOursEarlier) return Number.POSITIVE_INFINITY;
    return this.#at + Math.max(INTERVALS * intervalMs, MISSING_MS_MIN);
  }

  /** Call at that time: true when they are missing; false when something moved, as of now. */
  isMissing(now: number, ownSeconds: number, traffic: Counts): boolean {
    if (now < this.missingAt(ownSeconds)) return false;
    const [data, handshakes] = [this.#data, this.#handshakes];
    this.#look(now, traffic);
    this.#isOfKeepalive = false;
    return this.#data === data && this.#handshakes === handshakes;
  }

  /** Call when the peer is lost or taken down: it may come back without. */
  forget(): void {
    this.#gaps = 0;
    this.#intervalMs = 0;
    this.#isOfKeepalive = false;
  }

  #look(now: number, traffic: Counts): void {
    this.#at = now;
    this.#data = dataSent(traffic) + dataReceived(traffic);
    this.#handshakes = traffic.initiationsReceived + traffic.responsesReceived;
    // One of ours that only begins a session of ours follows the peer's own at once.
    this.#sent = traffic.keepalivesSent - traffic.responsesReceived;
  }
}
