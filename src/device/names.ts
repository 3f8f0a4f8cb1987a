/**
 * The names of hosts that peers are to be found at: one entry for each name, shared by all that use
 * it, with what the name service said last, and when it is asked again. Asked is outside; the answer
 * comes as an input. An entry that nobody wants anything of costs nothing, and no entry no time.
 *
 *   wanted, known           asked, but LOOKUP_INTERVAL after the last time at the earliest
 *   wanted, not known       asked, but WAITED_INTERVAL after the last time at the earliest
 *   the network changed     the same, but not known: NEWS_INTERVAL; and a second time beside a lookup
 *                           under way: SECOND_INTERVAL
 *   failed, nothing known   asked again after 1, 2, 4 ... 60 s, wanted or not
 *   failed, known           the same, but not more than a few times
 *   no answer at all        asked again after LOOKUP_LOST
 */

import { sameBytes } from '../bytes.ts';
import { isMapped } from '../packet/address.ts';
import type { NameAnswer, NameService } from './ways.ts';

/** Between two lookups of a name that is known: one a round of tries, at most. */
const LOOKUP_INTERVAL_MS = 10_000;
/** The same while something waits for the first address. */
const WAITED_INTERVAL_MS = 5_000;
/** The same when addresses or routes have changed, which they do in bursts. */
const NEWS_INTERVAL_MS = 1_000;
/** The same when one is under way, of the network as it was: it may take long to fail. */
const SECOND_INTERVAL_MS = 3_000;
/** Lookups in a row that fail and are repeated although the name is known. */
const RETRIES_OF_KNOWN = 4;
const BACKOFF_MIN_MS = 1_000;
const BACKOFF_MAX_MS = 60_000;
/** A question that nobody has answered by then was lost. */
const LOOKUP_LOST_MS = 60_000;
/** An answer older than this is asked for again when a session is to begin. */
const ANSWER_KEPT_MS = 300_000;
/** Of one name; more are no use to somebody who tries one after the other. */
const ADDRESSES_MAX = 16;
/** Names remembered from before a restart, until somebody uses them: those of the peers of then. */
const REMEMBERED_MAX = 16_384;

const NEVER = Number.POSITIVE_INFINITY;

/** What is known of a name. Written by Names alone. */
export class Name<User> {
  /** In small letters. */
  readonly host: string;
  readonly users = new Set<User>();
  /** Best first; those of the last answer that had any. */
  addresses: readonly Uint8Array[] = [];
  /** Why the last lookup brought nothing; null if it did not fail. */
  error: string | null = null;
  /** When it was last answered with addresses, monotonic ms. */
  answeredAt = Number.NEGATIVE_INFINITY;
  askedAt = Number.NEGATIVE_INFINITY;
  isAsked = false;
  dueAt = NEVER;
  /** In a row, since the network last changed. */
  failures = 0;

  constructor(host: string) {
    this.host = host;
  }

  /** Its addresses are those of before a restart, and nobody has confirmed them yet. */
  get isRemembered(): boolean {
    return this.addresses.length > 0 && this.answeredAt === Number.NEGATIVE_INFINITY;
  }

  /** A lookup is under way, and nothing is known yet but what is remembered. */
  get isAwaited(): boolean {
    return this.isAsked && this.answeredAt === Number.NEGATIVE_INFINITY;
  }

  /** The same, and it is the first lookup. */
  get isNew(): boolean {
    return this.isAwaited && this.error === null;
  }
}

/** A name and what it was last answered with. */
export interface NameMemory {
  /** In small letters. */
  readonly host: string;
  /** Best first, 4 or 16 bytes each. */
  readonly addresses: readonly Uint8Array[];
}

/** What an answer has changed. */
export interface NameNews<User> {
  readonly name: Name<User>;
  /** The addresses are others than before. */
  readonly hasMoved: boolean;
  /** It failed, and not as the time before. */
  readonly hasFailed: boolean;
}

