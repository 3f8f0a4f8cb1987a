/**
 * What the parts of a running daemon have in common, and the list of them. A part says what is wrong
 * with it, hears what the operator does, and ends when its turn comes; of the other parts it knows
 * nothing. What happens to the Device is told by the Device, to those that observe it. Which parts
 * there are, and in which order they end, is parts.ts'.
 */

import type { DaemonTrouble } from './troubles.ts';

/**
 * What the daemon's end means to the interface, the control socket and the state:
 *
 *   stopped   a persistent daemon's successor is expected
 *   forGood   nobody shall take them over
 *   byBug     as stopped, but what is in memory is not to be trusted
 *   notOurs   they are another process's
 */
export type EndKind = 'stopped' | 'forGood' | 'byBug' | 'notOurs';

export interface Subsystem {
  /** What is wrong with it; what else there is to know of it are rows of metrics.ts. */
  troubles?(): readonly DaemonTrouble[];
  /** The operator has changed the configuration. */
  changed?(): void;
  /** The interface has another name, and its control socket has followed it. */
  renamed?(name: string): void;
  /**
   * Nothing may move any more: the daemon ends, or another process has just taken over. In the turn
   * in which that happens, and again before `close`.
   */
  stop?(kind: EndKind): void;
  /** The end. Those before it in the list have ended, those after it have not. */
  close?(kind: EndKind): void | Promise<void>;
}

export class Subsystems {
  readonly #all: readonly Subsystem[];

  /** @param all in the order in which they end; troubles are shown in the same order */
  constructor(all: readonly Subsystem[]) {
    this.#all = all;
  }

  troubles(): DaemonTrouble[] {
    return this.#all.flatMap((one) => one.troubles?.() ?? []);
  }

  changed(): void {
    for (const one of this.#all) one.changed?.();
  }

  renamed(name: string): void {
    for (const one of this.#all) one.renamed?.(name);
  }

  stop(kind: EndKind): void {
    for (const one of this.#all) one.stop?.(kind);
  }

  /** @param ending its kind may change while parts end, if one of them has a bug */
  async close(ending: { readonly kind: EndKind }): Promise<void> {
    this.stop(ending.kind);
    for (const one of this.#all) await one.close?.(ending.kind);
  }
}
