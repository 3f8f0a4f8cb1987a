/**
 * One peer: what we know of it and where we stand with it. A record with few rules of its own;
 * timers.ts, send.ts and receive.ts act on it.
 */

import { formatKey } from '../keytext.ts';
import { CookieMaker } from '../noise/cookie.ts';
import type { Handshake } from '../noise/handshake.ts';
import type { Keypair } from '../noise/keypair.ts';
import type { AllowedIps } from './allowedips.ts';
import { Condition } from './condition.ts';
import { Drops } from './drops.ts';
import type { Endpoint } from './endpoint.ts';
import { LastAddress } from './lastaddress.ts';
import type { Lead } from './lead.ts';
import { Monologue } from './monologue.ts';
import type { AddressSet } from './ownaddresses.ts';
import type { PeerName } from './peername.ts';
import type { PeerWays } from './peerways.ts';
import { StagedPackets } from './staged.ts';

/** What no `pathsVersion` of a Core is: the peer's path has to be looked at (paths.ts). */
export const PATH_UNKNOWN = 0;

export class Peer {
  /** 32 bytes; the peer's name. */
  readonly publicKey: Uint8Array;
  readonly handshake: Handshake;
  /** Row of the Device's deadline table. */
  readonly row: number;

  description = '';
  endpoint: Endpoint | null = null;
  /** Where it may be found; null when the operator has said an endpoint, or nothing (steering.ts). */
  ways: PeerWays<Peer> | null = null;
  /** Where it may be heard from, the latest first (whereabouts.ts). */
  readonly places: Endpoint[] = [];
  /** How the way to it leads, as it was at this version of the Core's paths. */
  lead: Lead = 'out';
  pathsVersion = PATH_UNKNOWN;
  /** Seconds; 0 is off. */
  persistentKeepalive = 0;
  /** Those of the machine's own addresses that lie in its allowed IPs; null when there are none. */
  ownSources: AddressSet | null = null;
  /** Its own whole prefixes, if any of them lies in the allowed IPs or they in it. */
  ownPrefixes: AllowedIps<true> | null = null;

  /** Index of the handshake under way in the index table; 0 when there is none. */
  handshakeIndex = 0;
  /** Confirmed, used for sending; the one before it; and one we answered but saw no data under. */
  current: Keypair | null = null;
  previous: Keypair | null = null;
  next: Keypair | null = null;
  readonly staged = new StagedPackets();

  /** Initiations repeated since something new made us start (Linux timer_handshake_attempts). */
  attempts = 0;
  /** Monotonic ms of our last initiation. */
  lastInitiationAt = Number.NEGATIVE_INFINITY;
  /** Data came while a passive keepalive was already due, so another one has to follow. */
  needsAnotherKeepalive = false;
  /** We asked for a new session because the receiving side of this one nears its end. */
  sentLastMinuteHandshake = false;

  /** Wall clock ms of the last completed handshake; 0 when there was none. */
  lastHandshakeMs = 0;
  /**
   * From our initiation to its answer, of the last handshake for which one initiation was enough;
   * infinite before that.
   */
  handshakeRoundTripMs = Number.POSITIVE_INFINITY;
  txBytes = 0;
  rxBytes = 0;
  readonly drops = new Drops();
  /** From where it sent a packet that is none of its allowed IPs; null before the first. */
  refusedSource: LastAddress | null = null;
  /** The same of one that is ours, although it is among its allowed IPs. */
  claimedSource: LastAddress | null = null;
  readonly counts = new PeerCounts();
  readonly trouble = new HandshakeTrouble();
  readonly condition: Condition;
  readonly monologue = new Monologue();
  #name: PeerName | null = null;
  #cookieMaker: CookieMaker | null = null;

  /** `nowMs`: wall clock. */
  constructor(publicKey: Uint8Array, handshake: Handshake, row: number, nowMs: number) {
    this.publicKey = publicKey;
    this.handshake = handshake;
    this.row = row;
    this.condition = new Condition(nowMs);
  }

  /** Made for the first message: most of many peers never speak. */
  get cookieMaker(): CookieMaker {
    this.#cookieMaker ??= new CookieMaker(this.publicKey);
    return this.#cookieMaker;
  }

  /** Keeps the source of a packet that is not allowed it: `length` bytes at `offset`. */
  refuseSource(bytes: Uint8Array, offset: number, length: number, now: number): void {
    this.refusedSource ??= new LastAddress();
    this.refusedSource.note(bytes, offset, length, now);
  }

  /** The same of one that is ours. */
  refuseClaim(bytes: Uint8Array, offset: number, length: number, now: number): void {
    this.claimedSource ??= new LastAddress();
    this.claimedSource.note(bytes, offset, length, now);
  }

  /** For those outside. It costs two comparisons as long as nothing in it has changed. */
  get name(): PeerName {
    const { description, endpoint } = this;
    let name = this.#name;
    if (name === null || name.endpoint !== endpoint || name.description !== description) {
      const publicKey = name?.publicKey ?? formatKey(this.publicKey);
      name = Object.freeze({ publicKey, description, endpoint });
      this.#name = name;
    }
    return name;
  }
}

/** What `stats` shows beside the drops. */
export class PeerCounts {
  initiationsSent = 0;
  initiationsReceived = 0;
  responsesSent = 0;
  responsesReceived = 0;
  cookiesReceived = 0;
  keepalivesSent = 0;
  keepalivesReceived = 0;
  handshakesCompleted = 0;
  handshakesGivenUp = 0;
  rekeys = 0;
  roams = 0;
  txPackets = 0;
  rxPackets = 0;
}

/** One initiation that is not newer than the last may be the network's doing. */
export const STALE_TIMESTAMPS_TOLD = 2;

/** Evidence of the likely cause when a handshake does not complete; cleared when one does. */
class HandshakeTrouble {
  /** Initiations since the peer last answered, and when the first of them left (monotonic ms). */
  unanswered = 0;
  unansweredSince = 0;
  /** The peer's answer, or its initiation, did not decrypt: most likely the preshared keys differ. */
  undecipherable = 0;
  /** The peer's initiations carry timestamps that are not newer than before. */
  staleTimestamps = 0;
  /** Answers we sent to its initiations without any data coming back under them. */
  unconfirmedResponses = 0;
  /** The peer answered with a cookie: it is reachable and under load. */
  cookies = 0;
  /** Initiations of ours that came back to us: its endpoint is our own. */
  returned = 0;

  initiationSent(now: number): void {
    if (this.unanswered++ === 0) this.unansweredSince = now;
  }

  /** Call when a handshake has completed, or what it depends on has changed. */
  clear(): void {
    this.unanswered = 0;
    this.undecipherable = 0;
    this.staleTimestamps = 0;
    this.unconfirmedResponses = 0;
    this.cookies = 0;
    this.returned = 0;
  }
}
