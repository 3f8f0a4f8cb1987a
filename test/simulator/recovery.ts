/**
 * Recovery: once the network has healed, a connected pair that has traffic talks again within the
 * whitepaper's time. One watch a direction of a link.
 *
 * Connected is a direction whose two ends run, are up, are peers of each other with matching keys
 * and preshared keys, whose link no trouble has touched since the watch began, whose sender knows
 * an address at which the receiver is, and whose wall clocks are not behind the timestamps that
 * the other end has seen (whitepaper 5.1 refuses those initiations for good).
 */

import { equalConstantTime } from '../../src/crypto/bytes.ts';
import type { LossCause } from '../../src/device/condition.ts';
import {
  KEEPALIVE_TIMEOUT_MS,
  REJECT_AFTER_TIME_MS,
  REKEY_TIMEOUT_JITTER_MAX_MS,
  REKEY_TIMEOUT_MS,
} from '../../src/noise/constants.ts';
import { compareTimestamps, writeTimestamp } from '../../src/noise/tai64n.ts';
import type { LinkPlan } from './scenario.ts';
import type { Site } from './site.ts';
import { hold } from './violation.ts';

export const ATTEMPT_MS = REKEY_TIMEOUT_MS + REKEY_TIMEOUT_JITTER_MAX_MS;

/** Handshake and confirmation, each way on a link whose delay varies by a tenth, and turns. */
const ROUND_TRIPS = 4;
/** Of a peer that has ways: two addresses of its name, the second way, and where it was last. */
const CANDIDATES = 4;
const TURNS_MS = 500;

/**
 * A sender whose packets vanish (the receiver was started anew) waits KEEPALIVE_TIMEOUT +
 * REKEY_TIMEOUT + jitter for an answer and begins a handshake (whitepaper 6.2); one that left less
 * than REKEY_TIMEOUT before puts it off until its retransmission, one attempt later. Two more are
 * spent on cookies when both sides are under load (5.3): the initiation's and the response's.
 */
export const NOTICE_MS = KEEPALIVE_TIMEOUT_MS + ATTEMPT_MS + 3 * ATTEMPT_MS;

/**
 * Who hears from the other end does not notice that its own packets vanish: every authentic packet
 * puts the handshake off (whitepaper 6.2). The session that the other end talks under ends at
 * REJECT_AFTER_TIME, and then it begins a handshake itself.
 */
const DEAF_NOTICE_MS = REJECT_AFTER_TIME_MS + NOTICE_MS;

/**
 * After the last trouble all that came of it has ended: the sessions that only one end had, and the
 * time in which that is noticed.
 */
const FORGOTTEN_MS = DEAF_NOTICE_MS;

/** Three keepalives that do not come, of the slowest that a link has. */
const UNTOLD_MS = 3 * 60_000;

/** How much is known of one direction. */
interface Watch {
  readonly since: number;
  /** The sender has heard from the other end since. */
  heardSince: boolean;
  crossings: number;
  isJudged: boolean;
}

export interface RecoveryHost {
  now(): number;
  later(delayMs: number, action: () => void): void;
  /** Whether the sender's endpoint for the receiver leads there. */
  leads(from: Site, to: Site): boolean;
  recovered(ms: number): void;
}

export class Recovery {
  readonly link: LinkPlan;
  readonly #host: RecoveryHost;
  readonly #sites: readonly [Site, Site];
  /** From the first end, and from the second. */
  readonly #watches: [Watch | null, Watch | null] = [null, null];
  /** No trouble since. */
  calmFrom = 0;
  #lastCrossingAt = Number.NEGATIVE_INFINITY;
  readonly #initiatedAt: [number, number] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];

  constructor(host: RecoveryHost, link: LinkPlan, sites: readonly [Site, Site]) {
    this.#host = host;
    this.link = link;
    this.#sites = sites;
  }

  /** A trouble touches the link until then: what is watched is void. */
  disturb(until: number): void {
    this.calmFrom = Math.max(this.calmFrom, until);
    this.#watches[0] = null;
    this.#watches[1] = null;
  }

