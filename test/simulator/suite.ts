/**
 * A CryptoSuite that watches another one: every key a Device is given is followed from its
 * derivation to its erasure, over as many processes as may have it, and every use of it is checked.
 * Owns what is known of keys; the ciphers below are the shipping ones.
 */

import type { Arena } from '../../src/arena.ts';
import { hash } from '../../src/crypto/blake2s.ts';
import { createOpensslSuite } from '../../src/crypto/openssl/openssl.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import type { CryptoSuite, Opener, Sealer } from '../../src/crypto/suite.ts';
import type { Peer } from '../../src/device/peer.ts';
import { REJECT_AFTER_MESSAGES, REJECT_AFTER_TIME_MS } from '../../src/noise/constants.ts';
import { hold } from './violation.ts';

/** `fast`: a stand-in for X25519; `real`: OpenSSL where it is to be had; `portable`: all of it @noble's. */
export type CryptoChoice = 'fast' | 'real' | 'portable';

export function createBaseSuite(arena: Arena, choice: CryptoChoice): CryptoSuite {
  if (choice === 'portable') return createPortableSuite(arena);
  const suite = createOpensslSuite(arena) ?? createPortableSuite(arena);
  return choice === 'real' ? suite : withStandIn(suite);
}

/**
 * The same suite with the algebra of X25519 and none of its cost or its secrecy: whoever knows two
 * public keys could compute their shared secret, which nobody in the simulator does. A public key
 * of zeros stands for the points of small order.
 */
function withStandIn(suite: CryptoSuite): CryptoSuite {
  return {
    name: suite.name,
    createSealer: (key) => suite.createSealer(key),
    createOpener: (key) => suite.createOpener(key),
    xseal: suite.xseal,
    publicKey: (privateKey) => hash(privateKey),
    sharedSecret: (out, privateKey, publicKey) => {
      const own = hash(privateKey);
      out.fill(0);
      if (publicKey.every((byte) => byte === 0)) return false;
      out.set(isLess(own, publicKey) ? hash(own, publicKey) : hash(publicKey, own));
      return true;
    },
  };
}

function isLess(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] < b[i];
  return false;
}

/** What the audit asks of the Device's owner, and tells it. */
export interface KeyOwner {
  readonly name: string;
  /** The keys it is given are those of its predecessor in another process. */
  readonly isTakingOver: boolean;
  /** Monotonic ms of the site. */
  now(): number;
  /** Whose session has this sealer or opener; asked once for each session. */
  findPeer(session: AuditedSession): Peer;
  derived(session: AuditedSession): void;
  /** One of the two ciphers was erased. */
  wiped(session: AuditedSession): void;
  sealed(session: AuditedSession, offset: number, length: number): void;
  opened(session: AuditedSession, offset: number, length: number): void;
}

/**
 * What is true of a session in whichever process it is: a successor that takes it over, and a
 * predecessor that goes on after all, are held to what either has done under its keys.
 */
export class SessionHistory {
  readonly site: string;
  /** Monotonic ms of the site. */
  readonly derivedAt: number;
  /** The responder derives first, before anybody can have opened anything (whitepaper 5.4.6). */
  isResponder = false;
  hasOpened = false;
  /** The greatest counter sealed with. */
  greatest = -1;

  constructor(site: string, derivedAt: number) {
    this.site = site;
    this.derivedAt = derivedAt;
  }
}

/** How many keys are remembered after their end, to recognize one that comes again. */
const REMEMBERED_KEYS = 20_000;

/** All keys of one run, at all sites: which site seals under one, and which opens. */
export class KeyRegistry {
  readonly #sealers = new Map<string, SessionHistory>();

  /**
   * Call when a site got a key to seal with: no other site and no other session may have it. Only
   * who takes over has one that was there before, and continues with its history.
   */
  registerSealer(key: Uint8Array, owner: KeyOwner): SessionHistory {
    const name = keyName(key);
    const known = this.#sealers.get(name);
    if (owner.isTakingOver && known?.site === owner.name) return known;
    hold('nonceUsedOnce', known === undefined, () =>
      known?.site === owner.name
        ? `${owner.name} was given a key to send under that it had before`
        : `${owner.name} sends under a key under which ${known?.site} sends, too`,
    );
    hold('nothingForgotten', !owner.isTakingOver, () => {
      return `${owner.name} takes over a session that its predecessor never had`;
    });
    const history = new SessionHistory(owner.name, owner.now());
    this.#sealers.set(name, history);
    if (this.#sealers.size > REMEMBERED_KEYS)
      this.#sealers.delete(this.#sealers.keys().next().value!);
    return history;
  }

  /** Who sends under the key; undefined when nobody has derived it for sending yet. */
  sealerOf(key: Uint8Array): string | undefined {
    return this.#sealers.get(keyName(key))?.site;
  }
}

function keyName(key: Uint8Array): string {
  return String.fromCharCode(...key.subarray(0, 16));
}

/** One end of a session in one process: the two ciphers that the Device made of its keys, in one step. */
export class AuditedSession {
  readonly owner: KeyOwner;
  readonly history: SessionHistory;
  sealer: AuditedSealer | null = null;
  opener: AuditedOpener | null = null;
  #peer: Peer | null = null;

