/**
 * An event as it is kept and told to operators and programs: a plain value of JSON, with a number, a
 * time and a stable kind. Kinds and the names of values stay; others may come, so that a reader skips
 * what it does not know. No secret is ever in one.
 */

import type { LossCause } from '../device/condition.ts';
import type { DropReason } from '../device/drops.ts';
import type { PeerTrouble } from '../device/troubles.ts';

/** Which peer an event is about. */
interface OfPeer {
  /** Its public key, in base64. */
  readonly peer: string;
  /** The operator's name for it at that time; empty for none. */
  readonly name: string;
}

/** Who began a handshake. */
type Beginner = 'us' | 'peer';

/** What happened. Endpoints are in text, `address:port`. */
export type EventBody =
  /** There is no session, and a handshake begins. */
  | (OfPeer & { readonly kind: 'handshakeBegun'; readonly by: Beginner; readonly endpoint: string })
  /** There is a session. `session`: the how-manieth with this peer, from 1. */
  | (OfPeer & {
      readonly kind: 'handshakeCompleted';
      readonly by: Beginner;
      readonly session: number;
    })
  /** The same, in place of a session that was still good. */
  | (OfPeer & { readonly kind: 'rekeyed'; readonly by: Beginner; readonly session: number })
  /** Given up, after so many initiations. `cause`: a code of PeerTrouble. */
  | (OfPeer & {
      readonly kind: 'handshakeFailed';
      readonly attempts: number;
      readonly cause: PeerTrouble['code'];
    })
  | (OfPeer & { readonly kind: 'connected' })
  /** `trouble`: the likeliest reason, a code of PeerTrouble; null while none is known. */
  | (OfPeer & {
      readonly kind: 'disconnected';
      readonly cause: LossCause;
      readonly trouble: PeerTrouble['code'] | null;
    })
  | (OfPeer & { readonly kind: 'roamed'; readonly from: string; readonly to: string })
  /** Its packets take another of its ways. `host`, `port`: as the operator has said it. */
  | (OfPeer & {
      readonly kind: 'wayChanged';
      readonly host: string;
      readonly port: number;
      readonly from: string | null;
      readonly to: string;
    })
  | { readonly kind: 'nameResolved'; readonly host: string; readonly addresses: readonly string[] }
  /** `error`: as getaddrinfo(3) calls it. */
  | { readonly kind: 'nameFailed'; readonly host: string; readonly error: string }
  | (OfPeer & { readonly kind: 'cookieReceived' })
  | (OfPeer & { readonly kind: 'keysErased' })
  | (OfPeer & { readonly kind: 'routingLoop'; readonly endpoint: string })
  | (OfPeer & { readonly kind: 'routingLoopEnded'; readonly endpoint: string })
  | (OfPeer & { readonly kind: 'initiationsStale'; readonly endpoint: string })
  /** What a `set` said of a peer: the names of the fields, never what they hold. */
  | (OfPeer & { readonly kind: 'peerConfigured'; readonly fields: readonly string[] })
  | (OfPeer & { readonly kind: 'peerRemoved' })
  /** A change of the configuration. `fields`: of the interface; `peers`: how many it speaks of. */
  | {
      readonly kind: 'configured';
      readonly by: ConfiguredBy;
      readonly fields: readonly string[];
      readonly peers: number;
    }
  | { readonly kind: 'started'; readonly version: string }
  | { readonly kind: 'linkUp'; readonly port: number }
  | { readonly kind: 'linkDown' }
  /** Another process continues; versions of before and now. */
  | { readonly kind: 'upgraded'; readonly from: string; readonly version: string }
  | { readonly kind: 'upgradeFailed'; readonly why: string }
  /** After a suspension of the machine. */
  | { readonly kind: 'resumed'; readonly ms: number }
  | { readonly kind: 'clockSetBack'; readonly ms: number }
  /** A saved state was of no use. */
  | { readonly kind: 'stateRefused'; readonly why: string }
  // What strangers cause; kept apart, so that a flood of it takes no other's place.
  | { readonly kind: 'cookieSent'; readonly endpoint: string }
  | { readonly kind: 'stranger'; readonly publicKey: string; readonly endpoint: string }
  /** Only while `debug` is on. */
  | {
      readonly kind: 'dropped';
      readonly reason: DropReason;
      readonly peer: string | null;
      readonly name: string;
      readonly endpoint: string | null;
      readonly packets: number;
    }
  /** So many events of a peer, or of strangers (null), were not kept, since they came too fast. */
  | {
      readonly kind: 'suppressed';
      readonly peer: string | null;
      readonly name: string;
      readonly events: number;
    };

/** Set by a client of the control socket, or restored from the state of a persistent daemon. */
export type ConfiguredBy = 'set' | 'state';

export type EventKind = EventBody['kind'];

interface Stamp {
  /** From 1, without gaps, over all processes that have followed each other by an upgrade. */
  readonly seq: number;
  /** Wall clock, ms since 1970. */
  readonly timeMs: number;
  /** The monotonic clock of the machine, ms, which counts suspension and is never set. */
  readonly monotonicMs: number;
}

export type EventRecord = Stamp & EventBody;

/** What stands in a record that is not of this version. */
export type EventValue = string | number | boolean | null | readonly string[];

/** Characters of a kind and of a name of a value, values of a record, and characters of a text. */
const WORD = /^[a-z][a-zA-Z0-9]{0,39}$/;
const VALUES_MAX = 16;
const TEXT_MAX = 2_048;

/**
 * A record out of JSON that may come from another version, or from a process in other hands; null when
 * it is none. Kinds and values that are not known are let through: plain values, of bounded length.
 */
export function readRecord(value: unknown): EventRecord | null {
  if (typeof value !== 'object' || value === null) return null;
  const entries = Object.entries(value);
  const { seq, timeMs, monotonicMs, kind } = value as Record<string, unknown>;
  if (!Number.isSafeInteger(seq) || (seq as number) < 1) return null;
  if (!Number.isFinite(timeMs) || !Number.isFinite(monotonicMs)) return null;
  if (typeof kind !== 'string' || !WORD.test(kind) || entries.length > VALUES_MAX) return null;
  if (!entries.every(([name, one]) => WORD.test(name) && isValue(one))) return null;
  if (!['string', 'undefined'].includes(typeof (value as OfPeer).peer) && !isOfNobody(value))
    return null;
  return value as EventRecord;
}

function isOfNobody(value: object): boolean {
  return (value as { readonly peer?: unknown }).peer === null;
}

function isValue(value: unknown): value is EventValue {
  if (typeof value === 'string') return value.length <= TEXT_MAX;
  if (Array.isArray(value)) {
    return (
      value.length <= VALUES_MAX && value.every((one) => typeof one === 'string' && isValue(one))
    );
  }
  return value === null || typeof value === 'boolean' || Number.isFinite(value);
}
