/**
 * Names resolved by a process of its own, as the daemon sees it: has one started when the first name
 * is asked for, asks it, and replaces it when it ends, says what none of ours says, or is silent.
 * Owns our ends of the two sockets to it. What it says is hostile input: it reads what name servers
 * send, and may be in their hands.
 *
 * Of the two sockets one carries messages. The other, the lifeline, carries nothing: when our end of
 * it closes, the kernel kills the resolver (program.ts), whatever became of either of us.
 */

import { visible } from '../quotation.ts';
import { monotonicMs } from '../sys/clock.ts';
import { close, ERRNO, errno, recv, Scratch, send } from '../sys/libc.ts';
import { MSG_DONTWAIT } from '../sys/linux.ts';
import { type Watch, watch } from '../sys/poller.ts';
import { formatQuestion, MESSAGE_BYTES_MAX, parseWord, type Word } from './messages.ts';
import type { AnswerTaker, Resolver, ResolverState } from './resolver.ts';

/** Node starts twice, and a machine may be busy. */
const CALL_TIMEOUT_MS = 20_000;
/** The resolver answers everything within 45 s (program.ts), if only that it does not know yet. */
const ANSWER_TIMEOUT_MS = 50_000;
/** After the second failure in a row, doubled with each one; the starter pauses by itself. */
const FIRST_REST_MS = 1_000;
const LONGEST_REST_MS = 60_000;
/** Answers that are read before others have their turn. */
const ANSWERS_PER_TURN = 32;
/** A question with which a resolver ended is asked once more. */
const TRIES = 2;
/**
 * How often it is let go of since nothing is asked; then it stays. Few of the resolvers that a starter
 * starts, which are counted, are used up by somebody who gives and takes names all day.
 */
const RESTS_MAX = 20;

interface Unanswered {
  readonly host: string;
  /** Resolvers that have been asked. */
  tries: number;
  /** When the present one was; infinite until it is. */
  sentAt: number;
}

type State =
  /** None has been needed yet, or the last one has ended and nothing is asked. */
  | { readonly kind: 'none' }
  /** The starter has been told; it calls. */
  | { readonly kind: 'starting'; readonly timer: NodeJS.Timeout }
  | {
      readonly kind: 'running';
      readonly fd: number;
      readonly lifeline: number;
      readonly watch: Watch;
    }
  /** The last one has failed; the next is started after a pause, if anything is asked then. */
  | { readonly kind: 'resting'; readonly timer: NodeJS.Timeout }
  | { readonly kind: 'closed' };

export interface RemoteResolverOptions {
  /** Has a resolver started, which then calls: see `connect`. Returns why that cannot be, or ''. */
  readonly start: () => string;
  /** One has been let go of, and none is wanted now. */
  readonly reap?: (() => void) | undefined;
  readonly onAnswer: AnswerTaker;
  /** Gets a line for the operator when a resolver fails. */
  readonly onNote: (line: string) => void;
  readonly onBug: (error: unknown) => void;
}

export class RemoteResolver implements Resolver {
  readonly #options: RemoteResolverOptions;
  readonly #unanswered = new Map<number, Unanswered>();
  /** One byte more than a message may have. */
  readonly #memory = new Scratch(MESSAGE_BYTES_MAX + 1);
  #state: State = { kind: 'none' };
  #steps: ReadonlyMap<string, string> = new Map();
  #trouble = '';
  /** Of the running one, before it ends by itself. */
  #lastWords = '';
  #lastId = 0;
  /** In a row, without an answer between them. */
  #failures = 0;
  #restsLeft = RESTS_MAX;

  constructor(options: RemoteResolverOptions) {
    this.#options = options;
  }

  get state(): ResolverState {
    switch (this.#state.kind) {
      case 'none':
        return { word: 'none', text: 'not started, since nothing is asked' };
      case 'starting':
        return { word: 'starting', text: 'is starting' };
      case 'running':
        return { word: 'running', text: 'runs' };
      default:
        return { word: 'failed', text: 'has failed' };
    }
  }

  get trouble(): string {
    return this.#trouble;
  }

  /** How it stands with each step of the running one's confinement, by name, as itself tells. */
  get steps(): ReadonlyMap<string, string> {
    return this.#steps;
  }

