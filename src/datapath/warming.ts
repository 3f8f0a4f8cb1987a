/**
 * Runs the packet path with nothing to carry in the pauses of a session, to keep its code and data
 * in the processor's caches: a packet that comes some milliseconds after the last one finds them
 * there (measured: a quarter of an idle ping's round trip). What came meanwhile is handled as ever.
 * Owns the keys it practises with, which no peer has.
 */

import type { Arena } from '../arena.ts';
import type { CryptoSuite, Opener, Sealer } from '../crypto/suite.ts';
import { random } from '../sys/clock.ts';

/** As much as a small packet has, and its authenticator. */
const PRACTICE_BYTES = 96;
const PRACTICE_ROOM_BYTES = PRACTICE_BYTES + 16;

export interface WarmingOptions {
  readonly arena: Arena;
  readonly suite: CryptoSuite;
  /** Reads whatever can be read, each in a turn of its own. */
  readonly readAll: () => void;
}

export class Warming {
  readonly #options: WarmingOptions;
  /** Made when they are needed; `counter` says how often they were used. */
  #practice: { readonly sealer: Sealer; readonly opener: Opener; counter: number } | undefined;

  constructor(options: WarmingOptions) {
    this.#options = options;
  }

  /** Call between turns, every millisecond of a pause. */
  readonly stayWarm = (): void => {
    const { arena, suite, readAll } = this.#options;
    readAll();
    this.#practice ??= createPractice(suite);
    const { sealer, opener } = this.#practice;
    const counter = this.#practice.counter++;
    const offset = arena.allocate(PRACTICE_ROOM_BYTES);
    sealer.seal(offset, PRACTICE_BYTES, counter);
    opener.open(offset, PRACTICE_BYTES, counter);
    arena.reset();
  };

  /** Erases the keys. */
  close(): void {
    this.#practice?.sealer.wipe();
    this.#practice?.opener.wipe();
    this.#practice = undefined;
  }
}

function createPractice(suite: CryptoSuite): { sealer: Sealer; opener: Opener; counter: number } {
  const key = new Uint8Array(32);
  random(key);
  const practice = { sealer: suite.createSealer(key), opener: suite.createOpener(key), counter: 0 };
  key.fill(0);
  return practice;
}