export class Names<User> {
  readonly #service: NameService | undefined;
  readonly #isForMany: (address: Uint8Array) => boolean;
  /** Of names that nobody uses yet. */
  readonly #remembered = new Map<string, readonly Uint8Array[]>();
  readonly #all = new Map<string, Name<User>>();
  /** Nothing is asked while the interface is down. */
  #isActive = false;
  /** No entry is due before this. */
  #bound = NEVER;

  /** @param isForMany whether the machine sends to all of a link what is sent to this address */
  constructor(
    service: NameService | undefined,
    isForMany: (address: Uint8Array) => boolean = () => false,
  ) {
    this.#service = service;
    this.#isForMany = isForMany;
  }

  /** The entry of a name, made if it is the first to use it. */
  use(host: string, user: User): Name<User> {
    const key = host.toLowerCase();
    const name = this.#all.get(key) ?? this.#create(key);
    name.users.add(user);
    return name;
  }

  #create(host: string): Name<User> {
    const name = new Name<User>(host);
    name.addresses = this.#remembered.get(host) ?? [];
    this.#remembered.delete(host);
    this.#all.set(host, name);
    return name;
  }

  /** Of a name that nobody uses any more nothing is kept. */
  release(name: Name<User>, user: User): void {
    name.users.delete(user);
    if (name.users.size > 0) return;
    this.#all.delete(name.host);
    if (this.#all.size === 0) this.#service?.rest?.();
  }

  /**
   * What names were before a restart. Each is taken for its first answer where that does not come,
   * and for nothing as soon as it does.
   */
  remember(memories: readonly NameMemory[]): void {
    for (const { host, addresses } of memories.slice(0, REMEMBERED_MAX)) {
      this.#remembered.set(host.toLowerCase(), usable(addresses));
    }
  }

  /** What is worth remembering; as long as no name is in use, what was remembered before. */
  memories(): NameMemory[] {
    const all =
      this.#all.size > 0
        ? [...this.#all.values()]
        : [...this.#remembered].map(([host, addresses]) => ({ host, addresses }));
    return all
      .filter(({ addresses }) => addresses.length > 0)
      .map(({ host, addresses }) => ({ host, addresses }));
  }

  all(): Iterable<Name<User>> {
    return this.#all.values();
  }

  /** No lookup is due before this time; Infinity when none is. May be early, never late. */
  get next(): number {
    return this.#bound;
  }

  /** Whether names are asked for. */
  get isActive(): boolean {
    return this.#isActive;
  }

  /** The interface came up, or this Device takes over from another: from now on names are asked for. */
  activate(): void {
    this.#isActive = true;
  }

  /** The interface went down: nothing is due. What is under way is still answered. */
  deactivate(): void {
    this.#isActive = false;
    for (const name of this.#all.values()) name.dueAt = NEVER;
    this.#bound = NEVER;
  }

  /** Call when a peer that uses the name is not answered, or wants to send and knows no address. */
  want(now: number, name: Name<User>): void {
    const isKnown = name.addresses.length > 0;
    this.#schedule(now, name, isKnown ? LOOKUP_INTERVAL_MS : WAITED_INTERVAL_MS);
  }

  /** Call before a session begins where none stands: asks again for what was said long ago. */
  refresh(now: number, name: Name<User>): void {
    if (now - name.answeredAt > ANSWER_KEPT_MS) this.want(now, name);
  }

  /** Call when the machine's network has changed, or names have just come into use. */
  wantSoon(now: number, name: Name<User>): void {
    name.failures = 0;
    const isKnown = name.addresses.length > 0;
    if (name.isAsked && name.askedAt < now) this.#arm(name, name.askedAt + SECOND_INTERVAL_MS);
    else this.#schedule(now, name, isKnown ? LOOKUP_INTERVAL_MS : NEWS_INTERVAL_MS);
  }

  /** What the name service says; null when nobody uses the name. */
  answered(now: number, host: string, answer: NameAnswer): NameNews<User> | null {
    const name = this.#all.get(host.toLowerCase());
    if (name === undefined) return null;
    name.isAsked = false;
    const found = usable(answer.addresses ?? []).filter((one) => !this.#isForMany(one));
    if (found.length === 0) return this.#failed(now, name, answer.error ?? 'EAI_NODATA');
    const hasMoved = !sameSet(name.addresses, found);
    name.addresses = found;
    name.error = null;
    name.failures = 0;
    name.answeredAt = now;
    name.dueAt = NEVER;
    return { name, hasMoved, hasFailed: false };
  }

  #failed(now: number, name: Name<User>, error: string): NameNews<User> {
    const hasFailed = name.error !== error;
    name.error = error;
    name.failures++;
    // What was known before is tried as long as there is nothing better. Who is not answered asks again,
    // but a network that has just changed may have no name server for a few seconds.
    const isKnown = name.addresses.length > 0;
    if (this.#isActive && (!isKnown || name.failures <= RETRIES_OF_KNOWN)) {
      this.#arm(name, now + Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** (name.failures - 1)));
    }
    return { name, hasMoved: false, hasFailed };
  }

  /** Takes over what a predecessor knew of a name that is in use here. */
  recall(host: string, addresses: readonly Uint8Array[], answeredAt: number): void {
    const name = this.#all.get(host.toLowerCase());
    if (name === undefined) return;
    name.addresses = usable(addresses);
    if (name.addresses.length > 0) name.answeredAt = answeredAt;
  }

  /** Names of which nothing is known are due at once: what a predecessor asked is not answered here. */
  wantUnknown(now: number): void {
    if (!this.#isActive) return;
    for (const name of this.#all.values()) if (name.addresses.length === 0) this.#arm(name, now);
  }

  /** Asks for every name that is due. */
  expire(now: number): void {
    if (now < this.#bound) return;
    this.#bound = NEVER;
    for (const name of this.#all.values()) {
      const isLost = name.isAsked && now - name.askedAt >= LOOKUP_LOST_MS;
      if (name.dueAt <= now || isLost) this.#ask(now, name);
      const lostAt = name.isAsked ? name.askedAt + LOOKUP_LOST_MS : NEVER;
      const next = Math.min(name.dueAt, lostAt);
      if (next < this.#bound) this.#bound = next;
    }
  }

  #schedule(now: number, name: Name<User>, intervalMs: number): void {
    if (!this.#isActive || name.isAsked) return;
    const earliest = name.askedAt + intervalMs;
    if (earliest <= now) this.#ask(now, name);
    else if (earliest < name.dueAt) this.#arm(name, earliest);
  }

  #arm(name: Name<User>, time: number): void {
    name.dueAt = time;
    if (time < this.#bound) this.#bound = time;
  }

  #ask(now: number, name: Name<User>): void {
    name.dueAt = NEVER;
    if (this.#service === undefined) return;
    name.isAsked = true;
    name.askedAt = now;
    const lostAt = now + LOOKUP_LOST_MS;
    if (lostAt < this.#bound) this.#bound = lostAt;
    this.#service.lookUp(name.host);
  }
}

/** Those that a peer can be sent to, each once, and IPv4 ones as such. Copies. */
function usable(addresses: readonly Uint8Array[]): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (const address of addresses) {
    const bytes = isMapped(address) ? address.slice(12) : address.slice();
    const isNew = !found.some((one) => sameBytes(one, bytes));
    if (isNew && isUsable(bytes) && found.length < ADDRESSES_MAX) found.push(bytes);
  }
  return found;
}

/** Filters against advertising answer 0.0.0.0; a link-local address means nothing without its link. */
function isUsable(bytes: Uint8Array): boolean {
  if (bytes.length === 4) return bytes[0] !== 0 && bytes[0] < 0xe0;
  if (bytes.length !== 16 || bytes.every((octet) => octet === 0)) return false;
  return bytes[0] !== 0xff && !(bytes[0] === 0xfe && (bytes[1] & 0xc0) === 0x80);
}

/** Whether the same addresses are in both, whatever their order: many a name service turns it round. */
function sameSet(before: readonly Uint8Array[], after: readonly Uint8Array[]): boolean {
  return (
    before.length === after.length &&
    before.every((one) => after.some((other) => sameBytes(one, other)))
  );
}