  constructor(owner: KeyOwner, history: SessionHistory) {
    this.owner = owner;
    this.history = history;
  }

  get peer(): Peer {
    this.#peer ??= this.owner.findPeer(this);
    return this.#peer;
  }

  get isWiped(): boolean {
    return this.sealer?.isWiped === true && this.opener?.isWiped === true;
  }
}

/** The suite of one site. `createSealer` and `createOpener` come in pairs, as sessions begin. */
export function createAuditedSuite(
  base: CryptoSuite,
  registry: KeyRegistry,
  owner: KeyOwner,
): CryptoSuite {
  let begun: AuditedSession | null = null;
  return {
    name: base.name,
    xseal: base.xseal,
    publicKey: (privateKey) => base.publicKey(privateKey),
    sharedSecret: (out, privateKey, publicKey) => base.sharedSecret(out, privateKey, publicKey),
    createSealer: (key) => {
      begun = new AuditedSession(owner, registry.registerSealer(key, owner));
      begun.sealer = new AuditedSealer(begun, base.createSealer(key));
      return begun.sealer;
    },
    createOpener: (key) => {
      const session = begun!;
      begun = null;
      session.opener = new AuditedOpener(session, base.createOpener(key));
      // The initiator derives second: the other side sends under this key already.
      if (!owner.isTakingOver) session.history.isResponder = registry.sealerOf(key) === undefined;
      owner.derived(session);
      return session.opener;
    },
  };
}

class AuditedSealer implements Sealer {
  readonly #session: AuditedSession;
  readonly #base: Sealer;
  isWiped = false;

  constructor(session: AuditedSession, base: Sealer) {
    this.#session = session;
    this.#base = base;
  }

  /** Whitepaper 5.4.6: a counter once; 6.1: not past its time or number; 5.4.6: confirmed first. */
  seal(offset: number, length: number, counter: number): void {
    const session = this.#session;
    const { owner, history } = session;
    hold('nothingAfterWipe', !this.isWiped, () => `${owner.name} seals under a wiped key`);
    hold(
      'nonceUsedOnce',
      counter > history.greatest,
      () => `${owner.name} seals with counter ${counter} after ${history.greatest}`,
    );
    hold('confirmedFirst', !history.isResponder || history.hasOpened, () => {
      const age = Math.round(owner.now() - history.derivedAt);
      return `${owner.name} sends under a session ${age} ms after answering, before it heard of the initiator`;
    });
    checkAge(session, counter, 'seals');
    history.greatest = counter;
    owner.sealed(session, offset, length);
    this.#base.seal(offset, length, counter);
  }

  copyKey(out: Uint8Array): void {
    this.#base.copyKey(out);
  }

  wipe(): void {
    this.isWiped = true;
    this.#base.wipe();
    this.#session.owner.wiped(this.#session);
  }
}

class AuditedOpener implements Opener {
  readonly #session: AuditedSession;
  readonly #base: Opener;
  isWiped = false;

  constructor(session: AuditedSession, base: Opener) {
    this.#session = session;
    this.#base = base;
  }

  open(offset: number, length: number, counter: number): boolean {
    const session = this.#session;
    const { owner } = session;
    hold('nothingAfterWipe', !this.isWiped, () => `${owner.name} opens under a wiped key`);
    checkAge(session, counter, 'opens');
    if (!this.#base.open(offset, length, counter)) return false;
    session.history.hasOpened = true;
    owner.opened(session, offset, length);
    return true;
  }

  copyKey(out: Uint8Array): void {
    this.#base.copyKey(out);
  }

  wipe(): void {
    this.isWiped = true;
    this.#base.wipe();
    this.#session.owner.wiped(this.#session);
  }
}

/** Whitepaper 6.1, 6.2: REJECT_AFTER_TIME and REJECT_AFTER_MESSAGES bound every use of a key. */
function checkAge(session: AuditedSession, counter: number, verb: string): void {
  const { owner, history } = session;
  const age = owner.now() - history.derivedAt;
  hold(
    'keyWithinLimits',
    age < REJECT_AFTER_TIME_MS && counter < REJECT_AFTER_MESSAGES,
    () => `${owner.name} ${verb} under a key ${Math.round(age)} ms old with counter ${counter}`,
  );
}
