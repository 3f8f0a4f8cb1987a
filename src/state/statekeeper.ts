/**
 * When a daemon's state is saved: soon after what the operator changed, at leisure after what
 * changes by itself, never more often than it can afford, and again after a failure. Owns the
 * timers and what is to be said of the state's saving; knows nothing of what is saved.
 */

import type { WritableDirectory } from '../sandbox/sandbox.ts';
import { monotonicMs } from '../sys/clock.ts';
import { SystemError } from '../sys/libc.ts';
import { nodeCrypto } from '../sys/nodecrypto.ts';
import { StateFile } from './statefile.ts';

export interface StateKeeperOptions {
  /** The interface's name. */
  readonly name: string;
  readonly directory: string;
  /** The state of this moment, which may take a while. */
  readonly render: () => Promise<string>;
  /** Gets one line for the log when saving begins to fail, or works again. */
  readonly onNote: (note: string) => void;
}

/**
 * The state is not saved. `why`: one line of plain words; `call` and `error`: the names of a system
 * call and of its error. `isRetried`: it is tried again; otherwise only the next daemon can.
 */
export type StateTrouble = {
  readonly code: 'stateUnsaved';
  readonly why: string;
  readonly call: string;
  readonly error: string;
  readonly isRetried: boolean;
};

const SOON_MS = 1_000;
/** A peer that moves about moves often. */
const MOVED_MS = 5_000;
const AT_LEISURE_MS = 60_000;
const RETRY_MS = 10_000;
/** Of the event loop's time, what making the text may take: with many peers there are fewer texts. */
const SHARE_OF_TIME = 1 / 100;

export class StateKeeper {
  readonly #options: StateKeeperOptions;
  #name: string;
  #file: StateFile | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer is due; monotonic ms. */
  #dueAt = Number.POSITIVE_INFINITY;
  /** No save begins before this. */
  #notBefore = Number.NEGATIVE_INFINITY;
  #saving: Promise<void> = Promise.resolve();
  /** Of the text that is in the file; the text itself would be a copy of the keys. */
  #savedDigest = '';
  /** Of the last attempt, if it did not succeed. */
  #failure: SystemError | undefined;
  /** Why the folder could not be opened at first: later attempts find but what confines us. */
  #unopened: SystemError | undefined;
  #isClosed = false;

  constructor(options: StateKeeperOptions) {
    this.#options = options;
    this.#name = options.name;
  }

  /**
   * The file, opened before the first use of it. Call once at the start, before the daemon loses
   * its right to open paths.
   *
   * @throws {SystemError} of the first attempt, for the caller to tell
   */
  open(): StateFile {
    try {
      return this.#openFile();
    } catch (error) {
      if (error instanceof SystemError) this.#failure = error;
      throw error;
    }
  }

  #openFile(): StateFile {
    try {
      this.#file ??= new StateFile(this.#name, this.#options.directory);
      return this.#file;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#unopened ??= error;
      throw this.#unopened;
    }
  }

  /** What follows from a folder that could not be opened, and what helps; '' if it could. */
  get remedy(): string {
    if (this.#unopened === undefined || this.#file !== undefined) return '';
    return `; once that is fixed, \`tswg ${this.#name} upgrade\` or a restart begins to save it`;
  }

  /** The interface has another name, and so has the folder. */
  renamed(name: string): void {
    this.#name = name;
    this.#file?.renamed(name);
  }

  /** Call at the start: an interface whose daemon dies before its first save would be nobody's. */
  begun(): void {
    this.#schedule(0);
  }

  /** Call when the operator changed something, or a first session began. */
  changed(): void {
    this.#schedule(SOON_MS);
  }

  /** Call when a peer is elsewhere: a successor that calls it where it was is not heard. */
  moved(): void {
    this.#schedule(MOVED_MS);
  }

  /** Call when something changed by itself that can wait: a session was renewed. */
  drifted(): void {
    this.#schedule(AT_LEISURE_MS);
  }

  /** The file's; undefined as long as it could not be opened. */
  get directory(): WritableDirectory | undefined {
    return this.#file?.directory;
  }

  /** null when all is well. */
  get trouble(): StateTrouble | null {
    if (this.#failure === undefined) return null;
    const { message, call, code } = this.#failure;
    const isRetried = this.remedy === '';
    return { code: 'stateUnsaved', why: message, call, error: code, isRetried };
  }

  /** Saves what is to be saved, and is done. */
  async close(): Promise<void> {
    this.#stop();
    await this.#save();
    this.#closeFile();
  }

  /** Is done without saving: the file stays as it is. */
  async abandon(): Promise<void> {
    this.#stop();
    await this.#saving;
    this.#closeFile();
  }

  /** The state's end: removes the file. */
  async remove(): Promise<void> {
    this.#stop();
    await this.#saving;
    try {
      this.#file?.remove();
    } catch (error) {
      this.#fail(error);
    }
    this.#closeFile();
  }

  #closeFile(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #stop(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #schedule(ms: number): void {
    const at = Math.max(monotonicMs() + ms, this.#notBefore);
    if (this.#isClosed || at >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = at;
    this.#timer = setTimeout(() => void this.#save(), at - monotonicMs());
  }

  /** One at a time: a request while a save is under way gets one after it. Never rejects. */
  #save(): Promise<void> {
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#saving = this.#saving.then(() => this.#saveNow());
    return this.#saving;
  }

  async #saveNow(): Promise<void> {
    const begun = monotonicMs();
    const text = await this.#options.render();
    const digest = nodeCrypto().createHash('sha256').update(text).digest('hex');
    const costMs = monotonicMs() - begun;
    this.#notBefore = monotonicMs() + Math.max(SOON_MS, costMs / SHARE_OF_TIME);
    if (digest === this.#savedDigest) return;
    try {
      await this.#openFile().write(text);
      this.#savedDigest = digest;
      if (this.#failure !== undefined) this.#options.onNote('The state is saved again');
      this.#failure = undefined;
    } catch (error) {
      this.#fail(error);
      this.#schedule(RETRY_MS);
    }
  }

  /** The tunnel continues without; the line is said once, not at every attempt. */
  #fail(error: unknown): void {
    if (!(error instanceof SystemError)) throw error;
    if (error.message !== this.#failure?.message) this.#options.onNote(error.message);
    this.#failure = error;
  }
}