  ask(id: number, host: string): void {
    this.#lastId = id;
    this.#unanswered.set(id, { host, tries: 0, sentAt: Number.POSITIVE_INFINITY });
    if (this.#state.kind === 'running') this.#send();
    else if (this.#state.kind === 'none') this.#start();
  }

  forget(id: number): void {
    const sentAt = this.#unanswered.get(id)?.sentAt ?? Number.POSITIVE_INFINITY;
    this.#unanswered.delete(id);
    if (monotonicMs() - sentAt > ANSWER_TIMEOUT_MS) this.#fail('it did not answer');
  }

  /**
   * A resolver has called. `fds`: our ends of its sockets, which are ours from here on; of others
   * than those two nothing is made.
   */
  connect(fds: readonly number[]): void {
    const [fd, lifeline] = fds;
    if (this.#state.kind !== 'starting' || fd === undefined || lifeline === undefined) {
      // Of one that was given up, and comes too late: this ends it.
      for (const one of fds) close(one);
      return;
    }
    clearTimeout(this.#state.timer);
    for (const one of fds.slice(2)) close(one);
    const reading = watch(fd, this.#read, this.#options.onBug);
    this.#state = { kind: 'running', fd, lifeline, watch: reading };
    this.#send();
  }

  /** The process ends, or is not waited for any more; a pause after failures lasts on. */
  rest(): void {
    if (this.#unanswered.size > 0) return;
    const { kind } = this.#state;
    if (this.#restsLeft === 0 || (kind !== 'running' && kind !== 'starting')) return;
    this.#restsLeft--;
    this.#end();
    this.#state = { kind: 'none' };
    this.#options.reap?.();
  }

  close(): void {
    this.#end();
    this.#state = { kind: 'closed' };
    this.#unanswered.clear();
  }

  #start(): void {
    const why = this.#options.start();
    if (why !== '') {
      this.#miss(why);
      return;
    }
    const timer = setTimeout(() => this.#fail('it did not start in time'), CALL_TIMEOUT_MS);
    this.#state = { kind: 'starting', timer };
  }

  /** What has not been sent to the one that runs. */
  #send(): void {
    for (const [id, question] of this.#unanswered) {
      if (this.#state.kind !== 'running') return;
      if (question.sentAt !== Number.POSITIVE_INFINITY) continue;
      const message = formatQuestion({ id, host: question.host });
      this.#memory.bytes.set(message);
      const { address } = this.#memory;
      if (send(this.#state.fd, address, message.length, MSG_DONTWAIT) < 0) {
        // Full: the rest follows when it has answered. Or it has just ended, and is found to have.
        return;
      }
      question.sentAt = monotonicMs();
      question.tries++;
    }
  }

  readonly #read = (): void => {
    for (let count = 0; count < ANSWERS_PER_TURN; count++) {
      if (this.#state.kind !== 'running') return;
      const { address, bytes } = this.#memory;
      const length = recv(this.#state.fd, address, MESSAGE_BYTES_MAX + 1, MSG_DONTWAIT);
      if (length < 0 && (errno() === ERRNO.EAGAIN || errno() === ERRNO.EINTR)) break;
      if (length <= 0) {
        this.#fail(`it has ended${this.#lastWords}`);
        return;
      }
      const word = parseWord(bytes.slice(0, length));
      if (word === null || !this.#take(word)) {
        this.#fail('it said what no resolver says');
        return;
      }
    }
    this.#send();
  };

  /** False for what does not fit what was asked. */
  #take(word: Word): boolean {
    if (word.kind === 'report') {
      this.#steps = word.steps;
      return true;
    }
    if (word.kind === 'end') {
      this.#lastWords = `: ${visible(word.why)}`;
      return true;
    }
    const { id, host } = word.question;
    const question = this.#unanswered.get(id);
    // One that nobody waits for any more, if it was ever asked.
    if (question === undefined) return id <= this.#lastId && id > 0;
    if (question.host !== host || question.tries === 0) return false;
    this.#unanswered.delete(id);
    this.#failures = 0;
    this.#trouble = '';
    this.#options.onAnswer(id, word.answer);
    return true;
  }

  /** The present one is of no use: there shall be another. */
  #fail(why: string): void {
    this.#end();
    const restMs = Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** (this.#failures - 1));
    this.#failures++;
    const timer = setTimeout(this.#goOn, this.#failures === 1 ? 0 : restMs);
    timer.unref();
    this.#state = { kind: 'resting', timer };
    this.#trouble = `tswgd-resolver in \`ps\`: ${why}`;
    this.#options.onNote(`The resolver, tswgd-resolver in \`ps\`, is replaced: ${why}`);
    for (const [id, question] of this.#unanswered) {
      question.sentAt = Number.POSITIVE_INFINITY;
      if (question.tries < TRIES) continue;
      this.#unanswered.delete(id);
      setImmediate(() => this.#options.onAnswer(id, { error: 'EAI_FAIL' }));
    }
  }

  readonly #goOn = (): void => {
    this.#state = { kind: 'none' };
    if (this.#unanswered.size > 0) this.#start();
  };

  /** No other can be started: every question fails, and so does every later one. */
  #miss(why: string): void {
    if (this.#trouble !== why) this.#options.onNote(`No name is looked up any more: ${why}`);
    this.#trouble = why;
    for (const id of this.#unanswered.keys()) {
      setImmediate(() => this.#options.onAnswer(id, { error: 'EAI_SYSTEM' }));
    }
    this.#unanswered.clear();
  }

  #end(): void {
    const state = this.#state;
    if (state.kind === 'starting' || state.kind === 'resting') clearTimeout(state.timer);
    if (state.kind !== 'running') return;
    state.watch.close();
    close(state.fd);
    close(state.lifeline);
    this.#steps = new Map();
    this.#lastWords = '';
  }
}
