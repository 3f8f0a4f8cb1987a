/**
 * How a running daemon hands over to its successor, step by step:
 *
 *   old                              new
 *   starts it
 *                                    calls
 *   ahead
 *                                    loads and rehearses all it can, confines itself
 *                                    configuration
 *   the configuration, without keys
 *                                    configures itself
 *                                    take
 *   contents and descriptors
 *                                    ready PID VERSION
 *   go
 *                                    serving
 *   ends
 *
 * What takes long with many peers goes ahead while packets move, and in slices; the contents then
 * have what has changed since, or all of it if the configuration is another by then. Either side may be
 * of a version that knows nothing of that: one that does says so with its call, and one that is not
 * told `ahead` asks for all at once.
 *
 * Once it is asked to take, the old one waits for a moment in which nobody expects an answer of it, if
 * there soon is one. From then on it does nothing else, so that no packet and no word of the operator's
 * comes between; the kernel keeps what arrives. Until it says `go` the new one sends nothing, and
 * from then on the old one sends nothing under the sessions it gave away. So no nonce is used
 * twice, whoever fails when. The old one may be in other hands: so the new one has given up its
 * rights before it takes anything. What is in the contents is not known here.
 */

import { monotonicMs } from '../sys/clock.ts';
import { ERRNO, SystemError } from '../sys/libc.ts';
import { drainSoon, watchFor } from '../sys/poller.ts';
import type { ChangingWatch } from '../sys/watch.ts';
import { Ahead } from './ahead.ts';
import type { Channel, Received } from './channel.ts';
import { call, type Remains, Starter } from './starter.ts';

/** How long one side waits for the other, in ms. */
export interface HandoverTimeouts {
  /** Node needs a tenth of a second to start, and seconds on a machine that is busy. */
  readonly callMs: number;
  /**
   * To load, to rehearse, and to test the ciphers; and once more to be told the configuration and to
   * take it.
   */
  readonly prepareMs: number;
  /** While no packet moves. */
  readonly answerMs: number;
  /** For a moment between two words of the operator's, while packets move. */
  readonly busyMs: number;
}

const TIMEOUTS: HandoverTimeouts = {
  ...{ callMs: 8_000, prepareMs: 12_000, answerMs: 5_000, busyMs: 1_000 },
};
const ANSWER_TIMEOUT_MS = TIMEOUTS.answerMs;
/** The old one packs meanwhile, on a machine that may be busy; that it is alive the channel tells. */
const CONTENTS_TIMEOUT_MS = 30_000;

/** Between two looks whether somebody is still busy. */
const LOOK_MS = 1;

/** With the call: its caller knows what goes ahead, and contents that tell of peers by their places. */
const KNOWS_AHEAD = 1;

export interface PackedContents {
  /** Erased once it is sent. */
  readonly bytes: Uint8Array;
  /** Stay the old daemon's, too. */
  readonly fds: readonly number[];
}

export type Outcome =
  | {
      readonly kind: 'handedOver';
      readonly pid: number;
      readonly version: string;
      /** How long no packet moved. */
      readonly pauseMs: number;
    }
  /** Nothing has changed. */
  | { readonly kind: 'kept'; readonly why: string }
  /** The successor failed after it might have begun: its sessions are not to be used again. */
  | { readonly kind: 'lost'; readonly why: string };

export interface HandoverOptions {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the starter clears up once the daemon has ended. */
  readonly remains?: Remains | undefined;
  /** What can go ahead: the configuration of this moment, without keys, in pieces. */
  readonly ahead: () => Generator<string, void>;
  /** All of this moment; `isAhead`: the successor has all that `ahead` told last. */
  readonly pack: (isAhead: boolean) => PackedContents;
  /** Whether somebody expects an answer that would not come any more; then it waits a little. */
  readonly isBusy?: () => boolean;
  /** Told of the outcome in the same turn, before anything else happens. */
  readonly onOutcome: (outcome: Outcome) => void;
  /** There is no starter any more: `why`, once. */
  readonly onStarterGone?: ((why: string) => void) | undefined;
  /** A resolver that was started has called; see Starter. */
  readonly onResolver?: ((fds: readonly number[]) => void) | undefined;
  readonly onBug: (error: unknown) => void;
  /** Those of a daemon by default. */
  readonly timeouts?: HandoverTimeouts;
}

/** The old daemon's side, open from its start on. */
export class Handover {
  readonly #options: HandoverOptions;
  readonly #timeouts: HandoverTimeouts;
  readonly #starter: Starter;
  #channel: Channel | undefined;
  #watch: ChangingWatch | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** What goes ahead to this successor, once it has asked for it, and whether it has all of that. */
  #ahead: Ahead | undefined;
  #isAhead = false;
  /** It has asked for the rest. */
  #isTaking = false;
  /** Of the upgrade under way. */
  #settle: ((outcome: Outcome) => void) | undefined;

