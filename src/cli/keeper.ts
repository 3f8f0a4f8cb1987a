/**
 * `tswg netstart --keep`: carries out what can be carried out of the files at once, and the rest as
 * soon as that can be, so that one bad line costs no more than itself. A line that has been carried
 * out is not repeated. Names are waited for as everything else is: by trying the line again.
 *
 * Told is what changes, once: what is missing from now on, and what is missing no more.
 */

import type { Boot } from './boot.ts';
import type { HostnameLine } from './hostnamefile.ts';
import { carryOut, ensure, readHostnameFile } from './hostnamelines.ts';
import { hasLostDaemon } from './lostdaemon.ts';
import { isRefusal, Refusal } from './refusal.ts';
import type { Link } from './system.ts';

const PAUSE_MS_MIN = 1_000;
const PAUSE_MS_MAX = 60_000;
/** Programs that wait for the first pass do not wait for a name service that does not answer. */
const FIRST_PASS_MS_MAX = 15_000;
/** A command that hangs keeps the lines after it from running no longer than this. */
const COMMAND_MS_MAX = 60_000;

/** Resolves to the exit code when nothing is missing: 1 if an interface was removed meanwhile. */
export async function keep(names: readonly string[], boot: Boot): Promise<number> {
  if (!boot.system.isRoot) {
    boot.complain('netstart: --keep: only root may change interfaces; try it with sudo');
    return 1;
  }
  const all = names.map((name) => new Keeper(name, boot));
  const patience = setTimeout(() => boot.service.ready(), FIRST_PASS_MS_MAX);
  let pauseMs = PAUSE_MS_MIN;
  for (let pass = 1; ; pass++) {
    for (const keeper of all) await keeper.attempt();
    if (pass === 1) {
      clearTimeout(patience);
      boot.service.ready();
    }
    const missing = all.filter((keeper) => keeper.isMissingSomething);
    if (all.some((keeper) => keeper.hasTold)) boot.service.status(describe(missing));
    if (missing.length === 0) return all.some((keeper) => keeper.isGone) ? 1 : 0;
    const hasMoved = all.some((keeper) => keeper.hasMoved);
    pauseMs = hasMoved ? PAUSE_MS_MIN : Math.min(pauseMs * 2, PAUSE_MS_MAX);
    await boot.system.sleep(pauseMs);
  }
}

function describe(missing: readonly Keeper[]): string {
  const troubles = missing.flatMap((keeper) => keeper.troubles);
  if (troubles.length === 0) return 'Every line has been carried out';
  return `Not carried out: ${troubles.length}; ${troubles.join('; ')}`;
}

/** One interface and its file. */
class Keeper {
  readonly #name: string;
  readonly #boot: Boot;
  /** What has been carried out, by what it says. */
  readonly #done = new Set<string>();
  /** What is missing: what it is, and the line for the operator. */
  #missing = new Map<string, string>();
  #index: number | null = null;
  #isGone = false;
  #hasTold = false;
  #hasMoved = false;

  constructor(name: string, boot: Boot) {
    this.#name = name;
    this.#boot = boot;
  }

  get isMissingSomething(): boolean {
    return this.#missing.size > 0;
  }

  /** Somebody removed the interface. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** Whether the last attempt had something to tell. */
  get hasTold(): boolean {
    return this.#hasTold;
  }

  /** Whether other lines are missing since the last attempt, and not only for other reasons. */
  get hasMoved(): boolean {
    return this.#hasMoved;
  }

  /** In the order of the lines. */
  get troubles(): string[] {
    const lines = [...this.#missing.values()];
    return lines.sort((one, other) => one.localeCompare(other, 'en', { numeric: true }));
  }

  /** Tries everything that is missing. */
  async attempt(): Promise<void> {
    [this.#hasTold, this.#hasMoved] = [false, false];
    if (this.#isGone) return;
    const before = this.#missing;
    const missing = new Map<string, string>();
    try {
      const { lines, mistakes } = await readHostnameFile(this.#name, this.#boot);
      for (const mistake of mistakes) missing.set(mistake, mistake);
      if (await this.#hasInterface()) await this.#carryOut(lines, missing);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      missing.set(error.message, error.message);
    }
    this.#missing = this.#isGone ? new Map() : missing;
    this.#tell(before);
  }

  /** @throws Refusal when there is none for now; false when somebody has removed it */
  async #hasInterface(): Promise<boolean> {
    const { system, service } = this.#boot;
    let link = this.#link();
    if (link === undefined && this.#index !== null) {
      this.#isGone = true;
      this.#boot.complain(
        `${this.#name}: the interface was removed; its lines are not tried again`,
      );
      return false;
    }
    // The daemon of a service is started by the service manager.
    if (!service.isManaged) await ensure(this.#name, system);
    else if (link === undefined || hasLostDaemon(link, system)) {
      throw new Refusal(`${this.#name}: no daemon serves it yet; its service starts one`);
    }
    link = this.#link();
    if (link === undefined) throw new Refusal(`${this.#name}: gone right after it was created`);
    // Another interface of this name knows nothing of what has been done.
    if (this.#index !== link.index) this.#done.clear();
    this.#index = link.index;
    return true;
  }

  #link(): Link | undefined {
    return this.#boot.system.links().find((one) => one.name === this.#name);
  }

  async #carryOut(lines: readonly HostnameLine[], missing: Map<string, string>): Promise<void> {
    const seen = new Map<string, number>();
    for (const line of lines) {
      const { label, action } = line;
      const text = action.kind === 'command' ? `!${action.text}` : action.words.join('\0');
      const times = (seen.get(text) ?? 0) + 1;
      seen.set(text, times);
      const key = `${times} ${text}`;
      if (this.#done.has(key)) continue;
      // What a command says when it fails again has been said.
      const shell = { isSilent: this.#missing.has(key), timeoutMs: COMMAND_MS_MAX };
      const trouble = await carryOut(this.#name, line, this.#boot, shell);
      if (trouble !== null) missing.set(key, `${label}: ${trouble}`);
      else {
        this.#done.add(key);
        if (this.#missing.has(key)) this.#boot.note(`${label}: carried out`);
      }
      // Whatever took it away, the lines after this one are not to make another of half a file.
      if (this.#link() === undefined) return;
    }
  }

  /** Says what is missing that was not before, or for another reason. */
  #tell(before: ReadonlyMap<string, string>): void {
    const fresh = [...this.#missing].filter(([key, line]) => before.get(key) !== line);
    for (const [, line] of fresh) this.#boot.complain(line);
    if (before.size > 0 && this.#missing.size === 0 && !this.#isGone) {
      this.#boot.note(`${this.#name}: every line has been carried out`);
    }
    const keys = [...this.#missing.keys()];
    this.#hasMoved = keys.length !== before.size || keys.some((key) => !before.has(key));
    this.#hasTold = this.#hasMoved || fresh.length > 0;
  }
}
