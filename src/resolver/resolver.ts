/**
 * What resolves names for a daemon, as the daemon sees it: something that is asked and answers later.
 * There are two: the process's own threads, for a program that embeds a daemon and stays what it is
 * (localresolver.ts), and a process of its own, for a daemon that confines itself
 * (remoteresolver.ts). Both ask the system's name service, as every program of the machine does.
 */

import type { NameAnswer } from '../device/ways.ts';

/** An answer has no more addresses than this; further ones are left out. */
export const ADDRESSES_MAX = 32;
/** Of the name of a host: isHostName's, which are all of ASCII. */
export const HOST_BYTES_MAX = 253;

/** How it stands with it: a word for programs, and one for people. `self`: it is this very process. */
export interface ResolverState {
  readonly word: (typeof RESOLVER_WORDS)[number];
  readonly text: string;
}

export const RESOLVER_WORDS = ['self', 'none', 'starting', 'running', 'failed'] as const;

export interface Resolver {
  readonly state: ResolverState;
  /** Why there can be none, in plain words; '' when all is well. */
  readonly trouble: string;
  /**
   * Looks a host up. The answer comes once, under this number, and never inside the call. Numbers
   * are positive, less than 2^32, and each greater than the one before.
   */
  ask(id: number, host: string): void;
  /** Nobody waits for this answer any more. */
  forget(id: number): void;
  /** Nothing is asked for now: what it holds for that is given up, and made again when need be. */
  rest(): void;
  /** No answer comes any more. */
  close(): void;
}

/** Takes an answer; one whose number is not known any more came too late. */
export type AnswerTaker = (id: number, answer: NameAnswer) => void;
