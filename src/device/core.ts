/**
 * What all the rules of the Device share: its tables, its identity and its two ways out. Created
 * by device.ts; timers.ts, send.ts, receive.ts and configure.ts are functions over it.
 */

import type { Arena } from '../arena.ts';
import {
  copySecret,
  ordinarySecrets,
  type SecretPlace,
  type SecretSource,
} from '../crypto/bytes.ts';
import type { CryptoSuite } from '../crypto/suite.ts';
import { CookieChecker } from '../noise/cookie.ts';
import type { Identity } from '../noise/identity.ts';
import { formatAddress } from '../packet/address.ts';
import { Allowance } from './allowance.ts';
import { AllowedIps } from './allowedips.ts';
import { DEFAULT_MTU } from './configuration.ts';
import { DeadlineTable } from './deadlines.ts';
import { type Doorkeeper, NO_DOORKEEPER } from './doorkeeper.ts';
import { type DropReason, Drops } from './drops.ts';
import type { Endpoint, SendFailure } from './endpoint.ts';
import type { DeviceEvent } from './events.ts';
import { HandshakeQueue } from './handshakequeue.ts';
import { IndexTable } from './indextable.ts';
import { LastAddress } from './lastaddress.ts';
import type { Lead } from './lead.ts';
import { Names } from './names.ts';
import { Observers } from './observers.ts';
import type { Outlet } from './outlet.ts';
import { NO_OWN_ADDRESSES, type OwnAddresses } from './ownaddresses.ts';
import { Pace } from './pace.ts';
import { PATH_UNKNOWN, type Peer } from './peer.ts';
import { RateLimiter } from './ratelimiter.ts';
import type { NameService, Near } from './ways.ts';

/** A leap second is a step of one second back, and not worth a line. */
const TOLD_STEP_BACK_MS = 2_000;

/** ICMP answers (as Linux's icmp_msgs_burst). */
const UNREACHABLES_PER_SECOND = 50;
/** Some 15 us each: 1.5 % of a core, whatever changes. */
const PATH_CHECKS_PER_SECOND = 1_000;

export interface DeviceOptions {
  readonly arena: Arena;
  readonly suite: CryptoSuite;
  /** Fills the array from a cryptographically secure source. */
  readonly random: (out: Uint8Array) => void;
  /** ms since 1970; may step back. */
  readonly wallClock: () => number;
  readonly outlet: Outlet;
  /** Where keys lie that last as long as the Device or a peer. */
  readonly takeSecret?: SecretSource;
  /**
   * How the way to the endpoint leads at this moment: above all, whether into the interface of this
   * very Device (see paths.ts). Without it, every way leads out.
   */
  readonly lead?: (endpoint: Endpoint) => Lead;
  /** What refused the last datagram to the endpoint that was refused. Without it nothing ever is. */
  readonly failureTo?: (endpoint: Endpoint) => SendFailure | null;
  /** Looks the names of hosts up. Without it names are known from `nameAnswered` alone. */
  readonly nameService?: NameService;
  /**
   * Whether an address is one of a broadcast, so that nothing can be sent to it as to a peer. Asked for
   * each address that a name is answered with. Without it none is.
   */
  readonly isBroadcast?: (address: Uint8Array) => boolean;
  /** The index of the interface of that name; 0 when there is none. Without it there never is. */
  readonly interfaceIndex?: (name: string) => number;
}

/** Counts, all from zero. */
export interface Outcomes {
  /** Data packets that opened under a session. */
  opened: number;
  /** Handshake messages whose turn came, and those of them that a peer of ours had made. */
  judged: number;
  accepted: number;
}

export class Core {
  readonly arena: Arena;
  readonly suite: CryptoSuite;
  readonly random: (out: Uint8Array) => void;
  readonly wallClock: () => number;
  readonly outlet: Outlet;
  /** Told whom we expect to hear from; changed by whereabouts.ts alone. */
  doorkeeper: Doorkeeper = NO_DOORKEEPER;
  readonly observers = new Observers();
  readonly failureTo: (endpoint: Endpoint) => SendFailure | null;
  readonly lead: (endpoint: Endpoint) => Lead;
  readonly leadsInside = (endpoint: Endpoint): boolean => this.lead(endpoint) === 'inside';
  /** From its near end, if that is said. */
  readonly isReachable = (endpoint: Endpoint): boolean =>
    ['out', 'inside'].includes(this.lead(endpoint));
  readonly interfaceIndex: (name: string) => number;
  readonly names: Names<Peer>;
  /** The peers that have ways. */
  readonly wayHolders = new Set<Peer>();

  /** Replaced as a whole by a change that was made aside (draft.ts). */
  allowedIps = new AllowedIps<Peer>();
  /** Of the configuration: another one after every change. */
  revision = 0;
  readonly deadlines = new DeadlineTable();
  readonly indices: IndexTable;
  /** By public key (see peerKey), in the order they were added. Changed by configure.ts alone. */
  peers = new Map<string, Peer>();
  /** Peers no more, of which something is left to be cleared away (configure.ts). */
  readonly departed: Peer[] = [];
  /** Of the changes in the making, those who may become peers. */
  readonly newcomers = new Set<ReadonlySet<Peer>>();
  /** Peers whose paths were looked at in the course of the present change. */
  looks = 0;
  /** Of calls to many peers. */
  readonly pace = new Pace();
  /** The peer of each row of the deadline table. */
  rows: (Peer | undefined)[] = [];