  /** Call after a packet was offered at `from` for the other end. */
  offered(from: Site): void {
    const now = this.#host.now();
    if (now < this.calmFrom) return;
    const side = from === this.#sites[0] ? 0 : 1;
    const to = this.#sites[1 - side];
    const watch = this.#watches[side];
    if (watch === null) {
      if (!this.#isConnected(from, to)) return;
      this.#watches[side] = { since: now, heardSince: false, crossings: 0, isJudged: false };
      return;
    }
    const bound = watch.heardSince ? DEAF_NOTICE_MS : NOTICE_MS;
    const attempts = watch.crossings + (this.link.hasWays ? CANDIDATES : 0);
    const settle = this.#settleMs() + attempts * ATTEMPT_MS;
    if (watch.isJudged || now < watch.since + bound + settle) return;
    watch.isJudged = true;
    this.#judge(side, watch, ATTEMPT_MS + settle);
  }

  /** Call after a packet of the sender's was delivered at the other end. */
  delivered(from: Site): void {
    const side = from === this.#sites[0] ? 0 : 1;
    const watch = this.#watches[side];
    if (watch !== null) this.#host.recovered(this.#host.now() - watch.since);
    this.#watches[side] = null;
  }

  /** Call after a session of `at` opened a packet of the other end. */
  heard(at: Site): void {
    const watch = this.#watches[at === this.#sites[0] ? 0 : 1];
    if (watch !== null) watch.heardSince = true;
  }

  /** Call when `at` is told that the other end is lost: on a wire that is whole nobody is. */
  lost(at: Site, cause: LossCause): void {
    const [a, b] = this.#sites;
    const now = this.#host.now();
    if (now < this.calmFrom + FORGOTTEN_MS) return;
    // Calls that cross are void, and so may the next ones be, three times in a row.
    if (now < this.#lastCrossingAt + NOTICE_MS) return;
    // Nobody is told that keepalives have been switched off, or come less often from now on.
    const other = at === a ? b : a;
    const { keepalive, slowedAt = -Infinity } = other.acquaintances.get(at.number)!;
    if (cause === 'keepaliveMissing' && (keepalive === 0 || now < slowedAt + UNTOLD_MS)) return;
    hold('lostForReason', !(this.#isConnected(a, b) && this.#isConnected(b, a)), () => {
      return `${at.name} has ${other.name} as lost (${cause}), on a wire that is whole`;
    });
  }

  initiated(from: Site): void {
    this.#initiatedAt[from === this.#sites[0] ? 0 : 1] = this.#host.now();
  }

  /**
   * An initiation was taken by `at`. If that end had one under way itself the two may have crossed,
   * and then both are void: another attempt is needed (whitepaper 6.4 has jitter for that).
   */
  initiationTaken(at: Site): void {
    const now = this.#host.now();
    const side = at === this.#sites[0] ? 0 : 1;
    if (now - this.#initiatedAt[side] > ATTEMPT_MS) return;
    if (now - this.#lastCrossingAt < REKEY_TIMEOUT_MS / 2) return;
    this.#lastCrossingAt = now;
    for (const watch of this.#watches) if (watch !== null) watch.crossings++;
  }

  /** The packet just offered has `waitMs`, and more for every crossing, to arrive. */
  #judge(side: 0 | 1, watch: Watch, waitMs: number): void {
    const before = watch.crossings;
    this.#host.later(waitMs, () => {
      if (this.#watches[side] !== watch) return;
      if (watch.crossings > before) {
        this.#judge(side, watch, (watch.crossings - before) * ATTEMPT_MS);
        return;
      }
      const [from, to] = [this.#sites[side].name, this.#sites[1 - side].name];
      hold('recovers', false, () => {
        const seconds = Math.round((this.#host.now() - watch.since) / 1_000);
        return `${from} -> ${to}: connected, calm and with traffic for ${seconds} s, but nothing arrives`;
      });
    });
  }

  #settleMs(): number {
    return ROUND_TRIPS * 2 * this.link.latencyMs * 1.1 + TURNS_MS;
  }

  #isConnected(from: Site, to: Site): boolean {
    return (
      this.#host.leads(from, to) &&
      knows(from, to) &&
      knows(to, from) &&
      isAhead(from, to) &&
      isAhead(to, from) &&
      equalConstantTime(
        from.acquaintances.get(to.number)!.presharedKey,
        to.acquaintances.get(from.number)!.presharedKey,
      )
    );
  }
}

/** Whether `site` runs, is up, has its key, and has the other as a peer under its present key. */
function knows(site: Site, other: Site): boolean {
  const peer = site.record(other.number);
  return (
    site.device?.isUp === true &&
    peer?.handshake.isUsable === true &&
    equalConstantTime(peer.publicKey, other.publicKey)
  );
}

/** Whether an initiation by `site` now would be newer than what `other` has seen of it. */
function isAhead(site: Site, other: Site): boolean {
  const seen = other.record(site.number)?.handshake.latestTimestamp;
  if (seen === undefined) return false;
  const now = new Uint8Array(seen.length);
  writeTimestamp(now, site.wallClock());
  return compareTimestamps(now, seen) > 0;
}
