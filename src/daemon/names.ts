/**
 * Names of endpoints, looked up for the Device: it asks in the midst of an input, and gets its answer
 * in a turn of its own. A daemon that confines itself has a process for that, started when the first
 * name is asked for; one inside a program asks by itself. Which name is asked for, and when, is the
 * Device's to decide.
 */

import type { NameAnswer, NameService } from '../device/ways.ts';
import { LocalResolver } from '../resolver/localresolver.ts';
import { Questions } from '../resolver/questions.ts';
import { RemoteResolver } from '../resolver/remoteresolver.ts';
import type { Resolver, ResolverState } from '../resolver/resolver.ts';
import { monotonicMs } from '../sys/clock.ts';
import type { Subsystem } from './subsystem.ts';
import type { DaemonTrouble } from './troubles.ts';

/** A name that is put in the place of another, or a peer that is said again, needs no new process. */
const REST_AFTER_MS = 5_000;

export interface NamesOptions {
  /** Has a resolver started, which then calls; undefined for a daemon that asks by itself. */
  readonly startResolver: (() => string) | undefined;
  /** One that was started has been let go of, and none is wanted now. */
  readonly reapResolver?: (() => void) | undefined;
  readonly onAnswer: (host: string, answer: NameAnswer) => void;
  /** Gets a line for the operator. */
  readonly onNote: (line: string) => void;
  readonly onBug: (error: unknown) => void;
}

export class Names implements Subsystem, NameService {
  readonly #options: NamesOptions;
  readonly #remote: RemoteResolver | undefined;
  readonly #resolver: Resolver;
  readonly #questions: Questions;
  #timer: NodeJS.Timeout | undefined;
  #restTimer: NodeJS.Timeout | undefined;
  #wasAsked = false;
  /** Asked before there was anybody to ask, as a state that is restored does; null from `begin` on. */
  #early: string[] | null = [];
  #isClosed = false;

  constructor(options: NamesOptions) {
    const { startResolver: start, reapResolver, onNote, onBug } = options;
    this.#options = options;
    const onAnswer = (id: number, answer: NameAnswer): void =>
      this.#guard(() => this.#questions.answered(monotonicMs(), id, answer));
    this.#remote =
      start && new RemoteResolver({ start, reap: reapResolver, onAnswer, onNote, onBug });
    this.#resolver = this.#remote ?? new LocalResolver(onAnswer);
    this.#questions = new Questions({
      resolver: this.#resolver,
      onAnswer: (host, answer) => this.#guard(() => options.onAnswer(host, answer)),
    });
  }

  /** Has a host looked up. Its answer comes later, even for what is no name. */
  lookUp(host: string): void {
    if (this.#isClosed) return;
    clearTimeout(this.#restTimer);
    this.#wasAsked = true;
    if (this.#early !== null) {
      this.#early.push(host);
      return;
    }
    this.#questions.ask(monotonicMs(), host);
    this.#timer ??= this.#expireLater();
  }

  /** No name is in use any more: the resolver ends, unless one is asked for in the next seconds. */
  rest(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => {
      this.#early?.splice(0);
      this.#questions.rest();
      this.#resolver.rest();
      this.#wasAsked = false;
    }, REST_AFTER_MS);
    this.#restTimer.unref();
  }

  /** From now on a resolver can be started. Call once. */
  begin(): void {
    const early = this.#early ?? [];
    this.#early = null;
    for (const host of early) this.lookUp(host);
  }

  /** A resolver that was started has called. */
  readonly connect = (fds: readonly number[]): void => this.#remote?.connect(fds);

  /** What looks names up, for `stats`; null before the first is asked for. */
  get state(): ResolverState | null {
    return this.#wasAsked ? this.#resolver.state : null;
  }

  /** How it stands with each step of the resolver's confinement; none while there is no process. */
  get steps(): ReadonlyMap<string, string> {
    return this.#remote?.steps ?? new Map();
  }

  /** How often each came of a lookup: `answered`, `late`, or an error's name. */
  get outcomes(): ReadonlyMap<string, number> {
    return this.#questions.outcomes;
  }

  troubles(): DaemonTrouble[] {
    const why = this.#resolver.trouble;
    return why === '' ? [] : [{ code: 'resolverLost', why }];
  }

  stop(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#restTimer);
    this.#resolver.close();
  }

  #expireLater(): NodeJS.Timeout {
    const ms = this.#questions.deadline - monotonicMs();
    const timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#guard(() => this.#questions.expire(monotonicMs()));
        if (this.#questions.deadline < Number.POSITIVE_INFINITY) this.#timer = this.#expireLater();
      },
      Math.max(0, Math.min(ms, 0x7fff_ffff)),
    );
    timer.unref();
    return timer;
  }

  /** Answers come from threads and timers, where nobody else would catch what is thrown. */
  #guard(act: () => void): void {
    if (this.#isClosed) return;
    try {
      act();
    } catch (error) {
      this.#options.onBug(error);
    }
  }
}