  readonly cookieChecker: CookieChecker;
  readonly rateLimiter = new RateLimiter();
  readonly handshakeQueue = new HandshakeQueue();
  readonly drops = new Drops();
  readonly counts = { cookiesSent: 0, unreachablesSent: 0 };
  /** What came of the messages received so far, for a gate that has to tell work from nuisance. */
  readonly outcomes: Outcomes = { opened: 0, judged: 0, accepted: 0 };
  /** The last initiation by a key that is no peer of ours: the commonest mistake in a setup. */
  stranger: {
    readonly publicKey: Uint8Array;
    readonly endpoint: Endpoint;
    readonly at: number;
  } | null = null;
  /** When the last message came that was not made for our public key; monotonic ms. */
  badMac1At = Number.NEGATIVE_INFINITY;
  badMac1From: Endpoint | null = null;
  /** Where packets from the interface were to go that are no peer's. */
  readonly unrouted = new LastAddress();

  readonly takeSecret: SecretSource;
  readonly privateKeyPlace: SecretPlace;
  identity: Identity | null = null;
  /** Whether the private key came in the form in which genkey makes them (RFC 7748 5). */
  wasKeyClamped = true;
  isUp = false;
  isDebugging = false;
  mtu = DEFAULT_MTU;
  listenPort = 0;
  fwmark = 0;
  /** The near end of every datagram; null: the kernel's choice, which the transport keeps to. */
  bind: Near | null = null;
  ownAddresses: OwnAddresses = NO_OWN_ADDRESSES;
  /** The peers that have `ownSources` or `ownPrefixes`. */
  readonly ownSourceHolders = new Set<Peer>();
  readonly unreachables = new Allowance(UNREACHABLES_PER_SECOND);
  /** Changes with whatever the way to an endpoint may depend on (see paths.ts). */
  pathsVersion = PATH_UNKNOWN + 1;
  readonly pathChecks = new Allowance(PATH_CHECKS_PER_SECOND);

  /** The wall clock less the monotonic one when it was last read, ms. */
  #wallClockLead = Number.NEGATIVE_INFINITY;
  readonly #jitterBytes = new Uint8Array(4);
  readonly #jitterView = new DataView(this.#jitterBytes.buffer);

  constructor(options: DeviceOptions) {
    this.arena = options.arena;
    this.suite = options.suite;
    this.random = options.random;
    this.wallClock = options.wallClock;
    this.outlet = options.outlet;
    this.takeSecret = options.takeSecret ?? ordinarySecrets;
    this.privateKeyPlace = this.takeSecret();
    this.indices = new IndexTable(options.random);
    this.lead = options.lead ?? (() => 'out');
    this.failureTo = options.failureTo ?? (() => null);
    this.interfaceIndex = options.interfaceIndex ?? (() => 0);
    this.names = new Names(options.nameService, options.isBroadcast);
    this.cookieChecker = new CookieChecker(options.random, options.suite);
  }

  /** A copy, 32 bytes, the caller's to wipe; null when there is none. */
  copyPrivateKey(): Uint8Array | null {
    return this.identity === null ? null : copySecret(this.identity.privateKey);
  }

  /** A random whole number of milliseconds from 0 to `maxMs` - 1. */
  jitter(maxMs: number): number {
    this.random(this.#jitterBytes);
    return this.#jitterView.getUint32(0, true) % maxMs;
  }

  /**
   * The wall clock for a handshake's timestamp, ms since 1970. Timestamps do not follow it back (see
   * Handshake); that it was set back since it was last read here is told, since it is a reason for
   * the peer to refuse us after a restart.
   */
  readWallClock(now: number): number {
    const wallClockMs = this.wallClock();
    const lead = wallClockMs - now;
    const ms = this.#wallClockLead - lead;
    this.#wallClockLead = lead;
    if (ms >= TOLD_STEP_BACK_MS) this.tell({ kind: 'clockSetBack', ms });
    return wallClockMs;
  }

  /** Counts a dropped packet for the device and, when it is known, for the peer. */
  drop(reason: DropReason, peer: Peer | null, endpoint: Endpoint | null = null, packets = 1): void {
    if (packets === 0) return;
    this.drops.count(reason, packets);
    if (peer !== null) peer.drops.count(reason, packets);
    if (!this.isDebugging) return;
    this.tell({ kind: 'dropped', reason, peer: peer?.name ?? null, endpoint, packets });
  }

  /** The same for a packet that is dropped for one of its addresses: `length` bytes at `offset`. */
  dropFor(
    reason: DropReason,
    peer: Peer | null,
    endpoint: Endpoint | null,
    offset: number,
    length: number,
  ): void {
    this.drops.count(reason, 1);
    if (peer !== null) peer.drops.count(reason, 1);
    if (!this.isDebugging) return;
    const address = formatAddress(this.arena.bytes.subarray(offset, offset + length));
    const name = peer?.name ?? null;
    this.tell({ kind: 'dropped', reason, peer: name, endpoint, packets: 1, address });
  }

  /** Tells the observers of something rare. */
  tell(event: DeviceEvent): void {
    this.observers.tell(event);
  }
}

/** A public key as a key of a Map: one character a byte. */
export function peerKey(publicKey: Uint8Array): string {
  // A spread takes four times as long: it asks the array for an iterator.
  return String.fromCharCode.apply(null, publicKey as unknown as number[]);
}