  /** Starts the shell that waits; before the daemon confines itself. @throws {SystemError} */
  constructor(options: HandoverOptions) {
    this.#options = options;
    this.#timeouts = options.timeouts ?? TIMEOUTS;
    const { command, env, remains, onStarterGone: onGone, onResolver, onBug } = options;
    const [onCall, heard] = [this.#answer, { onGone, onResolver, onBug }];
    this.#starter = new Starter({ command, env, remains, onCall, ...heard });
  }

  /** Starts the successor and hands over to it. */
  upgrade(): Promise<Outcome> {
    if (this.#settle !== undefined) {
      return Promise.resolve({ kind: 'kept', why: 'an upgrade is under way already' });
    }
    const why = this.#starter.start();
    if (why !== '') return Promise.resolve({ kind: 'kept', why });
    const { callMs } = this.#timeouts;
    this.#expect(
      callMs,
      `the new program did not call within ${callMs / 1_000} s; does \`tswgd --version\` work?`,
    );
    return new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Has a resolver started, which then calls. Returns why that cannot be, or ''. */
  startResolver(): string {
    return this.#starter.resolve();
  }

  /** See Starter.reapResolver. */
  reapResolver(): void {
    this.#starter.reapResolver();
  }

  /** The interface has another name. */
  rename(): void {
    this.#starter.rename();
  }

  /** The daemon ends, or another process continues in its place. The last that it does. */
  close(isSucceeded: boolean): void {
    this.#release();
    this.#starter.close(isSucceeded);
  }

  readonly #answer = (channel: Channel, knows: number): void => {
    // One that was given up, and comes too late.
    if (this.#settle === undefined || this.#channel !== undefined) {
      channel.close();
      return;
    }
    this.#channel = channel;
    const { prepareMs } = this.#timeouts;
    this.#expect(prepareMs, `the new program was not prepared within ${prepareMs / 1_000} s`);
    const interest = { readable: () => this.#heard(channel) };
    this.#watch = watchFor(channel.fd, interest, this.#options.onBug);
    // There is room for a word.
    if (knows >= KNOWS_AHEAD) channel.send(encode('ahead'), [], 0);
  };

  #heard(channel: Channel): void {
    const received = channel.receive(0);
    if (received.kind === 'late') return;
    const word = wordOf(received);
    const isUnderWay = this.#ahead !== undefined && !this.#isAhead;
    if (word === 'configuration' && this.#ahead === undefined) this.#sendAhead(channel);
    else if (word === 'take' && !isUnderWay && !this.#isTaking) this.#handOverSoon(channel);
    else this.#end({ kind: 'kept', why: failureOf(received, 'before it was ready') });
  }

  #sendAhead(channel: Channel): void {
    const { prepareMs } = this.#timeouts;
    this.#expect(prepareMs, `the new program did not configure itself in ${prepareMs / 1_000} s`);
    const readable = (): void => this.#heard(channel);
    const ahead = new Ahead({
      channel,
      text: this.#options.ahead(),
      onFull: () => {
        const writable = (): void => {
          this.#watch?.change({ readable });
          ahead.continue();
        };
        this.#watch?.change({ readable, writable });
      },
      onSent: () => {
        this.#isAhead = true;
      },
      onBug: this.#options.onBug,
    });
    this.#ahead = ahead;
  }

  /** Between two words of the operator's, if such a moment comes soon. */
  #handOverSoon(channel: Channel): void {
    this.#isTaking = true;
    clearTimeout(this.#timer);
    const { isBusy = () => false, onBug } = this.#options;
    const latest = monotonicMs() + this.#timeouts.busyMs;
    const look = (): void => {
      try {
        if (isBusy() && monotonicMs() < latest) this.#timer = setTimeout(look, LOOK_MS);
        else this.#end(this.#handOver(channel));
      } catch (error) {
        onBug(error);
      }
    };
    look();
  }

  #handOver(channel: Channel): Outcome {
    const { answerMs } = this.#timeouts;
    const begun = monotonicMs();
    const { bytes, fds } = this.#options.pack(this.#isAhead);
    const isTaken = channel.send(bytes, fds, answerMs);
    bytes.fill(0);
    if (!isTaken) return { kind: 'kept', why: 'the new program did not take the state' };
    const answer = channel.receive(answerMs);
    const ready = /^ready (\d+) (\S+)$/.exec(wordOf(answer));
    if (ready === null || !channel.send(encode('go'), [], answerMs)) {
      return { kind: 'kept', why: failureOf(answer, 'before it was ready') };
    }
    const last = channel.receive(answerMs);
    // Late, it is alive all the same, and has had the word.
    if (wordOf(last) !== 'serving' && last.kind !== 'late') {
      return { kind: 'lost', why: failureOf(last, 'when it had to begin') };
    }
    const [, pid, version] = ready as unknown as [string, string, string];
    return { kind: 'handedOver', pid: Number(pid), version, pauseMs: monotonicMs() - begun };
  }

