/**
 * Who holds strangers back before they reach the path, if somebody does: what the path tells of
 * each turn, and what it is told. How that is done is between the guard and its transport; it lives
 * as long as the path, since whom it expects is told while there is no transport, too.
 */

import type { Doorkeeper } from '../device/doorkeeper.ts';

export interface GuardState {
  /** none: nobody can hold strangers back. */
  readonly word: 'none' | 'open' | 'shut';
  /** What share of strangers' calls passes, from 0 to 1. */
  readonly share: number;
  /** Of what was refused to it, if that is why nobody can. */
  readonly refusal?: string;
}

export interface Guard extends Doorkeeper {
  /** Of how many turns one has to say what it cost; 0 for none. */
  readonly turnsASample: number;
  /** Whether calls are held back: then an answer needs a cookie. */
  readonly isPressed: boolean;
  /** How it stands, for `stats`. */
  readonly state: GuardState;
  /**
   * Called after each turn.
   *
   * @param strangers datagrams that came to nothing, or that still may
   * @param strangersMs what of the turn's cost (threadMs) they have to answer for; 0, as `turnMs`,
   * unless the turn was timed, and then that of all turns it stands for (`turnsASample`)
   * @param now the turn's (ms)
   */
  turned(strangers: number, strangersMs: number, turnMs: number, now: number): void;
}
