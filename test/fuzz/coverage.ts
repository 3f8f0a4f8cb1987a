/**
 * How much of the shipping code inputs have reached, by V8's own block coverage: it needs no
 * instrumentation and costs a fraction of a millisecond a look. By it a run can keep the inputs
 * that reach new code, and say what share of the code it reached.
 *
 * The libraries of the npm registry do not make it simple here. The addon in `@jazzer.js/fuzzer` 4
 * wants a glibc of 2.38, and Debian 12 has 2.36; its versions 1 and 2 fetch theirs from outside
 * the registry or compile it. Those and `jsfuzz` instrument CommonJS only, and all of tswg is ES
 * modules.
 */

import { Session } from 'node:inspector';

interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly {
    readonly ranges: readonly { startOffset: number; endOffset: number; count: number }[];
  }[];
}

/** Of a script, a number for each character. */
type Characters = Uint8Array;
const UNKNOWN = 0;
const KNOWN = 1;
const REACHED = 2;
/** Longer than any file of ours. */
const SCRIPT_CHARACTERS_MAX = 1 << 16;

export class Coverage {
  readonly #session = new Session();
  readonly #sources: readonly string[];
  readonly #scripts = new Map<string, Characters>();
  readonly #look = new Uint8Array(SCRIPT_CHARACTERS_MAX);
  /** What the last look found reached for the first time. */
  #lastNew: [script: Characters, at: number][] = [];

  /** @param sources ends of the paths of the scripts that count, without their extensions */
  constructor(sources: readonly string[]) {
    this.#sources = sources;
    this.#session.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Whether code ran since the last look that never did before. */
  takeNew(): boolean {
    this.#lastNew = [];
    for (const script of this.#take()) {
      const reached = this.#reachedOf(script.url);
      if (reached !== null) this.#merge(script, reached);
    }
    return this.#lastNew.length > 0;
  }

  /**
   * Which of the inputs of the last look were the new ones: they are run once more, one by one.
   * What they do not reach again, because of a state they were in, counts as reached all the same.
   */
  async findNew<T>(inputs: readonly T[], run: (input: T) => unknown): Promise<T[]> {
    const claimed = this.#lastNew;
    this.#take();
    for (const [reached, at] of claimed) reached[at] = KNOWN;
    const found: T[] = [];
    for (const input of inputs) {
      await run(input);
      if (this.takeNew()) found.push(input);
    }
    for (const [reached, at] of claimed) reached[at] = REACHED;
    return found;
  }

  /** The share of the code that was reached, 0 to 1: characters of functions, their outsides not. */
  get share(): number {
    let known = 0;
    let reached = 0;
    for (const characters of this.#scripts.values()) {
      for (const character of characters) {
        if (character !== UNKNOWN) known++;
        if (character === REACHED) reached++;
      }
    }
    return known === 0 ? 0 : reached / known;
  }

  /** What was never reached: script and offset of each piece, and its length in characters. */
  unreached(): { url: string; start: number; length: number }[] {
    const pieces: { url: string; start: number; length: number }[] = [];
    for (const [url, characters] of this.#scripts) {
      for (let at = characters.indexOf(KNOWN); at >= 0; at = characters.indexOf(KNOWN, at)) {
        const start = at;
        while (characters[at] === KNOWN) at++;
        pieces.push({ url, start, length: at - start });
      }
    }
    return pieces;
  }

  close(): void {
    this.#post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }

  #take(): ScriptCoverage[] {
    return (this.#post('Profiler.takePreciseCoverage') as { result: ScriptCoverage[] }).result;
  }

  #reachedOf(url: string): Characters | null {
    const known = this.#scripts.get(url);
    if (known !== undefined) return known;
    const path = url.replace(/\.[jt]s$/, '');
    if (!this.#sources.some((source) => path.endsWith(`/${source}`))) return null;
    const reached = new Uint8Array(SCRIPT_CHARACTERS_MAX);
    this.#scripts.set(url, reached);
    return reached;
  }

  #merge({ functions }: ScriptCoverage, reached: Characters): void {
    const look = this.#look;
    let end = 0;
    // Inner ranges stand behind the outer ones whose count they correct, functions as blocks.
    for (const { ranges } of functions) {
      // The module itself ran when it was loaded.
      if (ranges[0].startOffset === 0) continue;
      for (const { startOffset, endOffset, count } of ranges) {
        look.fill(count > 0 ? REACHED : KNOWN, startOffset, endOffset);
        end = Math.max(end, endOffset);
      }
    }
    for (let at = 0; at < end; at++) {
      if (look[at] <= reached[at]) continue;
      if (look[at] === REACHED) this.#lastNew.push([reached, at]);
      reached[at] = look[at];
    }
    look.fill(UNKNOWN, 0, end);
  }

  /** The inspector of one's own process answers before `post` returns. */
  #post(method: string, parameters: object = {}): unknown {
    let answer: unknown;
    this.#session.post(method, parameters, (error, result) => {
      if (error !== null) throw new Error(`${method}: ${error.message}`);
      answer = result;
    });
    return answer;
  }
}