  #expect(ms: number, why: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end({ kind: 'kept', why }), ms);
  }

  #end(outcome: Outcome): void {
    const settle = this.#settle;
    this.#release();
    this.#options.onOutcome(outcome);
    settle?.(outcome);
    drainSoon();
  }

  #release(): void {
    clearTimeout(this.#timer);
    this.#ahead?.close();
    this.#watch?.close();
    this.#channel?.close();
    this.#ahead = undefined;
    this.#isAhead = false;
    this.#isTaking = false;
    this.#watch = undefined;
    this.#channel = undefined;
    this.#settle = undefined;
  }
}

/** The new daemon's side. */
export class Takeover {
  readonly #channel: Channel;

  /** Calls, over the starter's socket; do it first of all. @throws {SystemError} */
  constructor(socketFd: number) {
    this.#channel = call(socketFd, KNOWS_AHEAD);
  }

  /**
   * What goes ahead: the configuration without keys, while packets still move. Null when the old
   * daemon sends nothing ahead.
   *
   * @throws {SystemError} when it does not answer
   */
  configuration(): string | null {
    // It has said so while we prepared ourselves, if it ever does.
    if (!isWord(this.#channel.receive(0), 'ahead')) return null;
    this.#channel.send(encode('configuration'), [], ANSWER_TIMEOUT_MS);
    const received = this.#channel.receive(CONTENTS_TIMEOUT_MS);
    if (received.kind !== 'message') throw silence('take the configuration', received);
    return new TextDecoder().decode(received.bytes);
  }

  /**
   * All that the old daemon has, but for what went ahead and has not changed, at the moment from which
   * on it does nothing else: call when there is little left to do. The descriptors are the caller's.
   *
   * @throws {SystemError} when it does not answer
   */
  take(): PackedContents {
    this.#channel.send(encode('take'), [], ANSWER_TIMEOUT_MS);
    let received = this.#channel.receive(CONTENTS_TIMEOUT_MS);
    // Said too late to be asked for.
    if (isWord(received, 'ahead')) received = this.#channel.receive(CONTENTS_TIMEOUT_MS);
    if (received.kind === 'message') return received;
    throw silence('take over from the daemon', received);
  }

  /** Nothing is left to do: returns when we may begin. @throws {SystemError} when we may not */
  begin(pid: number, version: string): void {
    this.#channel.send(encode(`ready ${pid} ${version}`), [], ANSWER_TIMEOUT_MS);
    const received = this.#channel.receive(ANSWER_TIMEOUT_MS);
    if (wordOf(received) !== 'go') throw silence('begin in place of the daemon', received);
  }

  /** We have begun: the old daemon ends. */
  serve(): void {
    this.#channel.send(encode('serving'), [], ANSWER_TIMEOUT_MS);
    this.#channel.close();
  }

  /** We shall not begin; `why` is one line for the operator, whom the old daemon tells. */
  fail(why: string): void {
    this.#channel.send(encode(`failed ${why}`), [], ANSWER_TIMEOUT_MS);
    this.#channel.close();
  }
}

function encode(word: string): Uint8Array {
  return new TextEncoder().encode(word);
}

/** '' for what is no message. */
function wordOf(received: Received): string {
  return received.kind === 'message' ? new TextDecoder().decode(received.bytes) : '';
}

function isWord(received: Received, word: string): boolean {
  return (
    received.kind === 'message' &&
    received.bytes.length === word.length &&
    wordOf(received) === word
  );
}

function failureOf(received: Received, when: string): string {
  const reason = /^failed (.*)$/s.exec(wordOf(received))?.[1];
  if (reason !== undefined) return `the new program failed: ${reason}`;
  if (received.kind === 'late') return `the new program did not answer ${when}`;
  return `the new program ended ${when}; its log may say why`;
}

function silence(what: string, received: Received): SystemError {
  const isLate = received.kind === 'late';
  const hint = isLate ? 'it does not answer' : 'it has given us up';
  return new SystemError(what, 'recvmsg', isLate ? ERRNO.ETIMEDOUT! : ERRNO.EPIPE!, hint);
}
