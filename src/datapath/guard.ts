/**
 * What holds strangers back before they reach the path, if a transport has such a thing: what the
 * path tells it of each turn, and what it tells the path. How that is done is the transport's own
 * affair. As long as the transport is attached, the Device tells its guard whom it expects.
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
   * So many of those that were told of as strangers have turned out to be peers who call. Their calls
   * are work, however many they are, and no flood.
   */
  vindicate(strangers: number): void;
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
